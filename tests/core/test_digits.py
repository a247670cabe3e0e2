"""Keys in the table: words of the caller's turn, and an interruption that is meant."""

from __future__ import annotations

import pytest

from tests.core.test_barging import answering, begun, cancelled, ended_turn, stopped
from tests.core.test_conversation import Call, ending, final, interim, of
from vantum.core import decisions as d
from vantum.core import events as e
from vantum.core.messages import SttFlushed


def keys(digits: str) -> e.InputDigits:
    return e.InputDigits(e.Request("dtmf"), digits)


def test_keys_are_a_turn_of_their_own_when_the_longest_wait_is_over() -> None:
    call = Call().listening("auto")
    call.feed(keys("4"))
    call.wait(1.5)
    call.feed(keys("2"))
    longest_s = call.c.endpointing.options.max_wait_s
    assert not of(call.wait(longest_s - 0.1), d.FlushRecogniser)
    assert of(call.wait(0.11), d.FlushRecogniser)
    (turn,) = begun(call.feed(SttFlushed(1001)))
    assert turn.text == "(pressed 42)"


def test_a_hash_ends_them_soon() -> None:
    call = Call().listening("auto")
    call.feed(keys("7"), keys("#"))
    assert of(call.wait(0.36), d.FlushRecogniser)
    (turn,) = begun(call.feed(SttFlushed(1001)))
    assert turn.text == "(pressed 7#)"


def test_keys_and_words_are_one_turn_in_order() -> None:
    call = Call().listening("auto")
    call.feed(final("My number is"), keys("1"), keys("2"), final("and that is all."), keys("3"))
    (turn,) = begun(ended_turn(call))
    assert turn.text == "My number is (pressed 12) and that is all. (pressed 3)"


def test_keys_stand_behind_what_was_being_said_when_they_were_pressed() -> None:
    """Its final text comes later."""
    call = Call().listening("auto")
    call.feed(interim("My number is"), keys("1"), keys("2"), final("My number is"))
    call.feed(keys("3"), interim("and that"), final("and that is all."))
    (turn,) = begun(ended_turn(call))
    assert turn.text == "My number is (pressed 123) and that is all."
    call.feed(d.ResponseDone(0), keys("4"), interim("that was a four"), final("that was a four."))
    (turn,) = begun(ended_turn(call))
    assert turn.text == "(pressed 4) that was a four."


def test_in_manual_mode_the_client_says_when_the_turn_is_over() -> None:
    call = Call().listening()
    assert call.feed(keys("1")) == []
    assert call.wait(60) == []
    (turn,) = begun(call.feed(ending(1), SttFlushed(1)))
    assert turn.text == "(pressed 1)"


@pytest.mark.parametrize("mode", ["auto", "words"])
def test_a_key_stops_an_answer_for_good(mode: str) -> None:
    call = answering(mode)
    assert cancelled(call.feed(keys("1"))) == [
        d.CancelResponse(0, "user_interrupt", interrupted=True)
    ]
    assert call.c.bargein.stopped_s is None
    assert not begun(call.feed(d.ResponseDone(0)))
    (turn,) = begun(ended_turn(call))
    assert (turn.text, turn.resumes) == ("(pressed 1)", False)


def test_a_key_waits_for_an_answer_that_nothing_stops() -> None:
    call = answering("off")
    assert not cancelled(call.feed(keys("1")))
    ended_turn(call)
    assert [turn.text for turn in call.c.queue] == ["(pressed 1)"]


def test_a_key_says_that_a_stop_was_right() -> None:
    call = stopped(answering())
    call.feed(keys("5"))
    assert call.c.bargein.stopped_s is None


def test_a_key_while_the_agent_thinks_belongs_to_the_turn_before() -> None:
    call = Call().listening("auto")
    call.turn("My code is.", 1)
    assert call.c.state == "THINKING"
    (cancel,) = cancelled(call.feed(keys("9")))
    assert cancel.joins
    call.feed(d.ResponseDone(0))
    (turn,) = begun(ended_turn(call))
    assert (turn.text, turn.joins) == ("(pressed 9)", True)


def test_keys_are_kept_while_the_recogniser_owes_the_words_of_an_old_turn() -> None:
    call = Call(flush_timeout_s=2.0).listening("auto")
    call.feed(final("Hello."), ending(1))
    call.wait(2.1)
    assert call.c.overdue
    call.feed(d.FirstAudio(0), d.ResponseDone(0), keys("3"), SttFlushed(1))
    (turn,) = begun(ended_turn(call))
    assert turn.text == "(pressed 3)"
