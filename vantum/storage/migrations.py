"""How tables change from one version of the program to the next.

Each room has its own list of migrations, and the file says up to which one its tables have come.
Opening a file brings them up to date: all rooms in one transaction, so a file is wholly of one
version or of the other, whatever ends the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, TypeAlias

from attrs import field, frozen
from attrs.validators import min_len

from vantum.storage.users import Users

#: SQL statements, one each.
Migration: TypeAlias = tuple[str, ...]

_VERSIONS: Final = (
    "CREATE TABLE IF NOT EXISTS schema_versions "
    "(room TEXT PRIMARY KEY, version INTEGER NOT NULL CHECK (version > 0)) STRICT"
)
_STILL: Final = "; the version of Vantum that has written it can still use it"


@frozen
class Schema:
    """The tables of a room, as the sequence of changes that made them.

    A migration that was released is never edited, moved or taken out: files are there that have
    had it. What changes is a further one at the end.

    Attributes:
        room: what the file calls them; as fixed as the migrations.
        migrations: the n-th brings the tables from version n - 1 to n. Files from before versions
            were kept are of version 0 and have tables, so the first one makes only what is not
            there (CREATE TABLE IF NOT EXISTS …). Foreign keys are checked behind the last, so a
            table may be dropped and made anew in between.
    """

    room: str
    migrations: tuple[Migration, ...] = field(validator=min_len(1))

    @property
    def version(self) -> int:
        """The one that this program knows."""
        return len(self.migrations)


class MigrationError(Exception):
    """The tables are not as this program needs them; says why. Nothing was changed."""


def migrate(
    connection: sqlite3.Connection, schemas: Sequence[Schema], users: Users | None = None
) -> None:
    """Bring the tables of these rooms up to date; those of others stay as they are.

    Args:
        connection: in autocommit mode, without foreign keys enforced (they cannot be turned off
            in a transaction).
        users: of the file; we are one of them afterwards.

    Raises:
        MigrationError: a newer program has made the tables, a process that knows the older ones
            uses them, or a migration failed.
        sqlite3.Error: the file cannot be read or written.
    """
    # At once, so that of several processes one migrates and the others find it done.
    connection.execute("BEGIN IMMEDIATE")
    try:
        _migrate(connection, schemas, users)
        if users is not None:
            users.join()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def newer_tables(connection: sqlite3.Connection, schemas: Sequence[Schema]) -> str:
    """Which tables a newer program has made, for people; empty: none of these rooms'."""
    found = _found(connection)
    return ", ".join(
        f"its {each.room} tables have version {found[each.room]}, this program knows {each.version}"
        for each in schemas
        if found.get(each.room, 0) > each.version
    )


def _found(connection: sqlite3.Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT room, version FROM schema_versions").fetchall())


def _migrate(
    connection: sqlite3.Connection, schemas: Sequence[Schema], users: Users | None
) -> None:
    connection.execute(_VERSIONS)
    if rooms := newer_tables(connection, schemas):
        raise MigrationError(
            f"a newer version of Vantum has written it ({rooms}); run that version or a later one, "
            "or have VANTUM_DATABASE name another file"
        )
    found = _found(connection)
    stale = [each for each in schemas if found.get(each.room, 0) < each.version]
    # Tables that were not there are in nobody's way.
    in_use = [each.room for each in stale if each.room in found]
    if in_use and users is not None and not users.is_alone():
        raise MigrationError(
            f"this version of Vantum has to change its {', '.join(in_use)} tables, and "
            f"{users.others()} of an earlier one still has it open: stop all that use it first"
        )
    for schema in stale:
        _bring_up(connection, schema, found.get(schema.room, 0))
    if stale and (broken := connection.execute("PRAGMA foreign_key_check").fetchone()):
        raise MigrationError(f"a row of {broken[0]} would refer to none of {broken[2]}{_STILL}")


def _bring_up(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    for statements in schema.migrations[version:]:
        version += 1
        try:
            for statement in statements:
                connection.execute(statement)
        except sqlite3.Error as error:
            raise MigrationError(
                f"its {schema.room} tables cannot be brought to version {version}: {error}{_STILL}"
            ) from error
    connection.execute(
        "INSERT INTO schema_versions VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET version = excluded.version",
        (schema.room, version),
    )
