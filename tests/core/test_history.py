"""The record of a call and the context made from it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.history import Entry, History, estimate_tokens
from vantum.core.messages import ChatMessage

SYSTEM = "Be kind."


def told(history: History) -> list[tuple[str, str]]:
    context = history.context(SYSTEM)
    assert context[0] == ChatMessage("system", SYSTEM)
    return [(message.role, message.content) for message in context[1:]]


def test_a_conversation() -> None:
    history = History()
    assert history.add_user("Hello?", at_ms=10) == Entry("user", "Hello?", 10)
    history.add_assistant("Hi! How are you?", at_ms=20)
    history.add_user("Fine.", at_ms=30)
    assert told(history) == [
        ("user", "Hello?"),
        ("assistant", "Hi! How are you?"),
        ("user", "Fine."),
    ]
    assert [entry.at_ms for entry in history.entries] == [10, 20, 30]
    assert len(history) == 3
    assert history.since(2) == (Entry("user", "Fine.", 30),)


def test_an_empty_history_has_the_system_prompt_only() -> None:
    assert History().context(SYSTEM) == (ChatMessage("system", SYSTEM),)
    assert History(max_context_tokens=1).context(SYSTEM) == (ChatMessage("system", SYSTEM),)
    assert History().context("") == ()


def test_an_interrupted_answer_stands_as_heard() -> None:
    history = History()
    history.add_user("Tell me.")
    entry = history.add_assistant(
        "One. Two. Three.", interrupted=True, heard_text="One. Two.", written="One. ||BREAK|| Two."
    )
    history.add_user("Stop!")
    assert entry == Entry("assistant", "One. Two.", interrupted=True, written="One. ||BREAK|| Two.")
    assert told(history)[1] == ("assistant", "One. Two.")


def test_an_interrupted_answer_may_come_cut_already() -> None:
    history = History()
    assert history.add_assistant("One.", interrupted=True) == Entry(
        "assistant", "One.", interrupted=True
    )
    history.add_assistant("Two.", interrupted=True, written="Two. ||BREAK|| Three.")
    assert told(history) == [("assistant", "One.\nTwo.")]


def test_an_answer_that_nobody_heard_is_in_the_record_only() -> None:
    history = History()
    history.add_user("Tell me.")
    entry = history.add_assistant("One. Two.", interrupted=True, heard_text="")
    history.add_user("Wait.")
    assert entry == Entry("assistant", "", interrupted=True, written="One. Two.")
    assert history.entries[1] is entry
    assert told(history) == [("user", "Tell me.\nWait.")]


def test_an_answer_cut_by_a_failure_stands_as_heard() -> None:
    history = History()
    entry = history.add_assistant("One. Two.", heard_text="One.")
    assert entry == Entry("assistant", "One.", written="One. Two.")
    assert told(history) == [("assistant", "One.")]


def test_an_answer_heard_in_full_keeps_its_markers_in_the_context() -> None:
    history = History()
    entry = history.add_assistant("One. Two.", written="One. ||BREAK|| Two.")
    assert entry.text == "One. Two."
    assert told(history) == [("assistant", "One. ||BREAK|| Two.")]


def test_a_fallback_is_part_of_the_conversation() -> None:
    history = History()
    history.add_user("Tell me.")
    assert history.add_assistant("Pardon?", is_fallback=True).is_fallback
    assert told(history)[-1] == ("assistant", "Pardon?")


def test_an_empty_turn_is_in_the_record_only() -> None:
    history = History()
    history.add_user("  ")
    assert len(history.entries) == 1
    assert told(history) == []


def test_neighbours_of_one_role_are_merged() -> None:
    history = History()
    for text in ("One.", "Two."):
        history.add_assistant(text)
    for text in ("Three.", "Four."):
        history.add_user(text)
    assert told(history) == [("assistant", "One.\nTwo."), ("user", "Three.\nFour.")]


def test_a_greeting_stays_until_the_window_is_cut() -> None:
    history = History(max_messages=4)
    history.add_assistant("Hi!")
    history.add_user("1")
    assert told(history)[0] == ("assistant", "Hi!")
    for n in range(2):
        history.add_assistant(f"a{n}")
        history.add_user(f"u{n}")
    assert told(history) == [("user", "u0"), ("assistant", "a1"), ("user", "u1")]


def test_a_cut_window_begins_with_a_user_message() -> None:
    history = History(max_messages=4)
    for n in range(3):
        history.add_user(f"u{n}")
        history.add_assistant(f"a{n}")
    assert told(history) == [("user", "u2"), ("assistant", "a2")]
    history = History(max_messages=3)
    history.add_user("u0")
    history.add_assistant("a0")
    history.add_user("u1")
    assert len(told(history)) == 3
    history.add_assistant("a1")
    history.add_user("u2")
    assert told(history) == [("user", "u1"), ("assistant", "a1"), ("user", "u2")]
    history.add_assistant("a2")
    assert told(history) == [("user", "u2"), ("assistant", "a2")]


def test_the_latest_user_message_is_never_dropped() -> None:
    history = History(max_messages=1, max_context_tokens=1)
    history.add_assistant("Hi!")
    assert told(history) == [("assistant", "Hi!")]
    history.add_user("long " * 100)
    assert told(history) == [("user", ("long " * 100).strip())]
    history.add_assistant("Yes.")
    assert [role for role, _ in told(history)] == ["user", "assistant"]


def test_the_window_stays_for_a_while_once_it_has_moved() -> None:
    history = History(max_messages=20)
    first = []
    for n in range(200):
        history.add_user(f"u{n}")
        first.append(told(history)[0])
        history.add_assistant(f"a{n}")
    moves = sum(before != after for before, after in pairwise(first))
    assert moves <= 200 * 2 / 4


def test_a_token_limit_alone() -> None:
    history = History(max_messages=0, max_context_tokens=100)
    for n in range(50):
        history.add_user("x" * 40 + str(n))
        history.add_assistant("y" * 40)
    history.add_user("last")
    tokens = sum(estimate_tokens(m.content) for m in history.context(SYSTEM))
    assert 50 <= tokens <= 100


def test_merged_turns_are_counted_once() -> None:
    texts = ["x" * 40, "y" * 40]
    limit = estimate_tokens(SYSTEM) + estimate_tokens("\n".join(texts)) + estimate_tokens("z")
    histories = [History(max_context_tokens=limit + spare) for spare in (0, -1)]
    for history in histories:
        for text in texts:
            history.add_assistant(text)
        history.add_user("z")
    assert [len(told(history)) for history in histories] == [2, 1]


@pytest.mark.parametrize("limits", [{"max_messages": -1}, {"max_context_tokens": -1}])
def test_a_negative_limit_is_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="0 \\(none\\) or more"):
        History(**limits)


def test_tokens_are_estimated_from_characters() -> None:
    assert estimate_tokens("") == 4
    assert estimate_tokens("four") == 5
    assert estimate_tokens("fives") == 6


@frozen
class Turn:
    is_user: bool
    text: str
    heard: str | None


TURNS = st.lists(
    st.builds(
        Turn,
        st.booleans(),
        st.sampled_from(["", "a", "some words", "many more words than before " * 3]),
        st.sampled_from([None, None, "", "some"]),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(TURNS, st.integers(0, 8), st.sampled_from([0, 1, 20, 60, 200]))
def test_every_context_is_valid_and_a_window_of_the_whole(
    turns: list[Turn], max_messages: int, max_tokens: int
) -> None:
    history = History(max_messages=max_messages, max_context_tokens=max_tokens)
    whole = History(max_messages=0)
    for count, turn in enumerate(turns, 1):
        for each in (history, whole):
            if turn.is_user:
                each.add_user(turn.text)
            else:
                each.add_assistant(
                    turn.text, interrupted=turn.heard is not None, heard_text=turn.heard
                )
        assert len(history.entries) == count
        context = history.context(SYSTEM)
        assert context == history.context(SYSTEM)
        assert context[0] == ChatMessage("system", SYSTEM)
        window, everything = context[1:], whole.context(SYSTEM)[1:]
        assert window == everything[len(everything) - len(window) :]
        assert all(a.role != b.role for a, b in pairwise(window))
        assert all(message.content for message in window)
        users = [message for message in everything if message.role == "user"]
        assert set(users[-1:]) <= set(window)
        if len(window) < len(everything):
            assert window[0].role == "user"
        tokens = sum(estimate_tokens(message.content) for message in context)
        is_over = (max_messages and len(window) > max_messages) or (
            max_tokens and tokens > max_tokens
        )
        if is_over:
            assert len(window) <= 1 or window[0] in users[-1:]
