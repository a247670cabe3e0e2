"""(a): the framework's own share of a turn, and the floor of (a) and (d).

Own share is from the write of the last audio and `audio.input.end` to the arrival of the first
answer audio, less what the simulated providers took in their process, turn by turn (`spans`). The
floor is the same measured on `bare`, a process without any framework.
"""

from __future__ import annotations

import re
import statistics
import time
from typing import Any

from attrs import frozen

from benchmarks.processes import BARE, SERVER, three
from benchmarks.report import Row, percentile
from benchmarks.scenarios import SHORT, Say, Scale, talking, warm


@frozen
class Turns:
    """One run: milliseconds of each turn, without the providers' share and with it."""

    own_ms: list[float]
    whole_ms: list[float]
    cpu_s: float
    waited_s: float
    elapsed_s: float


def own_share(scale: Scale, say: Say) -> list[Row]:
    """`audio.input.end` → first answer audio, with one session and with fifty."""
    rows = []
    many = scale.of(50, 5)
    cases = [
        (1, False, True, "1 session", 10.0),
        (many, False, False, f"{many} sessions, turns spread, audio while the caller speaks", 30.0),
        (many, False, True, f"{many} sessions, turns spread, audio all the time", 30.0),
        (many, True, False, f"{many} sessions, all turns end at the same moment", 30.0),
    ]
    for sessions, together, always, words, goal in cases:
        settings = _settings(scale, sessions, together=together, always=always)
        runs = [run_turns(sessions, settings) for _ in range(scale.runs)]
        for run in runs:
            say(f"  a: {words}: {_said(run)}")
        elapsed_s = sum(run.elapsed_s for run in runs)
        busy, waited = sum(run.cpu_s for run in runs), sum(run.waited_s for run in runs)
        note = (
            f"{len(runs[0].own_ms)} turns a run; the server used {100 * busy / elapsed_s:.0f} % of "
            f"a core and waited {100 * waited / elapsed_s:.0f} % of the time to get one"
        )
        own = [run.own_ms for run in runs]
        rows += _percentiles("a", f"own share, {words}", own, goal, note)
        rows += _percentiles("a", f"with the providers, {words}", [r.whole_ms for r in runs])
    return rows


def floor(scale: Scale, say: Say) -> list[Row]:
    """What the same frames, requests and sockets take without any framework."""
    rows = []
    many = scale.of(50, 5)
    for sessions, together in ((1, False), (many, False), (many, True)):
        settings = _settings(scale, sessions, together=together, always=not together)
        runs = [run_turns(sessions, settings, BARE) for _ in range(scale.runs)]
        for run in runs:
            say(f"  floor of a: {sessions} sessions: {_said(run)}")
        when = "all turns end at the same moment" if together else "audio all the time"
        what = f"floor of the own share, {sessions} sessions, {when}"
        rows += _percentiles("floor", what, [run.own_ms for run in runs])
    for sessions in scale.of((1, 20, 50), (2,)):
        used = [talking(scale, sessions, 16_000, BARE) for _ in range(scale.runs)]
        say(f"  floor of d: {sessions} sessions: {used[-1][0]:.2f} s/min")
        speaks = statistics.median(share for _, share, _ in used)
        note = f"the agent speaks {speaks:.0f} % of the time"
        figures = [figure for figure, _, _ in used]
        what = f"floor of the processor per session, {sessions} at 16 kHz"
        rows.append(Row("floor", what, "s/min", figures, note=note))
    return rows


def _settings(scale: Scale, sessions: int, *, together: bool, always: bool) -> dict[str, Any]:
    return {
        "turns": scale.of(20 if sessions == 1 else 3, 2),
        "speech_s": scale.of(0.3 if sessions == 1 else 1.0, 0.3),
        "pause_s": scale.of(0.2 if sessions == 1 else 1.0, 0.1),
        "together": together,
        "always": always,
    }


def _said(run: Turns) -> str:
    own = f"p50 {percentile(run.own_ms, 50):.1f} ms, p95 {percentile(run.own_ms, 95):.1f} ms"
    whole = f"p95 {percentile(run.whole_ms, 95):.1f} ms"
    return f"own {own}; with the providers {whole} of {len(run.own_ms)} turns"


def _percentiles(
    part: str, what: str, runs: list[list[float]], goal: float | None = None, note: str = ""
) -> list[Row]:
    p50, p95 = ([percentile(run, percent) for run in runs] for percent in (50, 95))
    return [
        Row(part, f"{what}, p50", "ms", p50),
        Row(part, f"{what}, p95", "ms", p95, goal, note),
    ]


def run_turns(sessions: int, settings: dict[str, Any], server_module: str = SERVER) -> Turns:
    """Have so many sessions take their turns (`benchmarks.load.Load.turns`)."""
    plan = {"answers": [SHORT], "spans": True}
    # A crowd's callers and providers need both cores, or they would be what is measured.
    apart = sessions == 1
    with three(plan, server_module=server_module, apart=apart) as (peers, server, load):
        if server_module == SERVER:
            warm(load)
        load.ask(do="connect", sessions=sessions)
        before = server.cpu_s(), server.waited_s(), time.monotonic()
        found = load.ask(do="turns", **settings)
        used = server.cpu_s() - before[0], server.waited_s() - before[1]
        elapsed_s = time.monotonic() - before[2]
        spans_ms = {number: 1000 * seconds for number, seconds in peers.ask(do="spans")["spans"]}
    own_ms, whole_ms = without_peers(found["latency_ms"], found["heard"], spans_ms)
    return Turns(own_ms, whole_ms, *used, elapsed_s)


def without_peers(
    latency_ms: list[float], heard: list[str], spans_ms: dict[int, float]
) -> tuple[list[float], list[float]]:
    """Each turn without and with the providers' share, which is told by the line's number.

    ValueError if the share of more than a tenth of the turns is not known, or one is longer than
    its turn: then the figures would mean nothing.
    """
    own, whole = [], []
    for turn_ms, text in zip(latency_ms, heard, strict=True):
        number = re.search(r"line (\d+)", text)
        share_ms = spans_ms.get(int(number[1])) if number else None
        if share_ms is None:
            continue
        if share_ms > turn_ms:
            raise ValueError(f"the providers took {share_ms} ms of a turn of {turn_ms} ms")
        own.append(turn_ms - share_ms)
        whole.append(turn_ms)
    if len(own) < 0.9 * len(latency_ms):
        raise ValueError(f"the share of {len(latency_ms) - len(own)} turns is not known")
    return own, whole
