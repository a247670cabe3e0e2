"""A list into the database: staged, checked as a whole, and only then merged with what is there.

Rows pass through in pieces, so a list may be of any length. Nothing of a list with a fault is
taken; the list that was there before stays.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import trio
from attrs import define, evolve, field, frozen

from vantum.campaigns.files import Numbers, Problem, ProspectList, Row, both
from vantum.campaigns.plan import Plan, PlanError
from vantum.campaigns.store import CampaignStore
from vantum.campaigns.tables import about_text, standing_of, write_standing, zones_text
from vantum.campaigns.texts import ListError
from vantum.core.campaign import FRESH, REMOVED, Rules, reconsidered, removed, reopened
from vantum.core.events import Prospect

T = TypeVar("T")

#: A tenth of a second's work for a thread, and a transaction that keeps nobody waiting.
_PIECE_ROWS: Final = 1_000
_READ_BYTES: Final = 1 << 20

#: Of the connection alone, and gone with it.
_STAGING: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS staged_prospects ("
    "number TEXT PRIMARY KEY, line INTEGER NOT NULL, zones TEXT NOT NULL, about TEXT NOT NULL"
    ") WITHOUT ROWID"
)


@frozen
class Duplicate:
    """A number that the list has on another line already: the rows are taken as one prospect."""

    line: int
    number: str
    first_line: int

    def __str__(self) -> str:
        return f"line {self.line}: {self.number} is on line {self.first_line} too: taken as one"


@frozen
class Loaded:
    """What a list changed. `is_known`: it is the list of the last time, and was not read again.

    `reopened` and `closed`: who was done by the rules of the last time and waits again by these, or
    the other way round.
    """

    rows: int = 0
    duplicates: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    returned: int = 0
    is_first: bool = True
    is_known: bool = False
    reopened: int = 0
    closed: int = 0


Tell = Callable[[Problem | Duplicate], None]


async def load_list(store: CampaignStore, plan: Plan, numbers: Numbers, tell: Tell) -> Loaded:
    """Bring the campaign's prospects up to its list and its rules.

    Args:
        store: of the campaign, owned.
        tell: is told of each row that is wrong and of each duplicate, in order.

    Raises:
        PlanError: rows are wrong, or texts use columns that there are not. Nothing was changed.
        ListError: the list cannot be read.
    """
    loading = _Loading(store, plan, numbers, tell)
    loaded = await loading.run()
    by_rules = await loading.reconsider()
    return evolve(loaded, reopened=by_rules.reopened, closed=by_rules.closed)


@define
class _Loading:
    store: CampaignStore
    plan: Plan
    numbers: Numbers
    tell: Tell
    faults: int = field(default=0, init=False)
    count: int = field(default=0, init=False)
    duplicates: int = field(default=0, init=False)
    columns: tuple[str, ...] = field(default=(), init=False)

    async def run(self) -> Loaded:
        saved = await self.store.keep()
        digest = await trio.to_thread.run_sync(_digest, self.plan.prospects)
        if digest == saved.digest:
            self._check_columns(saved.columns)
            return Loaded(is_first=False, is_known=True)
        rows = ProspectList(self.plan.prospects, self.numbers, self._fault, self._columns)
        pieces = _pieces(iter(rows))
        await self._run(_begin)
        try:
            while piece := await trio.to_thread.run_sync(next, pieces, ()):
                self.count += len(piece)
                for duplicate in await self._run(partial(_stage, rows=piece)):
                    self.duplicates += 1
                    self.tell(duplicate)
                await self.store.keep()
            self._check_columns(self.columns)
            if self.faults:
                raise PlanError(
                    [
                        f"{self.plan.prospects}: {self.faults} of {self.faults + self.count} rows "
                        "are wrong; nobody was called"
                    ]
                )
            if not self.count:
                raise ListError(f"{self.plan.prospects}: has no prospects")
            if await trio.to_thread.run_sync(_digest, self.plan.prospects) != digest:
                raise ListError(f"{self.plan.prospects}: was changed while it was read")
            # In pieces too: whoever shares the database is not kept waiting. If it ends in the
            # midst, the next run merges again, and until then nobody is called.
            merged = (await self._all(_merge)).plus(await self._all(_remove))
            columns = json.dumps(self.columns)
            await self._run(partial(_finish, digest=digest, columns=columns))
        finally:
            with trio.CancelScope(shield=True):
                await self._run(_end)
        return Loaded(
            self.count,
            self.duplicates,
            merged.added,
            merged.changed,
            merged.removed,
            merged.returned,
            not saved.digest,
        )

    async def reconsider(self) -> _Merged:
        """Who waits and who is done by the rules as they are now."""
        return await self._all(partial(_reconsider, self.plan.rules, self.store.now_s()))

    async def _all(self, work: Callable[[sqlite3.Connection, str, str], _Merged]) -> _Merged:
        """All pieces of a work, one transaction each."""
        done, after = _Merged(), ""
        while True:
            piece = await self._run(partial(_from, work, after))
            done, after = done.plus(piece), piece.last
            if not after:
                return done
            await self.store.keep()

    def _fault(self, problem: Problem) -> None:
        self.faults += not problem.is_further
        self.tell(problem)

    def _columns(self, columns: tuple[str, ...]) -> None:
        self.columns = columns

    def _check_columns(self, columns: Sequence[str]) -> None:
        if lacking := self.plan.lacking(columns):
            raise PlanError(lacking)

    async def _run(self, work: Callable[[sqlite3.Connection, str], T]) -> T:
        name = self.store.name
        return await self.store.database.run(lambda c: work(c, name))


def _from(
    work: Callable[[sqlite3.Connection, str, str], T], after: str, c: sqlite3.Connection, name: str
) -> T:
    return work(c, name, after)


def _pieces(rows: Iterator[Row]) -> Iterator[tuple[Row, ...]]:
    while piece := tuple(islice(rows, _PIECE_ROWS)):
        yield piece


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while data := file.read(_READ_BYTES):
                digest.update(data)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ListError(f"{path}: cannot be read: {reason}") from None
    return digest.hexdigest()


# ---------------------------------------------------------------- inside a transaction


def _begin(c: sqlite3.Connection, _campaign: str) -> None:
    c.execute(_STAGING)
    c.execute("DELETE FROM staged_prospects")


def _end(c: sqlite3.Connection, _campaign: str) -> None:
    c.execute("DROP TABLE IF EXISTS staged_prospects")


def _stage(c: sqlite3.Connection, _campaign: str, rows: Sequence[Row]) -> list[Duplicate]:
    duplicates = []
    for row in rows:
        known = c.execute(
            "SELECT line, zones, about FROM staged_prospects WHERE number = ?", (row.number,)
        ).fetchone()
        if known is None:
            c.execute(
                "INSERT INTO staged_prospects VALUES (?, ?, ?, ?)",
                (row.number, row.line, zones_text(row.zones), about_text(row.prospect)),
            )
            continue
        line, zones, about = known
        duplicates.append(Duplicate(row.line, row.number, line))
        first = Prospect(**json.loads(about))
        # Its own timezone says more than its number.
        if row.prospect.timezone and not first.timezone:
            zones = zones_text(row.zones)
        c.execute(
            "UPDATE staged_prospects SET zones = ?, about = ? WHERE number = ?",
            (zones, about_text(both(first, row.prospect)), row.number),
        )
    return duplicates


@frozen
class _Merged:
    """What a piece changed. `last`: its last number, empty if there is no further piece."""

    last: str = ""
    added: int = 0
    changed: int = 0
    removed: int = 0
    returned: int = 0
    reopened: int = 0
    closed: int = 0

    def plus(self, other: _Merged) -> _Merged:
        return _Merged(
            other.last,
            self.added + other.added,
            self.changed + other.changed,
            self.removed + other.removed,
            self.returned + other.returned,
            self.reopened + other.reopened,
            self.closed + other.closed,
        )


def _merge(c: sqlite3.Connection, campaign: str, after: str) -> _Merged:
    """The next numbers of the list that was staged."""
    rows = c.execute(
        "SELECT number, line, zones, about FROM staged_prospects WHERE number > ? "
        "ORDER BY number LIMIT ?",
        (after, _PIECE_ROWS),
    ).fetchall()
    added = changed = returned = 0
    for number, line, zones, about in rows:
        known = c.execute(
            "SELECT zones, about FROM campaign_prospects WHERE campaign = ? AND number = ?",
            (campaign, number),
        ).fetchone()
        if known is None:
            added += 1
            c.execute(
                "INSERT INTO campaign_prospects "
                "(campaign, number, position, zones, about, status, rank, due_s) "
                "VALUES (?, ?, ?, ?, ?, 'waiting', ?, 0)",
                (campaign, number, line, zones, about, FRESH),
            )
            continue
        changed += known != (zones, about)
        c.execute(
            "UPDATE campaign_prospects SET position = ?, zones = ?, about = ?, listed = 1 "
            "WHERE campaign = ? AND number = ?",
            (line, zones, about, campaign, number),
        )
        standing = standing_of(c, campaign, number)
        assert standing is not None
        if (standing.status, standing.result) == ("done", REMOVED):
            returned += 1
            write_standing(c, campaign, reopened(standing))
    return _Merged(rows[-1][0] if rows else "", added, changed, 0, returned)


def _remove(c: sqlite3.Connection, campaign: str, after: str) -> _Merged:
    """Of the next numbers of the campaign, those that are not in the list any more."""
    rows = c.execute(
        "SELECT p.number, s.number IS NULL FROM campaign_prospects AS p "
        "LEFT JOIN staged_prospects AS s USING (number) "
        "WHERE p.campaign = ? AND p.number > ? ORDER BY p.number LIMIT ?",
        (campaign, after, _PIECE_ROWS),
    ).fetchall()
    gone = 0
    for number in (number for number, is_gone in rows if is_gone):
        c.execute(
            "UPDATE campaign_prospects SET listed = 0 WHERE campaign = ? AND number = ?",
            (campaign, number),
        )
        standing = standing_of(c, campaign, number)
        assert standing is not None
        if standing.status == "waiting":
            gone += 1
            write_standing(c, campaign, removed(standing))
    return _Merged(rows[-1][0] if rows else "", removed=gone)


def _reconsider(
    rules: Rules, now_s: float, c: sqlite3.Connection, campaign: str, after: str
) -> _Merged:
    """Of the next numbers of the campaign, those that other rules may change."""
    rows = c.execute(
        "SELECT p.number, coalesce(a.outcome, ''), coalesce(a.ended_s, 0) "
        "FROM campaign_prospects AS p LEFT JOIN campaign_attempts AS a "
        "ON a.campaign = p.campaign AND a.number = p.number AND a.attempt = p.attempts "
        "WHERE p.campaign = ? AND p.number > ? AND p.status <> 'dialling' AND p.listed "
        "ORDER BY p.number LIMIT ?",
        (campaign, after, _PIECE_ROWS),
    ).fetchall()
    opened = closed = 0
    for number, last, ended_s in rows:
        standing = standing_of(c, campaign, number)
        assert standing is not None
        now = reconsidered(rules, standing, last, ended_s, now_s)
        if now != standing:
            write_standing(c, campaign, now)
            opened += (standing.status, now.status) == ("done", "waiting")
            closed += (standing.status, now.status) == ("waiting", "done")
    return _Merged(rows[-1][0] if rows else "", reopened=opened, closed=closed)


def _finish(c: sqlite3.Connection, campaign: str, digest: str, columns: str) -> None:
    c.execute(
        "UPDATE campaigns SET digest = ?, columns = ? WHERE name = ?", (digest, columns, campaign)
    )
