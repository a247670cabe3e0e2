"""A telephone network in memory: many calls on a virtual clock, without their sound.

It stands in for `vantum.telephony.calls.Calls` where only what becomes of calls is of interest: it
is asked for a permit as a call is, rings, and leaves a record. The network lives on when who dials
is stopped, as a real one does. For calls with sound and on real protocols there is the simulated
Twilio.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import trio
from attrs import define, evolve, field, frozen

from vantum.compliance.permit import DialPermit, DialRequest, PermitRefused, Refusal
from vantum.core.call_status import CallStatus, Outcome
from vantum.core.cost import CostEstimate
from vantum.errors import VantumError
from vantum.telephony.orders import CallOrder, CallRefused, NoSuchCall
from vantum.telephony.record import CallRecord

_STATUS: dict[str, CallStatus] = {
    "busy": "busy",
    "no_answer": "no-answer",
    "failed": "failed",
    "canceled": "canceled",
}
_PRICE_PER_MINUTE = 0.02


@frozen
class Answer:
    """What becomes of a call: after ringing for `ring_s`, and talking for `talk_s` if somebody
    answers."""

    outcome: Outcome
    ring_s: float = 5.0
    talk_s: float = 60.0
    stage: str = ""
    variant: str = ""


#: What a number does at its n-th call (from 1): answers somehow, or cannot be dialled.
Persona: TypeAlias = Callable[[str, int], Answer | Refusal | VantumError]


class Permits(Protocol):
    """Who may be called: `vantum.compliance.check.Compliance`."""

    async def permit(self, request: DialRequest) -> DialPermit | Refusal:
        """A permit, or why not."""

    async def redeem(self, permit: DialPermit) -> None:
        """Right before dialling. Raises `PermitRefused`."""


@define(eq=False)
class SimulatedNetwork:
    """The network. Calls run in `nursery`; `now_s` is the time of day in seconds since 1970.

    `permits`: who is asked first; None: everybody may be called. `dialled` has the times at which
    phones began to ring, in order, with their numbers; `most_at_once` is how many calls there were
    at a time.
    """

    nursery: trio.Nursery
    now_s: Callable[[], float]
    persona: Persona
    permits: Permits | None = None
    dialled: list[tuple[float, str]] = field(factory=list, init=False)
    records: dict[str, CallRecord] = field(factory=dict, init=False)
    most_at_once: int = field(default=0, init=False)
    _over: dict[str, trio.Event] = field(factory=dict, init=False)
    _hung_up: dict[str, trio.Event] = field(factory=dict, init=False)
    _ids: int = field(default=0, init=False)

    def new_id(self) -> str:
        """An id for a new call."""
        self._ids += 1
        return f"n0-{self._ids}"

    def ringing(self, number: str) -> bool:
        """Whether there is a call with that number."""
        return any(r.to_number == number and not r.is_over for r in self.records.values())

    async def place(self, order: CallOrder, call_id: str = "") -> CallRecord:
        """Dial, if one may. Raises `CallRefused`, or what the persona is."""
        await self._ask(order)
        attempt = 1 + sum(number == order.to for _, number in self.dialled)
        answer = self.persona(order.to, attempt)
        match answer:
            case Refusal():
                raise CallRefused(answer)
            case VantumError():
                raise answer
        if self.ringing(order.to):
            raise AssertionError(f"{order.to} is called twice at once")
        record = CallRecord(
            id=call_id or self.new_id(),
            direction="outbound",
            from_number=order.from_number or "+12125550100",
            to_number=order.to,
            created_s=self.now_s(),
            prospect=order.prospect,
            campaign_id=order.campaign_id,
        )
        self.dialled.append((self.now_s(), order.to))
        self.records[record.id] = record
        self._over[record.id], self._hung_up[record.id] = trio.Event(), trio.Event()
        self.most_at_once = max(self.most_at_once, len(self._live))
        self.nursery.start_soon(self._ring, record, answer)
        return record

    async def wait(self, call_id: str) -> CallRecord:
        """The record, once the call is over."""
        await self.get(call_id)
        await self._over[call_id].wait()
        return self.records[call_id]

    async def get(self, call_id: str) -> CallRecord:
        """The record as it is now."""
        await trio.lowlevel.checkpoint()
        if call_id not in self.records:
            raise NoSuchCall(f"there is no call {call_id}")
        return self.records[call_id]

    async def hang_up(self, call_id: str) -> CallRecord:
        """End the call."""
        await self.get(call_id)
        self._hung_up[call_id].set()
        return await self.wait(call_id)

    def live(self, call_id: str) -> CallRecord | None:
        """The call, if it is not over."""
        record = self.records.get(call_id)
        return None if record is None or record.is_over else record

    @property
    def _live(self) -> list[CallRecord]:
        return [record for record in self.records.values() if not record.is_over]

    async def _ask(self, order: CallOrder) -> None:
        await trio.lowlevel.checkpoint()
        if self.permits is None:
            return
        request = DialRequest(
            number=order.to,
            opening=order.greeting,
            campaign_id=order.campaign_id,
            timezone=order.timezone,
        )
        permit = await self.permits.permit(request)
        if isinstance(permit, Refusal):
            raise CallRefused(permit)
        try:
            await self.permits.redeem(permit)
        except PermitRefused as error:
            raise CallRefused(error.refusal) from None

    async def _ring(self, record: CallRecord, answer: Answer) -> None:
        hung_up = self._hung_up[record.id]
        with trio.move_on_after(answer.ring_s):
            await hung_up.wait()
        status = _STATUS.get(answer.outcome, "completed")
        if hung_up.is_set():
            after = evolve(record, status="canceled", outcome="canceled")
        elif status != "completed":
            after = evolve(record, status=status, outcome=answer.outcome)
        else:
            answered_s = self.now_s()
            with trio.move_on_after(answer.talk_s):
                await hung_up.wait()
            duration_s = self.now_s() - answered_s
            after = evolve(
                record,
                status="completed",
                outcome=answer.outcome,
                answered_s=answered_s,
                duration_s=duration_s,
                cost=CostEstimate(carrier=duration_s / 60 * _PRICE_PER_MINUTE),
                stage=answer.stage,
                variant=answer.variant,
            )
        self.records[record.id] = evolve(after, ended_s=self.now_s())
        self._over[record.id].set()
