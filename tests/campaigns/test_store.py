"""The store's queue is the one that `core.campaign` describes, and its writes are whole."""

from __future__ import annotations

import sqlite3

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.campaigns.lease import Owner
from vantum.campaigns.plan import Conversion
from vantum.campaigns.store import Calling, CampaignStore
from vantum.campaigns.tables import (
    SCHEMA,
    campaign_of,
    due_of,
    first_of,
    standing_of,
    want,
    write_standing,
)
from vantum.core.campaign import FRESH, RANKS, Rules, Standing, head, next_due_s
from vantum.core.refusals import Reason, Refusal
from vantum.storage.database import Database, open_database

NOW_S = 1_000_000.0

STANDINGS = st.builds(
    Standing,
    number=st.integers(0, 99).map(lambda n: f"+121255501{n:02}"),
    position=st.integers(1, 500),
    zones=st.sampled_from([(), ("UTC",), ("America/New_York", "Asia/Tokyo")]),
    status=st.sampled_from(["waiting", "waiting", "waiting", "waiting", "dialling", "done"]),
    rank=st.sampled_from(RANKS),
    due_s=st.sampled_from([0.0, 1.0, 2.0, NOW_S, NOW_S + 1]) | st.floats(0, 2 * NOW_S),
    attempts=st.integers(0, 9),
    granted=st.integers(0, 2),
    day=st.sampled_from(["", "2026-12-01"]),
    attempts_that_day=st.integers(0, 3),
    result=st.sampled_from(["", "busy", "removed"]),
)


def test_the_queue_is_the_pure_one() -> None:
    async def check(standings: list[Standing]) -> None:
        async with open_database(":memory:", [SCHEMA]) as database:
            await add(database, standings)
            numbers = [each.number for each in standings]
            kept = await database.run(lambda c: [standing_of(c, "a", n) for n in numbers])
            assert kept == standings
            first = await database.run(lambda c: first_of(c, "a", NOW_S))
            assert first == head(standings, NOW_S)
            assert await database.run(lambda c: due_of(c, "a")) == next_due_s(standings)

    @settings(max_examples=60)
    @given(
        st.lists(
            STANDINGS, min_size=4, max_size=30, unique_by=(lambda s: s.number, lambda s: s.position)
        )
    )
    def holds(standings: list[Standing]) -> None:
        trio.run(check, standings)

    holds()


async def add(database: Database, standings: list[Standing]) -> None:
    def write(c: sqlite3.Connection) -> None:
        c.execute("INSERT OR IGNORE INTO campaigns (name, created_s) VALUES ('a', 0)")
        for each in standings:
            c.execute(
                "INSERT INTO campaign_prospects "
                "(campaign, number, position, zones, about, status, rank, due_s) "
                "VALUES ('a', ?, 0, '', '{}', 'waiting', 0, 0)",
                (each.number,),
            )
            write_standing(c, "a", each)

    await database.run(write)


async def a_store(database: Database, clock: list[float], **rules: float) -> CampaignStore:
    await add(database, [Standing(f"+1212555010{n}", n, ("UTC",)) for n in (1, 2)])
    made = Rules(**rules)  # type: ignore[arg-type]
    store = CampaignStore(database, "a", Owner(), made, lambda: clock[0], clock[0])
    await store.open("a.toml")
    return store


async def test_a_refusal_leaves_no_trace_but_its_own() -> None:
    """Neither the pace nor the day's count has it; the prospect is as it was."""
    clock = [NOW_S]
    async with open_database(":memory:", [SCHEMA]) as database:
        store = await a_store(database, clock, calls_per_minute=1.0, max_calls_per_day=2)
        first = (await store.step(may_dial=True)).move
        assert isinstance(first, Calling)
        saved = await database.run(lambda c: campaign_of(c, "a"))
        assert saved is not None
        assert (saved.last_dial_s, saved.calls_that_day) == (NOW_S, 1)
        refusal = Refusal(first.standing.number, (Reason("do_not_call", "No."),))
        await store.refused(first, refusal)
        saved = await database.run(lambda c: campaign_of(c, "a"))
        assert saved is not None
        assert (saved.last_dial_s, saved.calls_that_day) == (None, 0)
        # Told twice, it changes nothing more: somebody else has settled it.
        await store.not_placed(first)
        standing = await database.run(lambda c: standing_of(c, "a", first.standing.number))
        assert standing is not None
        assert (standing.status, standing.attempts) == ("done", 0)
        second = (await store.step(may_dial=True)).move
        assert isinstance(second, Calling)
        assert second.standing.rank == FRESH


async def test_a_step_that_fails_has_dialled_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """That somebody is called is written as a whole, or not at all."""
    clock = [NOW_S]
    async with open_database(":memory:", [SCHEMA]) as database:
        store = await a_store(database, clock)

        def fails(*_: object) -> None:
            raise RuntimeError("the power went")

        monkeypatch.setattr("vantum.campaigns.store.prospect_of", fails)
        with pytest.raises(RuntimeError):
            await store.step(may_dial=True)
        assert await store.counts() == {"waiting": 2, "dialling": 0, "done": 0}
        assert await store.pending() == ()


async def test_a_pause_is_seen_at_the_next_step() -> None:
    clock = [NOW_S]
    async with open_database(":memory:", [SCHEMA]) as database:
        store = await a_store(database, clock)
        assert await database.run(lambda c: want(c, "a", "pause"))
        assert not await database.run(lambda c: want(c, "b", "pause"))
        step = await store.step(may_dial=True)
        assert (step.wanted, isinstance(step.move, Calling)) == ("pause", False)
        await database.run(lambda c: want(c, "a", "run"))
        assert isinstance((await store.step(may_dial=True)).move, Calling)


async def test_an_end_that_comes_late_changes_nothing() -> None:
    """A process that was taken for dead reports an attempt that another has settled since."""
    clock = [NOW_S]
    async with open_database(":memory:", [SCHEMA]) as database:
        store = await a_store(database, clock)
        calling = (await store.step(may_dial=True)).move
        assert isinstance(calling, Calling)
        number = calling.standing.number
        told = []
        for outcome in ("busy", "talked"):
            told.append(
                await store.ended(
                    number, 1, None, outcome=outcome, because="", conversion=Conversion()
                )
            )
        first, again = told
        assert first == again
        assert again.result == "busy"
