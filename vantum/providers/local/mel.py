"""Whisper's log-mel features of eight seconds of audio, in numpy. Pure.

What a model that grew from Whisper's encoder was trained on: 25 ms windows (periodic Hann) every
10 ms, 80 triangular filters on Slaney's mel scale from 0 to 8 kHz, each of unit area; the decimal
logarithm, cut off 8 below its maximum, as (x + 4) / 4 (Radford et al. 2022, "Robust Speech
Recognition via Large-Scale Weak Supervision", and its `audio.py`). Before all that the waveform is
brought to mean 0 and variance 1, which transformers' feature extractor calls `do_normalize`.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RATE_HZ: Final = 16_000
#: Samples that go in, and features that come out.
WINDOW_SAMPLES: Final = 8 * RATE_HZ
MELS: Final = 80
FRAMES: Final = 800

_FFT_SAMPLES = 400
_HOP_SAMPLES = 160
_FLOOR = 1e-10
_VARIANCE_FLOOR = 1e-7
_RANGE = 8.0

# Slaney 1998, "Auditory Toolbox": linear below 1 kHz, 27 steps for each factor of 6.4 above it.
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_MELS_PER_E = 27 / math.log(6.4)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The features of exactly `WINDOW_SAMPLES` samples: (`MELS`, `FRAMES`), about -1 .. 2.

    ValueError if there are more or fewer.
    """
    if samples.shape != (WINDOW_SAMPLES,):
        raise ValueError(f"{WINDOW_SAMPLES} samples are needed, not {samples.shape}")
    normal = (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(_VARIANCE_FLOOR))
    padded = np.pad(normal, _FFT_SAMPLES // 2, mode="reflect")
    windows = sliding_window_view(padded, _FFT_SAMPLES)[::_HOP_SAMPLES][:FRAMES]
    spectrum = np.fft.rfft(windows * _hann(), axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    logs = np.log10(np.maximum(power @ _filters(), np.float32(_FLOOR))).T
    features: NDArray[np.float32] = (np.maximum(logs, logs.max() - _RANGE) + 4) / 4
    return np.ascontiguousarray(features, dtype=np.float32)


@cache
def _hann() -> NDArray[np.float32]:
    angle = 2 * np.pi * np.arange(_FFT_SAMPLES) / _FFT_SAMPLES
    return (0.5 - 0.5 * np.cos(angle)).astype(np.float32)


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp(np.maximum(mels - _BREAK_MEL, 0) / _MELS_PER_E)
    return np.where(mels < _BREAK_MEL, mels * _HZ_PER_MEL, above)


@cache
def _filters() -> NDArray[np.float32]:
    """A column for each filter, a row for each of the spectrum's 201 frequencies."""
    highest_mel = _BREAK_MEL + _MELS_PER_E * math.log(RATE_HZ / 2 / _BREAK_HZ)
    corners_hz = _hz(np.linspace(0, highest_mel, MELS + 2))
    low, peak, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    bins_hz = np.linspace(0, RATE_HZ / 2, _FFT_SAMPLES // 2 + 1)[:, None]
    rising, falling = (bins_hz - low) / (peak - low), (high - bins_hz) / (high - peak)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (high - low)).astype(np.float32)
