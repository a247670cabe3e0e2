"""A simulated Deepgram: a real WebSocket server that speaks `/v1/listen`, by script.

```
async with simulated_deepgram(DeepgramScript(("hello there",), speech="on_finalize")) as peer:
    settings = DeepgramSettings(api_key=Secret("any"), base_url=peer.base_url)
```

or, for as long as a nursery lives, ``peer = await nursery.start(serve_deepgram, script)``. Without
sockets: `SimulatedDeepgram(script).handle(stream)` serves one connection on any stream.

What it got is in `SimulatedDeepgram.connections`. What goes wrong is in `faults`; each can be
limited to some connections, counted from 0 in the order in which they came.

What was taken from Deepgram's documentation is listed in `vantum.providers.deepgram.protocol`;
the test suite runs the official SDK against this server.
"""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import trio
from attrs import Factory, define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from vantum.testing.deepgram_faults import (
    MALFORMED,
    STATUS_TEXT,
    ClosesWith,
    Disconnects,
    Drips,
    DripStream,
    Fault,
    HangsInHandshake,
    IgnoresFinalize,
    RefusesConnection,
    Rejects,
    Repeats,
    SendsMalformed,
    Stalls,
)
from vantum.testing.deepgram_script import DeepgramScript, ScriptWord, Utterance, spoken_audio
from vantum.testing.deepgram_speech import ENCODINGS, Body, Listener, can_configure
from vantum.testing.serving import serve_peer, served

__all__ = [
    "ClosesWith",
    "DeepgramConnection",
    "DeepgramScript",
    "Disconnects",
    "Drips",
    "Fault",
    "HangsInHandshake",
    "IgnoresFinalize",
    "RefusesConnection",
    "Rejects",
    "Repeats",
    "ScriptWord",
    "SendsMalformed",
    "SimulatedDeepgram",
    "Stalls",
    "Utterance",
    "serve_deepgram",
    "simulated_deepgram",
    "spoken_audio",
]

#: Few, so that a stalled peer soon stops reading from its socket, as a real one would.
_MESSAGE_QUEUE = 16
_HANDSHAKE_S = 10.0

_F = TypeVar("_F")


# ---------------------------------------------------------------- the server


@define(eq=False)
class DeepgramConnection:
    """What one connection brought.

    Attributes:
        query: the request's parameters.
        authorization: its header, as it came.
        audio_s: seconds of audio.
        audio_messages: how many binary messages that were.
        messages: (seconds of audio before it, type) of each control message.
        sent: how many messages it was sent.
        ended: how it ended: "open" as long as it has not.
    """

    query: dict[str, str] = Factory(dict)
    authorization: str = ""
    audio_s: float = 0.0
    audio_messages: int = 0
    messages: list[tuple[float, str]] = Factory(list)
    sent: int = 0
    ended: str = "open"

    @property
    def types(self) -> list[str]:
        """The control messages' types, in order."""
        return [kind for _, kind in self.messages]


@define(eq=False)
class SimulatedDeepgram:
    """The server's state: its script, its faults (may be changed while it runs), its records.

    Attributes:
        base_url: for `DEEPGRAM_BASE_URL`; empty if it does not listen on a socket.
        connections: every TCP connection that came, in order.
    """

    script: DeepgramScript = Factory(DeepgramScript)
    faults: tuple[Fault, ...] = ()
    base_url: str = ""
    connections: list[DeepgramConnection] = Factory(list)
    _utterances: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._utterances = self.script.utterances()

    @property
    def audio_s(self) -> float:
        """Seconds of audio on all connections together."""
        return sum(connection.audio_s for connection in self.connections)

    def fault(self, kind: type[_F], index: int) -> _F | None:
        """The first fault of this kind for connection `index`."""
        for fault in self.faults:
            if isinstance(fault, kind) and (
                fault.connections is None or index in fault.connections
            ):
                return fault
        return None

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection until either side ends it. Never raises but when cancelled."""
        index = len(self.connections)
        record = DeepgramConnection()
        self.connections.append(record)
        try:
            if self.fault(RefusesConnection, index):
                record.ended = "refused"
            elif self.fault(HangsInHandshake, index):
                await trio.sleep_forever()
            else:
                if drip := self.fault(Drips, index):
                    stream = DripStream(stream, drip)
                await self._upgrade(stream, index, record)
        except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
            record.ended = "lost" if record.ended == "open" else record.ended
        except* Exception as group:
            # One connection's failure must not end the server; a test sees it here.
            record.ended = f"failed: {group.exceptions[0]!r}"
        finally:
            await trio.aclose_forcefully(stream)

    async def _upgrade(
        self, stream: trio.abc.Stream, index: int, record: DeepgramConnection
    ) -> None:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(_HANDSHAKE_S):
                request = await wrap_server_stream(
                    nursery,
                    stream,
                    message_queue_size=_MESSAGE_QUEUE,
                    receive_buffer_size=65_536,
                )
            url = urlsplit(request.path)
            record.query = dict(parse_qsl(url.query))
            record.authorization = dict(request.headers).get(b"authorization", b"").decode()
            request_id = str(UUID(int=index + 1))
            if refusal := self._refusal(index, url.path, record):
                code, text = STATUS_TEXT.get(refusal, ("ERROR", "Something went wrong."))
                body = {"err_code": code, "err_msg": text, "request_id": request_id}
                headers = [(b"dg-error", text.encode()), (b"dg-request-id", request_id.encode())]
                rejects = self.fault(Rejects, index)
                if rejects and rejects.retry_after:
                    headers.append((b"retry-after", rejects.retry_after.encode()))
                record.ended = f"rejected {refusal}"
                await request.reject(refusal, extra_headers=headers, body=json.dumps(body).encode())
            else:
                socket = await request.accept(
                    extra_headers=[(b"dg-request-id", request_id.encode())]
                )
                utterances = (
                    self._utterances if self.script.scope == "server" else self.script.utterances()
                )
                listener = Listener(self.script, record.query, utterances, request_id)
                await _Talk(self, index, record, socket, listener).run()
            nursery.cancel_scope.cancel()

    def _refusal(self, index: int, path: str, record: DeepgramConnection) -> int | None:
        if rejects := self.fault(Rejects, index):
            return rejects.status
        if path != "/v1/listen":
            return 404
        kind, _, key = record.authorization.partition(" ")
        if kind not in ("Token", "token", "Bearer") or not key:
            return 401
        if self.script.api_key is not None and key != self.script.api_key:
            return 401
        query = record.query
        gap_ms = query.get("utterance_end_ms")
        if gap_ms and (query.get("interim_results") != "true" or int(gap_ms) < 1000):
            return 400
        return None if query.get("encoding", "linear16") in ENCODINGS else 400


class _Talk:
    """One accepted connection."""

    def __init__(
        self,
        peer: SimulatedDeepgram,
        index: int,
        record: DeepgramConnection,
        socket: WebSocketConnection,
        listener: Listener,
    ) -> None:
        self._record, self._socket, self._listener = record, socket, listener
        self._script = peer.script
        self._stalls = peer.fault(Stalls, index)
        self._disconnects = peer.fault(Disconnects, index)
        self._closes = peer.fault(ClosesWith, index)
        self._malformed = peer.fault(SendsMalformed, index) is not None
        self._times = 2 if peer.fault(Repeats, index) else 1
        self._ignores_finalize = peer.fault(IgnoresFinalize, index) is not None
        self._heard_at = self._audio_at = trio.current_time()
        self._out_tx, self._out_rx = trio.open_memory_channel[tuple[float, list[str]]](10_000)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_silence)
            if self._script.latency_ms:
                nursery.start_soon(self._send_later)
            if await self._receive():
                await self._out_tx.aclose()
            nursery.cancel_scope.cancel()

    async def _receive(self) -> bool:
        while True:
            if await self._fail():
                return False
            message = await self._socket.get_message()
            self._heard_at = trio.current_time()
            if isinstance(message, bytes):
                if not message:  # the older way to end a stream
                    return await self._end()
                self._audio_at = self._heard_at
                self._record.audio_messages += 1
                if speed := self._script.most_speed:
                    await trio.sleep(self._listener.length_s(message) / speed)
                answers = self._listener.audio(message)
                self._record.audio_s = self._listener.received_s
                if self._malformed:
                    await self._send(list(MALFORMED))
                if answers:
                    await self._say(answers)
            elif await self._control(message):
                return True

    async def _control(self, message: str) -> bool:
        try:
            body = json.loads(message)
            kind = body["type"]
        except (ValueError, KeyError, TypeError):
            kind = None
        self._record.messages.append((self._record.audio_s, str(kind)))
        match kind:
            case "KeepAlive":
                pass
            case "Finalize":
                if not self._ignores_finalize:
                    await self._say(self._listener.finalize())
            case "CloseStream":
                return await self._end()
            case "Configure" if can_configure(body):
                await self._say([self._listener.configure(body)])
            case _:
                await self._say(
                    [
                        {
                            "type": "Error",
                            "variant": "SchemaError",
                            "description": "Could not deserialize last text message",
                            "message": message,
                        }
                    ]
                )
        return False

    async def _fail(self) -> bool:
        record = self._record
        if (stalls := self._stalls) and record.audio_s >= stalls.after_s:
            record.ended = "stalled"
            await trio.sleep_forever()
        if (drops := self._disconnects) and (
            record.audio_messages >= drops.after_messages and record.audio_s >= drops.after_s
        ):
            record.ended = "disconnected"
            return True
        if (closes := self._closes) and record.audio_s >= closes.after_s:
            record.ended = f"closed {closes.code}"
            await self._socket.aclose(closes.code, closes.reason)
            return True
        return False

    async def _end(self) -> bool:
        bodies = self._listener.close_stream(datetime.now(UTC).isoformat())
        await trio.sleep(self._script.latency_ms / 1000)
        await self._send_now([json.dumps(body) for body in bodies])
        self._record.ended = "closed by CloseStream"
        await self._socket.aclose(1000)
        return True

    async def _watch_silence(self) -> None:
        limit_s = self._script.idle_timeout_s
        while True:
            # KeepAlive saves a connection only once there was audio on it.
            heard_at = self._heard_at if self._record.audio_messages else self._audio_at
            if trio.current_time() >= heard_at + limit_s:
                break
            await trio.sleep_until(heard_at + limit_s)
        if self._record.ended == "stalled":
            return
        self._record.ended = "closed 1011"
        reason = "Deepgram did not receive audio data or a text message within the timeout window."
        await self._socket.aclose(1011, f"{reason} See https://dpgr.am/net0001")

    async def _say(self, bodies: list[Body]) -> None:
        await self._send([json.dumps(body) for body in bodies for _ in range(self._times)])

    async def _send(self, texts: list[str]) -> None:
        if self._script.latency_ms:
            due = trio.current_time() + self._script.latency_ms / 1000
            await self._out_tx.send((due, texts))
        else:
            await self._send_now(texts)

    async def _send_now(self, texts: list[str]) -> None:
        for text in texts:
            await self._socket.send_message(text)
            self._record.sent += 1

    async def _send_later(self) -> None:
        async for due, texts in self._out_rx:
            await trio.sleep_until(due)
            await self._send_now(texts)


# ---------------------------------------------------------------- on a socket


async def serve_deepgram(
    script: DeepgramScript | None = None,
    *,
    faults: tuple[Fault, ...] = (),
    host: str = "127.0.0.1",
    port: int = 0,
    task_status: trio.TaskStatus[SimulatedDeepgram] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen until cancelled; hands out the `SimulatedDeepgram` by `task_status`.

    OSError if the port cannot be had.
    """
    peer = SimulatedDeepgram(script or DeepgramScript(), faults)
    await serve_peer(peer, peer.handle, "ws://{}", host=host, port=port, task_status=task_status)


def simulated_deepgram(
    script: DeepgramScript | None = None,
    *,
    faults: tuple[Fault, ...] = (),
    host: str = "127.0.0.1",
    port: int = 0,
) -> AbstractAsyncContextManager[SimulatedDeepgram]:
    """A simulated Deepgram on loopback for the length of the block."""
    return served(partial(serve_deepgram, script, faults=faults, host=host, port=port))
