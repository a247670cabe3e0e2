"""Promised callbacks as they are seen by whoever makes them: in our own database, or a server's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from vantum.errors import VantumError
from vantum.telephony.callbacks import Callback, Callbacks


class CallbacksUnknown(VantumError):
    """A server cannot be asked about its callbacks just now, or nobody knows what it made of a
    request; says why. To be asked again."""


class Wishes(Protocol):
    """Callbacks, for somebody with a name (`by`).

    All methods raise `StorageError` if they are ours; `CallbacksUnknown` if they are a server's, or
    `ConfigError` if it does not let us ask.
    """

    @property
    def by(self) -> str:
        """The name in which they are taken up; the same when he begins anew, or leases only."""

    async def open(self, due_s: float | None = None) -> Sequence[Callback]:
        """Those that nobody has taken up yet, soonest first. `due_s`: only those due by then."""

    async def mine(self) -> Sequence[Callback]:
        """Those that were taken up in this name, now or long ago."""

    async def take(self, callback: Callback, *, for_s: float | None = None) -> bool:
        """Take one up; it may be tried again. False: somebody else was faster, it was called off,
        or it was called.

        `for_s`: for so long, if it is not called before; None: for good.
        """

    async def give_back(self, callback: Callback) -> None:
        """It could not be called after all: whoever comes next may try."""


@frozen
class OwnWishes:
    """`Wishes` in our own database. `by`: the name."""

    callbacks: Callbacks
    by: str

    async def open(self, due_s: float | None = None) -> Sequence[Callback]:
        """See `Wishes`, as for the others."""
        return await self.callbacks.list("waiting", due_s=due_s)

    async def mine(self) -> Sequence[Callback]:
        """Taken up in this name."""
        return await self.callbacks.list("taken", taken_by=self.by)

    async def take(self, callback: Callback, *, for_s: float | None = None) -> bool:
        """Take one up."""
        return await self.callbacks.take(callback.id, self.by, for_s=for_s)

    async def give_back(self, callback: Callback) -> None:
        """Let others try."""
        await self.callbacks.give_back(callback.id, self.by)
