"""The record of a call and the context made from it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.history import Entry, History, message_tokens, tool_tokens
from vantum.core.messages import ChatMessage, ChatRequest, ToolCall, ToolSpec

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
    assert 50 <= sum(map(message_tokens, history.context(SYSTEM))) <= 100


def test_tools_take_their_share_of_the_tokens() -> None:
    look = ToolSpec("look", "Look a thing up.", {"type": "object", "properties": {}})
    texts = ("Hello?", "Hi there.", "And now?")
    limit = sum(message_tokens(ChatMessage("user", text)) for text in (SYSTEM, *texts))
    history = History(max_context_tokens=limit + tool_tokens(look))
    history.add_user(texts[0])
    history.add_assistant(texts[1])
    history.add_user(texts[2])
    assert len(history.context(SYSTEM, tools=(look,))) == 4
    assert len(history.context(SYSTEM, tools=(look, look))) == 2, "the window has moved"
    grown = evolve(look, description="Look a thing up, wherever it may be, and say what it is.")
    assert tool_tokens(grown) > tool_tokens(look) > 10


def test_merged_turns_are_counted_once() -> None:
    texts = ["x" * 40, "y" * 40]
    parts = (SYSTEM, "\n".join(texts), "z")
    limit = sum(message_tokens(ChatMessage("user", part)) for part in parts)
    histories = [History(max_context_tokens=limit + spare) for spare in (0, -1)]
    for history in histories:
        for text in texts:
            history.add_assistant(text)
        history.add_user("z")
    assert [len(told(history)) for history in histories] == [2, 1]


@pytest.mark.parametrize("limits", [{"max_messages": -1}, {"max_context_tokens": -1}])
def test_a_negative_limit_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="0 \\(none\\) or more"):
        History(**limits)


def test_an_answer_that_was_resumed_reads_as_one() -> None:
    history = History()
    history.add_user("Tell me.")
    history.add_assistant("One, two, three, four.", interrupted=True, heard_text="One, two,")
    entry = history.add_assistant("three, four.", continued=True)
    assert entry.continued
    assert told(history)[1:] == [("assistant", "One, two, three, four.")]
    history.add_assistant("Are you there?")
    assert told(history)[1:] == [("assistant", "One, two, three, four.\nAre you there?")]


# ---------------------------------------------------------------- tools


def use_of(*names: str, said: str = "") -> tuple[ChatMessage, ...]:
    calls = tuple(ToolCall(f"id-{name}", name, "{}") for name in names)
    results = (ChatMessage("tool", f"{name}: done", tool_call_id=f"id-{name}") for name in names)
    return (ChatMessage("assistant", said, calls), *results)


def test_tools_enter_with_their_results() -> None:
    history = History()
    history.add_user("Book it.")
    entries = history.add_tool_use(use_of("look", "book", said="Let me see."), at_ms=7)
    history.add_assistant("Let me see. It is booked.")
    assert [(e.role, e.text, e.at_ms) for e in entries] == [
        ("assistant", "", 7),
        ("tool", "look: done", 7),
        ("tool", "book: done", 7),
    ]
    assert entries[0].tool_calls[1].name == "book"
    assert entries[2].tool_call_id == "id-book"
    assert history.entries[1:4] == entries
    # What was said before the calls is part of what was heard, and stands there.
    assert history.context("")[1:] == (
        *use_of("look", "book"),
        ChatMessage("assistant", "Let me see. It is booked."),
    )


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"max_messages": 0}, 7),
        ({"max_messages": 9}, 7),
        ({"max_messages": 8}, 3),  # a quarter at once, and it begins with the user
        ({"max_messages": 1}, 1),
        ({"max_messages": 0, "max_context_tokens": 400}, 7),
        ({"max_messages": 0, "max_context_tokens": 170}, 3),
        ({"max_messages": 0, "max_context_tokens": 1}, 1),
    ],
)
def test_what_grows_within_an_answer_lets_old_messages_go(
    limits: dict[str, Any], left: int
) -> None:
    history = History(**limits)
    for n in range(3):
        history.add_user(f"{n} " + "x" * 80)
        history.add_assistant("y" * 80)
    history.add_user("Book it.")
    all_of_it = History(max_messages=0)
    for entry in history.entries:
        all_of_it._add(entry, entry.text)
    look = ToolSpec("look", "Look a thing up.", {"type": "object", "properties": {}})
    request = ChatRequest(all_of_it.context(SYSTEM, "The call is at intro.", (look,)), "s", (look,))
    grown = evolve(request, messages=request.messages + use_of("look"), tool_choice="none")
    fitted = history.fitted(grown)
    assert fitted.messages[:1] == grown.messages[:1], "the prompt stays"
    assert fitted.messages[1:] == grown.messages[len(grown.messages) - left - 3 :]
    assert evolve(fitted, messages=grown.messages) == grown
    assert history.fitted(fitted) == fitted


def test_calls_stand_with_what_was_said_before_them() -> None:
    history = History()
    history.add_assistant("Hi!")
    history.add_tool_use(use_of("look"))
    history.add_tool_use(use_of("look"))
    history.add_assistant("", heard_text="")
    history.add_assistant("There.")
    assert history.context("") == (
        *use_of("look", said="Hi!"),
        *use_of("look"),
        ChatMessage("assistant", "There."),
    )


def test_a_result_that_comes_late_replaces_what_stood_for_it() -> None:
    history = History(max_context_tokens=1000)
    history.add_user("Book it.")
    history.add_tool_use(use_of("look", "book"))
    history.add_user("Hello?")
    entry = history.tool_finished("id-book", "booked, at last" * 20, at_ms=9)
    assert (
        history.entries[-1]
        == entry
        == Entry("tool", "booked, at last" * 20, 9, tool_call_id="id-book")
    )
    asked, look, book, after = history.context("")[1:]
    assert (look.content, book.content) == ("look: done", "booked, at last" * 20)
    assert asked.tool_calls
    assert after.content == "Hello?"
    fresh = History(max_context_tokens=1000)
    for message in history.context(""):
        fresh._put(message)
    assert history._tokens_before == fresh._tokens_before
    # One that nobody asked for is on the record alone.
    history.tool_finished("id-none", "?")
    assert history.context("")[1:] == (asked, look, book, after)


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (ChatMessage("assistant", "no call"),),
        use_of("look")[:1],
        use_of("look")[1:],
        (*use_of("look"), ChatMessage("tool", "again", tool_call_id="id-look")),
        (use_of("look")[0], *use_of("book")[1:]),
        (use_of("look")[0], ChatMessage("user", "done", tool_call_id="id-look")),
        (ChatMessage("user", "", use_of("look")[0].tool_calls), use_of("look")[1]),
    ],
)
def test_a_call_without_its_result_is_refused(messages: tuple[ChatMessage, ...]) -> None:
    history = History()
    with pytest.raises(ValueError, match="a result for each"):
        history.add_tool_use(messages)
    assert len(history) == 0
    assert history.context("") == ()


def test_a_result_may_come_later() -> None:
    history = History(max_context_tokens=10_000)
    history.add_user("Book it.")
    history.add_tool_use(use_of("look", "book"), at_ms=1)
    history.add_assistant("It is being booked.")
    before = sum(map(message_tokens, history.context("")))
    entry = history.tool_finished("id-book", "booked for Monday at ten", at_ms=9)
    assert entry == Entry("tool", "booked for Monday at ten", 9, tool_call_id="id-book")
    assert history.entries[-1] is entry
    assert [m.content for m in history.context("")[2:4]] == ["look: done", entry.text]
    assert sum(map(message_tokens, history.context(""))) > before
    history.tool_finished("id-nobody", "late")
    assert len(history.context("")) == 5


def test_what_was_said_with_the_calls_stands_with_them() -> None:
    history = History()
    history.add_assistant("Let me see.")
    history.add_tool_use(use_of("look"))
    history.add_tool_use(use_of("book"))
    assert [m.content for m in history.context("")] == [
        "Let me see.",
        "look: done",
        "",
        "book: done",
    ]


def test_what_might_be_said_changes_nothing() -> None:
    history = History(max_messages=4)
    talk(history, 2)
    plain = history.context(SYSTEM)
    twin = history.imagined("What if?")
    assert twin.context(SYSTEM)[-1] == ChatMessage("user", "What if?")
    assert history.context(SYSTEM) == plain
    assert len(history) == 4


def test_an_empty_result_stays_with_its_call() -> None:
    history = History()
    use = (use_of("look")[0], ChatMessage("tool", "", tool_call_id="id-look"))
    history.add_tool_use(use)
    assert history.context("", note="Now.") == (*use, ChatMessage("system", "Now."))


def test_tools_take_tokens() -> None:
    plain, calling = use_of("look")[1], use_of("look")[0]
    assert message_tokens(plain) == message_tokens(ChatMessage("user", "look: done"))
    assert message_tokens(calling, len) == len("look{}") + message_tokens(ChatMessage("user", ""))


# ---------------------------------------------------------------- summaries


def talk(history: History, turns: int, begin: int = 0) -> None:
    for n in range(begin, begin + turns):
        history.add_user(f"u{n}")
        history.add_assistant(f"a{n}")


def test_nothing_is_due_while_all_fits() -> None:
    history = History(max_messages=50)
    talk(history, 22)
    history.context(SYSTEM)
    assert history.due() is None
    assert history.summary == ""


def test_what_will_fall_out_is_due_before_it_does() -> None:
    history = History(max_messages=50)
    talk(history, 23)
    digest = history.due()
    assert digest is not None
    assert digest.before == ""
    assert [message.content for message in digest.messages] == [
        text for n in range(4) for text in (f"u{n}", f"a{n}")
    ]
    history.summarised(digest, "They talked.")
    # It waits for the window to move, …
    assert history.due() is None
    assert history.context(SYSTEM)[0] == ChatMessage("system", SYSTEM)
    assert len(history.context(SYSTEM)) == 1 + 46
    talk(history, 2, 23)
    assert history.summary == ""
    talk(history, 1, 25)
    # … and moves it exactly behind what it tells of.
    context = history.context(SYSTEM)
    assert history.summary == "They talked."
    assert context[0].content.startswith(SYSTEM + "\n\n")
    assert '"They talked."' in context[0].content
    assert context[1] == ChatMessage("user", "u4")
    assert len(context) == 1 + 52 - 8


def test_a_summary_that_comes_late_is_taken_late() -> None:
    history = History(max_messages=8)
    talk(history, 5)
    digest = history.due()
    window = history.context(SYSTEM)
    assert window[1].content == "u2"
    assert digest is not None
    history.summarised(digest, "Late.")
    assert history.summary == ""
    late = history.context(SYSTEM)
    assert history.summary == "Late."
    assert late[1:] == window[1:]


def test_a_summary_goes_on_from_the_one_before() -> None:
    history = History(max_messages=8)
    talk(history, 5)
    first = history.due()
    assert first is not None
    history.summarised(first, "First.")
    history.context(SYSTEM)
    talk(history, 3, 5)
    history.context(SYSTEM)
    second = history.due()
    assert second is not None
    assert second.before == "First."
    assert second.messages[0].content == "u2"
    history.summarised(second, "Second.")
    history.context(SYSTEM)
    assert history.summary == "Second."


def test_without_a_summary_the_window_is_all_there_is() -> None:
    history, plain = History(max_messages=8), History(max_messages=8)
    for turn in range(30):
        for each in (history, plain):
            talk(each, 1, turn)
        history.due()  # … and it fails, each time
        assert history.context(SYSTEM) == plain.context(SYSTEM)
    digest = history.due()
    assert digest is not None
    # What was missed is made up for when it works again.
    assert digest.messages[0].content == "u0"


def test_a_note_counts() -> None:
    history = History(max_messages=0, max_context_tokens=120)
    talk(history, 6)
    assert len(history.context(SYSTEM, "Now.")) == 1 + 12 + 1
    longer = history.context(SYSTEM, "now " * 60)
    assert sum(map(message_tokens, longer)) <= 120
    assert len(longer) < 1 + 12 + 1


def test_a_summary_counts_and_may_move_the_window() -> None:
    history = History(max_messages=0, max_context_tokens=300)
    n = 0
    while (digest := history.due()) is None:
        talk(history, 1, n)
        n += 1
        history.context(SYSTEM)
    history.summarised(digest, "word " * 200)
    while not history.summary:
        talk(history, 1, n)
        n += 1
        context = history.context(SYSTEM)
    assert sum(map(message_tokens, context)) <= 300 + 200
    assert context == history.context(SYSTEM)
    assert context[1].role == "user"


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
        tokens = sum(map(message_tokens, context))
        is_over = (max_messages and len(window) > max_messages) or (
            max_tokens and tokens > max_tokens
        )
        if is_over:
            assert len(window) <= 1 or window[0] in users[-1:]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["user", "answer", "cut", "tools", "summary", "ask"]), max_size=60),
    st.integers(1, 12),
    st.sampled_from([0, 60, 200]),
)
def test_windows_with_tools_and_summaries(
    steps: list[str], max_messages: int, max_tokens: int
) -> None:
    history = History(max_messages=max_messages, max_context_tokens=max_tokens)
    whole = History(max_messages=0)
    digests = {}
    for n, what in enumerate(steps):
        for each in (history, whole):
            match what:
                case "user":
                    each.add_user(f"user {n}")
                case "answer":
                    each.add_assistant(f"answer {n}")
                case "cut":
                    each.add_assistant(f"answer {n}", interrupted=True, heard_text="")
                case "tools":
                    each.add_tool_use(use_of(f"look{n}", f"book{n}"))
        if what == "summary" and (digest := history.due()) is not None:
            digests[f"summary {n}"] = digest
            history.summarised(digest, f"summary {n}")
        context = history.context(SYSTEM)
        assert context == history.context(SYSTEM)
        window, everything = context[1:], whole.context(SYSTEM)[1:]
        fallen = len(everything) - len(window)
        assert window == everything[fallen:]
        assert not fallen or window[0].role == "user"
        # Each call has its results right behind it, each result its call before it.
        for at, message in enumerate(window):
            ids = [call.id for call in message.tool_calls]
            assert ids == [m.tool_call_id for m in window[at + 1 : at + 1 + len(ids)]]
        results = sum(message.role == "tool" for message in window)
        assert results == sum(len(message.tool_calls) for message in window)
        # A summary is in use only if the window has none of what it tells of.
        assert history.summary in context[0].content
        assert not history.summary or digests[history.summary].upto <= fallen
    told_of = [message for digest in digests.values() for message in digest.messages]
    assert told_of == list(whole.context("")[: len(told_of)])


@pytest.mark.parametrize("limit", [3, 4, 5, 6, 7, 8, 12, 50])
def test_nothing_is_missing_between_the_notes_and_the_window(limit: int) -> None:
    """If they are ready by the next turn."""
    history, noted = History(max_messages=limit), 0
    for turn in range(40):
        history.add_user(f"u{turn}")
        context = history.context("S")
        begins = int(context[1].content.removeprefix("u"))
        if history.summary:
            noted = int(history.summary.removeprefix("up to "))
        assert begins <= noted
        history.add_assistant(f"a{turn}")
        if (digest := history.due()) is not None:
            history.summarised(digest, f"up to {digest.upto // 2}")
