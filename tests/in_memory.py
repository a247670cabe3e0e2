"""A whole call in memory, for tests of the session that speak the protocol themselves.

The call is the simulator's (`vantum.testing.calls`); here its client is in the test's hands.
Under `autojump_clock` minutes of call take milliseconds, and the same call takes the same times.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
from attrs import define

from vantum.actors.conductor import Conductor
from vantum.config import Settings
from vantum.core import events as e
from vantum.core.audio import dbfs
from vantum.core.messages import VoiceEdge
from vantum.core.tools import Tool
from vantum.ports import TurnDetector, VoiceActivity
from vantum.testing import (
    CartesiaScript,
    DeepgramScript,
    OpenAIScript,
    SimulatedCartesia,
    SimulatedDeepgram,
    SimulatedOpenAI,
)
from vantum.testing.calls import CallSetup, SimulatedCall, simulated_call
from vantum.testing.calls.line import MemorySocket
from vantum.wire.client import Envelope
from vantum.wire.native import Vocabulary

#: 20 ms of a room at 16 kHz: not digital silence.
FRAME = b"\x40\x00\xc0\xff" * 160
#: 20 ms of a voice.
LOUD = b"\x00\x20\x00\xe0" * 160

M = TypeVar("M")


@define(eq=False)
class Caller:
    """The client: sends messages and keeps every answer with its time of arrival."""

    call: SimulatedCall

    @property
    def socket(self) -> MemorySocket:
        return self.call.socket

    @property
    def deepgram(self) -> SimulatedDeepgram:
        return self.call.deepgram

    @property
    def openai(self) -> SimulatedOpenAI:
        return self.call.openai

    @property
    def cartesia(self) -> SimulatedCartesia:
        return self.call.cartesia

    @property
    def conductor(self) -> Conductor | None:
        return self.call.conductor

    @property
    def over(self) -> trio.Event:
        return self.call.over

    @property
    def failure(self) -> BaseException | None:
        return self.call.failure

    @property
    def session_id(self) -> str:
        return self.call.phone.session_id

    @property
    def got(self) -> list[tuple[float, Envelope]]:
        return self.call.phone.got

    def request(self) -> e.Request:
        return self.call.phone.request()

    async def send(self, message: e.ClientMessage) -> None:
        await self.call.phone.send(message)

    async def send_raw(self, data: bytes | str) -> None:
        await self.call.phone.send_raw(data)

    def messages(self, kind: type[M]) -> list[M]:
        return self.call.phone.messages(kind)

    def when(self, kind: type) -> list[float]:
        return self.call.phone.when(kind)

    async def until(self, kind: type[M], count: int = 1) -> M:
        """Wait for the nth message of a kind (counted from the beginning of the call)."""
        return await self.call.phone.until(kind, count)

    async def until_state(self, state: str) -> None:
        await self.call.phone.until_state(state)

    # -- what a caller does

    async def start(self, **options: Any) -> e.Request:
        options.setdefault("turn_detection", "manual")
        return await self.call.phone.start(e.InputOptions(**options))

    async def speak(self, seconds: float, frame: bytes = FRAME) -> None:
        await self.call.phone.speak(seconds, frame)

    async def end(self) -> None:
        await self.call.phone.end()

    async def turn(self, seconds: float = 0.5) -> None:
        """Speak, and be heard out: returns when the line is free again."""
        before = len(self.messages(e.OutputCompleted))
        await self.speak(seconds)
        await self.end()
        await self.until(e.OutputCompleted, before + 1)
        await self.until_state("LISTENING")

    async def hang_up(self) -> None:
        """The connection is gone."""
        self.call.phone.hang_up()
        await self.over.wait()


@define
class LoudnessEar:
    """Takes each piece of audio as a whole, and knows at once: the tests' times are exact."""

    speaking: bool = False
    probability: float = 0.0
    _at_s: float = 0.0

    async def hear(self, pcm: bytes) -> list[VoiceEdge]:
        return self.feed(pcm)

    def feed(self, pcm: bytes) -> list[VoiceEdge]:
        loud = dbfs(pcm) > -30
        self.probability = float(loud)
        edges = [] if loud == self.speaking else [VoiceEdge(loud, self._at_s)]
        self.speaking = loud
        self._at_s += len(pcm) / 32_000
        return edges


@asynccontextmanager
async def a_call(
    *,
    settings: Settings | None = None,
    vocabulary: Vocabulary = "unified",
    deepgram: DeepgramScript | None = None,
    deepgram_faults: tuple[Any, ...] = (),
    openai: OpenAIScript | None = None,
    cartesia: CartesiaScript | None = None,
    activity: VoiceActivity | None = None,
    detector: TurnDetector | None = None,
    tools: tuple[Tool, ...] = (),
    direct: bool = False,
) -> AsyncIterator[Caller]:
    """A call whose client is in the test's hands; it is hung up when the body is over."""
    setup = CallSetup(
        settings=settings or Settings(),
        vocabulary=vocabulary,
        deepgram=deepgram or DeepgramScript(("hello there",), speech="on_finalize"),
        deepgram_faults=deepgram_faults,
        openai=openai or OpenAIScript(),
        cartesia=cartesia or CartesiaScript(),
        ear=None if activity is None else lambda: activity,
        detector=detector,
        tools=tools,
        direct=direct,
        wall_ms=0,
        window=1,
    )
    async with simulated_call(setup) as call:
        yield Caller(call)
