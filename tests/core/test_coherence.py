"""Lag and share of one sound in another."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from tests.echoes import OURS, THEIRS, room
from vantum.core.coherence import WINDOW, Floats, best_lag, clear_lag, coherence, shares


@given(lag=st.integers(0, 8000), at=st.integers(14_000, 40_000), gain=st.floats(0.02, 2.0))
@settings(max_examples=40)
def test_the_lag_of_an_echo_is_found_to_the_sample(lag: int, at: int, gain: float) -> None:
    heard = (OURS[at - lag - WINDOW : at - lag] * np.float32(gain)).astype(np.float32)
    span = OURS[at - WINDOW - 8000 : at]
    found = best_lag(heard, span)
    assert 0 <= found <= 8000
    loudest = np.convolve(span**2, np.ones(WINDOW, np.float32), "valid").max()
    if np.sum(heard**2) > gain**2 * loudest / 2:  # a faint end of a word is like many a loud one
        assert found == lag
        assert coherence(heard, OURS[at - lag - WINDOW : at - lag]) > 0.95


@given(at=st.integers(WINDOW, 30_000), other=st.integers(WINDOW, 30_000))
@settings(max_examples=60)
def test_a_share_is_a_share(at: int, other: int) -> None:
    share = coherence(THEIRS[at - WINDOW : at], OURS[other - WINDOW : other])
    assert 0 <= share <= 1.0001


def share_of_each(heard: Floats, ours: Floats, lag: int) -> list[float]:
    ends = range(WINDOW + lag, min(len(heard), len(ours)), 700)
    return [
        coherence(heard[end - WINDOW : end], ours[end - lag - WINDOW : end - lag]) for end in ends
    ]


def test_an_echo_is_ours_for_the_most_part_and_another_voice_is_not() -> None:
    echo = share_of_each(room(OURS, lag=900), OURS, 900)
    assert np.median(echo) > 0.6
    assert np.median(share_of_each(THEIRS, OURS, 0)) < 0.25


def test_of_silence_nothing_is_anybodys() -> None:
    silence = np.zeros(WINDOW, np.float32)
    assert coherence(silence, OURS[:WINDOW]) == 0
    assert coherence(OURS[:WINDOW], silence) < 0.01
    assert 0 <= best_lag(silence, OURS[: 2 * WINDOW]) <= WINDOW


NOISE = np.random.default_rng(2).standard_normal(8000).astype(np.float32) * 8


@given(lag=st.integers(0, 8000), at=st.integers(18_000, 36_000), gain_db=st.floats(-40, -20))
@settings(max_examples=25)
def test_in_a_second_of_a_faint_echo_one_lag_stands_out(lag: int, at: int, gain_db: float) -> None:
    ours = OURS[at - lag - 8000 : at - lag]
    heard = ours * np.float32(10 ** (gain_db / 20)) + NOISE
    found, clearness = clear_lag(heard, OURS[at - 16_000 : at])
    assert clearness >= 1
    if np.abs(heard).max() > 100:  # it is louder than the noise
        assert found == lag
        assert clearness > 2.3
        assert 0.35 < shares(heard, ours)[0] <= 1.0001


@given(at=st.integers(8000, 40_000), other=st.integers(16_000, 44_000))
@settings(max_examples=25)
def test_in_a_second_of_another_voice_none_does(at: int, other: int) -> None:
    heard = THEIRS[at - 8000 : at]
    lag, clearness = clear_lag(heard, OURS[other - 16_000 : other])
    assert 0 <= lag <= 8000
    ours = OURS[other - lag - 8000 : other - lag]
    assert clearness < 2.3 or shares(heard, ours)[0] < 0.35


def test_a_second_of_silence_is_nobodys() -> None:
    silence = np.zeros(8000, np.float32)
    assert clear_lag(silence, OURS[:16_000])[1] == 1
    assert shares(silence, OURS[:8000]) == (0, 0)


def test_the_least_share_is_that_of_what_is_not_ours() -> None:
    ours = OURS[8000:16_000]
    heard = room(OURS, lag=0, rings_s=0.2)[8000:16_000].copy()
    assert min(shares(heard, ours)) > 0.6
    word = THEIRS[20_000:22_500]
    heard[3000:5500] = word * np.float32(np.abs(heard).max() / np.abs(word).max())
    whole, least = shares(heard, ours)
    assert least < 0.3 < whole
