"""The tables of the compliance check. All functions work within somebody's transaction.

Numbers are E.164, times seconds since 1970.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from vantum.core.audit_chain import Head
from vantum.core.dial_policy import ANY_SCOPE, Consent
from vantum.storage.migrations import Migration, Schema

_VERSION_1: Final[Migration] = (
    """CREATE TABLE IF NOT EXISTS do_not_call (
        number TEXT PRIMARY KEY, added_s REAL NOT NULL, source TEXT NOT NULL, call_id TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS consents (
        consent_id INTEGER PRIMARY KEY, number TEXT NOT NULL, person TEXT NOT NULL,
        how TEXT NOT NULL, scope TEXT NOT NULL, obtained_s REAL NOT NULL, expires_s REAL,
        added_s REAL NOT NULL, revoked_s REAL,
        UNIQUE (number, person, how, scope, obtained_s)
    )""",
    """CREATE TABLE IF NOT EXISTS dial_attempts (
        number TEXT NOT NULL, at_s REAL NOT NULL, permit_id TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS dial_attempts_by_number ON dial_attempts (number, at_s)",
)
_VERSION_2: Final[Migration] = (
    # How far an audit log had come when a decision was made: it cannot go back unnoticed.
    """CREATE TABLE audit_seen (
        place TEXT PRIMARY KEY, alg TEXT NOT NULL, count INTEGER NOT NULL, hash TEXT NOT NULL,
        start INTEGER NOT NULL, size INTEGER NOT NULL, at TEXT NOT NULL
    ) WITHOUT ROWID""",
)
SCHEMA: Final = Schema("compliance", (_VERSION_1, _VERSION_2))


@frozen
class Blocked:
    """An entry of the do-not-call list. `source`: who or what put it there."""

    number: str
    added_s: float
    source: str
    call_id: str = ""


@frozen(kw_only=True)
class ConsentRecord:
    """That somebody agreed to be called.

    Attributes:
        person: who, as they are known to us.
        how: how it was obtained, such as "web form of 3 May, text and IP address on file".
        scope: "any", or the campaign that it is for.
        expires_s: None: never.
        revoked_s: None: it holds.
    """

    number: str
    person: str
    how: str
    obtained_s: float
    scope: str = ANY_SCOPE
    expires_s: float | None = None
    consent_id: int = 0
    revoked_s: float | None = None


def is_blocked(connection: sqlite3.Connection, number: str) -> bool:
    """Whether the number is on the do-not-call list."""
    row = connection.execute("SELECT 1 FROM do_not_call WHERE number = ?", (number,)).fetchone()
    return row is not None


def block(connection: sqlite3.Connection, entries: Iterable[Blocked]) -> int:
    """Put numbers on the list; how many were not on it yet."""
    added = 0
    for each in entries:
        cursor = connection.execute(
            "INSERT INTO do_not_call VALUES (?, ?, ?, ?) ON CONFLICT (number) DO NOTHING",
            (each.number, each.added_s, each.source, each.call_id),
        )
        added += cursor.rowcount
    return added


def unblock(connection: sqlite3.Connection, number: str) -> bool:
    """Take a number off the list; whether it was on it."""
    cursor = connection.execute("DELETE FROM do_not_call WHERE number = ?", (number,))
    return cursor.rowcount == 1


def blocked(connection: sqlite3.Connection) -> Sequence[Blocked]:
    """The list, oldest first."""
    rows = connection.execute("SELECT * FROM do_not_call ORDER BY added_s, number")
    return [Blocked(*row) for row in rows]


def add_consents(
    connection: sqlite3.Connection, consents: Iterable[ConsentRecord], now_s: float
) -> int:
    """Record consents; how many were not on record yet."""
    added = 0
    for each in consents:
        cursor = connection.execute(
            "INSERT INTO consents (number, person, how, scope, obtained_s, expires_s, added_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                each.number,
                each.person,
                each.how,
                each.scope,
                each.obtained_s,
                each.expires_s,
                now_s,
            ),
        )
        added += cursor.rowcount
    return added


def revoke_consents(connection: sqlite3.Connection, number: str, now_s: float) -> int:
    """Revoke whatever a number's people have agreed to; how many there were."""
    cursor = connection.execute(
        "UPDATE consents SET revoked_s = ? WHERE number = ? AND revoked_s IS NULL", (now_s, number)
    )
    return cursor.rowcount


def consent_records(connection: sqlite3.Connection, number: str = "") -> Sequence[ConsentRecord]:
    """All, or a number's, oldest first, the revoked ones too."""
    everything = "SELECT * FROM consents ORDER BY consent_id"
    of_number = "SELECT * FROM consents WHERE number = ? ORDER BY consent_id"
    rows = connection.execute(*((of_number, (number,)) if number else (everything,)))
    return [
        ConsentRecord(
            consent_id=row[0],
            number=row[1],
            person=row[2],
            how=row[3],
            scope=row[4],
            obtained_s=row[5],
            expires_s=row[6],
            revoked_s=row[8],
        )
        for row in rows
    ]


def consents(connection: sqlite3.Connection, number: str) -> tuple[Consent, ...]:
    """What the decision needs of those that were not revoked."""
    return tuple(
        Consent(each.consent_id, each.scope, each.obtained_s, each.expires_s)
        for each in consent_records(connection, number)
        if each.revoked_s is None
    )


def attempts_s(connection: sqlite3.Connection, number: str, after_s: float) -> tuple[float, ...]:
    """When the number was called, after a time."""
    rows = connection.execute(
        "SELECT at_s FROM dial_attempts WHERE number = ? AND at_s > ? ORDER BY at_s",
        (number, after_s),
    )
    return tuple(at_s for (at_s,) in rows)


def count_attempt(connection: sqlite3.Connection, number: str, at_s: float, permit_id: str) -> None:
    """The number is being called."""
    connection.execute("INSERT INTO dial_attempts VALUES (?, ?, ?)", (number, at_s, permit_id))


def audit_seen(connection: sqlite3.Connection, place: str) -> Head | None:
    """The end of an audit log when it was last seen; None: never."""
    row = connection.execute(
        "SELECT alg, count, hash, start, size, at FROM audit_seen WHERE place = ?", (place,)
    ).fetchone()
    return None if row is None else Head(*row)


def see_audit(connection: sqlite3.Connection, place: str, head: Head) -> None:
    """Remember where an audit log ends."""
    connection.execute(
        "INSERT OR REPLACE INTO audit_seen VALUES (?, ?, ?, ?, ?, ?, ?)",
        (place, head.alg, head.count, head.hash, head.start, head.size, head.at),
    )
