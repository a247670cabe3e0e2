"""Our own audio by the moment at which it sounds."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from vantum.core.audio import AudioFormat, from_int16, mulaw_decode, mulaw_encode, to_int16
from vantum.core.sounding import RATE_HZ, Sounding

LINE = AudioFormat(RATE_HZ)
NOISE = np.random.default_rng(1).integers(-9000, 9000, RATE_HZ).astype(np.int16)
#: As it is kept.
KEPT = to_int16(mulaw_decode(mulaw_encode(from_int16(NOISE)))).astype(np.float32)


def wanted(reach_s: float = 2.0) -> Sounding:
    return Sounding(reach_s, is_wanted=True)


@given(
    cuts=st.lists(st.integers(1, RATE_HZ - 1), max_size=12),
    at_s=st.floats(0, 1e5),
    ahead=st.integers(0, 3000),
    count=st.integers(1, 3000),
)
def test_it_lies_where_it_sounds_however_it_was_cut(
    cuts: list[int], at_s: float, ahead: int, count: int
) -> None:
    ours, borders = wanted(), [0, *sorted(cuts), RATE_HZ]
    for first, last in pairwise(borders):
        ours.add(from_int16(NOISE[first:last]), LINE, at_s + first / RATE_HZ, at_s)
    begin = round(at_s * RATE_HZ)
    end = begin + RATE_HZ + ahead
    found = ours.until(end, count)
    expected = np.concatenate([KEPT, np.zeros(ahead, np.float32)])[-count:]
    assert np.array_equal(found, expected)
    assert not ours.until(begin, 500).any()


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 24_000, 44_100, 48_000])
def test_any_rate_lies_at_the_same_place(rate_hz: int) -> None:
    at = np.arange(rate_hz) / rate_hz
    tone = (8000 * np.sin(2 * np.pi * 440 * at) * np.exp(-(((at - 0.5) / 0.1) ** 2))).astype("<i2")
    ours, line = wanted(), AudioFormat(rate_hz)
    step = rate_hz // 10
    for first in range(0, rate_hz, step):
        ours.add(tone[first : first + step].tobytes(), line, 3 + first / rate_hz, 3.0)
    at = np.arange(RATE_HZ) / RATE_HZ
    expected = 8000 * np.sin(2 * np.pi * 440 * at) * np.exp(-(((at - 0.5) / 0.1) ** 2))
    found = ours.until(4 * RATE_HZ, RATE_HZ)
    assert np.abs(found - expected)[:-200].max() < 500


def test_what_comes_after_a_gap_lies_behind_it() -> None:
    ours = wanted()
    ours.add(from_int16(NOISE[:800]), LINE, 1.0, 1.0)
    ours.add(from_int16(NOISE[800:1600]), LINE, 1.3, 1.2)
    assert np.array_equal(ours.until(round(1.1 * RATE_HZ), 800), KEPT[:800])
    assert not ours.until(round(1.3 * RATE_HZ), 1600).any()
    assert np.array_equal(ours.until(round(1.4 * RATE_HZ), 800), KEPT[800:1600])


def test_what_was_cut_does_not_sound() -> None:
    ours = wanted()
    for first in range(0, 3200, 800):
        ours.add(from_int16(NOISE[first : first + 800]), LINE, 1 + first / RATE_HZ, 1.0)
    ours.cut(1.15)
    found = ours.until(round(1.4 * RATE_HZ), 3200)
    assert np.array_equal(found[:1200], KEPT[:1200])
    assert not found[1200:].any()
    ours.cut(0.5)
    assert not ours.sounds(1.2)


def test_it_sounds_from_its_beginning_until_its_echo_is_over() -> None:
    ours = wanted(reach_s=1.5)
    assert not ours.sounds(0.0)
    ours.add(from_int16(NOISE[:800]), LINE, 1.0, 0.9)
    assert not ours.sounds(0.95)
    assert ours.sounds(1.05)
    assert ours.sounds(2.5)
    assert ours.sounds(1.5, 0.5)
    assert not ours.sounds(1.7, 0.5)
    assert not ours.sounds(2.7)


def test_no_more_is_kept_than_can_be_asked_for() -> None:
    ours = wanted(reach_s=0.5)
    for n in range(100):
        ours.add(from_int16(NOISE[:800]), LINE, n / 10, n / 10)
    assert sum(len(piece.audio) for piece in ours._new) <= 0.7 * RATE_HZ
    assert ours.until(round(9.9 * RATE_HZ), RATE_HZ).any()
    assert not ours._new
    assert sum(len(codes) for _, codes in ours._pieces) <= 0.7 * RATE_HZ


@given(asked=st.sets(st.integers(0, 19)), rate_hz=st.sampled_from([8_000, 16_000, 24_000]))
def test_it_is_the_same_whenever_it_was_asked_for(asked: set[int], rate_hz: int) -> None:
    line, step = AudioFormat(rate_hz), rate_hz // 50
    pcm = np.random.default_rng(2).integers(-9000, 9000, 20 * step).astype("<i2").tobytes()
    late, often = wanted(), wanted()
    for number in range(20):
        for ours in (late, often):
            piece = pcm[2 * step * number : 2 * step * (number + 1)]
            ours.add(piece, line, 1 + number / 50, 1 + number / 50)
        if number in asked:
            often.until(round(2 * RATE_HZ), 100)
    end = round(1.4 * RATE_HZ)
    assert late.until(end, 3200).any()
    assert np.array_equal(late.until(end, 3200), often.until(end, 3200))


@pytest.mark.parametrize("is_asked", [True, False])
@pytest.mark.parametrize("cut_s", [0.9, 1.0, 1.03, 1.06, 1.1, 1.25, 2.0])
def test_a_cut_is_the_same_whether_it_was_asked_for_before(cut_s: float, is_asked: bool) -> None:
    ours, goes_on_s = wanted(), max(cut_s, 1.2)
    for first in range(0, 1600, 400):
        at_s = 1 + first / RATE_HZ
        ours.add(from_int16(NOISE[first : first + 400]), LINE, at_s, 1.0)
        if is_asked and first == 800:
            ours.until(RATE_HZ, 100)
    ours.cut(cut_s)
    kept = round(min(max(cut_s - 1, 0), 0.2) * RATE_HZ)
    assert ours.sounds(1.9) == (kept > 0)
    ours.add(from_int16(NOISE[4000:4800]), LINE, goes_on_s, 1.0)
    end = round(goes_on_s * RATE_HZ)
    found = ours.until(end + 800, 800 + end - RATE_HZ)
    assert np.array_equal(found[:kept], KEPT[:kept])
    assert not found[kept:-800].any()
    assert np.array_equal(found[-800:], KEPT[4000:4800])


def test_mu_law_is_kept_as_it_comes() -> None:
    piece, line = mulaw_encode(from_int16(NOISE)), AudioFormat(RATE_HZ, "mulaw")
    heard = wanted()
    heard.add(piece, line, 1.0, 1.0)
    assert heard._new[0].audio is piece
    assert np.array_equal(heard.until(2 * RATE_HZ, RATE_HZ), KEPT)


def test_a_piece_may_be_too_short_for_a_sample() -> None:
    ours = wanted()
    for sample in range(600):
        ours.add(b"\0\x20", AudioFormat(48_000), 1 + sample / 48_000, 1.0)
        ours.until(2 * RATE_HZ, 100)
    assert ours.until(round(1.008 * RATE_HZ), 30).min() > 7000


def test_nothing_is_kept_for_nobody() -> None:
    ours = Sounding(2.0)
    ours.add(from_int16(NOISE), LINE, 1.0, 1.0)
    assert not ours.sounds(1.5)
    ours.is_wanted = True
    ours.add(b"", LINE, 1.0, 1.0)
    assert not ours.sounds(1.5)
