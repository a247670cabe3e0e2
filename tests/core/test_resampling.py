"""Sample-rate conversion."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest
import samplerate
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vantum.core import audio
from vantum.core.resampling import Resampler, _design

USUAL = [8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
rates = st.one_of(st.sampled_from(USUAL), st.integers(8000, 48_000))


def convert(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    resampler = Resampler(from_hz, to_hz)
    return resampler.feed(pcm) + resampler.finish()


def tone(hz: float, rate_hz: int, length_s: float = 0.5, peak: float = 0.9) -> bytes:
    time_s = np.arange(round(rate_hz * length_s)) / rate_hz
    return audio.from_float(peak * np.sin(2 * np.pi * hz * time_s))


def noise(count: int, seed: int = 1) -> bytes:
    return audio.from_float(np.random.default_rng(seed).uniform(-1, 1, count))


def middle(pcm: bytes) -> NDArray[np.float64]:
    samples = audio.to_float32(pcm).astype(np.float64)
    return samples[len(samples) // 10 : -len(samples) // 10]


def tone_to_rest_db(pcm: bytes, hz: float, rate_hz: int) -> float:
    """Power of the best-fitting sine against all that is not it."""
    samples = middle(pcm)
    angle = 2 * np.pi * hz * np.arange(len(samples)) / rate_hz
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, samples, rcond=None)[0]
    return float(10 * np.log10(fitted.var() / (samples - fitted).var()))


# ---------------------------------------------------------------- pieces


@settings(max_examples=80, deadline=None)
@given(
    from_hz=rates,
    to_hz=rates,
    splits=st.lists(st.one_of(st.just(0), st.just(1), st.integers(0, 700)), max_size=20),
    seed=st.integers(0, 99),
)
def test_pieces_give_the_bytes_that_the_whole_gives(
    from_hz: int, to_hz: int, splits: list[int], seed: int
) -> None:
    pcm = noise(sum(splits), seed)
    resampler = Resampler(from_hz, to_hz)
    out, at = [], 0
    for count in splits:
        out.append(resampler.feed(pcm[at : at + 2 * count]))
        at += 2 * count
    assert b"".join(out) + resampler.finish() == convert(pcm, from_hz, to_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 16_000), (16_000, 44_100), (8001, 16_000)])
def test_single_samples_give_the_bytes_that_the_whole_gives(from_hz: int, to_hz: int) -> None:
    pcm = noise(1500)
    resampler = Resampler(from_hz, to_hz)
    out = b"".join(resampler.feed(pcm[at : at + 2]) for at in range(0, len(pcm), 2))
    assert out + resampler.finish() == convert(pcm, from_hz, to_hz)


@settings(deadline=None)
@given(from_hz=rates, to_hz=rates, count=st.integers(0, 5000))
def test_the_length_is_the_ratio_s(from_hz: int, to_hz: int, count: int) -> None:
    out = audio.sample_count(convert(bytes(2 * count), from_hz, to_hz))
    assert abs(out - count * to_hz / from_hz) <= 0.5


@settings(max_examples=30, deadline=None)
@given(from_hz=rates, to_hz=rates)
def test_after_finish_a_new_stream_begins(from_hz: int, to_hz: int) -> None:
    resampler = Resampler(from_hz, to_hz)
    first = resampler.feed(noise(300)) + resampler.finish()
    assert resampler.finish() == b""
    assert resampler.feed(noise(300)) + resampler.finish() == first


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 8000), (44_100, 16_000), (8001, 47_999)])
def test_sums_are_exact_in_floats(from_hz: int, to_hz: int) -> None:
    """What makes the order of summation, and with it the pieces, irrelevant."""
    rows = _design(from_hz, to_hz).rows
    assert np.array_equal(rows, np.rint(rows))
    assert np.abs(rows).sum(axis=1).max() * 32_768 < 2**53


def test_equal_rates_cost_nothing() -> None:
    pcm = noise(320)
    resampler = Resampler(16_000, 16_000)
    assert resampler.feed(pcm) is pcm
    assert resampler.finish() == b""


@pytest.mark.parametrize("from_hz", [48_000, 44_100, 8001])
def test_what_is_kept_does_not_grow(from_hz: int) -> None:
    resampler = Resampler(from_hz, 16_000)
    kept = set()
    for _ in range(200):
        resampler.feed(bytes(2 * 441))
        kept.add(len(resampler._kept))
    assert max(kept) < 200


# ---------------------------------------------------------------- sound


def test_a_tone_survives_the_way_down_and_up() -> None:
    there = convert(tone(1000, 48_000), 48_000, 16_000)
    back = convert(there, 16_000, 48_000)
    assert tone_to_rest_db(back, 1000, 48_000) >= 85
    assert audio.dbfs(back) == pytest.approx(audio.dbfs(tone(1000, 48_000)), abs=0.02)


@pytest.mark.parametrize("hz", [9000, 12_000, 20_000])
def test_what_the_lower_rate_cannot_hold_is_gone(hz: int) -> None:
    down = convert(tone(hz, 48_000), 48_000, 16_000)
    assert 20 * np.log10(np.sqrt(np.mean(middle(down) ** 2) + 1e-12) / (0.9 / 2**0.5)) <= -75


@pytest.mark.parametrize("to_hz", USUAL)
@pytest.mark.parametrize("from_hz", USUAL)
def test_every_usual_pair_keeps_its_band(from_hz: int, to_hz: int) -> None:
    top_hz = 0.42 * min(from_hz, to_hz)
    for hz in (300, 1000, top_hz):
        out = convert(tone(hz, from_hz, 0.2), from_hz, to_hz)
        assert tone_to_rest_db(out, hz, to_hz) >= 80
        assert np.sqrt(2 * np.mean(middle(out) ** 2)) == pytest.approx(0.9, rel=0.02)


@settings(max_examples=15, deadline=None)
@given(from_hz=rates, to_hz=rates)
def test_any_pair_keeps_a_tone(from_hz: int, to_hz: int) -> None:
    assert tone_to_rest_db(convert(tone(1000, from_hz), from_hz, to_hz), 1000, to_hz) >= 75


def test_a_second_opinion() -> None:
    """libsamplerate's best converter gives the same sound, but for its filter's other corner."""
    rng = np.random.default_rng(5)
    for from_hz, to_hz in [(48_000, 16_000), (16_000, 48_000), (44_100, 16_000)]:
        time_s = np.arange(from_hz // 4) / from_hz
        chord = sum(
            0.1 * np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6))
            for hz in (120, 700, 1900, 3300, 5200, 6300)
        )
        pcm = audio.from_float(np.asarray(chord))
        ours = audio.to_float32(convert(pcm, from_hz, to_hz))
        theirs = samplerate.resample(audio.to_float32(pcm), to_hz / from_hz, "sinc_best")
        part = slice(to_hz // 20, to_hz // 5)
        assert np.abs(ours[part] - theirs[part]).max() < 3 / 32_768


@settings(max_examples=40, deadline=None)
@given(from_hz=rates, to_hz=rates)
def test_output_is_aligned_in_time_with_the_input(from_hz: int, to_hz: int) -> None:
    at_s = 0.02
    time_s = np.arange(round(from_hz * 0.05)) / from_hz
    bump = audio.from_float(0.5 * np.exp(-(((time_s - at_s) / 0.001) ** 2)))
    out = audio.to_float32(convert(bump, from_hz, to_hz)).astype(np.float64)
    centre_s = float(np.sum(out * np.arange(len(out))) / np.sum(out)) / to_hz
    assert centre_s == pytest.approx(at_s, abs=2e-5)


@settings(max_examples=40, deadline=None)
@given(from_hz=rates, to_hz=rates)
@example(from_hz=8000, to_hz=7 * 8000 // 4)
@example(from_hz=10_000, to_hz=12_000)
@example(from_hz=9142, to_hz=8000)
def test_the_delay_is_as_documented(from_hz: int, to_hz: int) -> None:
    count = round(from_hz * 0.02)
    resampler = Resampler(from_hz, to_hz)
    given_s = audio.sample_count(resampler.feed(bytes(2 * count))) / to_hz
    held_s = count / from_hz - given_s
    period = from_hz // gcd(from_hz, to_hz)
    allowed_s = 27 / min(from_hz, to_hz) + (period / from_hz if period <= 8 else 0)
    assert held_s <= (0 if from_hz == to_hz else min(allowed_s, 0.005)) + 1 / to_hz


@settings(max_examples=25, deadline=None)
@given(from_hz=rates, to_hz=rates, level=st.sampled_from([-32_768, -20_001, 0, 1, 32_767]))
def test_a_constant_stays_that_constant(from_hz: int, to_hz: int, level: int) -> None:
    pcm = np.full(2000, level, dtype="<i2").tobytes()
    out = audio.to_int16(convert(pcm, from_hz, to_hz))
    edge = 30 * to_hz // min(from_hz, to_hz)
    assert set(out[edge:-edge].tolist()) == {level}


def test_full_scale_saturates_without_wrapping_around() -> None:
    # A full-scale square wave overshoots by about a tenth in any band-limited conversion.
    square = np.where(np.arange(4800) // 60 % 2, 32_767, -32_768).astype("<i2").tobytes()
    ours = audio.to_float32(convert(square, 48_000, 16_000))
    theirs = samplerate.resample(audio.to_float32(square), 1 / 3, "sinc_best")
    assert theirs.max() > 1.05
    assert ours.max() == 32_767 / 32_768
    assert ours.min() == -1
    count = len(theirs) - 100
    assert np.abs(ours[:count] - np.clip(theirs[:count], -1, 1)).max() < 0.1


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "name"), [(7999, 16_000, "from_hz"), (16_000, 48_001, "to_hz")]
)
def test_rates_out_of_range_are_named(from_hz: int, to_hz: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*; 8000 to 48000 Hz is allowed"):
        Resampler(from_hz, to_hz)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="even number"):
        Resampler(8000, 16_000).feed(b"abc")
