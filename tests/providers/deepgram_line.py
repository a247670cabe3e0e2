"""A recogniser, a simulated Deepgram, and the wire between them in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import trio
import trio.testing
from attrs import Factory, define

from vantum.config import DeepgramSettings, Secret
from vantum.core.audio import AudioFormat, mulaw_encode
from vantum.core.messages import (
    SttAudio,
    SttEvent,
    SttFlush,
    SttFlushed,
    SttInput,
    Transcript,
)
from vantum.errors import ProviderError
from vantum.providers.deepgram.client import DeepgramProvider
from vantum.providers.deepgram.recogniser import DeepgramRecogniser
from vantum.testing.deepgram import SimulatedDeepgram

E = TypeVar("E")
FRAME_S = 0.02
WIDE = AudioFormat(16_000)
PHONE = AudioFormat(8_000, "mulaw")
LINES = (WIDE, PHONE)


def room(length_s: float, audio: AudioFormat = WIDE) -> bytes:
    """Not digital silence."""
    pcm = b"\x40\x00\xc0\xff" * round(length_s * audio.rate_hz / 2)
    return mulaw_encode(pcm) if audio.encoding == "mulaw" else pcm


@define
class Line:
    """One session under test."""

    peer: SimulatedDeepgram
    provider: DeepgramProvider
    recogniser: DeepgramRecogniser
    input_tx: trio.MemorySendChannel[SttInput]
    event_rx: trio.MemoryReceiveChannel[SttEvent]
    audio: AudioFormat = WIDE
    events: list[SttEvent] = Factory(list)
    dialled_at: list[float] = Factory(list)
    failure: ProviderError | None = None
    ended: trio.Event = Factory(trio.Event)

    async def speak(self, audio: bytes) -> None:
        """Send audio in 20 ms frames in real time."""
        at, frame = trio.current_time(), self.audio.bytes_in(FRAME_S)
        for n, start in enumerate(range(0, len(audio), frame)):
            await trio.sleep_until(at + n * FRAME_S)
            await self.input_tx.send(SttAudio(audio[start : start + frame]))
        await trio.sleep_until(at + self.audio.duration_s(audio))

    async def noise(self, length_s: float) -> None:
        await self.speak(room(length_s, self.audio))

    async def flush(self, flush_id: int = 1) -> SttFlushed:
        """Flush and wait for the answer; what comes before it is in `events`."""
        await self.input_tx.send(SttFlush(flush_id))
        while True:
            await trio.testing.wait_all_tasks_blocked()
            for event in self.events:
                if isinstance(event, SttFlushed) and event.flush_id == flush_id:
                    return event
            await trio.sleep(0.01)

    def texts(self) -> list[str]:
        """Final texts."""
        return [e.text for e in self.events if isinstance(e, Transcript) and e.is_final]

    def words(self) -> list[str]:
        return " ".join(self.texts()).split()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    def finals(self) -> list[Transcript]:
        return [event for event in self.of(Transcript) if event.is_final]

    @property
    def types(self) -> list[str]:
        """Control messages on all connections."""
        return [kind for connection in self.peer.connections for kind in connection.types]


@asynccontextmanager
async def line(
    peer: SimulatedDeepgram,
    *,
    pair: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]] | None = None,
    dial: Callable[[int], None] | None = None,
    wait_ready: bool = True,
    audio: AudioFormat = WIDE,
    **settings: Any,
) -> AsyncIterator[Line]:
    """A running recogniser. `dial(n)` may raise OSError for the nth connection."""
    async with trio.open_nursery() as nursery:

        async def open_stream(host: str, port: int) -> trio.abc.Stream:
            await trio.lowlevel.checkpoint()
            the_line.dialled_at.append(trio.current_time())
            if dial is not None:
                dial(len(the_line.dialled_at) - 1)
            ours, theirs = (pair or trio.testing.memory_stream_pair)()
            nursery.start_soon(peer.handle, theirs)
            return ours

        provider = DeepgramProvider(
            DeepgramSettings(
                **{"api_key": Secret("k"), "base_url": "ws://deepgram.test", **settings}
            ),
            open_stream,
        )
        input_tx, input_rx = trio.open_memory_channel[SttInput](50)
        event_tx, event_rx = trio.open_memory_channel[SttEvent](10)
        recogniser = provider.for_session(language="en-US", line=audio)
        the_line = Line(peer, provider, recogniser, input_tx, event_rx, audio)

        async def run(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            try:
                await recogniser.run(input_rx, event_tx, task_status=task_status)
            except ProviderError as error:
                the_line.failure = error
            the_line.ended.set()

        async def collect() -> None:
            with contextlib.suppress(trio.ClosedResourceError):  # a test may stop listening
                async for event in event_rx:
                    the_line.events.append(event)

        nursery.start_soon(collect)
        if wait_ready:
            await nursery.start(run)
        else:
            nursery.start_soon(run)
        yield the_line
        nursery.cancel_scope.cancel()
