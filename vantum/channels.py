"""Handing on without giving up one's turn.

Trio's `send` and `receive` are checkpoints even when there is room, or something there: the task
goes to the end of the event loop's queue behind all that other calls have to do. A turn passes
through a dozen channels, so most of its own time was spent queueing. `put` and `take` wait only if
they must. Whoever uses them in a loop must wait for something else in it (the network, time, an
empty or a full channel), or the loop would keep the other calls from theirs.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import trio
from attrs import field, frozen

#: Up to four tasks hand on what a turn waits for, one after the other, between two waits for
#: somebody outside: from the caller's last word to the model, from the model's text to the
#: synthesiser, from the synthesiser's first sound to the client. One more turn of the loop than
#: that, because nobody knows who comes first in one.
HOPS = 5

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Sender(Protocol[T_contra]):
    """The sending end of a channel, or what stands for one."""

    async def send(self, value: T_contra, /) -> None:
        """Hand on; waits while there is no room."""

    def send_nowait(self, value: T_contra, /) -> None:
        """Hand on. Raises `trio.WouldBlock` if there is no room."""


async def put(tx: Sender[T], value: T) -> None:
    """Like `tx.send(value)`, but without waiting if there is room. Is cancelled like it, too.

    Raises:
        trio.BrokenResourceError: the receiver has gone.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        tx.send_nowait(value)
        return
    except trio.WouldBlock:
        pass
    # Out here: whoever waits inside the handler keeps the exception, with its frames, meanwhile.
    await tx.send(value)


async def take(rx: trio.MemoryReceiveChannel[T]) -> T:
    """Like `rx.receive()`, but without waiting if something is there. Is cancelled like it, too.

    Raises:
        trio.EndOfChannel: all senders have gone, and nothing is left.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    try:
        return rx.receive_nowait()
    except trio.WouldBlock:
        pass
    return await rx.receive()  # out here: see `put`


async def take_before(rx: trio.MemoryReceiveChannel[T], deadline_s: float) -> T | None:
    """Like `take`, but None if nothing has come by then, on trio's clock.

    What is there is taken however late it is, and without a cancel scope, which costs more than
    most messages. For channels on which nobody sends None.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    if (message := at_hand(rx)) is not None:
        return message
    with trio.move_on_at(deadline_s):
        return await rx.receive()
    return None


def at_hand(rx: trio.MemoryReceiveChannel[T]) -> T | None:
    """What is there already; None: nothing. For channels on which nobody sends None.

    Raises:
        trio.EndOfChannel: as for `take`.
    """
    try:
        return rx.receive_nowait()
    except trio.WouldBlock:
        return None


async def give_way(turns: int = HOPS) -> None:
    """Let whoever is on a turn's way go first, for so many turns of the event loop.

    What is not waited for (news to a client, the end of a stream that has said what counts) is done
    while the turn waits for a provider, and not before it is asked. In each turn of the loop every
    task that can go on goes on for one step, in no certain order.
    """
    for _ in range(turns):
        await trio.lowlevel.checkpoint()


@frozen(eq=False)
class Spill(Generic[T]):
    """A sending end for those who may neither wait nor lose anything.

    What `tx` has no room for waits here, in order, and a task of `nursery` hands it on. It waits
    without a bound, so what is sent must have one. If the receiver has gone, the nursery is
    cancelled.

    As long as there is room there is no task, and no second channel: they are 4 KB.
    """

    tx: trio.MemorySendChannel[T]
    nursery: trio.Nursery
    _waiting: list[T] = field(factory=list, init=False)

    def send(self, value: T) -> None:
        """Hand on, now if there is room."""
        if self._waiting:
            self._waiting.append(value)
            return
        try:
            self.tx.send_nowait(value)
        except trio.WouldBlock:
            self._waiting.append(value)
            self.nursery.start_soon(self._hand_on)
        except trio.BrokenResourceError:
            self.nursery.cancel_scope.cancel()

    async def _hand_on(self) -> None:
        try:
            while self._waiting:
                await self.tx.send(self._waiting[0])
                del self._waiting[0]  # not before: what comes meanwhile must go behind it
        except trio.BrokenResourceError:
            self.nursery.cancel_scope.cancel()


@frozen
class Each(Generic[T]):
    """`async for message in Each(rx)`: like iterating over `rx`, with `take`."""

    rx: trio.MemoryReceiveChannel[T]

    def __aiter__(self) -> Each[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await take(self.rx)
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
