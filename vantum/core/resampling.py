"""Sample-rate conversion that does not care how a stream was cut into pieces.

A polyphase filter: every output sample is the sum of the input samples around its place in time,
weighted with a Kaiser-windowed sinc (Kaiser's formulas: Oppenheim and Schafer, "Discrete-Time
Signal Processing", 7.5.3; libsamplerate's own measurements are of the same kind). The weights are
whole numbers and so are the samples, and their sums stay below 2**53: float64 holds every
intermediate result exactly. The order of summation, hence the size of a block or the machine's
vector unit, cannot change a bit. docs/decisions/0002-resampling.md has the reasons and figures.

With `low` the lower of the two rates:

- passed: up to 0.43 low (3.4 kHz at 8 kHz, 6.9 kHz at 16 kHz), ±0.01 dB
- stopped: above 0.53 low, by 80 dB
- aligned: output sample n sounds when input sample n * from_hz / to_hz does
- delay: 25 samples of `low` (1.6 ms at 16 kHz, 3.2 ms at 8 kHz) and, where the ratio is one of
  small numbers, up to one period of it: never over 5 ms; `finish` gives what is held back
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import Final

import numpy as np
from attrs import define, field, frozen, setters
from numpy.typing import NDArray

from vantum.core.audio import from_int16, to_int16

#: Rates that are taken.
MIN_HZ: Final = 8_000
MAX_HZ: Final = 48_000

_STOPBAND_DB = 80.0
_MIDDLE = 0.96  # of half the lower rate: the middle of the transition band
_TRANSITION = 0.2  # of half the lower rate: its width
_WEIGHT_BITS = 24  # a weight of 1.0; with 16-bit samples the sums stay below 2**42
# Ratios of few phases (48 to 16 kHz and the like) are one matrix product per block.
_MATRIX_PHASES = 8
# A product over many groups at once: its rows overlap less, so that less is copied for it.
_WIDE_SAMPLES = 32
# Rates without a common divisor have thousands of phases; the nearest of so many is taken.
_MAX_PHASES = 2048
# Samples taken at once, and weights multiplied at once: temporaries stay within the second-level
# cache and below the size from which the allocator asks the kernel for fresh pages.
_BLOCK_SAMPLES = 2048
_BLOCK_WEIGHTS = 12_000


@frozen(eq=False)
class _Filter:
    """Weights for a ratio of `up` / `down` in lowest terms.

    `rows[p]` are the `taps` weights of an output sample that lies p / (len(rows) - 1) of an input
    sample behind the middle of its window. `matrix`, if the phases are few, gives `up` output
    samples at once from one window of its height.
    """

    up: int
    down: int
    taps: int
    rows: NDArray[np.float64]
    matrix: NDArray[np.float64] | None
    wide: NDArray[np.float64] | None
    many: int


@lru_cache(maxsize=32)  # the rates in use; a filter has at most 1 MB
def _design(from_hz: int, to_hz: int) -> _Filter:
    divisor = gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    low = min(1.0, to_hz / from_hz)  # the lower rate, in units of from_hz
    half = (_STOPBAND_DB - 7.95) / (2.285 * np.pi * _TRANSITION * low) / 2
    reach = int(half) + 1
    phases = min(up, ceil(_MAX_PHASES * low))
    place = np.arange(1 - reach, reach + 1) - np.arange(phases + 1)[:, None] / phases
    # The window is interpolated: np.i0 for each weight would take several times as long.
    grid = np.linspace(0, 1, 4097)
    kaiser = np.i0(0.1102 * (_STOPBAND_DB - 8.7) * np.sqrt(1 - grid**2))
    window = np.interp(np.abs(place) / half, grid, kaiser, right=0.0)
    ideal = np.sinc(_MIDDLE * low * place) * window
    rows = np.rint(ideal * (2.0**_WEIGHT_BITS / ideal.sum(axis=1, keepdims=True)))
    # Each row sums to exactly 1.0, so that a constant stays that constant in every phase.
    rows[np.arange(len(rows)), rows.argmax(axis=1)] += 2.0**_WEIGHT_BITS - rows.sum(axis=1)
    rows.setflags(write=False)
    if max(up, down) > _MATRIX_PHASES:
        return _Filter(up, down, 2 * reach, rows, None, None, 1)
    many = _WIDE_SAMPLES // up
    matrix, wide = (_matrix(rows, up, down, groups) for groups in (1, many))
    return _Filter(up, down, 2 * reach, rows, matrix, wide, many)


def _matrix(rows: NDArray[np.float64], up: int, down: int, groups: int) -> NDArray[np.float64]:
    taps, outputs = rows.shape[1], groups * up
    matrix = np.zeros((taps + (outputs - 1) * down // up, outputs))
    for slot in range(outputs):
        shift, phase = divmod(slot * down, up)
        matrix[shift : shift + taps, slot] = rows[phase]
    matrix.setflags(write=False)
    return matrix


def _windows(signal: NDArray[np.float64], count: int, width: int, step: int) -> NDArray[np.float64]:
    """`count` overlapping views of `signal`: numpy's own sliding_window_view costs 10 µs."""
    bytes_each = signal.itemsize
    return np.ndarray((count, width), np.float64, signal, 0, (step * bytes_each, bytes_each))


def _product(
    signal: NDArray[np.float64], count: int, matrix: NDArray[np.float64], step: int
) -> NDArray[np.float64]:
    """The windows of the matrix's height, `step` apart, times the matrix."""
    windows = _windows(signal, count, len(matrix), step)
    return (np.ascontiguousarray(windows) @ matrix).reshape(-1)


def _check_rate(_instance: object, attribute: object, value: int) -> None:
    if not MIN_HZ <= value <= MAX_HZ:
        name = getattr(attribute, "name", "")
        raise ValueError(f"{name} is {value}; {MIN_HZ} to {MAX_HZ} Hz is allowed")


@define(on_setattr=setters.NO_OP)  # the rates are checked once, not at every block
class Resampler:
    """Converts one stream from `from_hz` to `to_hz`, both 8000 to 48000 (else ValueError).

    However the stream is cut into pieces, the outputs joined are the same bytes. Of n samples it
    makes n * to_hz / from_hz, rounded. Loud signals saturate. What it keeps does not grow.

    The first use of a pair of rates in the process computes its filter (milliseconds).
    """

    from_hz: int = field(validator=_check_rate)
    to_hz: int = field(validator=_check_rate)
    _filter: _Filter = field(init=False)
    _kept: NDArray[np.float64] = field(init=False)
    # Where the window of the next output sample begins in `_kept`, in input samples times `up`.
    _at: int = field(default=0, init=False)
    _taken: int = field(default=0, init=False)
    _given: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._filter = _design(self.from_hz, self.to_hz)
        self._reset()

    def feed(self, pcm: bytes) -> bytes:
        """Convert what can be converted by now: `pcm` itself, uncopied, between equal rates.

        ValueError if half a sample is left.
        """
        if self.from_hz == self.to_hz:
            return pcm
        samples = to_int16(pcm)
        self._taken += len(samples)
        if len(samples) <= _BLOCK_SAMPLES:
            return from_int16(self._convert(samples))
        blocks = range(0, len(samples), _BLOCK_SAMPLES)
        return b"".join(
            from_int16(self._convert(samples[at : at + _BLOCK_SAMPLES])) for at in blocks
        )

    def finish(self) -> bytes:
        """The rest of the stream: what waited for later input. Afterwards a new stream begins."""
        if self.from_hz == self.to_hz:
            return b""
        ratio = self._filter
        due = (2 * self._taken * ratio.up + ratio.down) // (2 * ratio.down) - self._given
        # Silence, more than the window of the last sample's group can reach.
        tail = self._convert(np.zeros(ratio.taps + ratio.down, dtype=np.int16))
        self._reset()
        return from_int16(tail[:due])

    def _reset(self) -> None:
        # Before the first sample there was silence.
        self._kept = np.zeros(self._filter.taps // 2 - 1)
        self._at = self._taken = self._given = 0

    def _convert(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        ratio = self._filter
        signal: NDArray[np.float64] = np.concatenate((self._kept, samples), dtype=np.float64)
        windows = len(signal) - ratio.taps + 1
        count = max(0, -((self._at - windows * ratio.up) // ratio.down))
        if ratio.matrix is not None:
            count -= count % ratio.up
        sums = self._sums(signal, count)
        self._at += count * ratio.down
        passed = self._at // ratio.up
        self._at -= passed * ratio.up
        self._kept = signal[passed:].copy()
        self._given += count
        sums *= 2.0**-_WEIGHT_BITS
        np.rint(sums, out=sums)
        np.minimum(sums, 32_767, out=sums)
        np.maximum(sums, -32_768, out=sums)
        return sums.astype(np.int16)

    def _sums(self, signal: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """The next `count` output samples, in units of the weights."""
        ratio = self._filter
        if not count:
            return np.empty(0)
        if ratio.matrix is not None and ratio.wide is not None:
            # A group of `up` samples begins every `down` input samples, always at phase 0.
            wide, single = divmod(count // ratio.up, ratio.many)
            first = _product(signal, wide, ratio.wide, ratio.many * ratio.down)
            if not single:
                return first
            rest = signal[wide * ratio.many * ratio.down :]
            return np.concatenate((first, _product(rest, single, ratio.matrix, ratio.down)))
        places = self._at + ratio.down * np.arange(count)
        begins, phases = np.divmod(places, ratio.up)
        phase_count = len(ratio.rows) - 1
        rows = (2 * phases * phase_count + ratio.up) // (2 * ratio.up)  # the nearest
        windows = _windows(signal, len(signal) - ratio.taps + 1, ratio.taps, 1)
        sums = np.empty(count)
        step = _BLOCK_WEIGHTS // ratio.taps
        for at in range(0, count, step):
            part = slice(at, at + step)
            np.vecdot(windows[begins[part]], ratio.rows[rows[part]], out=sums[part])
        return sums
