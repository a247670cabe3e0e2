"""A compliance check in memory with a clock that tests set, and the facts around it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import define, evolve

from vantum.compliance.audit import AuditLog, MemoryJournal
from vantum.compliance.check import SCHEMA, Compliance, open_compliance
from vantum.compliance.lists import Lists, consent_of
from vantum.compliance.permit import DialPermit, DialRequest, Refusal
from vantum.config import ComplianceSettings, Settings
from vantum.storage.database import IN_MEMORY, Database, open_database

NEW_YORK = ZoneInfo("America/New_York")
#: In New York; `OURS` is who calls.
NUMBER, OURS = "+12125550123", "+16175550100"
OPENING = "Hello, this is Acme's AI assistant."
HOUR_S, DAY_S = 3600.0, 86_400.0


def new_york(text: str) -> float:
    """A time on New York's clocks, such as "2026-07-01 12:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


@define
class Desk:
    """What a test holds in its hands. `now_s` is set at will."""

    now_s: float
    database: Database
    journal: MemoryJournal
    compliance: Compliance
    lists: Lists
    settings: Settings

    async def consent(self, number: str = NUMBER, **given: str) -> None:
        """Record that the number's person agreed long ago."""
        about = {
            "person": "Ada",
            "how": "form",
            "obtained": "2026-01-01",
            "scope": "",
            "expires": "",
        }
        record = consent_of(**{"number": number, **about, **given})
        await self.lists.consent(record)

    async def ask(self, number: str = NUMBER, **given: Any) -> DialPermit | Refusal:
        """Ask for a permit."""
        wish: dict[str, Any] = {"opening": OPENING, "from_number": OURS, **given}
        return await self.compliance.permit(DialRequest(number=number, **wish))

    async def permit(self, number: str = NUMBER, **given: Any) -> DialPermit:
        """Ask, and be given it."""
        answer = await self.ask(number, **given)
        assert isinstance(answer, DialPermit), answer
        return answer

    async def refusal(self, number: str = NUMBER, **given: Any) -> Refusal:
        """Ask, and be refused."""
        answer = await self.ask(number, **given)
        assert isinstance(answer, Refusal), answer
        return answer

    @property
    def log(self) -> list[tuple[str, dict[str, Any]]]:
        """The audit log: event and data of each entry."""
        entries = [json.loads(line) for line in self.journal.lines]
        return [(entry["event"], entry["data"]) for entry in entries]


@asynccontextmanager
async def open_desk(
    at: str = "2026-07-01 12:00", *, database: Database | None = None, **settings: Any
) -> AsyncIterator[Desk]:
    """A desk at a time of New York; `settings` are those of the compliance check.

    `database`: another desk's, as if this one were another process.
    """
    async with open_database(IN_MEMORY, [SCHEMA]) as own:
        used = database or own
        whole = evolve(Settings(), compliance=ComplianceSettings(**settings))
        journal = MemoryJournal()
        desk: Desk

        def now_s() -> float:
            return desk.now_s

        audit = AuditLog(journal, now_s)
        compliance = open_compliance(whole, used, audit, now_s=now_s)
        lists = Lists(used, audit, now_s)
        desk = Desk(new_york(at), used, journal, compliance, lists, whole)
        yield desk
