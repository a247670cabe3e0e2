"""What the actors of one call are given, and the channel ends between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import trio
from attrs import frozen
from structlog.typing import FilteringBoundLogger

from vantum.config import Settings
from vantum.core.decisions import Announce, Event
from vantum.core.events import Played, Prospect, ServerMessage
from vantum.core.history import History
from vantum.core.scripts import ScriptState
from vantum.core.tokens import CountTokens, estimate_tokens
from vantum.core.tools import Memory, Tool
from vantum.ports import (
    LanguageModel,
    SpeechToTextProvider,
    TextToSpeech,
    TurnDetector,
    VoiceActivity,
)
from vantum.wire.codec import ClientCodec


class ClientSocket(Protocol):
    """The client's WebSocket, as the reader and the writer see it."""

    @property
    def sent(self) -> int:
        """How much was sent, in a unit of its own (bytes, messages)."""

    @property
    def held(self) -> int | None:
        """How much of it has not arrived at the other machine, as far as this one has been told;
        None: nobody knows."""

    async def receive(self) -> bytes | str | None:
        """The next message; None when the connection is closed."""

    async def send(self, *messages: bytes | str, within_s: float) -> None:
        """Send one message, or several in one write. Text is `str`.

        Raises `trio.BrokenResourceError` when it is closed, and `trio.TooSlowError` if the client
        does not take it in so many seconds; the socket is unusable after either.
        """

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye with a close frame; returns when the peer has answered or is given up."""


def _nothing_to_say(text: str) -> None:
    return None


@frozen
class Past:
    """What an earlier session of the same call leaves to the next one, which goes on with it: all
    that was said and heard, where the call stands in its script, and what was noted.

    The earlier session must be over: the next one writes into the same `history` and `memory`.
    """

    history: History
    place: ScriptState | None
    memory: Memory


@frozen
class Call:
    """One call: who is speaking with what. Holds no state, but its `codec` may.

    `prospect` is what the server itself knows of the person on the line, and `count_tokens` counts
    what a text takes in the model's context. `tools` are offered to the model besides the built-in
    ones; those that block share `tool_threads` (None: the call has its own).
    `overhear` is told what the user has said of his turn so far, with each final transcript and
    before anything is answered; what it gives is said instead of the model's answer. At the end of
    the call it is told what was not final yet. It must be quick.
    `past`: this session goes on with a call that has had one before.
    `activity` and `detector` help to tell when a turn is over, if this machine has them.
    `new_id` makes UUIDv7 strings and `wall_ms` tells the time of day in milliseconds since 1970;
    both come from outside so that the same seed gives the same call.
    """

    session_id: str
    codec: ClientCodec
    settings: Settings
    provider_names: dict[str, str]
    recognisers: SpeechToTextProvider
    model: LanguageModel
    synthesiser: TextToSpeech
    activity: VoiceActivity | None
    detector: TurnDetector | None
    new_id: Callable[[], str]
    wall_ms: Callable[[], int]
    log: FilteringBoundLogger
    prospect: Prospect = Prospect()
    count_tokens: CountTokens = estimate_tokens
    tools: tuple[Tool, ...] = ()
    tool_threads: trio.CapacityLimiter | None = None
    overhear: Callable[[str], Announce | None] = _nothing_to_say
    past: Past | None = None

    @property
    def has_detector(self) -> bool:
        """The detector hears what the ear heard: without an ear it would judge silence."""
        return self.detector is not None and self.activity is not None


@frozen
class Goodbye:
    """The last thing the writer does: close with this code."""

    code: int
    reason: str


#: What comes to the conductor.
Inbox: TypeAlias = Event | Played

#: What goes to the writer.
Outgoing: TypeAlias = ServerMessage | Goodbye
