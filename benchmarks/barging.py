"""(i): the caller's voice stops the agent: from his first sound to the last byte of the answer.

A recorded human voice cuts into an answer; nobody tells the server but its own ear and its policy.
Run as a module it is the load client, told what to do as `benchmarks.load` is.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from benchmarks.arrivals import now_s
from benchmarks.line import Line, open_line
from benchmarks.processes import three
from benchmarks.report import Row, percentile
from benchmarks.scenarios import LONG, Say, Scale
from benchmarks.told import obey
from benchmarks.turns.items import voiced
from vantum.core.audio import read_wav, to_float32

_VOICE = Path(__file__).parent.parent / "tests/recordings/kennedy.wav"
_FRAME_S = 0.02
#: Of the recording, so much is a turn: a phrase, without a pause as long as the wait.
_SPEECH_S = 2.0
_ROUND_S = 60.0


def barge_in(scale: Scale, say: Say) -> list[Row]:
    """First sound → cancel, → last audio, and what came after the cancel."""
    rows = []
    for sessions in (1, scale.of(50, 3)):
        cancels, lasts, gaps, late, missed, failed = [], [], [], 0, 0, 0
        for _ in range(scale.runs):
            found = _measured(sessions, scale.of(10 if sessions == 1 else 2, 1))
            cancels.append(percentile(found["cancel_ms"], 50))
            lasts.append(percentile(found["last_audio_ms"], 95))
            gaps.append(percentile(found["after_cancel_ms"], 95))
            late += found["late_chunks"]
            missed += found["missed"]
            failed += found["failed"]
        words = f"{sessions} session{'s' if sessions > 1 else ''}"
        note = f"not stopped: {missed}; calls that failed: {failed}"
        rows += [
            Row("i", f"voice → cancel at the client, median, {words}", "ms", cancels, 250.0, note),
            Row("i", f"voice → last byte of the answer, p95, {words}", "ms", lasts),
            Row("i", f"cancel → last byte, p95, {words}", "ms", gaps, 5.0),
            Row("i", f"chunks after the cancel, all runs, {words}", "", [late], 0.0),
        ]
        say(f"  i: {words}: {cancels} ms to the cancel, {lasts} ms to the last byte")
    return rows


def _measured(sessions: int, rounds: int) -> dict[str, Any]:
    plan, settings = {"answers": [" ".join([LONG] * 2)]}, {"SPECULATION_MODE": "off"}
    with three(plan, settings, load_module="benchmarks.barging") as (_, _server, load):
        load.ask(do="rounds", sessions=1, times=1)
        found: dict[str, Any] = load.ask(do="rounds", sessions=sessions, times=rounds)
        return found


# ---------------------------------------------------------------- the load client


@define
class Found:
    """What was measured, in milliseconds from the first sound, and what was not."""

    cancel_ms: list[float] = field(factory=list)
    last_audio_ms: list[float] = field(factory=list)
    after_cancel_ms: list[float] = field(factory=list)
    late_chunks: int = 0
    missed: int = 0
    failed: int = 0


@define(eq=False)
class Callers:
    """The callers of this process."""

    host: str
    port: int

    async def rounds(self, sessions: int, times: int) -> dict[str, Any]:
        """So many calls at once, so often; in each the caller cuts in once."""
        found, rng = Found(), random.Random(1)
        for _ in range(times):
            with trio.fail_after(_ROUND_S):
                async with trio.open_nursery() as nursery:
                    for _ in range(sessions):
                        nursery.start_soon(self._call, rng.uniform(0, 3.0), found)
        return {
            "cancel_ms": found.cancel_ms,
            "last_audio_ms": found.last_audio_ms,
            "after_cancel_ms": found.after_cancel_ms,
            "late_chunks": found.late_chunks,
            "missed": found.missed,
            "failed": found.failed,
        }

    async def _call(self, wait_s: float, found: Found) -> None:
        await trio.sleep(wait_s)
        async with trio.open_nursery() as nursery:
            line = await open_line(self.host, self.port, nursery)
            try:
                await line.send("audio.input.start", samplingRate=16_000, turnDetection="auto")
                await line.until("audio.input.start", success=True)
                microphone = Microphone.of(line)
                nursery.start_soon(microphone.run)
                microphone.speak()
                first = await line.until("audio.output.chunk")
                # Anywhere in a chunk of 100 ms, and not before the answer is well under way.
                await trio.sleep(0.6 + wait_s % 0.1)
                await self._cut_in(line, microphone, first, found)
            except RuntimeError:  # an overloaded server refuses audio
                found.failed += 1
            nursery.cancel_scope.cancel()

    async def _cut_in(self, line: Line, microphone: Microphone, since: int, found: Found) -> None:
        sounded_s = await microphone.sound()
        with trio.move_on_after(2.0) as waiting:
            cancel = await line.until("audio.output.cancel", since)
        if waiting.cancelled_caught:
            found.missed += 1
            return
        await trio.sleep(0.3)
        chunks = [i for i, e in enumerate(line.events) if e[1] == "audio.output.chunk"]
        last_s, cancel_s = line.events[max(chunks)][0], line.events[cancel][0]
        found.cancel_ms.append(1000 * (cancel_s - sounded_s))
        found.last_audio_ms.append(1000 * (last_s - sounded_s))
        found.after_cancel_ms.append(1000 * max(0.0, last_s - cancel_s))
        found.late_chunks += sum(1 for i in chunks if i > cancel)


@define(eq=False)
class Microphone:
    """Sends a frame every 20 ms: the room, or the voice from its first sound on."""

    line: Line
    voice: list[bytes]
    room: bytes
    _left: int = 0
    _sounded: trio.Event = field(factory=trio.Event)
    _sounded_s: float = 0.0

    @classmethod
    def of(cls, line: Line) -> Microphone:
        """With the recorded voice."""
        wav = read_wav(_VOICE.read_bytes())
        step = round(2 * wav.sample_rate_hz * _FRAME_S)
        begin = round(voiced(to_float32(wav.pcm))[0][0] / _FRAME_S) * step
        pcm = wav.pcm[begin : begin + round(_SPEECH_S / _FRAME_S) * step]
        frames = [
            line.message("audio.input.chunk", {"audio": pcm[at : at + step]})
            for at in range(0, len(pcm), step)
        ]
        quiet = b"".join(
            value.to_bytes(2, "little", signed=True)
            for value in random.Random(0).choices(range(-40, 40), k=step // 2)
        )
        return cls(line, frames, line.message("audio.input.chunk", {"audio": quiet}))

    def speak(self) -> None:
        """Begin with the next frame."""
        self._left, self._sounded = len(self.voice), trio.Event()

    async def sound(self) -> float:
        """Speak; gives when the first frame of voice was sent, on the machine's clock."""
        self.speak()
        await self._sounded.wait()
        return self._sounded_s

    async def run(self) -> None:
        """For ever."""
        next_s = trio.current_time()
        while True:
            await trio.sleep_until(next_s)
            next_s += _FRAME_S
            if not self._left:
                await self.line.put(self.room)
                continue
            if self._left == len(self.voice):
                self._sounded_s = now_s()
                self._sounded.set()
            await self.line.put(self.voice[len(self.voice) - self._left])
            self._left -= 1


async def main(host: str, port: int) -> None:
    """Do what standard input says until it ends."""
    await obey(Callers(host, port))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
