"""What somebody outside the conversation has it say: in every state, and as the last words."""

from __future__ import annotations

import attrs
import pytest

from tests.core.test_barging import OFF, ON, answering, begun, cancelled, ended_turn, stopped
from tests.core.test_conversation import Call, ending, final, interim, listening_with, of, sent
from vantum.core import conversation as table
from vantum.core import decisions as d
from vantum.core import events as e
from vantum.core.barging import unanswered
from vantum.core.floor import Floor
from vantum.core.messages import SttFlushed

TEXT = d.Announce("One moment, please.")
LAST = d.Announce("Goodbye.", then_hang_up=True, reason="asked not to be called")


def texts(commands: list[d.Command]) -> list[str]:
    return [turn.say for turn in begun(commands)]


def saying_goodbye(mode: str = "auto") -> Call:
    """The last words can be heard."""
    call = answering(mode)
    call.feed(LAST, d.ResponseDone(0), d.FirstAudio(1))
    assert call.c.state == "RESPONDING"
    return call


def test_it_is_said_at_once_when_nobody_speaks() -> None:
    call = Call().listening("auto")
    assert texts(call.feed(TEXT)) == [TEXT.text]
    call.feed(d.FirstAudio(0), d.ResponseDone(0))
    assert call.c.state == "LISTENING"


def test_an_answer_that_is_heard_is_cut_for_it_and_what_waits_is_answered_after_it() -> None:
    call = answering("off")
    call.turn("And the price?", 2)
    assert cancelled(call.feed(TEXT)) == [
        d.CancelResponse(0, "announcement", interrupted=False),
    ]
    said = call.feed(d.ResponseDone(0))
    assert texts(said) == [TEXT.text]
    (turn,) = begun(call.feed(d.FirstAudio(2), d.ResponseDone(2)))
    assert turn.text == "And the price?"


def test_an_answer_that_is_thought_of_is_dropped_for_it() -> None:
    call = Call().listening("auto")
    call.turn("Hello.", 1)
    assert cancelled(call.feed(TEXT))
    assert texts(call.feed(d.ResponseDone(0))) == [TEXT.text]


def test_words_that_would_have_joined_the_dropped_turn_are_one_of_their_own() -> None:
    call = Call().listening("auto")
    call.turn("My code is.", 1)
    call.feed(final("five"))
    assert call.c.joins
    call.feed(d.ResponseDone(0), TEXT, d.FirstAudio(1), d.ResponseDone(1))
    (turn,) = begun(ended_turn(call))
    assert (turn.text, turn.joins) == ("five", False)


def test_an_answer_that_a_noise_has_stopped_does_not_go_on_after_it() -> None:
    call = stopped(answering())
    assert texts(call.feed(TEXT)) == [TEXT.text]
    call.feed(OFF, d.FirstAudio(1), d.ResponseDone(1))
    assert not begun(call.wait(5))
    assert call.c.state == "LISTENING"


def test_before_anything_can_be_said_it_waits_and_takes_the_place_of_the_greeting() -> None:
    call = Call()
    call.c = attrs.evolve(call.c, greeting="Good day.")
    second = d.Announce("And another thing.")
    assert call.feed(start_auto(), final("Hello?"), ending(1), SttFlushed(1), TEXT, second)
    assert texts(call.feed(d.RoleReady("stt"), d.RoleReady("tts"))) == [TEXT.text]
    assert texts(call.feed(d.ResponseDone(1))) == [second.text]
    assert [turn.text for turn in begun(call.feed(d.ResponseDone(2)))] == ["Hello?"]


def start_auto() -> e.StartInput:
    return e.StartInput(e.Request(), e.InputOptions(turn_detection="auto"))


def test_a_greeting_comes_first_even_if_somebody_has_spoken_before_it() -> None:
    call = Call()
    call.c = attrs.evolve(call.c, greeting="Good day.")
    call.feed(start_auto(), final("Hello?"), ending(1), SttFlushed(1))
    assert texts(call.feed(d.RoleReady("stt"), d.RoleReady("tts"))) == ["Good day."]
    assert [turn.text for turn in begun(call.feed(d.ResponseDone(1)))] == ["Hello?"]


def test_it_is_passed_over_when_the_call_ends_anyway() -> None:
    call = answering()
    call.feed(d.CloseRequested(1001, "bye"))
    assert call.feed(TEXT, LAST) == []
    call = saying_goodbye()
    assert call.feed(TEXT, LAST) == []
    call.feed(e.EndCall(e.Request()))
    assert call.feed(TEXT) == []


def test_an_ordinary_one_is_interrupted_like_any_answer() -> None:
    call = Call().listening("auto")
    call.feed(TEXT, d.FirstAudio(0), ON)
    assert cancelled(call.wait(0.2))


def test_what_was_said_before_the_last_words_is_known_though_its_turn_was_not_over() -> None:
    call = Call().listening("auto")
    call.feed(final("I have"), interim("a question"))
    (turn,) = begun(call.feed(LAST))
    assert (turn.text, turn.say) == ("I have a question", LAST.text)


def test_who_hangs_up_during_the_last_words_is_not_recorded_twice() -> None:
    """The recogniser's text goes on with what was taken when they began."""
    call = Call().listening("auto")
    call.feed(interim("I have"))
    (turn,) = begun(call.feed(LAST))
    assert turn.text == "I have"
    call.feed(d.FirstAudio(0), final("I have a question"), e.EndCall(e.Request()))
    assert call.c.state == "ENDED"
    assert unanswered(call.c) == ()


def test_behind_the_last_words_the_call_ends() -> None:
    call = saying_goodbye()
    said = call.feed(d.ResponseDone(1))
    assert said[-1] == d.EndSession(1000, "asked not to be called")
    assert sent(said, e.Disconnecting) == [e.Disconnecting("asked not to be called")]


@pytest.mark.parametrize("mode", ["auto", "words", "off"])
def test_nothing_that_is_said_meanwhile_interrupts_the_last_words(mode: str) -> None:
    call = saying_goodbye(mode)
    call.feed(ON)
    assert table.wake_at(call.c) > call.now_s + 1, "a voice that stops nothing wakes nobody"
    said = call.wait(0.5)
    said += call.feed(final("Please leave a message"), interim("after the tone"), OFF)
    said += ended_turn(call)
    said += call.feed(e.Interrupt(e.Request()), e.InputDigits(e.Request(), "1"))
    assert not cancelled(said)
    assert call.feed(d.ResponseDone(1))[-1] == d.EndSession(1000, "asked not to be called")


def test_words_before_the_last_ones_sound_do_not_drop_them() -> None:
    call = Call().listening("auto")
    call.feed(LAST)
    assert not cancelled(call.feed(ON, final("Who is there?"), e.Interrupt(e.Request())))
    assert not cancelled(call.feed(d.FirstAudio(0)))


def test_the_last_words_that_cannot_be_synthesised_end_the_call_all_the_same() -> None:
    call = Call().listening("auto")
    call.feed(LAST)
    failed = d.RoleLost("tts", "network", "gone")
    assert of(call.feed(d.ResponseDone(0, (failed,))), d.EndSession)


@pytest.mark.parametrize("role", ["stt", "tts"])
def test_last_words_that_nobody_will_ever_hear_end_the_call_at_once(role: str) -> None:
    call = Call()
    call.feed(start_auto(), LAST)
    said = call.feed(d.RoleLost(role, "network", "gone"))  # type: ignore[arg-type]
    assert said[-1] == d.EndSession(1000, "asked not to be called")


def test_a_recogniser_that_is_lost_as_they_begin_does_not_take_them_away() -> None:
    call = answering()
    assert cancelled(call.feed(LAST))
    assert not of(call.feed(d.RoleLost("stt", "network", "gone")), d.EndSession)
    assert texts(call.feed(d.ResponseDone(0))) == [LAST.text]


def test_the_client_may_hang_up_on_the_last_words_and_time_may_run_out() -> None:
    call = saying_goodbye()
    assert cancelled(call.feed(e.EndCall(e.Request())))
    assert call.c.state == "ENDED"
    call = saying_goodbye()
    call.feed(d.CloseRequested(1001, "down"))
    assert cancelled(call.wait(11))
    assert call.feed(d.ResponseDone(1))[-1] == d.EndSession(1001, "down")


def test_who_is_asked_whether_he_is_there_hears_it_after_the_greeting() -> None:
    call, _ = listening_with(d.Silence(10, ("Still there?",), "Bye."), greeting="Good day.")
    call.feed(d.FirstAudio(0), TEXT, d.ResponseDone(0), d.FirstAudio(1))
    call.now_s += 3
    call.feed(d.ResponseDone(1))
    assert table.wake_at(call.c) == call.now_s + 10


# ---------------------------------------------------------------- as an answer

REPLY = d.Announce("I am sorry.", then_hang_up=True, answers=True)


def test_an_answer_takes_the_words_it_answers_with_it() -> None:
    call = Call().listening("auto")
    call.feed(final("Please stop"), final("calling me"), interim("ever"))
    (turn,) = begun(call.feed(REPLY))
    assert (turn.text, turn.say) == ("Please stop calling me ever", "I am sorry.")
    assert (call.c.words, call.c.interim) == ((), "")
    assert table.wake_at(call.c) > call.now_s + 60, "no turn waits for its end"


def test_an_answer_cuts_the_one_that_is_heard() -> None:
    call = answering()
    call.feed(ON, final("Stop calling me"))
    said = call.feed(REPLY)
    said += call.feed(d.ResponseDone(0))
    turns = begun(call.commands)
    assert turns[-1].text == "Stop calling me"
    assert turns[-1].ends is not None


def test_an_answer_to_words_that_joined_a_turn_goes_on_with_it() -> None:
    call = Call().listening("auto")
    call.turn("I told you.", 1)
    call.feed(final("stop calling me"))
    assert call.c.joins
    call.feed(d.ResponseDone(0))
    (turn,) = begun(call.feed(REPLY))
    assert (turn.text, turn.joins) == ("stop calling me", True)


def test_an_answer_to_nothing_is_just_said() -> None:
    call = Call().listening("manual")
    (turn,) = begun(call.feed(REPLY))
    assert (turn.text, turn.joins, turn.say) == ("", False, "I am sorry.")


# ---------------------------------------------------------------- a greeting that must be heard


OWN_REST = "calling for Acme about your last"


def greeting(*, firm: bool) -> Call:
    call = Call()
    call.c = attrs.evolve(call.c, greeting="This is an AI assistant.", greeting_is_firm=firm)
    call.feed(start_auto(), d.RoleReady("stt"), d.RoleReady("tts"), d.FirstAudio(0))
    return call


@pytest.mark.parametrize("firm", [True, False])
def test_a_firm_greeting_is_heard_and_who_spoke_into_it_is_answered_after_it(firm: bool) -> None:
    call = greeting(firm=firm)
    said = call.feed(ON)
    said += call.wait(0.5)
    said += call.feed(final("Hello? Who is this?"), OFF)
    said += call.feed(e.Interrupt(e.Request()), e.InputDigits(e.Request(), "1"))
    assert bool(cancelled(said)) is not firm
    if firm:
        ended_turn(call)
        (turn,) = begun(call.feed(d.ResponseDone(0)))
        assert turn.text == "Hello? Who is this? (pressed 1)"


@pytest.mark.parametrize(
    ("heard", "turns"),
    [
        (("This? Is it an assistant?",), ["This? Is it an assistant?"]),
        (("This is an AI assistant.",), []),
        (("This is an AI assistant", "Who are you?", OWN_REST), ["Who are you?"]),
        (("Mm-hmm.",), []),
    ],
)
def test_over_a_firm_greeting_only_its_echo_is_dropped(
    heard: tuple[str, ...], turns: list[str]
) -> None:
    call = greeting(firm=True)
    words = tuple(f"This is an AI assistant {OWN_REST} order.".split())
    call.feed(Floor(words, 0), ON)
    for n, text in enumerate(heard, 3):
        call.feed(Floor(words, 3 * n), final(text))
    call.feed(OFF)
    ended_turn(call)
    assert [turn.text for turn in begun(call.feed(d.ResponseDone(0)))] == turns


def test_a_firm_greeting_gives_way_to_an_announcement_and_to_the_end() -> None:
    call = greeting(firm=True)
    assert cancelled(call.feed(LAST))
    call = greeting(firm=True)
    assert cancelled(call.feed(e.EndCall(e.Request())))
