"""What the kernel still holds of what was sent: the only one who knows, and only on Linux."""

from __future__ import annotations

import sys

import trio


def unacknowledged(stream: trio.abc.Stream) -> int | None:
    """Bytes that the machine at the other end has not acknowledged; None: not known.

    Of a stream that has a TCP socket, by SIOCOUTQ (tcp(7)), which has TIOCOUTQ's number. Where a
    proxy ends the connection, it is the proxy that acknowledges.
    """
    socket = getattr(stream, "socket", None)
    if sys.platform != "linux" or not isinstance(socket, trio.socket.SocketType):
        return None
    import fcntl
    import termios

    try:
        answer = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):  # closed, or of a kind that does not know
        return None
    return int.from_bytes(answer, sys.byteorder)
