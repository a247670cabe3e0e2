"""One SQLite file for all rooms and all processes of a server.

Each room brings its own tables (`storage.migrations`). Work is a function of the connection and is
one transaction: `await database.run(lambda c: c.execute(...).fetchall())`.

The file is in WAL mode: readers never wait, and writers of several processes wait for each other.
Transactions take the write lock at once (BEGIN IMMEDIATE), so what a transaction has read is still
true when it writes: two processes cannot both take the last of something.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import trio
from attrs import define, field

from vantum.config.storage import IN_MEMORY
from vantum.errors import ConfigError, StorageError
from vantum.storage.migrations import MigrationError, Schema, migrate, newer_tables
from vantum.storage.users import register

__all__ = ["IN_MEMORY", "Database", "open_database"]

T = TypeVar("T")

#: How long a transaction waits for another process's; ours take milliseconds.
_BUSY_S: Final = 5.0
#: How long opening waits for a process that brings a large file up to date.
_OPENING_S: Final = 30.0
#: Pause between attempts at what SQLite's own waiting does not cover: the switch to WAL.
_RETRY_S: Final = 0.02
#: With less than this, a disk is full: a transaction of ours takes some pages of 4 KiB.
_LEAST_FREE_BYTES: Final = 1 << 17
#: Mistakes of the caller's SQL, or a conflict that the caller wants to see as what it is.
_CALLERS: Final = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


@define(eq=False)
class Database:
    """An open database, used by one thread at a time.

    In memory it runs in the event loop itself: nothing of it blocks, and a virtual clock does not
    run ahead as it would while a thread works.
    """

    _connection: sqlite3.Connection
    _name: str
    _is_inline: bool
    _schemas: Sequence[Schema] = ()
    #: Changes with any table of the file.
    _seen: int = field(default=-1, init=False)
    _limiter: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, 1), init=False)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction: all of it is kept, or, if it raises, nothing.

        A cancelled caller that waits for its turn leaves nothing behind; a transaction that has
        begun is finished.

        Raises:
            StorageError: the database failed, or another process kept it locked for 5 s.
            sqlite3.IntegrityError: a constraint of a table is violated.
        """
        if self._is_inline:
            await trio.lowlevel.checkpoint()
            return self._transaction(work)
        return await trio.to_thread.run_sync(self._transaction, work, limiter=self._limiter)

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _translated(self._name):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_tables()
                done = work(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            return done

    def _check_tables(self) -> None:
        """See that no newer program has changed them meanwhile: ours would write what that one
        takes for something else. It refuses to while we have the file open; but locks may be
        unknown to a file system, or their file removed."""
        (now,) = self._connection.execute("PRAGMA schema_version").fetchone()
        if now == self._seen:
            return
        if rooms := newer_tables(self._connection, self._schemas):
            raise StorageError(
                f"the database {self._name} was changed by a newer version of Vantum ({rooms}): "
                "stop this process, and run that version"
            )
        self._seen = now


@asynccontextmanager
async def open_database(path: str | Path, schemas: Sequence[Schema]) -> AsyncIterator[Database]:
    """A database with the tables of these rooms, up to date, closed at the end.

    Args:
        path: its file, made with its directory if it is not there, or ":memory:".

    Raises:
        ConfigError: it cannot be opened, is not a database, a newer program has written it, or it
            has to be changed while others use it; names the setting `storage.path`.
    """
    is_inline = str(path) == IN_MEMORY
    limiter = trio.CapacityLimiter(1)
    with ExitStack() as closing:
        if is_inline:
            connection = _open(IN_MEMORY, schemas, closing)
        else:
            connection = await trio.to_thread.run_sync(
                _open, str(path), schemas, closing, limiter=limiter
            )
        yield Database(connection, str(path), is_inline, schemas)


def _open(path: str, schemas: Sequence[Schema], closing: ExitStack) -> sqlite3.Connection:
    try:
        if path != IN_MEMORY:
            # What is in there (numbers, consents, what was said) is nobody else's business.
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Only if it is new: whoever closes a file loses all locks that his process has on it
            # (POSIX), those of SQLite's other connections too.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        # Whoever holds the limiter's one token may use it, so the thread may change.
        connection = sqlite3.connect(
            path, timeout=_OPENING_S, isolation_level=None, check_same_thread=False
        )
        closing.callback(connection.close)
        _prepare(connection, schemas, path, closing)
    except MigrationError as error:
        raise ConfigError(
            f"storage.path={path}: the database cannot be used, and is as it was: {error}"
        ) from None
    except (OSError, sqlite3.Error) as error:
        advice = _advice(error, path) or "VANTUM_DATABASE must name a file that can be written"
        raise ConfigError(
            f"storage.path={path}: the database cannot be opened: {_reason(error)} ({advice})"
        ) from None
    return connection


def _prepare(
    connection: sqlite3.Connection, schemas: Sequence[Schema], path: str, closing: ExitStack
) -> None:
    until_s = time.monotonic() + _OPENING_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            # Two processes that open a new file at once: the switch does not wait, so we do.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until_s:
                raise
            time.sleep(_RETRY_S)
    # An opt-out that was confirmed must survive a power cut: WAL's default would lose the last.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=OFF")
    users = None
    if path != IN_MEMORY:  # not beside what is no database
        users = register(path)
        closing.callback(users.leave)
    migrate(connection, schemas, users)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA busy_timeout={_BUSY_S * 1000:.0f}")


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except _CALLERS:
        raise
    except sqlite3.Error as error:
        advice = _advice(error, name)
        more = f" ({advice})" if advice else ""
        raise StorageError(f"the database {name} failed: {_reason(error)}{more}") from error


def _reason(error: OSError | sqlite3.Error) -> str:
    return (error.strerror if isinstance(error, OSError) else str(error)) or "unknown reason"


def _advice(error: OSError | sqlite3.Error, path: str) -> str:
    """What somebody can do about it; empty: nobody knows."""
    if isinstance(error, OSError):
        is_full, is_closed = error.errno in (errno.ENOSPC, errno.EDQUOT), False
    else:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # above it are details
        # Where there is no room for what lies beside the file, SQLite says that the disk failed.
        is_full = code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path))
        is_closed = code == sqlite3.SQLITE_READONLY
    if is_full:
        return f"make room on the disk of {Path(path).parent}"
    return f"this user must be able to write it and into {Path(path).parent}" if is_closed else ""


def _is_full(path: str) -> bool:
    with suppress(OSError):
        return shutil.disk_usage(Path(path).parent).free < _LEAST_FREE_BYTES
    return False
