"""The agent says goodbye: the call ends behind it, unless somebody has something to say to that."""

from __future__ import annotations

import pytest

from tests.core.test_barging import begun
from tests.core.test_conversation import Call, ending, final, interim, listening_with, of
from vantum.core import decisions as d
from vantum.core import events as e
from vantum.core.floor import Floor
from vantum.core.messages import SttFlushed, VoiceEdge

TEXT = "It was a pleasure to talk to you today and now I wish you goodbye"
GOODBYE = d.ResponseDone(0, hangs_up=True)
END = [d.EndSession(1000, "the agent ended the call")]


def saying_goodbye(mode: e.TurnDetection = "auto") -> Call:
    call = Call().listening(mode)
    call.turn("I have to go.", 1)
    call.feed(d.FirstAudio(0), Floor(tuple(TEXT.split()), 5, whole=True))
    assert call.c.state == "RESPONDING"
    return call


def test_the_call_ends_behind_it() -> None:
    call = saying_goodbye()
    assert of(call.feed(GOODBYE), d.EndSession) == END
    assert call.c.state == "ENDED"


def test_who_has_said_something_meanwhile_is_answered() -> None:
    call = saying_goodbye("manual")
    said = call.feed(final("One more thing."), ending(2), GOODBYE)
    assert not of(said, d.EndSession)
    (turn,) = begun(call.feed(SttFlushed(2)))
    assert turn.text == "One more thing."
    assert not of(call.feed(d.ResponseDone(1)), d.EndSession), "that goodbye was another one"
    assert call.c.state == "LISTENING"


def test_words_that_are_on_their_way_are_waited_for() -> None:
    call = saying_goodbye("manual")
    assert not of(call.feed(ending(2), GOODBYE), d.EndSession)
    (turn,) = begun(call.feed(final("One more thing."), SttFlushed(2)))
    assert turn.text == "One more thing."


def test_what_turns_out_to_be_nothing_does_not_keep_the_call() -> None:
    call = saying_goodbye("manual")
    call.feed(ending(2), GOODBYE)
    assert of(call.feed(SttFlushed(2)), d.EndSession) == END


def test_a_recogniser_that_never_says_what_it_was_does_not_either() -> None:
    call = saying_goodbye("auto")
    call.feed(interim("the"), GOODBYE, interim(""))
    assert call.c.state == "ENDED"


@pytest.mark.parametrize("words", ["Mm-hmm.", "pleasure to talk to"])
def test_a_listening_noise_or_an_echo_is_no_reason_to_stay(words: str) -> None:
    call = saying_goodbye()
    call.feed(interim(words), GOODBYE)
    said: list[d.Command] = []
    for _ in range(100):
        said += call.wait(0.1)
        if of(said, d.FlushRecogniser):
            break
    said += call.feed(final(words), SttFlushed(1001))
    assert not begun(said)
    assert of(said, d.EndSession) == END


# ---------------------------------------------------------------- into a long silence

NOBODY = [d.EndSession(1000, "nobody answered")]
HEARD_OUT = d.ResponseDone(1, hangs_up=True)


def given_up() -> Call:
    """The goodbye behind a question that nobody has answered can be heard."""
    call, _ = listening_with(d.Silence(10, ("Still there?",), "I wish you a good day. Goodbye."))
    call.now_s += 10
    call.feed(d.Tick(hearing=True), d.ResponseDone(0))
    call.now_s += 10
    (turn,) = begun(call.feed(d.Tick(hearing=True)))
    assert turn.leaves
    words = tuple(turn.say.split())
    call.feed(d.FirstAudio(1), Floor(words, 2, whole=True))
    return call


def test_who_comes_back_for_the_goodbye_is_answered() -> None:
    call = given_up()
    said = call.feed(VoiceEdge(True, 0.0)) + call.wait(0.2)
    assert of(said, d.CancelResponse) == [d.CancelResponse(1, "user_interrupt", interrupted=True)]
    call.feed(d.ResponseDone(1), final("Sorry, here I am."), VoiceEdge(False, 0.0))
    said = call.wait(2.0)
    (turn,) = begun(call.feed(SttFlushed(1001)))
    assert turn.text == "Sorry, here I am."
    assert not of(call.feed(d.ResponseDone(2)), d.EndSession)
    call.now_s += 10
    (asked,) = begun(call.feed(d.Tick(hearing=True)))
    assert asked.say == "Still there?", "the count starts again"


def test_nobody_comes_back_and_the_call_ends() -> None:
    assert of(given_up().feed(HEARD_OUT), d.EndSession) == NOBODY


def test_a_sound_in_the_goodbye_that_was_nothing_ends_the_call_as_well() -> None:
    call = given_up()
    call.feed(interim("the"), HEARD_OUT)
    assert call.c.state != "ENDED"
    assert of(call.feed(interim("")), d.EndSession) == NOBODY


def test_a_goodbye_that_was_not_heard_is_tried_once() -> None:
    """It failed, or was cut and nothing came behind that: the next silence ends the call."""
    call = given_up()
    assert not of(call.feed(d.ResponseDone(1)), d.EndSession)
    call.now_s += 10
    assert of(call.feed(d.Tick(hearing=True)), d.EndSession) == NOBODY
