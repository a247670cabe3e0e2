"""A receiver of telephone keys that knows nothing of how they were made: Goertzel's algorithm.

By ITU-T Q.24 (and the way that receivers are built): frames of 13.3 ms (105 samples at 8 kHz, the
classic choice); a frame is a key if one tone of each group is strong, far above the others of its
group, with little twist between the two, and most of the frame's energy is in the two. A key counts
when it was seen for 40 ms, and is over when it was not seen for 30 ms.
"""

from __future__ import annotations

import math

import numpy as np

from vantum.core.audio import mulaw_decode

RATE_HZ = 8_000
_FRAME = 105
_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
#: Frames of 13.3 ms.
_ON, _OFF = 3, 2


def power(samples: list[float], hz: float) -> float:
    """The squared amplitude of a sine of that frequency, by Goertzel."""
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE_HZ)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    energy = before * before + last * last - coefficient * before * last
    return 4 * energy / len(samples) ** 2


def key_of(samples: list[float]) -> str:
    """The key that a frame sounds like, or nothing."""
    total = 2 * sum(sample * sample for sample in samples) / len(samples)
    rows = [power(samples, hz) for hz in _ROWS]
    columns = [power(samples, hz) for hz in _COLUMNS]
    row, column = max(rows), max(columns)
    if min(row, column) < 10 ** (-25 / 10):  # about -25 dBm0
        return ""
    if not 10**-0.8 < column / row < 10**0.4:  # twist: -8 to +4 dB
        return ""
    others = [p for p in (*rows, *columns) if p not in (row, column)]
    if max(others) * 10 > min(row, column) or row + column < 0.7 * total:
        return ""
    return _KEYS[rows.index(row)][columns.index(column)]


def keys_in(mulaw: bytes) -> str:
    """All keys in a stretch of telephone audio, in order."""
    samples = (np.frombuffer(mulaw_decode(mulaw), "<i2") / 32768).tolist()
    found, current, on, off = "", "", 0, 0
    for at in range(0, len(samples) - _FRAME + 1, _FRAME):
        key = key_of(samples[at : at + _FRAME])
        if key and key == current:
            on, off = on + 1, 0
            if on == _ON:
                found += key
        elif key:
            current, on, off = key, 1, 0
        else:
            off += 1
            if off >= _OFF:
                current, on = "", 0
    return found
