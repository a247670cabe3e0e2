"""Files of other versions: older ones are brought up to date, newer ones left alone."""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from tests.patience import HANG_S
from vantum.campaigns import tables
from vantum.campaigns.tables import campaign_of, prospect_of
from vantum.compliance import check, store
from vantum.errors import ConfigError, StorageError
from vantum.storage.database import open_database
from vantum.storage.migrations import Migration, Schema
from vantum.telephony import callbacks, records
from vantum.telephony.callbacks import Callbacks
from vantum.telephony.records import CallRecords

ROOMS = (check.SCHEMA, records.SCHEMA, callbacks.SCHEMA, tables.SCHEMA)
#: A file as the program made it before it kept versions, a row in each of its tables.
UNVERSIONED = Path(__file__).with_name("unversioned.sql")

PEOPLE: Migration = (
    "CREATE TABLE IF NOT EXISTS people (name TEXT PRIMARY KEY, age INTEGER) STRICT",
    """CREATE TABLE IF NOT EXISTS cats (
        name TEXT PRIMARY KEY, owner TEXT NOT NULL REFERENCES people(name)
    ) STRICT""",
)
#: A table made anew while rows of another refer to it, as SQLite wants it for most changes.
BORN: Migration = (
    "CREATE TABLE more_people (name TEXT PRIMARY KEY, born INTEGER NOT NULL) STRICT",
    "INSERT INTO more_people SELECT name, 2026 - age FROM people",
    "DROP TABLE people",
    "ALTER TABLE more_people RENAME TO people",
)
FIRST = Schema("people", (PEOPLE,))
SECOND = Schema("people", (PEOPLE, BORN))
OTHERS = Schema("others", (("CREATE TABLE others (x)",),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vantum.sqlite3"


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def everything(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def versions(path: Path) -> dict[object, object]:
    return dict(ask(path, "SELECT room, version FROM schema_versions"))  # type: ignore[arg-type]


async def opened(path: Path, *schemas: Schema) -> None:
    async with open_database(path, schemas):
        pass


async def with_ann(path: Path) -> None:
    """A file of the first version, with a person and what refers to her."""
    async with open_database(path, [FIRST]) as database:
        await database.run(lambda c: c.execute("INSERT INTO people VALUES ('Ann', 26)"))
        await database.run(lambda c: c.execute("INSERT INTO cats VALUES ('Tom', 'Ann')"))


async def test_a_new_file_gets_all_and_an_old_one_what_it_lacks(path: Path, tmp_path: Path) -> None:
    await opened(tmp_path / "new", SECOND)
    await with_ann(path)
    assert versions(path) == {"people": 1}
    async with open_database(path, [SECOND]) as database:
        # They are enforced again once all is in place.
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await database.run(lambda c: c.execute("INSERT INTO cats VALUES ('Kit', 'Bob')"))
    assert versions(path) == versions(tmp_path / "new") == {"people": 2}
    assert ask(path, "SELECT * FROM people") == [("Ann", 2000)]
    assert ask(path, "SELECT * FROM cats") == [("Tom", "Ann")]
    before = everything(path)
    await opened(path, SECOND)
    assert everything(path) == before


async def test_rooms_go_their_own_ways(path: Path) -> None:
    await opened(path, FIRST, OTHERS)
    await opened(path, SECOND)
    assert versions(path) == {"people": 2, "others": 1}
    await opened(path, OTHERS)
    assert versions(path) == {"people": 2, "others": 1}


async def test_a_newer_file_is_left_alone(path: Path) -> None:
    await opened(path, SECOND)
    before = everything(path)
    with pytest.raises(ConfigError) as raised:
        await opened(path, OTHERS, FIRST)
    assert str(raised.value) == (
        f"storage.path={path}: the database cannot be used, and is as it was: a newer version of "
        "Vantum has written it (its people tables have version 2, this program knows 1); run that "
        "version or a later one, or have VANTUM_DATABASE name another file"
    )
    assert everything(path) == before


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("INSERT INTO people SELECT name, born FROM people", "UNIQUE constraint failed"),
        ("DELETE FROM people", "a row of cats would refer to none of people"),
    ],
    ids=["fails", "leaves rows alone that others refer to"],
)
async def test_a_migration_that_fails_changes_nothing(path: Path, statement: str, why: str) -> None:
    await with_ann(path)
    before = everything(path)
    third = Schema("people", (PEOPLE, BORN, (statement,)))
    with pytest.raises(ConfigError, match=f"is as it was: .*{why}.*can still use it"):
        await opened(path, OTHERS, third)
    assert everything(path) == before
    await opened(path, SECOND)
    assert ask(path, "SELECT * FROM people") == [("Ann", 2000)]


#: Opens a file as a program with these migrations would.
PROCESS = """
import json, sys, trio
from vantum.storage.database import open_database
from vantum.storage.migrations import Schema
migrations = tuple(tuple(each) for each in json.loads(sys.argv[2]))
async def main():
    async with open_database(sys.argv[1], [Schema("people", migrations)]):
        pass
trio.run(main)
"""


@contextmanager
def processes(path: Path, number: int, *migrations: Migration) -> Iterator[list[Popen[bytes]]]:
    """So many that open the file at once; none is left behind."""
    command = [sys.executable, "-c", PROCESS, str(path), json.dumps(migrations)]
    with ExitStack() as stack:
        started = []
        for _ in range(number):
            started.append(stack.enter_context(Popen(command, stderr=PIPE)))
            stack.callback(started[-1].kill)
        yield started


def is_locked(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        return False


async def test_a_process_that_is_killed_between_two_migrations(path: Path) -> None:
    await with_ann(path)
    before = everything(path)
    endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) "
    endless += "INSERT INTO cats SELECT 'cat ' || i, 'Ann' FROM n"
    with processes(path, 1, PEOPLE, BORN, (endless,)) as (process,):
        deadline_s = time.monotonic() + HANG_S
        # It has the lock from the first of them on.
        while not is_locked(path):
            assert process.poll() is None
            assert time.monotonic() < deadline_s
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=HANG_S)
    assert process.returncode == -signal.SIGKILL
    assert everything(path) == before
    await opened(path, SECOND)
    assert ask(path, "SELECT * FROM people") == [("Ann", 2000)]


#: Has a file open as a program with these migrations would, until its input ends.
WAITING = PROCESS.replace("pass", "print(flush=True); sys.stdin.read()")


@contextmanager
def running(path: Path, *migrations: Migration) -> Iterator[Popen[bytes]]:
    """A process that has the file open, and is killed in the end."""
    command = [sys.executable, "-c", WAITING, str(path), json.dumps(migrations)]
    with Popen(command, stdin=PIPE, stdout=PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
            yield process
        finally:
            process.kill()


async def test_tables_are_not_changed_under_a_running_process(path: Path) -> None:
    await with_ann(path)
    with running(path, PEOPLE) as process:
        before = everything(path)
        with pytest.raises(ConfigError) as raised:
            await opened(path, SECOND)
        assert str(raised.value) == (
            f"storage.path={path}: the database cannot be used, and is as it was: this version of "
            f"Vantum has to change its people tables, and process {process.pid} of an earlier one "
            "still has it open: stop all that use it first"
        )
        assert everything(path) == before
        # Those who know the same tables, and rooms that were not there, are in nobody's way.
        await opened(path, FIRST, OTHERS)
    await opened(path, SECOND)
    assert versions(path) == {"people": 2, "others": 1}


async def test_by_another_name_it_is_the_same_file(path: Path) -> None:
    await with_ann(path)
    link = path.with_name("link")
    link.symlink_to(path)
    async with open_database(link, [FIRST]):
        with pytest.raises(ConfigError, match="still has it open"):
            await opened(path, SECOND)
    await opened(path, SECOND)


async def test_where_nobody_can_tell_who_has_it_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vantum.storage.users._LOCKS", path.with_name("not-there"))
    await with_ann(path)
    async with open_database(path, [FIRST]):
        with pytest.raises(ConfigError, match="another process of an earlier one"):
            await opened(path, SECOND)


async def test_a_process_whose_tables_were_changed_all_the_same_writes_nothing(path: Path) -> None:
    """Somebody has removed what it holds its lock on."""
    await with_ann(path)
    async with open_database(path, [FIRST]) as database:
        path.with_name(path.name + "-users").unlink()
        await opened(path, OTHERS)
        await database.run(lambda c: c.execute("INSERT INTO people VALUES ('Bob', 30)"))
        await opened(path, SECOND)
        for _ in range(2):
            with pytest.raises(StorageError) as raised:
                await database.run(lambda c: c.execute("INSERT INTO people VALUES ('Cy', 40)"))
            assert str(raised.value) == (
                f"the database {path} was changed by a newer version of Vantum (its people tables "
                "have version 2, this program knows 1): stop this process, and run that version"
            )
    assert ask(path, "SELECT name FROM people") == [("Ann",), ("Bob",)]


async def test_several_processes_migrate_a_file_once(path: Path) -> None:
    await with_ann(path)
    # Twice, the second of these would fail or count the year twice.
    grown: Migration = ("ALTER TABLE people ADD COLUMN seen INTEGER NOT NULL DEFAULT 0",)
    seen: Migration = ("UPDATE people SET seen = seen + 1",)
    with processes(path, 3, PEOPLE, BORN, grown, seen) as started:
        for process in started:
            _, complaint = process.communicate(timeout=HANG_S)
            assert process.returncode == 0, complaint.decode()
    assert versions(path) == {"people": 4}
    assert ask(path, "SELECT * FROM people") == [("Ann", 2000, 1)]


async def test_a_file_from_before_there_were_versions(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(UNVERSIONED.read_text("utf-8"))
    before = everything(path)
    await opened(path, *(Schema(room.room, room.migrations[:1]) for room in ROOMS))
    assert set(before) < set(everything(path))
    assert versions(path) == {room.room: 1 for room in ROOMS}
    async with open_database(path, ROOMS) as database:
        assert versions(path) == {room.room: room.version for room in ROOMS}
        assert await database.run(lambda c: store.is_blocked(c, "+12125550109"))
        (consent,) = await database.run(lambda c: store.consents(c, "+12125550101"))
        assert consent.scope == "any"
        record = await CallRecords(database, "w0").get("w0-1")
        assert record is not None
        assert (record.outcome, record.turns[0].said) == ("callback", "Hello")
        wishes = Callbacks(database, time.time, new_id=str)
        (wish,) = await wishes.list("waiting")
        assert (wish.number, wish.note) == ("+12125550101", "the quote")
        saved = await database.run(lambda c: campaign_of(c, "spring"))
        assert saved is not None
        assert saved.calls_that_day == 1
        prospect = await database.run(lambda c: prospect_of(c, "spring", "+12125550101"))
        assert prospect.name == "Ann Óg"
