"""The phone calls of this server: placing them, following them, ending them.

Each live call has a task of its own here (`lifecycle`), which holds its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import attrs
import trio
from attrs import define, field, frozen

from vantum.admission import Place
from vantum.compliance.permit import DialPermit, DialRequest, Refusal
from vantum.config import Settings
from vantum.config.prompts import read_script
from vantum.core.call_status import CallStatus
from vantum.core.events import Prospect
from vantum.core.prompts import fill_spoken
from vantum.core.scripts import Script
from vantum.errors import ConfigError, StorageError
from vantum.observe.logs import get_log
from vantum.telephony import lifecycle
from vantum.telephony.carrier import Carrier, CarrierError, Dial, Placed
from vantum.telephony.lines import Lines, NoLine
from vantum.telephony.live import LiveCall
from vantum.telephony.news import Elsewhere, StatusNews
from vantum.telephony.orders import (
    CallOrder,
    CallRefused,
    NoSuchCall,
    NotOurs,
    OrderError,
    shown,
)
from vantum.telephony.record import CallRecord
from vantum.telephony.records import CallRecords

__all__ = [
    "CallOrder",
    "CallRefused",
    "Calls",
    "CarrierError",
    "NoLine",
    "NoSuchCall",
    "NotOurs",
    "OrderError",
]


_log = get_log("phone")


class Permits(Protocol):
    """Who may be called: `vantum.compliance.check.Compliance`."""

    async def permit(self, request: DialRequest) -> DialPermit | Refusal:
        """A permit, or why not."""

    async def redeem(self, permit: DialPermit) -> None:
        """Right before dialling. Raises `PermitRefused`."""


class Places(Protocol):
    """Where sessions are held: the server."""

    def reserve(self) -> Place | None:
        """Hold a place back; None: there is none."""


@frozen
class Means:
    """What the calls of a process are made with.

    `carrier` None: nothing can be dialled or ended by request, because `missing` is not set.
    `new_id`: UUIDs of version 7. `now_s`: the time of day, in seconds. `label`: the process's,
    among those of its server.
    """

    settings: Settings
    permits: Permits
    records: CallRecords
    carrier: Carrier | None
    missing: str
    new_id: Callable[[], str]
    now_s: Callable[[], float]
    label: str


@define(eq=False)
class Calls:
    """All calls, live and over. `nursery` is where the live ones run.

    Call ids are `{label}-{uuid}`: the label says which process has the call.
    """

    means: Means
    nursery: trio.Nursery
    places: Places | None = None
    elsewhere: Elsewhere | None = None
    lines: Lines = field(init=False)
    _live: dict[str, LiveCall] = field(factory=dict, init=False)
    #: Of calls that are over, as long as the database has not taken them.
    unsaved: dict[str, CallRecord] = field(factory=dict, init=False)
    _has_some: trio.Event = field(factory=trio.Event, init=False)

    @lines.default
    def _new_lines(self) -> Lines:
        settings = self.means.settings
        return Lines(settings.twilio.max_lines or settings.server.max_sessions)

    @property
    def label(self) -> str:
        """This process's."""
        return self.means.label

    def new_id(self) -> str:
        """An id for a new call."""
        return f"{self.label}-{self.means.new_id()}"

    # ------------------------------------------------------------ outbound

    async def place(self, order: CallOrder, call_id: str = "") -> CallRecord:
        """Dial; returns when the telephone company has taken the call (it is not answered yet).

        Whoever cancels this does not end the call: `hang_up` does.

        Args:
            order: whom to call.
            call_id: from `new_id`, if it has to be known before.

        Raises:
            CallRefused: the dial permit was refused.
            NoLine: there is no line, or no place for its session.
            CarrierError: the telephone company did not take it; its record says so too.
            OrderError: the order cannot be carried out.
            ConfigError: something that outbound calls need is not set.
            StorageError: the record cannot be kept.
        """
        means, call_id = self.means, call_id or self.new_id()
        self._check(order)
        order, opening, voicemail = await self._prepared(order)
        from_number = order.from_number or means.settings.twilio.from_number
        permit = await means.permits.permit(
            DialRequest(
                number=order.to,
                opening=opening,
                from_number=from_number,
                voicemail=voicemail,
                call_id=call_id,
                campaign_id=order.campaign_id,
                timezone=order.timezone or order.prospect.timezone,
            )
        )
        if isinstance(permit, Refusal):
            raise CallRefused(permit)
        record = CallRecord(
            id=call_id,
            direction="outbound",
            from_number=from_number,
            to_number=permit.number,
            created_s=means.now_s(),
            prospect=order.prospect,
            campaign_id=order.campaign_id,
            script=Path(order.script_file).name,
        )
        live = LiveCall(record, means.now_s, order, permit, voicemail, self.marker)
        self.nursery.start_soon(lifecycle.outbound, self, live)
        await live.placed.wait()
        if live.failure is not None:
            raise live.failure
        return live.record

    def _check(self, order: CallOrder) -> None:
        twilio = self.means.settings.twilio
        missing = self.means.missing
        if not missing and not twilio.public_url:
            missing = "TWILIO_PUBLIC_URL"
        if not missing and not (order.from_number or twilio.from_number):
            missing = "TWILIO_FROM_NUMBER"
        if missing:
            raise ConfigError(f"outbound calls need {missing}, which is not set")

    async def _prepared(self, order: CallOrder) -> tuple[CallOrder, str, str]:
        """The order with its script, and the two texts with their variables filled."""
        settings = self.means.settings
        if order.script is None and order.script_file:
            script = await trio.to_thread.run_sync(_read_script, order.script_file)
            order = attrs.evolve(order, script=script)
        greeting = order.greeting or settings.compliance.opening
        voicemail = order.voicemail or settings.twilio.voicemail_text
        try:
            opening = fill_spoken(greeting, order.prospect)
            message = fill_spoken(voicemail, order.prospect)
        except ValueError as error:
            raise OrderError(f"greeting or voicemail: {error}") from None
        return order, opening, message

    async def dial(self, permit: DialPermit, dial: Dial) -> Placed:
        """Redeem the permit and dial: the only way to `Carrier.create_call`.

        Raises:
            PermitRefused: it does not hold any more.
            CarrierError: the telephone company did not take it.
        """
        carrier = self.means.carrier
        if carrier is None:
            raise ConfigError(f"outbound calls need {self.means.missing}, which is not set")
        await self.means.permits.redeem(permit)
        return await carrier.create_call(permit, dial)

    # ------------------------------------------------------------ inbound

    async def take(self, call_sid: str, caller: str, called: str) -> LiveCall | None:
        """A call comes in: the same one if it was seen before; None: there is no place for it."""
        if (known := self.by_sid(call_sid)) is not None:
            return known
        record = CallRecord(
            id=self.new_id(),
            direction="inbound",
            from_number=caller,
            to_number=called,
            created_s=self.means.now_s(),
            sid=call_sid,
        )
        live = LiveCall(record, self.means.now_s, marker=self.marker)
        live.told("ringing")
        self.nursery.start_soon(lifecycle.inbound, self, live)
        await live.placed.wait()
        return None if live.failure is not None else live

    # ------------------------------------------------------------ all

    def live(self, call_id: str) -> LiveCall | None:
        """The call, if it is not over and this process has it."""
        return self._live.get(call_id)

    def by_sid(self, call_sid: str) -> LiveCall | None:
        """The live call that the telephone company calls so."""
        if not call_sid:  # as calls are called that are just being dialled
            return None
        return next((c for c in self._live.values() if c.record.sid == call_sid), None)

    def heed(self, news: StatusNews) -> bool:
        """The telephone company says where a call stands; False: this process does not have it."""
        live = self.by_sid(news.call_sid)
        if live is not None:
            live.told(news.status, duration_s=news.duration_s, because=news.because)
        return live is not None

    async def had_session(self, call_sid: str) -> bool:
        """Whether the call has had its session, here or in another process."""
        try:
            return await self.means.records.had_session(call_sid)
        except StorageError as error:
            # Somebody calls: better twice than not at all.
            _log.error("it cannot be looked up whether a call is new", error=str(error))
            return False

    @property
    def all_live(self) -> tuple[LiveCall, ...]:
        """The calls that are not over."""
        return tuple(self._live.values())

    async def until_live(self) -> None:
        """Wait until there are such calls: a server without any has nothing to look after."""
        await self._has_some.wait()

    async def get(self, call_id: str) -> CallRecord:
        """The record as it is now. Raises `NoSuchCall`, `StorageError`."""
        if (live := self._live.get(call_id)) is not None:
            return self.record_of(live)
        if (unsaved := self.unsaved.get(call_id)) is not None:
            return unsaved
        record = await self.means.records.get(call_id)
        if record is None:
            raise NoSuchCall(f"there is no call {shown(call_id)}")
        return record

    def record_of(self, live: LiveCall) -> CallRecord:
        """The record as it is now, with what it has cost so far."""
        if live.record.is_over:
            return live.record
        return live.so_far(self.means.settings.prices.prices, asks_machine=self.asks_machine)

    async def list(
        self, *, status: CallStatus | None = None, limit: int = 50, before: str = ""
    ) -> tuple[CallRecord, ...]:
        """Records, newest first, as they were saved last (live ones are saved at every change).

        Args:
            status: only calls that stand there.
            limit: at most so many.
            before: only calls older than the one of that id.

        Raises:
            NoSuchCall: there is no call `before`.
            StorageError: the records cannot be read.
        """
        records = self.means.records
        last = await records.get(before) if before else None
        if before and last is None:
            raise NoSuchCall(f"there is no call {shown(before)}")
        return await records.list(status=status, limit=limit, before=last)

    async def wait(self, call_id: str) -> CallRecord:
        """The call's record, once it is over. Raises `NoSuchCall`, `StorageError`."""
        if (live := self._live.get(call_id)) is not None:
            await live.over.wait()
            return live.record
        return await self.get(call_id)

    async def hang_up(self, call_id: str, because: str = "hung up by request") -> CallRecord:
        """End a call, whatever it is at; returns when it is over (at once, if it is).

        Raises:
            NoSuchCall: there is none.
            NotOurs: another process has it.
            StorageError: its record cannot be read.
        """
        live = self._live.get(call_id)
        if live is None:
            record = await self.get(call_id)
            if not record.is_over:
                raise NotOurs(f"the call {call_id} is another process's")
            return record
        live.hang_up(because)
        await live.over.wait()
        return live.record

    def line(self) -> AbstractAsyncContextManager[None]:
        """`async with`: a line, for as long as the body runs. Raises `NoLine`."""
        return self.lines.lease()

    def reserve(self) -> Place:
        """A place for a session. Raises `NoLine`."""
        place = None if self.places is None else self.places.reserve()
        if place is None:
            raise NoLine("the server has no place for one more session")
        return place

    def keep_place(self, live: LiveCall) -> bool:
        """Hold a place back for the next session of a call; False: there is none, or there are to
        be no further sessions."""
        if self.lines.closed or live.progress.is_over:
            return False
        if live.place is None or not live.place.is_held:
            try:
                live.place = self.reserve()
            except NoLine:
                return False
        return True

    def drain(self) -> None:
        """No further calls; those that ring are given up. The others end with their sessions."""
        self.lines.closed = True
        for live in self.all_live:
            if not live.had_session:
                live.hang_up("the server is going down")

    @property
    def marker(self) -> str:
        """What the model writes for a pause."""
        return self.means.settings.streaming.break_marker

    @property
    def asks_machine(self) -> bool:
        """Whether machine detection is asked for, of calls that we make."""
        return bool(self.means.settings.twilio.machine_detection)

    def enter(self, live: LiveCall) -> None:
        """The call is live from now on."""
        self._live[live.id] = live
        self._has_some.set()

    def leave(self, live: LiveCall) -> None:
        """It is over."""
        self._live.pop(live.id, None)
        if not self._live:
            self._has_some = trio.Event()


def prospect_of(known: Prospect, order: CallOrder | None) -> Prospect:
    """What the order says of the person counts more than what the server knows."""
    if order is None:
        return known
    said: Mapping[str, Any] = attrs.asdict(order.prospect)
    return attrs.evolve(known, **{name: value for name, value in said.items() if value})


def _read_script(name: str) -> Script:
    return read_script(Path(name).expanduser())
