"""Where a campaign stands, in the database: what is decided and what happened, each a transaction.

Whatever ends the process, each prospect is found as it was: `step` writes that somebody is being
called before the phone can ring, so that nobody is called twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias, TypeVar

from attrs import define, evolve, frozen

from vantum.campaigns.lease import Owner, give_back, keep_lease, take_lease
from vantum.campaigns.plan import Conversion
from vantum.campaigns.tables import (
    Saved,
    due_of,
    first_of,
    prospect_of,
    standing_of,
    totals_of,
    write_standing,
    zones_text,
)
from vantum.core.campaign import (
    CALLBACK,
    EXPIRED,
    Defer,
    Dial,
    Expire,
    Finished,
    Postpone,
    Rules,
    Standing,
    Totals,
    Wait,
    called_back,
    dialled,
    ended,
    next_move,
    refused,
)
from vantum.core.events import Prospect
from vantum.core.refusals import Refusal
from vantum.storage.database import Database
from vantum.telephony.callbacks import Callback
from vantum.telephony.record import CallRecord

T = TypeVar("T")

#: What became of an attempt whose process was ended, and that no record tells of.
INTERRUPTED = "interrupted"

#: Of a callback: this campaign is to make it; another, or nobody, or it is in the queue already;
#: it is not known before the call that goes on has ended.
WishIs: TypeAlias = Literal["ours", "not ours", "not yet"]


@frozen
class Calling:
    """Somebody who is being called, and where the campaign stood before."""

    standing: Standing
    prospect: Prospect
    before: Standing
    totals: Totals
    dialled_s: float
    call_id: str


@frozen
class Pending:
    """An attempt of which the end is not known. `call_id` empty: nor whether it was placed."""

    prospect: Prospect
    number: str
    attempt: int
    dialled_s: float
    call_id: str


@frozen
class Step:
    """What is to be done now: call somebody, wait, or nothing any more.

    `wanted`: "run" or "pause", as somebody else may have said.
    """

    move: Calling | Wait | Finished
    wanted: str


@define(eq=False)
class CampaignStore:
    """One campaign of a database, as the process that runs it has it."""

    database: Database
    name: str
    owner: Owner
    rules: Rules
    now_s: Callable[[], float]
    began_s: float

    async def open(self, source: str) -> Saved:
        """Own the campaign.

        Raises:
            CampaignBusy: another process runs it.
        """
        return await self._run(partial(_open, source=source))

    async def close(self) -> None:
        """Let another process run it."""
        await self._run(lambda c, store: give_back(c, store.name, store.owner))

    async def keep(self) -> Saved:
        """Say that this process is alive. Raises `LeaseLost`."""
        return await self._run(lambda c, store: keep_lease(c, store.name, store.owner, store._now))

    async def step(self, *, may_dial: bool, call_id: str = "") -> Step:
        """What to do now; who is called is marked so. Raises `LeaseLost`.

        Args:
            may_dial: or only look at what there is to wait for.
            call_id: of the call that there may be, if it is known before.
        """
        return await self._run(partial(_step, may_dial=may_dial, call_id=call_id))

    async def placed(self, calling: Calling, call_id: str) -> None:
        """The telephone company has taken the call."""
        await self._run(partial(_placed, standing=calling.standing, call_id=call_id))

    async def not_placed(self, calling: Calling) -> None:
        """The call was not made, for no fault of the prospect: as if nothing had been."""
        await self._run(partial(_taken_back, calling=calling, after=calling.before))

    async def refused(self, calling: Calling, refusal: Refusal) -> Standing:
        """The compliance check refused; it was no attempt."""
        return await self._run(partial(_refused, calling=calling, refusal=refusal))

    async def ended(
        self,
        number: str,
        attempt: int,
        record: CallRecord | None,
        *,
        outcome: str,
        because: str,
        conversion: Conversion,
    ) -> Standing:
        """An attempt is over. `record` None: nobody knows more than `outcome` and `because`."""
        converted = record is not None and is_converted(record, outcome, conversion)
        return await self._run(
            partial(
                _ended,
                number=number,
                attempt=attempt,
                record=record,
                outcome=outcome,
                because=because,
                converted=converted,
            )
        )

    async def pending(self) -> tuple[Pending, ...]:
        """The attempts that have not ended."""
        return await self._run(_pending)

    async def is_ours(self, wish: Callback) -> WishIs:
        """Whether this campaign is to call back."""
        return await self._run(partial(_is_ours, wish=wish))

    async def call_back(self, wish: Callback) -> None:
        """Put one that `is_ours` into the queue. Its note is with what is known of the prospect
        from then on, until another callback has another."""
        await self._run(partial(_call_back, wish=wish))

    async def counts(self) -> dict[str, int]:
        """How many prospects there are of each status."""
        return await self._run(_counts)

    # ------------------------------------------------------------ inside a transaction

    @property
    def _now(self) -> float:
        return self.now_s()

    async def _run(self, work: Callable[[sqlite3.Connection, CampaignStore], T]) -> T:
        return await self.database.run(lambda c: work(c, self))


def is_converted(record: CallRecord, outcome: str, conversion: Conversion) -> bool:
    """Whether the call has come to what it was for."""
    return (
        outcome in conversion.outcomes
        or record.stage in conversion.stages
        or not conversion.facts.isdisjoint(record.facts)
    )


def _open(c: sqlite3.Connection, store: CampaignStore, source: str) -> Saved:
    return take_lease(c, store.name, source, store.rules.timezone, store.owner, store.now_s())


def _step(c: sqlite3.Connection, store: CampaignStore, may_dial: bool, call_id: str) -> Step:
    now_s = store.now_s()
    saved = keep_lease(c, store.name, store.owner, now_s)
    totals = totals_of(c, saved, store.began_s)
    may_dial = may_dial and saved.wanted == "run"
    while True:
        first, due_s = first_of(c, store.name, now_s), due_of(c, store.name)
        move = next_move(store.rules, totals, first, due_s, now_s)
        match move:
            case Dial():
                assert first is not None
                if not may_dial:
                    return Step(Wait(None), saved.wanted)
                return Step(_dial(c, store, first, totals, call_id), saved.wanted)
            case Postpone(zones, until_s):
                c.execute(
                    "UPDATE campaign_prospects SET due_s = ? WHERE campaign = ? AND "
                    "status = 'waiting' AND zones = ? AND due_s < ?",
                    (until_s, store.name, zones_text(zones), until_s),
                )
            case Defer(_, until_s):
                assert first is not None
                write_standing(c, store.name, evolve(first, due_s=until_s))
            case Expire(zones):
                c.execute(
                    "UPDATE campaign_prospects SET status = 'done', result = ? "
                    "WHERE campaign = ? AND status = 'waiting' AND zones = ?",
                    (EXPIRED, store.name, zones_text(zones)),
                )
            case Wait() | Finished():
                return Step(move, saved.wanted)


def _dial(
    c: sqlite3.Connection, store: CampaignStore, first: Standing, totals: Totals, call_id: str
) -> Calling:
    now_s = store.now_s()
    standing = dialled(store.rules, first, now_s)
    write_standing(c, store.name, standing)
    c.execute(
        "INSERT INTO campaign_attempts (campaign, number, attempt, dialled_s, call_id) "
        "VALUES (?, ?, ?, ?, ?)",
        (store.name, standing.number, standing.attempts, now_s, call_id),
    )
    today = store.rules.day(now_s)
    calls = totals.calls_that_day + 1 if totals.day == today else 1
    c.execute(
        "UPDATE campaigns SET last_dial_s = ?, day = ?, calls_that_day = ? WHERE name = ?",
        (now_s, today, calls, store.name),
    )
    prospect = prospect_of(c, store.name, standing.number)
    return Calling(standing, prospect, first, totals, now_s, call_id)


def _placed(c: sqlite3.Connection, store: CampaignStore, standing: Standing, call_id: str) -> None:
    c.execute(
        "UPDATE campaign_attempts SET call_id = ? WHERE campaign = ? AND number = ? AND "
        "attempt = ?",
        (call_id, store.name, standing.number, standing.attempts),
    )


def _taken_back(
    c: sqlite3.Connection, store: CampaignStore, calling: Calling, after: Standing
) -> None:
    """The attempt was none: neither the prospect's nor the campaign's counts have it."""
    was = calling.standing
    now = standing_of(c, store.name, was.number)
    if now is None or now.status != "dialling" or now.attempts != was.attempts:
        return  # another process has settled it
    # The list may have been changed meanwhile.
    write_standing(c, store.name, evolve(after, position=now.position, zones=now.zones))
    c.execute(
        "DELETE FROM campaign_attempts WHERE campaign = ? AND number = ? AND attempt = ?",
        (store.name, was.number, was.attempts),
    )
    c.execute(
        "UPDATE campaigns SET last_dial_s = ? WHERE name = ? AND last_dial_s = ?",
        (calling.totals.last_dial_s, store.name, calling.dialled_s),
    )
    c.execute(
        "UPDATE campaigns SET calls_that_day = calls_that_day - 1 WHERE name = ? AND day = ?",
        (store.name, was.day),
    )


def _refused(
    c: sqlite3.Connection, store: CampaignStore, calling: Calling, refusal: Refusal
) -> Standing:
    now_s, number = store.now_s(), calling.standing.number
    after = refused(calling.before, refusal.codes[0], refusal.retry_at_s, now_s)
    _taken_back(c, store, calling, after)
    for code in refusal.codes:
        c.execute(
            "INSERT INTO campaign_refusals (campaign, number, code, last_s) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET times = times + 1, last_s = excluded.last_s",
            (store.name, number, code, now_s),
        )
    return after


def _ended(
    c: sqlite3.Connection,
    store: CampaignStore,
    number: str,
    attempt: int,
    record: CallRecord | None,
    outcome: str,
    because: str,
    converted: bool,
) -> Standing:
    standing = standing_of(c, store.name, number)
    assert standing is not None
    if standing.status != "dialling" or standing.attempts != attempt:
        return standing  # another process has settled it
    now_s = store.now_s()
    ended_s = record.ended_s if record is not None and record.ended_s is not None else now_s
    after = ended(store.rules, standing, outcome, ended_s)
    write_standing(c, store.name, after)
    facts: tuple[object, ...] = (0.0, 0.0, "{}", "", "", "")
    if record is not None:
        # Of a call whose process died nobody knows more than how far it was followed.
        cost, talk_s = record.cost, record.duration_s or record.cost.usage.billed_s
        parts = json.dumps(cost.parts)
        facts = talk_s, cost.total, parts, cost.currency, record.variant, record.stage
    c.execute(
        "UPDATE campaign_attempts SET ended_s = ?, outcome = ?, because = ?, talk_s = ?, cost = ?, "
        "cost_parts = ?, currency = ?, variant = ?, stage = ?, converted = ? "
        "WHERE campaign = ? AND number = ? AND attempt = ?",
        (ended_s, outcome, because, *facts, int(converted), store.name, number, attempt),
    )
    return after


def _pending(c: sqlite3.Connection, store: CampaignStore) -> tuple[Pending, ...]:
    rows = c.execute(
        "SELECT a.number, a.attempt, a.dialled_s, a.call_id FROM campaign_prospects AS p "
        "JOIN campaign_attempts AS a ON a.campaign = p.campaign AND a.number = p.number AND "
        "a.attempt = p.attempts WHERE p.campaign = ? AND p.status = 'dialling' ORDER BY p.position",
        (store.name,),
    ).fetchall()
    return tuple(Pending(prospect_of(c, store.name, row[0]), *row) for row in rows)


def _is_ours(c: sqlite3.Connection, store: CampaignStore, wish: Callback) -> WishIs:
    known = c.execute(
        "SELECT 1 FROM campaign_callbacks WHERE campaign = ? AND callback = ?",
        (store.name, wish.id),
    ).fetchone()
    standing = standing_of(c, store.name, wish.number)
    if known or standing is None or wish.campaign_id not in ("", store.name):
        return "not ours"
    if standing.status == "dialling":
        return "not yet"
    after = called_back(standing, wish.at_s)
    return "ours" if (after.status, after.rank) == ("waiting", CALLBACK) else "not ours"


def _call_back(c: sqlite3.Connection, store: CampaignStore, wish: Callback) -> None:
    if _is_ours(c, store, wish) != "ours":
        return
    standing = standing_of(c, store.name, wish.number)
    assert standing is not None
    write_standing(c, store.name, called_back(standing, wish.at_s))
    c.execute("INSERT INTO campaign_callbacks VALUES (?, ?)", (store.name, wish.id))
    c.execute(
        "INSERT INTO campaign_notes (campaign, number, note) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET note = excluded.note",
        (store.name, wish.number, wish.note),
    )


def _counts(c: sqlite3.Connection, store: CampaignStore) -> dict[str, int]:
    rows = c.execute(
        "SELECT status, count(*) FROM campaign_prospects WHERE campaign = ? GROUP BY status",
        (store.name,),
    ).fetchall()
    return {"waiting": 0, "dialling": 0, "done": 0} | dict(rows)
