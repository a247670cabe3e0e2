"""A whole call in memory: our real clients, the simulated providers, and no sockets.

Under `autojump_clock` minutes of call take milliseconds, and the same call takes the same times.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import httpcore2
import httpx2
import structlog
import trio
import trio.testing
from attrs import define, field
from openai._base_client import get_platform

from vantum.actors.call import Call
from vantum.actors.conductor import Conductor
from vantum.config import CartesiaSettings, DeepgramSettings, OpenAISettings, Secret, Settings
from vantum.core import events as e
from vantum.core.audio import dbfs
from vantum.core.messages import VoiceEdge
from vantum.ports import TurnDetector, VoiceActivity
from vantum.providers.cartesia.client import CartesiaProvider
from vantum.providers.deepgram.client import DeepgramProvider
from vantum.providers.openai import OpenAIProvider
from vantum.session import run_session
from vantum.testing import (
    CartesiaScript,
    DeepgramScript,
    OpenAIScript,
    SimulatedCartesia,
    SimulatedDeepgram,
    SimulatedOpenAI,
)
from vantum.wire.client import Envelope, decode_server, encode_client
from vantum.wire.native import Vocabulary

KEY = Secret("in-memory")
#: 20 ms of a room at 16 kHz: not digital silence.
FRAME = b"\x40\x00\xc0\xff" * 160
#: 20 ms of a voice.
LOUD = b"\x00\x20\x00\xe0" * 160

M = TypeVar("M")


# ---------------------------------------------------------------- the line to the client


@define(eq=False)
class MemorySocket:
    """The server's end of a client's WebSocket. `stalled`: the client does not read."""

    to_server_rx: trio.MemoryReceiveChannel[bytes | str]
    to_client_tx: trio.MemorySendChannel[bytes]
    closed_with: tuple[int, str] | None = None
    stalled: bool = False

    async def receive(self) -> bytes | str | None:
        try:
            return await self.to_server_rx.receive()
        except trio.EndOfChannel:
            return None

    async def send(self, data: bytes) -> None:
        if self.stalled:
            await trio.sleep_forever()
        await self.to_client_tx.send(data)

    async def close(self, code: int, reason: str) -> None:
        self.closed_with = (code, reason)


@define(eq=False)
class Caller:
    """The client: sends messages and keeps every answer with its time of arrival."""

    socket: MemorySocket
    vocabulary: Vocabulary
    to_server_tx: trio.MemorySendChannel[bytes | str]
    from_server_rx: trio.MemoryReceiveChannel[bytes]
    deepgram: SimulatedDeepgram
    openai: SimulatedOpenAI
    cartesia: SimulatedCartesia
    session_id: str = ""
    got: list[tuple[float, Envelope]] = field(factory=list)
    conductor: Conductor | None = None
    over: trio.Event = field(factory=trio.Event)
    failure: BaseException | None = None
    _news: trio.Event = field(factory=trio.Event)
    _ids: Iterable[int] = field(factory=itertools.count)

    async def listen(self) -> None:
        async for data in self.from_server_rx:
            envelope = decode_server(data, self.vocabulary)
            self.session_id = self.session_id or envelope.session_id
            self.got.append((trio.current_time(), envelope))
            self._news.set()
            self._news = trio.Event()

    def request(self) -> e.Request:
        return e.Request(None, f"request-{next(iter(self._ids))}")

    async def send(self, message: e.ClientMessage) -> None:
        data = encode_client(message, vocabulary=self.vocabulary, session_id=self.session_id)
        await self.to_server_tx.send(data)

    async def send_raw(self, data: bytes | str) -> None:
        await self.to_server_tx.send(data)

    def messages(self, kind: type[M]) -> list[M]:
        return [x.message for _, x in self.got if isinstance(x.message, kind)]

    def when(self, kind: type) -> list[float]:
        return [at_s for at_s, x in self.got if isinstance(x.message, kind)]

    async def until(self, kind: type[M], count: int = 1) -> M:
        """Wait for the nth message of a kind (counted from the beginning of the call)."""
        with trio.fail_after(300):
            while len(self.messages(kind)) < count:
                await self._news.wait()
        return self.messages(kind)[count - 1]

    async def until_state(self, state: str) -> None:
        with trio.fail_after(300):
            while not (moves := self.messages(e.StateChanged)) or moves[-1].new != state:
                await self._news.wait()

    # -- what a caller does

    async def start(self, **options: Any) -> e.Request:
        options.setdefault("turn_detection", "manual")
        request = self.request()
        acks = len(self.messages(e.Ack))
        await self.send(e.StartInput(request, e.InputOptions(**options)))
        await self.until(e.Ack, acks + 1)
        return request

    async def speak(self, seconds: float, frame: bytes = FRAME) -> None:
        started_s = trio.current_time()
        for number in range(round(seconds / 0.02)):
            await trio.sleep_until(started_s + number * 0.02)
            await self.send(e.InputChunk(self.request(), frame))

    async def end(self) -> None:
        await self.send(e.EndInput(self.request()))

    async def turn(self, seconds: float = 0.5) -> None:
        """Speak, and be heard out: returns when the line is free again."""
        before = len(self.messages(e.OutputCompleted))
        await self.speak(seconds)
        await self.end()
        await self.until(e.OutputCompleted, before + 1)
        await self.until_state("LISTENING")

    async def hang_up(self) -> None:
        """The connection is gone."""
        self.to_server_tx.close()
        await self.over.wait()


@define
class LoudnessEar:
    """A `VoiceActivity` that takes whatever is loud for a voice: exact, so that tests can be."""

    speaking: bool = False
    probability: float = 0.0
    _at_s: float = 0.0

    def feed(self, pcm: bytes) -> list[VoiceEdge]:
        loud = dbfs(pcm) > -30
        self.probability = float(loud)
        edges = [] if loud == self.speaking else [VoiceEdge(loud, self._at_s)]
        self.speaking = loud
        self._at_s += len(pcm) / 32_000
        return edges


# ---------------------------------------------------------------- the lines to the providers


class _HttpStream(httpcore2.AsyncNetworkStream):
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore2.ReadError from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self._stream.send_all(buffer)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore2.WriteError from error

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


class _HttpBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, open_stream: Callable[[str, int], Awaitable[trio.abc.Stream]]) -> None:
        self._open_stream = open_stream

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> _HttpStream:
        return _HttpStream(await self._open_stream(host, port))

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


def memory_http(open_stream: Callable[[str, int], Awaitable[trio.abc.Stream]]) -> Any:
    """An HTTP client whose connections are streams in memory."""
    transport = httpx2.AsyncHTTPTransport()
    transport._pool = httpcore2.AsyncConnectionPool(
        max_connections=None, network_backend=_HttpBackend(open_stream)
    )
    return httpx2.AsyncClient(transport=transport, timeout=None)


Serve = Callable[[trio.abc.Stream], Awaitable[None]]


def _opener(
    nursery: trio.Nursery, serve: Serve
) -> Callable[[str, int], Awaitable[trio.abc.Stream]]:
    async def served(stream: trio.abc.Stream) -> None:
        with trio.CancelScope():
            await serve(stream)

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(served, theirs)
        await trio.lowlevel.checkpoint()
        return ours

    return open_stream


# ---------------------------------------------------------------- the call


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
) -> AsyncIterator[Caller]:
    """A call whose client is in the test's hands; it is hung up when the body is over."""
    settings = settings or Settings()
    recogniser = SimulatedDeepgram(
        deepgram or DeepgramScript(("hello there",), speech="on_finalize"),
        deepgram_faults,
        base_url="ws://deepgram.test",
    )
    model = SimulatedOpenAI(openai or OpenAIScript())
    synthesiser = SimulatedCartesia(cartesia or CartesiaScript())
    to_server_tx, to_server_rx = trio.open_memory_channel[bytes | str](1000)
    to_client_tx, to_client_rx = trio.open_memory_channel[bytes](0)
    socket = MemorySocket(to_server_rx, to_client_tx)
    caller = Caller(socket, vocabulary, to_server_tx, to_client_rx, recogniser, model, synthesiser)
    ids = itertools.count(1)
    async with trio.open_nursery() as nursery:
        openai_settings = OpenAISettings(api_key=KEY, base_url="http://openai.test/v1")
        http = memory_http(_opener(nursery, model.serve_stream))
        async with OpenAIProvider(openai_settings, settings.llm, http_client=http) as thinker:
            # The package would ask for it in a thread, and meanwhile the clock would jump.
            thinker._client._platform = get_platform()
            call = Call(
                session_id="session",
                vocabulary=vocabulary,
                settings=settings,
                provider_names={"stt": "deepgram", "llm": "openai", "tts": "cartesia"},
                recognisers=DeepgramProvider(
                    attrs.evolve(settings.deepgram, api_key=KEY, base_url="ws://deepgram.test"),
                    open_stream=_opener(nursery, recogniser.handle),
                ),
                model=thinker.for_session(),
                synthesiser=CartesiaProvider(
                    CartesiaSettings(api_key=KEY, base_url="ws://cartesia.test"),
                    open_stream=_opener(nursery, synthesiser.serve_stream),
                ).for_session(),
                activity=activity,
                detector=detector,
                new_id=lambda: f"id-{next(ids)}",
                wall_ms=lambda: round(trio.current_time() * 1000),
                log=structlog.get_logger(),
            )

            async def session(*, task_status: trio.TaskStatus[Conductor]) -> None:
                try:
                    await run_session(call, socket, task_status=task_status)
                except Exception as failure:
                    caller.failure = failure
                finally:
                    caller.over.set()

            nursery.start_soon(caller.listen)
            caller.conductor = await nursery.start(session)
            await caller.until(e.Welcome)
            yield caller
            await caller.hang_up()
        nursery.cancel_scope.cancel()


__all__ = ["FRAME", "Caller", "DeepgramSettings", "MemorySocket", "a_call", "memory_http"]
