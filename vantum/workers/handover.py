"""A connection changes its process: the socket itself goes, with what was read of it.

Over a Unix socket that only this user can reach: 4 bytes of length, network order, with the socket
beside them (SCM_RIGHTS), then the bytes that were read already. One byte comes back when it was
taken; until then the connection is still the giver's. Source: unix(7), "SCM_RIGHTS".
"""

from __future__ import annotations

import array
import os
import socket
import struct
from pathlib import Path
from typing import Final

import trio
from attrs import define

from vantum.http import ReplayStream
from vantum.observe.logs import get_log

_LENGTH: Final = struct.Struct("!I")
#: A request's head and what came with it; `peek_request` reads no more.
_MAX_SEEN_BYTES: Final = 1 << 20
_TAKEN: Final = b"\x01"
#: For what a process of this machine sends in one go.
_ARRIVAL_S: Final = 1.0
#: How many may wait to be taken: more than a second's worth.
_BACKLOG: Final = 1024

_log = get_log("workers")


class NotTaken(Exception):
    """Nobody has taken the connection: it is still ours."""


class BadHandover(Exception):
    """What came over the Unix socket is no connection."""


async def hand_over(path: Path, connection: ReplayStream) -> None:
    """Give a connection away; the caller then closes its own end of it. Its deadline is a cancel
    scope of the caller's.

    Raises:
        NotTaken: there is nobody at `path`, or they did not say that they have it.
    """
    try:
        async with await trio.open_unix_socket(path) as stream:
            descriptors = array.array("i", [connection.socket.fileno()])
            head = _LENGTH.pack(len(connection.seen))
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)
            # Four bytes into an empty buffer: they go as one, and the socket with them.
            sent = await stream.socket.sendmsg([head], [rights])
            await stream.send_all(head[sent:] + connection.seen)
            if await stream.receive_some(1) != _TAKEN:
                raise NotTaken(f"{path.name} hung up")
    except (OSError, trio.BrokenResourceError) as error:
        raise NotTaken(f"{path.name} cannot be reached: {error}") from error


async def take(stream: trio.SocketStream) -> ReplayStream:
    """What the other end hands over.

    Raises:
        BadHandover: it is none.
    """
    head, descriptors = await _receive_head(stream)
    try:
        if len(descriptors) != 1 or len(head) != _LENGTH.size:
            raise BadHandover(f"{len(descriptors)} sockets came with {len(head)} bytes")
        (length,) = _LENGTH.unpack(head)
        if length > _MAX_SEEN_BYTES:
            raise BadHandover(f"{length} bytes are more than a request has")
        seen = bytearray()
        while len(seen) < length:
            data = await stream.receive_some(length - len(seen))
            if not data:
                raise BadHandover(f"{len(seen)} of {length} bytes came")
            seen += data
        taken = _tcp_stream(descriptors[0])
        descriptors.pop()
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    try:
        await stream.send_all(_TAKEN)
    except BaseException:
        await trio.aclose_forcefully(taken)
        raise
    return ReplayStream(taken, bytes(seen))


async def _receive_head(stream: trio.SocketStream) -> tuple[bytes, array.array[int]]:
    descriptors = array.array("i")
    # Room for a second one, or a surplus would be dropped without a word.
    room = socket.CMSG_SPACE(2 * descriptors.itemsize)
    head, ancillary, _, _ = await stream.socket.recvmsg(_LENGTH.size, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return head, descriptors


def _tcp_stream(descriptor: int) -> trio.SocketStream:
    received = socket.socket(fileno=descriptor)
    try:
        return trio.SocketStream(trio.socket.from_stdlib_socket(received))
    except BaseException:
        # Its number is closed by the caller.
        received.detach()
        raise


@define(eq=False)
class HandoverListener(trio.abc.Listener[ReplayStream]):
    """Accepts connections that were accepted elsewhere."""

    inner: trio.SocketListener

    async def accept(self) -> ReplayStream:
        """The next connection. What is none is logged and passed over."""
        while True:
            async with await self.inner.accept() as stream:
                with trio.move_on_after(_ARRIVAL_S):
                    try:
                        return await take(stream)
                    except (BadHandover, OSError, trio.BrokenResourceError) as error:
                        _log.warning("no connection was handed over", error=str(error))

    async def aclose(self) -> None:
        """Stop listening."""
        await self.inner.aclose()


def listen_privately(path: Path) -> trio.SocketListener:
    """Listen on a Unix socket that only this user can reach, in place of a former one.

    Raises:
        OSError: it cannot be bound, such as for a path that is too long.
    """
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Nobody can connect before `listen`.
        listening.bind(str(path))
        path.chmod(0o600)
        listening.listen(_BACKLOG)
        return trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    except BaseException:
        listening.close()
        raise
