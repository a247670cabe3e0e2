"""Calling those back who asked for it, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import trio

from vantum.errors import ConfigError
from vantum.telephony.callbacks import Callback, Callbacks, with_note
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lines import NoLine
from vantum.telephony.orders import CallOrder, CallRefused, OrderError
from vantum.telephony.record import CallRecord

#: How often it is looked whose time has come.
LOOK_S: Final = 20.0


class Dialler(Protocol):
    """Who calls: this process or a server."""

    def new_id(self) -> str:
        """The id of a call that is about to be placed, or empty."""

    async def place(self, order: CallOrder, call_id: str, key: str) -> str:
        """Dial; gives the call's id. `key`: the same one never dials twice."""

    async def wait(self, call_id: str) -> CallRecord:
        """The call's record, once it is over."""


async def call_back(
    callbacks: Callbacks, dialler: Dialler, *, say: Callable[[str], object], watch: bool = False
) -> None:
    """Call whoever is due; with `watch` for ever.

    Args:
        say: what is to be printed, a line at a time.

    Raises:
        StorageError: the wishes cannot be read.
        ConfigError: nobody can be called at all; says why.
    """
    not_before: dict[str, float] = {}
    while True:
        for callback in await callbacks.list("waiting", due_s=callbacks.now_s()):
            if not_before.get(callback.id, 0.0) <= callbacks.now_s():
                # Whoever cannot be called now holds nobody else up.
                retry_at_s = await _call(callbacks, callback, dialler, say)
                not_before[callback.id] = retry_at_s or 0.0
        if not watch:
            return
        await trio.sleep(LOOK_S)


async def _call(
    callbacks: Callbacks, callback: Callback, dialler: Dialler, say: Callable[[str], object]
) -> float | None:
    """Call one of them; gives when to try again, if it may help and nobody was called."""
    who = f"{callback.number} ({callback.wanted})"
    if not await callbacks.taken(callback):
        return None  # somebody else was faster
    # One key for each attempt: the answer to a key is remembered, be it a refusal.
    key = f"callback-{callback.id}-{callbacks.now_s():.0f}"
    try:
        call_id = await dialler.place(order_of(callback), dialler.new_id(), key)
    except ConfigError:
        await callbacks.give_back(callback)
        raise
    except (CallRefused, NoLine, CarrierError, OrderError) as error:
        retry_at_s = _retry_at_s(error, callbacks.now_s())
        if retry_at_s is not None:
            await callbacks.give_back(callback)
        later = "" if retry_at_s is None else "; it waits on"
        say(f"{who}: not called: {error}{later}")
        return retry_at_s
    say(f"{who}: calling …")
    record = await dialler.wait(call_id)
    say(f"{who}: {record.outcome}")
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
