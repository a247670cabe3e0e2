"""Servers that are reached without a socket: for calls on a virtual clock."""

from __future__ import annotations

import socket
from typing import Final, TypeAlias

import trio
import trio.testing
from attrs import define, field

Pair: TypeAlias = trio.StapledStream[
    trio.testing.MemorySendStream, trio.testing.MemoryReceiveStream
]

#: Connections that may wait to be accepted: a crowd of calls comes at once.
_BACKLOG: Final = 1024


@define
class _Address:
    """What is asked of a connection's socket: whose it is."""

    family: int = socket.AF_INET

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 2


@define(eq=False)
class MemoryStream(trio.abc.HalfCloseableStream):
    """A connection in memory that has an address, as one on a socket has."""

    stream: Pair
    socket: _Address = field(factory=_Address)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Pass on."""
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Pass on."""
        await self.stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Pass on."""
        return await self.stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Pass on."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Pass on."""
        await self.stream.aclose()


@define(eq=False)
class MemoryListener(trio.abc.Listener[trio.SocketStream]):
    """Give it to `Server.serve` as a listener, and `open_stream` to whoever is to connect to it.

    Whatever host, port and TLS are asked for, the connection comes here.
    """

    _tx: trio.MemorySendChannel[MemoryStream] = field(init=False)
    _rx: trio.MemoryReceiveChannel[MemoryStream] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tx, self._rx = trio.open_memory_channel[MemoryStream](_BACKLOG)

    async def accept(self) -> trio.SocketStream:
        """The next connection."""
        try:
            return await self._rx.receive()  # type: ignore[return-value]
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        """Who connects from now on is refused."""
        self._tx.close()
        self._rx.close()
        await trio.lowlevel.checkpoint()

    async def open_stream(self, host: str, port: int, tls: bool = False) -> Pair:
        """Connect. OSError if nobody listens any more."""
        ours, theirs = trio.testing.memory_stream_pair()
        try:
            self._tx.send_nowait(MemoryStream(theirs))
        except (trio.ClosedResourceError, trio.BrokenResourceError, trio.WouldBlock) as error:
            raise ConnectionRefusedError("nobody listens") from error
        await trio.lowlevel.checkpoint()
        return ours
