"""The end of a turn: what each source does to it, and what holds whatever they all do."""

from __future__ import annotations

import math

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.endpointing import (
    AnswerBegan,
    CheckAnswered,
    CheckAsked,
    Endpointing,
    EndpointingOptions,
    Sign,
    TurnTaken,
    Verdict,
)
from vantum.core.messages import (
    SpeechStarted,
    SttFlush,
    SttFlushed,
    Transcript,
    UtteranceEnded,
    VoiceEdge,
)
from vantum.core.pauses import KEPT, Pauses

PLAIN = EndpointingOptions(
    min_wait_s=0.3, silence_s=0.7, max_wait_s=2.5, deadline_s=6.0, sure=0.85, adapts=False
)
ASKING = evolve(PLAIN, has_detector=True)
BEGAN, QUIET = VoiceEdge(True, 0.0), VoiceEdge(False, 0.0)
OVER = UtteranceEnded(0.0)
OPEN = "the blue car"  # neither complete nor incomplete
WHOLE = "I would like the blue car."
HALF = "I would like the"


def said(text: str, *, final: bool = True) -> Transcript:
    return Transcript(text, final, 1.0, 0.0, 0.0)


def after(options: EndpointingOptions, *signs: tuple[float, Sign]) -> Endpointing:
    policy = Endpointing(options)
    for at_s, sign in signs:
        policy = policy.take(sign, at_s)
    return policy


def end_of(policy: Endpointing) -> tuple[float, Verdict]:
    """When the turn ends if nothing more happens; checks are asked for and not answered."""
    for _ in range(3):
        at_s = policy.wake_at()
        assert at_s is not None
        verdict = policy.decide(at_s)
        if verdict.ended:
            assert not policy.decide(math.nextafter(at_s, -1)).ended
            return at_s, verdict
        assert verdict.check is not None
        policy = policy.take(CheckAsked(verdict.check), at_s)
    raise AssertionError("asked twice about one pause")


def spoken(text: str, *, options: EndpointingOptions = PLAIN) -> Endpointing:
    """A voice from 0 to 2 s, these words at 1.9 s."""
    return after(options, (0, BEGAN), (1.9, said(text, final=False)), (2, QUIET))


# ---------------------------------------------------------------- the wait


def test_without_a_sign_there_is_nothing_to_decide() -> None:
    policy = Endpointing()
    assert policy.wake_at() is None
    assert policy.decide(5) == Verdict(False, "idle")
    for sign in (QUIET, OVER, SttFlushed(1), AnswerBegan(), CheckAnswered(7, 0.9)):
        assert policy.take(sign, 5).wake_at() is None


def test_a_pause_of_unknown_meaning_lasts_the_silence() -> None:
    at_s, verdict = end_of(spoken(OPEN))
    assert at_s == pytest.approx(2.7)
    assert verdict == Verdict(True, "silence", None, at_s - 2, 0.7)


def test_complete_words_shorten_the_wait_and_incomplete_ones_lengthen_it() -> None:
    shorter, whole = end_of(spoken(WHOLE))
    longer, half = end_of(spoken(HALF))
    assert 2.3 <= shorter < 2.5
    assert longer == pytest.approx(4.5)
    assert (whole.reason, half.reason) == ("complete", "incomplete")


def test_words_that_are_not_read_say_nothing() -> None:
    deaf = evolve(PLAIN, reads_words=False)
    assert end_of(spoken(WHOLE, options=deaf)) == end_of(spoken(HALF, options=deaf))
    at_s, verdict = end_of(spoken(HALF, options=deaf))
    assert (at_s, verdict.reason) == (2.7, "silence")


def test_whoever_is_sure_enough_waits_no_shorter() -> None:
    easily, hardly = (evolve(ASKING, sure=sure) for sure in (0.6, 0.95))
    ends = [
        end_of(spoken(OPEN, options=options).take(CheckAnswered(1, 0.8), 2.2))[0]
        for options in (easily, hardly)
    ]
    assert ends[0] < ends[1]


def test_while_a_voice_is_heard_the_turn_goes_on() -> None:
    policy = after(PLAIN, (0, BEGAN), (1, said(WHOLE)))
    assert policy.decide(2) == Verdict(False, "voice")
    assert policy.probability == 0.8
    assert policy.decide(6.9).reason == "voice"


def test_a_pause_that_is_over_was_none() -> None:
    policy = spoken(WHOLE).take(BEGAN, 2.2)
    assert policy.decide(2.9).reason == "voice"
    assert end_of(policy.take(QUIET, 3))[0] == pytest.approx(3 + end_of(spoken(WHOLE))[0] - 2)


def test_an_edge_counts_from_where_it_was_not_from_its_report() -> None:
    late = evolve(QUIET, late_s=0.1)
    policy = after(PLAIN, (0, BEGAN), (1, said(OPEN)), (2, late))
    assert end_of(policy)[0] == pytest.approx(2.6)
    assert after(PLAIN, (0, BEGAN), (0, BEGAN), (1, QUIET), (1.5, QUIET)).quiet_s == 1


def test_an_ear_that_has_failed_hears_no_voice_and_its_detector_is_not_asked() -> None:
    failed = evolve(QUIET, late_s=0.1, is_last=True)
    at_s, verdict = end_of(after(ASKING, (0, BEGAN), (1, said(OPEN)), (2, failed)))
    assert (at_s, verdict.reason) == (2.7, "silence")


def test_words_that_are_only_late_hold_the_end_back_for_a_moment() -> None:
    policy = spoken("").take(said(OPEN), 2.65)
    assert end_of(policy)[0] == pytest.approx(2.8)
    assert end_of(policy.take(OVER, 2.66))[0] == pytest.approx(2.7)


def test_a_sentence_without_spaces_grows_by_its_characters() -> None:
    """Else who speaks Chinese without a pause would be cut off at the deadline."""
    policy = after(PLAIN, (0, BEGAN), (4, said("我想", final=False)))
    policy = policy.take(said("我想知道你们的价格", final=False), 5.5)
    assert policy.wake_at() == 5.5 + PLAIN.deadline_s


def test_a_correction_without_a_new_word_holds_nothing_back() -> None:
    policy = spoken(OPEN).take(said("the blue cars"), 2.69)
    assert policy.text == "the blue cars"
    assert end_of(policy)[0] == pytest.approx(2.7)


def test_words_long_after_the_voice_are_speech_that_it_missed() -> None:
    policy = spoken(HALF).take(said(f"{HALF} red"), 3.5)
    assert end_of(policy)[0] == pytest.approx(3.5 + 0.7)


def test_finals_add_up_and_interims_replace_each_other() -> None:
    policy = after(
        PLAIN,
        (0, BEGAN),
        (1, said("the", final=False)),
        (2, said("The blue.")),
        (3, said("call", final=False)),
        (4, said("car and", final=False)),
    )
    assert policy.text == "The blue. car and"


# ---------------------------------------------------------------- the detector


def test_the_detector_is_asked_once_a_pause() -> None:
    policy = spoken(OPEN, options=ASKING)
    assert policy.wake_at() == pytest.approx(2.1)
    verdict = policy.decide(2.11)
    assert (verdict.ended, verdict.reason, verdict.check) == (False, "pause", 1)
    asked = policy.take(CheckAsked(1), 2.21)
    assert asked.decide(2.3).check is None
    again = asked.take(BEGAN, 2.4).take(QUIET, 3)
    assert again.decide(3.05).check is None
    assert again.decide(3.15).check == 2


def test_its_answer_moves_the_end_either_way() -> None:
    policy = spoken(OPEN, options=ASKING).take(CheckAsked(1), 2.2)
    waits = [end_of(policy.take(CheckAnswered(1, p), 2.3))[0] - 2 for p in (1, 0.8, 0.6, 0.3, 0)]
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(0.3)
    assert waits[-1] == pytest.approx(2.5)


def test_an_answer_that_is_late_or_about_another_pause_changes_nothing() -> None:
    policy = spoken(OPEN, options=ASKING).take(CheckAsked(1), 2.2)
    assert end_of(policy)[0] == pytest.approx(2.7)
    assert policy.take(CheckAnswered(0, 1.0), 2.3) == policy
    speaking = policy.take(BEGAN, 2.4)
    assert speaking.take(CheckAnswered(1, 1.0), 2.5) == speaking
    answered = policy.take(CheckAnswered(1, 1.0), 2.25).take(BEGAN, 2.28).take(QUIET, 4)
    assert end_of(answered)[0] == pytest.approx(4.7)


def test_until_it_answers_words_may_only_lengthen_the_wait() -> None:
    assert end_of(spoken(WHOLE, options=ASKING))[0] == pytest.approx(2.7)
    assert end_of(spoken(HALF, options=ASKING))[0] == pytest.approx(4.5)


def test_it_is_asked_though_no_words_are_there_yet() -> None:
    policy = spoken("", options=ASKING)
    assert policy.decide(2.2).check == 1
    assert policy.probability is None
    assert end_of(policy.take(CheckAnswered(1, 0.99), 2.25))[0] == pytest.approx(2.3)


# ---------------------------------------------------------------- the recogniser alone


def test_the_recogniser_alone_ends_a_turn_at_its_word() -> None:
    policy = after(PLAIN, (0, SpeechStarted(0)), (1, said(OPEN)))
    assert end_of(policy)[0] == pytest.approx(3.5)
    assert end_of(policy)[1].reason == "deadline"
    at_s, verdict = end_of(policy.take(OVER, 1.1))
    assert at_s == pytest.approx(1.3)
    assert verdict.reason == "recogniser"


def test_not_if_the_words_are_incomplete() -> None:
    at_s, verdict = end_of(after(PLAIN, (1, said(HALF)), (1.1, OVER)))
    assert at_s == pytest.approx(3.5)
    assert verdict.reason == "incomplete"


def test_with_a_detector_it_waits_for_its_answer_but_not_forever() -> None:
    policy = after(ASKING, (1, said(WHOLE)), (1.1, OVER))
    assert policy.decide(1.1).check == policy.pause
    policy = policy.take(CheckAsked(policy.pause), 1.1)
    assert end_of(policy)[0] == pytest.approx(1.7)
    assert end_of(policy.take(CheckAnswered(policy.pause, 0.9), 1.2))[0] == pytest.approx(1.3)


def test_words_that_grow_are_worth_asking_again() -> None:
    policy = after(ASKING, (1, said(WHOLE)), (1.1, OVER))
    first = policy.pause
    policy = policy.take(CheckAsked(first), 1.1).take(CheckAnswered(first, 0.9), 1.15)
    policy = policy.take(said("and um"), 1.2).take(OVER, 1.3)
    assert policy.answer is None
    assert policy.decide(1.3).check == policy.pause != first


def test_words_that_grow_join_the_turn() -> None:
    policy = after(PLAIN, (1, said(OPEN)), (1.1, OVER), (1.2, said("and more")))
    assert end_of(policy)[0] == pytest.approx(3.7)


def test_a_voice_that_only_the_recogniser_heard_comes_to_an_end() -> None:
    at_s, verdict = end_of(after(PLAIN, (1, SpeechStarted(0))))
    assert (at_s, verdict.reason) == (3.5, "deadline")
    voiced = spoken(OPEN)
    assert voiced.take(SpeechStarted(0), 2.1) == voiced


# ---------------------------------------------------------------- contradictions


def test_a_voice_without_words_ends_at_the_deadline() -> None:
    assert end_of(after(PLAIN, (0, BEGAN)))[0] == 6
    at_s, verdict = end_of(after(PLAIN, (0, BEGAN), (2, said(OPEN))))
    assert (at_s, verdict.reason) == (8, "deadline")


def test_a_noise_goes_on_but_the_recogniser_has_called_it_over() -> None:
    assert end_of(after(PLAIN, (0, BEGAN), (2, said(OPEN)), (2.5, OVER)))[0] == pytest.approx(5)
    assert end_of(after(PLAIN, (0, BEGAN), (2.5, OVER)))[0] == 6


def test_a_noise_that_comes_and_goes_is_no_reason_to_wait_longer() -> None:
    policy = spoken(OPEN)
    for tenth in range(25, 100, 5):
        if policy.decide(tenth / 10).ended:
            break
        policy = policy.take(BEGAN, tenth / 10).take(QUIET, tenth / 10 + 0.1)
    verdict = policy.decide(tenth / 10)
    assert verdict.reason == "deadline"
    assert 7.9 <= tenth / 10 <= 8.5


def test_what_the_recogniser_called_over_before_the_voice_went_on_counts_no_more() -> None:
    policy = after(PLAIN, (0, BEGAN), (1, said(OPEN)), (1.1, QUIET), (1.2, OVER), (1.3, BEGAN))
    assert end_of(policy)[0] == 7


def test_even_at_the_deadline_a_pause_lasts_the_minimum() -> None:
    policy = after(PLAIN, (0, BEGAN), (1, said(OPEN)), (6.9, QUIET))
    assert end_of(policy)[0] == pytest.approx(7.2)


# ---------------------------------------------------------------- flushing and the next turn


def test_while_the_recogniser_is_asked_for_its_last_words_nothing_is_decided() -> None:
    policy = spoken(OPEN).take(SttFlush(3), 2.7)
    assert policy.wake_at() is None
    assert policy.decide(9) == Verdict(False, "flushing")
    policy = policy.take(said("the blue car we saw"), 2.8).take(SpeechStarted(0), 2.8)
    assert policy.take(SttFlushed(2), 2.85) == policy
    assert policy.take(SttFlushed(3), 2.9).decide(2.9).ended


def test_nor_does_what_the_recogniser_hears_meanwhile_begin_a_pause() -> None:
    policy = after(PLAIN, (1, said(OPEN)), (1.1, OVER), (1.4, SttFlush(0)))
    policy = policy.take(SpeechStarted(0), 1.45).take(said("we saw"), 1.46)
    assert policy.take(SttFlushed(0), 1.5).decide(1.5).ended


def test_a_caller_who_goes_on_meanwhile_takes_the_end_back() -> None:
    policy = spoken(OPEN).take(SttFlush(3), 2.7).take(BEGAN, 2.75).take(said("he he he he"), 2.8)
    policy = policy.take(SttFlushed(3), 2.9)
    assert policy.decide(2.9).reason == "voice"
    assert policy.grew_s == 2.8


def test_after_a_turn_is_taken_the_next_begins_from_nothing() -> None:
    policy = spoken(OPEN).take(TurnTaken(), 2.8)
    assert policy.text == ""
    assert policy.wake_at() is None
    assert policy.take(said("no"), 3).take(OVER, 3.1).decide(3.3).reason == "recogniser"


def test_a_voice_that_goes_on_is_the_next_turns() -> None:
    policy = after(PLAIN, (0, BEGAN)).take(TurnTaken(), 6)
    assert end_of(policy)[0] == 12
    assert end_of(policy.take(QUIET, 7))[0] == pytest.approx(7.7)


# ---------------------------------------------------------------- the caller's pauses


def talk(pauses_s: list[float], options: EndpointingOptions) -> Endpointing:
    policy, now_s = Endpointing(options), 0.0
    for pause_s in pauses_s:
        policy = policy.take(BEGAN, now_s).take(QUIET, now_s + 1)
        now_s += 1 + pause_s
    return policy.take(BEGAN, now_s).take(said(OPEN), now_s + 0.9).take(QUIET, now_s + 1)


def wait_after(pauses_s: list[float]) -> float:
    policy = talk(pauses_s, evolve(PLAIN, deadline_s=999, adapts=True))
    at_s, _ = end_of(policy)
    return at_s - policy.quiet_s


def test_the_callers_pauses_move_the_wait() -> None:
    assert wait_after([]) == pytest.approx(0.7)
    quick, slow = wait_after([0.21, 0.25, 0.22] * 5), wait_after([0.9, 1.1, 1.4] * 5)
    assert 0.3 <= quick < 0.4
    assert 1.2 < slow < 2.0
    assert wait_after([0.9]) < wait_after([0.9] * 4) < wait_after([0.9] * 12)


def test_one_long_look_into_the_diary_moves_it_little() -> None:
    steady = [0.3, 0.4, 0.5] * 4
    assert wait_after([*steady, 2.4]) < 1.15 * wait_after(steady)


def test_they_do_not_if_it_is_turned_off() -> None:
    assert end_of(talk([1.4] * 9, evolve(PLAIN, deadline_s=999)))[1].wait_s == pytest.approx(0.7)


def test_a_pause_that_was_mistaken_for_the_end_counts_unless_an_answer_was_heard() -> None:
    taken = spoken(OPEN).take(TurnTaken(), 2.8)
    assert taken.take(BEGAN, 3.0).pauses.logs == (math.log(1.0),)
    assert taken.take(AnswerBegan(), 2.9).take(BEGAN, 3.0).pauses.logs == ()
    assert taken.take(BEGAN, 9.0).pauses.logs == ()
    unvoiced = taken.take(said("yes"), 2.9).take(TurnTaken(), 3)
    assert unvoiced.taken_s == 2


def test_a_pause_lasts_to_where_the_voice_began_not_to_its_report() -> None:
    policy = spoken(OPEN).take(VoiceEdge(True, 0.0, 0.1), 2.6)
    assert [round(log, 6) for log in policy.pauses.logs] == [round(math.log(0.5), 6)]
    absurd = spoken(OPEN).take(VoiceEdge(True, 0.0, 9.0), 2.6)
    assert absurd.pauses.logs == ()
    assert absurd.take(VoiceEdge(False, 0.0, 9.0), 2.7).quiet_s == 2


def test_only_the_last_pauses_count_and_only_those_that_are_some() -> None:
    pauses = Pauses()
    for _ in range(KEPT + 5):
        pauses = pauses.add(0.15).add(0.4)
    assert pauses.logs == (math.log(0.4),) * KEPT


@given(st.lists(st.floats(0.0, 5.0), max_size=40), st.floats(0.1, 2.0))
def test_the_estimate_lies_within_what_was_measured_and_wanted(
    lengths: list[float], silence_s: float
) -> None:
    pauses = Pauses()
    for length in lengths:
        pauses = pauses.add(length)
    assert min(silence_s, 0.2) - 1e-9 <= pauses.wait_s(silence_s) < 60


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_wait_s": 0.0},
        {"min_wait_s": 1.3},
        {"silence_s": 2.6},
        {"deadline_s": 1.5},
    ],
)
def test_waits_out_of_order_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="min_wait <= silence <= max_wait"):
        EndpointingOptions(**wrong)  # type: ignore[arg-type]


# ---------------------------------------------------------------- whatever happens


@frozen
class Ended:
    """A turn that was ended, on the call's clock."""

    at_s: float
    verdict: Verdict
    last_sign_s: float
    before: Endpointing
    words: str


WORDS = ["yes", "I want", "and", "um", "the car.", "really?", "", "five"]
signs = st.one_of(
    st.builds(VoiceEdge, st.booleans(), st.just(0.0), st.sampled_from([0.0, 0.1])),
    st.builds(lambda text, final: said(text, final=final), st.sampled_from(WORDS), st.booleans()),
    st.sampled_from([OVER, SpeechStarted(0.0), AnswerBegan()]),
    st.builds(CheckAnswered, st.integers(0, 6), st.floats(0, 1)),
)
scripts = st.lists(st.tuples(st.sampled_from([0.0, 0.05, 0.2, 0.6, 1.3, 4.0]), signs), max_size=40)
options = st.builds(
    EndpointingOptions,
    min_wait_s=st.sampled_from([0.2, 0.3]),
    silence_s=st.sampled_from([0.3, 0.7]),
    max_wait_s=st.sampled_from([0.8, 2.5]),
    deadline_s=st.sampled_from([2.5, 6.0]),
    has_detector=st.booleans(),
    adapts=st.booleans(),
)


def play(
    options: EndpointingOptions, script: list[tuple[float, Sign]]
) -> tuple[list[Ended], Endpointing]:
    """A conductor in small: wakes when asked to, asks, flushes, takes turns."""
    policy, now_s, sign_s = Endpointing(options), 0.0, 0.0
    ended: list[Ended] = []
    spoken: list[str] = []

    def wake() -> None:
        nonlocal policy
        verdict = policy.decide(now_s)
        assert verdict.ended or verdict.check is not None, "woken for nothing"
        if verdict.check is not None:
            assert policy.asked != verdict.check
            policy = policy.take(CheckAsked(verdict.check), now_s)
        else:
            ended.append(Ended(now_s, verdict, sign_s, policy, policy.text))
            policy = policy.take(SttFlush(len(ended)), now_s)
            assert policy.wake_at() is None
            policy = policy.take(SttFlushed(len(ended)), now_s)
            assert policy.decide(now_s).ended
            policy = policy.take(TurnTaken(), now_s)
            spoken.clear()

    def wake_until(until_s: float) -> None:
        nonlocal now_s
        while (at_s := policy.wake_at()) is not None and at_s <= until_s:
            now_s = max(now_s, at_s)
            wake()
        now_s = max(now_s, until_s)

    for gap_s, sign in script:
        wake_until(now_s + gap_s)
        before = policy
        policy = policy.take(sign, now_s)
        if isinstance(sign, Transcript) and sign.is_final and sign.text:
            spoken.append(sign.text)
        assert policy.final == " ".join(spoken)
        grew = policy.most > before.most
        if grew or policy.quiet_s != before.quiet_s or (policy.voice_s != before.voice_s):
            sign_s = now_s
    if policy.voice_s is None:
        wake_until(now_s + 30)
        assert policy.wake_at() is None
    return ended, policy


@given(options, scripts)
def test_a_verdict_comes_in_time_and_not_too_early(
    options: EndpointingOptions, script: list[tuple[float, Sign]]
) -> None:
    ended, _ = play(options, script)
    for end in ended:
        before = end.before
        assert before.began_s is not None
        if before.voice_s is None:
            assert end.at_s >= before.quiet_s + options.min_wait_s - 1e-9
            assert end.at_s <= end.last_sign_s + options.max_wait_s + 1e-9
        else:
            assert end.verdict.reason == "deadline"
            last_s = max(before.began_s, before.grew_s or 0.0)
            assert end.at_s <= last_s + options.deadline_s + 1e-9 or end.at_s == before.voice_s
            assert end.at_s >= last_s + options.max_wait_s - 1e-9


@given(options, scripts)
def test_the_same_signs_give_the_same_decisions(
    options: EndpointingOptions, script: list[tuple[float, Sign]]
) -> None:
    assert play(options, script) == play(options, script)


@given(options, scripts, st.floats(0, 10))
def test_deciding_changes_nothing_and_time_alone_takes_no_end_back(
    options: EndpointingOptions, script: list[tuple[float, Sign]], later_s: float
) -> None:
    policy, now_s = Endpointing(options), 0.0
    for gap_s, sign in script:
        now_s += gap_s
        policy = policy.take(sign, now_s)
        verdict = policy.decide(now_s)
        assert verdict == policy.decide(now_s)
        if verdict.ended:
            assert policy.decide(now_s + later_s).ended
