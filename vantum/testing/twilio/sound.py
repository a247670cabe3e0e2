"""Audio as a telephone line carries it: mu-law at 8 kHz, one byte every 125 µs. Pure.

Sources: ITU-T Q.23 (the frequencies of keys), ITU-T G.711 (mu-law).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vantum.core.audio import dbfs, from_float, mulaw_decode, mulaw_encode, to_int16
from vantum.core.resampling import Resampler
from vantum.testing.calls.voice import RATE_HZ as VOICE_HZ
from vantum.testing.calls.voice import Sound, recording

RATE_HZ: Final = 8_000
BYTE_S: Final = 1 / RATE_HZ
#: What Twilio sends at a time.
FRAME_S: Final = 0.02
FRAME_BYTES: Final = 160

SILENCE: Final = b"\xff"
#: 20 ms of a quiet room, at -54 dBFS: not digital silence.
ROOM: Final = mulaw_encode(b"\x40\x00\xc0\xff" * 80)

_KEYS: Final = "123A456B789C*0#D"
_LOW_HZ: Final = (697, 770, 852, 941)
_HIGH_HZ: Final = (1209, 1336, 1477, 1633)
#: Of a frame that holds a voice; the room is far below it.
_VOICE_PEAK: Final = 400


def phone_audio(sound: Sound) -> bytes:
    """A sound as it leaves a telephone: mu-law in whole frames of 20 ms."""
    return _to_mulaw(sound.pcm, VOICE_HZ)


def recorded(source: Path | str | bytes) -> bytes:
    """A WAV file (or its bytes) as it leaves a telephone. See `voice.recording` for errors."""
    return phone_audio(recording(source))


@lru_cache(maxsize=64)
def _to_mulaw(pcm: bytes, rate_hz: int) -> bytes:
    resampler = Resampler(rate_hz, RATE_HZ)
    mulaw = mulaw_encode(resampler.feed(pcm) + resampler.finish())
    return mulaw + SILENCE * (-len(mulaw) % FRAME_BYTES)


def _wave(seconds: float, *hz: float, level: float = 0.2) -> bytes:
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = sum((np.sin(2 * np.pi * one * at) for one in hz), np.zeros(len(at)))
    return mulaw_encode(from_float(wave * level))


@lru_cache(maxsize=8)
def beep(seconds: float = 0.5, hz: float = 1000.0) -> bytes:
    """The tone of an answering machine."""
    return _wave(seconds, hz, level=0.4)


@lru_cache(maxsize=64)
def key_tones(digits: str) -> bytes:
    """Keys as tones of 100 ms with as much silence behind each; `w`: half a second of silence, `W`:
    a whole one."""
    parts = []
    for digit in digits:
        if digit in "wW":
            parts.append(SILENCE * (RATE_HZ if digit == "W" else RATE_HZ // 2))
            continue
        place = _KEYS.index(digit.upper())
        tone = _wave(0.1, _LOW_HZ[place // 4], _HIGH_HZ[place % 4])
        parts.append(tone + SILENCE * (RATE_HZ // 10))
    return b"".join(parts)


def is_voice(mulaw: bytes) -> bool:
    """Whether somebody can be heard in it: a frame of the room or of silence is none."""
    if not mulaw or mulaw == ROOM or not mulaw.strip(SILENCE):
        return False
    return bool(np.abs(to_int16(mulaw_decode(mulaw)).astype(np.int32)).max() > _VOICE_PEAK)


def speech_dbfs(pcm: bytes) -> float:
    """The level of what is spoken in it: of its frames of 20 ms that hold a voice, as a whole.

    -100 if there is none.
    """
    samples = to_int16(pcm)
    whole = len(samples) // FRAME_BYTES * FRAME_BYTES
    frames = samples[:whole].reshape(-1, FRAME_BYTES)
    loud = frames[np.abs(frames.astype(np.int32)).max(axis=1) > _VOICE_PEAK] if whole else frames
    return dbfs(loud.tobytes())


def stereo_wav(left: NDArray[np.int16], right: NDArray[np.int16]) -> bytes:
    """A 16-bit WAV file at 8 kHz of two sides of the same length."""
    both = np.stack([left, right], axis=1).astype("<i2").tobytes()
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(both), b"WAVE", b"fmt ", 16, 1),
        *(2, RATE_HZ, RATE_HZ * 4, 4, 16, b"data", len(both)),
    )
    return header + both
