"""What the kernel holds of what was sent and of what came: the only one who knows."""

from __future__ import annotations

import sys

import trio


def unacknowledged(stream: trio.abc.Stream) -> int | None:
    """Bytes that the machine at the other end has not acknowledged; None: not known.

    Of a stream that has a TCP socket, by SIOCOUTQ (tcp(7)), which has TIOCOUTQ's number. Where a
    proxy ends the connection, it is the proxy that acknowledges.
    """
    if sys.platform != "linux" or (socket := _socket_of(stream)) is None:
        return None
    import termios

    return _asked(socket, termios.TIOCOUTQ)


def unread(stream: trio.abc.Stream) -> int | None:
    """Bytes that have come and were not read; None: not known. By FIONREAD (tcp(7))."""
    if sys.platform == "win32" or (socket := _socket_of(stream)) is None:
        return None
    import termios

    return _asked(socket, termios.FIONREAD)


def wake_at(stream: trio.abc.Stream, size: int) -> bool:
    """Do not wake who waits to read before so many bytes have come, or the connection ends.

    By SO_RCVLOWAT (socket(7)). Making it smaller wakes him for what is there already.

    Returns:
        Whether it can be done with this stream.
    """
    if sys.platform == "win32" or (socket := _socket_of(stream)) is None:
        return False
    try:
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVLOWAT, size)
    except OSError:  # closed, or of a kind that cannot
        return False
    return True


def _socket_of(stream: trio.abc.Stream) -> trio.socket.SocketType | None:
    socket = getattr(stream, "socket", None)
    return socket if isinstance(socket, trio.socket.SocketType) else None


def _asked(socket: trio.socket.SocketType, what: int) -> int | None:
    import fcntl

    try:
        answer = fcntl.ioctl(socket.fileno(), what, bytes(4))
    except (OSError, ValueError):  # closed, or of a kind that does not know
        return None
    return int.from_bytes(answer, sys.byteorder)
