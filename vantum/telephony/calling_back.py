"""Calling those back who asked for it, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import attrs
import trio
from attrs import define, field

from vantum.errors import ConfigError
from vantum.telephony.callbacks import Callback, with_note
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lines import NoLine
from vantum.telephony.orders import CallOrder, CallRefused, NoSuchCall, OrderError, Promise
from vantum.telephony.record import CallRecord
from vantum.telephony.wishes import CallbacksUnknown, Wishes

#: A callback is ours for so long, until it is dialled: longer than a request is tried again.
LEASE_S: Final = 300.0
#: How often it is looked whose time has come.
LOOK_S: Final = 20.0


class Dialler(Protocol):
    """Who calls: this process or a server."""

    def new_id(self) -> str:
        """The id of a call that is about to be placed, or empty."""

    async def place(self, order: CallOrder, call_id: str, key: str) -> str:
        """Dial; gives the call's id. `key`: the same one never dials twice. Takes the order's
        `promise` for good in the moment of dialling, or raises `OrderError`."""

    async def wait(self, call_id: str) -> CallRecord:
        """The call's record, once it is over."""


async def call_back(
    wishes: Wishes,
    dialler: Dialler,
    *,
    now_s: Callable[[], float],
    say: Callable[[str], object],
    watch: bool = False,
) -> None:
    """Call whoever is due; with `watch` for ever.

    Args:
        now_s: the time of day, in seconds since 1970.
        say: what is to be printed, a line at a time.

    Raises:
        CallbacksUnknown: the wishes cannot be read; while watching it is said, and tried again.
        ConfigError: nobody can be called at all; says why.
    """
    calling = _CallingBack(wishes, dialler, now_s, say)
    while True:
        try:
            await calling.call_all()
        except CallbacksUnknown as error:
            if not watch:
                raise
            say(f"{error}; again in {LOOK_S:.0f} s")
        if not watch:
            return
        await trio.sleep(LOOK_S)


@define
class _CallingBack:
    wishes: Wishes
    dialler: Dialler
    now_s: Callable[[], float]
    say: Callable[[str], object]
    _not_before: dict[str, float] = field(factory=dict, init=False)

    async def call_all(self) -> None:
        """Whoever is due."""
        for callback in await self.wishes.open(self.now_s()):
            if self._not_before.get(callback.id, 0.0) <= self.now_s():
                # Whoever cannot be called now holds nobody else up.
                self._not_before[callback.id] = await self._call(callback) or 0.0

    async def _call(self, callback: Callback) -> float | None:
        """Call one of them; gives when to try again, if it may help and nobody was called."""
        who = f"{callback.number} ({callback.wanted})"
        # If this process ends before it has dialled, the callback waits again soon.
        if not await self.wishes.take(callback, for_s=LEASE_S):
            return None  # somebody else was faster
        # One key for each attempt: the answer to a key is remembered, be it a refusal.
        key = f"callback-{callback.id}-{self.now_s():.0f}"
        try:
            order = attrs.evolve(order_of(callback), promise=Promise(callback.id, self.wishes.by))
            call_id = await self.dialler.place(order, self.dialler.new_id(), key)
        except ConfigError:
            await self.wishes.give_back(callback)
            raise
        except (CallRefused, NoLine, CarrierError, OrderError) as error:
            retry_at_s = _retry_at_s(error, self.now_s())
            if retry_at_s is not None:
                await self.wishes.give_back(callback)
            else:
                await self.wishes.take(callback)  # for good: nobody need try again
            later = "" if retry_at_s is None else "; it waits on"
            self.say(f"{who}: not called: {error}{later}")
            return retry_at_s
        self.say(f"{who}: calling …")
        try:
            record = await self.dialler.wait(call_id)
        except NoSuchCall as error:
            self.say(f"{who}: {error}")
        else:
            self.say(f"{who}: {record.outcome}")
        return None


def _retry_at_s(error: Exception, now_s: float) -> float | None:
    match error:
        case CallRefused():
            return error.refusal.retry_at_s
        case NoLine():
            return now_s
        case CarrierError(retryable=True):
            return now_s
        case _:
            return None


def order_of(callback: Callback) -> CallOrder:
    """The call that was asked for."""
    prospect = with_note(callback.prospect, callback.note)
    return CallOrder(callback.number, prospect, campaign_id=callback.campaign_id)
