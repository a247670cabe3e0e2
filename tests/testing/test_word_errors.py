"""Counting a recogniser's errors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.testing.word_errors import spoken_words, word_error_rate, word_errors

texts = st.lists(st.sampled_from("abc"), max_size=8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ill-disposed, isn't he? 42", "ill disposed isn't he forty two"),
        ("Mr. O’Neil said: OK!", "mister o'neil said okay"),
        ("7 17 20 555 05", "seven seventeen twenty five five five zero five"),
        ("  …  ", ""),
    ],
)
def test_words_as_they_are_spoken(text: str, words: str) -> None:
    assert spoken_words(text) == words.split()


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a", "x a y", 2),
        ("a b", "b a", 2),
        ("", "a", 1),
    ],
)
def test_errors(said: str, heard: str, errors: int) -> None:
    assert word_errors(said.split(), heard.split()) == errors


@given(texts, texts, texts)
def test_errors_are_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    assert word_errors(a, a) == 0
    assert word_errors(a, b) == word_errors(b, a)
    assert abs(len(a) - len(b)) <= word_errors(a, b) <= max(len(a), len(b))
    assert word_errors(a, c) <= word_errors(a, b) + word_errors(b, c)


def test_rates() -> None:
    assert word_error_rate("one two three four", "One, two, 3!") == 0.25
    assert word_error_rate("", "") == 0
    with pytest.raises(ValueError, match="no words were said"):
        word_error_rate("", "boo")
