"""Where the records of phone calls are kept: a table of the server's database.

A record is one JSON text, beside the columns that it is looked up by. `label` names the process
that has the call (`w0-3001`, …), so that a process that starts again knows which calls it had when
it died. Two tables: the calls, and the keys that clients gave with their requests
(`Idempotency-Key`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import attrs
import trio
from attrs import define, field, frozen

from vantum.core.call_status import CallStatus
from vantum.storage.database import Database
from vantum.storage.migrations import Migration, Schema
from vantum.telephony.record import CallRecord

_VERSION_1: Final[Migration] = (
    """CREATE TABLE IF NOT EXISTS phone_calls (
        id TEXT PRIMARY KEY,
        label TEXT NOT NULL,
        sid TEXT NOT NULL,
        created_s REAL NOT NULL,
        saved_s REAL NOT NULL,
        status TEXT NOT NULL,
        is_over INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS phone_calls_by_time ON phone_calls (created_s, id)",
    "CREATE INDEX IF NOT EXISTS phone_calls_by_sid ON phone_calls (sid)",
    "CREATE INDEX IF NOT EXISTS phone_calls_live ON phone_calls (is_over) WHERE is_over = 0",
    """CREATE TABLE IF NOT EXISTS phone_call_keys (
        key TEXT PRIMARY KEY,
        request_hash TEXT NOT NULL,
        call_id TEXT NOT NULL,
        created_s REAL NOT NULL
    ) STRICT""",
)
SCHEMA: Final = Schema("calls", (_VERSION_1,))

#: A live call's record is saved more often than that: one that is older has no process any more.
ABANDONED_S: Final = 300.0
#: So long a client may try again with the same key.
_KEYS_KEPT_S: Final = 86_400.0
#: A key whose call has no record yet: its request is under way, or its process died before it.
_KEY_PENDING_S: Final = 120.0
STOPPED: Final = "server stopped"


@frozen
class KeyTaken:
    """The key was used before. `record` None: by a request that is still under way."""

    same_request: bool
    record: CallRecord | None


@define(eq=False)
class _Batch:
    """Records that are written together: by call, each as it was when it was handed in last."""

    rows: dict[str, tuple[CallRecord, float]] = field(factory=dict)
    done: trio.Event = field(factory=trio.Event)
    error: Exception | None = None


@define(eq=False)
class CallRecords:
    """The records, in `database`. `label` is this process's."""

    database: Database
    label: str
    _next: _Batch = field(factory=_Batch, init=False)
    _writing: trio.Lock = field(factory=trio.Lock, init=False)

    async def save(self, record: CallRecord, now_s: float) -> None:
        """Keep the record as it is now; raises `StorageError`.

        A transaction waits for the disk. While one does, the records of all calls that change
        gather, and the next one has them all: many calls need no more transactions than a few.
        """
        batch = self._next
        is_first = not batch.rows
        batch.rows[record.id] = record, now_s
        if is_first:
            # Others may rely on it, so it is done even if this caller has gone.
            with trio.CancelScope(shield=True):
                await self._write(batch)
        await batch.done.wait()
        if batch.error is not None:
            raise batch.error

    async def _write(self, batch: _Batch) -> None:
        async with self._writing:
            self._next = _Batch()
            try:
                await self.database.run(partial(_save, self.label, tuple(batch.rows.values())))
            except Exception as error:
                batch.error = error
            finally:
                batch.done.set()

    async def get(self, call_id: str) -> CallRecord | None:
        """The record of that id, as it was saved last. Raises `StorageError`."""
        return await self.database.run(lambda connection: _record(connection, call_id))

    async def had_session(self, call_sid: str) -> bool:
        """Whether the telephone company's call has had its session, in whichever process.

        Raises `StorageError`.
        """
        return await self.database.run(
            lambda connection: bool(
                connection.execute(
                    "SELECT 1 FROM phone_calls WHERE sid = ? "
                    "AND json_extract(body, '$.sessionId') IS NOT NULL",
                    (call_sid,),
                ).fetchone()
            )
        )

    async def list(
        self, *, status: CallStatus | None, limit: int, before: CallRecord | None
    ) -> tuple[CallRecord, ...]:
        """Records, newest first. `before`: only older ones than this. Raises `StorageError`."""
        where, values = ["1"], list[object]()
        if status is not None:
            where.append("status = ?")
            values.append(status)
        if before is not None:
            where.append("(created_s, id) < (?, ?)")
            values += [before.created_s, before.id]

        def read(connection: sqlite3.Connection) -> Sequence[tuple[str]]:
            return connection.execute(
                f"SELECT body FROM phone_calls WHERE {' AND '.join(where)} "  # noqa: S608 (ours)
                "ORDER BY created_s DESC, id DESC LIMIT ?",
                (*values, limit),
            ).fetchall()

        return tuple(_parsed(body) for (body,) in await self.database.run(read))

    async def close_abandoned(self, now_s: float, former: str = "") -> int:
        """Calls that no process has any more have failed: this label's, whose process is new, and
        any that was not saved for long. Gives how many there were. Raises `StorageError`.

        `former`: what an earlier version called a process like this one.
        """

        def close(connection: sqlite3.Connection) -> int:
            found = connection.execute(
                "SELECT body FROM phone_calls "
                "WHERE is_over = 0 AND (label IN (?, ?) OR saved_s < ?)",
                (self.label, former or self.label, now_s - ABANDONED_S),
            ).fetchall()
            for (body,) in found:
                record = _stopped(_parsed(body), now_s)
                connection.execute(
                    "UPDATE phone_calls SET saved_s = ?, status = ?, is_over = 1, body = ? "
                    "WHERE id = ?",
                    (now_s, record.status, json.dumps(record.to_json()), record.id),
                )
            return len(found)

        return await self.database.run(close)

    # ------------------------------------------------------------ keys of requests

    async def take_key(
        self, key: str, request_hash: str, call_id: str, now_s: float
    ) -> KeyTaken | None:
        """Take a client's key for the call that is about to be made; None: it was free."""

        def take(connection: sqlite3.Connection) -> KeyTaken | None:
            connection.execute(
                "DELETE FROM phone_call_keys WHERE created_s < ?", (now_s - _KEYS_KEPT_S,)
            )
            found = connection.execute(
                "SELECT request_hash, call_id, created_s FROM phone_call_keys WHERE key = ?",
                (key,),
            ).fetchone()
            if found is not None:
                before_hash, before_id, since_s = found
                record = _record(connection, before_id)
                if record is not None or since_s > now_s - _KEY_PENDING_S:
                    return KeyTaken(before_hash == request_hash, record)
            connection.execute(
                "INSERT OR REPLACE INTO phone_call_keys VALUES (?, ?, ?, ?)",
                (key, request_hash, call_id, now_s),
            )
            return None

        return await self.database.run(take)

    async def give_back_key(self, key: str, call_id: str) -> None:
        """Nothing was dialled for this key: it may be used again."""

        def delete(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM phone_call_keys WHERE key = ? AND call_id = ?", (key, call_id)
            )

        await self.database.run(delete)


def _save(
    label: str, rows: Iterable[tuple[CallRecord, float]], connection: sqlite3.Connection
) -> None:
    connection.executemany(
        "INSERT INTO phone_calls VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET sid = excluded.sid, saved_s = excluded.saved_s, "
        "status = excluded.status, is_over = excluded.is_over, body = excluded.body",
        (
            (
                record.id,
                label,
                record.sid,
                record.created_s,
                now_s,
                record.status,
                record.is_over,
                json.dumps(record.to_json()),
            )
            for record, now_s in rows
        ),
    )


def _record(connection: sqlite3.Connection, call_id: str) -> CallRecord | None:
    found = connection.execute("SELECT body FROM phone_calls WHERE id = ?", (call_id,)).fetchone()
    return None if found is None else _parsed(found[0])


def _parsed(body: str) -> CallRecord:
    return CallRecord.from_json(json.loads(body))


def _stopped(record: CallRecord, now_s: float) -> CallRecord:
    # When it ended nobody knows any more.
    return attrs.evolve(
        record, status="failed", outcome="failed", ended_because=STOPPED, ended_s=now_s
    )
