"""(b) to (e): the server in its own process, between simulated providers and a load client."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

from attrs import frozen

from benchmarks.processes import SERVER, Process, three
from benchmarks.report import Row, percentile

#: About a second and a half of speech in two pieces.
SHORT = "Yes, of course. ||BREAK|| How can I help?"
#: About four seconds.
LONG = (
    "Thank you for asking me that. ||BREAK|| We help your team to reach more people by phone. "
    "||BREAK|| Shall I call again?"
)
TINY = "Yes."
#: Its first piece can only end at the marker: a sentence end would be spoken even before it.
MARKED = (
    "Thank you for asking me that ||BREAK|| we help your team to reach more people by phone. "
    "||BREAK|| Shall I call again?"
)


@frozen
class Scale:
    """How much is done: everything, or just enough to see that it works."""

    runs: int = 3
    quick: bool = False

    def of(self, full: Any, quick: Any) -> Any:
        """One of the two."""
        return quick if self.quick else full


Say = Callable[[str], None]


def warm(load: Process) -> None:
    """Everything has happened once: modules, caches, connection pools."""
    load.ask(do="conversations", count=4, at_once=2)


# ---------------------------------------------------------------- (b)


def first_piece(scale: Scale, say: Say) -> list[Row]:
    """First audio of a three-piece answer by a model at 20 tokens/s."""
    plan = {
        "answers": [MARKED],
        "openai": {"tokens_per_s": 20.0},
        "cartesia": {"first_audio_s": 0.1},
        "timeline": True,
    }
    p50, p95, ahead = [], [], []
    for _ in range(scale.runs):
        with three(plan) as (peers, _, load):
            load.ask(do="connect", sessions=1)
            load.ask(do="answers", times=1)
            peers.ask(do="timeline")
            times = load.ask(do="answers", times=scale.of(8, 1))
            records = peers.ask(do="timeline")["records"]
        late = late_ms(times["ended_s"], times["first_audio_s"], records)
        p50.append(percentile(late, 50))
        p95.append(percentile(late, 95))
        pairs = zip(times["text_complete_s"], times["first_audio_s"], strict=True)
        ahead.append(statistics.median(end_s - first_s for end_s, first_s in pairs))
        say(f"  b: {p50[-1]:.1f} ms after marker + synthesis, {ahead[-1]:.2f} s before the end")
    note = f"{statistics.median(ahead):.2f} s before the model had finished its answer"
    what = "first audio after (first marker + synthesis), 20 tokens/s"
    return [
        Row("b", f"{what}, p50", "ms", p50),
        Row("b", f"{what}, p95", "ms", p95, 10.0, note),
    ]


def late_ms(
    ended_s: list[float], first_audio_s: list[float], records: list[tuple[float, str]]
) -> list[float]:
    """How late each answer's first audio was: what is neither the model's nor the voice's time.

    `ended_s`, `first_audio_s`: of each turn; `records`: the peers' timeline, all on one clock. The
    voice's time is from the text's arrival there to its first audio; the model's is up to the write
    of the token that begins the marker. ValueError if they did not come in that order, for then the
    figure would mean nothing.
    """
    late = []
    for began_s, heard_s in zip(ended_s, first_audio_s, strict=True):
        turn = [(at_s, kind) for at_s, kind in records if began_s <= at_s <= heard_s]
        first = {kind: min(at for at, k in turn if k == kind) for _, kind in turn}
        order = [first.get(kind, math.nan) for kind in ("marker", "text_in", "audio_out")]
        marker_s, text_s, audio_s = order
        if not marker_s <= text_s <= audio_s <= heard_s:
            raise ValueError(f"not marker, text, audio, heard: {order}, {heard_s}")
        late.append(1000 * (heard_s - marker_s - (audio_s - text_s)))
    return late


# ---------------------------------------------------------------- (c)


def memory(scale: Scale, say: Say) -> list[Row]:
    """Memory of a session that is idle and of one that talks.

    What a talking one holds depends on the recogniser: audio stays until it is in a final result.
    The simulated one's usual four seconds are measured, and the worst case.
    """
    idle, talking, worst = [], [], []
    sessions = scale.of(100, 5)
    for _ in range(scale.runs):
        with three({"answers": [LONG]}) as (_, server, load):
            # Few at a time: what a crowd leaves behind would hide what the next crowd needs.
            load.ask(do="conversations", count=scale.of(6, 1), at_once=1)
            load.ask(do="connect", sessions=1)
            load.ask(do="turns", turns=1, speech_s=0.3, pause_s=0, together=False, always=True)
            load.ask(do="hang_up")
            time.sleep(0.5)
            empty_kb, _ = server.memory_kb()
            load.ask(do="connect", sessions=sessions)
            time.sleep(0.5)
            idle_kb, _ = server.memory_kb()
            idle.append((idle_kb - empty_kb) / sessions)
            load.ask(do="hang_up")
        talking.append(_talking_kb(scale, min(sessions, 50), final_every_s=4.0))
        worst.append(_talking_kb(scale, min(sessions, 50), final_every_s=1e9))
        say(f"  c: idle {idle[-1]:.0f} KB, talking {talking[-1]:.0f} KB, {worst[-1]:.0f} KB")
    many = f"({min(sessions, 50)} of them)"
    late = "the recogniser makes nothing final before a turn ends"
    return [
        Row("c", f"memory per idle session ({sessions} of them)", "KB", idle, 300.0),
        Row("c", f"memory per talking session {many}", "KB", talking, 300.0),
        Row("c", f"memory per talking session {many}, {late}", "KB", worst, 300.0),
    ]


def _talking_kb(scale: Scale, sessions: int, final_every_s: float) -> float:
    with three({"answers": [LONG], "final_every_s": final_every_s}) as (_, server, load):
        load.ask(do="conversations", count=scale.of(6, 1), at_once=1)
        empty_kb, _ = server.memory_kb()
        load.ask(do="connect", sessions=sessions)
        load.ask(do="talk", seconds=scale.of(15.0, 1.5), every_s=scale.of(6.0, 1.0))
        most_kb, _ = server.memory_kb()
        load.ask(do="hang_up")
    return (most_kb - empty_kb) / sessions


def flat(scale: Scale, say: Say) -> list[Row]:
    """Memory over a thousand conversations: connect, one short turn, hang up.

    After the first fifteen hundred: it takes so many until the allocator has all the room that it
    will ever need.
    """
    steps = scale.of((500, 500), (4, 4))
    with three({"answers": [TINY]}) as (_, server, load):
        load.ask(do="conversations", count=scale.of(1500, 4), at_once=scale.of(10, 2))
        first = server.ask(do="census")
        start_kb, _ = server.memory_kb()
        sizes, done, failures = [start_kb], 0, 0
        for count in steps:
            answer = load.ask(do="conversations", count=count, at_once=scale.of(10, 2))
            failures += answer["failures"]
            done += count
            last = server.ask(do="census")
            sizes.append(server.memory_kb()[0])
            say(f"  c: after {done} conversations: {sizes[-1]} KB, {last['objects']} objects")
    grown = {
        name: count - first["types"].get(name, 0)
        for name, count in last["types"].items()
        if count - first["types"].get(name, 0) >= done / 4
    }
    more = ", ".join(f"{n} +{c}" for n, c in sorted(grown.items(), key=lambda item: -item[1])[:6])
    say(f"  c: grown types: {more or 'none'}")
    story = " → ".join(f"{kb / 1024:.1f}" for kb in sizes) + " MB RSS"
    objects = last["objects"] - first["objects"]
    note = f"{story}; objects {objects:+d}; {failures} calls failed"
    if grown:
        note += f"; growing: {more}"
    per = (sizes[-1] - sizes[0]) / done
    late = (sizes[-1] - sizes[1]) / max(1, done - steps[0])
    return [
        Row("c", f"memory kept per conversation, over {done}", "KB", [per], 1.0, note),
        Row("c", f"the same, over the last {done - steps[0]}", "KB", [late], 1.0),
    ]


# ---------------------------------------------------------------- (d)


def processor(scale: Scale, say: Say) -> list[Row]:
    """Processor time of the server per session and minute of call.

    By the audio that came out at the recogniser, not by the clock: a server that cannot keep up
    uses less time because it does less, and that must not look like thrift.
    """
    rows = []
    cases = [(1, 16_000), (20, 16_000), (50, 16_000), (20, 48_000)]
    for sessions, rate_hz in scale.of(cases, [(2, 16_000)]):
        found, shares, handled = [], [], []
        for _ in range(scale.runs):
            used, share, done = talking(scale, sessions, rate_hz)
            found.append(used)
            shares.append(share)
            handled.append(done)
            say(
                f"  d: {sessions} at {rate_hz} Hz: {found[-1]:.2f} s/min, "
                f"{handled[-1]:.0f} % of real time"
            )
        note = (
            f"the agent speaks {statistics.median(shares):.0f} % of the time; "
            f"{min(handled):.0f} % of the callers' time was handled"
        )
        what = f"processor per session, {sessions} at {rate_hz // 1000} kHz"
        rows.append(Row("d", what, "s/min", found, 0.5, note))
    return rows


def talking(
    scale: Scale, sessions: int, rate_hz: int, server_module: str = SERVER
) -> tuple[float, float, float]:
    """Processor seconds per session and minute; percent of the time that the agent speaks; percent
    of the callers' time that was handled."""
    with three({"answers": [LONG]}, server_module=server_module) as (peers, server, load):
        if server_module == SERVER:
            warm(load)
        load.ask(do="connect", sessions=sessions, rate_hz=rate_hz)
        before_s, heard_s = server.cpu_s(), peers.ask(do="audio")["heard_s"]
        talk = load.ask(do="talk", seconds=scale.of(12.0, 1.5), every_s=scale.of(6.0, 1.0))
        used_s = server.cpu_s() - before_s
        heard_s = peers.ask(do="audio")["heard_s"] - heard_s
    speaks = 100 * talk["answer_s"] / sessions / talk["seconds"]
    return 60 * used_s / heard_s, speaks, 100 * heard_s / (sessions * talk["seconds"])


# ---------------------------------------------------------------- (e)


def interrupt(scale: Scale, say: Say) -> list[Row]:
    """Interrupt → last audio."""
    last, cancel, worst, late = [], [], 0.0, 0
    for _ in range(scale.runs):
        with three({"answers": [" ".join([LONG] * 2)]}) as (_, _, load):
            load.ask(do="connect", sessions=1)
            load.ask(do="interrupts", times=1, settle_s=0.3)
            found = load.ask(do="interrupts", times=scale.of(20, 2), settle_s=0.25)
        last.append(percentile(found["last_audio_ms"], 95))
        cancel.append(percentile(found["cancel_ms"], 95))
        worst = max(worst, *found["last_audio_ms"])
        late += found["late_chunks"]
        say(f"  e: last audio p95 {last[-1]:.2f} ms, cancel p95 {cancel[-1]:.2f} ms, late {late}")
    return [
        Row("e", "interrupt → last audio, p95", "ms", last, 5.0, f"longest {worst:.2f} ms"),
        Row("e", "interrupt → cancel at the client, p95", "ms", cancel),
        Row("e", "chunks after the cancel, all runs", "", [late], 0.0),
    ]
