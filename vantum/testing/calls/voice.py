"""What a simulated caller can make heard: speech, synthetic or recorded, coughs and noise. Pure.

A `Sound` is 16 kHz PCM in whole frames of 20 ms, with the words that are in it and where.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from vantum.core.audio import from_int16, read_wav, to_int16
from vantum.core.resampling import Resampler

RATE_HZ: Final = 16_000
FRAME_S: Final = 0.02
FRAME_SAMPLES: Final = 320

#: 20 ms of a quiet room, at -63 dBFS: not digital silence.
ROOM: Final = b"\x18\x00\xe8\xff" * (FRAME_SAMPLES // 2)

#: A word takes so long if nothing else is said: three and a bit words a second.
WORD_S: Final = 0.3
_FORMANTS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (530, 1840, 2480))

Kind: TypeAlias = Literal["speech", "backchannel", "cough", "noise"]


@frozen
class SaidWord:
    """A word and the frames in which it is said, from the sound's first one."""

    text: str
    first: int
    end: int


@frozen
class Sound:
    """Something to be heard. `text` is for the log."""

    pcm: bytes
    words: tuple[SaidWord, ...] = ()
    text: str = ""
    kind: Kind = "speech"

    @property
    def frames(self) -> int:
        """How many frames of 20 ms it lasts."""
        return len(self.pcm) // (2 * FRAME_SAMPLES)


def _frames(seconds: float) -> int:
    return max(1, round(seconds / FRAME_S))


def _place(text: str, first: int, end: int) -> tuple[SaidWord, ...]:
    """The words one after the other, each as long as it has letters."""
    words = text.split()
    if not words:
        return ()
    lengths = np.cumsum([0, *(2 + len(word) for word in words)])
    borders = np.round(first + lengths * (end - first) / lengths[-1]).astype(int).tolist()
    return tuple(SaidWord(w, borders[n], borders[n + 1]) for n, w in enumerate(words))


# ---------------------------------------------------------------- speech


def speech(text: str, seconds: float | None = None, *, kind: Kind = "speech") -> Sound:
    """Words in a synthetic voice, without pauses.

    `seconds`: how long; None: 0.3 s a word. ValueError if there is no word, or no time for one.
    """
    count = len(text.split())
    if not count:
        raise ValueError("nothing to say: say at least one word, or make a noise")
    frames = _frames(count * WORD_S if seconds is None else seconds)
    if frames < count:
        raise ValueError(f"{count} words cannot be said in {seconds} s: a word takes 20 ms or more")
    words = _place(text, 0, frames)
    pcm = b"".join(_spoken(word.text, word.end - word.first) for word in words)
    return Sound(pcm, words, text, kind)


@lru_cache(maxsize=512)
def _spoken(word: str, frames: int) -> bytes:
    """A buzz through two vowels that follow from the word: loud in every frame."""
    mark = zlib.crc32(word.encode("utf-8", "surrogatepass"))
    samples = frames * FRAME_SAMPLES
    pitch_hz = 105 + mark % 40 + 12 * np.sin(np.linspace(0, np.pi, samples))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    first, second = (np.array(_FORMANTS[(mark >> shift) % 4]) for shift in (8, 12))
    glide = np.linspace(0, 1, samples)[:, None]
    formants = first * (1 - glide) + second * glide
    wave = np.zeros(samples)
    for harmonic in range(1, 28):
        hz = (harmonic * pitch_hz)[:, None]
        gain = (1 / (1 + ((hz - formants) / 110) ** 2) * np.array([1.0, 0.6, 0.3])).sum(axis=1)
        wave += (gain + 0.02) * np.sin(harmonic * phase)
    return _pcm(wave, dbfs=-20.0)


def recording(source: Path | str | bytes, text: str = "") -> Sound:
    """A recorded voice: a WAV file or its bytes, any rate.

    Args:
        source: path or contents.
        text: what is said in it, for the simulated recogniser; spread evenly over its loud part.

    Raises:
        ValueError: not a WAV file that can be read.
        OSError: no such file.
    """
    wav = read_wav(source if isinstance(source, bytes) else Path(source).read_bytes())
    pcm = wav.pcm
    if wav.sample_rate_hz != RATE_HZ:
        resampler = Resampler(wav.sample_rate_hz, RATE_HZ)
        pcm = resampler.feed(pcm) + resampler.finish()
    frames = max(1, len(pcm) // (2 * FRAME_SAMPLES))
    pcm = pcm[: frames * 2 * FRAME_SAMPLES].ljust(frames * 2 * FRAME_SAMPLES, b"\0")
    levels = np.abs(to_int16(pcm).reshape(frames, FRAME_SAMPLES).astype(np.int32)).mean(axis=1)
    loud = np.flatnonzero(levels > levels.max() / 10)
    first, end = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, frames)
    return Sound(pcm, _place(text, first, end), text or "(a recording)")


# ---------------------------------------------------------------- what is no speech


def cough(seed: int = 0, seconds: float = 0.35) -> Sound:
    """A burst of noise that dies away."""
    frames = _frames(seconds)
    rng = np.random.default_rng(seed)
    samples = frames * FRAME_SAMPLES
    wave = rng.standard_normal(samples) * np.exp(-np.linspace(0, 3, samples))
    return Sound(_pcm(wave, dbfs=-16.0), text="(a cough)", kind="cough")


def noise(seconds: float, dbfs: float = -40.0, seed: int = 0) -> Sound:
    """Steady noise. At -30 dBFS and above the loudness ear takes it for a voice."""
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal(_frames(seconds) * FRAME_SAMPLES)
    return Sound(_pcm(wave, dbfs=dbfs), text=f"(noise, {dbfs:g} dBFS)", kind="noise")


def _pcm(wave: NDArray[np.float64], *, dbfs: float) -> bytes:
    level = float(np.sqrt(np.mean(wave**2))) or 1.0
    scaled = np.clip(wave * (32_768 * 10 ** (dbfs / 20) / level), -32_767, 32_767)
    return from_int16(np.rint(scaled).astype(np.int16))
