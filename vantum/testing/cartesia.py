"""A simulated Cartesia: a real WebSocket server for text-to-speech, for tests and benchmarks.

It serves `/tts/websocket` with contexts, continuations, flushes, cancels and word timestamps,
speaks each word as a tone, at a scripted pace and with scripted faults, and records what was
asked. The tests run the official client against it.

::

    async with simulated_cartesia(LIFELIKE) as peer:
        ...  # peer.base_url, peer.transcripts, peer.faults.append(Fault("disconnect"))
"""

from __future__ import annotations

import json
import math
from collections import deque
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio
import wsproto.utilities
from attrs import Factory, define, field
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)

from vantum.testing.cartesia_script import (
    LIFELIKE,
    CartesiaScript,
    ConnectFault,
    Fault,
    Handshake,
    Received,
    Refusal,
    encoded_chunks,
    speech,
    word_timestamps,
)
from vantum.testing.cartesia_wire import Input, error_body, problem
from vantum.testing.serving import serve_peer, served

__all__ = [
    "LIFELIKE",
    "CartesiaScript",
    "Fault",
    "Refusal",
    "SimulatedCartesia",
    "serve_cartesia",
    "simulated_cartesia",
]

#: Messages on their way to the client: generating waits when it does not read.
_OUTBOX = 64

#: How many messages are remembered: a benchmark must not grow.
_REMEMBERED = 10_000

#: An account may have so many connections for each context that it may have at once.
CONNECTIONS_PER_CONTEXT = 10

#: The end of the connection, in the outbox behind what was sent before it.
_GONE = None


@define(eq=False)
class SimulatedCartesia:
    """The running peer: what it does next and what it has seen.

    Attributes:
        script: how it behaves; may be replaced at any time.
        base_url: its address.
        connect_faults, faults: for the next connections and contexts; append at any time.
        handshakes: the requests to open a WebSocket.
        requests: all messages that came, in order.
        cancelled: contexts that were cancelled.
        expired_inputs: inputs for contexts that were over: a client must not send them.
        open_connections, open_contexts: how many are open now.
    """

    script: CartesiaScript
    base_url: str = ""
    connect_faults: deque[ConnectFault | None] = field(init=False)
    faults: deque[Fault | None] = field(init=False)
    handshakes: deque[Handshake] = Factory(lambda: deque(maxlen=_REMEMBERED))
    requests: deque[Received] = Factory(lambda: deque(maxlen=_REMEMBERED))
    cancelled: deque[str] = Factory(lambda: deque(maxlen=_REMEMBERED))
    expired_inputs: int = 0
    connections: int = 0
    open_connections: int = 0
    open_contexts: int = 0

    def __attrs_post_init__(self) -> None:
        self.connect_faults = deque(self.script.connect_faults)
        self.faults = deque(self.script.faults)

    @property
    def transcripts(self) -> dict[str, list[str]]:
        """What each context was asked to speak, in order of their first input."""
        spoken: dict[str, list[str]] = {}
        for request in self.requests:
            if text := request.message.get("transcript"):
                spoken.setdefault(request.message["context_id"], []).append(text)
        return spoken

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until either side closes it."""
        number = self.connections
        self.connections += 1
        fault = self.connect_faults.popleft() if self.connect_faults else None
        try:
            if fault == "silent":
                await trio.sleep_forever()
            if fault != "refuse":
                async with trio.open_nursery() as nursery:
                    await self._open(nursery, stream, number, fault)
                    nursery.cancel_scope.cancel()
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone
        except* wsproto.utilities.LocalProtocolError:
            pass  # trio-websocket answers a ping although we are closing
        finally:
            await trio.aclose_forcefully(stream)

    async def _open(
        self,
        nursery: trio.Nursery,
        stream: trio.abc.Stream,
        number: int,
        fault: ConnectFault | None,
    ) -> None:
        request = await wrap_server_stream(
            nursery,
            stream,
            message_queue_size=16,
            receive_buffer_size=64 * 1024,
        )
        headers = {k.decode().lower(): v.decode() for k, v in request.headers}
        handshake = Handshake(request.path, headers)
        self.handshakes.append(handshake)
        refusal = fault if isinstance(fault, Refusal) else None
        status = fault if isinstance(fault, int) else self._refusal(handshake)
        if refusal is not None or status is not None:
            await _refuse(request, refusal or Refusal(status or 0))
            return
        socket = await request.accept()
        self.open_connections += 1
        try:
            await _Connection(self, socket, stream, number).run()
        finally:
            self.open_connections -= 1

    def _refusal(self, handshake: Handshake) -> int | None:
        url = urlsplit(handshake.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path != "/tts/websocket":
            return 404
        if not (query.get("cartesia_version") or handshake.headers.get("cartesia-version")):
            return 400
        bearer = handshake.headers.get("authorization", "").removeprefix("Bearer ")
        key = bearer or handshake.headers.get("x-api-key") or query.get("api_key")
        if self.script.api_key not in (None, key):
            return 401
        most = CONNECTIONS_PER_CONTEXT * self.script.concurrency
        return 429 if most and self.open_connections >= most else None


async def _refuse(request: WebSocketRequest, refusal: Refusal) -> None:
    code = "concurrency_limited" if refusal.status == 429 else None
    headers = [(b"Content-Type", b"application/json")]
    if refusal.retry_after:
        headers.append((b"Retry-After", refusal.retry_after.encode()))
    body = json.dumps(error_body(refusal.status, code)).encode()
    await request.reject(refusal.status, extra_headers=headers, body=body)


@define(eq=False)
class _Context:
    """A context's inputs and how much audio it has generated."""

    context_id: str
    fault: Fault | None
    inputs: tuple[trio.MemorySendChannel[Input], trio.MemoryReceiveChannel[Input]] = field(
        factory=lambda: trio.open_memory_channel[Input](math.inf)
    )
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    samples: int = 0
    chunks: int = 0
    flush_id: int = 1


@define(eq=False)
class _Connection:
    """One WebSocket: reads inputs, runs a task for each context, sends through one outbox."""

    peer: SimulatedCartesia
    socket: WebSocketConnection
    stream: trio.abc.Stream
    number: int
    outbox: tuple[trio.MemorySendChannel[str | None], trio.MemoryReceiveChannel[str | None]] = (
        field(factory=lambda: trio.open_memory_channel[str | None](_OUTBOX))
    )
    contexts: dict[str, _Context] = Factory(dict)
    over: set[str] = Factory(set)
    used_s: float = field(factory=trio.current_time)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_all, nursery.cancel_scope)
            await self._receive_all(nursery)
            nursery.cancel_scope.cancel()

    async def _send_all(self, scope: trio.CancelScope) -> None:
        async for message in self.outbox[1]:
            if message is _GONE:
                await trio.aclose_forcefully(self.stream)
                scope.cancel()
                return
            self.used_s = trio.current_time()
            await self.socket.send_message(message)

    async def _receive_all(self, nursery: trio.Nursery) -> None:
        while True:
            with trio.move_on_at(self.used_s + self.peer.script.idle_close_s) as scope:
                message = await self.socket.get_message()
            if not scope.cancelled_caught:
                self.used_s = trio.current_time()
                await self._receive(nursery, message)
            elif trio.current_time() >= self.used_s + self.peer.script.idle_close_s:
                await self.socket.aclose(1000, "connection idle timeout")
                return

    async def _receive(self, nursery: trio.Nursery, raw: str | bytes) -> None:
        try:
            message = json.loads(raw)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            await self._error(None, 400, "invalid_json")
            return
        self.peer.requests.append(Received(self.number, message))
        context_id = message.get("context_id")
        context = self.contexts.get(str(context_id))
        if message.get("cancel") is True:
            self.peer.cancelled.append(str(context_id))
            if context is not None:
                context.scope.cancel()
        elif (wrong := problem(message)) is not None:
            await self._error(context_id if isinstance(context_id, str) else None, 400, wrong)
        elif context_id in self.over:
            self.peer.expired_inputs += 1
            await self._error(str(context_id), 400, "context_expired")
        elif context is None and 0 < self.peer.script.concurrency <= self.peer.open_contexts:
            await self._error(str(context_id), 429, "concurrency_limited")
        else:
            if context is None:
                self.peer.open_contexts += 1
                fault = self.peer.faults.popleft() if self.peer.faults else None
                context = self.contexts[str(context_id)] = _Context(str(context_id), fault)
                nursery.start_soon(self._speak, context)
            context.inputs[0].send_nowait(message)

    # ------------------------------------------------------------ a context

    async def _speak(self, context: _Context) -> None:
        try:
            with context.scope:
                await self._take_inputs(context)
        finally:
            self.peer.open_contexts -= 1
        self.over.add(context.context_id)
        del self.contexts[context.context_id]

    async def _take_inputs(self, context: _Context) -> None:
        buffered: list[Input] = []
        while True:
            wait_s = self.peer.script.expiry_s
            if buffered:
                wait_s = float(buffered[-1].get("max_buffer_delay_ms") or 0) / 1000
            message: Input | None = None
            with trio.move_on_after(wait_s):
                message = await context.inputs[1].receive()
            if message is not None and message["transcript"]:
                buffered.append(message)
            ends = message is not None and not message.get("continue")
            flushes = message is not None and bool(message.get("flush"))
            at_once = bool(buffered) and not buffered[-1].get("max_buffer_delay_ms")
            if buffered and (message is None or ends or flushes or at_once):
                if not await self._generate(context, buffered):
                    return
                buffered = []
            elif message is None:
                ends = True  # expired
            if flushes:
                await self._put(context, "flush_done", flush_done=True, flush_id=context.flush_id)
                context.flush_id += 1
            if ends:
                await self._put(context, "done", done=True)
                return

    async def _generate(self, context: _Context, inputs: list[Input]) -> bool:
        """Speak inputs; false: a fault has ended the context."""
        text = "".join(one["transcript"] for one in inputs)
        output = inputs[0]["output_format"]
        rate_hz, script, fault = output["sample_rate"], self.peer.script, context.fault
        drips = fault is not None and fault.kind == "drip"
        size = int((0.01 if drips else script.chunk_s) * rate_hz)
        rate = 0.5 if drips else script.rate
        if fault is not None and fault.kind == "hang":
            await trio.sleep_forever()
        if script.first_audio_s:
            await trio.sleep(script.first_audio_s)
        start_s, begins = trio.current_time(), context.samples
        spoken = speech(text, rate_hz)
        for number, data in enumerate(encoded_chunks(text, rate_hz, output["encoding"], size)):
            if rate:
                await trio.sleep_until(start_s + number * size / rate_hz / rate)
            if not await self._fault(context):
                return False
            words = [w for w in spoken.words if number * size <= w.start < (number + 1) * size]
            zero = 0 if script.timestamps == "restart" else begins
            stamps = word_timestamps(script, words, zero, rate_hz)
            wanted = bool(stamps["words"]) and bool(inputs[0].get("add_timestamps"))
            flush_id = context.flush_id
            if wanted and script.timestamps != "after":
                await self._put(context, "timestamps", word_timestamps=stamps, flush_id=flush_id)
            await self._put(context, "chunk", data=data, step_time=1.0, flush_id=flush_id)
            context.chunks += 1
            if wanted and script.timestamps == "after":
                await self._put(context, "timestamps", word_timestamps=stamps, flush_id=flush_id)
        context.samples += len(spoken.pcm) // 2
        return await self._fault(context)

    async def _fault(self, context: _Context) -> bool:
        """Do what the context's fault wants at this point; false: the context is over."""
        fault = context.fault
        if fault is None or fault.kind == "drip" or context.chunks < fault.after_chunks:
            return True
        match fault.kind:
            case "error":
                await self._error(context.context_id, fault.status, fault.code)
            case "disconnect":
                await self.outbox[0].send(_GONE)
                await trio.sleep_forever()
            case "malformed":
                await self.outbox[0].send('{"type": "chunk", "data": ')
                context.fault = None
                return True
            case "done_early":
                await self._put(context, "done", done=True)
            case _:
                await trio.sleep_forever()
        return False

    # ------------------------------------------------------------ sending

    async def _put(
        self, context: _Context, kind: str, *, done: bool = False, **fields: Any
    ) -> None:
        message = {"type": kind, "context_id": context.context_id, "status_code": 206, "done": done}
        await self.outbox[0].send(json.dumps(message | fields))

    async def _error(self, context_id: str | None, status: int, code: str | None) -> None:
        message: dict[str, Any] = {"type": "error", "done": True, "status_code": status}
        if context_id is not None:
            message["context_id"] = context_id
        await self.outbox[0].send(json.dumps(message | error_body(status, code)))


async def serve_cartesia(
    script: CartesiaScript,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: trio.TaskStatus[SimulatedCartesia] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled: `peer = await nursery.start(serve_cartesia, script)`.

    Port 0 takes a free one. Raises `OSError` if the address cannot be bound.
    """
    peer = SimulatedCartesia(script)
    await serve_peer(
        peer, peer.serve_stream, "http://{}", host=host, port=port, task_status=task_status
    )


def simulated_cartesia(
    script: CartesiaScript | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AbstractAsyncContextManager[SimulatedCartesia]:
    """Serve while the body runs. Leaving it closes every connection at once."""
    return served(partial(serve_cartesia, script or CartesiaScript(), host=host, port=port))
