"""A campaign that runs: asks its store what to do, dials, and writes down what comes of it.

Only the store decides, by `core.campaign`. One task asks it again and again; each call has a task
of its own. To stop is to ask no more; the calls that are there end as calls do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeVar

import trio
from attrs import define, field

from vantum.campaigns.dialling import Dialler
from vantum.campaigns.news import Dialled, Ended, Held, News, NotAllowed, Paused, Waiting
from vantum.campaigns.plan import Plan
from vantum.campaigns.promised import Promised
from vantum.campaigns.store import INTERRUPTED, Calling, CampaignStore, Pending
from vantum.core.campaign import Finished, Wait
from vantum.core.events import Prospect
from vantum.core.refusals import ReasonCode, Refusal
from vantum.errors import ConfigError, StorageError, VantumError
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lines import NoLine
from vantum.telephony.orders import CallOrder, CallRefused, NoSuchCall, OrderError
from vantum.telephony.record import CallRecord
from vantum.telephony.records import STOPPED

T = TypeVar("T")

#: So often somebody's `campaign pause` is looked for, and the process says that it is alive.
POLL_S: Final = 2.0
#: Without a free line, a telephone company, or a database that works, so long nobody is dialled;
#: without the second longer and longer.
_HOLD_S: Final = 5.0
_MAX_HOLD_S: Final = 300.0
#: So long calls may take to end that are hung up on; who is still there is found by the next run.
_HANG_UP_S: Final = 30.0
_LEAST_S: Final = 0.001
#: Such a number cannot be called, or not from this account.
UNREACHABLE: Final = "unreachable"
#: These are about the campaign or the machine: the next prospect would be refused as well.
_OURS: Final[frozenset[ReasonCode]] = frozenset(
    {"no_disclosure", "opt_out_unknown", "audit_failed", "clock_went_back", "check_failed"}
)
#: With these, no other call can be made either.
_FATAL: Final = ("auth", "funds", "invalid_request")


class CampaignStopped(VantumError):
    """Nobody can be called as things are; says why. Nobody's turn is lost."""


@define(eq=False)
class CampaignRun:
    """One run of a campaign; `run` is its life.

    Attributes:
        store: owned by this process, and loaded.
        now_s: the time of day, in seconds since 1970.
        tell: is told what happens.
        promised: where it is known who wants to be called back.
        poll_s: at the most so long it sleeps.
    """

    plan: Plan
    store: CampaignStore
    dialler: Dialler
    now_s: Callable[[], float]
    tell: Callable[[News], None]
    promised: Promised
    poll_s: float = POLL_S
    stopping: bool = field(default=False, init=False)
    _is_paused: bool = field(default=False, init=False)
    _hanging_up: bool = field(default=False, init=False)
    _changed: trio.Event = field(factory=trio.Event, init=False)
    _calls: dict[str, str] = field(factory=dict, init=False)  # number → call id, "" before
    _held_until_s: float = field(default=0.0, init=False)
    _failures: int = field(default=0, init=False)
    #: The database does, and it was told.
    _storage_failed: bool = field(default=False, init=False)
    _stopped_by: CampaignStopped | None = field(default=None, init=False)

    def stop(self) -> None:
        """Dial nobody any more; what goes on may end by itself."""
        self.stopping = True
        self.promised.stop()
        self._changed.set()

    def hang_up(self) -> None:
        """Dial nobody any more, and end the calls that go on."""
        self._hanging_up = True
        self.stop()

    @property
    def active(self) -> int:
        """Calls that go on."""
        return len(self._calls)

    async def run(self) -> bool:
        """Call everybody; True: all are done, False: it was stopped before.

        Raises:
            CampaignStopped: the account, the settings or the disclosure let nobody be called.
            LeaseLost: another process has taken the campaign over.
            StorageError: the database failed before anybody was dialled; later it is tried again.
        """
        async with trio.open_nursery() as nursery:
            await self._take_up(nursery)
            finished = await self._dial_all(nursery)
            while self._calls and not self._hanging_up:
                # They may take their time, and a second signal may come.
                self._look_again()
                with suppress(StorageError):  # a full disk ends no call
                    await self.store.keep()
                await self._sleep(None)
            with trio.move_on_after(_HANG_UP_S):
                await self._end_calls()
            # Who is still there is found by the next run.
            nursery.cancel_scope.cancel()
        if self._stopped_by is not None:
            raise self._stopped_by
        return finished

    # ------------------------------------------------------------ whom to call

    async def _dial_all(self, nursery: trio.Nursery) -> bool:
        while not self.stopping:
            self._look_again()
            may_dial = self.now_s() >= self._held_until_s
            try:
                if not await self._took_up_callbacks():
                    break
                step = await self.store.step(may_dial=may_dial, call_id=self.dialler.new_id())
            except StorageError as error:
                self._tell_failed(error)
                await self._sleep(self.now_s() + _HOLD_S)
                continue
            self._storage_failed = False
            if self._is_paused != (step.wanted == "pause"):
                self._is_paused = not self._is_paused
                self.tell(Paused(self._is_paused))
            match step.move:
                case Calling() as calling:
                    self._calls[calling.standing.number] = ""
                    nursery.start_soon(self._call, calling)
                case Finished() if not self._calls and self.promised.is_settled:
                    return True
                case Finished():
                    await self._sleep(None)
                case Wait(until_s):
                    held_s = None if may_dial else self._held_until_s
                    until_s = held_s if until_s is None else until_s
                    self.tell(Waiting(None if self._is_paused else until_s, self.active))
                    await self._sleep(until_s)
        return False

    async def _took_up_callbacks(self) -> bool:
        """Whether it goes on after that: it may take a while, and may fail."""
        try:
            await self.promised.take_up()
        except ConfigError as error:
            self._fail(str(error))
        return not self.stopping

    def _look_again(self) -> None:
        """What changes from here on ends the next sleep."""
        if self._changed.is_set():
            self._changed = trio.Event()

    async def _sleep(self, until_s: float | None) -> None:
        """Until then, or something changes; not longer than until the next look at the store."""
        for_s = self.poll_s
        if until_s is not None:
            # The clock's resolution must not make this a loop without rest.
            for_s = min(for_s, max(until_s - self.now_s(), _LEAST_S))
        with trio.move_on_after(for_s):
            await self._changed.wait()

    def _hold(self, why: str, for_s: float) -> None:
        until_s = self.now_s() + for_s
        if until_s > self._held_until_s:
            self._held_until_s = until_s
            self.tell(Held(why, for_s))

    def _fail(self, why: str) -> None:
        self._stopped_by = self._stopped_by or CampaignStopped(why)
        self.stop()

    # ------------------------------------------------------------ one call

    def _order(self, number: str, prospect: Prospect) -> CallOrder:
        plan = self.plan
        return CallOrder(
            to=number,
            prospect=prospect,
            script_file=plan.script_file,
            script=plan.script,
            greeting=plan.greeting,
            voicemail=plan.voicemail,
            campaign_id=plan.name,
            from_number=plan.from_number,
            timezone=prospect.timezone,
        )

    async def _call(self, calling: Calling) -> None:
        number, attempt = calling.standing.number, calling.standing.attempts
        try:
            call_id = await self._placed(calling)
            if call_id:
                self._calls[number] = call_id
                self._failures = 0
                await self._patiently(partial(self.store.placed, calling, call_id))
                self.tell(Dialled(number, attempt))
                await self._follow(number, attempt, call_id)
        except StorageError:
            pass  # it was told; the next run finds out from the records
        finally:
            del self._calls[number]
            self._changed.set()

    async def _placed(self, calling: Calling) -> str:
        """Place the call; its id, or empty if there is none. What that means is written down."""
        number, attempt = calling.standing.number, calling.standing.attempts
        order = self._order(number, calling.prospect)
        try:
            key = f"{self.plan.name}:{number}:{attempt}:{calling.dialled_s:.6f}"
            return await self.dialler.place(order, calling.call_id, key)
        except CallRefused as error:
            await self._refused(calling, error.refusal)
        except NoLine as error:
            await self._not_placed(calling)
            self._hold(str(error), _HOLD_S)
        except CarrierError as error:
            await self._carrier_failed(calling, error)
        except StorageError as error:  # of the call's record, before it was dialled
            await self._not_placed(calling)
            self._hold(str(error), _HOLD_S)
        except (OrderError, ConfigError) as error:
            await self._not_placed(calling)
            self._fail(str(error))
        return ""

    async def _refused(self, calling: Calling, refusal: Refusal) -> None:
        ours = [reason for reason in refusal.reasons if reason.code in _OURS]
        if ours:
            await self._not_placed(calling)
            self._fail(f"nobody can be called: {ours[0].text}")
            return
        after = await self._patiently(partial(self.store.refused, calling, refusal))
        next_s = after.due_s if after.status == "waiting" else None
        self.tell(NotAllowed(after.number, refusal, next_s))

    async def _carrier_failed(self, calling: Calling, error: CarrierError) -> None:
        if error.kind in _FATAL:
            await self._not_placed(calling)
            self._fail(str(error))
        elif error.retryable:
            await self._not_placed(calling)
            self._failures += 1
            for_s = min(_MAX_HOLD_S, _HOLD_S * 2 ** min(self._failures - 1, 10))
            self._hold(str(error), max(for_s, error.retry_after_s or 0.0))
        else:
            # Nobody knows whether the phone rang, or it cannot ring.
            outcome = INTERRUPTED if error.kind == "unknown" else UNREACHABLE
            standing = calling.standing
            await self._over(standing.number, standing.attempts, None, outcome, str(error))

    async def _follow(self, number: str, attempt: int, call_id: str) -> None:
        """Until the call is over."""
        if self._hanging_up:
            # It was placed while the others were ended.
            await self.dialler.hang_up(call_id)
        try:
            record = await self._patiently(partial(self.dialler.wait, call_id))
        except NoSuchCall as error:
            await self._over(number, attempt, None, INTERRUPTED, str(error))
        else:
            await self._settle(number, attempt, record)

    async def _settle(self, number: str, attempt: int, record: CallRecord) -> None:
        outcome = record.outcome or INTERRUPTED
        if record.ended_because == STOPPED:
            outcome = INTERRUPTED
        await self._over(number, attempt, record, outcome, record.ended_because)

    async def _over(
        self, number: str, attempt: int, record: CallRecord | None, outcome: str, because: str
    ) -> None:
        ended = partial(
            self.store.ended,
            number,
            attempt,
            record,
            outcome=outcome,
            because=because,
            conversion=self.plan.converted,
        )
        after = await self._patiently(ended)
        if outcome == "callback":
            self.promised.is_due = True
        next_s = after.due_s if after.status == "waiting" else None
        self.tell(Ended(number, attempt, outcome, record, next_s))

    # ------------------------------------------------------------ a database that fails

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What a database is asked to do or to tell, as soon as it can: a disk that is full for a
        while must neither end a call nor lose what came of one.

        Raises:
            StorageError: it cannot, and the campaign is being stopped.
        """
        while True:
            try:
                return await ask()
            except StorageError as error:
                self._tell_failed(error)
                if self.stopping:
                    raise
            await trio.sleep(_HOLD_S)

    async def _not_placed(self, calling: Calling) -> None:
        await self._patiently(partial(self.store.not_placed, calling))

    def _tell_failed(self, error: StorageError) -> None:
        if not self._storage_failed:
            self._storage_failed = True
            self.tell(Held(str(error), _HOLD_S))

    # ------------------------------------------------------------ before and after

    async def _take_up(self, nursery: trio.Nursery) -> None:
        """What a process before this one began: ask the records what became of it."""
        for pending in await self.store.pending():
            order = self._order(pending.number, pending.prospect)
            record = await self.dialler.look_up(pending.call_id, order, pending.dialled_s)
            if record is not None and record.outcome is not None:
                await self._settle(pending.number, pending.attempt, record)
            elif record is not None and await self.dialler.goes_on(record):
                self._calls[pending.number] = record.id
                nursery.start_soon(self._call_again, pending, record.id)
            else:
                because = "the process was ended in the middle of the call"
                await self._over(pending.number, pending.attempt, record, INTERRUPTED, because)

    async def _call_again(self, pending: Pending, call_id: str) -> None:
        try:
            await self._follow(pending.number, pending.attempt, call_id)
        except StorageError:
            pass  # as in `_call`
        finally:
            del self._calls[pending.number]
            self._changed.set()

    async def _end_calls(self) -> None:
        async with trio.open_nursery() as nursery:
            for call_id in filter(None, self._calls.values()):
                nursery.start_soon(self.dialler.hang_up, call_id)
        while self._calls:
            self._look_again()
            if self._calls:
                await self._changed.wait()
