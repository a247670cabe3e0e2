"""A call while it goes on: what callbacks, the stream's session and tools tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import Factory, define, field

from vantum.actors.conductor import Conductor
from vantum.core.call_status import Outcome
from vantum.telephony.record import CallRecord

if TYPE_CHECKING:
    from vantum.telephony.calls import CallOrder


@define(eq=False)
class LiveCall:
    """One call, inbound or outbound.

    `order` is None for an inbound one. `conductor` is that of its session, None before and after.
    """

    record: CallRecord
    order: CallOrder | None = None
    conductor: Conductor | None = None
    noted: Outcome | None = None
    over: trio.Event = Factory(trio.Event)
    #: Another party has the call: the end of our session is not its end.
    handed_over: bool = field(default=False)

    def note(self, outcome: Outcome) -> None:
        """What the conversation has come to, such as `transferred` or `opted_out`."""
        self.noted = outcome

    def hand_over(self) -> None:
        """The call goes on without us: right before `Carrier.redirect`."""
        self.handed_over = True
