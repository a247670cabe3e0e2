"""When to answer ahead of time, and when a secret answer is dropped."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given, settings

from vantum.core.bargein import BargeIn
from vantum.core.decisions import CloseRequested, Conversation, Flush, Limits, Turn
from vantum.core.endpointing import CheckAnswered, Endpointing, EndpointingOptions
from vantum.core.events import InputOptions, Request
from vantum.core.messages import Transcript, UtteranceEnded, VoiceEdge
from vantum.core.speculation import (
    FILLERS,
    Discard,
    Speculation,
    SpeculationOptions,
    Start,
    guess,
    normalised,
)

ON = SpeculationOptions(mode="model")
WORDS = "I would take the blue one."

# ---------------------------------------------------------------- the same words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I'd take it.", "i'd take it"),
        ("I’d take it", "Id take it!"),
        ("  Well,  yes ", "well yes"),
        ("Um, yes. Uh… please", "yes please"),
        ("twenty-five", "Twenty five"),
        ("ﬁne", "FINE"),
        ("Straße", "STRASSE"),
    ],
)
def test_the_same_words(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I can", "I can't"),
        ("35", "3.5"),
        ("yes", "yes yes"),
        ("no", "know"),
        ("mhm", ""),
        ("uh-huh", ""),
        ("5%", "5"),
        ("c++", "c"),
        ("one two", "two one"),
    ],
)
def test_other_words(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_normalising_is_done_once(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert normalised(f" {text.upper()} ,") == normalised(text.upper())
    assert not set(once.split()) & FILLERS


# ---------------------------------------------------------------- a conversation to guess in


def paused(text: str = WORDS, **state: Any) -> Conversation:
    """The caller said this and has fallen silent a moment ago."""
    heard = Endpointing(EndpointingOptions())
    heard = heard.take(VoiceEdge(True, 1.0), 1.0)
    heard = heard.take(Transcript(text, False, 0.9, 1.0, 2.0), 2.0)
    heard = heard.take(VoiceEdge(False, 2.0), 2.1)
    conversation = Conversation(
        Limits(),
        0.0,
        {},
        state="LISTENING",
        options=InputOptions(turn_detection="auto"),
        interim=text,
        endpointing=heard,
        next_turn=4,
    )
    return evolve(conversation, **state)


FLUSH = Flush(1, Request(), 9.0, judged=True)
OPEN = "and then I would like to"


def test_a_complete_sentence_is_answered_before_the_wait_is_over() -> None:
    assert Speculation(ON).decide(paused(), 0.9, 2.1) == Start(WORDS)


def test_an_incomplete_one_is_waited_for() -> None:
    assert Speculation(ON).decide(paused(OPEN), 0.9, 2.1) is None


def test_any_sentence_is_answered_once_its_end_was_judged() -> None:
    c = paused(OPEN, flushes=(FLUSH,))
    assert Speculation(ON).decide(c, 0.9, 2.6) == Start(OPEN)


def test_the_detector_decides_where_there_is_one() -> None:
    heard = Endpointing(EndpointingOptions(has_detector=True))
    heard = heard.take(VoiceEdge(True, 1.0), 1.0)
    heard = heard.take(Transcript(WORDS, False, 0.9, 1.0, 2.0), 2.0)
    heard = heard.take(VoiceEdge(False, 2.0), 2.1)
    assert Speculation(ON).decide(paused(endpointing=heard), 0.9, 2.1) is None
    sure = heard.take(CheckAnswered(heard.pause, 0.95), 2.3)
    assert Speculation(ON).decide(paused(endpointing=sure), 0.9, 2.3) == Start(WORDS)


def test_without_a_voice_the_recogniser_must_have_settled() -> None:
    heard = Endpointing().take(Transcript(WORDS, False, 0.9, 1.0, 2.0), 2.0)
    assert Speculation(ON).decide(paused(endpointing=heard), 0.9, 2.0) is None
    settled = heard.take(UtteranceEnded(2.0), 2.4)
    assert Speculation(ON).decide(paused(endpointing=settled), 0.9, 2.4) == Start(WORDS)


@pytest.mark.parametrize(
    "state",
    [
        {"options": InputOptions(turn_detection="manual")},
        {"options": None},
        {"state": "INITIALIZING"},
        {"state": "THINKING", "turn": Turn(3, "x", Request())},
        {"turn": Turn(3, "x", Request())},
        {"closing": CloseRequested(1000, "")},
        {"queue": (Turn(3, "x", Request()),)},
        {"overdue": frozenset({1})},
        {"flushes": (FLUSH, evolve(FLUSH, flush_id=2))},
        {"joins": True},
        {"bargein": evolve(BargeIn(), stopped_s=1.0)},
        {"endpointing": Endpointing().take(VoiceEdge(True, 1.0), 1.0)},
        {"interim": "", "words": ()},
    ],
    ids=", ".join,
)
def test_no_moment_to_guess(state: dict[str, Any]) -> None:
    c = paused(**state)
    assert guess(c) == ""
    assert Speculation(ON).decide(c, 0.9, 2.1) is None
    live = Speculation(ON).begun(WORDS, paused())
    assert live.decide(c, 0.9, 2.1) == Discard(), "and what was begun is dropped"


def test_words_that_are_only_fillers_are_no_guess() -> None:
    assert Speculation(ON).decide(paused("Um, uh.", flushes=(FLUSH,)), 0.9, 2.1) is None


def test_final_words_and_interim_ones_together() -> None:
    assert guess(paused(words=("well", "yes"), interim="please")) == "well yes please"


def test_words_of_which_the_recogniser_is_unsure() -> None:
    assert Speculation(ON).decide(paused(), 0.69, 2.1) is None


def test_off_is_off() -> None:
    assert Speculation().decide(paused(), 1.0, 2.1) is None


# ---------------------------------------------------------------- while it is made


def test_it_lives_while_the_words_stay() -> None:
    live = Speculation(ON).begun(WORDS, paused())
    assert live.decide(paused(), 0.9, 2.2) is None
    assert live.decide(paused("Um, I would take the blue one!"), 0.1, 2.2) is None
    assert live.decide(paused(f"{WORDS} Please."), 0.9, 2.2) == Discard()
    assert live.fits("i would take the blue one")
    assert not live.fits("I would take the blue two")
    assert not Speculation(ON).fits(WORDS)


def test_what_became_of_it_is_counted() -> None:
    state = Speculation(ON).begun(WORDS, paused()).was_kept()
    assert (state.kept, state.dropped, state.live) == (1, 0, None)
    state = state.begun(WORDS, paused()).was_dropped(120, 3.0)
    state = state.begun(WORDS, paused()).was_dropped(30, 4.0)
    assert (state.kept, state.dropped, state.wasted_tokens, state.live) == (1, 2, 150, None)


def test_the_last_of_a_turns_is_kept_for_its_end() -> None:
    state = Speculation(evolve(ON, max_per_turn=2))
    state = state.begun("a", paused()).was_dropped(0, 2.0)
    assert state.decide(paused(), 0.9, 2.1) is None
    assert state.decide(paused(flushes=(FLUSH,)), 0.9, 2.1) == Start(WORDS)
    state = state.begun("b", paused()).was_dropped(0, 2.0)
    assert state.decide(paused(flushes=(FLUSH,)), 0.9, 2.1) is None
    assert state.decide(paused(next_turn=5), 0.9, 2.1) == Start(WORDS), (
        "the next turn's are its own"
    )


def test_a_single_one_goes_to_the_first_who_wants_it() -> None:
    state = Speculation(evolve(ON, max_per_turn=1))
    assert state.decide(paused(), 0.9, 2.1) == Start(WORDS)
    state = state.begun("a", paused()).was_dropped(0, 2.0)
    assert state.decide(paused(flushes=(FLUSH,)), 0.9, 2.1) is None


def test_a_minute_of_waste_is_enough() -> None:
    state = Speculation(evolve(ON, max_wasted_tokens=1000, max_per_turn=20))
    state = state.begun("a", paused()).was_dropped(600, 10.0)
    assert state.decide(paused(), 0.9, 11.0) == Start(WORDS)
    state = state.begun("b", paused()).was_dropped(400, 30.0)
    assert state.decide(paused(), 0.9, 31.0) is None
    assert state.decide(paused(), 0.9, 69.9) is None
    assert state.decide(paused(), 0.9, 70.0) == Start(WORDS), "the first is a minute old"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 20.0), st.integers(0, 400)), max_size=40),
    st.integers(0, 1000),
)
def test_the_bound_holds_whatever_happens(events: list[Any], most: int) -> None:
    """In any minute, at most the limit and one answer more."""
    state = Speculation(evolve(ON, max_wasted_tokens=most, max_per_turn=20))
    now_s, wasted = 0.0, []
    for number, (wait_s, tokens) in enumerate(events):
        now_s += wait_s
        if state.decide(paused(next_turn=number), 0.9, now_s) == Start(WORDS):
            state = state.begun(WORDS, paused(next_turn=number)).was_dropped(tokens, now_s)
            wasted.append((now_s, tokens))
    for at_s, last in wasted:
        minute = sum(tokens for then_s, tokens in wasted if at_s - 60 < then_s <= at_s)
        assert minute - last < most or most == 0
    assert state.wasted_tokens == sum(tokens for _, tokens in wasted)
    assert len(state.recent) <= len(wasted)
