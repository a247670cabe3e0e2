"""Which of the caller's sounds stop the agent, and whether that was right."""

from __future__ import annotations

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from vantum.core.backchannels import BACKCHANNELS, is_backchannel, tokens
from vantum.core.bargein import (
    AnswerAudible,
    BargeIn,
    BargeInOptions,
    Kind,
    WordsTaken,
)
from vantum.core.echo import foreign
from vantum.core.floor import Floor
from vantum.core.messages import (
    EchoHeard,
    SpeechStarted,
    SttFlushed,
    Transcript,
    UtteranceEnded,
    VoiceEdge,
)

TEXT = "Our platform answers every call within a second and it never forgets what was said"
SAYING = tuple(TEXT.split())
MIDDLE = Floor(SAYING, 7)
ON, OFF = VoiceEdge(True, 0.0), VoiceEdge(False, 0.0)


def said(text: str, *, final: bool = True) -> Transcript:
    return Transcript(text, final, 0.9, 0.0, 1.0)


def echoed(floor: Floor = MIDDLE) -> BargeIn:
    """The ear has known our echo by its sound, at 10 s."""
    return BargeIn().take(EchoHeard(), floor, 10.0)


def over(floor: Floor = MIDDLE) -> BargeIn:
    """A voice that began over the agent, at 10 s."""
    return BargeIn().take(ON, floor, 10.0)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    "text",
    [
        "mm-hmm",
        "Mm hmm.",
        "Yeah.",
        "right",
        "Okay, right.",
        "I see",
        "uh-huh, got it",
        "All right!",
    ],
)
def test_listening_noises(text: str) -> None:
    assert is_backchannel(tokens(text), frozenset(BACKCHANNELS))


@pytest.mark.parametrize("text", ["no", "yeah but", "right now", "I", "wait", "", "..."])
def test_words_that_want_to_be_heard(text: str) -> None:
    assert not is_backchannel(tokens(text), frozenset(BACKCHANNELS))


@pytest.mark.parametrize(
    ("words", "position", "whole", "wants"),
    [
        ("Do you use a dialler today? And", 6, False, True),
        ("Do you use a dialler today? We do and it is very good indeed", 13, False, False),
        ("We can start on Monday or on any other day of the week", 3, True, False),
        ("We can start on Monday or on any other day of the week", 10, True, True),
        ("We can start on Monday or on any other day of the week", 10, False, False),
    ],
)
def test_where_a_short_word_is_an_answer(
    words: str, position: int, whole: bool, wants: bool
) -> None:
    assert Floor(tuple(words.split()), position, whole).wants_answer == wants


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "nothing"),
        ("...", "nothing"),
        ("mm-hmm", "backchannel"),
        ("a second and", "echo"),
        ("call within a second and it never", "echo"),
        ("call within a segment and it", "echo"),
        ("wait", "words"),
        ("call me back", "words"),
        ("our platform", "words"),  # said before he began: he is repeating us
    ],
)
def test_what_the_words_are(text: str, kind: Kind) -> None:
    policy = over(Floor(SAYING, 5))
    assert policy.kind(text, Floor(SAYING, 8)) == kind


def test_words_that_did_not_begin_over_the_agent_are_no_echo() -> None:
    policy = BargeIn().take(ON, None, 10.0)
    assert policy.kind("a second and", MIDDLE) == "words"


def test_yes_to_a_question_is_an_answer() -> None:
    asking = Floor(("Shall", "we", "begin?"), 3)
    policy = over(asking)
    assert policy.kind("yes", asking) == "words"
    assert policy.has_words("yes", asking)
    # The voice began there: what the agent says by the time the word is known does not matter.
    assert policy.take(said("yes"), MIDDLE, 10.6).kind("yes", MIDDLE) == "words"
    assert over(MIDDLE).take(said("yes"), asking, 10.6).kind("yes", asking) == "backchannel"


# ---------------------------------------------------------------- voice


def test_a_voice_that_lasts_stops_and_one_that_does_not_does_not() -> None:
    policy = over()
    assert policy.voice_due_s == pytest.approx(10.06)
    assert not policy.stops("", MIDDLE, 10.055)
    assert policy.stops("", MIDDLE, 10.06)
    assert not policy.take(OFF, MIDDLE, 10.05).stops("", MIDDLE, 11.0)


def test_the_detectors_own_delay_counts_as_voice() -> None:
    policy = BargeIn().take(VoiceEdge(True, 0.0, late_s=0.02), MIDDLE, 10.0)
    assert policy.voice_due_s == pytest.approx(10.04)


def test_a_voice_that_began_before_the_answer_stops_nothing_but_its_words_do() -> None:
    policy = over().answer_started()
    assert policy.voice_due_s is None
    assert policy.stops("but wait", MIDDLE, 11.0)
    again = policy.take(OFF, MIDDLE, 12.0).take(ON, MIDDLE, 13.0)
    assert again.voice_due_s == pytest.approx(13.06)


def test_a_voice_that_began_while_we_thought_counts_from_the_first_audio_on() -> None:
    policy = BargeIn().answer_started().take(ON, None, 10.0).take(AnswerAudible(), MIDDLE, 10.5)
    assert policy.onset == 0
    assert policy.stops("", MIDDLE, 10.5)
    assert BargeIn().take(AnswerAudible(), MIDDLE, 10.5).onset is None


def test_words_before_the_first_audio_are_no_interruption() -> None:
    policy = BargeIn().take(AnswerAudible(2), MIDDLE, 10.0)
    assert not policy.stops("hello there", MIDDLE, 10.1)
    assert policy.stops("hello there wait", MIDDLE, 10.2)
    assert policy.take(WordsTaken(), MIDDLE, 10.3).before == 0


def test_words_alone_stop_as_many_as_are_wanted() -> None:
    policy = BargeIn(BargeInOptions(mode="words", words=2)).take(ON, MIDDLE, 10.0)
    assert policy.voice_due_s is None
    assert not policy.stops("wait", MIDDLE, 12.0)
    assert policy.stops("wait please", MIDDLE, 12.0)
    assert not policy.stops("yeah okay", MIDDLE, 12.0)


def test_off_is_off() -> None:
    policy = BargeIn(BargeInOptions(mode="off")).take(ON, MIDDLE, 10.0)
    assert not policy.stops("stop it now please", MIDDLE, 20.0)


def test_without_an_ear_the_recogniser_counts() -> None:
    policy = BargeIn().take(SpeechStarted(0.0), MIDDLE, 10.0)
    assert policy.stops("", MIDDLE, 10.2)
    assert policy.take(SpeechStarted(0.0), MIDDLE, 10.1) == policy
    for over_sign in (UtteranceEnded(1.0), SttFlushed(1)):
        ended = policy.take(over_sign, MIDDLE, 10.1)
        assert ended.voice_s is None
        assert ended.take(over_sign, MIDDLE, 11.0) == ended
    eared = policy.take(OFF, MIDDLE, 10.1)
    assert eared.take(SpeechStarted(0.0), MIDDLE, 10.2) == eared
    failed = eared.take(ON, MIDDLE, 10.2).take(attrs.evolve(OFF, is_last=True), MIDDLE, 10.3)
    assert failed.voice_s is None
    assert failed.take(SpeechStarted(0.0), MIDDLE, 10.4).voice_s == 10.4
    assert over().take(UtteranceEnded(1.0), MIDDLE, 10.1).voice_s == 10.0


def test_words_of_a_voice_that_nobody_heard_are_placed_before_they_came() -> None:
    policy = BargeIn().take(said("a b c"), MIDDLE, 10.0)
    assert policy.onset == 4
    assert policy.take(said(""), MIDDLE, 10.0) == policy
    assert BargeIn().take(said("x"), None, 10.0).onset is None
    # So an echo is known without an ear too.
    assert policy.kind("platform answers every call", MIDDLE) == "echo"


# ---------------------------------------------------------------- was it right?


def test_a_stop_without_words_is_false_after_a_while() -> None:
    policy = over().stopped(10.2)
    assert policy.resumes_at("", MIDDLE) == pytest.approx(15.2), "while he is heard"
    quiet = policy.take(VoiceEdge(False, 0.0, late_s=0.1), None, 10.5)
    assert quiet.resumes_at("", MIDDLE) == pytest.approx(11.4)
    assert quiet.resumes_at("mm-hmm", MIDDLE) == pytest.approx(10.8)
    assert quiet.resumes_at("within a second", MIDDLE) == pytest.approx(10.8)
    assert quiet.resumes_at("what does it cost", MIDDLE) is None
    assert quiet.confirmed().resumes_at("", MIDDLE) is None


def test_after_a_hum_that_was_all_it_goes_on_sooner() -> None:
    stopped = over().stopped(10.1)
    during = stopped.take(said("mm-hmm", final=False), None, 10.3)
    quiet = during.take(VoiceEdge(False, 0.0, late_s=0.1), None, 10.5)
    assert quiet.resumes_at("mm-hmm", MIDDLE) == pytest.approx(10.8), "there may be more"
    told = quiet.take(said("mm-hmm", final=False), None, 10.55)
    assert told.resumes_at("mm-hmm", MIDDLE) == pytest.approx(10.6)
    assert told.take(said(""), None, 10.6).told
    assert told.resumes_at("within a second", MIDDLE) == pytest.approx(10.8), "an echo goes on"
    again = told.take(ON, None, 10.6)
    assert again.resumes_at("mm-hmm", MIDDLE) == pytest.approx(15.1), "he is heard"
    after = again.take(OFF, None, 10.7)
    assert after.resumes_at("mm-hmm", MIDDLE) == pytest.approx(11.1), "no words of that yet"
    assert stopped.take(WordsTaken(), None, 10.2).told is False


def test_a_voice_that_lasted_for_longer_than_its_words_has_said_more() -> None:
    stopped = over().stopped(10.1)
    quiet = stopped.take(VoiceEdge(False, 0.0, late_s=0.1), None, 11.1)  # a second of it
    told = quiet.take(said("yeah"), None, 11.15)
    assert told.resumes_at("yeah", MIDDLE) == pytest.approx(11.4)
    assert told.resumes_at("yeah right", MIDDLE) == pytest.approx(11.2)
    # In two parts it is as long.
    parts = over().stopped(10.1).take(OFF, None, 10.6).take(ON, None, 10.7).take(OFF, None, 11.2)
    told = parts.take(said("yeah"), None, 11.25)
    assert told.resumes_at("yeah", MIDDLE) == pytest.approx(11.6)
    assert told.take(WordsTaken(), None, 11.3).spoken_s == 0


def test_after_several_false_stops_a_voice_proves_nothing_until_he_speaks() -> None:
    policy = BargeIn()
    for at_s in (10.0, 20.0):
        policy = policy.take(ON, MIDDLE, at_s)
        assert policy.trusts_voice
        policy = policy.stopped(at_s + 0.2).take(OFF, None, at_s + 0.4)
        policy = policy.refuted("nothing", at_s + 1.4)
    policy = policy.take(ON, MIDDLE, 30.0)
    assert not policy.trusts_voice
    assert policy.stops("wait", MIDDLE, 30.5)
    assert policy.confirmed().trusts_voice


def test_an_echo_that_the_ear_knows_is_no_voice_and_takes_no_trust_from_voices() -> None:
    policy = echoed()
    assert policy.voice_due_s is None
    assert policy.take(SpeechStarted(0.0), MIDDLE, 10.5).voice_due_s is None
    heard = policy.refuted("echo", 11.0)
    assert heard.echoing
    assert heard.trusts_voice
    assert heard.take(ON, MIDDLE, 12.0).voice_due_s == pytest.approx(12.06)


def test_false_stops_take_the_trust_away_though_the_ear_knows_echoes() -> None:
    policy = echoed()
    for at_s in (12.0, 14.0):
        policy = policy.take(ON, MIDDLE, at_s).stopped(at_s + 0.1).refuted("echo", at_s + 1)
        policy = policy.take(OFF, MIDDLE, at_s + 1)
    assert not policy.trusts_voice


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("platforms often every coal hidden seconds", "echo"),  # a loudspeaker misheard
        ("wait I have a question", "words"),
        ("stop", "words"),
    ],
)
def test_where_only_an_echo_was_heard_the_words_are_one_unless_most_are_foreign(
    text: str, kind: Kind
) -> None:
    policy = echoed().take(said(text), MIDDLE, 11.0)
    assert policy.kind(text, MIDDLE) == kind
    spoken_into = policy.take(ON, MIDDLE, 11.0)
    assert spoken_into.kind(text, MIDDLE) == "words"


def by_sound(policy: BargeIn, text: str, *, final: bool = True) -> BargeIn:
    """Words that were understood of an echo, as their sound says."""
    return policy.take(EchoHeard(words=True), MIDDLE, 11.0).take(
        said(text, final=final), MIDDLE, 11
    )


def test_words_whose_sound_is_ours_are_an_echo_whatever_was_understood() -> None:
    policy = by_sound(BargeIn(), "I'll see you tomorrow.")
    assert policy.kind("I'll see you tomorrow.", MIDDLE) == "echo"
    assert policy.kind("Yeah.", MIDDLE) == "echo"
    assert not policy.stops("I'll see you tomorrow.", MIDDLE, 12.0)


def test_only_the_words_that_were_asked_for_are_an_echo_by_their_sound() -> None:
    policy = by_sound(BargeIn(), "wait I have a question")
    both = policy.take(said("I really do"), MIDDLE, 12.0)
    assert both.kind("wait I have a question I really do", MIDDLE) == "words"
    again = by_sound(both, "tomorrow")
    assert again.kind("wait I have a question tomorrow", MIDDLE) == "words", "not all of them"
    taken = policy.take(WordsTaken(), MIDDLE, 12.0).take(said("wait I do"), MIDDLE, 13.0)
    assert taken.kind("wait I do", MIDDLE) == "words"
    passing = by_sound(BargeIn(), "wait", final=False).take(said("wait I do"), MIDDLE, 12.0)
    assert passing.kind("wait I do", MIDDLE) == "words", "interim words may change"
    spoken = by_sound(BargeIn(), "wait I do").take(ON, MIDDLE, 12.0)
    assert spoken.kind("wait I do", MIDDLE) == "words"


def test_words_are_asked_for_their_sound_where_it_can_matter() -> None:
    deaf = BargeIn()
    assert not deaf.wants_sound(is_final=True)
    unheard = BargeIn(eared=True)
    assert unheard.wants_sound(is_final=False)
    assert not unheard.take(ON, MIDDLE, 10.0).wants_sound(is_final=True)
    assert echoed().wants_sound(is_final=True)
    assert not echoed().wants_sound(is_final=False)


def test_a_voice_that_is_over_is_none_among_the_next_words() -> None:
    policy = echoed().take(ON, MIDDLE, 11.0)
    assert policy.take(WordsTaken(), MIDDLE, 11.5).owned
    policy = policy.take(OFF, MIDDLE, 12.0).take(WordsTaken(), MIDDLE, 12.0)
    assert not policy.owned


def test_after_an_echo_only_words_that_are_not_ours_stop_for_a_while() -> None:
    policy = over().refuted("echo", 11.0)
    assert policy.duds == 0, "no answer was stopped"
    assert policy.voice_due_s is None
    late = Floor(SAYING, 14)
    assert policy.kind("platform answers every call within a second", late) == "echo"
    assert not policy.stops("platform answers every uh call", late, 12.0)
    assert not policy.stops("wait", late, 12.0), "one word may be misheard"
    assert policy.stops("what was said wait hold on", late, 12.0)
    assert policy.take(ON, late, 40.0).voice_due_s is None
    assert policy.take(ON, late, 80.0).voice_due_s is not None


signs = st.one_of(
    st.builds(VoiceEdge, st.booleans(), st.just(0.0), st.floats(0, 0.2)),
    st.builds(SpeechStarted, st.just(0.0)),
    st.builds(EchoHeard, st.booleans()),
    st.builds(UtteranceEnded, st.just(0.0)),
    st.builds(SttFlushed, st.integers(0, 3)),
    st.builds(AnswerAudible, st.integers(0, 3)),
    st.builds(WordsTaken),
    st.sampled_from(["", "mm-hmm", "wait", "a second and it", "yes"]).map(said),
)


@given(
    steps=st.lists(st.tuples(signs, st.floats(0, 2), st.booleans()), max_size=20),
    mode=st.sampled_from(["auto", "words", "off"]),
    text=st.sampled_from(["", "yeah", "wait a moment", "answers every call"]),
)
@settings(max_examples=150, deadline=None)
def test_any_signs_in_any_order(
    steps: list[tuple[object, float, bool]], mode: str, text: str
) -> None:
    """A stop or an answer that waits for words always comes to an end, and off is off."""
    policy, now_s = BargeIn(BargeInOptions(mode=mode)), 0.0  # type: ignore[arg-type]
    for sign, wait_s, audible in steps:
        now_s += wait_s
        policy = policy.take(sign, MIDDLE if audible else None, now_s)  # type: ignore[arg-type]
        stops = policy.stops(text, MIDDLE, now_s)
        assert not (stops and mode == "off")
        if stops and policy.kind(text, MIDDLE) != "words":
            assert mode == "auto"
            assert policy.voice_s is not None
        stopped = policy.stopped(now_s)
        at_s = stopped.resumes_at(text, MIDDLE)
        assert (at_s is None) == (stopped.kind(text, MIDDLE) == "words")
        assert at_s is None or now_s <= at_s <= now_s + stopped.options.voice_limit_s
        until_s = policy.holds_until
        assert until_s is None or (policy.trusts_voice and until_s <= now_s + 2)
        assert policy.held().holds_until is None
        assert policy.answer_started().holds_until is None, "a voice that was there before it"


# ---------------------------------------------------------------- what recognisers make of them


@pytest.mark.parametrize("text", ["Uh-oh-oh", "Mmmm.", "Hmm, hmm", "You", "Ahh, yeah."])
def test_a_hum_is_one_however_it_is_spelled(text: str) -> None:
    assert is_backchannel(tokens(text), frozenset(BACKCHANNELS))


@pytest.mark.parametrize("text", ["You do?", "Humming", "Uh, no", "Other", ""])
def test_a_word_that_only_looks_like_a_hum_is_none(text: str) -> None:
    assert not is_backchannel(tokens(text), frozenset(BACKCHANNELS))


def test_the_few_words_of_an_echo_that_is_cut_off_are_misheard() -> None:
    ours = tokens("So the way it works is simple, our customers say")
    assert foreign(tokens("Hath the way?"), ours) == 1
    assert foreign(tokens("our custom"), ours) == 0
    assert foreign(tokens("custom customs"), ours) == 1, "each of ours serves once"
    assert foreign(tokens("simply customized"), ours) == 0
    assert foreign(tokens("worked customer"), ours) == 0
    assert foreign(tokens("Worcester cussed"), ours) == 2, "three letters are not enough"
    floor = Floor(("We", "have", "customers", "in", "logistics,"), 3)
    policy = BargeIn().take(VoiceEdge(True, 0.0), Floor(floor.words, 0), 0.0)
    assert policy.kind("You have customs.", floor) == "echo"
    assert policy.kind("We won't", floor) == "words"
    assert policy.kind("You have another question, then?", floor) == "words"


# ---------------------------------------------------------------- an echo is in our order, and late

SPOKEN_FIRST = "Hello, this is an AI assistant calling from Acme about your order."
OPENING = tuple(SPOKEN_FIRST.split())


def picking_up(position: int = 0, *, firm: bool = True) -> tuple[BargeIn, Floor]:
    """Somebody spoke from this word of an opening on; five words later the words are known."""
    floor = Floor(OPENING, position, firm=firm)
    return BargeIn().take(ON, floor, 10.0), attrs.evolve(floor, position=position + 5)


@pytest.mark.parametrize("firm", [True, False])
def test_words_that_resemble_what_is_said_are_not_an_echo_of_it(firm: bool) -> None:
    for text in ("Hello? Who is this?", "Is this Acme?", "Hello? Hello?"):
        policy, floor = picking_up(firm=firm)
        assert policy.kind(text, floor) == "words", text


def test_over_what_is_said_to_its_end_only_what_is_surely_an_echo_is_one() -> None:
    for text, kind in (
        ("Hello?", "words"),
        ("Hello, this is Anna.", "words"),
        ("Hello this is", "echo"),
        ("hello this is an eye assistant calling", "echo"),
        ("Mm-hmm.", "backchannel"),
    ):
        policy, floor = picking_up()
        assert policy.kind(text, floor) == kind, text
    known = attrs.evolve(policy, echoing=True, echo_s=9.0)
    assert known.kind("Hello?", floor) == "echo", "this line is known for it"


def test_an_echo_is_of_what_was_said_by_the_time_its_words_came() -> None:
    text = "calling from Acme about"
    policy, floor = picking_up()
    policy = policy.take(said(text), floor, 11.0)
    late = attrs.evolve(floor, position=len(OPENING))
    assert policy.kind(text, late) == "words", "that was not said yet"
    assert policy.kind("an AI assistant", late) == "echo"
    policy = policy.take(said(text), late, 14.0)
    assert policy.kind(text, late) == "echo", "more of his words have come since"
    assert policy.take(WordsTaken(), late, 15.0).until is None


def test_a_voice_that_begins_long_after_the_agent_fell_silent_is_no_echo() -> None:
    floor = Floor(SAYING, len(SAYING), whole=True)
    policy = over(floor).refuted("echo", 11.0).take(WordsTaken(), floor, 11.0).answer_over(12.0)
    text = "within a second and it"
    assert policy.take(ON, None, 13.4).kind(text, floor) == "echo"
    asks = policy.take(ON, None, 13.6)
    assert asks.kind(text, floor) == "words"
    assert asks.take(ON, None, 13.8).apart
    assert not asks.take(WordsTaken(), None, 14.0).apart
    assert not asks.answer_started().take(ON, None, 20.0).apart, "the agent has not spoken since"


def test_what_is_said_into_an_echo_is_kept() -> None:
    policy, floor = picking_up()
    parts = ("Hello this is an AI assistant", "Who are you?", "...", "calling from")
    assert policy.kind(" ".join(parts[:1]), floor) == "echo"
    assert policy.own(parts, attrs.evolve(floor, position=8)) == "Who are you?"


@given(st.lists(st.sampled_from(["our", "custom", "call", "it"])), st.data())
def test_what_we_said_in_our_order_is_never_foreign(ours: list[str], data: st.DataObject) -> None:
    heard = [word for word in ours if data.draw(st.booleans())]
    assert foreign(heard, ours) == 0
    others = data.draw(st.lists(st.just("other"), max_size=3))
    assert foreign([*heard, *others], ours) == len(others)
    assert foreign([*others, *heard], ours) == len(others)


def test_where_no_spaces_are_written_noises_and_echoes_are_known_by_characters() -> None:
    noises = frozenset(("嗯", "我明白了"))
    assert all(is_backchannel(tokens(text), noises) for text in ("嗯嗯嗯。", "嗯，我明白了。"))
    assert not is_backchannel(tokens("嗯，等一下。"), noises)
    assert not is_backchannel(tokens("等一下。"), frozenset())
    floor = Floor(tuple("今天天气很好，我们去公园吧。"), 6)
    policy = BargeIn().take(ON, Floor(floor.words, 0), 0.0)
    assert policy.kind("天气很好", floor) == "echo"
    assert policy.kind("等一下，我有问题", floor) == "words"
