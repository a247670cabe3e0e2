"""One call's line as a load generator wants it: a WebSocket client that costs next to nothing.

`vantum.client` checks all that it gets and masks all that it sends. Here the same frames are sent
again and again (masked with zero, which is allowed), so that fifty callers in one process do not
slow down the clock that measures the server. It speaks the `unified` vocabulary only.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import msgpack
import trio
import uuid_utils
from attrs import define, field

from benchmarks.arrivals import receive, stamp

_TEXT_OR_BINARY, _CLOSE, _PING, _PONG = (1, 2), 8, 9, 10


def frame(payload: bytes, opcode: int = 2) -> bytes:
    """A whole client frame, masked with zero."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    return head + bytes(4) + payload


def take_frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the whole server frames out of a buffer: opcode and payload."""
    while len(buffer) >= 2:
        length, at = buffer[1] & 0x7F, 2
        if length == 126:
            at = 4
        elif length == 127:
            at = 10
        if len(buffer) < at:
            return
        if at > 2:
            length = int.from_bytes(buffer[2:at])
        if len(buffer) < at + length:
            return
        opcode, payload = buffer[0] & 0x0F, bytes(buffer[at : at + length])
        del buffer[: at + length]
        yield opcode, payload


@define(eq=False)
class Line:
    """A connected session. What arrives is kept as (when it came, event type, payload)."""

    stream: trio.SocketStream
    session_id: str = ""
    events: list[tuple[float, str, dict[str, Any]]] = field(factory=list)
    audio_bytes: int = 0
    closed: bool = False
    over: trio.Event = field(factory=trio.Event)
    _news: trio.Event = field(factory=trio.Event)
    _sending: trio.Lock = field(factory=trio.Lock)

    def message(self, event_type: str, payload: dict[str, Any]) -> bytes:
        """A frame for the server, ready to be sent any number of times."""
        envelope = {
            "eventType": event_type,
            "eventId": str(uuid_utils.uuid7()),
            "sessionId": self.session_id,
            "payload": payload,
        }
        return frame(msgpack.packb(envelope))

    async def send(self, event_type: str, **payload: Any) -> None:
        """Send one message."""
        await self.put(self.message(event_type, payload))

    async def put(self, frames: bytes) -> None:
        """Send whole frames."""
        async with self._sending:
            await self.stream.send_all(frames)

    async def listen(self) -> None:
        """Read until the line is cut. A line that breaks is told by `closed`."""
        buffer = bytearray()
        try:
            stamp(self.stream)
            while True:
                data, at_s = await receive(self.stream, 65_536)
                if not data:
                    break
                buffer += data
                for opcode, payload in take_frames(buffer):
                    await self._take(at_s, opcode, payload)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self._end()

    async def _take(self, at_s: float, opcode: int, payload: bytes) -> None:
        if opcode in _TEXT_OR_BINARY:
            envelope = msgpack.unpackb(payload)
            self.session_id = self.session_id or envelope["sessionId"]
            self.audio_bytes += len(envelope["payload"].get("audio", b""))
            self.events.append((at_s, envelope["eventType"], envelope["payload"]))
            self._wake()
        elif opcode == _PING:
            await self.put(frame(payload, _PONG))
        elif opcode == _CLOSE:
            self._end()

    def _end(self) -> None:
        self.closed = True
        self.over.set()
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, event_type: str, since: int = 0, **wanted: Any) -> int:
        """Wait for an event with these payload values; gives its place in `events`.

        `since`: where to begin to look. Raises `RuntimeError` if the server reports an error or
        hangs up first.
        """
        at = since
        while True:
            while at < len(self.events):
                _, kind, payload = self.events[at]
                if kind == event_type and all(payload.get(k) == v for k, v in wanted.items()):
                    return at
                if "error" in kind or kind == "system.status.busy":
                    raise RuntimeError(f"waiting for {event_type}: {kind}: {payload}")
                at += 1
            if self.closed:
                raise RuntimeError(f"waiting for {event_type}: the server hung up")
            await self._news.wait()

    def forget(self) -> None:
        """Let go of what has arrived, so that a long call costs the load generator nothing."""
        self.events.clear()


async def upgrade(host: str, port: int, path: str) -> trio.SocketStream:
    """Connect, and make a WebSocket of it. RuntimeError if the server refuses."""
    stream = await trio.open_tcp_stream(host, port)
    key = base64.b64encode(bytes(16)).decode()
    await stream.send_all(
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # Byte by byte, so that nothing of the first frame is taken with it.
        byte = await stream.receive_some(1)
        if not byte:
            raise RuntimeError(f"the server refused: {head!r}")
        head += byte
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise RuntimeError(f"the server refused: {head!r}")
    return stream


async def open_line(host: str, port: int, nursery: trio.Nursery) -> Line:
    """Connect, upgrade, and wait for the connection ack."""
    line = Line(await upgrade(host, port, "/ws"))
    nursery.start_soon(line.listen)
    await line.until("connection.lifecycle.ack")
    return line
