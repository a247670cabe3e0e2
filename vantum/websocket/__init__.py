"""A WebSocket on any stream: the protocol by `websockets`' sans-I/O core, the I/O by us.

There is no task behind it: whoever calls `receive` reads the stream, and all frames that came in
one read are handed out before the next, without a turn of the event loop between them. A call has
fifty frames a second, and each task that one passes through costs more than reading it (see
docs/decisions/0009).

So pings are answered, and pongs and the peer's goodbye are noticed, while somebody receives; both
ends of ours always do. One task receives; any may send.
"""

from vantum.websocket.connection import WebSocket, keep_alive
from vantum.websocket.handshakes import BadHandshake, accept, connect, refuse

__all__ = ["BadHandshake", "WebSocket", "accept", "connect", "keep_alive", "refuse"]
