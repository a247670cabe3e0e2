"""TCP streams that are read and written with a fraction of what Trio's own take for it.

A call has fifty frames a second, and the answer's audio and two providers besides. Trio first tries
to read, which nearly always fails as a peer's next frame is 20 ms away, and only then waits; and it
takes a turn of the event loop behind each write. Both are what a library must promise to those who
do nothing else in a loop. Ours wait for something else in theirs (see `vantum.channels`).
"""

from __future__ import annotations

import errno
import os
import sys
import threading

import trio
from attrs import define, field

_RECEIVE_BYTES = 16_384
_CLOSED = "this stream was closed already"


class _OfThisThread(threading.local):
    """Where what comes is read to first. A stretch of its own for each read, most of which is given
    back at once, would leave holes of its size among pieces of audio that stay for seconds: 13 KB
    for each session that talks."""

    def __init__(self) -> None:
        self.room = memoryview(bytearray(_RECEIVE_BYTES))


_of_this_thread = _OfThisThread()


def send_now(stream: trio.abc.Stream, data: bytes) -> int:
    """How many of the bytes the stream has taken without a wait; the caller sends the rest.

    Raises what `send_all` raises.
    """
    now = getattr(stream, "send_now", None)
    return 0 if now is None else int(now(data))


def quick(stream: trio.abc.HalfCloseableStream) -> trio.abc.HalfCloseableStream:
    """The same connection, read and written with less; `stream` itself if it is no socket's, and
    where sockets are no files."""
    if sys.platform == "win32" or not isinstance(stream, trio.SocketStream):
        return stream
    return TcpStream(stream)


@define(eq=False)
class TcpStream(trio.abc.HalfCloseableStream):
    """A socket's stream. One task reads at a time, and one writes, as with Trio's.

    Raises what Trio's raises: `trio.BrokenResourceError` where the peer has gone,
    `trio.ClosedResourceError` where we have closed it, `trio.BusyResourceError` for a second task.
    """

    stream: trio.SocketStream
    _is_sending: bool = field(default=False, init=False)

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket below, for what only it can tell."""
        return self.stream.socket

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has come, up to 16 KiB; waits for it. Nothing at the end."""
        socket = self.stream.socket
        while (number := socket.fileno()) != -1:
            try:
                await trio.lowlevel.wait_readable(number)
                # It may have been closed behind the wait, and its number be another's by now.
                room = _of_this_thread.room[:max_bytes]
                return room[: os.readv(socket.fileno(), (room,))].tobytes()
            except BlockingIOError:
                continue
            except OSError as error:
                raise _translated(error) from error
        raise trio.ClosedResourceError(_CLOSED)

    def send_now(self, data: bytes | bytearray | memoryview) -> int:
        """Write as much as the kernel has room for, and say how much that is. Never waits."""
        if self._is_sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        try:
            return os.write(self.stream.socket.fileno(), data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise _translated(error) from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write; is a checkpoint only where the kernel has no room for all of it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        sent = self.send_now(data)
        if sent < len(data):
            self._is_sending = True
            try:
                await self.stream.send_all(memoryview(data)[sent:])
            finally:
                self._is_sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Pass on."""
        await self.stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Pass on."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Pass on."""
        await self.stream.aclose()


def _translated(error: OSError) -> Exception:
    if error.errno == errno.EBADF:
        return trio.ClosedResourceError(_CLOSED)
    return trio.BrokenResourceError(f"socket connection broken: {error}")
