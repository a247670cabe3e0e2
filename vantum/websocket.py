"""The client's WebSocket over trio-websocket, behind the reader's and the writer's port.

The library's traps (see DESIGN): its queue holds one message by default and a full one stops pongs;
its receive buffer is 4 KiB; it has no keep-alive; a cancelled send leaves the connection unusable.
"""

from __future__ import annotations

import trio
from attrs import frozen
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection

__all__ = ["TrioSocket", "keep_alive"]

#: Messages between the library's reader task and ours, which never waits for audio: small, so that
#: a flood stays in the kernel's buffer, where it slows the sender down.
MESSAGE_QUEUE = 16
#: Enough for several audio chunks in one read.
RECEIVE_BUFFER = 65_536

#: What trio-websocket raises when a peer or a connection is bad.
WEBSOCKET_ERRORS = (ConnectionClosed, ConnectionRejected, HandshakeError)


@frozen
class TrioSocket:
    """A `vantum.actors.call.ClientSocket` on a trio-websocket connection."""

    connection: WebSocketConnection

    async def receive(self) -> bytes | str | None:
        """The next message; None when the connection is closed."""
        try:
            return await self.connection.get_message()
        except ConnectionClosed:
            return None

    async def send(self, data: bytes) -> None:
        """Send one binary message.

        Raises:
            trio.BrokenResourceError: the connection is closed.
        """
        try:
            await self.connection.send_message(data)
        except ConnectionClosed as error:
            raise trio.BrokenResourceError from error

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame and wait for the peer's."""
        await self.connection.aclose(code=code, reason=reason)


async def keep_alive(
    connection: WebSocketConnection, *, interval_s: float, timeout_s: float
) -> None:
    """Ping for ever; return when a pong is late or the connection is gone."""
    while True:
        await trio.sleep(interval_s)
        with trio.move_on_after(timeout_s) as waiting:
            try:
                await connection.ping()
            except ConnectionClosed:
                return
        if waiting.cancelled_caught:
            return
