"""Figures and the table: what was measured, the goal, and whether it was reached."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen


@frozen
class Row:
    """One line of the table.

    Args:
        part: the letter of the benchmark.
        what: in words.
        runs: the figure of each run; the table shows their median, and the worst.
        goal: not above this; None if the line only informs.
        better: "less" or "more": which way is good.
    """

    part: str
    what: str
    unit: str
    runs: Sequence[float]
    goal: float | None = None
    note: str = ""
    better: str = "less"

    @property
    def figure(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    @property
    def worst(self) -> float:
        """Of the runs."""
        return max(self.runs) if self.better == "less" else min(self.runs)

    @property
    def verdict(self) -> str:
        """By the median of the runs."""
        if self.goal is None:
            return ""
        return "reached" if self.figure <= self.goal else "MISSED"


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: a value that really occurred. ValueError if there are none."""
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def number(value: float) -> str:
    """Three significant digits, without exponents."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| | what | median of runs | worst run | goal | verdict | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        goal = "" if row.goal is None else f"≤ {number(row.goal)} {row.unit}"
        cells = [
            row.part,
            row.what,
            f"{number(row.figure)} {row.unit}",
            number(row.worst),
            goal,
            row.verdict,
            row.note,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> str:
    """What this was measured on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )
