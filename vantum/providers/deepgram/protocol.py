"""Deepgram's live protocol (`GET /v1/listen`, upgraded to a WebSocket), without any I/O.

We send audio as binary messages (raw linear16 at 16 kHz, or mu-law at 8 kHz as a telephone has it;
mono) and three control messages as text:
`KeepAlive`, `Finalize`, `CloseStream`. Deepgram sends JSON text: `Results`, `SpeechStarted`,
`UtteranceEnd`, `Metadata`, `Error`. All its times are seconds since the connection's first sample.

What its documentation says and this package leans on:

- A connection without audio or KeepAlive for 10 s is closed with 1011 `NET-0001`, and KeepAlive
  alone does not save one on which no audio was ever sent (STT troubleshooting).
- 1011 `NET-0002` is said to mean that audio was missing for too long, KeepAlive or not (no page).
- Audio is taken at 1.25 times its own speed at most: what is replayed is recognised late (docs/
  recovering-from-connection-errors…).
- An empty binary message ends the stream: never send one (STT troubleshooting).
- `Finalize` is answered by a `Results` with `from_finalize`, but by nothing if no significant
  audio is buffered (docs/finalize).
- Raw audio is named by `encoding` and `sample_rate`, mulaw among them (by its package's types; that
  a telephone's at 8000 is taken as it comes was not tried with an account).
- `UtteranceEnd` needs `interim_results` and at least 1000 ms (docs/utterance-end); a
  `last_word_end` of -1 means that there is nothing to end.
- Every connection's times begin at zero again (docs/recovering-from-connection-errors…).

Sources: developers.deepgram.com/reference/speech-to-text/listen-streaming, the pages named above,
and deepgram-sdk 7, `deepgram/listen/v1`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias
from urllib.parse import urlencode, urlsplit

from attrs import frozen

from vantum.config import DeepgramSettings
from vantum.core.audio import AudioFormat, Encoding
from vantum.core.backoff import RATE_LIMITED, UNAVAILABLE, Schedule
from vantum.errors import ErrorKind, ProviderError
from vantum.ports import STT_RATE_HZ

NAME: Final = "deepgram"

KEEP_ALIVE: Final = '{"type": "KeepAlive"}'
FINALIZE: Final = '{"type": "Finalize"}'
CLOSE_STREAM: Final = '{"type": "CloseStream"}'

_ENCODINGS: Final[Mapping[Encoding, str]] = {"pcm": "linear16", "mulaw": "mulaw"}

# ---------------------------------------------------------------- opening


@frozen
class Address:
    """Where to connect: a TCP endpoint, whether TLS is spoken there, and what to ask for."""

    host: str
    port: int
    secure: bool
    resource: str

    @property
    def host_header(self) -> str:
        """The `Host` header: with the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def audio_for(settings: DeepgramSettings, line: AudioFormat) -> AudioFormat:
    """What a session is sent: a telephone's mu-law as it comes, if the settings say so, else PCM of
    the server's own rate."""
    as_it_comes = line.encoding == "mulaw" and settings.phone_encoding == "mulaw"
    return line if as_it_comes else AudioFormat(STT_RATE_HZ)


def address(settings: DeepgramSettings, language: str, audio: AudioFormat) -> Address:
    """The endpoint and the query for one session.

    Args:
        settings: `base_url` may be http, https, ws or wss, with or without a path before
            `/v1/listen`.
        language: BCP 47.
        audio: what it will be sent.

    Raises:
        ValueError: `base_url` has no host, or another scheme.
    """
    parts = urlsplit(settings.base_url)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ValueError(
            f"DEEPGRAM_BASE_URL must be http(s)://host or ws(s)://host, not {settings.base_url!r}"
        )
    secure = parts.scheme in ("https", "wss")
    port = parts.port or (443 if secure else 80)
    query = urlencode(
        {
            "model": settings.model,
            "language": language,
            "encoding": _ENCODINGS[audio.encoding],
            "sample_rate": audio.rate_hz,
            "channels": 1,
            "smart_format": "true",
            "interim_results": "true",
            "vad_events": "true",
            "endpointing": settings.endpointing_ms or "false",
            "utterance_end_ms": settings.utterance_end_ms,
        }
    )
    path = parts.path.rstrip("/").removesuffix("/v1/listen")
    return Address(parts.hostname, port, secure, f"{path}/v1/listen?{query}")


def headers(settings: DeepgramSettings) -> list[tuple[bytes, bytes]]:
    """The handshake's own headers."""
    return [(b"Authorization", b"Token " + settings.api_key.reveal().encode())]


# ---------------------------------------------------------------- what Deepgram says


@frozen
class ResultWord:
    """A recognised word, with punctuation if `smart_format` gave it; seconds of the connection."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@frozen
class Results:
    """A transcript of `start_s` … `start_s + duration_s`. Empty text: nobody spoke there."""

    start_s: float
    duration_s: float
    text: str
    confidence: float
    words: tuple[ResultWord, ...]
    is_final: bool
    speech_final: bool
    from_finalize: bool

    @property
    def end_s(self) -> float:
        """Where the stretch ends."""
        return self.start_s + self.duration_s


@frozen
class VoiceStarted:
    """`SpeechStarted`: voice activity begins."""

    at_s: float


@frozen
class UtteranceEnd:
    """The gap after the last word has reached `utterance_end_ms`. -1: no word to end."""

    last_word_end_s: float


@frozen
class Metadata:
    """The summary that follows `CloseStream`."""

    request_id: str
    duration_s: float


@frozen
class PeerError:
    """An `Error` message: Deepgram did not understand something; the connection goes on."""

    variant: str


@frozen
class Ignored:
    """A message that says nothing to us: of an unknown type, or not of its type's form."""

    why: str


Message: TypeAlias = Results | VoiceStarted | UtteranceEnd | Metadata | PeerError | Ignored


class _Malformed(Exception):
    """A field is missing or of a wrong type."""


#: No time in a call, nor anything else that is said of one, is beyond it.
_MOST: Final = 1e9


def _number(source: Mapping[str, object], key: str, default: float | None = None) -> float:
    value = source.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
        raise _Malformed(f"{key} is not a number")
    return float(value)


def _text(source: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = source.get(key, default)
    if not isinstance(value, str):
        raise _Malformed(f"{key} is not a string")
    return value


def _map(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _Malformed(f"{what} is not an object")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _Malformed(f"{what} is not a list")
    return value


def _confidence(source: Mapping[str, object], default: float) -> float:
    try:
        return _number(source, "confidence", default)
    except _Malformed:
        return default


def _words(value: object) -> tuple[ResultWord, ...]:
    """With their times; none if one of them has no times. The transcript is there all the same."""
    try:
        return tuple(_word(word) for word in _list(value, "words"))
    except _Malformed:
        return ()


def _word(value: object) -> ResultWord:
    word = _map(value, "word")
    return ResultWord(
        text=_text(word, "punctuated_word", _text(word, "word", "")),
        start_s=_number(word, "start"),
        end_s=_number(word, "end"),
        confidence=_confidence(word, 1.0),
    )


def _results(body: Mapping[str, object]) -> Results:
    alternatives = _list(_map(body.get("channel"), "channel").get("alternatives"), "alternatives")
    best = _map(alternatives[0], "alternative") if alternatives else {}
    return Results(
        start_s=_number(body, "start"),
        duration_s=_number(body, "duration"),
        text=_text(best, "transcript", "").strip(),
        confidence=_confidence(best, 0.0),
        words=_words(best.get("words")),
        is_final=body.get("is_final") is True,
        speech_final=body.get("speech_final") is True,
        from_finalize=body.get("from_finalize") is True,
    )


def parse(message: str | bytes) -> Message:
    """Read one WebSocket message. Never raises: what cannot be read is `Ignored`."""
    try:
        body = _map(json.loads(message), "message")
        match body.get("type"):
            case "Results":
                return _results(body)
            case "SpeechStarted":
                return VoiceStarted(_number(body, "timestamp"))
            case "UtteranceEnd":
                return UtteranceEnd(_number(body, "last_word_end"))
            case "Metadata":
                return Metadata(_text(body, "request_id", ""), _number(body, "duration", 0.0))
            case "Error":
                return PeerError(_text(body, "variant", "unknown"))
            case _:
                return Ignored("unknown type")
    except _Malformed as error:
        return Ignored(str(error))
    except (ValueError, RecursionError):
        return Ignored("not JSON")


# ---------------------------------------------------------------- failures

_STATUS: Final[Mapping[int, tuple[ErrorKind, str]]] = {
    400: ("invalid_request", "the request was refused; check model and language"),
    401: ("auth", "the API key was refused; check DEEPGRAM_API_KEY"),
    402: ("quota", "the project has no credit left"),
    403: ("auth", "the API key may not use this model or feature"),
    404: ("server", "there is no /v1/listen at this address; check DEEPGRAM_BASE_URL"),
    408: ("timeout", "the handshake took too long"),
    429: ("rate_limit", "too many connections at the same time"),
    503: ("server", "the service is unavailable"),
    504: ("timeout", "the service did not answer in time"),
}


def status_error(status: int, retry_after_s: float | None = None) -> ProviderError:
    """The failure behind an HTTP status other than 101, and what its `Retry-After` asks for.

    400, 401, 402 and 403 are final; everything else may pass.
    """
    kind, text = _STATUS.get(
        status, ("server" if status >= 500 else "unknown", "unexpected answer")
    )
    text = f"{text} (HTTP {status})"
    return ProviderError(NAME, kind, text, status=status, retry_after_s=retry_after_s)


def close_error(code: int, reason: str | None) -> ProviderError:
    """The failure behind a WebSocket close. Only undecodable audio (`DATA-0000`) is final."""
    reason = reason or ""
    kind: ErrorKind
    # The reason is prose around the code in some versions; only the code travels on.
    if code == 1008 and "DATA-0000" in reason.upper():
        kind, text = "invalid_request", "the audio could not be decoded, DATA-0000"
    elif code == 1011 and ("NET-0001" in reason.upper() or "net0001" in reason):
        kind, text = "timeout", "it received neither audio nor KeepAlive in time, NET-0001"
    elif code == 1011 and ("NET-0000" in reason.upper() or "net0000" in reason):
        kind, text = "server", "it had no transcript in time, NET-0000"
    elif code == 1011 and ("NET-0002" in reason.upper() or "net0002" in reason):
        kind, text = "timeout", "it received no audio in time, NET-0002"
    elif code in (1005, 1006):
        kind, text = "network", "the connection broke"
    elif code == 1008:
        kind, text = "unknown", "the connection was closed for a policy"
    else:
        kind, text = "server", "the connection was closed"
    return ProviderError(NAME, kind, f"{text} (close code {code})", status=code)


def schedule_after(error: ProviderError, usual: Schedule) -> Schedule:
    """Which retry schedule follows `error`: 429 and 503 have their own."""
    return {429: RATE_LIMITED, 503: UNAVAILABLE}.get(error.status or 0, usual)
