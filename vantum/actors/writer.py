"""Writer: the only one who sends to the client.

It never sleeps before the end: pacing is the player's job. A message that the client does not take
in time ends the session instead of holding it: whoever stops reading is closed, not waited for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import trio
from attrs import define, field

from vantum.actors.call import Call, ClientSocket, Goodbye, Outgoing
from vantum.channels import HOPS, Each, give_way
from vantum.core.events import (
    Ack,
    OutputChunk,
    ResponseCompleted,
    ResponseStarted,
    ServerMessage,
    StateChanged,
    TranscriptOut,
)

#: The longest that audio is under way behind the clock.
_HEARD_OUT_S = 1.0


class ClientTooSlow(Exception):
    """The client did not read a message within the send deadline."""


def _no_news(utterance_id: str) -> None:
    return None


@define(eq=False)
class Delivery:
    """How far the latest utterance has come on its way to the client.

    `_ends`: how much the socket had sent at the end of each of its chunks.
    """

    socket: ClientSocket
    _utterance_id: str = field(default="", init=False)
    _ends: list[int] = field(factory=list, init=False)

    def sent(self, utterance_id: str) -> bool:
        """A chunk of it is with the socket; gives whether that was its first."""
        is_first = utterance_id != self._utterance_id
        if is_first:
            self._utterance_id, self._ends = utterance_id, []
        self._ends.append(self.socket.sent)
        return is_first

    def arrived(self, utterance_id: str) -> int | None:
        """How many of its chunks have arrived; None: not known."""
        if utterance_id != self._utterance_id or (held := self.socket.held) is None:
            return None
        return bisect_right(self._ends, self.socket.sent - held)


async def write(
    call: Call,
    delivery: Delivery,
    out_rx: trio.MemoryReceiveChannel[Outgoing],
    first_sent: Callable[[str], ServerMessage | None] = _no_news,
) -> None:
    """Send what comes until a `Goodbye`, then close and return, which ends the session.

    What waits leaves in one write, up to the first audio in it: a write wakes the client's machine
    and costs more than all that was done for the message. News of a turn gives way to the turn.

    `first_sent` is told of each utterance whose first audio is with the socket; what it answers is
    sent behind it.

    Raises:
        ClientTooSlow: a send took longer than the deadline; the socket is unusable after it.
    """
    timeout_s = call.settings.server.send_timeout_ms / 1000
    socket = delivery.socket
    async for message in Each(out_rx):
        batch = [message]
        _take_along(batch, out_rx)
        for _ in range(HOPS):
            if not all(map(_is_news, batch)):
                break
            await give_way(1)
            _take_along(batch, out_rx)
        last = batch[-1]
        if not await _send(call, socket, batch, timeout_s):
            return
        if isinstance(last, Goodbye):
            await _heard_out(call)
            with trio.move_on_after(timeout_s):
                await socket.close(last.code, last.reason)
            return
        if isinstance(last, OutputChunk) and delivery.sent(last.utterance_id):
            news = first_sent(last.utterance_id)
            if news is not None and not await _send(call, socket, [news], timeout_s):
                return
        del message, batch, last  # what has left is not kept until more comes


def _take_along(batch: list[Outgoing], out_rx: trio.MemoryReceiveChannel[Outgoing]) -> None:
    """Add to a write what waits, as far as it may leave in it."""
    while _may_follow(batch[-1]):
        try:
            batch.append(out_rx.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return


def _is_news(message: Outgoing) -> bool:
    """Whether it only tells how far a turn has come. Sending it takes as long as much of the turn
    does itself, and so it leaves when the turn waits for somebody outside (`give_way`)."""
    match message:
        case Ack() | ResponseStarted() | ResponseCompleted():
            return True
        case TranscriptOut(is_final=is_final):
            return is_final
        case StateChanged(new=new):
            return new != "INTERRUPTED"
        case _:
            return False


def _may_follow(message: Outgoing) -> bool:
    """Whether another message may leave in the same write. How much of a chunk has arrived is told
    by the bytes up to its end, so it is the last of its write."""
    return not isinstance(message, OutputChunk | Goodbye)


async def _heard_out(call: Call) -> None:
    """By the clock all has been heard, but a line takes its time: a client that reports may say so
    first, or the last word of a goodbye would be cut off."""
    codec = call.codec
    with trio.move_on_after(_HEARD_OUT_S):
        while codec.unheard:  # noqa: ASYNC110 (a codec has no events; this is once a call)
            await trio.sleep(_HEARD_OUT_S / 50)


async def _send(
    call: Call, socket: ClientSocket, messages: list[Outgoing], timeout_s: float
) -> bool:
    """Send messages in one write; False if nobody is there any more."""
    frames: list[bytes | str] = []
    for message in messages:
        if isinstance(message, Goodbye):
            continue
        data = call.codec.encode(message)
        if isinstance(data, bytes):
            frames.append(data)
        elif data is not None:
            frames.extend(data)
    if not frames:
        return True
    try:
        await socket.send(*frames, within_s=timeout_s)
    except trio.BrokenResourceError:
        return False
    except trio.TooSlowError:
        raise ClientTooSlow(f"a message was not read within {timeout_s:g} s") from None
    return True
