"""The client protocol as tables: the names each vocabulary takes and sends, and its errors.

The events themselves are in `vantum.wire.events`.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from vantum.core.events import ErrorCase
from vantum.wire.event import Event
from vantum.wire.events import EVENTS
from vantum.wire.fields import Vocabulary

VOCABULARIES: Final[tuple[Vocabulary, ...]] = ("unified", "voicechat")
#: WebSocket subprotocol that selects the older vocabulary.
VOICECHAT_SUBPROTOCOL: Final = "vantum.voicechat"
#: In the error table: the last part of the request's own type is replaced by `error`.
LAST_PART: Final = "*.error"


@frozen
class ErrorRow:
    """How a kind of failure is reported, by vocabulary, and what happens to the connection."""

    case: ErrorCase
    unified: str
    voicechat: str
    doc: str
    close: int | None = None

    def name(self, vocabulary: Vocabulary) -> str:
        """The error event's name, or `LAST_PART`."""
        return self.unified if vocabulary == "unified" else self.voicechat


#: Rows that the contract names. A full queue is reported as audio that comes too fast: to a client
#: it is the same thing, and both vocabularies have a name for it.
ERRORS: Final[tuple[ErrorRow, ...]] = (
    ErrorRow(
        "malformed",
        "error.system.unknown",
        "error.unknown",
        "A text frame, not MessagePack, not a map, or a field that is missing or of a wrong type.",
    ),
    ErrorRow("unknown_event", "error.system.unknown", LAST_PART, "An unknown event type."),
    ErrorRow(
        "invalid_format",
        "audio.error.invalid_format",
        "voicechat.audio.error",
        "A `samplingRate` outside 8000..48000, or audio before the first start event.",
    ),
    ErrorRow(
        "buffer_overflow",
        "audio.error.buffer_overflow",
        "voicechat.audio.error",
        "Audio arrives faster than it can be taken; the oldest was dropped.",
    ),
    ErrorRow(
        "queue_full",
        "audio.error.buffer_overflow",
        "voicechat.audio.error",
        "More finished turns wait for an answer than the session queues.",
    ),
    ErrorRow(
        "wrong_session",
        "connection.error.general",
        LAST_PART,
        "A `sessionId` that is not the connection's.",
    ),
    ErrorRow(
        "auth_failed",
        "connection.error.auth_failed",
        "connection.error.auth_failed",
        "No valid token.",
        close=4401,
    ),
    ErrorRow(
        "stt_unavailable", "error.service.stt_unavailable", LAST_PART, "Speech recognition is down."
    ),
    ErrorRow(
        "llm_unavailable", "error.service.llm_unavailable", LAST_PART, "The language model is down."
    ),
    ErrorRow(
        "tts_unavailable", "error.service.tts_unavailable", LAST_PART, "Speech synthesis is down."
    ),
)

BY_KEY: Final[dict[str, Event]] = {event.key: event for event in EVENTS}
ERROR_ROWS: Final[dict[ErrorCase, ErrorRow]] = {row.case: row for row in ERRORS}


def _accepted(vocabulary: Vocabulary) -> dict[str, Event]:
    """What a client may send: names → events."""
    rows: dict[str, Event] = {}
    for event in EVENTS:
        name = event.name(vocabulary)
        if name is not None and event.direction != "s2c":
            rows[name] = event
            if vocabulary == "unified":
                rows.update(dict.fromkeys(event.aliases, event))
    return rows


def _sent(vocabulary: Vocabulary) -> dict[str, Event]:
    """What a server may send, acks and errors aside: names → events, the first row of a name."""
    rows: dict[str, Event] = {}
    for event in EVENTS:
        name = event.name(vocabulary)
        if name is not None and event.direction != "c2s":
            rows.setdefault(name, event)
    return rows


ACCEPTED: Final[dict[Vocabulary, dict[str, Event]]] = {v: _accepted(v) for v in VOCABULARIES}
SENT: Final[dict[Vocabulary, dict[str, Event]]] = {v: _sent(v) for v in VOCABULARIES}
