"""What is kept of an utterance's words."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from vantum.core.uttered import PlacedWord, Utterance, Words

TEXTS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6)
PLACED = st.lists(st.builds(PlacedWord, TEXTS, st.floats(0, 100), st.booleans()), max_size=12)


def utterance(words: list[PlacedWord], heard_s: float) -> Utterance:
    return Utterance("u", 0.0, 9.0, False, 9.0, heard_s, False, Words.of(words), 0)


def joined(words: list[PlacedWord]) -> str:
    return "".join(f" {word.text}" if word.spaced else word.text for word in words).strip()


@given(PLACED, st.floats(0, 100))
def test_words_are_read_as_they_were_kept(words: list[PlacedWord], heard_s: float) -> None:
    kept = utterance(words, heard_s)
    first = [PlacedWord(word.text, word.at_s) for word in words[:1]]  # nothing is in front of it
    assert list(kept.words) == first + words[1:]
    assert kept.text == joined(words)
    assert kept.heard_text == joined([word for word in words if word.at_s <= heard_s])


def test_words_of_nothing_are_read_too() -> None:
    words = [PlacedWord("a", 0.1), PlacedWord("", 0.2)]
    assert list(utterance(words, 1.0).words) == words


def test_words_take_little_room() -> None:
    words = [PlacedWord(f"word{n}", 0.3 * n) for n in range(100)]
    kept = Words.of(words)
    size = sum(map(sys.getsizeof, (kept, kept.said, kept._ends, kept._at_s)))
    assert size < 3000, "as objects they take five times as much"
    assert sum(sys.getsizeof(w) + sys.getsizeof(w.text) for w in words) > 3 * size
