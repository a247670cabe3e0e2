"""`python -m benchmarks.turns [--small] [--half test|train|all] [--json FILE]`: the scorecard.

Prints Markdown, as it stands in docs/benchmarks.md. What is fetched and what the models said is
kept in a folder, so that a second run takes a minute.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import click

from benchmarks.turns.agent import speaker
from benchmarks.turns.card import (
    ANSWERS_S,
    Curve,
    by_group,
    curve,
    play_heard,
    play_overlaps,
    shipped,
    shipped_interruption,
)
from benchmarks.turns.echoes import echoes
from benchmarks.turns.hearing import Models
from benchmarks.turns.items import Item, turns
from benchmarks.turns.overlaps import overlaps
from benchmarks.turns.scores import Interruptions, Share, Turns, quantile, sum_up, sum_up_overlaps
from benchmarks.turns.sources import fetch, small
from vantum.config.providers import LocalSettings
from vantum.providers.local.weights import fetch_weights

_FOLDER = Path.home() / ".cache" / "vantum" / "turns"


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _ms(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{seconds * 1000:.0f} ms"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.1%}"


# ---------------------------------------------------------------- tables


def describe(items: list[Item]) -> str:
    """What the set is made of."""
    rows = ["| what | items | recordings | speakers |", "|---|---|---|---|"]
    for role in dict.fromkeys(item.role for item in items):
        own = [item for item in items if item.role == role]
        speakers = {item.speaker for item in own if item.speaker}
        rows.append(
            f"| {role} | {len(own)} | {len({i.base for i in own})} | {len(speakers) or '–'} |"
        )
    pauses = [p for item in items for p in item.pauses]
    made = sum(p.made_s > 0 for p in pauses)
    rows.append(
        f"\n{len(pauses)} inner pauses from 200 ms on, {made} of them made longer; lengths "
        + ", ".join(
            f"p{q * 100:.0f} {_ms(quantile([p.length_s for p in pauses], q))}"
            for q in (0.1, 0.5, 0.9)
        )
        + "."
    )
    return "\n".join(rows)


def ends_table(curves: list[Curve]) -> str:
    """The variants beside each other."""
    rows = [
        "| policy | false cut-offs at a median wait of 300 ms | at 600 ms "
        "| mean wait at 5 % false cut-offs | median there | p90 |",
        "|---|---|---|---|---|---|",
    ]
    for one in curves:
        five = one.at_share(0.05)
        rows.append(
            f"| {one.title} | {_percent(one.cutoffs_at(0.3))} | {_percent(one.cutoffs_at(0.6))} "
            f"| {_ms(five[0])} | {_ms(five[1])} | {_ms(five[2])} |"
        )
    return "\n".join(rows)


def curve_table(curves: list[Curve]) -> str:
    """False cut-offs against the added wait."""
    rows = ["| policy | setting | false cut-offs | mean | median | p90 | unanswered |"]
    rows.append("|---|---|---|---|---|---|---|")
    for one in curves:
        for setting_s, found in one.points:
            rows.append(
                f"| {one.title} | {_ms(setting_s)} | {found.false_cutoffs} | {_ms(found.mean_s)} "
                f"| {_ms(found.median_s)} | {_ms(found.p90_s)} | {found.missed.count} |"
            )
    return "\n".join(rows)


def group_table(groups: dict[str, Turns]) -> str:
    """The default, looked at closer."""
    rows = ["| the default, on | false cut-offs | between sentences | mean | median | p90 |"]
    rows.append("|---|---|---|---|---|---|")
    rows += [
        f"| {title} | {found.false_cutoffs} | {found.between.value:.0%} | {_ms(found.mean_s)} "
        f"| {_ms(found.median_s)} | {_ms(found.p90_s)} |"
        for title, found in groups.items()
    ]
    return "\n".join(rows)


def heard_table(items: list[Item], models: Models) -> str:
    """What a caller hears of false cut-offs, by how long an answer takes."""
    rows = [
        "| an answer takes | heard over the caller | pauses as recorded | made longer "
        "| first sound, mean | median | p90 |",
        "|---|---|---|---|---|---|---|",
    ]
    for answer_s in ANSWERS_S:
        each = play_heard(items, models, answer_s)
        found = sum_up(each)
        parts = [sum_up([e for e in each if e.item.is_stretched == made]) for made in (False, True)]
        rows.append(
            f"| {_ms(answer_s)} | {found.false_cutoffs} | {parts[0].false_cutoffs} "
            f"| {parts[1].false_cutoffs} | {_ms(found.mean_s)} | {_ms(found.median_s)} "
            f"| {_ms(found.p90_s)} |"
        )
    return "\n".join(rows)


def interruptions_table(found: Interruptions) -> str:
    """Of what sounds while the agent speaks."""
    stops = found.stop_s
    voiced = found.voiced_s
    rows = [
        "| over the agent | stopped at all | answer lost | silent until it goes on, median | p90 |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| {role} | {found.stops[role]} | {found.losses[role]} "
        f"| {_ms(quantile(found.gaps_s[role], 0.5))} | {_ms(quantile(found.gaps_s[role], 0.9))} |"
        for role in found.stops
    ]
    return "\n".join(
        [
            *rows,
            "",
            "| real interruptions | |",
            "|---|---|",
            f"| missed | {found.missed} |",
            f"| stopped, but spoken over again | {found.unheard} |",
            f"| first sound to cancel, p50 | {_ms(quantile(stops, 0.5))} |",
            f"| p90 | {_ms(quantile(stops, 0.9))} |",
            f"| within 250 ms | {Share(sum(s <= 0.25 for s in stops), len(stops))} |",
            f"| first voiced frame to cancel, p50 | {_ms(quantile(voiced, 0.5))} |",
            f"| p90 | {_ms(quantile(voiced, 0.9))} |",
            f"| within 250 ms | {Share(sum(s <= 0.25 for s in voiced), len(voiced))} |",
        ]
    )


# ---------------------------------------------------------------- the command


def _half(items: list[Item], half: str) -> list[Item]:
    if half == "all":
        return items
    return [item for item in items if item.is_test == (half == "test")]


@click.command()
@click.option("--small", "is_small", is_flag=True, help="What is in the repository; no network.")
@click.option("--half", type=click.Choice(["test", "train", "all"]), default="test")
@click.option("--only", type=click.Choice(["ends", "overlaps"]), help="One of the two parts.")
@click.option("--folder", type=click.Path(path_type=Path), default=_FOLDER, show_default=True)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Also write figures here.")
@click.option("--verbose", is_flag=True, help="Print each sound over the agent and its effect.")
@click.option("--echo/--no-echo", "knows_echo", default=True, help="Know an echo by its sound.")
def main(
    is_small: bool,
    half: str,
    only: str | None,
    folder: Path,
    file: Path | None,
    verbose: bool,
    knows_echo: bool,
) -> None:
    """When turns end, and what stops the agent, on recorded voices."""
    began_s = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    fetch_weights(LocalSettings(), _say)
    voices = small() if is_small else fetch(folder, _say)
    models = Models.load(folder / ("said-small.pkl" if is_small else "said.pkl"))
    figures: dict[str, Any] = {"half": half}
    if only != "overlaps":
        items = _half(turns(voices), half)
        print(f"{describe(items)}\n")
        curves = curve(items, models, _say)
        print(f"{ends_table(curves)}\n")
        print(f"{curve_table([*curves, shipped(items, models)])}\n")
        print(f"{group_table(by_group(items, models))}\n")
        print(f"{heard_table(items, models)}\n")
        figures["ends"] = [one.figures() for one in curves]
    if only != "ends":
        speak = None if is_small else speaker(folder)
        items = overlaps(voices, speak) + (echoes(voices, speak) if speak is not None else [])
        print(f"{describe(items)}\n")
        options = shipped_interruption()
        _, each = play_overlaps(items, models, options, _say, knows_echo=knows_echo)
        found = sum_up_overlaps([o for o in each if not o.item.track])
        print(interruptions_table(found))
        for condition in dict.fromkeys(item.condition for item in items):
            own = [o for o in each if o.item.condition == condition]
            print(f"\n#### {condition}\n\n{interruptions_table(sum_up_overlaps(own))}")
        figures["overlaps"] = {
            "missed": found.missed.value,
            "stopped": {role: share.value for role, share in found.stops.items()},
            "lost": {role: share.value for role, share in found.losses.items()},
            "stop_ms": [round(1000 * s) for s in found.stop_s],
            "voiced_stop_ms": [round(1000 * s) for s in found.voiced_s],
            "gap_ms": {role: [round(1000 * s) for s in g] for role, g in found.gaps_s.items()},
        }
        if verbose:
            for o in each:
                print(o.item.name, o.item.role, o.stop_s, o.early, o.resumed, o.lost, o.gaps_s)
    models.save()
    _say(f"{time.monotonic() - began_s:.0f} s, {models.runs} model runs")
    if file is not None:
        file.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
