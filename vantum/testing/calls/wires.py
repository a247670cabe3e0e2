"""The lines between a server and its simulated providers: streams in memory, all of them counted.

No sockets and no threads: a clock that jumps ahead when all tasks sleep would otherwise jump while
a byte is still in the kernel or a thread still at work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import attrs
import httpx2
import trio
import trio.testing
from attrs import define, field

from vantum.config import CartesiaSettings, OpenAISettings, Secret, Settings
from vantum.ports import TurnDetectorProvider, VoiceActivityProvider
from vantum.providers.cartesia.client import CartesiaProvider
from vantum.providers.deepgram.client import DeepgramProvider
from vantum.providers.http11 import Http11Transport
from vantum.providers.openai import OpenAIProvider
from vantum.providers.registry import Providers
from vantum.testing.cartesia import SimulatedCartesia
from vantum.testing.deepgram import SimulatedDeepgram
from vantum.testing.openai import SimulatedOpenAI

_Stapled: TypeAlias = trio.StapledStream[
    trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream
]
Serve: TypeAlias = Callable[[trio.abc.Stream], Awaitable[object]]
OpenStream: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

_KEY = Secret("in-memory")
#: For what a peer still has to do when its client has gone.
_FAREWELL_S = 1.0


@define(eq=False)
class Wires:
    """Streams between our clients and the simulated peers.

    `open` counts those whose client's end has not been closed yet, `opened` all there ever were.
    """

    nursery: trio.Nursery
    open: int = 0
    opened: int = 0

    def to(self, serve: Serve) -> OpenStream:
        """An `open_stream` whose every connection is served by `serve`."""

        async def served(stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
            with scope:
                await serve(stream)

        async def open_stream(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            self.opened += 1
            scope = trio.CancelScope()
            self.nursery.start_soon(served, theirs, scope)
            end = _End(ours, self, scope)
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled:
                await trio.aclose_forcefully(end)
                raise
            return end

        return open_stream


@define(eq=False)
class _End(trio.abc.HalfCloseableStream):
    """Our end of a line: knows whether it was closed."""

    stream: _Stapled
    wires: Wires
    serving: trio.CancelScope
    closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.wires.open += 1

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self.wires.open -= 1
            # A peer whose handshake was cut short may wait for the rest of it for ever.
            self.serving.deadline = trio.current_time() + _FAREWELL_S
        await self.stream.aclose()


# ---------------------------------------------------------------- HTTP


def memory_transport(open_stream: OpenStream) -> httpx2.AsyncBaseTransport:
    """What an HTTP client sends through, if its connections are what `open_stream` gives."""
    return Http11Transport("memory", keep_idle_s=300.0, max_idle=200, open_stream=open_stream)


def memory_http(open_stream: OpenStream) -> httpx2.AsyncClient:
    """An HTTP client whose connections are what `open_stream` gives."""
    return httpx2.AsyncClient(transport=memory_transport(open_stream), timeout=None)


# ---------------------------------------------------------------- providers


@asynccontextmanager
async def wired_providers(
    wires: Wires,
    settings: Settings,
    recogniser: SimulatedDeepgram,
    model: SimulatedOpenAI,
    synthesiser: SimulatedCartesia,
    *,
    new_id: Callable[[], str],
    activity: VoiceActivityProvider | None = None,
    detector: TurnDetectorProvider | None = None,
) -> AsyncIterator[Providers]:
    """Our real clients of Deepgram, OpenAI and Cartesia, connected to simulated peers."""
    from openai._base_client import get_platform

    openai = OpenAISettings(api_key=_KEY, base_url="http://openai.test/v1")
    deepgram = attrs.evolve(settings.deepgram, api_key=_KEY, base_url="ws://deepgram.test")
    cartesia = CartesiaSettings(api_key=_KEY, base_url="ws://cartesia.test")
    http = memory_http(wires.to(model.serve_stream))
    async with OpenAIProvider(openai, settings.llm, http_client=http) as thinker:
        # The package would ask for it in a thread, and meanwhile the clock would jump.
        thinker._client._platform = get_platform()
        yield Providers(
            DeepgramProvider(deepgram, open_stream=wires.to(recogniser.handle)),
            thinker,
            CartesiaProvider(
                cartesia, open_stream=wires.to(synthesiser.serve_stream), new_context_id=new_id
            ),
            activity,
            detector,
        )
