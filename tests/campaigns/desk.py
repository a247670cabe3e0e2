"""A campaign with its database file, in virtual time, and a telephone network that is simulated."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import trio
from attrs import Factory, define, evolve, field

from vantum.campaigns.dialling import OwnDialler
from vantum.campaigns.files import Numbers
from vantum.campaigns.lease import Owner
from vantum.campaigns.loading import Loaded, load_list
from vantum.campaigns.news import News
from vantum.campaigns.plan import Plan, read_plan
from vantum.campaigns.promised import Promised
from vantum.campaigns.run import CampaignRun
from vantum.campaigns.store import CampaignStore
from vantum.campaigns.tables import SCHEMA, standing_of
from vantum.core.campaign import Standing
from vantum.storage.database import Database, open_database
from vantum.telephony.wishes import Wishes
from vantum.testing.network import Answer, Persona, SimulatedNetwork

#: A Tuesday, before the offices open.
BEGIN = datetime(2026, 12, 1, 6, tzinfo=ZoneInfo("America/New_York")).timestamp()
POLL_S = 300.0

_AREAS = {
    "212": ("America/New_York",),
    "312": ("America/Chicago",),
    "310": ("America/Los_Angeles",),
}


def _parse(text: str) -> str:
    number = text.replace(" ", "")
    if not number.startswith("+1") or len(number) != 12 or not number[1:].isdecimal():
        raise ValueError("must be a number in international form, such as +12125550123")
    return number


#: The first digits say where it is; any other area is nowhere.
NUMBERS = Numbers(_parse, lambda number: _AREAS.get(number[2:5], ()))


@asynccontextmanager
async def database_at(path: Path) -> AsyncIterator[Database]:
    """The file, used in the event loop: a virtual clock would run ahead while a thread works."""
    async with open_database(path, [SCHEMA]) as database:
        connection = database._connection
        connection.execute("PRAGMA synchronous=OFF")
        yield Database(connection, str(path), True)


def talks(number: str, attempt: int) -> Answer:
    return Answer("talked")


@define
class Desk:
    """Runs campaigns over one file and one network."""

    database: Database
    network: SimulatedNetwork
    directory: Path
    began_s: float = Factory(trio.current_time)
    wishes: tuple[Wishes, ...] = ()
    news: list[News] = field(factory=list)
    told: list[str] = Factory(list)

    def now_s(self) -> float:
        """Each desk begins on the same morning."""
        return BEGIN + trio.current_time() - self.began_s

    def plan(self, text: str = "", rows: Iterable[str] = ("+12125550101",)) -> Plan:
        """A campaign's file with a list of numbers, or of lines with a header of their own."""
        lines = list(rows)
        if "number" not in lines[0]:
            lines.insert(0, "number")
        (self.directory / "list.csv").write_text("\n".join(lines), "utf-8")
        path = self.directory / "spring.toml"
        path.write_text(f'name = "spring"\nprospects = "list.csv"\n{text}', "utf-8")
        return read_plan(path)

    def store(self, plan: Plan, owner: Owner | None = None) -> CampaignStore:
        # Every run is another process's, which died with the run: its lease need not end.
        owner = owner or Owner(pid=2**22 + len(self.told), lease_s=4 * POLL_S)
        return CampaignStore(self.database, plan.name, owner, plan.rules, self.now_s, self.now_s())

    async def load(self, plan: Plan, store: CampaignStore | None = None) -> Loaded:
        store = store or self.store(plan)
        await store.open(str(plan.source))
        self.told.append("")
        return await load_list(store, plan, NUMBERS, lambda what: self.told.append(str(what)))

    async def start(self, plan: Plan) -> CampaignRun:
        """A run that is ready to run."""
        store = self.store(plan)
        await self.load(plan, store)
        dialler = OwnDialler(self.network)
        promised = Promised(self.wishes, store, self.now_s, self.news.append)
        return CampaignRun(
            plan, store, dialler, self.now_s, self.news.append, promised, poll_s=POLL_S
        )

    async def run(self, plan: Plan) -> bool:
        run = await self.start(plan)
        finished = await run.run()
        await run.store.close()
        return finished

    async def standing(self, number: str) -> Standing:
        standing = await self.database.run(lambda c: standing_of(c, "spring", number))
        assert standing is not None
        return standing

    async def outcomes(self) -> list[tuple[str, int, str]]:
        """All attempts: number, which one, what came of it."""
        return await self.database.run(
            lambda c: c.execute(
                "SELECT number, attempt, outcome FROM campaign_attempts ORDER BY number, attempt"
            ).fetchall()
        )

    async def results(self) -> dict[str, Standing]:
        """Where everybody stands at last, without the times."""
        numbers = await self.database.run(
            lambda c: [n for (n,) in c.execute("SELECT number FROM campaign_prospects").fetchall()]
        )
        standings = [await self.standing(number) for number in numbers]
        return {s.number: evolve(s, due_s=0.0, day="", attempts_that_day=0) for s in standings}


@asynccontextmanager
async def open_desk(directory: Path, persona: Persona = talks) -> AsyncIterator[Desk]:
    await trio.Path(directory).mkdir(exist_ok=True)
    async with (
        database_at(directory / "vantum.sqlite3") as database,
        trio.open_nursery() as nursery,
    ):
        network = SimulatedNetwork(nursery, lambda: desk.now_s(), persona)
        desk = Desk(database, network, directory)
        yield desk
        nursery.cancel_scope.cancel()
