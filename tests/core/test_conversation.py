"""The conversation's table: each row by example, and any order of events by machine."""

from __future__ import annotations

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from vantum.core import conversation as table
from vantum.core import decisions as d
from vantum.core import events as e
from vantum.core.endpointing import CheckAnswered, Endpointing, EndpointingOptions
from vantum.core.floor import Floor
from vantum.core.messages import SttBehind, SttFlushed, Transcript, UtteranceEnded, VoiceEdge
from vantum.core.turn_taking import is_auto

PROVIDERS = {"stt": "a", "llm": "b", "tts": "c"}


def start(
    mode: e.TurnDetection = "manual", language: str = "en-US", event_id: str = "s"
) -> e.StartInput:
    return e.StartInput(
        e.Request("audio.input.start", event_id),
        e.InputOptions(turn_detection=mode, language=language),
    )


def ending(flush_id: int) -> d.InputEnding:
    return d.InputEnding(e.EndInput(e.Request("audio.input.end", f"e{flush_id}")), flush_id)


def final(text: str) -> Transcript:
    return Transcript(text, True, 0.9, 0.0, 1.0)


def interim(text: str) -> Transcript:
    return Transcript(text, False, 0.5, 0.0, 1.0)


class Call:
    """Feeds the table and remembers what it said."""

    def __init__(self, **limits: float) -> None:
        self.now_s = 100.0
        self.c = d.Conversation(d.Limits(**limits), self.now_s, PROVIDERS)  # type: ignore[arg-type]
        self.commands: list[d.Command] = []
        self.judged = 0

    def feed(self, *events: d.Event) -> list[d.Command]:
        said: list[d.Command] = []
        for event in events:
            self.c, commands = table.step(self.c, event, self.now_s)
            said += commands
            if any(isinstance(command, d.FlushRecogniser) for command in commands):
                # As the conductor does, at once.
                self.judged += 1
                said += self.feed(d.TurnEnding(1000 + self.judged))
        self.commands += said
        return said

    def wait(self, seconds: float) -> list[d.Command]:
        self.now_s += seconds
        return self.feed(d.Tick())

    def listening(self, mode: e.TurnDetection = "manual") -> Call:
        self.feed(start(mode), d.RoleReady("stt"), d.RoleReady("tts"))
        assert self.c.state == "LISTENING"
        return self

    def turn(self, text: str, flush_id: int = 1) -> list[d.Command]:
        return self.feed(final(text), ending(flush_id), SttFlushed(flush_id))


def sent(commands: list[d.Command], kind: type) -> list[object]:
    return [c.message for c in commands if isinstance(c, d.Send) and isinstance(c.message, kind)]


def moves(commands: list[d.Command]) -> list[tuple[str, str]]:
    return [(c.old, c.new) for c in commands if isinstance(c, d.MoveState)]


def of(commands: list[d.Command], kind: type) -> list[object]:
    return [c for c in commands if isinstance(c, kind)]


def test_start_opens_both_and_is_acked_when_both_are_ready() -> None:
    call = Call()
    assert call.feed(start()) == [d.OpenRecogniser("en-US"), d.OpenSynthesiser()]
    assert call.feed(d.RoleReady("tts")) == []
    said = call.feed(d.RoleReady("stt"))
    assert moves(said) == [("INITIALIZING", "LISTENING")]
    assert sent(said, e.Ready) == [e.Ready(PROVIDERS)]
    assert sent(said, e.Ack) == [e.Ack(e.Request("audio.input.start", "s"))]


def test_second_start_while_opening_orders_nothing_twice_and_both_are_acked() -> None:
    call = Call()
    call.feed(start(event_id="1"))
    assert call.feed(start(event_id="2")) == []
    said = call.feed(d.RoleReady("stt"), d.RoleReady("tts"))
    acked = sent(said, e.Ack)
    assert [a.request.event_id for a in acked] == ["1", "2"]  # type: ignore[attr-defined]


def test_start_with_all_ready_is_acked_at_once() -> None:
    call = Call().listening()
    assert call.feed(start(event_id="x")) == [d.Send(e.Ack(e.Request("audio.input.start", "x")))]


def test_start_with_another_language_reopens_only_the_recogniser() -> None:
    call = Call().listening()
    assert call.feed(start(language="de-DE")) == [d.OpenRecogniser("de-DE")]
    assert sent(call.feed(d.RoleReady("stt")), e.Ack)


def test_another_language_waits_for_the_words_of_a_turn_that_has_ended() -> None:
    """The recogniser of the old language alone knows them."""
    call = Call().listening()
    said = call.feed(interim("hel"), ending(1), start(language="de-DE", event_id="2"))
    assert not of(said, d.OpenRecogniser)
    assert not [a for a in sent(said, e.Ack) if a.request.event_id == "2"]  # type: ignore[attr-defined]
    said = call.feed(final("hello"), SttFlushed(1))
    assert of(said, d.SendTranscript) == [
        d.SendTranscript(e.Request("audio.input.start", "s"), final("hello"))
    ], "it belongs to the start before"
    assert of(said, d.StartResponse)[0].turn.text == "hello"  # type: ignore[attr-defined]
    assert of(said, d.OpenRecogniser) == [d.OpenRecogniser("de-DE")]
    assert call.c.state == "THINKING"
    (ack,) = sent(call.feed(d.RoleReady("stt")), e.Ack)
    assert ack == e.Ack(e.Request("audio.input.start", "2"))


def test_another_language_does_not_wait_for_a_recogniser_that_is_not_there() -> None:
    """It has heard nothing of the turn, whose audio waits in front of the next one."""
    call = Call()
    said = call.feed(start(), ending(1), start(language="de-DE"))
    assert of(said, d.OpenRecogniser) == [d.OpenRecogniser("en-US"), d.OpenRecogniser("de-DE")]


def test_another_language_does_not_wait_for_ever() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(interim("hello"), ending(1), start(language="de-DE"))
    said = call.wait(2.1)
    assert of(said, d.StartResponse)[0].turn.text == "hello"  # type: ignore[attr-defined]
    assert of(said, d.OpenRecogniser) == [d.OpenRecogniser("de-DE")]
    # The new recogniser never heard of the old flush: it must not wait for its answer.
    call.feed(d.RoleReady("stt"), d.ResponseDone(0))
    assert of(call.turn("hallo", 2), d.StartResponse)[0].turn.text == "hallo"  # type: ignore[attr-defined]


def test_another_language_in_the_middle_of_a_turn_keeps_its_words() -> None:
    call = Call().listening()
    call.feed(final("one"), interim("two"), start(language="de-DE"), d.RoleReady("stt"))
    said = call.turn("drei")
    assert of(said, d.StartResponse)[0].turn.text == "one two drei"  # type: ignore[attr-defined]


def test_recogniser_lost_while_another_language_waits_is_ordered_by_the_next_start() -> None:
    call = Call().listening()
    call.feed(ending(1), start(language="de-DE"))
    assert sent(call.feed(d.RoleLost("stt", "network", "gone")), e.ErrorReply)
    # The old one comes back by itself, for the old language: that is not what was asked for.
    call.feed(d.RoleReady("stt"))
    said = call.feed(start(language="de-DE", event_id="3"))
    assert of(said, d.OpenRecogniser) == [d.OpenRecogniser("de-DE")]
    assert not sent(said, e.Ack)


def test_turn_given_up_with_its_recogniser_is_answered_when_the_next_has_heard_it() -> None:
    call = Call()
    call.feed(start(), ending(1), d.RoleLost("stt", "network", "gone"), d.RoleReady("tts"))
    # Its audio still waits, with the mark behind it, for the recogniser that comes.
    call.feed(start(event_id="2"), d.RoleReady("stt"))
    said = call.feed(final("hello"), SttFlushed(1))
    assert of(said, d.StartResponse) == [
        d.StartResponse(d.Turn(0, "hello", e.Request("audio.input.start", "2")))
    ]


def test_transcripts_of_an_ended_turn_carry_its_own_start() -> None:
    call = Call().listening()
    said = call.feed(ending(1), start(event_id="2"), final("one"), SttFlushed(1), final("two"))
    assert [t.request.event_id for t in of(said, d.SendTranscript)] == ["s", "2"]  # type: ignore[attr-defined]


def test_provider_that_cannot_be_reached_is_answered_and_the_next_start_tries_again() -> None:
    call = Call()
    call.feed(start())
    said = call.feed(d.RoleLost("stt", "auth", "no"))
    assert sent(said, e.ErrorReply) == [
        e.ErrorReply(e.Request("audio.input.start", "s"), "stt_unavailable", "no")
    ]
    assert call.c.state == "INITIALIZING"
    assert d.OpenRecogniser("en-US") in call.feed(start())


def test_quota_gone_is_told() -> None:
    call = Call()
    call.feed(start())
    said = call.feed(d.RoleLost("tts", "quota", "empty"))
    assert sent(said, e.QuotaExceeded) == [e.QuotaExceeded("tts", "empty")]


def test_turn_in_manual_mode() -> None:
    call = Call().listening()
    said = call.feed(interim("hel"), final("hello"), UtteranceEnded(1.0), final("there"))
    assert of(said, d.StartResponse) == []
    said = call.feed(ending(1))
    assert sent(said, e.Ack) == [e.Ack(e.Request("audio.input.end", "e1"))]
    said = call.feed(SttFlushed(1))
    assert moves(said) == [("LISTENING", "THINKING")]
    (response,) = of(said, d.StartResponse)
    assert response == d.StartResponse(d.Turn(0, "hello there", e.Request("audio.input.end", "e1")))
    assert moves(call.feed(d.FirstAudio(0))) == [("THINKING", "RESPONDING")]
    assert moves(call.feed(d.ResponseDone(0))) == [("RESPONDING", "LISTENING")]


def test_turn_in_auto_mode_ends_with_the_utterance_and_belongs_to_the_start() -> None:
    call = Call().listening("auto")
    assert not of(call.feed(final("Hello there."), UtteranceEnded(1.0)), d.FlushRecogniser)
    said = call.wait(1.0)
    assert of(said, d.FlushRecogniser), "nobody spoke on: the recogniser is asked for the rest"
    said = call.feed(final("It is me."), SttFlushed(1001))
    (response,) = of(said, d.StartResponse)
    assert response == d.StartResponse(
        d.Turn(0, "Hello there. It is me.", e.Request("audio.input.start", "s"))
    )


def test_utterance_end_during_a_flush_leaves_the_turn_to_the_flush() -> None:
    call = Call().listening("auto")
    said = call.feed(final("a"), ending(1), UtteranceEnded(1.0))
    assert not of(said, d.StartResponse)
    said = call.feed(final("b"), SttFlushed(1))
    assert of(said, d.StartResponse)[0].turn.text == "a b"  # type: ignore[attr-defined]


def test_empty_turn_stays_in_listening() -> None:
    call = Call().listening()
    said = call.feed(interim("noise"), final(""), ending(1), SttFlushed(1))
    assert moves(said) == []
    assert call.c.state == "LISTENING"
    assert call.feed(SttFlushed(77)) == []


def test_transcripts_carry_the_start_request() -> None:
    call = Call().listening()
    said = call.feed(final("x"))
    assert said == [d.SendTranscript(e.Request("audio.input.start", "s"), final("x"))]


def test_recogniser_that_does_not_answer_the_flush_gives_way_to_what_is_known() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(final("I would"), interim("like that"), ending(1))
    assert table.wake_at(call.c) == call.now_s + 2.0
    assert not of(call.wait(1.9), d.StartResponse)
    said = call.wait(0.2)
    assert of(said, d.StartResponse)[0].turn.text == "I would like that"  # type: ignore[attr-defined]
    # What it says now belongs to the turn that is over: it must not be said twice.
    assert call.feed(final("like that"), UtteranceEnded(2.0), SttFlushed(1)) == []
    assert call.c.words == ()
    assert call.turn("next", 2) != []


def test_words_behind_those_that_were_answered_as_interim_text_are_not_lost() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(final("I would"), interim("like th"), ending(1))
    call.wait(2.1)
    call.feed(final("like"), interim("that"), final("that very"), final("much"), SttFlushed(1))
    assert call.c.words == ("very", "much")
    call.feed(d.ResponseDone(0))
    (turn,) = of(call.turn("please", 2), d.StartResponse)
    assert turn.turn.text == "very much please"  # type: ignore[attr-defined]


def test_a_late_sentence_without_spaces_is_not_lost_behind_its_beginning() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(interim("我想"), ending(1))
    (begun,) = of(call.wait(2.1), d.StartResponse)
    assert begun.turn.text == "我想"  # type: ignore[attr-defined]
    call.feed(final("我想知道价格。"), SttFlushed(1))
    assert call.c.words == ("知道价格。",)


def test_words_that_come_too_late_for_their_turn_join_it_while_its_answer_is_thought_of() -> None:
    call = Call(flush_timeout_s=2.0).listening("auto")
    call.feed(final("tango"), UtteranceEnded(1.0))
    (begun,) = [c for _ in range(20) for c in of(call.wait(0.5), d.StartResponse)]
    assert begun.turn.text == "tango"  # type: ignore[attr-defined]
    (cut,) = of(call.feed(final("copper"), SttFlushed(1001)), d.CancelResponse)
    assert cut.joins  # type: ignore[attr-defined]
    call.feed(d.ResponseDone(0))
    (joined,) = [c for _ in range(20) for c in of(call.wait(0.5), d.StartResponse)]
    assert (joined.turn.text, joined.turn.joins) == ("copper", True)  # type: ignore[attr-defined]


def test_recogniser_that_is_behind_is_waited_for_once() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(final("I would"), interim("like that"), ending(1))
    call.wait(0.5)
    assert call.feed(SttBehind(77, 9.0), SttBehind(1, 3.0)) == []
    assert table.wake_at(call.c) == call.now_s + 5.0
    call.wait(4.0)
    assert call.feed(SttBehind(1, 3.0)) == []
    assert table.wake_at(call.c) == call.now_s + 1.0, "a connection that breaks again and again"
    said = call.feed(final("like those"), SttFlushed(1))
    assert of(said, d.StartResponse)[0].turn.text == "I would like those"  # type: ignore[attr-defined]


def test_turn_that_waits_without_end_is_not_given_one_by_a_recogniser_that_is_behind() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(ending(1))
    call.wait(2.1)
    call.feed(SttBehind(1, 1.0))
    assert table.wake_at(call.c) > call.now_s + 1000


def test_turn_of_which_nothing_is_known_yet_waits_for_its_words() -> None:
    """There is nothing to answer, so nothing is gained by giving up."""
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(ending(1))
    assert call.wait(2.1) == []
    assert table.wake_at(call.c) > call.now_s + 1000
    said = call.feed(final("late"), SttFlushed(1))
    assert of(said, d.StartResponse)[0].turn.text == "late"  # type: ignore[attr-defined]


def test_answered_flush_answers_those_before_it() -> None:
    call = Call(flush_timeout_s=2.0).listening("auto")
    call.feed(ending(1))
    call.wait(3)
    said = call.feed(ending(2), final("one and two"), SttFlushed(2))
    assert of(said, d.StartResponse)[0].turn.text == "one and two"  # type: ignore[attr-defined]
    assert call.c.flushes == ()
    call.feed(d.ResponseDone(0))
    call.feed(final("three"), UtteranceEnded(9.0))
    call.wait(3)
    assert of(call.feed(SttFlushed(1001)), d.StartResponse)


def test_another_language_gives_up_on_a_turn_of_which_nothing_is_known() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(ending(1), start(language="de-DE"))
    assert of(call.wait(2.1), d.OpenRecogniser) == [d.OpenRecogniser("de-DE")]
    assert call.c.flushes == ()


def test_incomplete_flush_takes_the_interim() -> None:
    call = Call().listening()
    said = call.feed(interim("almost"), ending(1), SttFlushed(1, complete=False))
    assert of(said, d.StartResponse)[0].turn.text == "almost"  # type: ignore[attr-defined]


def test_incomplete_flush_without_words_is_waited_for_a_little_longer() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(ending(1))
    call.now_s += 1.0
    assert not of(call.feed(SttFlushed(1, complete=False), final("hello")), d.StartResponse)
    (begun,) = of(call.wait(1.1), d.StartResponse)
    assert begun.turn.text == "hello"  # type: ignore[attr-defined]
    assert begun.turn.request.event_id == "e1"  # type: ignore[attr-defined]


def test_incomplete_flush_without_words_ends_nothing_that_is_said_later() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(ending(1), SttFlushed(1, complete=False))
    call.wait(2.1)
    assert call.c.flushes == ()
    call.feed(final("something else"))
    assert not of(call.wait(60), d.StartResponse), "the client has not ended that"


def test_a_recogniser_that_answers_no_flush_can_be_replaced_by_one_for_another_language() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(ending(1))
    call.wait(2.1)
    assert call.c.flushes, "its words may still come"
    said = call.feed(start(language="de-DE", event_id="de"))
    assert of(said, d.OpenRecogniser) == [d.OpenRecogniser("de-DE")]
    assert sent(call.feed(d.RoleReady("stt")), e.Ack)


def test_end_before_any_start_is_an_error() -> None:
    (reply,) = sent(Call().feed(ending(1)), e.ErrorReply)
    assert isinstance(reply, e.ErrorReply)
    assert "audio.input.start" in reply.message


def test_end_while_opening_waits_for_the_recogniser_without_a_deadline() -> None:
    call = Call(flush_timeout_s=2.0, max_duration_s=1e6)
    call.feed(start())
    assert sent(call.feed(ending(1)), e.Ack)
    call.wait(100)
    assert call.c.flushes
    call.feed(d.RoleReady("stt"), d.RoleReady("tts"))
    assert table.wake_at(call.c) == call.now_s + 2.0
    said = call.feed(final("hi"), SttFlushed(1))
    assert of(said, d.StartResponse)


def test_turn_that_ends_before_the_synthesiser_is_ready_waits_for_it() -> None:
    call = Call()
    call.feed(start(), d.RoleReady("stt"))
    assert moves(call.turn("early")) == []
    said = call.feed(d.RoleReady("tts"))
    assert moves(said) == [("INITIALIZING", "LISTENING"), ("LISTENING", "THINKING")]
    assert of(said, d.StartResponse)[0].turn.text == "early"  # type: ignore[attr-defined]


def test_turns_queue_in_order_and_one_too_many_is_told_and_goes_with_the_last() -> None:
    call = Call(max_queue_size=2).listening()
    call.turn("one", 1)
    call.turn("two", 2)
    call.turn("three", 3)
    said = call.turn("four", 4)
    (reply,) = sent(said, e.ErrorReply)
    assert isinstance(reply, e.ErrorReply)
    assert reply.case == "queue_full"
    assert reply.request.event_id == "e4"
    assert "LLM_MAX_QUEUE_SIZE" in reply.message
    order = [r.turn.text for r in of(call.feed(d.ResponseDone(0)), d.StartResponse)]  # type: ignore[attr-defined]
    order += [r.turn.text for r in of(call.feed(d.ResponseDone(1)), d.StartResponse)]  # type: ignore[attr-defined]
    assert order == ["two", "three four"], "he has said it all the same"
    assert moves(call.feed(d.ResponseDone(2))) == [("THINKING", "LISTENING")]


def test_a_turn_that_ends_while_we_speak_is_answered_once() -> None:
    call = Call().listening()
    call.turn("one", 1)
    call.feed(d.FirstAudio(0))
    call.turn("two", 2)
    (begun,) = of(call.feed(d.ResponseDone(0)), d.StartResponse)
    assert begun.turn.text == "two"  # type: ignore[attr-defined]
    assert of(call.feed(d.FirstAudio(1), d.ResponseDone(1)), d.StartResponse) == []


def test_interrupt_while_responding() -> None:
    call = Call().listening()
    call.turn("hi")
    call.feed(d.FirstAudio(0))
    request = e.Request("user.action.interrupt", "i")
    said = call.feed(e.Interrupt(request))
    assert said == [
        d.CancelResponse(0, "user_interrupt", interrupted=True),
        d.MoveState("RESPONDING", "INTERRUPTED"),
    ]
    assert moves(call.feed(d.ResponseDone(0))) == [("INTERRUPTED", "LISTENING")]


def test_interrupt_while_thinking_cancels_without_the_interrupted_state() -> None:
    call = Call().listening()
    call.turn("hi")
    said = call.feed(e.Interrupt(e.Request()))
    assert said == [d.CancelResponse(0, "user_interrupt", interrupted=True)]
    assert moves(call.feed(d.ResponseDone(0))) == [("THINKING", "LISTENING")]


def test_interrupt_means_nothing_while_nobody_speaks() -> None:
    assert Call().listening().feed(e.Interrupt(e.Request())) == []


def test_failures_of_a_response_are_told_with_the_turns_request() -> None:
    call = Call().listening()
    call.turn("hi")
    said = call.feed(d.ResponseDone(0, (d.RoleLost("llm", "server", "down"),)))
    assert sent(said, e.ErrorReply) == [
        e.ErrorReply(e.Request("audio.input.end", "e1"), "llm_unavailable", "down")
    ]


def test_failure_of_the_model_is_told_when_it_happens_and_once() -> None:
    call = Call().listening()
    call.turn("hi")
    lost = d.RoleLost("llm", "server", "down")
    assert sent(call.feed(d.AnswerFailed(0, lost)), e.ErrorReply)
    assert call.feed(d.AnswerFailed(7, lost)) == []
    speech = d.RoleLost("tts", "timeout", "no audio")
    (told,) = sent(call.feed(d.ResponseDone(0, (lost, speech))), e.ErrorReply)
    assert told.case == "tts_unavailable", "that is news"  # type: ignore[attr-defined]


def test_news_of_a_recogniser_that_was_replaced_counts_for_nothing() -> None:
    call = Call()
    call.feed(start(), d.RoleReady("tts"), start(language="de-DE"))
    old = d.RoleReady("stt", "en-US")
    assert call.feed(old, d.RoleLost("stt", "network", "gone", "en-US")) == []
    assert sent(call.feed(d.RoleReady("stt", "de-DE")), e.Ack)


def test_an_answer_stands_for_those_that_were_asked_for_before_it() -> None:
    call = Call().listening()
    said = call.feed(final("one"), ending(1), final("two"), ending(2), SttFlushed(2))
    assert [t.turn.text for t in of(said, d.StartResponse)] == ["one two"]  # type: ignore[attr-defined]
    assert not call.c.flushes, "nobody waits for the first any more"


def test_one_that_is_never_answered_does_not_make_the_recogniser_deaf() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(interim("one"), ending(1))
    assert of(call.wait(2.1), d.StartResponse), "it was given up"
    assert not of(call.feed(final("one")), d.SendTranscript), "what comes now is that turn's"
    call.feed(ending(2), SttFlushed(2))
    assert of(call.feed(final("two")), d.SendTranscript)


def test_a_flood_of_ends_is_bounded() -> None:
    call = Call(max_queue_size=3)
    call.feed(start())
    for flush_id in range(1, 4):
        assert sent(call.feed(ending(flush_id)), e.Ack)
    (reply,) = sent(call.feed(ending(4)), e.ErrorReply)
    assert isinstance(reply, e.ErrorReply)
    assert reply.case == "queue_full"


def test_stale_news_of_an_older_response_is_passed_over() -> None:
    call = Call().listening()
    call.turn("hi")
    assert call.feed(d.FirstAudio(7), d.ResponseDone(7)) == []


def test_recogniser_lost_in_mid_call_is_told_once_and_ends_the_pending_turn() -> None:
    call = Call().listening()
    call.feed(final("so far"), ending(1))
    said = call.feed(d.RoleLost("stt", "network", "gone"), d.RoleLost("stt", "network", "gone"))
    assert len(sent(said, e.ErrorReply)) == 1
    assert of(said, d.StartResponse)[0].turn.text == "so far"  # type: ignore[attr-defined]
    assert call.c.flushes == ()
    assert call.feed(d.RoleReady("stt")) == []


def test_what_a_lost_recogniser_had_shown_stands() -> None:
    call = Call().listening()
    call.feed(final("one"), interim("two"), d.RoleLost("stt", "network", "gone"))
    call.feed(d.RoleReady("stt"))
    said = call.turn("three")
    assert of(said, d.StartResponse)[0].turn.text == "one two three"  # type: ignore[attr-defined]


def test_what_was_said_while_there_was_no_recogniser_is_a_turn_of_its_own() -> None:
    call = Call(flush_timeout_s=2.0).listening()
    call.feed(interim("one"), d.RoleLost("stt", "network", "gone"), ending(1))
    said = call.wait(2.1)
    assert of(said, d.StartResponse)[0].turn.text == "one"  # type: ignore[attr-defined]
    call.feed(d.FirstAudio(0), d.ResponseDone(0))
    said = call.feed(d.RoleReady("stt"), final("two"), SttFlushed(1))
    assert of(said, d.StartResponse)[0].turn.text == "two"  # type: ignore[attr-defined]


GONE = d.RoleLost("stt", "auth", "refused", for_good=True)


def deaf(mode: e.TurnDetection = "auto", text: str = "Sorry, {{prospect.name|friend}}.") -> Call:
    call = Call()
    call.c = attrs.evolve(call.c, cannot_hear=text)
    return call.listening(mode)


def test_whom_nobody_will_hear_any_more_is_told_and_the_call_ends() -> None:
    call = deaf()
    call.feed(final("so far"), interim("and"))
    assert len(sent(call.feed(GONE), e.ErrorReply)) == 1
    assert table.wake_at(call.c) <= call.now_s + 4
    said = call.wait(4)
    (begun,) = of(said, d.StartResponse)
    assert begun.turn.say == "Sorry, friend."  # type: ignore[attr-defined]
    assert begun.turn.text == "so far and", "it stays a part of the call"  # type: ignore[attr-defined]
    call.feed(d.FirstAudio(0))
    assert call.feed(VoiceEdge(True, 0.0), e.Interrupt(e.Request())) == []
    why = "speech recognition is unavailable"
    assert call.feed(d.ResponseDone(0))[-1] == d.EndSession(1011, why)


def test_a_deaf_call_ends_without_a_word_if_there_is_none() -> None:
    call = deaf(text="")
    call.feed(GONE)
    assert call.wait(3.9) == []
    assert of(call.wait(0.1), d.EndSession)


def test_what_is_being_said_is_said_before_the_deaf_call_ends() -> None:
    call = deaf("manual")
    call.turn("hi")
    call.feed(start("auto"), d.FirstAudio(0), GONE)
    assert of(call.wait(10), d.StartResponse) == []
    assert table.wake_at(call.c) > call.now_s
    call.feed(d.ResponseDone(0))
    assert table.wake_at(call.c) <= call.now_s
    assert of(call.wait(0), d.StartResponse)


def test_who_starts_again_is_not_deaf() -> None:
    call = deaf()
    call.feed(GONE, start("auto"))
    assert call.wait(5) == [], "its recogniser is being opened"
    call.feed(d.RoleReady("stt", "en-US"))
    assert of(call.wait(5), d.StartResponse) == []
    # What passes after that is no reason to end.
    assert sent(call.feed(d.RoleLost("stt", "network", "gone")), e.ErrorReply)
    assert of(call.wait(100), d.StartResponse) == []
    # It is told of each start that fails, and of what can be done about it once more.
    assert len(sent(call.feed(start("auto"), GONE), e.ErrorReply)) == 1
    assert of(call.wait(5), d.StartResponse) == [], "it knows, and may start again"
    quota = d.RoleLost("stt", "quota", "empty", for_good=True)
    assert len(sent(call.feed(quota), e.QuotaExceeded)) == 1
    call.feed(start("auto"), GONE)
    assert of(call.wait(5), d.StartResponse)


def test_who_ends_turns_himself_decides_what_becomes_of_a_deaf_call() -> None:
    call = deaf("manual")
    call.feed(GONE)
    assert of(call.wait(100), d.StartResponse) == []
    assert call.c.state == "LISTENING"


@pytest.mark.parametrize("role", ["stt", "tts"])
def test_a_call_that_cannot_begin_ends_if_its_client_cannot_start_again(role: str) -> None:
    options = e.InputOptions(starts_once=True)
    lost = d.RoleLost(role, "network", "gone", for_good=True)  # type: ignore[arg-type]
    call = Call()
    assert of(call.feed(e.StartInput(e.Request(), options), lost), d.EndSession)
    call = Call()
    call.feed(start(), lost)
    assert call.c.state == "INITIALIZING"


def test_a_phone_call_whose_voice_is_refused_for_good_ends() -> None:
    for once, kind, ends in ((True, "quota", 1), (True, "network", 0), (False, "auth", 0)):
        call = Call()
        options = e.InputOptions(turn_detection="manual", starts_once=once)
        call.feed(e.StartInput(e.Request(), options), d.RoleReady("stt"), d.RoleReady("tts"))
        call.turn("hi")
        lost = d.RoleLost("tts", kind, "refused")  # type: ignore[arg-type]
        said = call.feed(d.ResponseDone(0, (lost,)))
        why = "speech synthesis is unavailable"
        assert of(said, d.EndSession) == [d.EndSession(1011, why)] * ends
        assert sent(said, e.ErrorReply)


def test_end_call_cuts_and_ends_in_every_state() -> None:
    for hang_up in (e.EndCall(e.Request()), e.Goodbye(e.Request())):
        for prepare, cuts in (([], 0), (["turn"], 1), (["turn", "audio"], 1)):
            call = Call().listening()
            if "turn" in prepare:
                call.turn("hi")
            if "audio" in prepare:
                call.feed(d.FirstAudio(0))
            said = call.feed(hang_up)
            assert len(of(said, d.CancelResponse)) == cuts
            assert isinstance(said[-1], d.EndSession)
            assert said[-1].code == 1000
            assert call.c.state == "ENDED"
            assert call.feed(d.ResponseDone(0), start()) == []
            assert table.wake_at(call.c) == float("inf")


def test_end_call_while_initializing() -> None:
    assert moves(Call().feed(e.EndCall(e.Request()))) == [("INITIALIZING", "ENDED")]


def test_polite_close_lets_the_answer_finish_and_tells_what_waited() -> None:
    call = Call(grace_s=10).listening()
    call.turn("one", 1)
    call.turn("two", 2)
    assert call.feed(d.CloseRequested(1001, "maintenance", maintenance=True)) == []
    assert call.feed(d.CloseRequested(1001, "again", maintenance=True)) == []
    assert sent(call.turn("three", 3), e.ErrorReply)
    said = call.feed(d.ResponseDone(0))
    assert [r.request.event_id for r in sent(said, e.ErrorReply)] == ["e2"]  # type: ignore[attr-defined]
    assert sent(said, e.Maintenance)
    assert sent(said, e.Disconnecting) == [e.Disconnecting("maintenance")]
    assert said[-1] == d.EndSession(1001, "maintenance")


def test_polite_close_when_idle_is_at_once_and_without_maintenance() -> None:
    said = Call().listening().feed(d.CloseRequested(1000, "idle"))
    assert not sent(said, e.Maintenance)
    assert said[-1] == d.EndSession(1000, "idle")


@pytest.mark.parametrize(("maintenance", "reason"), [(True, "shutdown"), (False, "session_ended")])
def test_grace_runs_out(maintenance: bool, reason: str) -> None:
    call = Call(grace_s=10).listening()
    call.turn("one")
    call.feed(d.CloseRequested(1001, "x", maintenance=maintenance))
    assert table.wake_at(call.c) == call.now_s + 10
    assert call.wait(9) == []
    assert call.wait(1.5) == [d.CancelResponse(0, reason, interrupted=False)]
    assert table.wake_at(call.c) == float("inf")
    assert call.wait(1) == []
    assert of(call.feed(d.ResponseDone(0)), d.EndSession)


def test_longest_session() -> None:
    call = Call(max_duration_s=60).listening()
    assert table.wake_at(call.c) == call.now_s + 60
    said = call.wait(60)
    assert of(said, d.EndSession) == [d.EndSession(1000, "maximum duration reached")]


def test_heartbeat_is_answered() -> None:
    request = e.Request("connection.lifecycle.heartbeat", "h")
    assert Call().feed(e.Heartbeat(request)) == [d.Send(e.Ack(request))]


# ---------------------------------------------------------------- turn-taking


def listening_with(
    silence: d.Silence | None = None, greeting: str = ""
) -> tuple[Call, list[d.Command]]:
    call = Call(grace_s=10)
    call.c = attrs.evolve(call.c, silence=silence or d.Silence(), greeting=greeting)
    return call, call.feed(start("auto"), d.RoleReady("stt"), d.RoleReady("tts"))


def said_unasked(commands: list[d.Command]) -> list[str]:
    return [c.turn.say for c in commands if isinstance(c, d.StartResponse) and c.turn.say]


def test_greeting_is_spoken_once_and_first() -> None:
    call, said = listening_with(greeting="Hello, this is Alex.")
    assert said_unasked(said) == ["Hello, this is Alex."]
    assert moves(said)[-1] == ("LISTENING", "THINKING")
    call.feed(d.FirstAudio(0), d.ResponseDone(0))
    assert not said_unasked(call.feed(start("auto")))


def test_texts_of_our_own_are_filled_with_what_is_known_of_the_prospect() -> None:
    call = Call()
    call.c = attrs.evolve(
        call.c,
        greeting="Hello {{prospect.name|there}} of {{prospect.company|your company}}.",
        prospect=e.Prospect(company="Acme"),
    )
    told = e.InputOptions(prospect=e.Prospect(name="Ann", company="Ajax"))
    said = call.feed(e.StartInput(e.Request("e"), told), d.RoleReady("stt", "en-US"))
    said += call.feed(d.RoleReady("tts"))
    assert said_unasked(said) == ["Hello Ann of Acme."]
    _, said = listening_with(greeting="Hello {{prospect.name|there}}.")
    assert said_unasked(said) == ["Hello there."]


def test_long_silence_asks_and_then_says_goodbye() -> None:
    call, _ = listening_with(d.Silence(10, ("Still there?",), "Goodbye."))
    assert table.wake_at(call.c) == call.now_s + 10
    call.now_s += 10
    assert said_unasked(call.feed(d.Tick(hearing=True))) == ["Still there?"]
    call.now_s += 2
    call.feed(d.ResponseDone(0))
    call.now_s += 10
    assert said_unasked(call.feed(d.Tick(hearing=True))) == ["Goodbye."]
    said = call.feed(d.ResponseDone(1, hangs_up=True))
    assert said[-1] == d.EndSession(1000, "nobody answered")


def test_long_silence_without_a_goodbye_just_ends() -> None:
    call, _ = listening_with(d.Silence(10))
    call.now_s += 10
    assert call.feed(d.Tick(hearing=True))[-1] == d.EndSession(1000, "nobody answered")


def test_a_word_begins_the_silence_anew_and_forgives_what_was_asked() -> None:
    call, _ = listening_with(d.Silence(10, ("Still there?",), "Goodbye."))
    call.now_s += 10
    call.feed(d.Tick(hearing=True), d.ResponseDone(0), VoiceEdge(True, 0.0))
    call.now_s += 1
    call.feed(VoiceEdge(False, 0.0), final("Yes, I am."), UtteranceEnded(1.0))
    call.wait(1.5)
    call.feed(SttFlushed(1001), d.ResponseDone(1))
    call.now_s += 10
    assert said_unasked(call.feed(d.Tick(hearing=True))) == ["Still there?"]


def answered_within(call: Call, seconds: float) -> list[str]:
    """The turns that are answered meanwhile by a recogniser that has no more words."""
    texts: list[str] = []
    for _ in range(round(seconds * 10)):
        said = call.wait(0.1)
        if of(said, d.FlushRecogniser):
            said += call.feed(SttFlushed(1000 + call.judged))
        texts += [c.turn.text for c in said if isinstance(c, d.StartResponse)]
    return texts


def test_who_takes_the_end_of_turns_over_and_gives_it_back_stalls_nothing() -> None:
    """Also while the recogniser is telling the last words of a turn that was judged over."""
    call = Call().listening("auto")
    call.feed(VoiceEdge(True, 0.0), final("Hello there."), UtteranceEnded(1.0))
    call.feed(VoiceEdge(False, 0.0))
    assert of(call.wait(2.0), d.FlushRecogniser)
    call.feed(start("manual", event_id="m"), SttFlushed(1001))
    assert answered_within(call, 20) == [], "in manual nobody but the client ends it"
    call.feed(start("auto", event_id="a"))
    assert answered_within(call, 4) == ["Hello there."]


def test_words_said_in_manual_are_answered_when_the_server_is_to_end_turns() -> None:
    call = Call().listening("manual")
    call.feed(final("I want two"), interim("of them."), start("auto", event_id="a"))
    assert answered_within(call, 1) == []
    call.feed(final("of them."))
    assert answered_within(call, 4) == ["I want two of them."]


def test_an_end_that_is_never_answered_does_not_stop_turn_taking_in_auto() -> None:
    call = Call(flush_timeout_s=2.0).listening("manual")
    call.feed(ending(1))
    call.wait(2.1)
    call.feed(start("auto", event_id="a"))
    call.feed(VoiceEdge(True, 0.0), final("Are you there?"), VoiceEdge(False, 1.0))
    assert answered_within(call, 4) == ["Are you there?"]


def test_an_end_that_no_recogniser_was_asked_for_does_not_stop_turn_taking() -> None:
    """It was lost with the one before, and no answer to it will come."""
    call = Call().listening("auto")
    call.feed(d.RoleLost("stt", "network", "gone"), ending(1))
    call.feed(start("auto", event_id="again"), d.RoleReady("stt"))
    call.feed(VoiceEdge(True, 0.0), final("Are you there?"), VoiceEdge(False, 1.0))
    assert answered_within(call, 4) == ["Are you there?"]


def test_a_client_that_sends_nothing_is_not_asked() -> None:
    call, _ = listening_with(d.Silence(10, ("Still there?",), "Goodbye."))
    call.now_s += 10
    assert call.feed(d.Tick(hearing=False)) == []
    assert table.wake_at(call.c) == call.now_s + 10


def test_a_voice_that_goes_on_while_the_last_words_come_keeps_the_turn() -> None:
    call = Call().listening("auto")
    call.feed(VoiceEdge(True, 0.0), VoiceEdge(False, 1.0), final("I would like"))
    while not any(isinstance(c, d.FlushRecogniser) for c in call.wait(0.2)):
        pass
    call.feed(VoiceEdge(True, 3.0))
    assert not of(call.feed(final("to know"), SttFlushed(1001)), d.StartResponse)
    assert call.c.words == ("I would like", "to know")
    call.feed(VoiceEdge(False, 4.0), final("the price."))
    while not any(isinstance(c, d.FlushRecogniser) for c in call.wait(0.2)):
        pass
    said = call.feed(SttFlushed(1002))
    assert of(said, d.StartResponse)[0].turn.text == "I would like to know the price."  # type: ignore[attr-defined]


def test_a_recogniser_that_never_answers_does_not_stop_turn_taking() -> None:
    call = Call(flush_timeout_s=2.0).listening("auto")
    call.feed(VoiceEdge(True, 0.0), VoiceEdge(False, 1.0))
    while not any(isinstance(c, d.FlushRecogniser) for c in call.wait(0.2)):
        pass
    call.wait(3)
    # It said nothing and answered nothing; the next turn is judged all the same.
    call.feed(VoiceEdge(True, 5.0), final("Are you there?"), VoiceEdge(False, 6.0))
    while not any(isinstance(c, d.FlushRecogniser) for c in call.wait(0.2)):
        assert call.now_s < 130, "the policy is not asked any more"
    said = call.feed(SttFlushed(1002))
    assert of(said, d.StartResponse)[0].turn.text == "Are you there?"  # type: ignore[attr-defined]


def test_the_detector_is_asked_once_in_a_pause_and_shortens_the_wait() -> None:
    call = Call().listening("auto")
    options = EndpointingOptions(has_detector=True, check_s=0.2, min_wait_s=0.3, silence_s=0.7)
    call.c = attrs.evolve(call.c, endpointing=Endpointing(options))
    call.feed(VoiceEdge(True, 0.0), final("That is all."), UtteranceEnded(1.0))
    call.feed(VoiceEdge(False, 1.0))
    (asked,) = of(call.wait(0.21), d.AskDetector)
    assert isinstance(asked, d.AskDetector)
    assert asked.text == "That is all."
    said = call.feed(CheckAnswered(asked.pause, 0.99))
    assert not of(said, d.AskDetector)
    assert of(call.wait(0.12), d.FlushRecogniser), "0.33 s after the voice, and not 0.7 s"


@pytest.mark.parametrize(
    ("language", "waits_s"), [("en-GB", 2.0), ("EN", 2.0), ("de-DE", 1.0), ("nl", 1.0)]
)
def test_words_are_read_in_english_only(language: str, waits_s: float) -> None:
    """Else "Ich rufe Sie morgen an" would be half a sentence."""
    call = Call()
    options = EndpointingOptions(
        min_wait_s=0.5, silence_s=1.0, max_wait_s=2.0, deadline_s=8.0, adapts=False, sure=0.9
    )
    call.c = attrs.evolve(call.c, endpointing=Endpointing(options))
    call.feed(start("auto", language), d.RoleReady("stt"), d.RoleReady("tts"))
    call.feed(VoiceEdge(True, 0.0), final("Ich rufe Sie morgen an."), VoiceEdge(False, 1.0))
    assert table.wake_at(call.c) == call.now_s + waits_s


def test_manual_mode_asks_nobody() -> None:
    call = Call().listening("manual")
    call.feed(VoiceEdge(True, 0.0), VoiceEdge(False, 1.0), final("well"), UtteranceEnded(1.0))
    assert not of(call.wait(60), d.FlushRecogniser)


def test_every_state_can_be_left_and_reached() -> None:
    states = set(table.TABLE)
    assert {new for _, new in table.MOVES} == states - {"INITIALIZING"}
    assert {old for old, _ in table.MOVES} == states - {"ENDED"}


class AnyOrder(RuleBasedStateMachine):
    """Any order of events: the promises hold after each of them."""

    @initialize(
        queue=st.integers(1, 3), greeting=st.sampled_from(["", "Hello!"]), heard=st.booleans()
    )
    def begin(self, queue: int, greeting: str, heard: bool) -> None:
        self.call = Call(max_queue_size=queue, max_duration_s=10_000)
        silence = d.Silence(10.0, ("Still there?",), "Goodbye.")
        options = EndpointingOptions(has_detector=True)
        self.call.c = attrs.evolve(
            self.call.c,
            silence=silence,
            greeting=greeting,
            endpointing=Endpointing(options),
            cannot_hear="Sorry.",
        )
        self.said: list[str] = []
        self.turns = 0
        self.live: int | None = None
        self.spoken: list[str] = []
        self.answered: list[str] = []
        self.last_words: int | None = None
        if heard:  # in the midst of an answer, which is a long way for chance to go
            self.feed(start("auto"), d.RoleReady("stt"), d.RoleReady("tts"))
            if not greeting:
                self.spoken.append("well")
                self.end()
                self.feed(final("well"))
                self.flushed(True)
            self.feed(d.FirstAudio(0))

    def feed(self, *events: d.Event) -> None:
        before = self.call.c.state
        for event in events:
            for command in self.call.feed(event):
                self.look(command)
        path = [before, *[m.new for m in self.call.commands if isinstance(m, d.MoveState)][-9:]]
        assert self.call.c.state in path

    def look(self, command: d.Command) -> None:
        match command:
            case d.MoveState(old=old, new=new):
                assert (old, new) in table.MOVES
            case d.StartResponse(turn=turn):
                assert self.live is None, "two answers at once"
                assert self.last_words is None, "nothing follows the last words"
                self.live = turn.number
                self.last_words = turn.number if turn.ends else None
                self.answered.append(turn.text)
            case d.CancelResponse(turn=turn_number, reason=reason):
                assert self.live == turn_number
                ends = ("end_call", "shutdown", "session_ended")
                assert turn_number != self.last_words or reason in ends
                self.live = None
                if self.call.c.state != "ENDED":
                    self.feed(d.ResponseDone(turn_number))
            case _:
                pass

    @rule(mode=st.sampled_from(["auto", "manual"]), language=st.sampled_from(["en-US", "de-DE"]))
    def start(self, mode: e.TurnDetection, language: str) -> None:
        self.feed(start(mode, language))

    @rule(role=st.sampled_from(["stt", "tts"]))
    def ready(self, role: str) -> None:
        self.feed(d.RoleReady(role))  # type: ignore[arg-type]

    @rule(role=st.sampled_from(["stt", "tts"]), really=st.integers(0, 4))
    def lost(self, role: str, really: int) -> None:
        self.feed(d.RoleLost(role, "network", "gone", for_good=really == 4))  # type: ignore[arg-type]

    @rule(word=st.sampled_from(["mm-hmm", "no", "well"]), last=st.booleans())
    def transcript(self, word: str, last: bool) -> None:
        answered = self.call.c.overdue and self.call.c.foretold
        if last and not answered and self.call.c.state != "ENDED":
            self.spoken.append(word)
        self.feed(final(word) if last else interim(word))

    @rule()
    def utterance_ended(self) -> None:
        self.feed(UtteranceEnded(1.0))

    @rule()
    def end(self) -> None:
        self.call.judged += 1  # one count for all ends
        self.feed(ending(1000 + self.call.judged))

    @rule(complete=st.booleans())
    def flushed(self, complete: bool) -> None:
        if self.call.c.flushes:
            self.feed(SttFlushed(self.call.c.flushes[0].flush_id, complete))

    @rule(by_s=st.floats(0.1, 6.0))
    def behind(self, by_s: float) -> None:
        if self.call.c.flushes:
            self.feed(SttBehind(self.call.c.flushes[-1].flush_id, by_s))

    @rule()
    def first_audio(self) -> None:
        if self.live is not None:
            self.feed(d.FirstAudio(self.live))

    @rule(position=st.integers(0, 4), whole=st.booleans())
    def floor(self, position: int, whole: bool) -> None:
        self.feed(Floor(("We", "sell", "such", "things."), position, whole))

    @rule()
    def done(self) -> None:
        if self.live is not None:
            turn, self.live = self.live, None
            self.feed(d.ResponseDone(turn))

    @rule()
    def interrupt(self) -> None:
        self.feed(e.Interrupt(e.Request()))

    @rule(seconds=st.sampled_from([0.1, 0.3, 0.6, 1.1, 2.5, 12.0, 30.0]), hearing=st.booleans())
    def wait(self, seconds: float, hearing: bool) -> None:
        self.call.now_s += seconds
        if self.call.now_s >= table.wake_at(self.call.c):
            self.feed(d.Tick(hearing))
            woken_again = table.wake_at(self.call.c) <= self.call.now_s
            assert not woken_again or self.live is not None, "a wake that changes nothing spins"

    @rule(speaking=st.booleans())
    def voice(self, speaking: bool) -> None:
        self.feed(VoiceEdge(speaking, 0.0))

    @rule(probability=st.floats(0, 1))
    def guess(self, probability: float) -> None:
        self.feed(CheckAnswered(self.call.c.endpointing.pause, probability))

    @rule(last=st.integers(0, 3))
    def announce(self, last: int) -> None:
        self.feed(d.Announce("One moment.", then_hang_up=last == 3))

    @rule(really=st.integers(0, 9))
    def close(self, really: int) -> None:
        if really == 9:
            self.feed(d.CloseRequested(1001, "bye", maintenance=True))

    @rule(really=st.integers(0, 9))
    def hang_up(self, really: int) -> None:
        if really == 9:
            self.feed(e.EndCall(e.Request()))

    @invariant()
    def one_answer_and_it_is_the_tables(self) -> None:
        turn = self.call.c.turn
        assert (turn.number if turn else None) == self.live

    @invariant()
    def no_dead_end(self) -> None:
        c = self.call.c
        if c.bargein.stopped_s is not None and c.state == "LISTENING":
            # It goes on by itself, or when the turn that is being spoken has ended.
            ends = table.wake_at(c) < self.call.now_s + 60 or c.flushes or c.overdue
            assert ends or not is_auto(c)
        if c.state in ("THINKING", "RESPONDING", "INTERRUPTED"):
            assert c.turn is not None
        elif c.state in ("INITIALIZING", "LISTENING"):
            assert c.turn is None or c.state == "INITIALIZING"
            assert not c.queue or c.state == "INITIALIZING" or c.bargein.stopped_s is not None
        else:
            assert self.live is None
        for flush in c.flushes:
            # Before the first start is ready, or in manual while there is nothing to answer.
            waits = c.state == "INITIALIZING" or not is_auto(c)
            assert flush.deadline_s is not None or waits

    @invariant()
    def no_final_word_is_lost_without_a_word(self) -> None:
        """Each final word is in an answered or waiting turn, or still being spoken."""
        c = self.call.c
        if c.state == "ENDED":
            return
        here = " ".join([*self.answered, *(t.text for t in c.queue), *c.words]).split()
        for word in ("no", "well"):  # a listening noise may be dropped
            assert here.count(word) >= self.spoken.count(word)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_state_is_a_value() -> None:
    assert attrs.has(d.Conversation)
    call = Call()
    before = call.c
    call.feed(start())
    assert before != call.c
    assert before.options is None
