"""Words from a script, where the audio is loud."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vantum.testing.deepgram_loudness import LOUD, Loudness
from vantum.testing.deepgram_script import DeepgramScript, Heard
from vantum.testing.deepgram_speech import Listener

RATE = 8000
SENTENCES = ("one two three", "four five", "six")


def sound(seconds: float, level: int = 4 * LOUD) -> bytes:
    return np.full(round(seconds * RATE), level, "<i2").tobytes()


def quiet(seconds: float) -> bytes:
    return sound(seconds, LOUD - 1)


def source() -> Loudness:
    return Loudness(DeepgramScript(SENTENCES, repeat=False).utterances(), RATE)


def hear(ear: Loudness, *pieces: bytes) -> list[Heard]:
    """What is found in these pieces, which follow each other from the beginning."""
    return [word for found in heard(ear, *pieces) for word in found]


def heard(ear: Loudness, *pieces: bytes) -> Iterator[list[Heard]]:
    start = 0
    for piece in pieces:
        end = start + len(piece) // 2
        yield ear.hear(piece, start, end)
        start = end


def texts(words: list[Heard]) -> str:
    return " ".join(word.text for word in words)


def test_words_come_as_the_sound_goes_on_and_the_rest_where_it_ends() -> None:
    ear = source()
    during = ear.hear(sound(0.7), 0, 5600)
    assert [(word.text, word.start, word.end) for word in during] == [
        ("one", 0, 2400),
        ("two", 2400, 4800),
    ]
    assert ear.partial is not None
    assert (ear.partial.text, ear.partial.clear) == ("three", False)
    behind = ear.hear(quiet(0.25), 5600, 7600)
    assert [(word.text, word.start, word.end) for word in behind] == [("three", 4800, 5600)]
    assert ear.partial is None


def test_a_pause_within_a_sentence_takes_no_other_one() -> None:
    words = hear(source(), sound(0.35), quiet(0.5), sound(0.4), quiet(1), sound(0.3), quiet(1))
    assert texts(words) == "one two three four five"


def test_behind_its_last_word_there_is_only_a_sound() -> None:
    ear = source()
    assert texts(hear(ear, sound(3.0))) == "one two three"
    assert ear.partial is not None
    assert (ear.partial.text, ear.partial.clear) == ("", False)
    assert ear.finish() == []


@pytest.mark.parametrize("noise", [sound(0.04), quiet(2)])
def test_a_click_or_a_room_says_nothing(noise: bytes) -> None:
    ear = source()
    assert hear(ear, noise, quiet(1)) == []
    assert texts(hear(source(), noise, quiet(1), sound(0.4), quiet(1))) == "one two three"


@pytest.mark.parametrize("silence", [0.0, 0.3])
def test_what_comes_behind_finish_is_the_next_sentence(silence: float) -> None:
    """Two recordings in `manual`: no audio is between them."""
    ear = source()
    first = sound(1.0) + quiet(silence)
    at = len(first) // 2
    assert texts([*ear.hear(first, 0, at), *ear.finish()]) == "one two three"
    assert texts(ear.hear(sound(1.0), at, at + 8000)) == "four five"


def test_a_finalize_that_is_not_answered_ends_the_sentence_too() -> None:
    """As behind a recording that ends just after speech_final: nothing is left to make final."""
    script = DeepgramScript(SENTENCES, speech="loud")
    query = {"encoding": "linear16", "sample_rate": str(RATE), "endpointing": "300"}
    listener = Listener(script, query, script.utterances(), "id")
    listener.audio(sound(1.0) + quiet(0.3))
    assert listener.finalize() == []
    assert "four" in json.dumps([*listener.audio(sound(1.0)), *listener.finalize()])


def test_finish_takes_the_rest_as_said() -> None:
    ear = source()
    first = ear.hear(sound(0.5), 0, 4000)
    assert texts(first) == "one"
    assert texts(ear.finish()) == "two three"
    assert ear.partial is None
    assert ear.finish() == []
    assert ear.hear(quiet(1), 4000, 12_000) == []
    assert texts(ear.hear(sound(0.4) + quiet(0.3), 12_000, 17_600)) == "four five"


def test_when_all_is_said_there_are_no_words() -> None:
    pieces = [sound(0.3), quiet(1)] * 4
    assert texts(hear(source(), *pieces)) == "one two three four five six"


@example([(True, 15), (False, 11)], 1)  # the sound ends with a word, and others are left
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=20), st.integers(1, 40))
def test_the_same_is_heard_however_it_is_cut(stretches: list[tuple[bool, int]], cut: int) -> None:
    step = RATE // 50
    audio = b"".join(sound(n / 50, 999 if loud else 0) for loud, n in stretches)
    whole = hear(source(), audio)
    size = 2 * step * cut
    assert whole == hear(source(), *[audio[n : n + size] for n in range(0, len(audio), size)])
    for before, after in itertools.pairwise(whole):
        assert before.start < before.end <= after.start
