"""The record of a call: what was said and heard, also when reports come late."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from vantum.core.playout import Ledger, Playout

RATE_HZ = 16_000
TEXT = "We answer every call within a second and we never forget what was said before"
WORDS = TEXT.split()


def begun(ledger: Ledger, utterance_id: str = "u", lead_s: float = 100.0) -> Playout:
    """Fifteen words of 0.3 s, without timestamps, sent at 10 s."""
    playout = Playout(utterance_id, RATE_HZ, lead_s)
    ledger.begin(playout)
    playout.piece(TEXT, 0.0)
    for n, word in enumerate(WORDS):
        playout.word(word, 0.3 * n, 0.3 * n + 0.28)
    playout.sent(10.0, 0.3 * len(WORDS))
    playout.piece_end(0, 0.3 * len(WORDS))
    return playout


def test_an_utterance_that_is_over_leaves_its_words_and_how_far_it_was_heard() -> None:
    ledger = Ledger()
    begun(ledger).end(11.0, cut=True)
    assert ledger.utterances == ()
    ledger.settle(12.0)
    (kept,) = ledger.since(0)
    assert (kept.utterance_id, kept.began_s, kept.ended_s, kept.cut) == ("u", 10.0, 11.0, True)
    assert kept.text == TEXT
    assert kept.heard_text == "We answer every"
    assert (kept.heard_s, kept.sent_s) == pytest.approx((1.0, 4.5))
    assert not kept.reported
    assert kept.words[1].at_s == pytest.approx(0.44)
    assert ledger.since(1) == ()


def test_a_late_report_corrects_until_it_is_settled() -> None:
    ledger = Ledger()
    cut = begun(ledger, "cut")
    cut.end(11.0, cut=True)
    ledger.played("cut", 11.1, 0.6)
    assert cut.heard_text(11.0) == "We answer"
    ledger.played("cut", 11.2, 1.6)
    ledger.played("cut", 11.2, 1.1)  # overtaken
    ledger.played("other", 11.2, 9.0)
    assert cut.heard_text(99.0) == "We answer every call within"
    assert cut.heard_text(10.5) == "We answer", "what was known of earlier moments stands"
    ledger.settle(12.0)
    ledger.played("cut", 12.1, 4.0)
    assert ledger.utterances[0].heard_text == "We answer every call within"
    assert ledger.utterances[0].reported


def test_a_report_that_comes_after_the_end_changes_nothing_if_it_was_heard_out() -> None:
    ledger = Ledger()
    whole = begun(ledger)
    whole.end(14.5, cut=False)
    ledger.played("u", 14.6, 4.0)
    ledger.settle(15.0)
    assert ledger.utterances[0].heard_text == TEXT


def test_what_was_taken_back_was_not_heard() -> None:
    ledger = Ledger()
    cut = begun(ledger)
    cut.end(14.0, cut=True, unsent_s=4.0)
    cut.end(15.0, cut=False)
    ledger.played("u", 14.6, 4.0)
    assert cut.heard_s(14.0) == pytest.approx(0.5)
    assert cut.is_over


def test_the_end_of_a_call_settles_what_is_being_said() -> None:
    ledger = Ledger()
    begun(ledger, "one").end(14.5, cut=False)
    begun(ledger, "two")
    ledger.begin(Playout("three", RATE_HZ, 0.2))
    ledger.settle(14.6)
    assert [u.utterance_id for u in ledger.utterances] == ["one"]
    ledger.close(10.7)
    assert [u.utterance_id for u in ledger.utterances] == ["one", "two", "three"]
    assert [u.heard_text for u in ledger.utterances] == [TEXT, "We answer", ""]
    assert ledger.utterances[2].began_s is None


pieces = st.lists(
    st.text(st.sampled_from("ab你。 .!'é-$9"), min_size=1, max_size=20).filter(str.strip),
    max_size=4,
)


@given(
    texts=pieces,
    timed=st.lists(st.integers(0, 6), min_size=4, max_size=4),
    ends=st.lists(st.booleans(), min_size=4, max_size=4),
)
@settings(deadline=None)
def test_places_say_the_same_as_heard_text(
    texts: list[str], timed: list[int], ends: list[bool]
) -> None:
    out = Playout("u", RATE_HZ, 1000)
    at_s = 0.0
    for text, words, end in zip(texts, timed, ends, strict=False):
        index = out.piece(text, at_s)
        for word in text.split()[:words]:
            out.word(word.strip(",.!"), at_s, at_s + 0.2)
            at_s += 0.25
        at_s += 0.5
        if end:
            out.piece_end(index, at_s)
    out.sent(0.0, at_s + 1)
    for step in range(1, 60):
        heard_s = step * 0.0707
        other = Playout("v", RATE_HZ, 1000)
        other._text = out._text
        other.sent(0.0, at_s + 10)
        other.end(heard_s, cut=True)
        kept = other.ended(heard_s)
        assert kept.heard_text.split() == other.heard_text(heard_s).split()


def test_a_word_that_is_timed_late_counts_where_its_piece_is_over_but_for_a_sample() -> None:
    out = Playout("u", RATE_HZ, 1000)
    out.piece("Goodbye.", 0.0)
    out.word("Goodbye", 0.45, 0.6)
    out.sent(0.1, 0.5)
    out.piece_end(0, 0.5)
    kept = out.ended(0.6 - 1e-9)  # a sum of floats
    assert kept.heard_text == out.heard_text(0.6) == "Goodbye."


def test_loose_words_are_placed_too() -> None:
    out = Playout("u", RATE_HZ, 1000)
    out.word("hello", 0.0, 0.4)
    assert [(w.text, w.at_s) for w in out.ended(1.0).words] == [("hello", 0.2)]


# ---------------------------------------------------------------- a client far away


class Client:
    """Plays what arrives, with a buffer and stalls, until it is told to stop; reports now and then.

    Everything takes its time on the way, in order.
    """

    def __init__(
        self,
        seed: int,
        way_s: float,
        buffer_s: float,
        report_every_s: float,
        stall_s: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.noise = random.Random(seed)
        self.stall_s, self.arrivals = stall_s, list[float]()
        self.skips = 0.0 if stall_s[1] else 0.03
        self.way_s, self.buffer_s, self.report_every_s = way_s, buffer_s, report_every_s
        self.down_s = self.up_s = 0.0
        self.played_s = self.arrived_s = 0.0
        self.chunks: list[tuple[float, float]] = []
        self.stop_s = float("inf")
        self.reports: list[tuple[float, float]] = []
        self.begins_s = float("inf")

    def _jitter(self) -> float:
        return self.way_s + self.noise.random() * 0.03

    def send(self, now_s: float, duration_s: float) -> None:
        self._travel(now_s)
        self.chunks.append((self.down_s, duration_s))
        self.arrivals.append(self.down_s)

    def stop(self, now_s: float) -> None:
        self._travel(now_s)
        self.stop_s = self.down_s

    def _travel(self, now_s: float) -> None:
        at_s, (begin_s, end_s) = now_s + self._jitter(), self.stall_s
        self.down_s = max(self.down_s, end_s if begin_s <= at_s < end_s else at_s)

    def acknowledged(self, now_s: float) -> int:
        """Chunks whose acknowledgement is back."""
        return sum(at_s + self.way_s <= now_s for at_s in self.arrivals)

    def step(self, now_s: float, step_s: float) -> None:
        while self.chunks and self.chunks[0][0] <= now_s:
            at_s, duration_s = self.chunks.pop(0)
            self.begins_s = min(self.begins_s, at_s + self.buffer_s)
            self.arrived_s += duration_s
        if self.begins_s <= now_s < self.stop_s and self.noise.random() >= self.skips:
            self.played_s = min(self.played_s + step_s, self.arrived_s)
        if self.report_every_s and self.noise.random() < step_s / self.report_every_s:
            at_s, (begin_s, end_s) = now_s + self._jitter(), self.stall_s
            self.up_s = max(self.up_s, end_s if begin_s <= at_s < end_s else at_s)
            self.reports.append((self.up_s, self.played_s))


@given(
    seed=st.integers(0, 2**32),
    way_s=st.floats(0.0, 0.06),
    buffer_s=st.floats(0.0, 0.12),
    report_every_s=st.sampled_from([0.0, 0.1, 0.3]),
    cut_after_s=st.floats(0.0, 5.5),
    timestamps=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_was_heard_is_known_to_a_word(
    seed: int,
    way_s: float,
    buffer_s: float,
    report_every_s: float,
    cut_after_s: float,
    timestamps: bool,
) -> None:
    """Random buffering, jitter, stalls, and a cut at any moment, with reports in flight."""
    ledger, step_s, word_s = Ledger(), 0.01, 0.35
    client = Client(seed, way_s, buffer_s, report_every_s)
    out = Playout("u", RATE_HZ, 0.2)
    ledger.begin(out)
    words = [f"word{n % 10}" for n in range(14)]  # all alike in length: proportion is exact
    out.piece(" ".join(words), 0.0)
    for n, word in enumerate(words if timestamps else []):
        out.word(word, n * word_s, (n + 1) * word_s)
    length_s, made_s, cut = len(words) * word_s, 0.0, False
    out.piece_end(0, length_s)
    for tick in range(800):
        now_s = tick * step_s
        if not cut and made_s < length_s and out.release_at(now_s, 0.1) <= now_s:
            duration_s = min(0.1, length_s - made_s)
            out.sent(now_s, duration_s)
            client.send(now_s, duration_s)
            made_s += duration_s
        if not cut and now_s >= cut_after_s:
            cut = True
            out.end(now_s, cut=True)
            client.stop(now_s)
        client.step(now_s, step_s)
        while client.reports and client.reports[0][0] <= now_s:
            ledger.played("u", now_s, client.reports.pop(0)[1])
        if tick % 50 == 0 and cut and now_s > client.stop_s + 0.3:
            break
    ledger.settle(10.0)
    (kept,) = ledger.utterances
    truth = sum(client.played_s >= (n + 0.5) * word_s for n in range(len(words)))
    assert abs(len(kept.heard_text.split()) - truth) <= 1


@given(
    seed=st.integers(0, 2**32),
    way_s=st.floats(0.0, 0.06),
    buffer_s=st.floats(0.0, 0.12),
    stall_at_s=st.floats(0.3, 3.0),
    stall_for_s=st.floats(0.0, 3.0),
    cut_after_s=st.floats(0.0, 4.0),
    report_every_s=st.sampled_from([0.0, 0.2]),
)
@settings(max_examples=100, deadline=None)
def test_what_a_stall_held_back_was_not_heard(
    seed: int,
    way_s: float,
    buffer_s: float,
    stall_at_s: float,
    stall_for_s: float,
    cut_after_s: float,
    report_every_s: float,
) -> None:
    """What has not arrived is known, and it is late that the client says so, if it does; a cut in
    the stall or after."""
    step_s, word_s = 0.01, 0.35
    stall_s = stall_at_s, stall_at_s + stall_for_s
    client = Client(seed, way_s, buffer_s, report_every_s, stall_s)
    out = Playout("u", RATE_HZ, 0.2)
    words = [f"word{n % 10}" for n in range(40)]
    out.piece(" ".join(words), 0.0)
    out.piece_end(0, len(words) * word_s)
    now_s, cut_s = 0.0, stall_at_s + cut_after_s
    while now_s <= client.stop_s:
        if now_s < cut_s and out.release_at(now_s, 0.1) <= now_s:
            out.arrived(now_s, client.acknowledged(now_s))
            out.sent(now_s, 0.1)
            client.send(now_s, 0.1)
        if now_s >= cut_s and not out.is_over:
            out.arrived(now_s, client.acknowledged(now_s))
            out.end(now_s, cut=True)
            client.stop(now_s)
        client.step(now_s, step_s)
        while client.reports and client.reports[0][0] <= now_s:
            out.played(now_s, client.reports.pop(0)[1])
        now_s += step_s
    truth = sum(client.played_s >= (n + 0.5) * word_s for n in range(len(words)))
    assert abs(len(out.heard_text(now_s).split()) - truth) <= 1


def test_what_is_only_on_its_way_counts_as_before() -> None:
    out = begun(Ledger(), lead_s=0.2)
    (first, *_) = out.chunks
    out.arrived(first.at_s + 0.4, 0)
    assert out.heard_s(first.at_s + 0.4) == pytest.approx(0.4)


def test_what_the_client_has_reported_was_heard_whatever_the_network_says() -> None:
    out = begun(Ledger(), lead_s=0.2)
    (first, *_) = out.chunks
    out.played(first.at_s + 0.5, 0.4)
    out.arrived(first.at_s + 3.0, 0)
    assert out.heard_s(first.at_s + 3.0) == pytest.approx(0.4)


def test_behind_a_report_too_nothing_is_heard_that_has_not_arrived() -> None:
    out = Playout("u", RATE_HZ, 0.2)
    for n in range(4):
        out.sent(n * 0.5, 0.5)
    out.played(1.0, 0.9)
    out.arrived(4.0, 3)
    assert out.heard_s(4.0) == pytest.approx(1.5)


def test_an_utterance_that_is_over_learns_nothing_more_from_the_network() -> None:
    out = begun(Ledger(), lead_s=0.2)
    out.end(11.0, cut=True)
    out.arrived(13.0, 0)
    assert out.heard_s(13.0) == pytest.approx(1.0)


@pytest.mark.parametrize("chunks", [-1, 10_000])
def test_more_chunks_than_were_sent_say_nothing(chunks: int) -> None:
    out = begun(Ledger(), lead_s=0.2)
    out.arrived(13.0, chunks)
    assert out.heard_s(13.0) == pytest.approx(3.0)
    out.arrived(13.0, 0)
    assert out.heard_s(13.0) == 0


def test_a_report_says_when_the_first_sound_was_heard() -> None:
    out = begun(Ledger())
    assert out.reported_start_s is None
    out.played(10.5, 0.3)
    assert out.reported_start_s == pytest.approx(10.2)
