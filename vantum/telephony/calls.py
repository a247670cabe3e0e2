"""The phone calls of this server: placing them, following them, ending them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, frozen

from vantum.compliance.permit import DialPermit, Refusal
from vantum.core.call_status import CallStatus
from vantum.core.events import Prospect
from vantum.core.scripts import Script
from vantum.errors import VantumError
from vantum.telephony.carrier import Dial
from vantum.telephony.live import LiveCall
from vantum.telephony.record import CallRecord


@frozen
class CallOrder:
    """Whom to call, and how to talk with them.

    `greeting`: said first, instead of the settings' greeting. `voicemail`: left on an answering
    machine, instead of the settings' text. `script`: instead of the server's (`script_file` names
    one to be read). `from_number`: one of the account's, instead of the settings'. `timezone`: the
    callee's, if better known than from the number.
    """

    to: str
    prospect: Prospect = Prospect()
    script_file: str = ""
    greeting: str = ""
    voicemail: str = ""
    campaign_id: str = ""
    from_number: str = ""
    timezone: str | None = None
    script: Script | None = None


class CallRefused(VantumError):
    """The call may not be made: `refusal` has the reasons, and when trying again may help."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__("; ".join(reason.text for reason in refusal.reasons))
        self.refusal = refusal


class NoLine(VantumError):
    """All lines are taken, or the server goes down."""


class NoSuchCall(VantumError):
    """There is no call of that id."""


@define(eq=False)
class Calls:
    """All calls, live and over. (Signatures; what they do follows.)"""

    async def place(self, order: CallOrder) -> CallRecord:
        """Dial; returns when the telephone company has taken the call (it is not answered yet).

        Raises:
            CallRefused: the dial permit was refused.
            NoLine: there is no line, or no place for its session.
            CarrierError: the telephone company did not take it.
            ConfigError: something that outbound calls need is not set; the script is no good.
        """
        raise NotImplementedError

    async def wait(self, call_id: str) -> CallRecord:
        """The call's record, once it is over. Raises `NoSuchCall`."""
        raise NotImplementedError

    async def get(self, call_id: str) -> CallRecord:
        """The record as it is now. Raises `NoSuchCall`."""
        raise NotImplementedError

    async def list(
        self, *, status: CallStatus | None = None, limit: int = 50, before: str = ""
    ) -> tuple[CallRecord, ...]:
        """Records, newest first; `before`: older than the call of that id."""
        raise NotImplementedError

    async def hang_up(self, call_id: str, because: str = "hung up by request") -> CallRecord:
        """End a call in whatever state; returns when it is over. Raises `NoSuchCall`."""
        raise NotImplementedError

    def live(self, call_id: str) -> LiveCall | None:
        """The call, if it is not over and this process has it."""
        raise NotImplementedError

    @asynccontextmanager
    async def line(self) -> AsyncIterator[None]:
        """A line, for as long as the body runs. Raises `NoLine`."""
        yield

    async def dial(self, permit: DialPermit, dial: Dial) -> str:
        """Redeem the permit and dial: the only way to `Carrier.create_call`; gives the SID.

        Raises `PermitRefused`, `CarrierError`.
        """
        raise NotImplementedError
