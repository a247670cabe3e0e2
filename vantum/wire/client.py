"""The client protocol's codec, the client's side: for the replay client, simulations and tests.

What a server needs is in `vantum.wire.native`; this is its mirror.
"""

from __future__ import annotations

from typing import Any, Final, assert_never

from attrs import frozen

from vantum.core.events import (
    Ack,
    Busy,
    ClientMessage,
    Disconnecting,
    EndCall,
    EndInput,
    ErrorCase,
    ErrorReply,
    Goodbye,
    Heartbeat,
    InputChunk,
    InputOptions,
    Interrupt,
    Interrupted,
    LatencyMeasured,
    Maintenance,
    Mute,
    OutputCancelled,
    OutputChunk,
    OutputCompleted,
    OutputStarted,
    Played,
    QuotaExceeded,
    RateLimitWarning,
    Ready,
    Request,
    ResponseCompleted,
    ResponseStarted,
    ResponseToken,
    ServerMessage,
    StageChanged,
    StartInput,
    StateChanged,
    TranscriptOut,
    Welcome,
)
from vantum.wire.fields import DEFAULT_MAX_CHARS, ProtocolError, Vocabulary, read_fields, shown
from vantum.wire.native import pack, read_frame
from vantum.wire.registry import ACCEPTED, BY_KEY, ERRORS, LAST_PART, SENT, VOCABULARIES

__all__ = ["Envelope", "decode_server", "encode_client"]

#: The reason that the conversation gives when the user cut in.
_USER: Final = "user_interrupt"


@frozen
class Envelope:
    """A server's message.

    Attributes:
        payload: as it came, undeclared fields included.
        request_type: the request's type on errors; None on other messages and where there was none.
        message: the value; None for an event that this version does not know.
    """

    event_type: str
    event_id: str
    session_id: str
    payload: dict[Any, Any]
    request_type: str | None
    message: ServerMessage | None


# ---------------------------------------------------------------- client → server


def encode_client(message: ClientMessage, *, vocabulary: Vocabulary, session_id: str) -> bytes:
    """One frame for the server. `message.request` must hold the event id; its type is set here.

    Raises:
        ValueError: no event id, or the vocabulary does not have this event.
    """
    key, payload = _client_payload(message)
    name = BY_KEY[key].name(vocabulary)
    if name is None:
        raise ValueError(f"the vocabulary {vocabulary} has no {key}")
    if message.request.event_id is None:
        raise ValueError("a client's message needs an event id")
    return pack(name, message.request.event_id, session_id, payload)


def _client_payload(message: ClientMessage) -> tuple[str, dict[str, Any]]:
    """The registry's key and the payload."""
    match message:
        case InputChunk(_, audio, is_muted):
            payload: dict[str, Any] = {"audio": audio}
            return "input_chunk", payload | {"isMuted": True} if is_muted else payload
        case StartInput(_, options):
            return "input_start", _options_payload(options)
        case EndInput():
            return "input_end", {}
        case Interrupt():
            return "interrupt", {}
        case EndCall():
            return "end_call", {}
        case Mute(_, muted):
            return "mute" if muted else "unmute", {}
        case Played(_, utterance_id, played_ms):
            return "played", {"utteranceId": utterance_id, "playedMs": played_ms}
        case Heartbeat():
            return "heartbeat", {}
        case Goodbye():
            return "disconnect", {}
        case _ as never:
            assert_never(never)


def _options_payload(options: InputOptions) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "samplingRate": options.sampling_rate_hz,
        "language": options.language,
        "turnDetection": options.turn_detection,
        "tokens": options.tokens,
    }
    if options.latency:
        payload["latency"] = True
    if options.voice_id is not None:
        payload["voiceId"] = options.voice_id
    who = options.prospect
    prospect = {
        "name": who.name,
        "company": who.company,
        "industry": who.industry,
        "timezone": who.timezone,
    }
    known = {name: value for name, value in prospect.items() if value is not None}
    return payload | {"prospect": known} if known else payload


# ---------------------------------------------------------------- server → client


def _error_cases(vocabulary: Vocabulary) -> dict[str, ErrorCase]:
    """Error events → the first row of the table that has this name."""
    cases: dict[str, ErrorCase] = {}
    for row in ERRORS:
        cases.setdefault(row.name(vocabulary), row.case)
    return cases


_CASES: Final = {vocabulary: _error_cases(vocabulary) for vocabulary in VOCABULARIES}
#: What a server's event carries, by vocabulary and name.
_FIELDS: Final = {
    vocabulary: {name: event.fields_in(vocabulary) for name, event in SENT[vocabulary].items()}
    for vocabulary in VOCABULARIES
}


def decode_server(data: bytes | str, vocabulary: Vocabulary) -> Envelope:
    """Read one frame of a server.

    The wire does not carry everything: several error rows share a name, and the first of them is
    given. That the user cut in is told by the reason of `audio.output.cancel`, and by the name in
    the older vocabulary, which has no reason.

    Raises:
        ProtocolError: the frame is not a message, or lacks what its event must have.
    """
    request, frame = read_frame(data)
    event_type, event_id = request.event_type or "", request.event_id or ""
    payload, asked = frame["payload"], frame.get("requestType")
    request_type = asked if isinstance(asked, str) else None
    event = SENT[vocabulary].get(event_type)
    case = _CASES[vocabulary].get(event_type)
    message: ServerMessage | None = None
    if event is not None and not (event.direction == "both" and "success" in payload):
        message = _plain_chunk(payload) if event.key == "output_chunk" else None
        if message is None:
            values = read_fields(_FIELDS[vocabulary][event_type], payload, request)
            message = _server_message(event.key, Request(None, event_id), values)
    elif event_type in ACCEPTED[vocabulary] and payload.get("success") is True:
        message = Ack(request)
    elif case is not None or event_type.endswith(LAST_PART[1:]) or event_type == "error":
        text = payload.get("message")
        if not isinstance(text, str):
            fault = f"payload.message is {shown(text)}; it must be: str"
            raise ProtocolError("malformed", fault, request)
        message = ErrorReply(Request(request_type, event_id), case or "unknown_event", text)
    return Envelope(event_type, event_id, frame["sessionId"], payload, request_type, message)


def _plain_chunk(payload: dict[Any, Any]) -> OutputChunk | None:
    """Audio as a server mostly sends it, which needs no further look; None: it is to be checked."""
    name, audio = payload.get("utteranceId"), payload.get("audio")
    rate_hz = payload.get("sampleRate")
    if type(name) is str and type(audio) is bytes and type(rate_hz) is int:
        return OutputChunk(name, audio, rate_hz) if len(name) <= DEFAULT_MAX_CHARS else None
    return None


def _server_message(key: str, request: Request, values: dict[str, Any]) -> ServerMessage | None:
    """The message of a checked payload; `key` is the registry's."""
    utterance = values.get("utteranceId", "")
    timestamp = values.get("timestamp", 0)
    match key:
        case "output_chunk":
            return OutputChunk(utterance, values["audio"], values["sampleRate"])
        case "output_start":
            return OutputStarted(utterance, timestamp, values["sampleRate"])
        case "output_complete":
            return OutputCompleted(utterance, values["durationMs"])
        case "output_interrupt" | "output_stop":
            reason = values.get("reason")
            interrupted = key == "output_interrupt" if reason is None else reason == _USER
            return OutputCancelled(utterance, timestamp, reason or "", interrupted)
        case "transcript_interim" | "transcript_final":
            return TranscriptOut(
                request,
                values["transcript"],
                key == "transcript_final",
                values["confidence"],
                timestamp,
                values["language"],
            )
        case "welcome":
            return Welcome()
        case "disconnect":
            return Disconnecting(values.get("reason", ""))
        case "heartbeat":
            return None
        case _:
            return _news(key, utterance, timestamp, values)


def _news(key: str, utterance: str, timestamp: int, values: dict[str, Any]) -> ServerMessage:
    """What is told about the conversation and the server."""
    match key:
        case "response_start":
            return ResponseStarted(utterance, timestamp)
        case "response_token":
            return ResponseToken(utterance, values["token"])
        case "response_complete":
            return ResponseCompleted(
                utterance, values["text"], values["isFallback"], values.get("tier")
            )
        case "state_changed":
            return StateChanged(values["from"], values["to"], timestamp)
        case "stage_changed":
            return StageChanged(values.get("from"), values["to"], timestamp)
        case "interrupted":
            return Interrupted(utterance, values["heardText"], timestamp)
        case "turn_latency":
            return LatencyMeasured(
                utterance,
                timestamp,
                values["turn"],
                values["outcome"],
                values["gapMs"],
                values["frameworkMs"],
                values["aheadMs"],
                values["parts"],
                values.get("heardBy"),
            )
        case "ready":
            return Ready(values["providers"])
        case "busy":
            return Busy(values["activeSessions"], values["maxSessions"])
        case "maintenance":
            return Maintenance(values["message"])
        case "rate_limit_warning":
            return RateLimitWarning(values["message"], values["limitPerSecond"])
        case _:
            return QuotaExceeded(values["service"], values["message"])
