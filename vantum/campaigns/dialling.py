"""What a campaign dials with: the calls of this process, or of a server that runs already."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from attrs import frozen

from vantum.telephony.orders import CallOrder, NoSuchCall, NotOurs
from vantum.telephony.record import CallRecord


class Dialler(Protocol):
    """Places calls and knows what became of them."""

    def new_id(self) -> str:
        """The id of a call that is about to be placed, so that it can be written down before; empty
        if it is not known before."""

    async def place(self, order: CallOrder, call_id: str, key: str) -> str:
        """Dial; gives the call's id as soon as the telephone company has taken it.

        Args:
            order: whom to call, and how.
            call_id: from `new_id`.
            key: names the attempt; the same one never dials twice.

        Raises:
            CallRefused: the compliance check said no.
            NoLine: there is no line free.
            CarrierError: the telephone company did not take it.
            OrderError, ConfigError: it cannot be carried out as it is, nor any other like it.
        """

    async def wait(self, call_id: str) -> CallRecord:
        """The call's record, once it is over. Raises `NoSuchCall`."""

    async def hang_up(self, call_id: str) -> None:
        """End the call, however far it has come; one that is over is fine."""

    async def look_up(self, call_id: str, order: CallOrder, since_s: float) -> CallRecord | None:
        """What the records say of an attempt of a process before this one.

        Args:
            call_id: empty if that process ended before it knew.
            order: what was asked for; its number and campaign tell.
            since_s: the attempt was not made before this time, in seconds since 1970.
        """

    async def goes_on(self, record: CallRecord) -> bool:
        """Whether somebody still has that call, so that it can be waited for."""


class OwnCalls(Protocol):
    """What a campaign needs of `vantum.telephony.calls.Calls`."""

    def new_id(self) -> str:
        """An id for a new call."""

    async def place(self, order: CallOrder, call_id: str = "") -> CallRecord:
        """Dial."""

    async def wait(self, call_id: str) -> CallRecord:
        """The record of a call that is over."""

    async def get(self, call_id: str) -> CallRecord:
        """The record as it is now."""

    async def hang_up(self, call_id: str) -> CallRecord:
        """End the call."""

    def live(self, call_id: str) -> object | None:
        """The call, if this process has it."""


@frozen
class OwnDialler:
    """A `Dialler` over the calls of this process. They end with it."""

    calls: OwnCalls

    def new_id(self) -> str:
        """See `Dialler`, as for the others."""
        return self.calls.new_id()

    async def place(self, order: CallOrder, call_id: str, key: str) -> str:
        """The call's own id is new for each attempt, and names it as well as a key does."""
        return (await self.calls.place(order, call_id)).id

    async def wait(self, call_id: str) -> CallRecord:
        """Until the call is over."""
        return await self.calls.wait(call_id)

    async def hang_up(self, call_id: str) -> None:
        """End it."""
        with suppress(NoSuchCall, NotOurs):
            await self.calls.hang_up(call_id)

    async def look_up(self, call_id: str, order: CallOrder, since_s: float) -> CallRecord | None:
        """By its id, which was written down before it was placed."""
        try:
            return await self.calls.get(call_id)
        except NoSuchCall:
            return None

    async def goes_on(self, record: CallRecord) -> bool:
        """Whether it is a call of this very process."""
        return self.calls.live(record.id) is not None
