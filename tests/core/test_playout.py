"""The playout clock and what was heard."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core.playout import Playout, Sent, Underrun
from vantum.core.wording import words_of

RATE_HZ = 16_000


def playout(lead_s: float = 0.2) -> Playout:
    return Playout("u", RATE_HZ, lead_s)


def spoken(*texts: str, chars_per_s: float = 10.0) -> Playout:
    """An answer sent at once at 0 s, every piece at so many characters a second."""
    out = playout(lead_s=1000)
    at_s = 0.0
    for text in texts:
        index = out.piece(text, at_s)
        at_s += len(text) / chars_per_s
        out.piece_end(index, at_s)
    out.sent(0, at_s)
    return out


# ---------------------------------------------------------------- when audio may leave


def test_the_first_chunks_leave_at_once_and_the_others_on_absolute_deadlines() -> None:
    out = playout(lead_s=0.2)
    released = []
    now_s = 100.0
    for _ in range(6):
        now_s = out.release_at(now_s, 0.1)
        released.append(now_s)
        now_s += 0.003  # sending takes a while; the next deadline does not move
        out.sent(now_s, 0.1)
    start_s = 100.003
    assert released == pytest.approx([100, 100.003, *[start_s + n / 10 for n in range(1, 5)]])
    assert out.underruns == ()


def test_an_hour_does_not_drift() -> None:
    out = playout()
    now_s = 0.0
    noise = random.Random(1)
    for _ in range(36_000):
        now_s = out.release_at(now_s, 0.1)
        out.sent(now_s + noise.random() * 0.02 if out.sent_s else 0.0, 0.1)
    assert now_s == pytest.approx(3600 - 0.2, abs=1e-6)
    assert out.finished_at_s == pytest.approx(3600, abs=1e-6)
    assert out.underruns == ()
    assert len(out.chunks) == 36_000


def test_late_audio_is_an_underrun_and_moves_the_axis() -> None:
    out = playout()
    out.sent(1.0, 0.1)
    assert out.finished_at_s == pytest.approx(1.1)
    assert out.release_at(1.5, 0.1) == 1.5
    out.sent(1.5, 0.1)
    assert [(u.at_s, u.position_s) for u in out.underruns] == [(1.5, 0.1)]
    assert out.underruns[0].gap_s == pytest.approx(0.4)
    assert isinstance(out.underruns[0], Underrun)
    # The new axis: 1.5 plays position 0.1, so a third of a second later 0.3 may have left.
    out.sent(1.5, 0.1)
    assert out.release_at(1.5, 0.1) == pytest.approx(1.6)
    assert out.heard_s(1.55) == pytest.approx(0.15)
    assert out.heard_s(1.3) == pytest.approx(0.1)  # what was heard in the gap is not rewritten
    assert out.finished_at_s == pytest.approx(1.7)


def test_a_chunk_longer_than_the_lead_follows_without_a_gap() -> None:
    out = playout(lead_s=0.02)
    out.sent(0.0, 0.5)
    assert out.release_at(0.0, 0.5) == pytest.approx(0.5)
    out.sent(0.5, 0.5)
    assert out.underruns == ()


chunk_durations = st.sampled_from([0.01, 0.02, 0.1, 0.25, 0.5])


@given(
    lead_s=st.floats(0.02, 5),
    chunks=st.lists(st.tuples(chunk_durations, st.floats(0, 0.3)), max_size=40),
)
def test_audio_is_never_further_ahead_than_the_lead(
    lead_s: float, chunks: list[tuple[float, float]]
) -> None:
    out = Playout("u", RATE_HZ, lead_s)
    now_s = 7.0
    for duration_s, provider_delay_s in chunks:
        now_s += provider_delay_s
        release_s = out.release_at(now_s, duration_s)
        out.sent(release_s, duration_s)
        ahead_s = out.sent_s - out.heard_s(release_s)
        assert release_s >= now_s
        assert ahead_s <= max(lead_s, duration_s) + 1e-6
        if release_s > now_s:  # it never waits longer than it must, either
            assert ahead_s == pytest.approx(max(lead_s, duration_s))
        now_s = release_s


def test_nothing_was_sent() -> None:
    out = playout()
    assert out.release_at(3.0, 0.1) == 3.0
    assert out.heard_s(5.0) == 0
    assert out.heard_text(5.0) == out.text == ""
    assert out.finished_at_s is None
    out.played(5.0, 1.0)
    assert out.heard_s(6.0) == 0


@pytest.mark.parametrize(("rate_hz", "lead_s"), [(0, 0.2), (8000, 0), (8000, float("nan"))])
def test_wrong_settings_are_named(rate_hz: int, lead_s: float) -> None:
    with pytest.raises(ValueError, match=r"(sample_rate_hz|lead_s) is .*must be above 0"):
        Playout("u", rate_hz, lead_s)


def test_the_ledger_cannot_be_rewritten() -> None:
    out = playout()
    out.sent(2.0, 0.1)
    out.sent(1.0, 0.1)  # a clock that steps back counts as standing still
    assert out.chunks == (Sent(2.0, 0.0, 0.1), Sent(2.0, 0.1, 0.2))
    with pytest.raises(AttributeError):
        out.chunks[0].at_s = 0.0  # type: ignore[misc]


# ---------------------------------------------------------------- how much was heard


def test_a_report_is_exact_and_playback_goes_on_from_it() -> None:
    out = playout(lead_s=10)
    out.sent(0.0, 2.0)
    assert out.heard_s(1.0) == 1.0
    out.played(1.0, 0.7)
    assert out.heard_s(1.0) == 0.7
    assert out.heard_s(1.5) == pytest.approx(1.2)
    assert out.heard_s(0.9) == pytest.approx(0.9)  # asked about before the report
    assert out.finished_at_s == pytest.approx(2.3)
    assert out.heard_s(99) == 2.0


def test_overtaken_and_impossible_reports() -> None:
    out = playout(lead_s=10)
    out.sent(0.0, 1.0)
    out.played(0.5, 0.5)
    for nonsense in (0.4, -1.0, float("nan"), float("-inf")):
        out.played(0.6, nonsense)
    assert out.heard_s(0.6) == pytest.approx(0.6)
    out.played(0.7, 99.0)
    assert out.heard_s(0.7) == 1.0
    assert out.finished_at_s == pytest.approx(0.7)
    out.sent(0.8, 1.0)
    assert out.heard_s(0.9) == pytest.approx(1.1)


def test_a_client_that_stands_still_says_so() -> None:
    out = playout(lead_s=10)
    out.sent(0.0, 1.0)
    out.played(0.5, 0.5)
    out.played(0.8, 0.5)
    assert out.heard_s(0.9) == pytest.approx(0.6)


def test_reports_do_not_move_the_pace() -> None:
    out = playout(lead_s=0.2)
    out.sent(0.0, 0.1)
    out.sent(0.0, 0.1)
    before_s = out.release_at(0.0, 0.1)
    out.played(0.05, 0.0)
    assert out.release_at(0.05, 0.1) == before_s


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["send", "report", "wait"]), st.floats(0, 0.5), st.floats(-0.5, 3)
        ),
        max_size=40,
    )
)
def test_heard_never_exceeds_sent_and_grows_between_reports(
    steps: list[tuple[str, float, float]],
) -> None:
    out = playout(lead_s=0.3)
    now_s = heard_s = 0.0
    for what, wait_s, value in steps:
        now_s += wait_s
        assert out.heard_s(now_s) >= heard_s - 1e-9
        if what == "send":
            now_s = out.release_at(now_s, 0.1)
            out.sent(now_s, 0.1)
        elif what == "report":
            out.played(now_s, value)
        heard_s = out.heard_s(now_s)
        assert 0 <= heard_s <= out.sent_s
        assert out.heard_s(now_s + 100) == (pytest.approx(out.sent_s) if out.chunks else 0)
    finished_at_s = out.finished_at_s
    if finished_at_s is not None:
        assert out.heard_s(finished_at_s + 1e-6) == out.sent_s


# ---------------------------------------------------------------- which words were heard


def test_words_count_from_their_middle_on() -> None:
    out = playout(lead_s=10)
    out.piece("Hello, dear world!", 0.0)
    out.word("hello", 0.0, 0.4)
    out.word("dear", 0.5, 0.7)
    out.word("world", 0.8, 1.2)
    out.piece_end(0, 1.5)
    out.sent(0.0, 1.5)
    assert out.heard_text(0.19) == ""
    assert out.heard_text(0.2) == "Hello,"
    assert out.heard_text(0.59) == "Hello,"
    assert out.heard_text(0.61) == "Hello, dear"
    assert out.heard_text(1.01) == out.heard_text(2) == "Hello, dear world!" == out.text


def test_without_timestamps_words_are_placed_in_proportion() -> None:
    out = spoken("One two.", "Three four!")
    assert out.heard_text(0.1) == ""
    assert out.heard_text(0.16) == "One"
    assert out.heard_text(0.5) == "One"
    assert out.heard_text(0.61) == "One two."
    assert out.heard_text(1.0) == "One two."
    assert out.heard_text(1.1) == "One two. Three"
    assert out.heard_text(1.9) == out.text == "One two. Three four!"


def test_words_in_another_spelling_do_not_lose_the_place() -> None:
    out = playout(lead_s=10)
    text = "It costs $99.50 - a well-known price, isn't it? Dr. Who says: New York!"
    out.piece(text, 0.0)
    said = "it costs ninety-nine fifty a well known price isn't it doctor who says NewYork"
    for n, word in enumerate(said.split()):
        out.word(word, n * 0.3, n * 0.3 + 0.3)
    out.sent(0.0, 6.0)
    assert out.heard_text(0.5) == "It costs"
    assert out.heard_text(0.7) == "It costs"
    assert out.heard_text(0.9) == "It costs $99.50"  # not found: by what lies around it
    assert out.heard_text(1.4) == "It costs $99.50 - a"
    assert out.heard_text(1.7) == "It costs $99.50 - a well-known"
    assert out.heard_text(3.0) == "It costs $99.50 - a well-known price, isn't it?"
    assert out.heard_text(3.5) == "It costs $99.50 - a well-known price, isn't it? Dr. Who"
    assert out.heard_text(6.0) == text


def test_words_that_stop_early_are_continued_in_proportion() -> None:
    out = playout(lead_s=10)
    out.piece("Aaaa bbbb cccc dddd", 0.0)
    out.word("aaaa", 0.0, 1.0)
    out.piece_end(0, 4.0)
    out.sent(0.0, 4.0)
    assert [out.heard_text(at) for at in (0.9, 1.1, 2.0, 3.0, 4.0)] == [
        "Aaaa",
        "Aaaa",
        "Aaaa bbbb",
        "Aaaa bbbb cccc",
        "Aaaa bbbb cccc dddd",
    ]


def test_while_a_piece_is_still_coming_its_length_is_estimated() -> None:
    out = playout(lead_s=10)
    out.piece("a" * 14 + " " + "b" * 15, 0.0)  # two seconds at the usual speed
    out.sent(0.0, 3.0)
    assert out.heard_text(0.4) == ""
    assert out.heard_text(0.6) == "a" * 14
    # A slower voice, as the first piece shows, makes the second one longer.
    out.piece_end(0, 3.0)
    out.piece("cccc cccc", 3.0)
    out.sent(0.0, 1.0)
    assert out.heard_text(3.19) == "a" * 14 + " " + "b" * 15
    assert out.heard_text(3.25).endswith(" cccc")


def test_words_without_a_piece_are_their_own_text() -> None:
    out = playout(lead_s=10)
    out.word("hello", 0.0, 0.4)
    out.word("world", 0.4, 0.8, piece_index=0)
    out.sent(0.0, 1.0)
    assert out.text == "hello world"
    assert out.heard_text(0.3) == "hello"
    assert out.heard_text(1.0) == "hello world"
    out.piece("Hello, world.", 0.0)  # announced late: they are its words
    assert out.text == "Hello, world."
    assert out.heard_text(0.3) == "Hello,"


def test_late_words_of_an_earlier_piece() -> None:
    out = spoken("One two.", "Three four.")
    out.word("one", 0.0, 0.7, piece_index=0)
    out.word("two", 0.7, 0.8, piece_index=0)
    out.word("three", 0.8, 1.7)
    out.word("four", 1.7, 1.9, piece_index=7)
    assert out.heard_text(0.74) == "One"
    assert out.heard_text(1.2) == "One two."
    assert out.heard_text(1.3) == "One two. Three"
    assert out.heard_text(1.85) == out.text


def test_words_out_of_order_are_put_in_order() -> None:
    out = playout(lead_s=10)
    out.piece("one two three", 0.0)
    out.word("one", 1.0, 1.2)
    out.word("two", 0.5, 0.6)
    out.word("...", 1.2, 1.3)
    out.sent(0.0, 3.0)
    assert out.heard_text(0.9) == ""
    assert out.heard_text(1.15) == "one two"


def test_a_word_is_not_found_inside_another() -> None:
    out = playout(lead_s=10)
    out.piece("We say a cat", 0.0)
    out.word("--", 0.0, 0.1)
    out.word("eh", 0.1, 0.2)
    out.word("a", 0.2, 0.3)  # not the one in "say"
    out.word("cat", 0.3, 0.4)
    out.sent(0.0, 1.0)
    assert out.heard_text(0.02) == ""
    assert out.heard_text(0.12) == "We"
    assert out.heard_text(0.24) == "We say"
    assert out.heard_text(0.26) == "We say a"


def timed(text: str, said: str, word_s: float = 0.3) -> Playout:
    """One piece, spoken in these words, each as long as the others."""
    out = playout(lead_s=1000)
    out.piece(text, 0.0)
    for n, word in enumerate(said.split()):
        out.word(word, n * word_s, (n + 1) * word_s)
    out.piece_end(0, len(said.split()) * word_s)
    out.sent(0.0, len(said.split()) * word_s)
    return out


def test_figures_that_are_named_are_counted_one_by_one() -> None:
    text = "Call me at 5 5 5 1 2 3 4 please."
    out = timed(text, "call me at five five five one two three four please")
    for count in range(12):
        heard = out.heard_text(0.3 * count)
        assert heard == " ".join(text.split()[:count])
    out = timed("My number is 555 123 4567", "my number is five five five one two three four")
    assert out.heard_text(0.9) == "My number is"
    assert out.heard_text(1.5) == "My number is 555"


def test_a_timed_word_may_be_several_of_the_text() -> None:
    out = playout(lead_s=10)
    out.piece("(sent digits 1)", 0.0)
    out.word("(sent digits 1)", 0.1, 0.1)
    out.piece_end(0, 0.2)
    out.sent(0.0, 0.2)
    assert out.heard_text(0.09) == ""
    assert out.heard_text(0.11) == "(sent digits 1)"


def test_a_word_is_not_looked_for_far_ahead() -> None:
    out = timed(
        "It costs $100 a month or $1,000 a year. Which one is best?",
        "it costs one hundred dollars a month or one thousand dollars a year which one is best",
    )
    assert out.heard_text(0.8) == "It costs"
    assert out.heard_text(1.4) == "It costs $100"
    assert out.heard_text(2.4) == "It costs $100 a month or"
    assert out.heard_text(2.9) == "It costs $100 a month or $1,000"
    assert out.heard_text(4.5) == "It costs $100 a month or $1,000 a year. Which one"


def test_the_place_is_found_again_behind_many_figures() -> None:
    text = "They are 12345678 and 23456789 and 34567890 and 45678901, all right?"
    figures = "one two three four five six seven eight"
    out = timed(text, f"they are {' and '.join([figures] * 4)} all right")
    assert out.heard_text(0.3 * 10.6) == "They are 12345678 and"
    assert out.heard_text(0.3 * 37.4) == text.removesuffix(" all right?")


def test_without_timestamps_figures_take_their_time() -> None:
    """By characters alone the last three words would be thought to begin where "123" does."""
    out = playout(lead_s=1000)
    text = "Dial 555 123 4567 and ask for me"
    out.piece(text, 0.0)
    said = "dial five five five one two three four five six seven and ask for me"
    out.piece_end(0, len(said) / 15)
    out.sent(0.0, 10.0)
    for name, words in (("dial", 1), ("five one", 2), ("three four", 3), ("seven and", 4)):
        at_s = (said.index(name) + len(name.split()[0])) / 15
        assert abs(len(out.heard_text(at_s).split()) - words) <= 1


def test_pieces_of_nothing() -> None:
    out = playout(lead_s=10)
    out.piece("  ", 0.0)
    out.piece_end(0, 0.0)
    out.piece(" Hello there. ", 0.0)
    out.piece_end(1, -1.0)  # no audio came for it
    out.piece("...", 0.0)
    out.sent(0.0, 1.0)
    assert out.text == "Hello there. ..."
    assert out.heard_text(0.0) == ""
    assert out.heard_text(0.5) == out.text


def test_a_piece_before_whose_audio_nothing_was_heard() -> None:
    out = playout(lead_s=10)
    out.piece("Hello", 0.5)
    out.sent(0.0, 1.0)
    assert out.heard_text(0.4) == ""


def test_a_piece_announced_ahead_begins_when_the_one_before_has_ended() -> None:
    out = playout(lead_s=10)
    out.piece("One.", 0.0)
    out.piece("Two.", 0.3)
    out.piece_end(0, 1.0)
    out.piece_end(1, 2.0)
    out.sent(0.0, 2.0)
    assert out.heard_text(0.9) == "One."
    assert out.heard_text(1.2) == "One."
    assert out.heard_text(1.6) == "One. Two."


def test_only_known_pieces_end() -> None:
    out = spoken("One.")
    with pytest.raises(IndexError, match="piece 1 of 1"):
        out.piece_end(1, 2.0)
    with pytest.raises(IndexError, match="piece -1 of 1"):
        out.piece_end(-1, 2.0)


sentences = st.lists(
    st.text(st.sampled_from("ab你。 .!'é-$9"), min_size=1, max_size=30).filter(str.strip),
    max_size=5,
)


@given(texts=sentences, timed=st.lists(st.booleans(), min_size=5, max_size=5))
def test_heard_text_grows_by_words_up_to_the_whole_text(
    texts: list[str], timed: list[bool]
) -> None:
    out = playout(lead_s=1000)
    at_s = 0.0
    for text, with_words in zip(texts, timed, strict=False):
        index = out.piece(text, at_s)
        for word in text.split() if with_words else []:
            out.word(word.strip(",.!"), at_s, at_s + 0.2)
            at_s += 0.25
        at_s += 0.1
        out.piece_end(index, at_s)
    out.sent(0.0, at_s)
    whole = out.text
    assert whole.split() == " ".join(texts).split()
    before = ""
    for step in range(int(at_s / 0.05) + 1):
        heard = out.heard_text(step * 0.05)
        assert heard.startswith(before)
        assert whole.startswith(heard)
        assert words_of(heard) == words_of(whole)[: len(words_of(heard))]
        before = heard
    assert out.heard_text(at_s + 1) == whole


#: As they are written, and as a synthesiser names them. No name is another word of the text.
SPOKEN = {
    "hello": "hello",
    "we": "we",
    "answer": "answer",
    "of": "of",
    "calls,": "calls",
    "don't": "don't",
    "within": "within",
    "a": "a",
    "second": "second",
    "5": "five",
    "2025,": "twenty twenty five",
    "$99": "ninety nine dollars",
    "2:30": "two thirty",
    "100%": "one hundred percent",
    "Dr.": "doctor",
    "CRM": "c r m",
    "well-known": "well known",
}


@given(
    words=st.lists(st.sampled_from(list(SPOKEN)), min_size=1, max_size=16, unique=True),
    seed=st.integers(0, 2**32),
    lost=st.sampled_from([0.0, 1.0]),
)
def test_what_was_heard_is_known_to_a_word_however_it_is_spelled_and_timed(
    words: list[str], seed: int, lost: float
) -> None:
    """Words are named otherwise, or there are no timestamps at all."""
    noise = random.Random(seed)
    out = playout(lead_s=1000)
    out.piece(" ".join(words), 0.0)
    ends_s, spoken, at_s = [], [], 0.0
    for word in words:
        begin_s = at_s
        for name in SPOKEN[word].split():
            spoken.append((name, at_s, at_s + len(name) / 15))
            at_s += (len(name) + 1) / 15
        ends_s.append((begin_s + at_s) / 2)
    spoken = [timing for timing in spoken if noise.random() >= lost]
    for timing in spoken:
        out.word(*timing)
    out.piece_end(0, at_s)
    out.sent(0.0, at_s)
    for step in range(round(at_s / 0.05)):
        truth = sum(half_s <= step * 0.05 for half_s in ends_s)
        assert abs(len(out.heard_text(step * 0.05).split()) - truth) <= 1 + 2 * (lost > 0)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), start_delay_s=st.floats(0, 0.3))
def test_a_jittery_client_that_reports_is_known_to_a_word(seed: int, start_delay_s: float) -> None:
    """The client stalls at random; its reports come every 200 ms and 0..50 ms late."""
    noise = random.Random(seed)
    out = playout(lead_s=1000)
    words = [f"w{n}" for n in range(30)]
    out.piece(" ".join(words), 0.0)
    word_s = 0.3
    for n, word in enumerate(words):
        out.word(word, n * word_s, (n + 1) * word_s)
    out.sent(0.0, len(words) * word_s)
    out.piece_end(0, len(words) * word_s)
    position_s = 0.0
    reports: list[tuple[float, float]] = []
    for tick in range(1200):
        now_s = tick * 0.01
        if now_s >= start_delay_s and noise.random() < 0.8:
            position_s = min(position_s + 0.01, len(words) * word_s)
        if tick % 20 == 0:
            reports.append((now_s + noise.random() * 0.05, position_s))
        while reports and reports[0][0] <= now_s:
            out.played(now_s, reports.pop(0)[1])
        if now_s > start_delay_s + 0.3:
            truth = sum(position_s >= (n + 0.5) * word_s for n in range(len(words)))
            assert abs(len(out.heard_text(now_s).split()) - truth) <= 1
