"""Lag and share of one sound in another."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from tests.echoes import OURS, THEIRS, room
from vantum.core.coherence import WINDOW, Floats, best_lag, coherence, halved
from vantum.core.resampling import Resampler


@given(lag=st.integers(0, 8000), at=st.integers(14_000, 40_000), gain=st.floats(0.02, 2.0))
@settings(max_examples=40)
def test_the_lag_of_an_echo_is_found_to_the_sample(lag: int, at: int, gain: float) -> None:
    heard = (OURS[at - lag - WINDOW : at - lag] * np.float32(gain)).astype(np.float32)
    span = OURS[at - WINDOW - 8000 : at]
    found = best_lag(heard, span)
    assert 0 <= found <= 8000
    if np.abs(heard).max() > 100 * gain:  # of a pause nothing can be said
        assert found == lag
        assert coherence(heard, OURS[at - lag - WINDOW : at - lag]) > 0.95


@given(at=st.integers(WINDOW, 30_000), other=st.integers(WINDOW, 30_000))
@settings(max_examples=60)
def test_a_share_is_a_share(at: int, other: int) -> None:
    share = coherence(THEIRS[at - WINDOW : at], OURS[other - WINDOW : other])
    assert 0 <= share <= 1.0001


def shares(heard: Floats, ours: Floats, lag: int) -> list[float]:
    ends = range(WINDOW + lag, min(len(heard), len(ours)), 700)
    return [
        coherence(heard[end - WINDOW : end], ours[end - lag - WINDOW : end - lag]) for end in ends
    ]


def test_an_echo_is_ours_for_the_most_part_and_another_voice_is_not() -> None:
    echo = shares(room(OURS, lag=900), OURS, 900)
    assert np.median(echo) > 0.6
    assert np.median(shares(THEIRS, OURS, 0)) < 0.25


def test_of_silence_nothing_is_anybodys() -> None:
    silence = np.zeros(WINDOW, np.float32)
    assert coherence(silence, OURS[:WINDOW]) == 0
    assert coherence(OURS[:WINDOW], silence) < 0.01
    assert 0 <= best_lag(silence, OURS[: 2 * WINDOW]) <= WINDOW


def test_half_the_rate_is_the_same_sound() -> None:
    wide = Resampler(8000, 16_000)
    pcm = wide.feed(OURS[8000 : 8000 + 2 * WINDOW].astype("<i2").tobytes()) + wide.finish()
    heard = np.frombuffer(pcm, "<i2").astype(np.float32)[: 2 * WINDOW]
    narrow = halved(heard)
    assert len(narrow) == WINDOW
    middle = slice(200, WINDOW - 200)
    assert np.abs(narrow - OURS[8000 : 8000 + WINDOW])[middle].max() < 300
