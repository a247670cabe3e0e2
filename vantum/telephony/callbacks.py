"""Who wants to be called back, and when: a table of the server's database.

A wish is taken up once, by whoever comes first: a campaign whose list has the number, or
`vantum-actors callbacks run`, through the HTTP API (`telephony.callbacks_api`) or in the file
itself. Whether the call may be made is asked when it is dialled, by the permit; the wish itself
permits nothing.

Who takes a wish up for a while only (a lease) has it until then: if he is gone, it waits again. In
the moment of dialling it becomes his for good (`claim`), in a transaction of the server's that
dials, so that whoever is late finds it another's: it is called back once at the most, whatever ends
whichever process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar

import attrs
from attrs import define, field, frozen

from vantum.core.events import Prospect
from vantum.core.prompts import CALLBACK_NOTE, MAX_EXTRA
from vantum.storage.database import Database
from vantum.storage.migrations import Migration, Schema

T = TypeVar("T")

#: `waiting`: nobody has taken it up. `taken`: somebody has, and will call or has called.
CallbackState: TypeAlias = Literal["waiting", "taken", "cancelled"]
STATES: Final[tuple[CallbackState, ...]] = ("waiting", "taken", "cancelled")

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
#: Who has taken a wish up, so that he can ask again whether it was he.
_VERSION_2: Final[Migration] = (
    "ALTER TABLE callbacks ADD COLUMN taken_by TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX callbacks_taken ON callbacks (taken_by) WHERE state = 'taken'",
)
#: Until when it is taken up (NULL: for good), and the call that was made for it.
_VERSION_3: Final[Migration] = (
    "ALTER TABLE callbacks ADD COLUMN lease_until_s REAL",
    "ALTER TABLE callbacks ADD COLUMN made_call_id TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX callbacks_leased ON callbacks (lease_until_s) WHERE lease_until_s IS NOT NULL",
)
SCHEMA: Final = Schema("callbacks", (_VERSION_1, _VERSION_2, _VERSION_3))
_COLUMNS: Final = (
    *("id", "number", "at_s", "wanted", "note", "prospect", "call_id", "campaign_id"),
    *("script", "state", "taken_by", "created_s", "lease_until_s", "made_call_id"),
)
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM callbacks "  # noqa: S608 (ours)
#: What was taken up for a while that is over waits again.
_LAPSE: Final = (
    "UPDATE callbacks SET state = 'waiting', taken_by = '', lease_until_s = NULL, changed_s = ? "
    "WHERE lease_until_s <= ?"
)
#: Taken up in that name, and not called.
_HIS: Final = "state = 'taken' AND taken_by = :by AND made_call_id = ''"
_INSERT: Final = (
    f"INSERT INTO callbacks ({', '.join(_COLUMNS)}, changed_s) "  # noqa: S608 (ours)
    f"VALUES ({', '.join('?' * (len(_COLUMNS) + 1))})"
)


@frozen
class Callback:
    """Somebody wants to be called at that time.

    Attributes:
        at_s: when, in seconds since 1970; `wanted`: the same as it was said, with its offset from
            UTC, such as 2026-03-31T14:30:00-05:00.
        note: what it is about, for who calls.
        call_id: the call in which it was agreed upon; `campaign_id` and `script` are that call's.
        taken_by: who has taken it up, as he calls himself.
        lease_until_s: until then, unless he has it called before; None: for good.
        made_call_id: the call that was made for it, or is being made; empty: none by a server that
            was told what it is for.
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
    taken_by: str = ""
    created_s: float = 0.0
    lease_until_s: float | None = None
    made_call_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """For JSON: the names above in camelCase, times as seconds since 1970 without their unit's
        suffix."""
        return {
            "id": self.id,
            "number": self.number,
            "at": self.at_s,
            "wanted": self.wanted,
            "note": self.note,
            "prospect": _about(self.prospect),
            "callId": self.call_id or None,
            "campaignId": self.campaign_id or None,
            "script": self.script or None,
            "state": self.state,
            "takenBy": self.taken_by or None,
            "takenUntil": self.lease_until_s,
            "madeCallId": self.made_call_id or None,
            "createdAt": self.created_s,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Callback:
        """What `to_json` made; fields that a later version added are passed over."""
        return cls(
            id=body["id"],
            number=body["number"],
            at_s=body["at"],
            wanted=body["wanted"],
            note=body["note"],
            prospect=Prospect(**body["prospect"]),
            call_id=body["callId"] or "",
            campaign_id=body["campaignId"] or "",
            script=body["script"] or "",
            state=body["state"],
            taken_by=body["takenBy"] or "",
            created_s=body["createdAt"],
            lease_until_s=body.get("takenUntil"),
            made_call_id=body.get("madeCallId") or "",
        )


def with_note(prospect: Prospect, note: str) -> Prospect:
    """Who is called back, with what was agreed upon among what is known of him: the model has it as
    data, and prompts and scripts as `{{prospect.extra.callback_note}}`."""
    if not note:
        return prospect
    # A form has room for so many; this one is what the call is about.
    others = [name for name in prospect.extra if name != CALLBACK_NOTE][: MAX_EXTRA - 1]
    extra = {name: prospect.extra[name] for name in others}
    return attrs.evolve(prospect, extra={**extra, CALLBACK_NOTE: note})


def _about(prospect: Prospect) -> dict[str, Any]:
    return {k: v for k, v in attrs.asdict(prospect).items() if v}


def _row(callback: Callback, now_s: float) -> tuple[object, ...]:
    values = {name: getattr(callback, name) for name in _COLUMNS}
    values["prospect"] = json.dumps(_about(callback.prospect))
    return (*values.values(), now_s)


def _read(row: Sequence[Any]) -> Callback:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["prospect"] = Prospect(**json.loads(values["prospect"]))
    return Callback(**values)


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
            connection.execute(_INSERT, _row(callback, now_s))

        await self.database.run(work)
        return callback

    async def get(self, callback_id: str) -> Callback | None:
        """The wish of that id."""
        row = await self._run(
            lambda c: c.execute(_SELECT + "WHERE id = ?", (callback_id,)).fetchone()
        )
        return None if row is None else _read(row)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """In a transaction in which no lease is over that still shows."""
        now_s = self.now_s()

        def up_to_date(connection: sqlite3.Connection) -> T:
            connection.execute(_LAPSE, (now_s, now_s))
            return work(connection)

        return await self.database.run(up_to_date)

    async def list(
        self,
        *states: CallbackState,
        number: str = "",
        campaign_id: str = "",
        taken_by: str = "",
        due_s: float | None = None,
        limit: int = -1,
        after: Callback | None = None,
    ) -> tuple[Callback, ...]:
        """Wishes, soonest first.

        Args:
            states: only those in one of them; none: any.
            number, campaign_id, taken_by: only those with the same; empty: any.
            due_s: only those due by then.
            limit: at most so many; -1: all.
            after: only those behind this one.
        """
        where, values = ["1"], list[object]()
        if states:
            where.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        same = {"number": number, "campaign_id": campaign_id, "taken_by": taken_by}
        for column, value in same.items():
            if value:
                where.append(f"{column} = ?")
                values.append(value)
        if due_s is not None:
            where.append("at_s <= ?")
            values.append(due_s)
        if after is not None:
            where.append("(at_s, id) > (?, ?)")
            values += [after.at_s, after.id]
        query = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY at_s, id LIMIT ?"
        rows = await self._run(lambda c: c.execute(query, (*values, limit)).fetchall())
        return tuple(map(_read, rows))

    async def take(self, callback_id: str, by: str, *, for_s: float | None = None) -> bool:
        """Take a wish up, in this name; to do it again only changes for how long. False: somebody
        else was faster, it was called off, or it was called.

        `for_s`: nobody else has it for so long; None: for good.
        """
        return await self._move(
            callback_id, "taken", by, f"state = 'waiting' OR ({_HIS})", for_s=for_s
        )

    async def claim(self, callback_id: str, by: str, call_id: str) -> bool:
        """This call is about to be made for a wish that was taken up in this name, which is his for
        good now. False: it is not his (any more), or was called already: do not dial."""
        return await self._move(callback_id, "taken", by, _HIS, made_call_id=call_id)

    async def unclaim(self, callback_id: str, by: str, call_id: str, *, for_s: float) -> bool:
        """That call was certainly not made: it is his for so long again."""
        mine = "state = 'taken' AND taken_by = :by AND made_call_id = :was"
        return await self._move(callback_id, "taken", by, mine, for_s=for_s, was=call_id)

    async def give_back(self, callback_id: str, by: str) -> bool:
        """It could not be called after all: whoever comes next may try. False: it was not taken up
        in this name, or it was called."""
        return await self._move(callback_id, "waiting", by, _HIS)

    async def cancel(self, callback_id: str) -> bool:
        """Call a wish off; False: there is none of that id that waits."""
        return await self._move(callback_id, "cancelled", "", "state = 'waiting'")

    async def _move(
        self,
        callback_id: str,
        state: CallbackState,
        by: str,
        condition: str,
        *,
        for_s: float | None = None,
        made_call_id: str = "",
        was: str = "",
    ) -> bool:
        now_s = self.now_s()
        values = {
            "id": callback_id,
            "state": state,
            "by": by,
            "now_s": now_s,
            "taken_by": by if state == "taken" else "",
            "until_s": None if for_s is None else now_s + for_s,
            "made": made_call_id,
            "was": was,
        }
        changed: int = await self._run(
            lambda c: (
                c.execute(
                    "UPDATE callbacks SET state = :state, taken_by = :taken_by, "  # noqa: S608 (ours)
                    "changed_s = :now_s, lease_until_s = :until_s, made_call_id = :made "
                    f"WHERE id = :id AND ({condition})",
                    values,
                ).rowcount
            )
        )
        return changed == 1
