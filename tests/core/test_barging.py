"""Interruption in the table: what the caller's sounds do to an answer."""

from __future__ import annotations

import attrs
import pytest

from tests.core.test_conversation import Call, ending, final, interim, moves, of, sent, start
from vantum.core import conversation as table
from vantum.core import decisions as d
from vantum.core import events as e
from vantum.core.bargein import BargeIn, BargeInOptions
from vantum.core.barging import asks_sound, holds_answer, unanswered
from vantum.core.floor import Floor
from vantum.core.messages import EchoHeard, SttFlushed, VoiceEdge

TEXT = "Our platform answers every call within a second and it never forgets what was said"
ON, OFF = VoiceEdge(True, 0.0), VoiceEdge(False, 0.0)


def answering(mode: str = "auto", *, auto: bool = True) -> Call:
    """An answer to "Hello." that can be heard, in the middle of it."""
    call = Call().listening("auto" if auto else "manual")
    options = BargeInOptions(mode=mode)  # type: ignore[arg-type]
    call.c = attrs.evolve(call.c, bargein=BargeIn(options))
    call.turn("Hello.", 1)
    call.feed(d.FirstAudio(0), Floor(tuple(TEXT.split()), 7))
    assert call.c.state == "RESPONDING"
    return call


def cancelled(commands: list[d.Command]) -> list[d.CancelResponse]:
    return [c for c in commands if isinstance(c, d.CancelResponse)]


def begun(commands: list[d.Command]) -> list[d.Turn]:
    return [c.turn for c in commands if isinstance(c, d.StartResponse)]


def stopped(call: Call) -> Call:
    """A voice has stopped the answer, and goes on."""
    call.feed(ON)
    assert table.wake_at(call.c) == pytest.approx(call.now_s + 0.06)
    said = call.wait(0.2)
    assert cancelled(said) == [d.CancelResponse(0, "user_interrupt", interrupted=True)]
    said = call.feed(d.ResponseDone(0))
    assert moves(said) == [("INTERRUPTED", "LISTENING")]
    return call


def ended_turn(call: Call, flush_id: int = 1001) -> list[d.Command]:
    while not of(call.wait(0.1), d.FlushRecogniser):
        assert call.c.endpointing.began_s is not None
    return call.feed(SttFlushed(flush_id))


def until_begun(call: Call) -> list[d.Command]:
    """Ten seconds at most in which nothing happens."""
    said: list[d.Command] = []
    for _ in range(100):
        if begun(said):
            break
        said = call.wait(0.1)
    return said


# ---------------------------------------------------------------- a real one


def test_a_voice_does_not_stop_what_cannot_be_heard() -> None:
    """All that is known was heard, and more is being made: a cough must not throw that away."""
    call = answering()
    said = tuple(TEXT.split())
    call.feed(Floor(said, len(said)))
    call.feed(ON)
    for _ in range(5):
        assert table.wake_at(call.c) > call.now_s, "it is looked again, but not without end"
        assert not cancelled(call.wait(0.11))
    # Now there is something to stop again, and the voice is still there.
    call.feed(Floor((*said, "and", "more"), len(said)))
    assert cancelled(call.wait(0.11))


def test_words_stop_what_cannot_be_heard() -> None:
    call = answering()
    said = tuple(TEXT.split())
    call.feed(Floor(said, len(said)))
    call.feed(ON)
    assert cancelled(call.feed(interim("wait a moment then")))


def test_an_answer_that_is_being_heard_to_its_end_is_stopped_by_a_voice() -> None:
    call = answering()
    said = tuple(TEXT.split())
    call.feed(Floor(said, len(said), whole=True))
    call.feed(ON)
    assert cancelled(call.wait(0.11))


def test_words_after_a_stop_are_the_next_turn() -> None:
    call = stopped(answering())
    call.feed(final("Wait, what is it?"), OFF)
    assert call.c.bargein.stopped_s is None
    (turn,) = begun(ended_turn(call))
    assert turn == d.Turn(1, "Wait, what is it?", e.Request("audio.input.start", "s"))


def test_words_stop_without_a_voice() -> None:
    call = answering("words")
    assert not cancelled(call.feed(ON))
    assert not cancelled(call.wait(3))
    assert not cancelled(call.feed(interim("yeah")))
    assert cancelled(call.feed(interim("yeah but")))


def test_interim_words_that_vanish_were_none() -> None:
    call = stopped(answering())
    call.feed(interim("the"), OFF)
    assert table.wake_at(call.c) < call.now_s + 5
    assert call.c.bargein.stopped_s is not None
    call.feed(final(""))
    assert begun(until_begun(call))[0].resumes


def test_turns_that_waited_wait_on_until_it_is_clear_who_speaks() -> None:
    call = answering("auto")
    call.feed(ending(2), final("Mm-hmm."), SttFlushed(2))  # he has ended it himself
    assert [turn.text for turn in call.c.queue] == ["Mm-hmm."]
    stopped(call)
    assert call.c.queue
    assert [turn.text for turn in begun(call.feed(final("Stop it.")))] == ["Mm-hmm."]


def test_an_explicit_end_is_a_turn_whatever_was_said() -> None:
    call = stopped(answering())
    (turn,) = begun(call.feed(OFF, ending(2), final("okay"), SttFlushed(2)))
    assert turn.text == "okay"


# ---------------------------------------------------------------- a false one


def test_a_cough_resumes() -> None:
    call = stopped(answering())
    call.feed(OFF)
    assert table.wake_at(call.c) <= call.now_s + 1.0
    said = until_begun(call)
    assert begun(said) == [d.Turn(1, "", e.Request("audio.input.start", "s"), resumes=True)]
    assert call.now_s <= 101.5
    assert moves(said) == [("LISTENING", "THINKING")]
    call.feed(d.FirstAudio(1))
    assert moves(call.feed(d.ResponseDone(1))) == [("RESPONDING", "LISTENING")]


def test_a_turn_of_words_makes_voices_count_again() -> None:
    call = answering()
    call.c = attrs.evolve(call.c, bargein=attrs.evolve(call.c.bargein, duds=2))
    call.feed(ON)
    assert not cancelled(call.wait(0.3)), "the last two were coughs"
    call.feed(OFF, d.ResponseDone(0))
    call.turn("What does it cost?", 2)
    call.feed(d.FirstAudio(1), Floor(tuple(TEXT.split()), 7), ON)
    assert cancelled(call.wait(0.2))


@pytest.mark.parametrize("words", ["Mm-hmm.", "a second and it"])
def test_listening_noises_and_echoes_resume_sooner_and_are_no_turn(words: str) -> None:
    call = stopped(answering())
    call.feed(final(words), OFF)
    (turn,) = begun(call.wait(0.41))
    assert turn.resumes
    assert call.c.words == ()
    call.feed(d.FirstAudio(1))
    said = call.wait(9)
    assert not begun(said)
    assert not cancelled(said)
    assert call.c.queue == ()


def test_an_answer_of_the_recognisers_that_there_is_nothing_resumes_at_once() -> None:
    options = BargeInOptions(false_stop_s=5.0)
    call = answering()
    call.c = attrs.evolve(call.c, bargein=attrs.evolve(call.c.bargein, options=options))
    stopped(call).feed(OFF)
    (turn,) = begun(ended_turn(call))
    assert turn.resumes


def test_a_flush_while_the_voice_goes_on_decides_nothing() -> None:
    call = stopped(answering())
    call.feed(d.TurnEnding(50))
    assert not begun(call.feed(SttFlushed(50)))
    assert call.c.bargein.stopped_s is not None


def test_a_stop_in_the_last_moment_of_a_call_that_ends() -> None:
    call = stopped(answering())
    call.feed(OFF)
    said = call.feed(d.CloseRequested(1000, "time up"))
    assert of(said, d.EndSession)


def test_an_interrupt_after_a_stop_keeps_it_stopped() -> None:
    call = stopped(answering())
    assert not begun(call.feed(OFF, e.Interrupt(e.Request())))
    assert not begun(call.wait(5))


def test_a_noise_that_is_no_stop_is_no_turn() -> None:
    call = answering()
    call.feed(ON)
    call.now_s += 0.15
    call.feed(OFF, final("mm-hmm"))
    assert not begun(ended_turn(call))
    assert not call.c.queue
    assert call.c.state == "RESPONDING"


def test_a_listening_noise_in_the_last_words_is_no_turn_but_an_answer_is() -> None:
    for floor, queued in ((Floor(tuple(TEXT.split()), 7), 0), (Floor(("Shall", "we?"), 1), 1)):
        call = answering()
        call.feed(floor, ON)
        call.now_s += 0.1
        call.feed(OFF, d.ResponseDone(0))
        call.feed(final("yes"))
        assert len(begun(ended_turn(call))) == queued


def test_echoes_are_dropped_as_they_come() -> None:
    call = answering("words")
    call.feed(ON, final("within a second and it"))
    assert call.c.words == ()
    assert call.c.bargein.echoing
    assert call.c.state == "RESPONDING"


def test_the_agent_does_not_hang_up_on_who_speaks_during_its_goodbye() -> None:
    for words, ends in (((), True), ((interim("wait"),), False)):
        call = answering("off")
        call.feed(*words)
        assert bool(of(call.feed(d.ResponseDone(0, (), True)), d.EndSession)) == ends


def test_off_is_as_it_was() -> None:
    call = answering("off")
    call.feed(ON, final("yes"))
    assert not cancelled(call.wait(1))
    call.feed(OFF)
    ended_turn(call)
    assert [turn.text for turn in call.c.queue] == ["yes"]


def test_manual_mode_knows_no_interruption_by_voice() -> None:
    call = answering(auto=False)
    call.feed(ON, final("stop it now"))
    assert not cancelled(call.wait(3))


def test_a_goodbye_is_not_stopped() -> None:
    call = answering()
    call.feed(d.CloseRequested(1000, "time up"), ON, interim("but wait a moment"))
    assert not cancelled(call.wait(1))


def test_a_resumed_answer_is_stopped_like_any_other() -> None:
    call = stopped(answering())
    call.feed(final("okay"), OFF)
    (turn,) = begun(call.wait(0.5))
    call.feed(d.FirstAudio(turn.number), Floor(tuple(TEXT.split()), 3), ON)
    (cut,) = cancelled(call.wait(0.2))
    assert cut.turn == turn.number
    call.feed(d.ResponseDone(turn.number), final("I do not want it."), OFF)
    assert [t.text for t in begun(ended_turn(call))] == ["I do not want it."]


# ---------------------------------------------------------------- while we think


def thinking() -> Call:
    call = Call().listening("auto")
    call.turn("I would like", 1)
    assert call.c.state == "THINKING"
    return call


def test_who_goes_on_while_we_think_has_one_turn() -> None:
    call = thinking()
    (cut,) = cancelled(call.feed(ON, interim("to know")))
    assert cut == d.CancelResponse(0, "user_interrupt", interrupted=True, joins=True)
    assert moves(call.feed(d.ResponseDone(0))) == [("THINKING", "LISTENING")]
    call.feed(final("to know the price."), OFF)
    (turn,) = begun(ended_turn(call))
    assert (turn.text, turn.joins) == ("to know the price.", True)
    assert not call.c.joins


def test_words_that_vanish_while_we_think_leave_the_turn_as_it_was() -> None:
    call = thinking()
    call.feed(ON, interim("the"), d.ResponseDone(0), final(""), OFF)
    (turn,) = begun(ended_turn(call))
    assert (turn.text, turn.joins) == ("", True)


def test_a_listening_noise_while_we_think_is_nothing() -> None:
    call = thinking()
    assert not cancelled(call.feed(ON, final("okay"), OFF))
    assert not begun(ended_turn(call))
    assert not call.c.queue


def test_with_turns_waiting_more_words_are_one_more() -> None:
    call = thinking()
    call.feed(ending(2), interim("one"))
    call.c = attrs.evolve(call.c, queue=(d.Turn(7, "earlier", e.Request()),))
    assert not cancelled(call.feed(final("one more")))


def test_a_greeting_in_the_making_is_said_whatever_comes() -> None:
    call = Call()
    call.c = attrs.evolve(call.c, greeting="Hello, this is Alex.")
    call.feed(e.StartInput(e.Request(), e.InputOptions()), d.RoleReady("stt"), d.RoleReady("tts"))
    assert not cancelled(call.feed(ON, interim("hello who is")))
    assert not cancelled(call.feed(d.FirstAudio(0))), "that was said before it"
    assert cancelled(call.feed(interim("hello who is there")))


def prompting(*prompts: str, goodbye: str = "") -> Call:
    """What is said into a long silence is being made; nobody has heard it yet."""
    call = Call()
    call.c = attrs.evolve(call.c, silence=d.Silence(10.0, prompts, goodbye))
    call.listening("auto")
    call.now_s += 10
    call.feed(d.Tick(hearing=True))
    assert call.c.state == "THINKING"
    return call


@pytest.mark.parametrize("heard_first", [False, True])
def test_a_short_word_into_the_silence_is_an_answer_though_we_are_about_to_ask(
    heard_first: bool,
) -> None:
    """It belongs to what was said before the silence, as it would have a moment earlier."""
    call = prompting("Still there?")
    call.feed(ON, OFF, final("Yes."))
    if heard_first:
        call.feed(d.FirstAudio(0))
    ended_turn(call)
    assert [turn.text for turn in begun(call.feed(d.ResponseDone(0)))] == ["Yes."]


def test_who_says_yes_while_our_goodbye_is_being_made_is_not_hung_up_on() -> None:
    call = prompting(goodbye="Goodbye.")
    call.feed(ON, OFF, final("Yes."))
    ended_turn(call)
    call.feed(d.FirstAudio(0))
    assert [turn.text for turn in begun(call.feed(d.ResponseDone(0, hangs_up=True)))] == ["Yes."]


@pytest.mark.parametrize("heard_first", [False, True])
def test_a_short_word_before_the_greeting_sounds_is_no_turn(heard_first: bool) -> None:
    """Who picks a telephone up says "yes?", and the greeting is the answer to that."""
    call = Call()
    call.c = attrs.evolve(call.c, greeting="Hello, this is Alex.")
    call.feed(start("auto"), d.RoleReady("stt"), d.RoleReady("tts"))
    call.feed(ON, OFF, final("Yes?"))
    if heard_first:
        call.feed(d.FirstAudio(0))
    ended_turn(call)
    assert not begun(call.feed(d.ResponseDone(0)))


def test_words_before_a_resumed_answer_sounds_keep_it_stopped() -> None:
    call = stopped(answering())
    call.feed(final("okay"), OFF)
    (turn,) = begun(call.wait(0.5))
    assert call.c.state == "THINKING"
    (cut,) = cancelled(call.feed(interim("but tell me")))
    assert cut.joins
    call.feed(d.ResponseDone(turn.number))
    call.feed(final("but tell me more."))
    assert [(t.text, t.joins) for t in begun(ended_turn(call))] == [("but tell me more.", False)]


# ---------------------------------------------------------------- an answer that is ready waits


def raised() -> Call:
    """While the agent thinks, the caller raises his voice again."""
    call = thinking()
    assert not holds_answer(call.c), "nobody has spoken since"
    call.feed(ON)
    assert holds_answer(call.c)
    return call


def test_words_that_come_while_an_answer_waits_join_the_turn() -> None:
    call = raised()
    call.wait(0.5)
    assert holds_answer(call.c)
    (cut,) = cancelled(call.feed(interim("to know")))
    assert cut.joins
    call.feed(d.ResponseDone(0))
    assert not holds_answer(call.c)


@pytest.mark.parametrize("words", ["", "mm-hmm"])
def test_a_sound_that_was_nothing_holds_an_answer_a_moment_longer(words: str) -> None:
    call = raised()
    call.wait(0.3)
    call.feed(final(words), OFF)
    assert holds_answer(call.c), "its words may be on their way"
    assert table.wake_at(call.c) <= call.now_s + 0.4
    call.wait(0.45)
    assert not holds_answer(call.c)
    assert not cancelled(call.wait(0.1))
    call.feed(ON)
    assert holds_answer(call.c), "a new voice"


def test_a_hum_that_does_not_end_holds_no_answer_for_long() -> None:
    call = raised()
    call.wait(1.9)
    assert holds_answer(call.c)
    call.wait(0.2)
    assert not holds_answer(call.c)
    call.feed(d.FirstAudio(0))
    assert not cancelled(call.wait(0.5)), "it has been passed over"


def test_what_holds_no_answer() -> None:
    call = thinking()
    call.c = attrs.evolve(call.c, queue=(d.Turn(7, "earlier", e.Request()),))
    call.feed(ON)
    assert not holds_answer(call.c), "words would be a turn of their own"
    call = raised()
    call.feed(d.CloseRequested(1000, "time is up"))
    assert not holds_answer(call.c)
    call = raised()
    call.feed(d.FirstAudio(0))
    assert not holds_answer(call.c), "it sounds already"
    for mode in ("words", "off"):
        call = thinking()
        call.c = attrs.evolve(call.c, bargein=BargeIn(BargeInOptions(mode=mode)))
        call.feed(ON)
        assert not holds_answer(call.c)
    call = Call().listening("manual")
    call.turn("Hello.", 1)
    call.feed(ON)
    assert not holds_answer(call.c)


# ---------------------------------------------------------------- explicit interrupts


def test_a_second_interrupt_does_not_hit_the_answer_behind() -> None:
    call = answering("off")
    call.feed(ending(2), final("two"), SttFlushed(2), ending(3), final("three"), SttFlushed(3))
    interrupt = e.Interrupt(e.Request())
    assert cancelled(call.feed(interrupt))
    (turn,) = begun(call.feed(d.ResponseDone(0)))
    assert not cancelled(call.feed(interrupt)), "nothing of it can be heard yet"
    call.feed(d.FirstAudio(turn.number))
    call.now_s += 0.1
    assert not cancelled(call.feed(interrupt)), "nobody is so quick"
    call.now_s += 0.3
    assert [cut.turn for cut in cancelled(call.feed(interrupt))] == [turn.number]
    assert not sent(call.commands, e.ErrorReply)


# ---------------------------------------------------------------- when the call is over


def test_what_nobody_will_answer_is_still_known() -> None:
    call = Call().listening()
    call.turn("one", 1)
    call.turn("two", 2)
    call.feed(final("three"), interim("four"))
    assert unanswered(call.c) == ("two", "three four")
    call.feed(e.EndCall(e.Request()))
    assert call.c.state == "ENDED"
    assert unanswered(call.c) == ("two three four",)


def test_what_is_said_while_the_call_is_closing_is_still_known() -> None:
    call = Call().listening()
    call.turn("one", 1)
    call.feed(d.CloseRequested(1001, "bye"))
    assert sent(call.turn("two", 2), e.ErrorReply)
    assert sent(call.turn("three", 3), e.ErrorReply)
    assert unanswered(call.c) == ("two three",)
    call.feed(d.ResponseDone(0))
    assert call.c.state == "ENDED"
    assert unanswered(call.c) == ("two three",)


def test_a_listening_noise_is_no_last_word() -> None:
    call = answering()
    call.feed(ON, interim("Mm-hmm."))
    assert unanswered(call.c) == ()
    call.feed(final("Wait, I have to go."))
    assert unanswered(call.c) == ("Wait, I have to go.",)


def test_what_is_heard_during_our_last_words_is_no_last_word() -> None:
    call = Call().listening("auto")
    call.feed(d.Announce("Goodbye.", then_hang_up=True), d.FirstAudio(0))
    call.turn("Hello?", 1)
    call.feed(final("Anybody?"))
    assert len(call.c.queue) == 1
    assert unanswered(call.c) == ()
    call.feed(d.ResponseDone(0))
    assert call.c.state == "ENDED"
    assert unanswered(call.c) == ()


def test_what_was_said_before_our_last_words_is() -> None:
    call = Call().listening()
    call.turn("one", 1)
    call.turn("two", 2)
    call.feed(d.Announce("Goodbye.", then_hang_up=True), d.ResponseDone(0))
    assert unanswered(call.c) == ("two",)
    call.feed(d.ResponseDone(2))
    assert call.c.state == "ENDED"
    assert unanswered(call.c) == ("two",)


# ---------------------------------------------------------------- an echo that the ear knows


def test_an_echo_by_its_sound_is_no_voice_for_anybody() -> None:
    call = answering()
    assert not call.feed(EchoHeard())
    assert call.c.endpointing.began_s is None
    assert not cancelled(call.wait(1.0))


def test_what_is_understood_of_an_echo_stops_the_agent_when_it_is_final_and_not_ours() -> None:
    call = answering()
    call.feed(EchoHeard())
    assert not cancelled(call.feed(interim("wait I have a question")))
    assert not cancelled(call.feed(final("platforms answers very call")))
    assert cancelled(call.feed(final("wait I have a question")))


def test_who_speaks_into_an_echo_stops_the_agent_by_his_voice() -> None:
    call = answering()
    call.feed(EchoHeard())
    assert cancelled(call.feed(VoiceEdge(True, 0.0, 0.1)))


def test_words_whose_sound_is_an_echo_stop_nothing_and_are_no_turn() -> None:
    call = answering()
    call.feed(EchoHeard(words=True))
    assert not cancelled(call.feed(final("wait I have a question")))
    assert call.c.words == ()
    assert cancelled(call.feed(final("wait I have a question")))


def test_the_ear_is_asked_about_words_that_may_be_an_echo() -> None:
    eared = answering()
    assert not asks_sound(eared.c, final("wait")), "there is no ear"
    eared.c = attrs.evolve(eared.c, bargein=BargeIn(eared=True))
    assert asks_sound(eared.c, final("wait"))
    assert asks_sound(eared.c, interim("wait"))
    assert not asks_sound(eared.c, final(""))
    assert not asks_sound(eared.c, ON)
    manual = answering(auto=False)
    manual.c = attrs.evolve(manual.c, bargein=BargeIn(eared=True))
    assert not asks_sound(manual.c, final("wait"))


def test_who_speaks_into_an_echo_is_heard_though_the_recogniser_goes_on_with_its_words() -> None:
    """One text holds the echo and his words behind it: most of it is ours, and he is not."""
    call = answering()
    call.feed(Floor(tuple(TEXT.split()), 8), EchoHeard(), interim("answers every call within a"))
    assert cancelled(call.feed(VoiceEdge(True, 0.0, 0.1)))
    call.feed(d.ResponseDone(0), interim("answers every call within a second wait Montreal"), OFF)
    assert not begun(call.wait(0.5)), "it would go on over him"
    call.feed(final("answers every call within a second wait Montreal"))
    assert "Montreal" in begun(ended_turn(call))[0].text


def test_a_stop_by_an_echo_goes_on_though_words_of_it_came_before() -> None:
    call = answering()
    call.feed(Floor(tuple(TEXT.split()), 8), EchoHeard(), interim("answers every call within"))
    assert cancelled(call.feed(VoiceEdge(True, 0.0, 0.1)))
    call.feed(d.ResponseDone(0), interim("answers every call within a second"), OFF)
    (turn,) = begun(until_begun(call))
    assert turn.resumes


def test_the_words_of_an_echo_alone_are_no_turn_though_a_voice_was_heard_in_it() -> None:
    call = answering()
    call.feed(Floor(tuple(TEXT.split()), 8), EchoHeard(), interim("answers every call within"))
    assert cancelled(call.feed(VoiceEdge(True, 0.0, 0.1)))
    call.feed(d.ResponseDone(0), final("answers every call within"), OFF)
    assert unanswered(call.c) == ()
    call.feed(final("wait"))
    assert unanswered(call.c) == ("answers every call within wait",)


# ---------------------------------------------------------------- what is final only afterwards


def resumed_over(words: str, *rest: d.Event) -> Call:
    """A voice has stopped the answer; its interim words were none, and the answer goes on."""
    call = stopped(answering())
    call.feed(interim(words), OFF, *rest)
    assert begun(until_begun(call))[-1].resumes
    call.feed(d.FirstAudio(1), Floor(tuple(TEXT.split()[7:]), 1))
    assert call.c.state == "RESPONDING"
    return call


def quiet_for(call: Call, seconds: float) -> list[d.Command]:
    said: list[d.Command] = []
    for _ in range(round(seconds * 10)):
        said += call.wait(0.1)
    return said


@pytest.mark.parametrize(
    ("words", "later"),
    [
        ("Mm", ["Mm-hmm.", ""]),
        ("Mm", ["Mm, okay", "Mm okay."]),
        ("call within a", ["call within a second"]),
    ],
)
def test_the_final_text_of_a_noise_is_no_turn_either(words: str, later: list[str]) -> None:
    call = resumed_over(words)
    *interims, last = later
    said = call.feed(*map(interim, interims), final(last))
    assert len(of(said, d.SendTranscript)) == sum(map(bool, later)), "the client is told"
    assert call.c.words == ()
    assert not call.c.interim
    said += quiet_for(call, 4)
    assert not of(said, d.FlushRecogniser)
    assert not cancelled(said)
    assert not begun(call.feed(d.ResponseDone(1)))


def test_a_noise_that_turns_out_to_be_words_stops_the_answer_again() -> None:
    call = resumed_over("Mm")
    said = call.feed(final("Mm, what does it cost?"))
    assert cancelled(said) == [d.CancelResponse(1, "user_interrupt", interrupted=True)]
    call.feed(d.ResponseDone(1))
    (turn,) = begun(ended_turn(call))
    assert turn.text == "Mm, what does it cost?"


@pytest.mark.parametrize("what", ["a voice", "a final text", "time"])
def test_what_comes_behind_a_noise_is_something_else(what: str) -> None:
    call = resumed_over("Mm")
    if what == "a voice":
        call.feed(ON, OFF)
    elif what == "a final text":
        call.feed(final("Mm."))
    else:
        quiet_for(call, 3.2)
    call.feed(final("Okay."))
    assert call.c.words == ("Okay.",)
