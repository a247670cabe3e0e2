"""Who wants to be called back, and when: a table of the server's database.

A wish is taken up once, by whoever comes first: a campaign whose list has the number, or
`vantum-actors callbacks run`. Whether the call may be made is asked when it is dialled, by the
permit; the wish itself permits nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Literal, TypeAlias

import attrs
from attrs import define, field, frozen

from vantum.core.events import Prospect
from vantum.core.prompts import CALLBACK_NOTE, MAX_EXTRA
from vantum.storage.database import Database
from vantum.storage.migrations import Migration, Schema

#: `waiting`: nobody has taken it up. `taken`: somebody has, and will call or has called.
CallbackState: TypeAlias = Literal["waiting", "taken", "cancelled"]

_VERSION_1: Final[Migration] = (
    """CREATE TABLE IF NOT EXISTS callbacks (
        id TEXT PRIMARY KEY,
        number TEXT NOT NULL,
        at_s REAL NOT NULL,
        wanted TEXT NOT NULL,
        note TEXT NOT NULL,
        prospect TEXT NOT NULL,
        call_id TEXT NOT NULL,
        campaign_id TEXT NOT NULL,
        script TEXT NOT NULL,
        state TEXT NOT NULL,
        created_s REAL NOT NULL,
        changed_s REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX IF NOT EXISTS callbacks_waiting ON callbacks (at_s) WHERE state = 'waiting'",
)
SCHEMA: Final = Schema("callbacks", (_VERSION_1,))
_COLUMNS: Final = (
    "id, number, at_s, wanted, note, prospect, call_id, campaign_id, script, state, created_s"
)


@frozen
class Callback:
    """Somebody wants to be called at that time.

    Attributes:
        at_s: when, in seconds since 1970; `wanted`: the same as it was said, with its offset from
            UTC, such as 2026-03-31T14:30:00-05:00.
        note: what it is about, for who calls.
        call_id: the call in which it was agreed upon; `campaign_id` and `script` are that call's.
    """

    id: str
    number: str
    at_s: float
    wanted: str = ""
    note: str = ""
    prospect: Prospect = Prospect()
    call_id: str = ""
    campaign_id: str = ""
    script: str = ""
    state: CallbackState = "waiting"
    created_s: float = 0.0


def with_note(prospect: Prospect, note: str) -> Prospect:
    """Who is called back, with what was agreed upon among what is known of him: the model has it as
    data, and prompts and scripts as `{{prospect.extra.callback_note}}`."""
    if not note:
        return prospect
    # A form has room for so many; this one is what the call is about.
    others = [name for name in prospect.extra if name != CALLBACK_NOTE][: MAX_EXTRA - 1]
    extra = {name: prospect.extra[name] for name in others}
    return attrs.evolve(prospect, extra={**extra, CALLBACK_NOTE: note})


def _row(callback: Callback, now_s: float) -> tuple[object, ...]:
    about = {k: v for k, v in attrs.asdict(callback.prospect).items() if v}
    return (
        callback.id,
        callback.number,
        callback.at_s,
        callback.wanted,
        callback.note,
        json.dumps(about),
        callback.call_id,
        callback.campaign_id,
        callback.script,
        callback.state,
        now_s,
        now_s,
    )


def _read(row: Sequence[object]) -> Callback:
    values = dict(zip((name.strip() for name in _COLUMNS.split(",")), row, strict=True))
    values["prospect"] = Prospect(**json.loads(str(values["prospect"])))
    return Callback(**values)  # type: ignore[arg-type]


@define(eq=False)
class Callbacks:
    """The wishes, in `database`. All methods raise `StorageError`. `now_s`: seconds since 1970."""

    database: Database
    now_s: Callable[[], float]
    new_id: Callable[[], str] = field(kw_only=True)

    async def add(
        self, number: str, at: datetime, note: str, *, prospect: Prospect, **about: str
    ) -> Callback:
        """Note a wish; one that the same call has noted before is replaced.

        Args:
            at: with its offset from UTC.
            about: `call_id`, `campaign_id`, `script`: see `Callback`.
        """
        now_s = self.now_s()
        callback = Callback(
            self.new_id(),
            number,
            at.timestamp(),
            at.isoformat(),
            note,
            prospect,
            created_s=now_s,
            **about,  # type: ignore[arg-type]
        )

        def work(connection: sqlite3.Connection) -> None:
            if callback.call_id:
                connection.execute(
                    "UPDATE callbacks SET state = 'cancelled', changed_s = ? "
                    "WHERE call_id = ? AND state = 'waiting'",
                    (now_s, callback.call_id),
                )
            marks = ", ".join("?" * 12)
            connection.execute(f"INSERT INTO callbacks VALUES ({marks})", _row(callback, now_s))  # noqa: S608 (ours)

        await self.database.run(work)
        return callback

    async def list(
        self, *states: CallbackState, due_s: float | None = None
    ) -> tuple[Callback, ...]:
        """Wishes in these states (none: all), soonest first; `due_s`: only those due by then."""
        where = [f"state IN ({', '.join('?' * len(states))})"] if states else []
        values: list[object] = list(states)
        if due_s is not None:
            where.append("at_s <= ?")
            values.append(due_s)
        query = f"SELECT {_COLUMNS} FROM callbacks WHERE {' AND '.join(where) or '1'} "  # noqa: S608 (ours)
        rows = await self.database.run(
            lambda c: c.execute(query + "ORDER BY at_s, id", values).fetchall()
        )
        return tuple(map(_read, rows))

    async def open(self) -> tuple[Callback, ...]:
        """The wishes that nobody has taken up yet, soonest first."""
        return await self.list("waiting")

    async def taken(self, callback: Callback) -> bool:
        """Take a wish up; False: somebody else was faster, or it was called off."""
        return await self._move(callback.id, "waiting", "taken")

    async def give_back(self, callback: Callback) -> bool:
        """It could not be called after all: whoever comes next may try."""
        return await self._move(callback.id, "taken", "waiting")

    async def cancel(self, callback_id: str) -> bool:
        """Call a wish off; False: there is none of that id that waits."""
        return await self._move(callback_id, "waiting", "cancelled")

    async def _move(self, callback_id: str, before: CallbackState, after: CallbackState) -> bool:
        values = (after, self.now_s(), callback_id, before)
        changed: int = await self.database.run(
            lambda c: (
                c.execute(
                    "UPDATE callbacks SET state = ?, changed_s = ? WHERE id = ? AND state = ?",
                    values,
                ).rowcount
            )
        )
        return changed == 1
