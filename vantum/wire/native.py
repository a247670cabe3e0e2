"""The client protocol's codec, the server's side: MessagePack frames ↔ `vantum.core` values.

`decode` takes what a client sent and `encode` makes what it gets, in the connection's vocabulary.
Both are pure and never see a socket. Choices where the contract leaves room:

- An `eventId` may be any text of 1 to 128 characters. Clients send UUIDv7, but it is only ever sent
  back, so another form does no harm.
- The envelope is checked first, then the type, then the payload; the session id is the session's
  own to compare (`Decoded.session_id`).
- Extension types and timestamps are read and ignored like other unknown fields. Bytes after the
  map are malformed.
- So are more than 64 maps and arrays in a message, or more than 256 entries in one of them: nothing
  in the protocol comes near. Without a bound, a message of 1 MiB of empty arrays would hold up the
  event loop for a good part of a second, and a claimed length would reserve memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgpack
from attrs import frozen

from vantum.core.events import (
    Ack,
    Busy,
    ClientMessage,
    EndCall,
    EndInput,
    ErrorCase,
    ErrorReply,
    Goodbye,
    Heartbeat,
    InputChunk,
    InputOptions,
    Interrupt,
    Mute,
    OutputChunk,
    Played,
    Prospect,
    RateLimitWarning,
    Request,
    ServerMessage,
    StartInput,
    TranscriptOut,
)
from vantum.wire.fields import ProtocolError, Vocabulary, read_fields, shown
from vantum.wire.payloads import server_payload
from vantum.wire.registry import (
    ACCEPTED,
    BY_KEY,
    ERROR_ROWS,
    LAST_PART,
    SENT,
    VOCABULARIES,
    VOICECHAT_SUBPROTOCOL,
)

__all__ = [
    "Decoded",
    "ProtocolError",
    "Vocabulary",
    "choose_vocabulary",
    "decode",
    "encode",
    "error_name",
    "pack",
    "read_frame",
]

_MAX_NAME_CHARS: Final = 128
_MAX_ENTRIES: Final = 256
_MAX_CONTAINERS: Final = 64
_UNREADABLE: Final = Request()
#: One for all messages: a new one reserves a quarter of a megabyte, for each message. A model's
#: text may hold half of a surrogate pair: it must not stop the writer.
_PACKER: Final = msgpack.Packer(unicode_errors="replace")


@frozen
class Decoded:
    """A client's message, its envelope and the session it says it belongs to."""

    request: Request
    session_id: str
    message: ClientMessage


def choose_vocabulary(events: str | None, subprotocols: Iterable[str] = ()) -> Vocabulary:
    """The vocabulary of a new connection: the older one if the URL or the subprotocol says so.

    Args:
        events: value of `events` in the URL's query; None if it is not there.
        subprotocols: what the client offers in its handshake.
    """
    older = events == "voicechat" or VOICECHAT_SUBPROTOCOL in subprotocols
    return "voicechat" if older else "unified"


# ---------------------------------------------------------------- client → server


def decode(data: bytes | str, vocabulary: Vocabulary) -> Decoded:
    """Read one frame of a client; `str` is a text frame.

    Raises:
        ProtocolError: the frame is not a message of this vocabulary. Nothing else is raised.
    """
    request, frame = read_frame(data)
    event = ACCEPTED[vocabulary].get(request.event_type or "")
    if event is None:
        raise ProtocolError("unknown_event", _unknown(request.event_type, vocabulary), request)
    payload = frame["payload"]
    if event.key == "input_chunk" and len(payload) == 1 and type(payload.get("audio")) is bytes:
        # Fifty times a second: what is nothing but audio needs no further look.
        return Decoded(request, frame["sessionId"], InputChunk(request, payload["audio"]))
    values = read_fields(event.fields, payload, request)
    return Decoded(
        request, frame["sessionId"], _client_message(event.key, request, values, vocabulary)
    )


def read_frame(data: bytes | str) -> tuple[Request, dict[object, Any]]:
    """A frame of either direction and its type and id, none of them None.

    The frame's `sessionId` is a str and its `payload` a dict.

    Raises:
        ProtocolError: with as much of the envelope as could be read.
    """
    if isinstance(data, str):
        raise ProtocolError(
            "malformed", "text frame; messages are binary frames of MessagePack", _UNREADABLE
        )
    try:
        frame = _unpack(data)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise ProtocolError("malformed", _unreadable(error), _UNREADABLE) from None
    if not isinstance(frame, dict):
        raise ProtocolError("malformed", f"message is {shown(frame)}, not a map", _UNREADABLE)
    event_type = frame.get("eventType")
    event_id = frame.get("eventId")
    session_id = frame.get("sessionId")
    payload = frame.get("payload")
    request = Request(
        event_type if _is_name(event_type) else None, event_id if _is_name(event_id) else None
    )
    if (
        request.event_type is None
        or request.event_id is None
        or not isinstance(session_id, str)
        or not isinstance(payload, dict)
    ):
        raise ProtocolError("malformed", _envelope_fault(frame), request)
    return request, frame


class _TooMany(ValueError):
    """More maps and arrays than a message may have."""


def _unreadable(error: Exception) -> str:
    """Why a frame could not be read; the library's own texts name its limits and offsets."""
    match error:
        case msgpack.ExtraData():
            return "bytes after the MessagePack value; a message is one frame"
        case UnicodeDecodeError():
            return "a str in it is not UTF-8"
        case TypeError():
            return "a key in it is a map or an array; keys are str"
        case _TooMany() | msgpack.StackError() | RecursionError():
            return f"more than {_MAX_CONTAINERS} maps and arrays in a message"
        case _ if any(name in str(error) for name in ("max_array_len", "max_map_len")):
            return (
                f"more than {_MAX_ENTRIES} entries in a map or an array (audio is bin: bytes, not "
                "an array of numbers)"
            )
        case _:
            return "not one whole MessagePack value"


def _unpack(data: bytes) -> object:
    """The value of a frame, within the bounds."""
    left = _MAX_CONTAINERS

    def count(container: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooMany
        return container

    # timestamp=0 keeps timestamps as plain values: no date is too large for them. A key that is no
    # str is one that is not declared; with so few entries none can be chosen to collide for long.
    value: object = msgpack.unpackb(
        data,
        timestamp=0,
        strict_map_key=False,
        max_array_len=_MAX_ENTRIES,
        max_map_len=_MAX_ENTRIES,
        list_hook=count,
        object_hook=count,
    )
    return value


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME_CHARS


def _envelope_fault(frame: dict[object, Any]) -> str:
    """What is wrong with the envelope: its first bad field."""
    for name in ("eventType", "eventId", "sessionId"):
        value = frame.get(name)
        if name == "sessionId" and isinstance(value, str):
            continue
        if not _is_name(value):
            allowed = f"a str of 1 to {_MAX_NAME_CHARS} characters"
            break
    else:
        name, value, allowed = "payload", frame.get("payload"), "a map"
    state = "missing" if value is None else shown(value)
    return f"{name} is {state}; it must be {allowed}"


def _unknown(event_type: str | None, vocabulary: Vocabulary) -> str:
    """Why a type is not accepted; names the type to use if there is one."""
    name = shown(event_type)
    if event_type in SENT[vocabulary]:
        return f"event type {name} is sent by the server only"
    for other in VOCABULARIES:
        event = ACCEPTED[other].get(event_type or "")
        here = event.name(vocabulary) if event else None
        if here is not None:
            return f"event type {name} is {shown(here)} in this connection's vocabulary"
    return f"unknown event type {name} in the vocabulary {vocabulary}"


def _client_message(
    key: str, request: Request, values: dict[str, Any], vocabulary: Vocabulary
) -> ClientMessage:
    """The message of a checked payload; `key` is the registry's."""
    match key:
        case "input_chunk":
            return InputChunk(request, values["audio"], values.get("isMuted", False))
        case "input_start":
            return StartInput(request, _options(values, vocabulary))
        case "input_end":
            return EndInput(request)
        case "interrupt":
            return Interrupt(request)
        case "end_call":
            return EndCall(request)
        case "mute" | "unmute":
            return Mute(request, key == "mute")
        case "played":
            return Played(request, values["utteranceId"], values["playedMs"])
        case "heartbeat":
            return Heartbeat(request)
        case _:
            return Goodbye(request)


def _options(values: dict[str, Any], vocabulary: Vocabulary) -> InputOptions:
    return InputOptions(
        sampling_rate_hz=values.get("samplingRate", 16_000),
        language=values.get("language", "en-US"),
        voice_id=values.get("voiceId"),
        turn_detection=values.get(
            "turnDetection", "manual" if vocabulary == "voicechat" else "auto"
        ),
        tokens=values.get("tokens", False),
        prospect=Prospect(**values.get("prospect", {})),
        latency=values.get("latency", False),
    )


# ---------------------------------------------------------------- server → client


def encode(
    message: ServerMessage, *, vocabulary: Vocabulary, session_id: str, new_id: Callable[[], str]
) -> bytes | None:
    """One frame for the client; None if the vocabulary does not have this event.

    Args:
        session_id: the connection's.
        new_id: makes the event id of a message that answers nothing (UUIDv7).

    Raises:
        ValueError: an `Ack` without its request's type.
    """
    match message:
        case OutputChunk():
            name = "audio.output.chunk" if vocabulary == "unified" else "voicechat.response.chunk"
            payload = {
                "audio": message.audio,
                "utteranceId": message.utterance_id,
                "sampleRate": message.sample_rate_hz,
            }
            return pack(name, new_id(), session_id, payload)
        case Ack(request):
            if request.event_type is None:
                raise ValueError("an Ack needs the type of its request")
            event_id = request.event_id or new_id()
            return pack(request.event_type, event_id, session_id, {"success": True})
        case ErrorReply(request, case, text):
            name = error_name(case, vocabulary, request.event_type)
            event_id = request.event_id or new_id()
            return pack(name, event_id, session_id, {"message": text}, (request.event_type,))
        case _:
            key, payload = server_payload(message, vocabulary)
            event_name = BY_KEY[key].name(vocabulary)
            if event_name is None:
                return None
            asked = message.request.event_id if isinstance(message, TranscriptOut) else None
            # These two are rows of the error table, which have the field in any case.
            refusal = (None,) if isinstance(message, Busy | RateLimitWarning) else ()
            return pack(event_name, asked or new_id(), session_id, payload, refusal)


def error_name(case: ErrorCase, vocabulary: Vocabulary, request_type: str | None) -> str:
    """The event type that reports an error row.

    Where the older vocabulary names errors after the request, one without a request is
    `error.unknown`.
    """
    name = ERROR_ROWS[case].name(vocabulary)
    if name != LAST_PART:
        return name
    if request_type is None:
        return "error.unknown"
    area, dot, _ = request_type.rpartition(".")
    return f"{area}{dot}error"


def pack(
    event_type: str,
    event_id: str,
    session_id: str,
    payload: dict[str, Any],
    request_type: tuple[str | None, ...] = (),
) -> bytes:
    """The frame of an envelope; `request_type` holds the field's value if it has that field."""
    frame: dict[str, Any] = {
        "eventType": event_type,
        "eventId": event_id,
        "sessionId": session_id,
        "payload": payload,
    }
    if request_type:
        frame["requestType"] = request_type[0]
    packed: bytes = _PACKER.pack(frame)
    return packed
