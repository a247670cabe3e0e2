"""The variants that are compared, and the played items behind the scorecard."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

from attrs import evolve, frozen

from benchmarks.recordings import in_repository
from benchmarks.turns.hearing import Hearing, Models
from benchmarks.turns.items import Item, normal
from benchmarks.turns.playing import Play
from benchmarks.turns.scores import (
    Ending,
    Interruptions,
    Overlap,
    Turns,
    ending,
    overlap,
    sum_up,
    sum_up_overlaps,
)
from vantum.config.providers import LocalSettings
from vantum.config.turns import TurnSettings
from vantum.core.audio import from_float, to_float32
from vantum.core.bargein import BargeIn, BargeInOptions
from vantum.core.endpointing import EndpointingOptions

Say = Callable[[str], None]

#: The shortest wait of each point of a curve.
WAITS_S: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 2.8)
# Interim texts of a turn say nothing that the text of its last pause does not say, and cost most of
# the models' time. Over the agent they stop it: there they come as often as in the server.
SETTLED: Final = LocalSettings(interim_ms=5000)


def defaults() -> EndpointingOptions:
    """What is shipped."""
    return TurnSettings().endpointing(has_detector=True)


def silence_only(wait_s: float) -> EndpointingOptions:
    """Every silence of this length ends the turn."""
    return evolve(
        defaults(),
        min_wait_s=wait_s,
        silence_s=wait_s,
        max_wait_s=wait_s,
        has_detector=False,
        reads_words=False,
        adapts=False,
    )


def both(wait_s: float) -> EndpointingOptions:
    """The shipped policy with another shortest wait."""
    options = defaults()
    return evolve(
        options,
        min_wait_s=wait_s,
        silence_s=max(wait_s, options.silence_s),
        max_wait_s=max(wait_s, options.max_wait_s),
    )


VARIANTS: Final[dict[str, Callable[[float], EndpointingOptions]]] = {
    "silence only": silence_only,
    "detector": lambda wait_s: evolve(both(wait_s), reads_words=False),
    "words": lambda wait_s: evolve(both(wait_s), has_detector=False),
    "detector and words": both,
}


def play_ends(items: Sequence[Item], models: Models, options: EndpointingOptions) -> list[Ending]:
    """How these options end the turns."""
    barge = BargeIn(BargeInOptions(mode="off"))
    return [
        ending(item, Play.of(item, Hearing.of(models, item.pcm, SETTLED), options, barge).run())
        for item in items
    ]


#: From the commit of a turn to the first sound of its answer: the embedded model with its examples,
#: and what providers over the network take, who are asked ahead of time or not.
ANSWERS_S: Final = (0.1, 0.3, 0.6, 1.0)


def play_heard(items: Sequence[Item], models: Models, answer_s: float) -> list[Ending]:
    """When answers that take so long would sound, by the defaults; whoever goes on before is not
    answered yet."""
    found = []
    for item in items:
        hearing = Hearing.of(models, item.pcm, LocalSettings())
        play = Play.of(item, hearing, defaults(), BargeIn(shipped_interruption()), answer_s)
        found.append(ending(item, play.run(), heard=True))
    return found


def play_overlaps(
    items: Sequence[Item],
    models: Models,
    options: BargeInOptions,
    say: Say,
    *,
    knows_echo: bool,
) -> tuple[Interruptions, list[Overlap]]:
    """What these options make of sounds over the agent; `knows_echo`: by its sound."""
    each, before = [], _said_before()
    for number, item in enumerate(items, 1):
        hearing = Hearing.of(models, item.heard, LocalSettings(), before)
        policy = BargeIn(options, eared=True)
        play = Play.of(item, hearing, defaults(), policy, knows_echo=knows_echo)
        each.append(overlap(item, play.run()))
        if number % 50 == 0:
            models.save()
            say(f"{number} of {len(items)} sounds over the agent")
    return sum_up_overlaps(each), each


def _said_before() -> bytes:
    """The agent answers something: the ear knows how loud the caller is."""
    first = in_repository()[0].recordings[0]
    return from_float(normal(to_float32(first.pcm)))


def shipped_interruption() -> BargeInOptions:
    """What is shipped."""
    return TurnSettings().bargein()


@frozen
class Curve:
    """One variant at several waits: setting → figures."""

    title: str
    points: tuple[tuple[float, Turns], ...]

    def cutoffs_at(self, median_s: float) -> float:
        """The share of false cut-offs where the median wait is this; NaN if it never is."""
        known = [(t.median_s, t.false_cutoffs.value) for _, t in self.points]
        return between(known, median_s)

    def at_share(self, share: float) -> tuple[float, float, float]:
        """Mean, median and 90 % wait where so many pauses are cut; NaN: it never gets as low."""
        cuts = [t.false_cutoffs.value for _, t in self.points]
        return (
            between([(-c, t.mean_s) for c, (_, t) in zip(cuts, self.points, strict=True)], -share),
            between(
                [(-c, t.median_s) for c, (_, t) in zip(cuts, self.points, strict=True)], -share
            ),
            between([(-c, t.p90_s) for c, (_, t) in zip(cuts, self.points, strict=True)], -share),
        )

    def figures(self) -> dict[str, Any]:
        """For a file."""
        return {
            "policy": self.title,
            "points": [
                {
                    "setting_ms": round(setting_s * 1000),
                    "false_cutoffs": [t.false_cutoffs.count, t.false_cutoffs.of],
                    "mean_ms": round(t.mean_s * 1000),
                    "median_ms": round(t.median_s * 1000),
                    "p90_ms": round(t.p90_s * 1000),
                    "unanswered": t.missed.count,
                }
                for setting_s, t in self.points
            ],
        }


def between(points: Sequence[tuple[float, float]], at: float) -> float:
    """The value at `at`, on straight lines between points whose first number grows."""
    for (low, value), (high, next_value) in pairwise(points):
        if low <= at <= high:
            share = (at - low) / (high - low) if high > low else 0.0
            return value + share * (next_value - value)
    return math.nan


def curve(items: Sequence[Item], models: Models, say: Say) -> list[Curve]:
    """All variants at all waits."""
    found = []
    for title, options in VARIANTS.items():
        points = []
        for wait_s in WAITS_S:
            points.append((wait_s, sum_up(play_ends(items, models, options(wait_s)))))
            models.save()
        say(f"{title}: played at {len(points)} waits")
        found.append(Curve(title, tuple(points)))
    return found


def by_group(items: Sequence[Item], models: Models) -> dict[str, Turns]:
    """The defaults, by where the pauses come from and by what the line is like."""
    each = play_ends(items, models, defaults())
    groups: dict[str, list[Ending]] = {
        "pauses as recorded": [e for e in each if not e.item.is_stretched],
        "pauses made longer": [e for e in each if e.item.is_stretched],
    }
    for ending_ in each:
        groups.setdefault(ending_.item.condition, []).append(ending_)
        groups.setdefault(f"voices of {ending_.item.origin}", []).append(ending_)
    return {title: sum_up(group) for title, group in groups.items()}


def shipped(items: Sequence[Item], models: Models) -> Curve:
    """The defaults."""
    options = defaults()
    point = (options.min_wait_s, sum_up(play_ends(items, models, options)))
    return Curve("**the default**", (point,))
