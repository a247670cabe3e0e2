"""Between an answer and the world: nothing passes until it is committed, or while it is held."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio
from attrs import define, field

from vantum.actors.call import Inbox, Outgoing, Sender
from vantum.core.events import ResponseStarted


@define(eq=False)
class Gate:
    """The way to the client. What is sent before the gate opens is kept; after it, passed on.

    An answer's text is all that is kept: the player waits for `committed` by itself.
    """

    out_tx: Sender[Outgoing]
    wall_ms: Callable[[], int]
    committed: trio.Event = field(factory=trio.Event)
    _kept: list[Outgoing] = field(factory=list, init=False)

    async def send(self, value: Outgoing, /) -> None:
        """Like a channel's."""
        if self.committed.is_set():
            await self.out_tx.send(value)
        else:
            self._kept.append(value)
            await trio.lowlevel.checkpoint()

    async def open(self) -> None:
        """The turn is committed: what was kept goes first."""
        while self._kept:
            message = self._kept.pop(0)
            if isinstance(message, ResponseStarted):
                # To the client it begins now.
                message = attrs.evolve(message, timestamp_ms=self.wall_ms())
            await self.out_tx.send(message)
        self.committed.set()


@define(eq=False)
class Antechamber:
    """The way to the conductor: who has something to say before the gate opens waits for it."""

    inbox_tx: Sender[Inbox]
    committed: trio.Event

    async def send(self, value: Inbox, /) -> None:
        """Like a channel's."""
        await self.committed.wait()
        await self.inbox_tx.send(value)


def _open() -> trio.Event:
    event = trio.Event()
    event.set()
    return event


@define(eq=False)
class Hold:
    """What keeps an answer that is ready from beginning: the caller is speaking again."""

    _free: trio.Event = field(factory=_open, init=False)

    def hold(self, held: bool) -> None:
        """From now on answers wait, or wait no longer."""
        if not held:
            self._free.set()
        elif self._free.is_set():
            self._free = trio.Event()

    async def passed(self) -> bool:
        """Returns when nothing holds the answer; whether something did."""
        waited = False
        while not self._free.is_set():
            waited = True
            await self._free.wait()
        return waited
