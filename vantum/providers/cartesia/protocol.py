"""Cartesia's text-to-speech WebSocket, bytes only: what is sent, what comes back, what errors mean.

Pure. Facts from Cartesia's documentation ("Text to Speech (WebSocket)", "Contexts", "Context
flushing and flush IDs", "Buffering", "API errors", "API conventions") and from the types of its
official Python package 4.2, which speaks API version 2026-08-14:

- `GET /tts/websocket?cartesia_version=…`, key in `Authorization: Bearer …` (a query parameter
  would end up in proxies' logs).
- Text frames of JSON both ways. Inputs of one context share everything but `transcript`,
  `continue` and `flush`; transcripts are joined verbatim, so spaces between them are ours to send.
- An empty input with `flush` ends the current transcript submission: its audio and timestamps
  carry `flush_id` (from 1, counted per context) and `flush_done` follows the last of them.
- `output_format`: raw audio as pcm_s16le, pcm_f32le, pcm_mulaw or pcm_alaw at 8000, 16000, 22050,
  24000, 44100 or 48000 Hz. "Choosing TTS parameters" advises one format all along the way, and for
  Twilio pcm_mulaw at 8000.
- `max_buffer_delay_ms: 0`: generate at once; the pieces that come here are whole sentences.
- A context with nothing to say expires 1 s after its last audio; sockets close after 5 min idle.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

from attrs import frozen

from vantum.config import Secret
from vantum.core.audio import AudioFormat, Encoding
from vantum.errors import ConfigError, ErrorKind, ProviderError

NAME = "cartesia"

#: What is asked for where the line carries more than a telephone's.
_WIDE = AudioFormat(16_000)
#: A telephone's rate.
_NARROW_HZ = 8_000
_ENCODINGS: dict[Encoding, str] = {"pcm": "pcm_s16le", "mulaw": "pcm_mulaw"}

#: A context may get no further input this long after it fell silent. Cartesia's limit is 1 s; the
#: difference is for the network.
CONTEXT_REST_S = 0.7

#: No time in an answer is beyond it; nor is what is no number.
_MOST_S = 1e6

_DEFAULT_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_SAFE_CODE = re.compile(r"[a-z0-9_.-]{1,64}", re.IGNORECASE)


class MalformedMessage(ValueError):
    """A message that is not what the protocol says; names the fault, never the content."""


# ---------------------------------------------------------------- connecting


@frozen
class Target:
    """Where the WebSocket is. `host_header` names the port only where it is not the default."""

    host: str
    port: int
    tls: bool
    resource: str

    @property
    def host_header(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def target(base_url: str, version: str) -> Target:
    """The WebSocket's address under `base_url` (http, https, ws or wss; a path is kept).

    Raises:
        ConfigError: `base_url` is not such an address.
    """
    allowed = "allowed: http, https, ws or wss with a host"
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"CARTESIA_BASE_URL is not an address; {allowed}") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ConfigError(f"CARTESIA_BASE_URL has scheme {parts.scheme!r}; {allowed}")
    return Target(
        host=parts.hostname,
        port=port or _DEFAULT_PORTS[parts.scheme],
        tls=parts.scheme in ("wss", "https"),
        resource=parts.path.rstrip("/")
        + "/tts/websocket?"
        + urlencode({"cartesia_version": version}),
    )


def auth_headers(api_key: Secret) -> list[tuple[bytes, bytes]]:
    """The handshake's headers with the key: the one place where it is revealed."""
    return [(b"Authorization", b"Bearer " + api_key.reveal().encode())]


# ---------------------------------------------------------------- sending


@frozen
class Voicing:
    """How a context speaks: the same for all its inputs. `language` is ISO 639 ("en")."""

    model: str
    voice_id: str
    language: str
    audio: AudioFormat


def audio_for(line: AudioFormat) -> AudioFormat:
    """The audio to ask for: a telephone's as it goes out; 16 kHz PCM for all that carries more.

    More than 16 kHz would be there to be heard on a client's line of 48 kHz, but three times as
    much of it would wait in memory.
    """
    return AudioFormat(_NARROW_HZ, line.encoding) if line.rate_hz <= _NARROW_HZ else _WIDE


def language_code(language: str) -> str:
    """Cartesia's language for a BCP 47 one: "en-US" → "en"."""
    return re.split(r"[-_]", language.strip(), maxsplit=1)[0].lower() or "en"


def speak(context_id: str, voicing: Voicing, text: str) -> str:
    """An input of a context: a piece of text, spoken after what the context got before."""
    return _input(context_id, voicing, text.strip() + " ", more=True)


def flush(context_id: str, voicing: Voicing) -> str:
    """Ends the submission before it, which then is answered with `flush_done`."""
    return _input(context_id, voicing, "", more=True, flush=True)


def finish(context_id: str, voicing: Voicing) -> str:
    """No further input will come for this context."""
    return _input(context_id, voicing, "", more=False)


def cancel(context_id: str) -> str:
    """Stop generating for a context."""
    return json.dumps({"context_id": context_id, "cancel": True})


def speakable(text: str) -> bool:
    """Whether there is anything to pronounce: Cartesia refuses transcripts of mere punctuation."""
    return any(character.isalnum() for character in text)


def _input(
    context_id: str, voicing: Voicing, transcript: str, *, more: bool, flush: bool = False
) -> str:
    message: dict[str, Any] = {
        "context_id": context_id,
        "model_id": voicing.model,
        "transcript": transcript,
        "voice": {"mode": "id", "id": voicing.voice_id},
        "language": voicing.language,
        "output_format": {
            "container": "raw",
            "encoding": _ENCODINGS[voicing.audio.encoding],
            "sample_rate": voicing.audio.rate_hz,
        },
        "add_timestamps": True,
        "max_buffer_delay_ms": 0,
        "continue": more,
    }
    if flush:
        message["flush"] = True
    return json.dumps(message)


# ---------------------------------------------------------------- receiving


@frozen
class Chunk:
    """Audio of a context in the format asked for, possibly with half a sample at its end."""

    context_id: str
    audio: bytes
    flush_id: int | None = None


@frozen
class Words:
    """Word timestamps: (text, start, end) in seconds since the context's first sample."""

    context_id: str
    words: tuple[tuple[str, float, float], ...]
    flush_id: int | None = None


@frozen
class FlushDone:
    """Everything of the transcript submission `flush_id` has been sent."""

    context_id: str
    flush_id: int


@frozen
class Done:
    """The context is over."""

    context_id: str


@frozen
class Failure:
    """An error, of one context or (`context_id` None) of the connection."""

    context_id: str | None
    status: int | None
    code: str | None


@frozen
class Unknown:
    """A message of a type that this client does not use (the API may add some), or timestamps that
    cannot be read: an answer can do without them, but not without its audio."""

    type: str


Reply: TypeAlias = Chunk | Words | FlushDone | Done | Failure | Unknown


def parse(message: str | bytes) -> Reply:
    """Read one message.

    Raises:
        MalformedMessage: not JSON, not an object, or a field is missing or of a wrong type; but for
            timestamps.
    """
    try:
        raw = json.loads(message)
    except (ValueError, RecursionError):
        raise MalformedMessage("not JSON") from None
    if not isinstance(raw, dict):
        raise MalformedMessage("not an object")
    match raw.get("type"):
        case "chunk":
            return Chunk(_context_id(raw), _audio(raw), _flush_id(raw))
        case "timestamps":
            try:
                return Words(_context_id(raw), _words(raw), _flush_id(raw))
            except MalformedMessage:
                return Unknown("timestamps")
        case "flush_done":
            flush_id = _flush_id(raw)
            if flush_id is None:
                raise MalformedMessage("flush_done without flush_id")
            return FlushDone(_context_id(raw), flush_id)
        case "done":
            return Done(_context_id(raw))
        case "error":
            context_id, status = raw.get("context_id"), raw.get("status_code")
            code = raw.get("error_code")
            return Failure(
                context_id if isinstance(context_id, str) and context_id else None,
                status if isinstance(status, int) else None,
                code if isinstance(code, str) else None,
            )
        case str(other):
            return Unknown(other)
        case _:
            raise MalformedMessage("no type")


def _context_id(raw: dict[str, Any]) -> str:
    # It comes with each of the hundred messages that may wait: all of them share one.
    return sys.intern(_text(raw, "context_id"))


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise MalformedMessage(f"{name} is not a string")
    return value


def _flush_id(raw: dict[str, Any]) -> int | None:
    value = raw.get("flush_id")
    if value is not None and not isinstance(value, int):
        raise MalformedMessage("flush_id is not a number")
    return value


def _audio(raw: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(_text(raw, "data"), validate=True)
    except (binascii.Error, ValueError):
        raise MalformedMessage("data is not base64") from None


def _words(raw: dict[str, Any]) -> tuple[tuple[str, float, float], ...]:
    stamps = raw.get("word_timestamps")
    if stamps is None:
        return ()
    if not isinstance(stamps, dict):
        raise MalformedMessage("word_timestamps is not an object")
    lists = [stamps.get(name) for name in ("words", "start", "end")]
    if not all(isinstance(one, list) for one in lists):
        raise MalformedMessage("word_timestamps has no lists")
    try:
        words = tuple(
            (str(text), float(start), float(end)) for text, start, end in zip(*lists, strict=True)
        )
    except (TypeError, ValueError, OverflowError):
        raise MalformedMessage("word_timestamps do not match") from None
    if not all(abs(start) <= _MOST_S and abs(end) <= _MOST_S for _, start, end in words):
        raise MalformedMessage("word_timestamps do not match: no times")
    return words


# ---------------------------------------------------------------- errors


def error_kind(status: int | None, code: str | None = None) -> ErrorKind:
    """The class of an HTTP status or of an error event's `status_code` and `error_code`."""
    if code is not None and ("quota" in code or "credit" in code):
        return "quota"
    match status:
        case 401 | 403:
            return "auth"
        case 402:
            return "quota"
        case 429:
            return "rate_limit"
        case 408 | 504:
            return "timeout"
        case int() if 400 <= status < 500:
            return "invalid_request"
        case int() if status >= 500:
            return "server"
        case _:
            return "unknown"


def refused(status: int, retry_after_s: float | None = None) -> ProviderError:
    """The handshake was answered with an HTTP status instead of a WebSocket, and perhaps with a
    `Retry-After`."""
    kind = error_kind(status)
    hint = {
        "auth": "; check CARTESIA_API_KEY",
        "quota": "; the account has no credit left",
        "rate_limit": "; too many connections for the account",
    }.get(kind, "")
    message = f"the connection was refused with {status}{hint}"
    return ProviderError(NAME, kind, message, status=status, retry_after_s=retry_after_s)


def failed(failure: Failure) -> ProviderError:
    """The exception for an error event: its status and code, not its text."""
    code = failure.code if failure.code and _SAFE_CODE.fullmatch(failure.code) else None
    said = ", ".join(str(one) for one in (failure.status, code) if one is not None)
    return ProviderError(
        NAME,
        error_kind(failure.status, failure.code),
        f"synthesis failed ({said or 'no code'})",
        status=failure.status,
    )
