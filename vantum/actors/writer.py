"""Writer: the only one who sends to the client.

It never sleeps before the end: pacing is the player's job. A message that the client does not take
in time ends the session instead of holding it: whoever stops reading is closed, not waited for.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from vantum.actors.call import Call, ClientSocket, Goodbye, Outgoing
from vantum.core.events import OutputChunk, ServerMessage

#: The longest that audio is under way behind the clock.
_HEARD_OUT_S = 1.0


class ClientTooSlow(Exception):
    """The client did not read a message within the send deadline."""


def _no_news(utterance_id: str) -> None:
    return None


async def write(
    call: Call,
    socket: ClientSocket,
    out_rx: trio.MemoryReceiveChannel[Outgoing],
    first_sent: Callable[[str], ServerMessage | None] = _no_news,
) -> None:
    """Send what comes until a `Goodbye`, then close and return, which ends the session.

    `first_sent` is told of each utterance whose first audio is with the socket; what it answers is
    sent behind it.

    Raises:
        ClientTooSlow: a send took longer than the deadline; the socket is unusable after it.
    """
    timeout_s = call.settings.server.send_timeout_ms / 1000
    latest = ""
    async for message in out_rx:
        if isinstance(message, Goodbye):
            await _heard_out(call)
            with trio.move_on_after(timeout_s):
                await socket.close(message.code, message.reason)
            return
        if not await _send(call, socket, message, timeout_s):
            return
        if isinstance(message, OutputChunk) and message.utterance_id != latest:
            latest = message.utterance_id
            news = first_sent(latest)
            if news is not None and not await _send(call, socket, news, timeout_s):
                return


async def _heard_out(call: Call) -> None:
    """By the clock all has been heard, but a line takes its time: a client that reports may say so
    first, or the last word of a goodbye would be cut off."""
    codec = call.codec
    with trio.move_on_after(_HEARD_OUT_S):
        while codec.unheard:  # noqa: ASYNC110 (a codec has no events; this is once a call)
            await trio.sleep(_HEARD_OUT_S / 50)


async def _send(call: Call, socket: ClientSocket, message: ServerMessage, timeout_s: float) -> bool:
    """Send one message; False if nobody is there any more."""
    data = call.codec.encode(message)
    if data is None:
        return True
    with trio.move_on_after(timeout_s) as sending:
        try:
            await socket.send(data)
        except trio.BrokenResourceError:
            return False
    if sending.cancelled_caught:
        raise ClientTooSlow(f"a message was not read within {timeout_s:g} s")
    return True
