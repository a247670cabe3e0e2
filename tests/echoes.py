"""Recorded voices, and what a loudspeaker, a room and a telephone make of one. 8 kHz samples."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from vantum.core.audio import mulaw_decode, mulaw_encode, read_wav, to_int16
from vantum.core.coherence import Floats
from vantum.core.resampling import Resampler

_RECORDINGS: Final = Path(__file__).parent / "recordings"
_LOUD: Final = 1600.0


def voice(*names: str) -> Floats:
    """These recordings, one after the other, at the same level."""
    found = []
    for name in names:
        wav = read_wav((_RECORDINGS / f"{name}.wav").read_bytes())
        narrow = Resampler(wav.sample_rate_hz, 8000)
        samples = to_int16(narrow.feed(wav.pcm) + narrow.finish()).astype(np.float32)
        found.append(samples * np.float32(_LOUD / np.sqrt(np.mean(samples**2))))
    return np.concatenate(found)


#: What we say, and what somebody else does.
OURS: Final = voice("austen-0870", "austen-0880", "austen-0890")
THEIRS: Final = voice("kennedy")


def room(ours: Floats, *, lag: int, gain_db: float = -12.0, rings_s: float = 0.3) -> Floats:
    """An echo: late by `lag` samples, fainter, through a small loudspeaker and a room that rings
    for so long (its reverberation time), by telephone."""
    rng = np.random.default_rng(lag)
    at = np.arange(round(8000 * rings_s)) / 8000
    tail = rng.standard_normal(len(at)) * 10 ** (-3 * at / rings_s)
    tail[:16] = 0
    response = 0.7 * tail / np.sqrt(np.sum(tail**2))
    response[0] = 1.0
    size = len(ours) + len(response)
    spectrum = np.fft.rfft(ours, size) * np.fft.rfft(response, size)
    hz = np.fft.rfftfreq(size, 1 / 8000)
    loudspeaker = 1 / np.sqrt(1 + (400 / np.maximum(hz, 1)) ** 6)
    echo = np.fft.irfft(spectrum * loudspeaker, size)[: len(ours)] * 10 ** (gain_db / 20)
    late = np.concatenate([np.zeros(lag), echo]) + rng.standard_normal(len(ours) + lag) * 8
    pcm = np.clip(late, -32_768, 32_767).astype("<i2").tobytes()
    return to_int16(mulaw_decode(mulaw_encode(pcm))).astype(np.float32)
