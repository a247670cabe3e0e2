"""The marks of turns on their way to an answer, read off the conversation."""

from __future__ import annotations

from attrs import evolve

from vantum.core import conversation as table
from vantum.core.decisions import (
    Conversation,
    Event,
    InputEnding,
    Limits,
    ResponseDone,
    RoleLost,
    RoleReady,
    Tick,
)
from vantum.core.events import EndInput, InputOptions, Request, StartInput
from vantum.core.latency import Marks
from vantum.core.messages import SttFlushed, Transcript, VoiceEdge
from vantum.core.turn_marks import TurnMarks


class Line:
    """A conversation and the marks of its turns."""

    def __init__(self, mode: str = "manual", **state: object) -> None:
        self.marks = TurnMarks()
        self.conversation = evolve(
            Conversation(Limits(flush_timeout_s=2.0), 0.0, {}),
            **state,  # type: ignore[arg-type]
        )
        options = InputOptions(turn_detection=mode)  # type: ignore[arg-type]
        self.take(StartInput(Request("audio.input.start", "start"), options), 0.0)
        self.take(RoleReady("stt", "en-US"), 0.0)
        self.take(RoleReady("tts"), 0.0)

    def take(self, event: Event, now_s: float) -> None:
        before = self.conversation
        self.conversation, _ = table.step(before, event, now_s)
        self.marks.follow(before, event, self.conversation, now_s)

    def end(self, flush_id: int, now_s: float, at_s: float | None = None) -> None:
        request = Request("audio.input.end", f"end-{flush_id}")
        self.take(InputEnding(EndInput(request), flush_id, at_s), now_s)

    def words(self, text: str, now_s: float) -> None:
        self.take(Transcript(text, True, 1.0, 0.0, now_s), now_s)

    def started(self, now_s: float) -> Marks:
        assert self.conversation.turn is not None
        return self.marks.take(self.conversation.turn, now_s)


def test_a_turn_ended_by_the_client() -> None:
    line = Line()
    line.words("hello", 1.0)
    line.end(1, 2.0, at_s=1.99)
    line.marks.handed[1] = 2.01
    line.take(SttFlushed(1), 2.2)
    expected = {"silent": 1.99, "decided": 1.99, "flushed": 2.01, "transcript": 2.2}
    assert line.started(2.2).at_s == expected
    assert not line.marks.handed


def test_the_moment_of_hearing_of_it_if_no_better_one_is_known() -> None:
    line = Line()
    line.words("hello", 1.0)
    line.end(1, 2.0)
    line.take(SttFlushed(1), 2.2)
    assert line.started(2.2).at_s == {"silent": 2.0, "decided": 2.0, "transcript": 2.2}


def test_in_auto_the_voice_says_when_it_fell_silent() -> None:
    line = Line("auto")
    line.take(VoiceEdge(True, 0.5), 0.5)
    line.words("hello", 1.0)
    line.take(VoiceEdge(False, 1.0, late_s=0.1), 1.1)
    line.end(1, 2.0)
    line.take(SttFlushed(1), 2.2)
    assert line.started(2.2).at_s == {"silent": 1.0, "decided": 2.0, "transcript": 2.2}


def test_a_client_that_ends_while_a_voice_is_heard_ends_it_there() -> None:
    line = Line("auto")
    line.take(VoiceEdge(True, 0.5), 0.5)
    line.words("hello", 1.0)
    line.end(1, 2.0)
    line.take(SttFlushed(1), 2.2)
    assert line.started(2.2).at_s["silent"] == 2.0


def test_turns_that_wait_behind_an_answer() -> None:
    line = Line()
    for flush_id in (1, 2):
        line.words("hello", flush_id)
        line.end(flush_id, flush_id)
        line.take(SttFlushed(flush_id), flush_id + 0.1)
    assert "freed" not in line.started(1.1).at_s
    line.take(ResponseDone(0), 9.0)
    assert line.started(9.0).at_s == {
        "silent": 2.0,
        "decided": 2.0,
        "transcript": 2.1,
        "freed": 9.0,
    }


def test_two_turns_given_up_at_once_have_their_own_marks() -> None:
    line = Line()
    line.end(1, 1.0)
    line.end(2, 1.5)
    line.words("hello", 1.6)
    line.take(RoleLost("stt", "network", "gone", "en-US"), 2.0)
    line.marks.handed[3] = 5.0
    assert line.started(2.0).at_s == {"silent": 1.0, "decided": 1.0, "transcript": 2.0}
    assert not line.marks._ending
    assert line.marks.handed == {3: 5.0}, "that one is still to be answered"


def test_words_at_the_deadline() -> None:
    line = Line()
    line.words("hello", 0.5)
    line.end(1, 1.0)
    line.take(Tick(), 3.0)
    assert line.started(3.0).at_s["transcript"] == 3.0


def test_a_flush_that_nobody_knew_of() -> None:
    line = Line()
    line.words("hello", 1.0)
    line.take(SttFlushed(7), 2.0)
    assert line.started(2.0).at_s == {"transcript": 2.0}


def test_a_text_of_our_own_begins_with_itself() -> None:
    line = Line(greeting="Hello!")
    assert line.started(4.0).at_s == {"decided": 4.0}
