"""Where campaigns are kept in the database, and what a row of it means."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from attrs import frozen

from vantum.core.campaign import RANKS, Standing, Totals
from vantum.core.events import Prospect
from vantum.storage.migrations import Migration, Schema
from vantum.telephony.callbacks import with_note

#: `rank` and `due_s` are the order of the queue: its index is all that a step of a campaign reads.
_VERSION_1: Final[Migration] = (
    """
    CREATE TABLE IF NOT EXISTS campaigns (
        name TEXT PRIMARY KEY,
        source TEXT NOT NULL DEFAULT '',
        timezone TEXT NOT NULL DEFAULT 'UTC',
        digest TEXT NOT NULL DEFAULT '',
        columns TEXT NOT NULL DEFAULT '[]',
        created_s REAL NOT NULL,
        wanted TEXT NOT NULL DEFAULT 'run' CHECK (wanted IN ('run', 'pause')),
        owner TEXT NOT NULL DEFAULT '',
        host TEXT NOT NULL DEFAULT '',
        pid INTEGER NOT NULL DEFAULT 0,
        lease_until_s REAL NOT NULL DEFAULT 0,
        last_dial_s REAL,
        day TEXT NOT NULL DEFAULT '',
        calls_that_day INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS campaign_prospects (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        position INTEGER NOT NULL,
        zones TEXT NOT NULL,
        about TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('waiting', 'dialling', 'done')),
        rank INTEGER NOT NULL,
        due_s REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        granted INTEGER NOT NULL DEFAULT 0,
        day TEXT NOT NULL DEFAULT '',
        attempts_that_day INTEGER NOT NULL DEFAULT 0,
        result TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (campaign, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE INDEX IF NOT EXISTS campaign_queue
        ON campaign_prospects (campaign, status, rank, due_s, position)
    """,
    """
    CREATE TABLE IF NOT EXISTS campaign_attempts (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        dialled_s REAL NOT NULL,
        call_id TEXT NOT NULL DEFAULT '',
        ended_s REAL,
        outcome TEXT NOT NULL DEFAULT '',
        because TEXT NOT NULL DEFAULT '',
        talk_s REAL NOT NULL DEFAULT 0,
        cost REAL NOT NULL DEFAULT 0,
        currency TEXT NOT NULL DEFAULT '',
        variant TEXT NOT NULL DEFAULT '',
        stage TEXT NOT NULL DEFAULT '',
        converted INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (campaign, number, attempt)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS campaign_notes (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (campaign, number)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS campaign_refusals (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        number TEXT NOT NULL,
        code TEXT NOT NULL,
        times INTEGER NOT NULL DEFAULT 1,
        last_s REAL NOT NULL,
        PRIMARY KEY (campaign, number, code)
    ) WITHOUT ROWID
    """,
)
#: The callbacks that are in the queue, or were: each is there once, however often it is told of.
_VERSION_2: Final[Migration] = (
    """
    CREATE TABLE campaign_callbacks (
        campaign TEXT NOT NULL REFERENCES campaigns(name),
        callback TEXT NOT NULL,
        PRIMARY KEY (campaign, callback)
    ) WITHOUT ROWID
    """,
)
#: Whether the list still has the prospect. For those that are done it was not kept before, so lists
#: are read once more.
_VERSION_3: Final[Migration] = (
    "ALTER TABLE campaign_prospects ADD COLUMN listed INTEGER NOT NULL DEFAULT 1",
    "UPDATE campaigns SET digest = 'to be read again' WHERE digest <> ''",
)
#: What `cost` consists of, as JSON: of calls from before nobody knows.
_VERSION_4: Final[Migration] = (
    "ALTER TABLE campaign_attempts ADD COLUMN cost_parts TEXT NOT NULL DEFAULT '{}'",
)
SCHEMA: Final = Schema("campaigns", (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4))

_STANDING: Final = (
    "SELECT number, position, zones, status, rank, due_s, attempts, granted, day, "
    "attempts_that_day, result FROM campaign_prospects WHERE campaign = ? AND "
)


@frozen
class Saved:
    """A campaign's own row. `wanted`: "run" or "pause"."""

    name: str
    source: str
    timezone: str
    digest: str
    columns: tuple[str, ...]
    created_s: float
    wanted: str
    owner: str
    host: str
    pid: int
    lease_until_s: float
    last_dial_s: float | None
    day: str
    calls_that_day: int


def campaign_of(c: sqlite3.Connection, name: str) -> Saved | None:
    """The campaign of that name."""
    row = c.execute(
        "SELECT name, source, timezone, digest, columns, created_s, wanted, owner, host, pid, "
        "lease_until_s, last_dial_s, day, calls_that_day FROM campaigns WHERE name = ?",
        (name,),
    ).fetchone()
    if row is None:
        return None
    _name, source, timezone, digest, columns, *rest = row
    return Saved(name, source, timezone, digest, tuple(json.loads(columns)), *rest)


def campaign_names(c: sqlite3.Connection) -> list[str]:
    """All campaigns, the newest first."""
    rows = c.execute("SELECT name FROM campaigns ORDER BY created_s DESC, name").fetchall()
    return [name for (name,) in rows]


def want(c: sqlite3.Connection, name: str, wanted: str) -> bool:
    """Have the campaign "run" or "pause", whichever process runs it; False: there is none."""
    return c.execute("UPDATE campaigns SET wanted = ? WHERE name = ?", (wanted, name)).rowcount > 0


def totals_of(c: sqlite3.Connection, saved: Saved, began_s: float) -> Totals:
    """The campaign's totals, for `next_move`."""
    (active,) = c.execute(
        "SELECT count(*) FROM campaign_prospects WHERE campaign = ? AND status = 'dialling'",
        (saved.name,),
    ).fetchone()
    return Totals(began_s, active, saved.last_dial_s, saved.day, saved.calls_that_day)


def standing_of(c: sqlite3.Connection, campaign: str, number: str) -> Standing | None:
    """Where a prospect stands."""
    row = c.execute(
        _STANDING + "number = ?",
        (campaign, number),
    ).fetchone()
    return None if row is None else _standing(row)


def first_of(c: sqlite3.Connection, campaign: str, now_s: float) -> Standing | None:
    """`core.campaign.head` of all prospects."""
    for rank in RANKS:
        row = c.execute(
            _STANDING
            + "status = 'waiting' AND rank = ? AND due_s <= ? ORDER BY due_s, position LIMIT 1",
            (campaign, rank, now_s),
        ).fetchone()
        if row is not None:
            return _standing(row)
    return None


def due_of(c: sqlite3.Connection, campaign: str) -> float | None:
    """`core.campaign.next_due_s` of all prospects."""
    times: list[float] = []
    for rank in RANKS:
        row = c.execute(
            "SELECT due_s FROM campaign_prospects WHERE campaign = ? AND status = 'waiting' AND "
            "rank = ? ORDER BY due_s LIMIT 1",
            (campaign, rank),
        ).fetchone()
        times += row or ()
    return min(times, default=None)


def write_standing(c: sqlite3.Connection, campaign: str, standing: Standing) -> None:
    """Keep where a prospect stands."""
    s = standing
    c.execute(
        "UPDATE campaign_prospects SET position = ?, zones = ?, status = ?, rank = ?, due_s = ?, "
        "attempts = ?, granted = ?, day = ?, attempts_that_day = ?, result = ? "
        "WHERE campaign = ? AND number = ?",
        (
            *(s.position, zones_text(s.zones), s.status, s.rank, s.due_s, s.attempts, s.granted),
            *(s.day, s.attempts_that_day, s.result, campaign, s.number),
        ),
    )


def _standing(row: tuple[Any, ...]) -> Standing:
    number, position, zones, *rest = row
    return Standing(number, position, tuple(zones.split()), *rest)


def zones_text(zones: tuple[str, ...]) -> str:
    """Time zones as they are kept: their names have no spaces."""
    return " ".join(zones)


def about_text(prospect: Prospect) -> str:
    """A prospect's data as they are kept."""
    known = {name: getattr(prospect, name) for name in ("name", "company", "industry", "timezone")}
    about: dict[str, Any] = {name: value for name, value in known.items() if value}
    if prospect.extra:
        about["extra"] = dict(prospect.extra)
    return json.dumps(about, ensure_ascii=False, sort_keys=True)


def prospect_of(c: sqlite3.Connection, campaign: str, number: str) -> Prospect:
    """A prospect's data, with the note of the latest callback. It must be there."""
    about, note = c.execute(
        "SELECT p.about, coalesce(n.note, '') FROM campaign_prospects AS p LEFT JOIN "
        "campaign_notes AS n ON n.campaign = p.campaign AND n.number = p.number "
        "WHERE p.campaign = ? AND p.number = ?",
        (campaign, number),
    ).fetchone()
    return with_note(Prospect(**json.loads(about)), note)
