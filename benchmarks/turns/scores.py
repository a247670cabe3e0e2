"""Figures of the scorecard, out of what happened. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from attrs import frozen

from benchmarks.turns.items import Item, Pause
from benchmarks.turns.playing import Ended, Happening, Resumed, Sounded, Stopped


@frozen
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """0..1; of nothing: 0."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval (Wilson 1927); it takes the cases for independent."""
        if not self.of:
            return 0.0, 1.0
        z, p, n = 1.96, self.value, self.of
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({self.count}/{self.of}; {low:.1%}–{high:.1%})"

    def __add__(self, other: Share) -> Share:
        return Share(self.count + other.count, self.of + other.of)


def quantile(values: Sequence[float], share: float) -> float:
    """By linear interpolation; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@frozen
class Ending:
    """How one item's turn was ended.

    Attributes:
        cut: the pauses inside sentences in which, or around which, the turn was called over.
        between: those between two sentences.
        wait_s: from the last sound to the decision; None: no end is labelled, or none came.
        missed: an end is labelled and none came.
    """

    item: Item
    cut: Share
    between: Share
    wait_s: float | None
    missed: bool


#: An end so shortly before the last sound is the last sound's own length in the label.
_SLACK_S = 0.05


def ending(item: Item, happened: Sequence[Happening], *, heard: bool = False) -> Ending:
    """Judge an item of turn-taking by the ends of its turns; `heard`: by the first sounds of the
    answers, which is what the caller knows of them."""
    ends = [h.judged_s for h in happened if isinstance(h, Ended)]
    if heard:
        ends = [h.at_s for h in happened if isinstance(h, Sounded)]
    last_s = item.end_s - _SLACK_S
    inside = [p for p in item.pauses if not p.between]
    between = [p for p in item.pauses if p.between]
    early = [end_s for end_s in ends if end_s < last_s]
    # An end in the middle of a sound is counted with the pause before it, or the next one; where
    # there is none, a pause was found that the labels do not know.
    hit = {_nearest(item.pauses, end_s) for end_s in early}
    unknown = None in hit
    cut = Share(sum(p in hit for p in inside) + unknown, len(inside) + unknown)
    cut_between = sum(p in hit for p in between)
    after = [end_s for end_s in ends if end_s >= last_s]
    if item.role == "talk":
        return Ending(item, cut, Share(cut_between, len(between)), None, False)
    wait_s = max(after[0] - item.end_s, 0.0) if after else None
    # Who was cut off at the very last pause and said no more that was understood was answered.
    missed = not after and not early
    return Ending(item, cut, Share(cut_between, len(between)), wait_s, missed)


def _nearest(pauses: Sequence[Pause], end_s: float) -> Pause | None:
    before = [p for p in pauses if p.start_s - _SLACK_S <= end_s]
    return before[-1] if before else pauses[0] if pauses else None


@frozen
class Turns:
    """The figures of one setting; `between`: turns that were ended between two sentences."""

    false_cutoffs: Share
    between: Share
    missed: Share
    waits_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Added wait, in the middle."""
        return quantile(self.waits_s, 0.5)

    @property
    def mean_s(self) -> float:
        """Added wait, on average: whoever waits for the longest counts."""
        return sum(self.waits_s) / len(self.waits_s) if self.waits_s else math.nan

    @property
    def p90_s(self) -> float:
        """What nine of ten wait at most."""
        return quantile(self.waits_s, 0.9)


def sum_up(endings: Sequence[Ending]) -> Turns:
    """Over all items."""
    return Turns(
        sum((e.cut for e in endings), Share(0, 0)),
        sum((e.between for e in endings), Share(0, 0)),
        Share(sum(e.missed for e in endings), sum(e.item.role != "talk" for e in endings)),
        tuple(e.wait_s for e in endings if e.wait_s is not None),
    )


# ---------------------------------------------------------------- over the agent


@frozen
class Overlap:
    """What one sound did to the agent.

    Attributes:
        stop_s: from the first sound to the stop; None: it was not stopped.
        gaps_s: how long the agent was silent each time until it went on.
        early: it was stopped before there was a sound.
        silent: and was not speaking when the sound came: nothing to interrupt.
        resumed: it went on after a stop.
        lost: an answer that was stopped did not go on, or the sound was answered as a turn.
    """

    item: Item
    stop_s: float | None
    early: bool
    silent: bool
    resumed: bool
    lost: bool
    gaps_s: tuple[float, ...] = ()


#: A stop belongs to a sound up to so long after its end: words come late.
_BELONGS_S = 1.0


def overlap(item: Item, happened: Sequence[Happening]) -> Overlap:
    """Judge an item in which the agent speaks."""
    stops = [h.at_s for h in happened if isinstance(h, Stopped)]
    last_s = item.end_s + _BELONGS_S if item.role == "interruption" else math.inf
    belonging = [at_s for at_s in stops if item.start_s - _SLACK_S <= at_s <= last_s]
    resumed = [h.at_s for h in happened if isinstance(h, Resumed)]
    before = [h for h in happened if h.at_s < item.start_s - _SLACK_S]
    spoke_last = [h for h in before if isinstance(h, Stopped | Resumed)]
    answered = any(isinstance(h, Ended) for h in happened)
    return Overlap(
        item,
        max(belonging[0] - item.start_s, 0.0) if belonging else None,
        bool(stops) and stops[0] < item.start_s - _SLACK_S,
        bool(spoke_last) and isinstance(spoke_last[-1], Stopped),
        bool(resumed),
        answered or (bool(stops) and (not resumed or resumed[-1] < stops[-1])),
        _gaps(happened),
    )


def _gaps(happened: Sequence[Happening]) -> tuple[float, ...]:
    """From each stop of what could be heard to the next sound."""
    gaps, silent_s = [], None
    for one in happened:
        if isinstance(one, Stopped) and silent_s is None:
            silent_s = one.at_s
        elif isinstance(one, Sounded) and silent_s is not None:
            gaps.append(one.at_s - silent_s)
            silent_s = None
    return tuple(gaps)


@frozen
class Interruptions:
    """The figures of one setting.

    Attributes:
        missed: real interruptions that did not stop the agent; what was said when the background
            had stopped it already is left out.
        unheard: those that did, but it went on over the caller's words.
        stops: by role, sounds that should not have stopped it and did, if only for a moment.
        losses: those after which it did not go on.
        gaps_s: how long it was silent until it went on.
        stop_s: from the first sound of an interruption to the stop; `voiced_s`: from its first
            voiced frame.
    """

    missed: Share
    unheard: Share
    stops: dict[str, Share]
    losses: dict[str, Share]
    gaps_s: dict[str, tuple[float, ...]]
    stop_s: tuple[float, ...]
    voiced_s: tuple[float, ...]


def sum_up_overlaps(found: Sequence[Overlap]) -> Interruptions:
    """Over all items."""
    real = [o for o in found if o.item.role == "interruption" and not o.silent]
    others = [o for o in found if o.item.role != "interruption"]
    roles: list[str] = sorted({o.item.role for o in others})
    stops = {
        role: _share([o.stop_s is not None or o.early for o in others if o.item.role == role])
        for role in roles
    }
    losses = {role: _share([o.lost for o in others if o.item.role == role]) for role in roles}
    return Interruptions(
        _share([o.stop_s is None for o in real]),
        _share([o.stop_s is not None and o.resumed and not o.early for o in real]),
        stops,
        losses,
        {role: tuple(s for o in others if o.item.role == role for s in o.gaps_s) for role in roles},
        tuple(o.stop_s for o in real if o.stop_s is not None),
        tuple(max(o.stop_s - o.item.unvoiced_s, 0.0) for o in real if o.stop_s is not None),
    )


def _share(cases: Sequence[bool]) -> Share:
    return Share(sum(cases), len(cases))
