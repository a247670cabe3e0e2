"""How much of a sound is another one that was played before it: lag and coherence. Pure.

Both sounds are 8 kHz, and a quarter of a second of the first is looked at (`WINDOW` samples): in
less, two voices agree by chance; more is late to know that a second voice has joined.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vantum.core.sounding import RATE_HZ

Floats: TypeAlias = NDArray[np.float32]

WINDOW: Final = 2048
#: The telephone's band.
_LOW_HZ, _HIGH_HZ = 250, 3400
#: Neighbouring frequencies that are judged together: 35 Hz, so what comes 28 ms behind the first
#: sound still belongs to it.
_TOGETHER: Final = 9
#: Of the strength of each frequency so much is taken away before the lag is looked for.
_WHITENING: Final = np.float32(0.8)
_TINY: Final = np.float32(1e-6)
#: A best lag has others beside it that agree nearly as well, as far as the loudspeaker rings; and
#: of silence none is clear.
_NEIGHBOURS: Final = 40
_FAINT: Final = 1e-3
#: 6 dB below the loudest, as energy.
_LOUD: Final = 0.25


def _shape() -> Floats:
    """A window that rises slowly and falls fast: what came last counts."""
    at, rising = np.arange(WINDOW), WINDOW * 5 // 8
    up = np.minimum((at + 1) / rising, 1.0)
    down = np.minimum((WINDOW - at) / (WINDOW - rising), 1.0)
    return np.asarray((np.sin(np.pi / 2 * up) * np.sin(np.pi / 2 * down)) ** 2, np.float32)


#: What weights the window's samples.
SHAPE: Final = _shape()
_BAND: Final = slice(_LOW_HZ * WINDOW // RATE_HZ, _HIGH_HZ * WINDOW // RATE_HZ)


def coherence(heard: Floats, ours: Floats) -> float:
    """The share of the energy of `heard` that is a linear echo of `ours`, 0..1.

    The magnitude-squared coherence over the telephone's band, weighted with the energy (Carter,
    "Coherence and time delay estimation", 1987). Both are `WINDOW` samples and aligned; the share
    falls with a misalignment of more than some milliseconds. Of unrelated sounds it is 0.15.
    """
    x, y = (np.fft.rfft(samples * SHAPE)[_BAND] for samples in (heard, ours))
    cross = _together(x * y.conj())
    ours_power = _together(y.real**2 + y.imag**2)
    echoed = np.sum((cross.real**2 + cross.imag**2) / (ours_power + _TINY))
    return float(echoed / (np.sum(_together(x.real**2 + x.imag**2)) + _TINY))


def shares(heard: Floats, ours: Floats) -> tuple[float, float]:
    """As `coherence`, of a sound that is longer than `WINDOW`: of all of it; and the least in any
    window that is no more than 6 dB fainter than its loudest."""
    starts = range(0, len(heard) - WINDOW + 1, WINDOW // 2)
    parts = [slice(start, start + WINDOW) for start in starts]
    energies = np.array([np.sum((heard[part] * SHAPE) ** 2) for part in parts])
    found = np.array([coherence(heard[part], ours[part]) for part in parts])
    least = found[energies >= energies.max() * _LOUD].min()
    return float(energies @ found / (energies.sum() + _TINY)), float(least)


def _together(values: NDArray[np.inexact]) -> NDArray[np.inexact]:
    return np.convolve(values, np.ones(_TOGETHER, values.dtype), "valid")


def best_lag(heard: Floats, ours: Floats) -> int:
    """By how many samples the end of `heard` lies behind the end of its like in `ours`.

    0..len(ours) - WINDOW: where the generalised cross-correlation is largest, each frequency
    weighted with little more than its phase (Knapp and Carter, "The generalized correlation method
    for estimation of time delay", 1976). `heard` is `WINDOW` samples, `ours` as many or more. If
    its like is faint beside the rest of `ours`, another place may be found in its stead.
    """
    places = _agreement(heard * SHAPE, ours)
    return len(places) - 1 - int(np.argmax(places))


def clear_lag(heard: Floats, ours: Floats) -> tuple[int, float]:
    """The lag as `best_lag` has it, but of a sound of any length, and how clear it is: how many
    times larger the agreement is there than at all lags but its neighbours, 1 or more."""
    places = _agreement(heard, ours)
    at = int(np.argmax(places))
    best = float(places[at])
    places[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS + 1] = 0
    return len(places) - 1 - at, (best + _FAINT) / (float(places.max()) + _FAINT)


def _agreement(heard: Floats, ours: Floats) -> Floats:
    """How much `heard` is like `ours` wherever it may lie in it, from its beginning on."""
    count = len(ours) - len(heard) + 1
    size = -(-len(ours) // 512) * 512  # quick to transform; only lags that are not asked for wrap
    x, y = np.fft.rfft(heard, size), np.fft.rfft(ours, size)
    band = slice(_LOW_HZ * size // RATE_HZ, _HIGH_HZ * size // RATE_HZ)
    cross = x[band].conj() * y[band]
    weighted = np.zeros(len(x), cross.dtype)
    weighted[band] = cross / (np.abs(cross) ** _WHITENING + _TINY)
    return np.abs(np.fft.irfft(weighted, size)[:count])
