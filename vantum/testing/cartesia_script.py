"""What a simulated Cartesia is told to do, what it saw, and how it sounds. Values only."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from attrs import frozen

from vantum.core.audio import mulaw_encode, to_float32
from vantum.core.wording import words_of


@frozen
class Refusal:
    """A handshake that is answered with a status, and with a `Retry-After` if that is not empty."""

    status: int
    retry_after: str = ""


#: What may go wrong with a connection: the WebSocket is not opened.
ConnectFault: TypeAlias = Literal["refuse", "silent", 400, 401, 402, 403, 429, 500, 503] | Refusal

#: What may go wrong with a context. Those marked * come after `Fault.after_chunks` audio chunks.
FaultKind: TypeAlias = Literal[
    "error",  # * then an error event with `status` and `code`: the context is over
    "hang",  # no audio at all, and no end
    "stall",  # * then nothing more, the context stays open
    "disconnect",  # * then the connection is gone
    "malformed",  # * then a message that is not JSON
    "drip",  # tiny chunks, slower than they play
    "done_early",  # * then `done`, in mid-piece
]


@frozen
class Fault:
    """What goes wrong with one context."""

    kind: FaultKind
    after_chunks: int = 2
    status: int = 500
    code: str | None = "internal_error"


@frozen
class CartesiaScript:
    """How the simulated Cartesia behaves. By default without any latency, for benchmarks.

    Args:
        first_audio_s: from a piece's text to its first audio.
        rate: how many times faster than it plays audio is generated; 0: at once.
        chunk_s: length of an audio chunk.
        timestamps: before or after their audio; "restart": each flush starts again from 0.
        stamp: gives each word's timestamp (text, start and end in seconds) another form, or None
            for a word that gets none; by default it is right.
        connect_faults: for the connections in order, None for a good one; then all are good.
        faults: for the contexts in order, None for a healthy one; after them all are healthy.
        api_key: the only key that is let in; None: any, even none.
        expiry_s: a context without further input ends so long after its last audio.
        idle_close_s: a connection without any message is closed after this.
        concurrency: the account's limit of contexts at once, and a tenth of that of connections;
            one more is answered with 429. 0: none.
    """

    first_audio_s: float = 0.0
    rate: float = 0.0
    chunk_s: float = 0.1
    timestamps: Literal["before", "after", "restart"] = "before"
    stamp: Callable[[str, float, float], tuple[str, float, float] | None] | None = None
    connect_faults: tuple[ConnectFault | None, ...] = ()
    faults: tuple[Fault | None, ...] = ()
    api_key: str | None = None
    expiry_s: float = 1.0
    idle_close_s: float = 300.0
    concurrency: int = 0


#: About as the real one: 90 ms to the first audio, then four times faster than it plays.
LIFELIKE = CartesiaScript(first_audio_s=0.09, rate=4.0)


@frozen
class Handshake:
    """A connection attempt that sent a request. Header names are lower-case."""

    path: str
    headers: Mapping[str, str]


@frozen
class Received:
    """A message as it came, on the connection of this number (from 0)."""

    connection: int
    message: Mapping[str, Any]


# ---------------------------------------------------------------- the voice

#: A word is a tone of its own pitch; between words there is silence of this length.
GAP_S = 0.06
_AMPLITUDE = 6000


@frozen
class SpokenWord:
    """A word and where its tone is, in samples since the text's first one."""

    text: str
    start: int
    end: int


@frozen
class Speech:
    """A text's audio (16-bit mono PCM) and words."""

    pcm: bytes
    words: tuple[SpokenWord, ...]


def word_samples(word: str, rate_hz: int) -> int:
    """How long a word is: the same word is always the same length."""
    return int(rate_hz * min(0.9, 0.12 + 0.04 * len(word)))


@lru_cache(maxsize=1024)
def _tone(word: str, rate_hz: int) -> bytes:
    samples = word_samples(word, rate_hz)
    pitch_hz = 180 + zlib.crc32(word.encode("utf-8", "surrogatepass")) % 600
    wave = _AMPLITUDE * np.sin(2 * np.pi * pitch_hz / rate_hz * np.arange(samples))
    ramp = min(samples // 2, rate_hz // 200)
    wave[:ramp] *= np.linspace(0, 1, ramp)
    wave[samples - ramp :] *= np.linspace(1, 0, ramp)
    tone: bytes = wave.astype("<i2").tobytes()
    return tone + bytes(2 * int(GAP_S * rate_hz))


@lru_cache(maxsize=32)
def speech(text: str, rate_hz: int) -> Speech:
    """What the simulated voice makes of a text: one tone and one gap for each word, or character
    where no spaces are written."""
    at, words, tones = 0, [], []
    for word in words_of(text):
        tone = _tone(word, rate_hz)
        words.append(SpokenWord(word, at, at + word_samples(word, rate_hz)))
        tones.append(tone)
        at += len(tone) // 2
    return Speech(b"".join(tones), tuple(words))


def word_timestamps(
    script: CartesiaScript, words: Sequence[SpokenWord], begins: int, rate_hz: int
) -> dict[str, list[Any]]:
    """What is told of these words, whose text begins at sample `begins` of its context."""
    timed = [(w.text, (begins + w.start) / rate_hz, (begins + w.end) / rate_hz) for w in words]
    if script.stamp is not None:
        timed = [stamp for w in timed if (stamp := script.stamp(*w)) is not None]
    return {name: [w[n] for w in timed] for n, name in enumerate(("words", "start", "end"))}


@lru_cache(maxsize=32)
def encoded_chunks(text: str, rate_hz: int, encoding: str, samples: int) -> tuple[str, ...]:
    """The speech of a text in base64, `samples` in each chunk. `encoding`: of samples."""
    pcm = speech(text, rate_hz).pcm
    match encoding:
        case "pcm_mulaw":
            data, sample_bytes = mulaw_encode(pcm), 1
        case "pcm_f32le":
            data, sample_bytes = to_float32(pcm).astype("<f4").tobytes(), 4
        case _:
            data, sample_bytes = pcm, 2
    step = samples * sample_bytes
    return tuple(
        base64.b64encode(data[at : at + step]).decode() for at in range(0, len(data), step)
    )
