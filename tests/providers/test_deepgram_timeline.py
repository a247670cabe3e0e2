"""One axis of audio and words over several connections; flushes and their answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.audio import AudioFormat
from vantum.core.messages import SpeechStarted, SttEvent, Transcript, UtteranceEnded
from vantum.providers.deepgram.flushes import Flushes, Overdue
from vantum.providers.deepgram.protocol import Results, ResultWord, UtteranceEnd, VoiceStarted
from vantum.providers.deepgram.timeline import RUN_UP_S, Timeline

RATE = 16_000


def pcm(length_s: float, value: int = 1000) -> bytes:
    return value.to_bytes(2, "little", signed=True) * round(length_s * RATE)


def timeline(sent_s: float = 0.0, ring_s: float = 10.0) -> Timeline:
    line = Timeline(AudioFormat(RATE), round(ring_s * RATE))
    line.connect()
    hear(line, sent_s)
    return line


def hear(line: Timeline, length_s: float) -> None:
    line.hear(pcm(length_s))
    while line.take(4000, None):
        pass


def results(
    *words: tuple[str, float, float],
    start_s: float = 0.0,
    end_s: float = 10.0,
    is_final: bool = True,
    speech_final: bool = False,
    from_finalize: bool = False,
) -> Results:
    return Results(
        start_s,
        end_s - start_s,
        " ".join(word for word, _, _ in words),
        0.9,
        tuple(ResultWord(*word, 0.9) for word in words),
        is_final,
        speech_final,
        from_finalize,
    )


def texts(events: list[SttEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Transcript)]


# ---------------------------------------------------------------- audio


@given(st.lists(st.integers(1, 9000), max_size=20), st.integers(1, 5000))
def test_all_audio_is_sent_once_and_in_order(lengths: list[int], most: int) -> None:
    line = timeline()
    whole = bytes(n % 251 for n in range(2 * sum(lengths)))
    sent, at = b"", 0
    for length in lengths:
        line.hear(whole[at : at + 2 * length])
        at += 2 * length
        piece = line.take(most, None)
        assert len(piece) <= 2 * most
        sent += piece
    while piece := line.take(most, None):
        sent += piece
    assert sent == whole
    assert line.lost == 0


def test_audio_behind_a_flush_waits() -> None:
    line = timeline()
    line.hear(pcm(1))
    assert len(line.take(20_000, 8_000)) == 16_000
    assert line.take(20_000, 8_000) == b""
    assert len(line.take(20_000, None)) == 16_000


def test_unsent_audio_over_the_ring_is_lost_and_counted_once() -> None:
    line = timeline(ring_s=2)
    for _ in range(5):
        line.hear(pcm(1))
    assert line.lost == 3 * RATE
    line.connect()
    assert line.lost == 3 * RATE
    assert len(line.take(10 * RATE, None)) == 2 * 2 * RATE
    # What Deepgram hears first was said at 3 s.
    assert line.results(results(("late", 0.5, 0.9), end_s=2.0))[0].words[0].start_s == 3.5  # type: ignore[union-attr]


def test_sent_audio_over_the_ring_is_lost_only_if_the_connection_is() -> None:
    line = timeline(ring_s=2)
    for _ in range(5):
        hear(line, 1.0)
    assert line.lost == 0
    line.connect()
    assert line.lost == 3 * RATE


def test_a_hole_in_a_connections_audio_does_not_move_what_comes_after() -> None:
    line = timeline(1.0, ring_s=2)
    line.hear(pcm(5))  # nothing of it is sent in time: 1..4 s are lost
    while line.take(4000, None):
        pass
    assert line.lost == 3 * RATE
    events = line.results(results(("before", 0.5, 0.9), ("behind", 1.5, 1.9), end_s=3.0))
    assert isinstance(events[0], Transcript)
    assert [word.start_s for word in events[0].words] == [0.5, 4.5]
    assert line.covered == 6 * RATE


def test_padding_has_no_place_on_the_sessions_axis() -> None:
    line = timeline()
    assert line.position(5.0) == 0
    line.pad(RATE)
    hear(line, 2.0)
    assert line.connection_samples == 3 * RATE
    assert [line.position(s) for s in (0.5, 1.0, 1.5, 3.0)] == [0, 0, RATE // 2, 2 * RATE]
    line.pad(RATE)
    hear(line, 1.0)
    assert [line.position(s) for s in (3.5, 4.5)] == [2 * RATE, 2 * RATE + RATE // 2]


def test_a_new_connection_hears_what_no_final_result_covers_and_a_run_up() -> None:
    line = timeline(4.0)
    line.results(results(("one", 1.0, 1.4), end_s=3.0, speech_final=True))
    line.hear(pcm(1))
    assert line.connect() == pytest.approx(2.0 + RUN_UP_S)
    assert line.position(0.0) == (3 - RUN_UP_S) * RATE


def test_silence_is_known() -> None:
    assert type(timeline(1.0).is_silent()) is bool  # it reaches events, and no type of numpy's may
    line = timeline()
    assert line.is_silent()
    line.hear(pcm(1, 20))
    assert line.is_silent()
    line.take(RATE, None)
    line.results(results(("word", 0.1, 0.9), end_s=1.0, is_final=False))
    assert not line.is_silent()
    line.results(results(("word", 0.1, 0.9), end_s=1.0))
    assert line.is_silent()
    line.hear(pcm(0.1, -1000))
    assert not line.is_silent()


# ---------------------------------------------------------------- words


def test_interim_results_replace_each_other_until_a_final_one() -> None:
    line = timeline(10)
    assert texts(line.results(results(("how", 0.1, 0.3), is_final=False))) == ["how"]
    assert line.results(results(("how", 0.1, 0.3), is_final=False)) == []  # nothing new
    (final,) = line.results(results(("how", 0.1, 0.3), ("so", 0.4, 0.6), end_s=1))
    assert final == Transcript("how so", True, 0.9, 0.0, 1.0, final.words)  # type: ignore[union-attr]
    assert line.results(results(start_s=1, end_s=2)) == []  # a final result of nothing


def test_an_interim_text_of_which_nothing_came_is_taken_back() -> None:
    line = timeline(10)
    line.results(results(("uh", 0.1, 0.3), is_final=False))
    (event,) = line.results(results(end_s=1))
    assert isinstance(event, Transcript)
    assert (event.text, event.is_final) == ("", False)
    assert line.covered == RATE


@given(
    st.floats(-0.09, 0.09),
    st.floats(-0.09, 0.09),
    st.sampled_from([2.4, 2.2]),
)
def test_words_that_wobble_at_the_border_come_once(
    wobble_start_s: float, wobble_end_s: float, covered_s: float
) -> None:
    line = timeline(6.0)
    line.results(results(("one", 1.0, 1.4), ("two,", 1.8, 2.2), end_s=covered_s))
    line.connect()
    hear(line, 0.0)
    offset_s = line.position(0.0) / RATE
    again = results(
        ("Two", max(0.0, 1.8 + wobble_start_s - offset_s), 2.2 + wobble_end_s - offset_s),
        ("three", 2.5 - offset_s, 2.9 - offset_s),
        end_s=6.0 - offset_s,
    )
    (event,) = line.results(again)
    assert isinstance(event, Transcript)
    assert event.text == "three"
    assert event.words[0].start_s == pytest.approx(2.5)
    assert line.results(results(("no", 4.0, 4.2), start_s=3.5, end_s=4.5)) != []


def test_a_stretch_without_word_times_is_old_or_new_as_a_whole() -> None:
    line = timeline(6.0)
    bare = Results(0.0, 2.0, "all of it", 0.9, (), True, True, False)
    assert texts(line.results(bare)) == ["all of it"]
    line.connect()
    hear(line, 0.0)
    assert line.results(Results(0.0, 0.5, "of it", 0.9, (), True, False, False)) == []
    new = Results(0.5, 2.0, "and more", 0.9, (), True, False, False)
    assert texts(line.results(new)) == ["and more"]


def test_results_that_come_again_or_late_say_nothing_new() -> None:
    line = timeline(6.0)
    early = results(("one", 0.1, 0.4), end_s=0.9, is_final=False)
    first = results(("one", 0.1, 0.4), ("two", 1.0, 1.4), end_s=2.0)
    second = results(("two", 2.1, 2.4), start_s=2.0, end_s=3.0)
    assert texts(line.results(first)) == ["one two"]
    assert line.results(first) == []
    assert line.results(early) == []
    assert line.promote_interim() == []
    assert texts(line.results(second)) == ["two"]  # the same word, said again
    assert line.results(first) == line.results(second) == []
    assert line.covered == 3 * RATE
    # Of silence, however often, and on a new connection that counts from 0 again.
    assert line.results(results(start_s=3.0, end_s=3.0)) == []
    assert texts(line.results(results(("so", 3.1, 3.4), start_s=3.0, end_s=3.0))) == ["so"]
    line.connect()
    hear(line, 0.0)
    offset_s = line.position(0.0) / RATE
    words = ("four", 3.6 - offset_s, 3.9 - offset_s)
    assert texts(line.results(results(words, end_s=2.0))) == ["four"]


def test_times_of_audio_that_was_never_sent_hide_no_word() -> None:
    line = timeline(3.0)
    assert texts(line.results(results(("one", 0.5, 1e6), end_s=1e6))) == ["one"]
    hear(line, 1.0)
    shown = line.results(results(("two", 3.2, 3.5), start_s=3.0, end_s=3.9, is_final=False))
    assert texts(shown) == ["two"], "it ends before the absurd one"
    line.connect()
    hear(line, 1.0)
    at_s = (line.heard - line.connection_samples) / RATE
    word = ("two", 3.2 - at_s, 3.5 - at_s)
    assert texts(line.results(results(word, end_s=4.0 - at_s))) == ["two"]


def test_final_results_out_of_order_lose_no_word() -> None:
    line = timeline(6.0)
    later = results(("two", 2.1, 2.4), start_s=2.0, end_s=3.0)
    assert texts(line.results(later)) == ["two"]
    assert texts(line.results(results(("one", 0.1, 0.4), end_s=2.0))) == ["one"]
    assert line.covered == 3 * RATE


def test_short_words_next_to_each_other_are_not_doubles() -> None:
    line = timeline(6.0)
    line.results(results(("yes", 1.0, 2.04), end_s=2.05))
    events = line.results(results(("a", 1.98, 2.08), ("b", 2.1, 2.2), start_s=2.05, end_s=3.0))
    assert texts(events) == ["a b"]


def test_the_end_of_an_utterance_comes_once() -> None:
    line = timeline(10)
    assert line.utterance_end(UtteranceEnd(0.5)) == []  # of no words
    events = line.results(results(("hi", 0.2, 0.5), end_s=1, speech_final=True))
    assert events[1:] == [UtteranceEnded(0.5)]
    assert line.utterance_end(UtteranceEnd(0.5)) == []
    assert line.results(results(start_s=1, end_s=2, speech_final=True)) == []
    # The next one has begun when the gap after the first one is reported.
    line.results(results(("you", 1.6, 1.9), start_s=2, end_s=3))
    assert line.utterance_end(UtteranceEnd(0.5)) == []
    assert line.utterance_end(UtteranceEnd(-1)) == []
    assert line.utterance_end(UtteranceEnd(1.9)) == [UtteranceEnded(1.9)]


def test_an_answer_to_finalize_is_not_the_end_of_an_utterance() -> None:
    line = timeline(10)
    final = results(("hi", 0.2, 0.5), end_s=1, speech_final=True, from_finalize=True)
    assert len(line.results(final)) == 1
    assert line.utterance_end(UtteranceEnd(0.5)) == []


def test_a_voice_is_reported_again_only_if_it_is_no_replay() -> None:
    line = timeline(4.0)
    assert line.voice_started(VoiceStarted(1.0)) == [SpeechStarted(1.0)]
    assert line.voice_started(VoiceStarted(2.0)) == [SpeechStarted(2.0)]
    line.connect()
    hear(line, 4.0)
    assert line.voice_started(VoiceStarted(1.1)) == []
    assert line.voice_started(VoiceStarted(5.0)) == [SpeechStarted(5.0)]


def test_a_new_connection_hears_the_last_word_of_an_utterance_that_goes_on() -> None:
    line = timeline(6.0)
    line.results(results(("one", 1.0, 1.4), ("two", 2.0, 2.4), end_s=5.0))
    line.connect()
    assert line.position(0.0) < 2.0 * RATE
    hear(line, 0.0)
    offset_s = line.position(0.0) / RATE
    word = ("two", 2.0 - offset_s, 2.4 - offset_s)
    assert line.voice_started(VoiceStarted(word[1])) == []
    again = results(word, end_s=6.0 - offset_s, speech_final=True)
    assert line.results(again) == [UtteranceEnded(2.4)]


def test_a_promoted_interim_text_is_not_said_again() -> None:
    line = timeline(4.0)
    assert line.promote_interim() == []
    line.results(results(("how", 0.1, 0.4), ("are", 0.5, 0.8), end_s=1, is_final=False))
    (promoted,) = line.promote_interim()
    assert isinstance(promoted, Transcript)
    assert (promoted.text, promoted.is_final) == ("how are", True)
    late = results(("how", 0.1, 0.4), ("are", 0.5, 0.8), ("you", 0.9, 1.2), end_s=2)
    assert texts(line.results(late)) == ["you"]


# ---------------------------------------------------------------- flushes


def test_a_flush_is_answered_by_its_finalize() -> None:
    flushes = Flushes(RATE)
    assert not flushes
    assert flushes.next_position() is None
    assert not flushes.next_is_silent()
    flushes.ask(1, 1000, silent=True)
    assert flushes.next_position() == 1000
    assert flushes.next_is_silent()
    assert flushes.next_deadline() is None
    flushes.sent(5.0)
    assert flushes.next_position() is None
    assert flushes.next_deadline() == 5.0
    assert flushes.overdue(4.9) == []
    assert flushes.answered(0) == [1]  # whatever it covers: there is no other
    assert not flushes


def test_a_flush_is_answered_by_final_results_that_reach_it() -> None:
    flushes = Flushes(RATE)
    flushes.ask(1, 10_000, silent=False)
    flushes.ask(2, 20_000, silent=False)
    assert flushes.covered(9_000) == []
    assert flushes.covered(9_900) == [1]  # less than any word is missing
    assert flushes.next_position() == 20_000


def test_a_late_answer_is_not_taken_for_the_next_ones() -> None:
    flushes = Flushes(RATE)
    flushes.ask(1, 10_000, silent=False)
    flushes.sent(1.0)
    assert flushes.overdue(1.0) == [Overdue(1, False)]
    flushes.ask(2, 50_000, silent=False)
    flushes.sent(3.0)
    assert flushes.answered(10_000) == []  # the first one's
    assert flushes.answered(49_000) == [2]


def test_an_answer_that_covers_the_newest_ends_all() -> None:
    flushes = Flushes(RATE)
    for flush_id in (1, 2):
        flushes.ask(flush_id, flush_id * 10_000, silent=False)
        flushes.sent(flush_id)
    assert flushes.answered(20_000) == [1, 2]
    flushes.ask(3, 30_000, silent=False)
    flushes.sent(3.0)
    assert flushes.answered(0) == [3]


def test_a_lost_connection_asks_again() -> None:
    flushes = Flushes(RATE)
    flushes.ask(1, 10_000, silent=False)
    flushes.sent(1.0)
    flushes.disconnected()
    assert flushes.overdue(9.0) == []
    assert flushes.next_position() == 10_000


def test_behind_an_utterance_that_is_over_no_word_fits_into_a_moment() -> None:
    line = timeline(3.0)
    line.results(results(("one", 1.0, 1.4), end_s=2.0))
    assert line.known == line.covered == 2 * RATE, "in mid-speech a word may have begun"
    line.results(results(("two", 2.0, 2.2), end_s=2.5, speech_final=True))
    assert line.known == round(2.65 * RATE)
    line.results(results(("three", 2.5, 2.8), end_s=2.8, is_final=False))
    assert line.known == round(2.5 * RATE), "another one has begun"


def test_a_final_result_in_mid_speech_takes_that_back() -> None:
    line = timeline(3.0)
    line.results(results(("one", 1.0, 1.4), end_s=2.0, speech_final=True))
    line.results(results(("two", 2.0, 2.2), end_s=2.5))
    assert line.known == line.covered
