"""The agent says goodbye: the call ends behind it, unless somebody has something to say to that."""

from __future__ import annotations

import pytest

from tests.core.test_barging import begun
from tests.core.test_conversation import Call, ending, final, interim, of
from vantum.core import decisions as d
from vantum.core import events as e
from vantum.core.bargein import Floor
from vantum.core.messages import SttFlushed

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
