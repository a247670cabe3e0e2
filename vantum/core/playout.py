"""When audio may leave, and what of it was heard: one answer at the client's rate.

Two clocks run side by side, both on the caller's `now_s` (seconds on any steady clock):

- The *pace* says when the next chunk may go. It runs from the moment the first chunk was sent, at
  the speed of real time, and moves only when audio came too late (an underrun). The client's
  reports do not touch it: they lag by the way there and back, and pacing on them would drain the
  client's buffer a little further with each one.
- The *playback* says how far the client's speaker has come. Until the client reports, it equals
  the pace; a report is exact for its moment, and playback runs on from there. What is known not to
  have arrived (`arrived`) was not played, either.

What happened is kept as records that are only ever added; every answer is derived from them, so
that a question about an earlier moment is answered as well as one about now.

`Playout` is one utterance, `Ledger` the record of a call: an utterance that is over leaves what
was said in it, word by word, and how far it was heard. Its chunks are forgotten then.

Positions (`start_s`, `end_s`, `played_s`, `heard_s`) are seconds since the answer's first sample.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import starmap

from attrs import define, evolve, field, frozen

from vantum.core.spoken import SpokenText
from vantum.core.uttered import PlacedWord, Utterance, Words

# Clock arithmetic in floats is no underrun.
_EPSILON_S = 1e-6
#: What has left so much longer ago than the lead, and has not been acknowledged, is held up on its
#: way; before that it may just be on it, and its acknowledgement on the way back.
_ON_THE_WAY_S = 0.25


@frozen
class Sent:
    """A chunk that left at `at_s`."""

    at_s: float
    start_s: float
    end_s: float


@frozen
class Underrun:
    """The client had played everything for `gap_s` when audio went on at `at_s`."""

    at_s: float
    position_s: float
    gap_s: float


@frozen
class Stretch:
    """From `at_s` on, playback runs from `position_s` as far as there is audio.

    `reported` when the client said so.
    """

    at_s: float
    position_s: float
    reported: bool = False


@frozen
class End:
    """The utterance ended at `at_s`. `limit_s`: no more of it reached the client.

    `cut`: before its end; the client then stops, and `final_s` is what it says it had played.
    """

    at_s: float
    limit_s: float
    cut: bool
    final_s: float | None = None


def _at_s(stretch: Stretch) -> float:
    return stretch.at_s


@define
class Playout:
    """Playout clock and ledger of one utterance.

    Args:
        utterance_id: names the utterance in the client's reports.
        sample_rate_hz: rate of the audio that is sent.
        lead_s: audio is sent at most so far ahead of real time (or one chunk, if that is longer:
            with less, the client's buffer would run dry before each of them).

    `now_s` never goes back from one record to the next; an earlier value counts as the last one.
    """

    utterance_id: str
    sample_rate_hz: int = field()
    lead_s: float = field()
    # Of each chunk, of which there are ten a second: when it left, and where it ends.
    _left_s: array[float] = field(factory=lambda: array("d"), init=False)
    _ends_s: array[float] = field(factory=lambda: array("d"), init=False)
    _stretches: list[Stretch] = field(factory=list, init=False)
    _underruns: list[Underrun] = field(factory=list, init=False)
    _text: SpokenText = field(factory=SpokenText, init=False)
    _sent_samples: int = field(default=0, init=False)
    _pace_start_s: float = field(default=0.0, init=False)
    _reported_s: float = field(default=0.0, init=False)
    _end: End | None = field(default=None, init=False)

    @sample_rate_hz.validator
    @lead_s.validator
    def _check_positive(self, attribute: object, value: float) -> None:
        if not value > 0:
            raise ValueError(f"{getattr(attribute, 'name', '')} is {value}; it must be above 0")

    # ---------------------------------------------------------------- sending

    def release_at(self, now_s: float, duration_s: float) -> float:
        """Earliest time, `now_s` or later, at which the next chunk of `duration_s` may be sent.

        Absolute: derived from the start of playback, not from the previous chunk.
        """
        if not self._left_s:
            return now_s
        lead_s = max(self.lead_s, duration_s)
        return max(now_s, self._pace_start_s + self.sent_s + duration_s - lead_s)

    def sent(self, now_s: float, duration_s: float) -> None:
        """A chunk of `duration_s` (to the nearest sample) left at `now_s`."""
        now_s = max(now_s, self._last_s)
        start_s = self._start_s(len(self._ends_s))
        gap_s = now_s - (self._pace_start_s + start_s)
        if not self._left_s or gap_s > _EPSILON_S:
            if self._left_s:
                self._underruns.append(Underrun(now_s, start_s, gap_s))
            self._pace_start_s = now_s - start_s
        if self.heard_s(now_s) > start_s - _EPSILON_S:
            # Nothing was left to play, or nothing played yet: playback goes on from here.
            self._stretches.append(Stretch(now_s, start_s))
        self._sent_samples += round(duration_s * self.sample_rate_hz)
        self._left_s.append(now_s)
        self._ends_s.append(self.sent_s)

    def _start_s(self, chunk: int) -> float:
        return self._ends_s[chunk - 1] if chunk else 0.0

    @property
    def sent_s(self) -> float:
        """How much audio was sent."""
        return self._sent_samples / self.sample_rate_hz

    @property
    def paced_until_s(self) -> float:
        """When the audio sent so far ends for whoever plays it as soon as it can be played."""
        return self._pace_start_s + self.sent_s

    @property
    def chunks(self) -> tuple[Sent, ...]:
        """Every chunk that was sent, oldest first."""
        starts_s = map(self._start_s, range(len(self._ends_s)))
        return tuple(map(Sent, self._left_s, starts_s, self._ends_s))

    @property
    def underruns(self) -> tuple[Underrun, ...]:
        """Every time audio came too late, oldest first."""
        return tuple(self._underruns)

    # ---------------------------------------------------------------- text

    def piece(self, text: str, start_s: float) -> int:
        """The answer goes on with `text`, whose audio begins at `start_s`; gives its index.

        Pieces come in order; their texts, joined with spaces, are the answer's text.
        """
        return self._text.piece(text, start_s)

    def piece_end(self, index: int, end_s: float) -> None:
        """The audio of piece `index` is complete and ends at `end_s`. IndexError: no such piece."""
        self._text.piece_end(index, end_s)

    def word(self, text: str, start_s: float, end_s: float, piece_index: int | None = None) -> None:
        """The synthesiser says that this word sounds from `start_s` to `end_s`.

        Words come in order. Without `piece_index` the word belongs to the latest piece.
        """
        self._text.word(text, start_s, end_s, piece_index)

    @property
    def text(self) -> str:
        """The whole answer's text, as far as it was announced."""
        return self._text.whole

    # ---------------------------------------------------------------- hearing

    def played(self, now_s: float, played_s: float) -> None:
        """The client reports that `played_s` have come out of its speaker.

        A report beyond what was sent counts as all that was sent; one below an earlier report was
        overtaken on the way and is ignored (so is what is no number).

        One that comes after the utterance was cut tells where the client stopped, or nearly: it was
        sent at most the time there and back before that.
        """
        if not self._left_s or not played_s >= self._reported_s:
            return
        if self._end is not None:
            if self._end.cut:
                self._reported_s = min(played_s, self._end.limit_s)
                self._end = evolve(self._end, final_s=self._reported_s)
            return
        self._reported_s = min(played_s, self.sent_s)
        self._stretches.append(Stretch(max(now_s, self._last_s), self._reported_s, reported=True))

    def arrived(self, now_s: float, chunks: int) -> None:
        """So many chunks have arrived at the client's machine by now, and the next one has not.

        If that one left long ago, the network stalls: no more than what is there can have been
        played, and playback goes on when the rest comes. Each call is one sample: what is not
        sampled is taken to run. What the client has reported was played all the same.
        """
        if self._end is not None or not 0 <= chunks < len(self._left_s):
            return
        missing_s = max(self._start_s(chunks), self._reported_s)
        is_held_up = now_s - self._left_s[chunks] > self.lead_s + _ON_THE_WAY_S
        if is_held_up and self.heard_s(now_s) > missing_s + _EPSILON_S:
            self._stretches.append(Stretch(max(now_s, self._last_s), missing_s))

    def heard_s(self, now_s: float) -> float:
        """How much audio has come out of the client's speaker by then: never more than was sent."""
        end = self._end
        if end is None or now_s < end.at_s:
            return self._played_s(now_s)
        return min(self._played_s(end.at_s), end.limit_s) if end.final_s is None else end.final_s

    def _played_s(self, now_s: float) -> float:
        stretch_count = bisect_right(self._stretches, now_s, key=_at_s)
        if not stretch_count:
            return 0.0
        stretch = self._stretches[stretch_count - 1]
        limit_s = self._start_s(bisect_right(self._left_s, now_s))
        return min(stretch.position_s + now_s - stretch.at_s, limit_s)

    def heard_text(self, now_s: float) -> str:
        """The part of the text that was heard by then, in whole words.

        A word counts when at least half of it was played; without word timestamps its place is
        taken in proportion to the characters of its piece. Of an answer that was heard to its end,
        this is exactly its `text`.
        """
        return self._text.heard(self.heard_s(now_s))

    def end(self, now_s: float, *, cut: bool, unsent_s: float = 0.0) -> None:
        """The utterance is over: heard to its end, or `cut`. Only the first end counts.

        `unsent_s`: of what was sent so much was taken back on its way to the client.
        """
        if self._end is None:
            limit_s = max(self.sent_s - unsent_s, 0.0)
            self._end = End(max(now_s, self._last_s), limit_s, cut)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._end is not None

    def ended(self, now_s: float) -> Utterance:
        """What is kept of it; one that has not ended ends now, cut."""
        self.end(now_s, cut=True)
        assert self._end is not None
        return Utterance(
            self.utterance_id,
            self._left_s[0] if self._left_s else None,
            self._end.at_s,
            self._end.cut,
            self.sent_s,
            self.heard_s(self._end.at_s),
            any(s.reported for s in self._stretches) or self._end.final_s is not None,
            Words.of(starmap(PlacedWord, self._text.places())),
            len(self._underruns),
        )

    @property
    def reported_start_s(self) -> float | None:
        """When the first sample was heard, by the client's first report; None without one."""
        return next((s.at_s - s.position_s for s in self._stretches if s.reported), None)

    @property
    def finished_at_s(self) -> float | None:
        """When the last audio sent so far will have been heard; None if nothing was sent."""
        if not self._stretches:
            return None
        stretch = self._stretches[-1]
        return stretch.at_s + self.sent_s - stretch.position_s

    @property
    def _last_s(self) -> float:
        return max(
            self._left_s[-1] if self._left_s else float("-inf"),
            self._stretches[-1].at_s if self._stretches else float("-inf"),
        )


@define
class Ledger:
    """The record of a call: what was said, word by word, and what was heard of it.

    Utterances follow each other. One that is over can still be corrected by a late report of the
    client's, until `settle`; then it is an `Utterance` and stays as it is.
    """

    _open: list[Playout] = field(factory=list, init=False)
    _settled: list[Utterance] = field(factory=list, init=False)

    def begin(self, playout: Playout) -> None:
        """An utterance has begun; before that, nobody knows of it."""
        self._open.append(playout)

    def played(self, utterance_id: str, now_s: float, played_s: float) -> None:
        """The client's report; one about an utterance that is unknown or settled is ignored."""
        for playout in self._open:
            if playout.utterance_id == utterance_id:
                playout.played(now_s, played_s)

    def settle(self, now_s: float) -> None:
        """From now on what was heard of the utterances that are over is what it is."""
        over = [playout for playout in self._open if playout.is_over]
        self._settled.extend(playout.ended(now_s) for playout in over)
        self._open = [playout for playout in self._open if not playout.is_over]

    def close(self, now_s: float) -> None:
        """The call is over, and whatever is being said with it."""
        self._settled.extend(playout.ended(now_s) for playout in self._open)
        self._open.clear()

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """All that is settled, oldest first."""
        return tuple(self._settled)

    def since(self, index: int) -> tuple[Utterance, ...]:
        """The record from its `index`-th utterance on: what a storage that has `index` lacks."""
        return tuple(self._settled[index:])
