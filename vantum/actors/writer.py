"""Writer: the only one who sends to the client.

It never sleeps: pacing is the player's job. A message that the client does not take in time ends
the session instead of holding it: whoever stops reading is closed, not waited for.
"""

from __future__ import annotations

import trio

from vantum.actors.call import Call, ClientSocket, Goodbye, Outgoing
from vantum.wire.native import encode


class ClientTooSlow(Exception):
    """The client did not read a message within the send deadline."""


async def write(
    call: Call, socket: ClientSocket, out_rx: trio.MemoryReceiveChannel[Outgoing]
) -> None:
    """Send what comes until a `Goodbye`, then close and return, which ends the session.

    Raises:
        ClientTooSlow: a send took longer than the deadline; the socket is unusable after it.
    """
    timeout_s = call.settings.server.send_timeout_ms / 1000
    async for message in out_rx:
        if isinstance(message, Goodbye):
            with trio.move_on_after(timeout_s):
                await socket.close(message.code, message.reason)
            return
        data = encode(
            message, vocabulary=call.vocabulary, session_id=call.session_id, new_id=call.new_id
        )
        if data is None:
            continue
        with trio.move_on_after(timeout_s) as sending:
            try:
                await socket.send(data)
            except trio.BrokenResourceError:
                return
        if sending.cancelled_caught:
            raise ClientTooSlow(f"a message was not read within {timeout_s:g} s")
