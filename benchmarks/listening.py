"""(t): the framework's share of a turn by the server's own latency ledger.

The caller is a recorded human voice, sent all the time in frames of 20 ms; the server's ear
and its policy find the end of each turn. Providers take no time of their own. The wait for the end
of a turn is no share of the framework's; everything is that happens from there to the first audio
but does not happen at a provider, and so is the time that a frame of audio waits to be heard.
The same without the ear, for callers whose client tells the end of a turn: what part (a) measures
from outside, with the other processes' waking up in it, as the server sees it.

Run as a module it is the load client, told what to do as `benchmarks.load` is.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from benchmarks.line import Line, open_line
from benchmarks.processes import three
from benchmarks.report import Row, percentile
from benchmarks.scenarios import SHORT, Say, Scale
from benchmarks.told import obey
from vantum.core.audio import read_wav

_VOICE = Path(__file__).parent.parent / "tests/recordings/kennedy.wav"
_FRAME_S = 0.02
#: Of the recording, so much is a turn: a phrase, without a pause as long as the wait.
_SPEECH_S = 2.0
_TURN_S = 60.0


def detection_share(scale: Scale, say: Say) -> list[Row]:
    """The framework's own share: turns that the server found to be over, and that it was told."""
    rows = []
    many, crowd = scale.of(10, 3), scale.of(50, 3)
    for sessions, goal, auto in (
        (1, 10.0, True),
        (many, 30.0, True),
        (1, 10.0, False),
        (crowd, 30.0, False),
    ):
        medians, p95s, ears = [], [], []
        for _ in range(scale.runs):
            found = _measured(sessions, scale.of(10 if sessions == 1 else 3, 2), auto=auto)
            shares = [turn["frameworkMs"] for turn in found["turns"]]
            medians.append(percentile(shares, 50))
            p95s.append(percentile(shares, 95))
            ears.append(found["ear_cpu"])
        words = f"{sessions} session{'s' if sessions > 1 else ''}, a voice on the line all the time"
        cpu = f"CPU of the server {1000 * sum(ears) / len(ears):.1f} ms per second of call"
        note = f"median {sum(medians) / len(medians):.1f} ms; {cpu}"
        how = "own share with turn detection" if auto else "own share, the client ends its turns"
        rows.append(Row("t", f"{how}, p95: {words}", "ms", p95s, goal, note))
        say(f"(t) {how}, {words}: done")
    return rows


def _measured(sessions: int, turns: int, *, auto: bool) -> dict[str, Any]:
    # The share is that of the usual way; answers ahead of time would hide some of it.
    settings = {"SPECULATION_MODE": "off"}
    plan = {"answers": [SHORT]}
    with three(plan, settings, load_module="benchmarks.listening") as (_, server, load):
        load.ask(do="connect", sessions=sessions, auto=auto)
        load.ask(do="talk", turns=1)
        before_s = server.cpu_s()
        found: dict[str, Any] = load.ask(do="talk", turns=turns)
        found["ear_cpu"] = (server.cpu_s() - before_s) / (found["seconds"] * sessions)
        return found


# ---------------------------------------------------------------- the load client


@define(eq=False)
class Callers:
    """The callers of this process."""

    host: str
    port: int
    nursery: trio.Nursery
    lines: list[Line] = field(factory=list)
    auto: bool = True

    async def connect(self, sessions: int, auto: bool) -> int:
        """Open so many sessions, in `auto` or in `manual`."""
        self.auto = auto
        detection = "auto" if auto else "manual"
        for _ in range(sessions):
            line = await open_line(self.host, self.port, self.nursery)
            at = len(line.events)
            await line.send(
                "audio.input.start", samplingRate=16_000, turnDetection=detection, latency=True
            )
            await line.until("audio.input.start", at, success=True)
            self.lines.append(line)
        return len(self.lines)

    async def talk(self, turns: int) -> dict[str, Any]:
        """So many turns on each line; the ledgers that the server sent."""
        found: list[dict[str, Any]] = []
        rng = random.Random(1)
        started_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            for line in self.lines:
                nursery.start_soon(self._caller, line, turns, found, rng.uniform(0, 3.0))
        return {"turns": found, "seconds": trio.current_time() - started_s}

    async def _caller(
        self, line: Line, turns: int, found: list[dict[str, Any]], wait_s: float
    ) -> None:
        voice, room = _frames(line)
        speaking = [0]

        async def microphone() -> None:
            next_s = trio.current_time()
            while True:
                await trio.sleep_until(next_s)
                next_s += _FRAME_S
                if speaking[0]:
                    await line.put(voice[len(voice) - speaking[0]])
                    speaking[0] -= 1
                    if not (speaking[0] or self.auto):
                        await line.send("audio.input.end")
                else:
                    await line.put(room)

        with trio.fail_after(turns * _TURN_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(microphone)
                await trio.sleep(wait_s)
                for _ in range(turns):
                    at = len(line.events)
                    speaking[0] = len(voice)
                    told = await line.until("conversation.turn.latency", at)
                    found.append(line.events[told][2])
                    done = await line.until("audio.output.complete", told)
                    await line.until("conversation.state.changed", done, to="LISTENING")
                    line.forget()
                nursery.cancel_scope.cancel()


def _frames(line: Line) -> tuple[list[bytes], bytes]:
    """The voice in frames, and a frame of a quiet room."""
    wav = read_wav(_VOICE.read_bytes())
    step = round(2 * wav.sample_rate_hz * _FRAME_S)
    pcm = wav.pcm[: round(_SPEECH_S / _FRAME_S) * step]
    frames = [
        line.message("audio.input.chunk", {"audio": pcm[at : at + step]})
        for at in range(0, len(pcm), step)
    ]
    quiet = b"".join(
        value.to_bytes(2, "little", signed=True)
        for value in random.Random(0).choices(range(-40, 40), k=step // 2)
    )
    return frames, line.message("audio.input.chunk", {"audio": quiet})


async def main(host: str, port: int) -> None:
    """Do what standard input says until it ends."""
    async with trio.open_nursery() as nursery:
        await obey(Callers(host, port, nursery))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
