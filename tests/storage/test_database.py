"""The database: transactions, several processes, and files that are none."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio

from tests.patience import HANG_S
from vantum.config.storage import StorageSettings
from vantum.errors import ConfigError, StorageError
from vantum.storage import database as database_module
from vantum.storage.database import IN_MEMORY, open_database
from vantum.storage.migrations import Schema

STATEMENT = "CREATE TABLE IF NOT EXISTS numbers (n INTEGER PRIMARY KEY) STRICT"
SCHEMA = Schema("numbers", ((STATEMENT,),))


def everything(connection: sqlite3.Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


def insert(connection: sqlite3.Connection, n: int) -> None:
    connection.execute("INSERT INTO numbers VALUES (?)", (n,))


@pytest.fixture(params=["file", IN_MEMORY])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    return tmp_path / "deep" / "vantum.sqlite3" if request.param == "file" else IN_MEMORY


async def test_a_transaction_is_all_or_nothing(where: str | Path) -> None:
    async with open_database(where, [SCHEMA]) as database:
        await database.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))

        def half(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO numbers VALUES (2)")
            raise RuntimeError("half-way")

        with pytest.raises(RuntimeError, match="half-way"):
            await database.run(half)
        with pytest.raises(sqlite3.IntegrityError):
            await database.run(lambda c: c.execute("INSERT INTO numbers VALUES (1)"))
        with pytest.raises(StorageError, match="no such table: letters"):
            await database.run(lambda c: c.execute("SELECT * FROM letters"))
        assert await database.run(everything) == [1]


async def test_many_tasks_take_turns(where: str | Path) -> None:
    async with open_database(where, [SCHEMA]) as database:

        def next_one(connection: sqlite3.Connection) -> None:
            (most,) = connection.execute("SELECT coalesce(max(n), 0) FROM numbers").fetchone()
            connection.execute("INSERT INTO numbers VALUES (?)", (most + 1,))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(database.run, next_one)
        assert await database.run(everything) == list(range(1, 21))


async def test_it_is_kept_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "vantum.sqlite3"
    async with open_database(path, [SCHEMA]) as database:
        await database.run(lambda c: c.execute("INSERT INTO numbers VALUES (7)"))
    assert path.stat().st_mode & 0o077 == 0
    async with open_database(
        path, [SCHEMA, Schema("more", (("CREATE TABLE more (x)",),))]
    ) as database:
        assert await database.run(everything) == [7]
        assert await database.run(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)


async def test_in_memory_it_runs_where_it_is_asked() -> None:
    async with open_database(IN_MEMORY, ()) as database:
        assert await database.run(lambda _: threading.current_thread()) is threading.main_thread()


async def test_a_cancelled_task_that_waits_changes_nothing(tmp_path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def slowly(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (1)")
        began.set()
        assert go_on.wait(HANG_S)

    async with open_database(tmp_path / "x.sqlite3", [SCHEMA]) as database:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as waiting:
                nursery.start_soon(database.run, slowly)
                await trio.to_thread.run_sync(began.wait, HANG_S)
                waiting.cancel()
                await database.run(lambda c: c.execute("INSERT INTO numbers VALUES (2)"))
            go_on.set()
        assert await database.run(everything) == [1]


async def test_a_lock_that_somebody_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vantum.storage.database._BUSY_S", 0.02)
    path = tmp_path / "x.sqlite3"
    async with open_database(path, [SCHEMA]) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="database is locked"):
            await database.run(everything)
        other.execute("ROLLBACK")
        other.close()
        assert await database.run(everything) == []


@pytest.mark.parametrize("kind", ["directory", "text", "below a file"])
async def test_files_that_cannot_be_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    else:
        path.write_text("this is no database, and long enough to be sure of it " * 20)
    if kind == "below a file":
        path = path / "y"
    with pytest.raises(ConfigError, match=r"storage\.path=.*cannot be opened: .*VANTUM_DATABASE"):
        async with open_database(path, [SCHEMA]):
            raise AssertionError


def test_several_processes_open_and_write_a_new_file(tmp_path: Path) -> None:
    script = """
import sys, trio
from vantum.storage.database import open_database
from vantum.storage.migrations import Schema
def take(c):
    (n,) = c.execute("SELECT count(*) FROM numbers").fetchone()
    c.execute("INSERT INTO numbers VALUES (?)", (n,))
async def main():
    async with open_database(sys.argv[1], [Schema('numbers', ((sys.argv[2],),))]) as database:
        for _ in range(50):
            await database.run(take)
trio.run(main)
"""
    path = tmp_path / "x.sqlite3"
    command = [sys.executable, "-c", script, str(path), STATEMENT]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        _, complaint = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, complaint.decode()
    connection = sqlite3.connect(path)
    assert everything(connection) == list(range(150))
    connection.close()


async def test_opened_twice_in_a_process_it_is_not_another_processs_to_tidy_up(
    tmp_path: Path,
) -> None:
    """A process that closes the last connection removes the log of what is not in the file yet: no
    other may believe to be the last."""
    path = tmp_path / "db"
    look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); "
    look += "print(c.execute('SELECT count(*) FROM numbers').fetchone()[0]); c.close()"
    async with open_database(path, [SCHEMA]) as one, open_database(path, [SCHEMA]) as other:
        for n, database in enumerate((one, other, one)):
            await database.run(partial(insert, n=n))
            seen = await trio.run_process(
                [sys.executable, "-c", look, str(path)], capture_stdout=True
            )
            assert int(seen.stdout) == n + 1
            assert (tmp_path / "db-wal").exists()
        assert await other.run(everything) == [0, 1, 2]


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    home = tmp_path / ".local" / "share" / "vantum" / "vantum.sqlite3"
    assert StorageSettings().location == home
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert StorageSettings().file == home
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert StorageSettings().file == tmp_path / "data" / "vantum" / "vantum.sqlite3"
    assert StorageSettings(path=" ~/x.db ").file == tmp_path / "x.db"
    assert StorageSettings(path=":memory:").location == IN_MEMORY


# ---------------------------------------------------------------- full and read-only disks


def fill(connection: sqlite3.Connection) -> None:
    """From here on the disk is full."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")


def write_much(connection: sqlite3.Connection) -> None:
    connection.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(10, 10_000)))


async def test_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "vantum.sqlite3"
    async with open_database(path, [SCHEMA]) as database:
        await database.run(partial(insert, n=1))
        await database.run(fill)
        with pytest.raises(StorageError) as caught:
            await database.run(write_much)
        assert str(caught.value) == (
            f"the database {path} failed: database or disk is full "
            f"(make room on the disk of {tmp_path})"
        )
        assert await database.run(everything) == [1]
        await database.run(lambda c: c.execute("PRAGMA max_page_count = 1000000"))
        await database.run(partial(insert, n=2))
        assert await database.run(everything) == [1, 2]


async def test_a_file_that_may_not_be_written_any_more(tmp_path: Path) -> None:
    path = tmp_path / "vantum.sqlite3"
    async with open_database(path, [SCHEMA]) as database:
        await database.run(lambda c: c.execute("PRAGMA query_only = ON"))
        with pytest.raises(StorageError) as caught:
            await database.run(partial(insert, n=1))
    assert str(caught.value) == (
        f"the database {path} failed: attempt to write a readonly database "
        f"(this user must be able to write it and into {tmp_path})"
    )


async def test_there_is_no_room_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vantum.sqlite3"

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(ConfigError) as caught:
            async with open_database(path, [SCHEMA]):
                pass
    assert str(caught.value) == (
        f"storage.path={path}: the database cannot be opened: No space left on device "
        f"(make room on the disk of {tmp_path})"
    )


@pytest.mark.parametrize(
    ("free_bytes", "advice"),
    [(0, "make room on the disk of"), (1 << 30, "VANTUM_DATABASE must name a file")],
)
async def test_no_room_beside_it(
    free_bytes: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite says then does not tell a full disk from a broken one."""

    def failing(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
        raise error

    monkeypatch.setattr(database_module, "migrate", failing)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_bytes))
    with pytest.raises(ConfigError, match=rf"cannot be opened: disk I/O error \({advice}"):
        async with open_database(tmp_path / "vantum.sqlite3", [SCHEMA]):
            pass
