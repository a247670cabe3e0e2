"""(p): how many phone calls one server holds, and what each of them costs.

Callers with a recorded voice hold conversations in real time, each third answer is cut short by
them. The recogniser finds words in whatever is loud, the model and the voice answer at once. The
figures come from the callers' end (`benchmarks.phones`); only when a turn was judged to be over is
what the server's log says.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.phones import ACCOUNT, TOKEN
from benchmarks.processes import SERVER, Process, three
from benchmarks.report import Row, percentile
from benchmarks.scenarios import LONG, Say, Scale

_ECHO: Final = "benchmarks.bare_phone"
_PLAN: Final = {"answers": [LONG], "by_loudness": True, "final_every_s": 4.0}
#: A step of the ladder: until all have spoken, and then the figures.
_WARM_S, _TALK_S = 3.0, 15.0
#: A frame later than this: the ladder ends.
_LATE_MS: Final = 20.0
_GOALS: Final = {"response": 20.0, "processor": 0.5, "memory": 300.0}


@frozen
class Case:
    """A server to be loaded. `ladder`: numbers of calls, until one is too many; `goal`: how many
    there should be."""

    name: str
    settings: dict[str, str]
    ladder: Sequence[int]
    goal: int | None = None
    module: str = SERVER


@frozen
class Step:
    """What so many calls gave."""

    calls: int
    response_ms: list[float]
    ear_ms: list[float]
    cut_ms: list[float]
    late_ms: list[float]
    starved: int
    frames: int
    cpu_s_per_min: float
    memory_kb: float
    tick_ms: float
    failures: list[str]
    unmatched: int

    @property
    def holds(self) -> bool:
        """Whether nobody heard of the load: no frame came too late and none was missing."""
        late = percentile(self.late_ms, 99) if self.late_ms else 0.0
        return late < _LATE_MS and not self.starved and not self.failures

    def __str__(self) -> str:
        shares = [
            f"{percentile(self.response_ms, p):.1f}" for p in (50, 95, 99) if self.response_ms
        ]
        late = f"{percentile(self.late_ms, 99):.1f}" if self.late_ms else "–"
        return (
            f"{self.calls} calls: response {'/'.join(shares) or '–'} ms ({len(self.response_ms)} "
            f"turns), frames late p99 {late} ms, starved {self.starved} of {self.frames}, "
            f"{self.cpu_s_per_min:.2f} s/min, {self.memory_kb:.0f} KB, the load's own p99 "
            f"{self.tick_ms:.1f} ms{', ' + '; '.join(self.failures) if self.failures else ''}"
        )


def phone(scale: Scale, say: Say) -> list[Row]:
    """All cases, one after another."""
    rows: list[Row] = []
    for case in _cases(scale.quick):
        rows += _rows(case, list(_climb(case, scale, say)))
    return rows


def _cases(quick: bool) -> list[Case]:
    ear = {"TURN_VOICE_ACTIVITY": "auto"}
    none = {"TURN_VOICE_ACTIVITY": "off"}
    two = {"WORKERS": "2"}
    first, second, third = "recogniser's endpointing", "voice activity detection", "2 workers"
    if quick:
        return [
            Case(first, none, [2]),
            Case(f"{second}, {third}", ear | two, [4]),
            Case("bare echo", {}, [2], module=_ECHO),
        ]
    return [
        Case(first, none, [1, 25, 50, 75, 100, 125, 150], 100),
        Case(second, ear, [1, 20, 40, 60, 80, 100], 60),
        Case(f"{first}, {third}", none | two, [50, 100, 150]),
        Case(f"{second}, {third}", ear | two, [40, 80, 120]),
        Case("bare echo", {}, [50, 100, 200, 300], module=_ECHO),
    ]


def _climb(case: Case, scale: Scale, say: Say) -> Iterator[Step]:
    """Step after step, until one is too much."""
    with _server(case) as (server, load):
        echo = case.module == _ECHO
        # What the first calls of a process load is no call's memory.
        load.ask(do="connect", calls=2)
        load.ask(do="talk", seconds=scale.of(8.0, 4.0), converse=not echo)
        load.ask(do="hang_up")
        time.sleep(1.0)
        empty_kb, _ = server.memory_kb()
        for calls in case.ladder:
            load.ask(do="connect", calls=calls)
            load.ask(do="talk", seconds=scale.of(_WARM_S, 0.5), converse=not echo)
            step = _step(server, load, calls, empty_kb, scale.of(_TALK_S, 9.0), echo)
            say(f"  p: {case.name}: {step}")
            yield step
            if not step.holds:
                return


@contextmanager
def _server(case: Case) -> Iterator[tuple[Process, Process]]:
    with tempfile.TemporaryDirectory() as directory:
        settings = {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "MAX_SESSIONS": "2000",
            # The share is that of the usual way; answers ahead of time would hide some of it.
            "SPECULATION_MODE": "off",
            # Which of its results a model of turn-taking gets to see is another part's subject.
            "TURN_DETECTOR": "off",
            "SHUTDOWN_GRACE": "0",
            "XDG_DATA_HOME": directory,
            "VANTUM_DATABASE": str(Path(directory) / "bench.sqlite3"),
            **case.settings,
        }
        with three(_PLAN, settings, server_module=case.module, load_module="benchmarks.phones") as (
            _,
            server,
            load,
        ):
            yield server, load


def _step(
    server: Process, load: Process, calls: int, empty_kb: float, seconds: float, echo: bool
) -> Step:
    before_s, logged = server.cpu_s(), len(server.said())
    found = load.ask(do="talk", seconds=seconds, converse=not echo)
    used_s = server.cpu_s() - before_s
    most_kb, _ = server.memory_kb()
    turns = matched(found["turns"], server.said()[logged:])
    failures = list(found["failures"])
    if found["gone"]:
        failures.append(f"{found['gone']} calls were cut off")
    return Step(
        calls,
        [turn.response_ms for turn in turns],
        [turn.ear_ms for turn in turns],
        [turn["cut_ms"] for turn in found["turns"] if "cut_ms" in turn],
        found["late_ms"],
        found["starved"],
        found["frames"],
        60 * used_s / (calls * found["seconds"]),
        (most_kb - empty_kb) / calls,
        min(found["ticks_late_ms"], default=0.0),
        failures,
        len(found["turns"]) - len(turns),
    )


@frozen
class Turn:
    """A turn: from the server's decision that it was over to the first frame at the caller's, and
    from the end of the caller's voice to that decision, without the wait that it was for."""

    response_ms: float
    ear_ms: float


def matched(turns: list[dict[str, Any]], log: str) -> list[Turn]:
    """The turns that the callers saw, with what the server's log says of them.

    A turn may be judged over more than once, if the caller goes on; the last one before the answer
    was the one that counted. Turns whose decision is not in the log are left out.
    """
    judged: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in log.splitlines():
        if '"turn judged over"' in line:
            record = json.loads(line)
            at_s = datetime.fromisoformat(record["timestamp"]).timestamp()
            judged[record["call"]].append((at_s, 1000 * record["waited_s"]))
    found = []
    for turn in turns:
        answered_s, gap_ms = turn["answered_unix_s"], turn["gap_ms"]
        spoken_s = answered_s - gap_ms / 1000
        during = [each for each in judged[turn["call"]] if spoken_s <= each[0] <= answered_s]
        if during:
            at_s, waited_ms = max(during)
            response_ms = 1000 * (answered_s - at_s)
            found.append(Turn(response_ms, gap_ms - response_ms - waited_ms))
    return found


def _rows(case: Case, steps: list[Step]) -> list[Row]:
    rows = []
    for step in steps:
        what = f"{step.calls} call{'s' if step.calls > 1 else ''}, {case.name}"
        within = step.holds and (case.goal is None or step.calls <= case.goal)
        if step.response_ms:
            p50, p95, p99 = (percentile(step.response_ms, p) for p in (50, 95, 99))
            note = f"p50 {p50:.1f}, p99 {p99:.1f} ms; {len(step.response_ms)} turns; ear p50 "
            note += f"{percentile(step.ear_ms, 50):.0f} ms"
            if step.cut_ms:
                note += f"; an interruption clears after {percentile(step.cut_ms, 50):.0f} ms (p50)"
            if step.unmatched:
                note += f"; {step.unmatched} more are not known"
            goal = _GOALS["response"] if within else None
            rows.append(Row("p", f"response share p95: {what}", "ms", [p95], goal, note))
        if step.late_ms:
            note = f"starved {step.starved} of {step.frames} frames; the callers' own p99 lateness "
            note += f"{step.tick_ms:.1f} ms{''.join('; ' + each for each in step.failures)}"
            late = percentile(step.late_ms, 99)
            rows.append(Row("p", f"frames late, p99: {what}", "ms", [late], None, note))
        many = step.calls > 1
        goal = _GOALS["processor"] if within and many and case.module == SERVER else None
        rows.append(Row("p", f"processor: {what}", "s/min", [step.cpu_s_per_min], goal))
        if many:
            goal = _GOALS["memory"] if within and case.module == SERVER else None
            rows.append(Row("p", f"memory per call: {what}", "KB", [step.memory_kb], goal))
    most = max((step.calls for step in steps if step.holds), default=0)
    note = "" if case.goal is None else f"goal: {case.goal}"
    if steps and steps[-1].holds:
        note = "; ".join(filter(None, [note, "the ladder ended there, not the server"]))
    rows.append(Row("p", f"most calls, {case.name}", "calls", [most], None, note, "more"))
    return rows
