"""The do-not-call list and the consents, as people keep them: single entries and whole files.

Each change goes into the audit log as well. What forbids calls holds even if the log cannot be
written; what allows them is taken back then. Of an imported file the log has its name, its sha256
and how many entries were new.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import frozen

from vantum.compliance import store
from vantum.compliance.audit import AuditLog
from vantum.compliance.numbers import check_installed, is_possible, to_e164
from vantum.compliance.store import Blocked, ConsentRecord
from vantum.core.dial_policy import ANY_SCOPE
from vantum.errors import VantumError
from vantum.storage.database import Database

#: Heads of a list's first column; the line is then no number.
_HEADS: Final = ("number", "phone", "phone number", "phone_number", "telephone")
_COLUMNS: Final = ("number", "person", "how", "obtained", "scope", "expires")
_REQUIRED: Final = _COLUMNS[:4]
#: Dates without a zone are UTC's, and somewhere a day begins so much earlier.
_EARLIEST_S: Final = 14 * 3600.0


class ListError(VantumError):
    """An entry or a file cannot be taken. Says which line, what is wrong and what is allowed."""


@frozen
class Lists:
    """Both lists. `now_s`: seconds since 1970."""

    database: Database
    audit: AuditLog
    now_s: Callable[[], float] = time.time

    async def block(self, number: str, source: str) -> bool:
        """Put a number on the do-not-call list; whether it was not on it yet.

        Raises:
            ListError: it is no number.
        """
        e164 = possible_number(number)
        entry = Blocked(e164, self.now_s(), source)
        added = await self.database.run(lambda c: store.block(c, [entry]))
        await self.audit.append("do_not_call.added", number=e164, source=source, was_new=added == 1)
        return added == 1

    async def unblock(self, number: str, reason: str) -> None:
        """Take a number off the do-not-call list.

        Raises:
            ListError: it is no number, or not on the list.
        """
        e164 = number_of(number)
        now_s = self.now_s()

        def work(connection: sqlite3.Connection) -> None:
            if not store.unblock(connection, e164):
                raise ListError(f"{e164} is not on the do-not-call list")
            entry = {"number": e164, "reason": reason}
            self.audit.journal.append("do_not_call.removed", entry, now_s)

        await self.database.run(work)

    async def blocked(self) -> Sequence[Blocked]:
        """The do-not-call list, oldest first."""
        return await self.database.run(store.blocked)

    async def block_file(self, path: Path) -> tuple[int, int]:
        """Put the numbers of a file on the do-not-call list: all of them, or none.

        Args:
            path: text or CSV with the number in the first column; `#` begins a comment line.

        Returns:
            How many numbers the file has, and how many were new.

        Raises:
            ListError: it cannot be read; a line holds no number, or none does.
        """
        data, rows = _rows(path)
        if rows and rows[0][1][0].lower() in _HEADS:
            rows = rows[1:]
        if not rows:
            # Whoever believes that it was taken calls everybody.
            raise ListError(f"{path}: has no numbers: nothing was put on the list")
        now_s, source = self.now_s(), f"file {path.name}"
        entries = [Blocked(possible_number(row[0], at), now_s, source) for at, row in rows]
        added = await self.database.run(lambda c: store.block(c, entries))
        await self.audit.append(
            "do_not_call.imported", **_imported(path, data, len(entries), added)
        )
        return len(entries), added

    async def consent(self, record: ConsentRecord) -> bool:
        """Record a consent; whether it was not on record yet. `record.number` is E.164.

        Raises:
            ListError: it is of a day that has not come.
        """
        now_s = self.now_s()
        _check_begun(record, now_s)

        def work(connection: sqlite3.Connection) -> bool:
            is_new = store.add_consents(connection, [record], now_s) == 1
            entry = {**_consent(record), "was_new": is_new}
            self.audit.journal.append("consent.added", entry, now_s)
            return is_new

        return await self.database.run(work)

    async def revoke(self, number: str, reason: str) -> int:
        """Revoke all consents of a number; how many there were.

        Raises:
            ListError: it is no number, or there is none.
        """
        e164, now_s = number_of(number), self.now_s()
        revoked = await self.database.run(lambda c: store.revoke_consents(c, e164, now_s))
        if not revoked:
            raise ListError(f"there is no consent of {e164} to revoke")
        await self.audit.append("consent.revoked", number=e164, reason=reason, count=revoked)
        return revoked

    async def consents(self, number: str = "") -> Sequence[ConsentRecord]:
        """All, or a number's.

        Raises:
            ListError: it is no number.
        """
        e164 = number_of(number) if number else ""
        return await self.database.run(lambda c: store.consent_records(c, e164))

    async def consent_file(self, path: Path) -> tuple[int, int]:
        """Record the consents of a CSV file: all of them, or none.

        Args:
            path: with a head line: number, person, how, obtained, and if need be scope, expires.

        Returns:
            How many consents the file has, and how many were new.

        Raises:
            ListError: it cannot be read; a column or a value is missing or wrong, or all are.
        """
        data, rows = _rows(path)
        now_s = self.now_s()
        records = list(_consents(path, rows, now_s))
        if not records:
            raise ListError(f"{path}: has no consents: nothing was recorded")

        def work(connection: sqlite3.Connection) -> int:
            added = store.add_consents(connection, records, now_s)
            entry = _imported(path, data, len(records), added)
            self.audit.journal.append("consent.imported", entry, now_s)
            return added

        return len(records), await self.database.run(work)


def number_of(text: str, at: str = "") -> str:
    """A number in E.164. `at`: where it stands, for the error.

    Raises:
        ListError: it is none.
        ConfigError: the package that knows numbers is not installed.
    """
    check_installed()
    e164 = to_e164(text)
    if e164 is None:
        where = f"{at}: " if at else ""
        raise ListError(
            f"{where}{text[:40]!r} is no telephone number in international form, such as "
            "+12125550123"
        )
    return e164


def possible_number(text: str, at: str = "") -> str:
    """A number in E.164 that somebody may have: what is to be put on a list.

    Raises:
        ListError, ConfigError: as for `number_of`; or its digits are too few or too many.
    """
    e164 = number_of(text, at)
    if not is_possible(e164):
        where = f"{at}: " if at else ""
        raise ListError(
            f"{where}{text[:40]!r} has not as many digits as numbers of its country (taken as "
            f"{e164})"
        )
    return e164


def consent_of(
    *, number: str, person: str, how: str, obtained: str, scope: str, expires: str, at: str = ""
) -> ConsentRecord:
    """A consent as people write it.

    Args:
        obtained, expires: dates or times of ISO 8601 such as 2026-05-03 (UTC unless they say
            otherwise); `expires` empty: never.
        scope: empty: any.
        at: where it stands, for errors.

    Raises:
        ListError: something is missing or wrong.
    """
    where = f"{at}: " if at else ""
    for name, text in (("person", person), ("how", how)):
        if not text.strip():
            raise ListError(
                f"{where}{name} must say something: a consent that nobody can prove is none"
            )
    begins_s = _time(obtained, f"{where}obtained")
    ends_s = _time(expires, f"{where}expires") if expires.strip() else None
    if ends_s is not None and ends_s <= begins_s:
        raise ListError(f"{where}expires ({expires}) must be later than obtained ({obtained})")
    return ConsentRecord(
        number=possible_number(number, at),
        person=" ".join(person.split()),
        how=" ".join(how.split()),
        obtained_s=begins_s,
        scope=scope.strip() or ANY_SCOPE,
        expires_s=ends_s,
    )


def _check_begun(record: ConsentRecord, now_s: float, at: str = "") -> None:
    if record.obtained_s > now_s + _EARLIEST_S:
        where = f"{at}: " if at else ""
        day = f"{datetime.fromtimestamp(record.obtained_s, UTC):%Y-%m-%d}"
        raise ListError(f"{where}obtained {day!r} lies ahead: a consent begins when it is given")


def _consents(
    path: Path, rows: Sequence[tuple[str, list[str]]], now_s: float
) -> Iterator[ConsentRecord]:
    head = [name.lower() for name in rows[0][1]] if rows else []
    for name in _REQUIRED:
        if name not in head:
            raise ListError(f"{path}: the head line has no {name}; columns: {', '.join(_COLUMNS)}")
    for name in head:
        if name not in _COLUMNS:
            raise ListError(f"{path}: there is no column {name!r}; columns: {', '.join(_COLUMNS)}")
    for at, row in rows[1:]:
        if len(row) > len(head):
            raise ListError(f"{at}: has more columns than the head line")
        given = dict.fromkeys(_COLUMNS, "") | dict(zip(head, row, strict=False))
        record = consent_of(**given, at=at)
        _check_begun(record, now_s, at)
        yield record


def _rows(path: Path) -> tuple[bytes, list[tuple[str, list[str]]]]:
    """The file, and its lines that say something: where each stands, and its cells."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        rows = [
            (f"{path}, line {reader.line_num}", [cell.strip() for cell in row])
            for row in reader
            if any(map(str.strip, row)) and not row[0].startswith("#")
        ]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ListError(f"{path}: cannot be read: {reason}") from None
    except ValueError:
        raise ListError(f"{path}: is not UTF-8 text") from None
    except csv.Error as error:
        raise ListError(f"{path}: is not CSV: {error}") from None
    return data, rows


def _time(text: str, name: str) -> float:
    try:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ListError(f"{name} {text[:40]!r} is no date such as 2026-05-03") from None


def _imported(path: Path, data: bytes, count: int, added: int) -> dict[str, object]:
    return {
        "file": path.name,
        "sha256": sha256(data).hexdigest(),
        "count": count,
        "added": added,
    }


def _consent(record: ConsentRecord) -> dict[str, object]:
    return {
        "number": record.number,
        "person": record.person,
        "how": record.how,
        "scope": record.scope,
        "obtained_s": record.obtained_s,
        "expires_s": record.expires_s,
    }
