"""Prompt caches want a stable prefix: what one request begins with, the next one does too."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from vantum.core.history import History

words = st.sampled_from(["hello", "what does it cost", "we have forty people", "no"])
#: What the user said, what we answered, and how much of it was heard (None: all).
turns = st.lists(st.tuples(words, words, st.none() | st.integers(0, 4)), min_size=1, max_size=12)

SYSTEM = "You are Alex."


def _play(history: History, user: str, answer: str, heard: int | None) -> None:
    history.add_user(user)
    whole = heard is None
    history.add_assistant(
        answer, interrupted=not whole, heard_text=None if whole else answer[:heard].strip()
    )


@settings(max_examples=100, deadline=None)
@given(turns)
def test_each_request_begins_with_all_of_the_one_before(said: list[Any]) -> None:
    """As long as the window holds: but for the last message, which grows if nobody heard the
    answer to it."""
    history = History()
    before = None
    for user, answer, heard in said:
        request = history.imagined(user).context(SYSTEM)
        if before is not None:
            assert request[: len(before) - 1] == before[:-1]
            assert request[len(before) - 1].content.startswith(before[-1].content)
        before = request
        _play(history, user, answer, heard)


@settings(max_examples=100, deadline=None)
@given(turns, st.integers(4, 8))
def test_with_a_window_most_requests_do(said: list[Any], limit: int) -> None:
    """It moves by a quarter at once, and then stays."""
    history = History(max_messages=limit)
    moves = 0
    before: Any = None
    for user, answer, _ in said:
        history.add_user(user)
        request = history.context(SYSTEM)
        if before is not None and request[: len(before)] != before:
            moves += 1
        before = request
        history.add_assistant(answer)
    # Two messages a turn; a move makes room for at least a quarter of the window.
    assert moves <= max(0, 2 * len(said) - limit) / max(1, limit // 4) + 1


def test_a_note_stands_behind_all_that_stays() -> None:
    history = History()
    history.add_user("hello")
    first = history.context(SYSTEM, "The call is in stage intro.")
    history.add_assistant("Hi.")
    history.add_user("what does it cost")
    second = history.context(SYSTEM, "The call is in stage pitch.")
    assert second[: len(first) - 1] == first[:-1]


@settings(max_examples=100, deadline=None)
@given(turns, words, st.integers(3, 9))
def test_an_imagined_turn_leaves_no_trace(said: list[Any], text: str, limit: int) -> None:
    history, twin = History(max_messages=limit), History(max_messages=limit)
    for user, answer, heard in said:
        _play(history, user, answer, heard)
        _play(twin, user, answer, heard)
    imagined = history.imagined(text)
    asked = imagined.context(SYSTEM)
    imagined.add_assistant("Nobody will know.")
    assert history.entries == twin.entries
    assert history.summary == twin.summary
    history.add_user(text)
    twin.add_user(text)
    assert history.context(SYSTEM) == twin.context(SYSTEM)
    assert history.context(SYSTEM) == asked, "it was asked what it would have been asked"
