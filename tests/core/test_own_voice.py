"""The edges of the caller's own voice, out of those of the ear."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from attrs import define, field
from hypothesis import given

from vantum.core.acoustic_echo import SPAN, EchoJudge, Ours
from vantum.core.audio import AudioFormat
from vantum.core.coherence import WINDOW, Floats
from vantum.core.messages import EchoHeard, VoiceEdge
from vantum.core.own_voice import OwnVoice

LINE = AudioFormat(16_000)
PIECE = bytes(2 * 640)  # 40 ms
A_SECOND = 26  # in pieces: a little more
BEGINS, ENDS = VoiceEdge(True, 1.0, 0.1), VoiceEdge(False, 2.0, 0.1)


@define(eq=False)
class Told(EchoJudge):
    """A judge that believes what it is told, and remembers where it was asked."""

    says: float = -1.0
    ours_is: Ours = "none"
    ends_s: list[float] = field(factory=list)

    def judge(self, heard: Floats, end_s: float) -> float:
        assert heard.shape == (WINDOW,)
        self.ends_s.append(end_s)
        return self.says

    def ours_of(self, heard: Floats, end_s: float) -> Ours:
        assert heard.shape == (SPAN,)
        return self.ours_is


@define
class Call:
    """An ear and a clock; `sounds`: we speak."""

    judge: Told = field(factory=Told)
    now_s: float = 10.0
    sounds: bool = True
    own: OwnVoice = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.own = OwnVoice(self.judge)
        self.own.ours.is_wanted = True

    def hear(
        self, *edges: VoiceEdge, says: float = -1.0, probability: float = 0.0, late_s: float = 0.0
    ) -> list[VoiceEdge | EchoHeard]:
        if self.sounds:
            self.own.ours.add(PIECE, LINE, self.now_s, self.now_s)
        self.now_s += 0.04
        self.judge.says = says
        return self.own.hear(PIECE, LINE, edges, probability, self.now_s + late_s)

    def hear_for(self, pieces: int) -> None:
        for _ in range(pieces):
            self.hear()


def test_while_nothing_sounds_the_ear_is_believed_unasked() -> None:
    call = Call(sounds=False)
    assert call.hear(BEGINS) == [BEGINS]
    assert call.hear(ENDS) == [ENDS]
    assert not call.judge.ends_s


def test_the_callers_voice_is_passed_on_at_once() -> None:
    call = Call()
    assert call.hear(BEGINS) == [BEGINS]
    assert call.hear() == []
    assert call.hear(ENDS) == [ENDS]


def test_an_echo_is_no_voice_and_is_told_once() -> None:
    call = Call()
    assert call.hear(BEGINS, says=0.5) == [EchoHeard()]
    assert call.hear(says=1.0) == []
    assert call.hear(ENDS, says=1.0) == []


def test_who_speaks_into_an_echo_begins_there() -> None:
    call = Call()
    call.hear(BEGINS, says=1.0)
    (begins,) = call.hear(says=-0.2)
    assert isinstance(begins, VoiceEdge)
    assert begins.speaking
    assert begins.late_s == pytest.approx(0.1)
    assert call.hear(ENDS, says=-1.0) == [ENDS]


def test_a_voice_is_over_when_nothing_but_our_echo_is_left() -> None:
    call = Call()
    call.hear(BEGINS)
    found = [call.hear(says=1.0) for _ in range(4)]
    assert found[:3] == [[], [], []]
    ends, echo = found[3]
    assert isinstance(ends, VoiceEdge)
    assert not ends.speaking
    assert echo == EchoHeard()
    assert call.hear(ENDS, says=1.0) == []
    assert call.hear(BEGINS) == [BEGINS]


def test_a_doubt_does_not_end_a_voice() -> None:
    call = Call()
    call.hear(BEGINS)
    for _ in range(4):
        for _ in range(3):
            assert call.hear(says=1.0) == []
        assert call.hear(says=0.4) == []


def test_a_voice_that_outlasts_the_last_echo_is_the_callers() -> None:
    call = Call()
    call.hear(BEGINS, says=1.0)
    call.sounds = False
    found = [each for _ in range(60) for each in call.hear(says=1.0)]
    (begins,) = found
    assert isinstance(begins, VoiceEdge)
    assert begins.speaking


def test_a_voice_that_is_only_likely_is_looked_at_already() -> None:
    call = Call()
    call.hear(probability=0.4)
    assert not call.judge.ends_s
    call.hear(probability=0.6)
    assert len(call.judge.ends_s) == 1


def test_jitter_does_not_move_the_clock_and_a_gap_does() -> None:
    call = Call()
    rng = np.random.default_rng(3)
    call.hear(probability=1)
    for _ in range(50):
        call.hear(probability=1, late_s=float(rng.uniform(0, 0.08)))
    steps = np.diff(call.judge.ends_s[1:])
    assert np.abs(steps - 0.04).max() < 0.001 + 0.04 * 2e-4
    call.now_s += 1.0
    call.hear(probability=1)
    assert call.judge.ends_s[-1] == pytest.approx(call.now_s)


@pytest.mark.parametrize(
    ("ours_is", "said"),
    [("all", [EchoHeard(words=True)]), ("most", [EchoHeard()]), ("none", [])],
)
def test_words_that_no_voice_was_heard_for_are_asked_for_their_sound(
    ours_is: Ours, said: list[EchoHeard]
) -> None:
    call = Call(Told(ours_is=ours_is))
    assert not call.own.hear_words(), "nothing was heard yet"
    call.hear_for(A_SECOND)
    assert call.own.hear_words() == said
    assert not call.judge.ends_s, "there was no voice"


def test_words_may_lie_where_nothing_was_heard() -> None:
    """They come behind what they were said in: before we began, or in a gap of the stream."""
    call = Call(Told(ours_is="all"))
    call.hear_for(A_SECOND - 2)
    assert not call.own.hear_words()
    call.hear_for(2)
    assert call.own.hear_words()
    call.hear(late_s=1.0)
    call.now_s += 1.0
    assert not call.own.hear_words()
    call.hear_for(A_SECOND)
    assert call.own.hear_words()


def test_words_for_which_the_callers_voice_was_heard_are_his() -> None:
    call = Call(Told(ours_is="all"))
    call.hear(BEGINS)
    assert not call.own.hear_words()
    call.hear(ENDS)
    for _ in range(23):
        call.hear()
        assert not call.own.hear_words(), "less than a second ago"
    call.hear()
    call.hear()
    assert call.own.hear_words()


def test_of_words_that_come_when_nothing_of_ours_sounds_nothing_is_known() -> None:
    call = Call(Told(ours_is="all"))
    call.hear()
    call.sounds = False
    for _ in range(60):
        call.hear()
    assert not call.own.hear_words()


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(-1, 1), st.booleans()), max_size=80)
)
def test_edges_alternate_and_an_echo_is_heard_in_silence_only(
    steps: list[tuple[bool, bool, float, bool]],
) -> None:
    """Whatever the ear hears, the judge believes and we say."""
    call, is_voice, is_own = Call(), False, False
    for turns, sounds, says, likely in steps:
        call.sounds = sounds
        edges: tuple[VoiceEdge, ...] = ()
        if turns:
            is_voice = not is_voice
            edges = (VoiceEdge(is_voice, call.now_s, 0.1),)
        for each in call.hear(*edges, says=says, probability=float(likely)):
            if isinstance(each, VoiceEdge):
                assert each.speaking != is_own
                is_own = each.speaking
            else:
                assert not is_own
        assert is_voice or not is_own
