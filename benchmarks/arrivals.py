"""When bytes came, by the kernel's stamp: not when a process got round to reading them.

Providers and load client share two cores with the server. That one of them is woken late, or has to
wait for a core, is no time of the server's.

Source: Linux's Documentation/networking/timestamping.rst, section 1.2 (SO_TIMESTAMPNS); for TCP the
stamp is that of the last bytes of what was read.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

import trio

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python's module does not have it
_TIMESPEC = struct.Struct("@qq")


def now_s() -> float:
    """The machine's monotonic clock: the same in every process on it."""
    return time.perf_counter()


def stamp(stream: trio.SocketStream) -> None:
    """Have the kernel stamp what comes from now on, where it can (Linux)."""
    if sys.platform == "linux":
        stream.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


async def receive(stream: trio.abc.Stream, max_bytes: int) -> tuple[bytes, float]:
    """Bytes, and when the last of them came (`now_s`); when they were read, if nobody stamps."""
    if not isinstance(stream, trio.SocketStream):
        return bytes(await stream.receive_some(max_bytes)), now_s()
    try:
        data, ancillary, _, _ = await stream.socket.recvmsg(
            max_bytes, socket.CMSG_SPACE(_TIMESPEC.size)
        )
    except OSError as error:
        raise trio.BrokenResourceError from error
    read_s = now_s()
    for level, kind, stamped in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, ns = _TIMESPEC.unpack(stamped)
            # A wall clock that is set just now must not give a time in the future.
            return data, min(read_s, (seconds * 10**9 + ns + _ahead_ns()) / 1e9)
    return data, read_s


def _ahead_ns() -> int:
    """How far the monotonic clock is ahead of the wall clock.

    The least of three, for a process that loses its core between the two would find more.
    """
    return min(-time.time_ns() + time.perf_counter_ns() for _ in range(3))
