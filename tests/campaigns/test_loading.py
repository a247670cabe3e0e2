"""A list into the database, and a changed list into one that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.campaigns.desk import open_desk
from vantum.campaigns.loading import Loaded
from vantum.campaigns.plan import Plan, PlanError
from vantum.campaigns.tables import prospect_of
from vantum.campaigns.texts import ListError
from vantum.core.campaign import RETRY
from vantum.core.events import Prospect
from vantum.testing.network import Answer

ANN, BOB, CAT, DAN = (f"+1212555010{n}" for n in (1, 2, 3, 4))


async def test_a_list_is_taken_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        with pytest.raises(PlanError, match=r"list\.csv: 2 of 3 rows are wrong; nobody was called"):
            await desk.load(desk.plan("", [ANN, "nonsense", "+44"]))
        assert [line.partition(":")[0] for line in desk.told if line] == ["line 3", "line 4"]
        # Each row counts once, whatever is wrong with it and wherever it stands.
        plan = desk.plan("", ["number,timezone", "nonsense,Mars", f"{ANN},"])
        plan.prospects.write_text('[{"number": "x", "timezone": "Mars"}, 5, {"number": "+44"}]')
        with pytest.raises(PlanError, match=r"list\.csv: 3 of 3 rows are wrong"):
            await desk.load(plan)
        assert not await desk.results()
        with pytest.raises(ListError, match="has no prospects"):
            await desk.load(desk.plan("", ["number"]))
        assert await desk.load(desk.plan("", [ANN])) == Loaded(rows=1, added=1)


async def test_duplicates_become_one(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        rows = ["number,name,city", f"{ANN},Ann,", f"{BOB},Bob,", f"{ANN},Anna,Cork"]
        loaded = await desk.load(desk.plan("", rows))
        assert loaded == Loaded(rows=3, duplicates=1, added=2)
        assert f"line 4: {ANN} is on line 2 too: taken as one" in desk.told
        about = await desk.database.run(lambda c: prospect_of(c, "spring", ANN))
        assert about == Prospect("Ann", extra={"city": "Cork"})


async def test_a_changed_list_is_merged(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_desk(tmp_path, lambda number, attempt: Answer("busy")) as desk:
        text = "[limits]\nattempts = 1\n"
        head = "number,name"
        assert await desk.run(desk.plan(text, [head, f"{ANN},Ann", f"{BOB},Bob"]))
        more = "[limits]\nattempts = 2\n"
        plan = desk.plan(more, [head, f"{CAT},Cat", f"{ANN},Anna", f"{DAN},Dan"])
        loaded = Loaded(rows=3, added=2, changed=1, is_first=False, reopened=1)
        assert await desk.load(plan) == loaded
        # Who is done only by the old limit is called again, but not who is off the list.
        assert (await desk.standing(ANN)).status == "waiting"
        assert (await desk.standing(BOB)).status == "done"
        plan = desk.plan(more, [head, f"{ANN},Anna", f"{DAN},Dan"])
        assert await desk.load(plan) == Loaded(rows=2, removed=1, is_first=False)
        assert (await desk.standing(CAT)).result == "removed"
        assert await desk.load(plan) == Loaded(is_first=False, is_known=True)
        plan = desk.plan(more, [head, f"{CAT},Cat", f"{DAN},Dan"])
        assert await desk.load(plan) == Loaded(rows=2, removed=1, returned=1, is_first=False)
        assert (await desk.standing(CAT)).status == "waiting"
        # Those who wait are in the order of the list.
        assert (await desk.standing(CAT)).position < (await desk.standing(DAN)).position


async def test_rules_that_were_changed(tmp_path: Path, autojump_clock: MockClock) -> None:
    """More attempts are made, fewer end it, and a pause counts from the end of the call."""

    def limit(attempts: int, retry: str = "") -> Plan:
        text = f"[limits]\nattempts = {attempts}\nattempts_per_day = 0\n[retry]\n{retry}"
        return desk.plan(text, [ANN, BOB])

    async with open_desk(tmp_path, lambda n, _: Answer("busy" if n == ANN else "talked")) as desk:
        assert await desk.run(limit(1))
        first = len(await desk.outcomes())
        await trio.sleep(1000)
        assert await desk.load(limit(2)) == Loaded(is_first=False, is_known=True, reopened=1)
        standing = await desk.standing(ANN)
        assert (standing.status, standing.rank) == ("waiting", RETRY)
        ((begin_s, _), _) = desk.network.dialled
        assert standing.due_s == pytest.approx(begin_s + 1800, abs=60)
        # The same rules change nothing more.
        assert await desk.load(limit(2)) == Loaded(is_first=False, is_known=True)
        assert await desk.load(limit(1)) == Loaded(is_first=False, is_known=True, closed=1)
        assert (await desk.standing(ANN)).result == "busy"
        assert await desk.run(limit(1))
        assert len(await desk.outcomes()) == first
        never = limit(2, 'busy = "never"')
        assert await desk.load(never) == Loaded(is_first=False, is_known=True)
        assert await desk.run(limit(3))
        assert await desk.outcomes() == [(ANN, n, "busy") for n in (1, 2, 3)] + [(BOB, 1, "talked")]


async def test_texts_need_their_columns(tmp_path: Path) -> None:
    greeting = 'greeting = "Hello from {{prospect.extra.city}}."\n'
    async with open_desk(tmp_path) as desk:
        with pytest.raises(PlanError, match=r"greeting uses \{\{prospect\.extra\.city\}\}"):
            await desk.load(desk.plan(greeting, [ANN]))
        rows = ["number,city", f"{ANN},Cork"]
        await desk.load(desk.plan(greeting, rows))
        # The list is not read again, the text is.
        with pytest.raises(PlanError, match="voicemail uses"):
            await desk.load(desk.plan('voicemail = "{{prospect.extra.day}}"\n', rows))


async def test_thousands_of_rows(tmp_path: Path) -> None:
    numbers = [f"+1212{n:07}" for n in range(5_000)]
    async with open_desk(tmp_path) as desk:
        loaded = await desk.load(desk.plan("", [*numbers, numbers[17]]))
        assert loaded == Loaded(rows=5_001, duplicates=1, added=5_000)
        assert (await desk.standing(numbers[-1])).position == 5_001
