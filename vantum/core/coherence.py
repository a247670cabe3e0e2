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


def _together(values: NDArray[np.inexact]) -> NDArray[np.inexact]:
    return np.convolve(values, np.ones(_TOGETHER, values.dtype), "valid")


def best_lag(heard: Floats, ours: Floats) -> int:
    """By how many samples the end of `heard` lies behind the end of its like in `ours`.

    0..len(ours) - WINDOW: where the generalised cross-correlation is largest, each frequency
    weighted with little more than its phase (Knapp and Carter, "The generalized correlation method
    for estimation of time delay", 1976). `heard` is `WINDOW` samples, `ours` as many or more.
    """
    lags = len(ours) - WINDOW
    size = -(-len(ours) // 512) * 512  # quick to transform; only lags that are not asked for wrap
    x, y = np.fft.rfft(heard * SHAPE, size), np.fft.rfft(ours, size)
    band = slice(_LOW_HZ * size // RATE_HZ, _HIGH_HZ * size // RATE_HZ)
    cross = x[band].conj() * y[band]
    weighted = np.zeros(len(x), cross.dtype)
    weighted[band] = cross / (np.abs(cross) ** _WHITENING + _TINY)
    # By how many samples `heard` lies behind the beginning of `ours`.
    places = np.fft.irfft(weighted, size)[: lags + 1]
    return lags - int(np.argmax(np.abs(places)))


def halved(heard: Floats) -> Floats:
    """16 kHz audio of 2 * `WINDOW` samples as 8 kHz: all of it that the band needs."""
    spectrum = np.fft.rfft(heard)[: WINDOW // 2 + 1]
    return np.asarray(np.fft.irfft(spectrum) / 2, np.float32)
