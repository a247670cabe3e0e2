"""`python -m benchmarks [--quick] [--only a,b] [--runs N] [--json FILE]`: one table."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks import latency, scenarios
from benchmarks.barging import barge_in
from benchmarks.listening import detection_share
from benchmarks.phone import phone
from benchmarks.pure import pure
from benchmarks.report import Row, machine, table
from benchmarks.scenarios import Say, Scale
from benchmarks.speculating import speculation

PARTS: dict[str, list[Callable[[Scale, Say], list[Row]]]] = {
    "a": [latency.own_share],
    "floor": [latency.floor],
    "b": [scenarios.first_piece],
    "c": [scenarios.memory, scenarios.flat],
    "d": [scenarios.processor],
    "e": [scenarios.interrupt],
    "f": [lambda scale, _: pure(scale.runs, scale.quick)],
    "i": [barge_in],
    "p": [phone],
    "s": [speculation],
    "t": [detection_share],
}


def measure(parts: list[str], scale: Scale, say: Say) -> tuple[list[Row], list[str]]:
    """The rows of these parts, and what failed: a part that fails does not stop the others."""
    rows: list[Row] = []
    failures: list[str] = []
    for part in parts:
        for benchmark in PARTS[part]:
            try:
                rows += benchmark(scale, say)
            except (RuntimeError, ValueError) as error:
                failures.append(f"({part}) was not measured: {error}")
    return rows, failures


@click.command()
@click.option("--quick", is_flag=True, help="Once and little of it: does it still work?")
@click.option("--only", default=",".join(PARTS), help="Parts, such as a,d.", show_default=True)
@click.option("--runs", type=click.IntRange(1, 100), help="Repetitions; 3, or 1 with --quick.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Also write the figures here."
)
def main(quick: bool, only: str, runs: int | None, file: Path | None) -> None:
    """Measure what the framework itself costs, and compare it with the goals."""
    parts = [part.strip() for part in only.split(",") if part.strip()]
    if unknown := [part for part in parts if part not in PARTS]:
        raise click.BadParameter(
            f"{', '.join(unknown)}: there are {', '.join(PARTS)}", param_hint="--only"
        )
    scale = Scale(runs or (1 if quick else 3), quick)
    load = os.getloadavg()[0]
    started_s = time.monotonic()
    rows, failures = measure(parts, scale, lambda line: click.echo(line, err=True))
    loads = f"Load of the machine before: {load:.1f}, after: {os.getloadavg()[0]:.1f}"
    click.echo(f"{machine()}. {loads}; runs: {scale.runs}.\n")
    click.echo(table(rows))
    for failure in failures:
        click.echo(f"\n{failure}")
    click.echo(f"\n{time.monotonic() - started_s:.0f} s.")
    if file is not None:
        figures = [
            {
                "part": row.part,
                "what": row.what,
                "unit": row.unit,
                "runs": list(row.runs),
                "goal": row.goal,
                "verdict": row.verdict,
                "note": row.note,
            }
            for row in rows
        ]
        content = {
            "machine": machine(),
            "load_before": load,
            "load_after": os.getloadavg()[0],
            "rows": figures,
            "failures": failures,
        }
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
