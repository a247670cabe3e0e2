"""The guess from words alone: which side of one half, and what it may not do."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.completeness import UNKNOWN, completeness, pool

COMPLETE = """
I would like to book a meeting on Tuesday.
What does it cost?
Yes, it is.
Yes
no
Okay.
Thank you, goodbye
That's right
What's it about?
Is that what this is for?
My number is 555 123 4567.
five five five one two three four
My number is double five five one two three four
She said “that is fine.”
He works for Acme Inc.
I do!
""".strip().splitlines()

INCOMPLETE = """
I would like to book a meeting on
I would like to book a meeting and
I would like to book a meeting and.
Well, um
So what we need is, uh,
My name is
My name is.
It depends on whether
Let me see
Hold on.
I mean
We have a couple of
I'm
Because we
five five five
The code is B R O
It's john dot
It's anna @
I want to
We were thinking about it, but…
We were thinking about it -
I spoke to Dr.
I spoke to our sales manager, Dr.
""".strip().splitlines()

#: Nothing in the words tells.
OPEN = ["", "   ", "...?!", "the blue car", "nineteen", "at 3", "In 1 9 8 4", "book a meeting"]


@pytest.mark.parametrize("text", COMPLETE)
def test_complete(text: str) -> None:
    assert completeness(text) > 0.55


@pytest.mark.parametrize("text", INCOMPLETE)
def test_incomplete(text: str) -> None:
    assert completeness(text) < 0.35


@pytest.mark.parametrize("text", OPEN)
def test_neither(text: str) -> None:
    assert completeness(text) == UNKNOWN


def test_a_question_mark_speaks_for_what_would_be_incomplete() -> None:
    for text in (
        "Are you, like",
        "Is it the",
        "Can you hold on",
        "And we",
        "Is that what it's for",
    ):
        assert completeness(text) < completeness(text + "?")


def test_a_typographic_apostrophe_is_one() -> None:
    assert completeness("I’m") == completeness("I'm") < UNKNOWN


@given(st.text(max_size=60))
def test_any_text_gets_a_probability(text: str) -> None:
    assert 0 < completeness(text) < 1
    assert completeness(text) == completeness(f" {text} ")


probabilities = st.floats(0, 1)


@given(probabilities, probabilities)
def test_a_pool_lies_between_its_two(audio: float, text: float) -> None:
    pooled = pool(audio, text)
    assert pooled is not None
    held = sorted(min(max(p, 0.02), 0.98) for p in (audio, text))
    assert held[0] - 1e-9 <= pooled <= held[1] + 1e-9


def test_the_audio_counts_for_more_and_one_alone_for_all() -> None:
    assert pool(None, None) is None
    assert pool(0.3, None) == pool(None, 0.3) == 0.3
    pooled = pool(0.9, 0.1)
    assert pooled is not None
    assert math.isclose(pooled, 1 - (pool(0.1, 0.9) or 0))
    assert 0.5 < pooled < 0.9
