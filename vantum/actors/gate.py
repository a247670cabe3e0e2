"""Between an answer and the world: nothing passes until it is committed, or while it is held."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio
from attrs import define, field

from vantum.actors.call import Inbox, Outgoing
from vantum.channels import Sender, put
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
            await put(self.out_tx, self._now(value))
        else:
            self._kept.append(value)
            await trio.lowlevel.checkpoint()

    def send_nowait(self, value: Outgoing, /) -> None:
        """Like a channel's."""
        if self.committed.is_set():
            self.out_tx.send_nowait(self._now(value))
        else:
            self._kept.append(value)

    async def open(self) -> None:
        """The turn is committed: what was kept goes first."""
        while self._kept:
            await put(self.out_tx, self._now(self._kept.pop(0)))
        self.committed.set()

    def _now(self, message: Outgoing) -> Outgoing:
        """To the client an answer begins when it hears of it."""
        if isinstance(message, ResponseStarted):
            return attrs.evolve(message, timestamp_ms=self.wall_ms())
        return message


@define(eq=False)
class Antechamber:
    """The way to the conductor: who has something to say before the gate opens waits for it."""

    inbox_tx: Sender[Inbox]
    committed: trio.Event

    async def send(self, value: Inbox, /) -> None:
        """Like a channel's."""
        await self.committed.wait()
        await put(self.inbox_tx, value)

    def send_nowait(self, value: Inbox, /) -> None:
        """Like a channel's. Until the gate is open there is no room."""
        if not self.committed.is_set():
            raise trio.WouldBlock
        self.inbox_tx.send_nowait(value)


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

    @property
    def holds(self) -> bool:
        """Whether answers wait."""
        return not self._free.is_set()

    async def passed(self) -> bool:
        """Returns when nothing holds the answer; whether something did."""
        waited = False
        while not self._free.is_set():
            waited = True
            await self._free.wait()
        return waited
