"""Twilio Media Streams: the JSON text messages of a bidirectional stream, both ways.

From Twilio: connected, start, media, dtmf, mark, stop. To it: media, mark, clear. Audio is base64
of mu-law at 8 kHz, without a header.

Source: "Media Streams - WebSocket Messages",
https://www.twilio.com/docs/voice/media-streams/websocket-messages. By it, the numbers of the first
message and the first chunk are 1, outbound media may be of any size, is buffered and played in the
order received, and a `clear` empties that buffer and has all marks that wait in it sent back. A
mark behind which nothing waits comes back at once. Numbers (`sequenceNumber`, `media.chunk`,
`media.timestamp`) stand as text in its examples and are taken as either.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from vantum.core.events import Request
from vantum.wire.fields import ProtocolError

__all__ = [
    "RATE_HZ",
    "Connected",
    "Dtmf",
    "Mark",
    "Media",
    "Start",
    "Stop",
    "StreamMessage",
    "clear_message",
    "mark_message",
    "media_message",
    "parse_message",
]

#: Of the audio, both ways; mu-law has one byte a sample.
RATE_HZ: Final = 8_000
#: Twilio sends 20 ms at a time. So much in one message is no telephone any more.
_MAX_PAYLOAD_BYTES: Final = RATE_HZ
#: Ids and names that are longer are not Twilio's.
_MAX_TEXT_CHARS: Final = 1_000
_MAX_PARAMETERS: Final = 100
_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_DIGIT: Final = re.compile(r"[0-9A-D*#]")
#: Audio as Twilio writes it, with nothing in it that JSON would have to explain. Fifty a second and
#: call: what has this form says by itself all that is asked of it, and the rest is read as JSON.
_PLAIN_MEDIA: Final = re.compile(
    r'\{"event": ?"media", ?"sequenceNumber": ?"[0-9]{1,15}"(?:, ?"streamSid": ?"(\w{1,100})")?, ?'
    r'"media": ?\{"track": ?"inbound", ?"chunk": ?"([0-9]{1,15})", ?'
    r'"timestamp": ?"([0-9]{1,15})", ?'
    rf'"payload": ?"([A-Za-z0-9+/=]{{4,{2 * _MAX_PAYLOAD_BYTES}}})"\}}'
    r'(?:, ?"streamSid": ?"(\w{1,100})")?\}',
    re.ASCII,
)

# ---------------------------------------------------------------- what Twilio says


@frozen
class Connected:
    """The first message of a connection."""


@frozen
class Start:
    """The stream begins: which call of which account, and the `<Parameter>`s of its TwiML."""

    stream_sid: str
    account_sid: str
    call_sid: str
    parameters: Mapping[str, str] = field(hash=False)


@frozen
class Media:
    """A stretch of the caller's audio, mu-law. `chunk` counts from 1; `timestamp_ms` is since the
    stream's beginning."""

    stream_sid: str
    chunk: int
    timestamp_ms: int
    mulaw: bytes


@frozen
class Dtmf:
    """A key was pressed. `sequence`: of the message."""

    stream_sid: str
    sequence: int
    digit: str


@frozen
class Mark:
    """What was sent before our mark of this name has been played, or cleared."""

    stream_sid: str
    name: str


@frozen
class Stop:
    """The stream is over: the caller has hung up, or the call moved on."""

    stream_sid: str


StreamMessage: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop


def parse_message(data: bytes | str) -> StreamMessage | None:
    """Read one message; None: one of a kind that is of no use here (outbound media).

    Raises:
        ProtocolError: it is none of Twilio's. The text says what is wrong and what is allowed.
    """
    if isinstance(data, bytes):
        raise _malformed(None, "binary frame; Media Streams are text frames of JSON")
    if (media := _plain_media(data)) is not None:
        return media
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise _malformed(None, "not one whole JSON value") from None
    if not isinstance(body, dict):
        raise _malformed(None, "a message must be a JSON object")
    event = body.get("event")
    match event:
        case "media":
            return _media(body)
        case "connected":
            return Connected()
        case "start":
            return _start(body)
        case "dtmf":
            return _dtmf(body)
        case "mark":
            name = _text(_object(body, "mark"), "name", "mark")
            return Mark(_text(body, "streamSid", "mark"), name)
        case "stop":
            return Stop(_text(body, "streamSid", "stop"))
        case str():
            allowed = "connected, start, media, dtmf, mark and stop"
            raise ProtocolError("unknown_event", f"unknown event; there are {allowed}", Request())
        case _:
            raise _malformed(None, "event is missing or no text")


def _plain_media(text: str) -> Media | None:
    """What `_media` makes of it, if it has the plain form; else None, which says nothing."""
    found = _PLAIN_MEDIA.fullmatch(text)
    if found is None:
        return None
    before, chunk, timestamp, payload, behind = found.groups()
    if (before is None) == (behind is None):
        return None
    try:
        mulaw = binascii.a2b_base64(payload, strict_mode=True)
    except binascii.Error:
        return None
    return Media(before or behind, int(chunk), int(timestamp), mulaw)


def _media(body: dict[str, Any]) -> Media | None:
    media = _object(body, "media")
    if media.get("track", "inbound") == "outbound":
        return None
    payload = media.get("payload")
    if not isinstance(payload, str) or not payload:
        raise _malformed("media", "media.payload is missing or no text")
    if len(payload) > 2 * _MAX_PAYLOAD_BYTES:
        raise _malformed("media", "media.payload holds more than a second of audio")
    try:
        mulaw = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("media", "media.payload is not base64") from None
    return Media(
        _text(body, "streamSid", "media"),
        _number(media, "chunk", "media"),
        _number(media, "timestamp", "media"),
        mulaw,
    )


def _start(body: dict[str, Any]) -> Start:
    start = _object(body, "start")
    form = _object(start, "mediaFormat", "start")
    if (form.get("encoding"), form.get("sampleRate"), form.get("channels")) not in (
        ("audio/x-mulaw", RATE_HZ, 1),
        ("audio/x-mulaw", str(RATE_HZ), "1"),
    ):
        raise _malformed("start", "mediaFormat must be audio/x-mulaw, 8000 Hz, 1 channel")
    parameters = start.get("customParameters") or {}
    if (
        not isinstance(parameters, dict)
        or len(parameters) > _MAX_PARAMETERS
        or not all(isinstance(v, str) and len(v) <= _MAX_TEXT_CHARS for v in parameters.values())
    ):
        raise _malformed("start", "customParameters must be an object of texts")
    stream_sid = _text(start, "streamSid", "start")
    if body.get("streamSid", stream_sid) != stream_sid:
        raise _malformed("start", "streamSid and start.streamSid differ")
    return Start(
        stream_sid,
        _text(start, "accountSid", "start"),
        _text(start, "callSid", "start"),
        parameters,
    )


def _dtmf(body: dict[str, Any]) -> Dtmf:
    digit = _text(_object(body, "dtmf"), "digit", "dtmf")
    if not _DIGIT.fullmatch(digit):
        raise _malformed("dtmf", "dtmf.digit must be one of 0 to 9, A to D, * and #")
    sequence = _number(body, "sequenceNumber", "dtmf")
    return Dtmf(_text(body, "streamSid", "dtmf"), sequence, digit)


# ---------------------------------------------------------------- fields


def _malformed(event: str | None, message: str) -> ProtocolError:
    return ProtocolError("malformed", message, Request(event))


def _object(body: dict[str, Any], name: str, event: str | None = None) -> dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise _malformed(event or name, f"{name} is missing or no object")
    return value


def _text(body: dict[str, Any], name: str, event: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT_CHARS:
        raise _malformed(event, f"{name} must be a text of 1 to {_MAX_TEXT_CHARS} characters")
    return value


def _number(body: dict[str, Any], name: str, event: str) -> int:
    value = body.get(name)
    text = str(value) if type(value) is int and 0 <= value < 10**15 else value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise _malformed(event, f"{name} must be a whole number of at most 15 digits")
    return int(text)


# ---------------------------------------------------------------- what Twilio is told


def media_message(stream_sid: str, mulaw: bytes) -> str:
    """Play this behind all that was sent before."""
    payload = base64.b64encode(mulaw).decode("ascii")
    # Fifty a second and call: the encoder would look at each character of the audio.
    sid = json.dumps(stream_sid)
    return f'{{"event":"media","streamSid":{sid},"media":{{"payload":"{payload}"}}}}'


def mark_message(stream_sid: str, name: str) -> str:
    """Say so when all that was sent before has been played."""
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear_message(stream_sid: str) -> str:
    """Forget what has not been played yet; the marks among it come back at once."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})
