"""The load client, a process of its own: callers that do what the runner asks on standard input.

One JSON command a line in, one JSON answer a line out; the end of the input ends it.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from attrs import define, field

from benchmarks.arrivals import now_s
from benchmarks.line import Line, open_line
from benchmarks.told import obey

FRAME_S = 0.02
#: Nothing that is asked of a server takes longer; what does is a failure.
_DEADLINE_S = 60.0
#: A turn is over long before this, however slow the machine.
_TURN_S = 60.0


@define(eq=False)
class Load:
    """The callers of this process."""

    host: str
    port: int
    nursery: trio.Nursery
    lines: list[Line] = field(factory=list)
    rate_hz: int = 16_000
    rng: random.Random = field(factory=lambda: random.Random(1))

    # ------------------------------------------------------------ commands

    async def connect(self, sessions: int, rate_hz: int = 16_000, start: bool = True) -> int:
        """Open so many sessions; with `start`, wait until each is ready for audio."""
        self.rate_hz = rate_hz
        for _ in range(sessions):
            self.lines.append(await self._open(start))
        return len(self.lines)

    async def ready(self) -> int:
        """Send `audio.input.start` on all lines and wait for the acks."""
        for line in self.lines:
            await self._start(line)
        return len(self.lines)

    async def hang_up(self) -> int:
        """Cut all lines."""
        count = len(self.lines)
        for line in self.lines:
            await line.stream.aclose()
        self.lines.clear()
        return count

    async def turns(
        self, turns: int, speech_s: float, pause_s: float, together: bool, always: bool
    ) -> dict[str, Any]:
        """On every line, so many turns; gives the milliseconds from end to first audio, and what
        the recogniser heard in each.

        Args:
            speech_s: how long the caller speaks.
            pause_s: longest pause before the next turn (a random part of it).
            together: all callers end their turn at the same moment.
            always: the microphone stays open: frames are also sent while the caller listens.
        """
        found: list[float] = []
        heard: list[str] = []
        everybody = _Barrier(len(self.lines)) if together else None

        async def one(line: Line) -> None:
            rng = random.Random(self.rng.random())
            async with trio.open_nursery() as nursery:
                microphone = _Microphone(line, self._audio(line))
                nursery.start_soon(microphone.run, 0 if together else rng.uniform(0, 0.02))
                await trio.sleep(0 if together else rng.uniform(0, speech_s + pause_s))
                for _ in range(turns):
                    microphone.open = True
                    await trio.sleep(speech_s)
                    if everybody is not None:
                        await everybody.wait()
                    at = len(line.events)
                    found.append(1000 * await _turn(line, microphone, always))
                    heard.append(_transcript(line, at))
                    line.forget()
                    await trio.sleep(rng.uniform(0, pause_s))
                nursery.cancel_scope.cancel()

        await self._everybody(one, turns * (speech_s + pause_s))
        return {"latency_ms": found, "heard": heard}

    async def talk(self, seconds: float, every_s: float) -> dict[str, Any]:
        """Stream audio on every line all the time; end a turn every `every_s` seconds."""
        sent = [0]
        before = sum(line.audio_bytes for line in self.lines)

        async def one(line: Line) -> None:
            rng = random.Random(self.rng.random())
            with trio.move_on_after(seconds):
                async with trio.open_nursery() as nursery:
                    microphone = _Microphone(line, self._audio(line), open=True, sent=sent)
                    nursery.start_soon(microphone.run, rng.uniform(0, 0.02))
                    await trio.sleep(rng.uniform(0.3, every_s))
                    while True:
                        next_s = trio.current_time() + every_s
                        await _turn(line, microphone, always=True)
                        line.forget()
                        await trio.sleep_until(next_s)

        started_s = now_s()
        await self._everybody(one, seconds)
        audio_bytes = sum(line.audio_bytes for line in self.lines) - before
        answer_s = audio_bytes / (2 * self.rate_hz)
        return {"frames": sent[0], "answer_s": answer_s, "seconds": now_s() - started_s}

    async def interrupts(self, times: int, settle_s: float) -> dict[str, Any]:
        """Cut in on the first line's answer, at all phases of its playout.

        Gives the milliseconds from sending the interrupt to the last audio (0: none came after it)
        and to the cancel, and how many chunks came after the cancel.
        """
        line, last, cancelled, late = self.lines[0], [], [], 0
        for number in range(times):
            await line.put(5 * self._audio(line))
            at = len(line.events)
            await line.send("audio.input.end")
            await line.until("audio.output.chunk", at)
            # The phases of a 100 ms chunk, from just after to just before it leaves.
            await trio.sleep(0.3 + 0.1 * (number + 0.5) / times)
            await line.send("user.action.interrupt")
            sent_s = now_s()
            cancel = await line.until("audio.output.cancel", at)
            await line.until("conversation.state.changed", cancel, to="LISTENING")
            await trio.sleep(settle_s)
            chunks = [i for i, e in enumerate(line.events) if e[1] == "audio.output.chunk"]
            last.append(1000 * max(0.0, line.events[max(chunks)][0] - sent_s))
            cancelled.append(1000 * (line.events[cancel][0] - sent_s))
            late += sum(1 for i in chunks if i > cancel)
            line.forget()
        return {"last_audio_ms": last, "cancel_ms": cancelled, "late_chunks": late}

    async def answers(self, times: int) -> dict[str, Any]:
        """Short turns on the first line: when each ended, when its first chunk arrived, and when
        the model's text was complete, on the machine's clock."""
        line, ended_s, first_s, complete_s = self.lines[0], [], [], []
        for _ in range(times):
            await line.put(5 * self._audio(line))
            at = len(line.events)
            ended_s.append(now_s())
            await line.send("audio.input.end")
            first_s.append(line.events[await line.until("audio.output.chunk", at)][0])
            done = await line.until("conversation.response.complete", at)
            complete_s.append(line.events[done][0])
            await line.until("conversation.state.changed", done, to="LISTENING")
            line.forget()
        return {"ended_s": ended_s, "first_audio_s": first_s, "text_complete_s": complete_s}

    async def conversations(self, count: int, at_once: int) -> dict[str, Any]:
        """Whole short calls: connect, one turn, hang up in one of three ways."""
        left, failures = [count], [0]

        async def caller() -> None:
            while left[0] > 0:
                left[0] -= 1
                number = left[0]
                with trio.move_on_after(_DEADLINE_S) as patience:
                    await self._conversation(number)
                failures[0] += patience.cancelled_caught

        async with trio.open_nursery() as nursery:
            for _ in range(at_once):
                nursery.start_soon(caller)
        return {"failures": failures[0]}

    # ------------------------------------------------------------ parts

    async def _conversation(self, number: int) -> None:
        line = await self._open(True)
        await line.put(5 * self._audio(line))
        at = len(line.events)
        await line.send("audio.input.end")
        done = await line.until("audio.output.complete", at)
        match number % 3:
            case 0:
                await line.until("conversation.state.changed", done, to="LISTENING")
                await line.send("user.action.end_call")
                await line.over.wait()
            case 1:
                await line.send("connection.lifecycle.disconnect")
        await line.stream.aclose()

    async def _open(self, start: bool) -> Line:
        line = await open_line(self.host, self.port, self.nursery)
        if start:
            await self._start(line)
        return line

    async def _start(self, line: Line) -> None:
        at = len(line.events)
        await line.send("audio.input.start", samplingRate=self.rate_hz, turnDetection="manual")
        await line.until("audio.input.start", at, success=True)

    def _audio(self, line: Line) -> bytes:
        """20 ms of a quiet room, as a frame."""
        samples = int(self.rate_hz * FRAME_S)
        pcm = random.Random(0).choices(range(-40, 40), k=samples)
        audio = b"".join(value.to_bytes(2, "little", signed=True) for value in pcm)
        return line.message("audio.input.chunk", {"audio": audio})

    async def _everybody(self, one: Callable[[Line], Awaitable[None]], about_s: float) -> None:
        with trio.fail_after(10 * about_s + _DEADLINE_S):
            async with trio.open_nursery() as nursery:
                for line in self.lines:
                    nursery.start_soon(one, line)


@define(eq=False)
class _Microphone:
    """Sends a 20 ms frame on absolute deadlines, as long as it is open."""

    line: Line
    audio: bytes
    open: bool = False
    sent: list[int] = field(factory=lambda: [0])

    async def run(self, phase_s: float) -> None:
        next_s = trio.current_time() + phase_s
        while True:
            await trio.sleep_until(next_s)
            next_s += FRAME_S
            if self.open:
                await self.line.put(self.audio)
                self.sent[0] += 1


async def _turn(line: Line, microphone: _Microphone, always: bool) -> float:
    """End the turn, hear the answer out; gives the seconds to its first audio."""
    microphone.open = False
    at = len(line.events)
    data = microphone.audio + line.message("audio.input.end", {})
    ended_s = now_s()
    await line.put(data)
    microphone.open = always
    with trio.move_on_after(_TURN_S):
        first = await line.until("audio.output.chunk", at)
        done = await line.until("audio.output.complete", first)
        await line.until("conversation.state.changed", done, to="LISTENING")
        return line.events[first][0] - ended_s
    seen = [kind for _, kind, _ in line.events[at:]]
    raise RuntimeError(f"no whole answer within {_TURN_S:g} s; events since the end: {seen[-12:]}")


def _transcript(line: Line, since: int) -> str:
    """What the recogniser understood in the last turn."""
    texts = [p["transcript"] for _, k, p in line.events[since:] if k.endswith("transcript.final")]
    return texts[-1] if texts else ""


class _Barrier:
    """Lets go of all when the last has come."""

    def __init__(self, parties: int) -> None:
        self._parties, self._waiting, self._open = parties, 0, trio.Event()

    async def wait(self) -> None:
        self._waiting += 1
        event = self._open
        if self._waiting == self._parties:
            self._waiting, self._open = 0, trio.Event()
            event.set()
        await event.wait()


async def main(host: str, port: int) -> None:
    """Do what standard input says until it ends."""
    async with trio.open_nursery() as nursery:
        await obey(Load(host, port, nursery))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], int(sys.argv[2]))
