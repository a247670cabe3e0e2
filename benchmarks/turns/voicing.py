"""Where a voice is voiced: the vocal folds swing, and it is no breath, hiss or hum any more. Pure.

A recording's first sound is often a breath, or the "s" of "six", which lasts as long as a word. The
goal for interruptions counts from the first voiced frame. It is found in the recording itself,
before noise is added, by how periodic it is (Boersma 1993 judges by the same correlation).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.recordings import RATE_HZ
from benchmarks.turns.items import Samples, levels_db

#: Voices have their pitch here.
_PITCH_HZ: Final = (70, 400)
#: Below this a room hums, and a microphone on a desk shakes.
_CUT_HZ: Final = 100
#: So alike two neighbouring periods are, in so many frames of 10 ms in a row.
_ALIKE: Final = 0.6
_FRAMES: Final = 3
#: So far below the loud frames of a recording nothing of it counts: as in `items.voiced`.
_BELOW_DB: Final = 33.0
_WINDOW: Final = RATE_HZ * 32 // 1000


def first_voiced_s(samples: Samples, start_s: float, end_s: float) -> float:
    """The first voiced frame between the two; where there is none, the first sound."""
    cut = _without_hum(samples)
    levels = levels_db(cut)
    threshold_db = np.percentile(levels, 95) - _BELOW_DB
    row = 0
    for frame in range(round(start_s * 100), min(round(end_s * 100), len(levels))):
        is_voiced = levels[frame] > threshold_db and _alike(cut, frame * RATE_HZ // 100) >= _ALIKE
        row = row + 1 if is_voiced else 0
        if row == _FRAMES:
            return (frame - _FRAMES + 1) / 100
    return start_s


def _without_hum(samples: Samples) -> Samples:
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    gain = np.clip((hz - 0.8 * _CUT_HZ) / (0.4 * _CUT_HZ), 0, 1)
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples)).astype(np.float32)


def _alike(samples: Samples, at: int) -> float:
    """The best correlation of what begins here with what follows a period later, 0..1."""
    first, last = RATE_HZ // _PITCH_HZ[1], RATE_HZ // _PITCH_HZ[0]
    all_of_it = samples[at : at + _WINDOW + last].astype(np.float64)
    here = all_of_it[:_WINDOW]
    if len(all_of_it) < _WINDOW + last:
        return 0.0
    products = np.correlate(all_of_it, here, "valid")[first:]
    energy = np.concatenate([[0.0], np.cumsum(all_of_it**2)])
    energies = (energy[_WINDOW:] - energy[: last + 1])[first:]
    return float((products / np.sqrt((here @ here) * energies + 1e-9)).max())
