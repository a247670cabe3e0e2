"""Opt-outs that come from elsewhere while a call is on its way, or goes on: it is ended.

The permit refuses whoever is on the do-not-call list when it is redeemed. What is written there
afterwards, by another call, another process or an operator, concerns phones that ring already. So
the list is asked again, for all calls that we made, every few seconds. A call that nobody has
answered is ended; so is one that a machine has. Whoever talks with the agent hears what he hears
who asks for it himself, and then the call ends. Who has called us, or talks with a colleague, goes
on: that call is none of ours to end.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Final, Protocol

import trio
from attrs import define, field

from vantum.errors import AuditError
from vantum.observe.logs import get_log
from vantum.telephony.calls import Calls
from vantum.telephony.live import LiveCall
from vantum.telephony.opting_out import other_party

#: So long an opt-out from elsewhere goes unseen at the most.
LOOK_S: Final = 2.0
#: What is said before we hang up is heard in so long, or nobody listens.
_GOODBYE_S: Final = 30.0
BECAUSE: Final = "the number has come onto the do-not-call list"

_log = get_log("phone")


class DoNotCallList(Protocol):
    """Who is on it: `vantum.compliance.check.Compliance`."""

    async def blocked_among(self, numbers: Collection[str]) -> frozenset[str]:
        """Those of these numbers that are on it. Raises `StorageError`."""

    async def record_ended(self, number: str, *, call_id: str, status: str) -> None:
        """A call is being ended because of it. Raises `AuditError`."""


@define(eq=False)
class Heeding:
    """Ends the calls of a process whose numbers come onto the list; `reply` is what is said."""

    calls: Calls
    listed: DoNotCallList
    reply: str
    _seen: set[str] = field(factory=set, init=False)
    _is_blind: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.calls.until_live()
            await trio.sleep(LOOK_S)
            concerned = [live for live in self.calls.all_live if self._may_concern(live)]
            self._seen &= {live.id for live in self.calls.all_live}
            if concerned:
                await self._look(concerned)

    def _may_concern(self, live: LiveCall) -> bool:
        return (
            live.record.direction == "outbound"
            and live.id not in self._seen
            and live.noted != "opted_out"  # it was said in this very call, which ends by itself
            and not (live.is_ending or live.handed_over)
        )

    async def _look(self, concerned: list[LiveCall]) -> None:
        try:
            blocked = await self.listed.blocked_among({other_party(c.record) for c in concerned})
        except Exception as error:  # the calls go on, and it is asked again
            if not self._is_blind:
                _log.error("it is not known who has opted out meanwhile", error=repr(error))
            self._is_blind = True
            return
        self._is_blind = False
        for live in concerned:
            if other_party(live.record) in blocked and self._may_concern(live):
                self._seen.add(live.id)
                self.calls.nursery.start_soon(self._end, live)

    async def _end(self, live: LiveCall) -> None:
        _log.info("ended: on the do-not-call list now", call=live.id, status=live.record.status)
        status = live.record.status
        live.note("opted_out")
        conductor, is_machine = live.conductor, live.progress.answered_by in ("machine", "fax")
        if conductor is None or is_machine:
            live.hang_up(BECAUSE)
        await self._record(live, status)
        if conductor is None or is_machine:
            return
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # it has just ended
            await conductor.say(self.reply, then_hang_up=True, reason=BECAUSE)
        with trio.move_on_after(_GOODBYE_S):
            await live.until(lambda: live.is_ending)
        live.hang_up(BECAUSE)

    async def _record(self, live: LiveCall, status: str) -> None:
        try:
            await self.listed.record_ended(other_party(live.record), call_id=live.id, status=status)
        except AuditError as error:
            _log.error("that a call is ended is not in the audit log", error=str(error))
