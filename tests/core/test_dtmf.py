"""Keys as tones and as words, heard by a receiver that knows nothing of how they were made."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tests.dtmf_receiver import RATE_HZ, keys_in
from vantum.core.audio import mulaw_encode
from vantum.core.dtmf import (
    MAX_KEYS,
    WrittenNotes,
    as_note,
    check_keys,
    join_notes,
    sounding_s,
    split_notes,
    strip_notes,
    tone,
)
from vantum.core.resampling import Resampler

ALL = "0123456789*#ABCD"


def audio(keys: str, rate_hz: int = RATE_HZ) -> bytes:
    return b"".join(tone(key, rate_hz) for key in keys)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_every_key_is_understood_through_mu_law(rate_hz: int) -> None:
    pcm = audio(ALL, rate_hz)
    if rate_hz != RATE_HZ:
        resampler = Resampler(rate_hz, RATE_HZ)
        pcm = resampler.feed(pcm) + resampler.finish()
    assert keys_in(mulaw_encode(pcm)) == ALL


@given(st.text("0123456789*#ABCDwW", min_size=1, max_size=10), st.integers(0, 104))
@settings(max_examples=40, deadline=None)
def test_any_keys_are_understood_wherever_the_frames_fall(keys: str, shift: int) -> None:
    pcm = bytes(2 * shift) + audio(keys)
    assert keys_in(mulaw_encode(pcm)) == keys.replace("w", "").replace("W", "")


@pytest.mark.parametrize("db", [-10, 0])
def test_noise_and_a_weaker_line_do_not_hide_them(db: int) -> None:
    rng = np.random.default_rng(1)
    samples = np.frombuffer(audio(ALL), "<i2") * 10 ** (db / 20)
    noisy = np.clip(samples + rng.normal(0, 150, samples.size), -32768, 32767).astype("<i2")
    assert keys_in(mulaw_encode(noisy.tobytes())) == ALL


def test_speech_like_sounds_are_no_keys() -> None:
    """The receiver can say no: what it accepts is not just anything loud."""
    rng = np.random.default_rng(2)
    noise = (rng.normal(0, 4000, RATE_HZ)).astype("<i2").tobytes()
    one = (8000 * np.sin(2 * np.pi * 770 * np.arange(RATE_HZ) / RATE_HZ)).astype("<i2").tobytes()
    assert keys_in(mulaw_encode(noise + one)) == ""


def test_levels_lengths_and_pauses() -> None:
    pcm = np.frombuffer(tone("5", 8000), "<i2") / 32768
    assert pcm.size == 1600
    assert not pcm[800:].any()
    steady = pcm[100:700]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(600), 8000)) * 4 / 600
    low, high = (20 * np.log10(spectrum[hz]) + 3.17 for hz in (770, 1336))
    assert (low, high) == (pytest.approx(-11, abs=0.2), pytest.approx(-9, abs=0.2))
    assert np.abs(pcm).max() < 0.5
    assert abs(pcm[:4]).max() < 0.1, "it begins softly"
    assert (len(tone("w", 8000)), len(tone("W", 8000))) == (8000, 16000)
    assert not any(tone("w", 8000))
    assert (sounding_s("w"), sounding_s("1")) == (0.5, 0.1)
    with pytest.raises(KeyError):
        tone("x", 8000)


@pytest.mark.parametrize(
    ("text", "keys"),
    [("42#", "42#"), ("1", "1"), ("(555) 010-99", "55501099"), ("1w2Wa", "1w2WA")],
)
def test_keys_as_people_and_models_write_them(text: str, keys: str) -> None:
    assert check_keys(text) == keys


@pytest.mark.parametrize("text", ["", "four", "+1", "w", "WW", "1;2", "1\u0664", "1x"])
def test_what_is_no_key_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="0 to 9"):
        check_keys(text)


def test_there_may_be_so_many() -> None:
    assert check_keys("1" * MAX_KEYS)
    with pytest.raises(ValueError, match="41 digits: there may be 40"):
        check_keys("1" * (MAX_KEYS + 1))


@given(st.lists(st.text("0123456789*#ABCDwW", min_size=1, max_size=4), min_size=1, max_size=6))
def test_notes_of_single_keys_read_as_one_and_come_apart_again(groups: list[str]) -> None:
    whole = "".join(groups)
    apart = " ".join(as_note(key) for key in whole)
    assert join_notes(apart) == as_note(whole)
    assert join_notes(" ".join(map(as_note, groups))) == as_note(whole)
    assert split_notes(f"So. {apart} Done.") == [
        ("So.", ""),
        *(("", key) for key in whole),
        ("Done.", ""),
    ]


def test_other_words_are_left_alone() -> None:
    text = "Two (sent digits) and (sent digits 4) then (sent digits 2)."
    assert join_notes(text) == text
    assert split_notes("Nothing here") == [("Nothing here", "")]
    assert split_notes("") == []


@given(
    st.lists(st.sampled_from(["(sent digits ", "(", "(sent", "4", "2#", ")", " ", "ok", "(so) "])),
    st.lists(st.integers(0, 80)),
)
def test_notes_of_a_models_are_left_out_however_its_text_is_split(
    parts: list[str], cuts: list[int]
) -> None:
    text = "".join(parts)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    notes = WrittenNotes()
    given = [notes.feed(text[a:b]) for a, b in pairwise(places)]
    assert "".join((*given, notes.feed("", final=True))) == strip_notes(text)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Now. (sent digits 42#) Done (so far).", "Now.  Done (so far)."),
        ("(sent digits 4", ""),
        ("(sent digits 4) (sent digits 2)!", " !"),
        ("Two (sent digits) are two (sent dig", "Two (sent digits) are two (sent dig"),
        ("(sent digits four)", "(sent digits four)"),
    ],
)
def test_a_note_that_a_model_has_written_is_not_spoken(written: str, spoken: str) -> None:
    assert strip_notes(written) == spoken
