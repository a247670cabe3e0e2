"""What is kept of calls, across restarts and between processes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.office import PROSPECT, SETTINGS, SETUP, an_office
from vantum.config import StorageSettings
from vantum.core.call_status import STATUSES, Outcome
from vantum.core.cost import CostEstimate, Usage
from vantum.core.events import Prospect
from vantum.core.history import History
from vantum.core.messages import ChatMessage, ToolCall
from vantum.errors import ConfigError, StorageError
from vantum.storage.database import Database, open_database
from vantum.telephony.desk import new_label, open_desk
from vantum.telephony.lifecycle import TURNS_S
from vantum.telephony.live import LiveCall
from vantum.telephony.record import CallRecord, RecordedTurn
from vantum.telephony.records import ABANDONED_S, SCHEMA, STOPPED, CallRecords
from vantum.telephony.transcript import Transcript
from vantum.testing.twilio import HangUp, Pause, Person, TwilioScript

Clock = trio.testing.MockClock

TEXTS = st.text(max_size=20)
TIMES = st.floats(0, 2e9)
RECORDS = st.builds(
    CallRecord,
    id=TEXTS,
    direction=st.sampled_from(["inbound", "outbound"]),
    from_number=TEXTS,
    to_number=TEXTS,
    created_s=TIMES,
    sid=TEXTS,
    prospect=st.builds(
        Prospect,
        name=st.none() | st.text(min_size=1),
        company=st.none() | st.text(min_size=1),
        industry=st.none(),
        timezone=st.none(),
        extra=st.dictionaries(TEXTS, TEXTS, max_size=3),
    ),
    status=st.sampled_from(STATUSES),
    answered_by=st.sampled_from(["", "human", "machine", "fax", "unknown"]),
    answered_s=st.none() | TIMES,
    ended_s=st.none() | TIMES,
    duration_s=st.none() | TIMES,
    outcome=st.none() | st.sampled_from(list[Outcome](["talked", "busy"])),
    ended_because=TEXTS,
    cost=st.builds(
        CostEstimate,
        *[st.floats(0, 9)] * 4,
        TEXTS,
        *[st.sampled_from([0.0, 0.25])] * 3,
        usage=st.builds(Usage, st.just(60.0), requests=st.integers(0, 9)),
    ),
    turns=st.lists(
        st.builds(
            RecordedTurn, st.sampled_from(["user", "assistant", "tool"]), TEXTS, TEXTS, TIMES
        ),
        max_size=3,
    ).map(tuple),
    facts=st.dictionaries(TEXTS, TEXTS, max_size=3),
    variant=TEXTS,
    stage=TEXTS,
    campaign_id=TEXTS,
    script=TEXTS,
    session_id=TEXTS,
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: CallRecord) -> None:
    assert CallRecord.from_json(record.to_json()) == record


def a_record(number: int, **changes: object) -> CallRecord:
    record = CallRecord(f"w0-{number:04}", "outbound", "+1", PROSPECT, 1000.0 + number // 2)
    return attrs.evolve(record, **changes)  # type: ignore[arg-type]


async def test_records_in_order_and_by_status() -> None:
    async with open_database(":memory:", [SCHEMA]) as database:
        records = CallRecords(database, "w0")
        for number in (3, 1, 4, 0, 2):
            await records.save(a_record(number), 0.0)
        await records.save(a_record(1, status="busy"), 0.0)

        async def ids(**about: object) -> Sequence[str]:
            about = {"status": None, "limit": 10, "before": None} | about
            found = await records.list(**about)  # type: ignore[arg-type]
            return [record.id[-1] for record in found]

        assert await ids() == ["4", "3", "2", "1", "0"]
        assert await ids(limit=2) == ["4", "3"]
        # Two of one moment are told apart.
        assert await ids(before=a_record(3), limit=2) == ["2", "1"]
        assert await ids(status="busy") == ["1"]
        assert await records.get("w0-9999") is None


async def test_what_a_dead_process_had_is_closed_at_its_next_start() -> None:
    async with open_database(":memory:", [SCHEMA]) as database:
        before = [CallRecords(database, label) for label in ("w0", "w1", "w2")]
        for number, records in enumerate(before):
            saved_s = 1000.0 - (ABANDONED_S if records.label == "w2" else 10)
            await records.save(a_record(number, status="in-progress"), saved_s)
        over = a_record(5, status="completed", outcome="talked")
        await before[0].save(over, 0.0)
        assert await CallRecords(database, "w0").close_abandoned(1001.0) == 2
        first, second, third = [await before[0].get(f"w0-{n:04}") for n in range(3)]
        for closed in (first, third):
            assert closed is not None
            assert (closed.status, closed.outcome) == ("failed", "failed")
            assert (closed.ended_because, closed.ended_s) == (STOPPED, 1001.0)
        assert second is not None
        assert second.outcome is None
        assert await before[0].get(over.id) == over
        assert await CallRecords(database, "w0").close_abandoned(1001.0) == 0


async def test_a_call_survives_a_restart(tmp_path: Path) -> None:
    """On a real file, so in real time: the process dies in mid-call."""
    path = tmp_path / "calls.sqlite3"
    async with open_database(path, [SCHEMA]) as database:
        await CallRecords(database, "w0").save(a_record(1, status="ringing"), 0.0)
    settings = attrs.evolve(SETTINGS, storage=StorageSettings(path=str(path)))
    async with an_office(setup=attrs.evolve(SETUP, settings=settings)) as office:
        record = await office.calls.get("w0-0001")
        assert record.ended_because == "server stopped"
        found = await office.api("GET", "/v1/calls")
        assert [call["outcome"] for call in found.body["calls"]] == ["failed"]


async def test_a_second_server_does_not_close_the_calls_of_the_first(tmp_path: Path) -> None:
    """It would take them for those of its own that died. On another port it has its own."""
    path = tmp_path / "calls.sqlite3"
    settings = attrs.evolve(SETTINGS, storage=StorageSettings(path=str(path)))
    async with open_desk(settings, label="w0") as first:
        assert first.calls is not None
        await first.calls.means.records.save(a_record(1, status="in-progress"), time.time())
        with pytest.raises(ConfigError, match=r"a server with this database already \(w0-3001\)"):
            async with open_desk(settings, label="w0"):
                raise AssertionError
        elsewhere = attrs.evolve(settings, server=attrs.evolve(settings.server, port=3002))
        async with (
            open_desk(settings, label="w1"),
            open_desk(elsewhere, label="w0"),
            open_desk(settings, label=new_label()),
        ):
            record = await first.calls.get("w0-0001")
            assert record.outcome is None
    async with open_desk(settings, label="w0") as again:
        assert again.calls is not None
        assert (await again.calls.get("w0-0001")).ended_because == STOPPED


async def test_what_is_said_is_saved_while_the_call_goes_on(autojump_clock: Clock) -> None:
    person = Person((Pause(30), HangUp()), rings_s=1)
    async with an_office(TwilioScript(answers=person)) as office:
        placed = await office.place()
        await trio.sleep(20)
        saved = await office.calls.means.records.get(placed.id)
        assert saved is not None
        assert saved.status == "in-progress"
        assert [turn.role for turn in saved.turns] == ["assistant", "user", "assistant"]
        await office.calls.wait(placed.id)


async def test_what_a_call_costs_is_known_while_it_goes_on(autojump_clock: Clock) -> None:
    """Whoever finds its record when its process has died, has nothing else."""
    person = Person((Pause(200), HangUp()), rings_s=1)
    async with an_office(TwilioScript(answers=person)) as office:
        placed = await office.place()
        records = office.calls.means.records
        with trio.fail_after(30):
            while not (await office.calls.get(placed.id)).session_id:  # noqa: ASYNC110 (virtual)
                await trio.sleep(0.02)
        await trio.sleep(0.02)
        saved = await records.get(placed.id)
        assert saved is not None
        minute = saved.cost
        assert minute.carrier == pytest.approx(0.014 + 0.0044 + 0.0075), "a minute has begun"
        await trio.sleep(50)
        saved = await records.get(placed.id)
        assert saved is not None
        assert saved.duration_s is None
        assert saved.answered_s is not None
        usage, now = saved.cost.usage, await office.calls.get(placed.id)
        assert 20 < usage.billed_s < now.cost.usage.billed_s
        assert now.cost.usage.billed_s == pytest.approx(
            office.calls.means.now_s() - saved.answered_s, abs=0.001
        )
        assert min(usage.streamed_s, usage.listened_s, usage.spoken_characters) > 0
        assert usage.output_tokens > 0
        assert minute.total < saved.cost.total < now.cost.total
        assert await records.close_abandoned(office.calls.means.now_s()) == 1
        closed = await records.get(placed.id)
        assert closed is not None
        assert (closed.outcome, closed.cost) == ("failed", saved.cost)
        over = await office.calls.wait(placed.id)
        assert over.cost.usage.billed_s == over.duration_s


def said(live: LiveCall) -> int:
    return 0 if live.conductor is None else len(live.conductor.history.entries)


async def test_a_turn_is_saved_as_it_ends(autojump_clock: Clock) -> None:
    """Not at the next of somebody's five seconds: a process that dies loses less than one turn."""
    person = Person((Pause(30), HangUp()), rings_s=1)
    async with an_office(TwilioScript(answers=person)) as office:
        placed = await office.place()
        live = office.calls.live(placed.id)
        assert live is not None
        for turns in (1, 2, 3):
            with trio.fail_after(60):
                while said(live) < turns:  # noqa: ASYNC110 (virtual time costs nothing)
                    await trio.sleep(0.02)
            await trio.sleep(TURNS_S + 0.01)
            saved = await office.calls.means.records.get(placed.id)
            assert saved is not None
            assert len(saved.turns) == turns
        live.hang_up("enough")
        await live.over.wait()


@define
class Slow:
    """A database whose transactions take a second. `fails`: the next one does."""

    database: Database
    transactions: int = 0
    fails: bool = False

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        self.transactions += 1
        fails, self.fails = self.fails, False
        await trio.sleep(1)
        if fails:
            raise StorageError("the disk is full")
        return await self.database.run(work)


async def test_a_hundred_calls_need_no_hundred_transactions(autojump_clock: Clock) -> None:
    async with open_database(":memory:", [SCHEMA]) as database:
        slow = Slow(database)
        records = CallRecords(slow, "w0")  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(records.save, a_record(number), 0.0)
            await trio.sleep(0.5)
            # While these are being written, others come, and some of them change once more.
            for number in range(100):
                nursery.start_soon(records.save, a_record(number, status="ringing"), 1.0)
            await trio.sleep(0.1)
            for number in range(100):
                nursery.start_soon(records.save, a_record(number, status="busy"), 2.0)
        assert slow.transactions == 2
        assert trio.current_time() == 2
        saved = await CallRecords(database, "w0").list(status="busy", limit=200, before=None)
        assert len(saved) == 100


async def test_who_hands_in_a_record_first_and_goes_leaves_it_to_be_written(
    autojump_clock: Clock,
) -> None:
    async with open_database(":memory:", [SCHEMA]) as database:
        records = CallRecords(Slow(database), "w0")  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(0.5) as gone:
                async with trio.open_nursery() as inner:
                    inner.start_soon(records.save, a_record(0), 0.0)
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(records.save, a_record(1), 0.0)
            nursery.start_soon(records.save, a_record(2), 0.0)
        assert gone.cancelled_caught
        for number in range(3):
            assert await CallRecords(database, "w0").get(f"w0-{number:04}") == a_record(number)


async def test_all_are_told_that_they_could_not_be_kept(autojump_clock: Clock) -> None:
    async with open_database(":memory:", [SCHEMA]) as database:
        records = CallRecords(Slow(database, fails=True), "w0")  # type: ignore[arg-type]
        failed: list[int] = []

        async def save(number: int) -> None:
            try:
                await records.save(a_record(number), 0.0)
            except StorageError:
                failed.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(save, number)
        assert sorted(failed) == [0, 1, 2]
        await records.save(a_record(1), 0.0)
        assert await CallRecords(database, "w0").get("w0-0001") == a_record(1)


@pytest.mark.parametrize("fails_s", [3, 300])
async def test_how_a_call_ended_is_kept_once_the_database_is_well_again(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, fails_s: float
) -> None:
    person = Person((Pause(12), HangUp()), rings_s=1)
    async with an_office(TwilioScript(answers=person)) as office:
        placed = await office.place()
        save = CallRecords.save
        live = office.calls.live(placed.id)
        assert live is not None
        await trio.sleep(10)

        async def fail(self: CallRecords, record: CallRecord, now_s: float) -> None:
            raise StorageError("the disk is full")

        monkeypatch.setattr(CallRecords, "save", fail)
        await live.over.wait()
        await trio.sleep(fails_s)
        kept = await office.calls.means.records.get(placed.id)
        assert kept is not None
        assert kept.outcome is None
        # Who waits for the end of the call need not wait for the database.
        assert await office.calls.get(placed.id) == live.record
        assert await office.calls.hang_up(placed.id) == live.record
        monkeypatch.setattr(CallRecords, "save", save)
        await trio.sleep(61)
        assert await office.calls.means.records.get(placed.id) == live.record
        assert await office.calls.get(placed.id) == live.record
        assert live.record.outcome == "talked"


async def test_a_database_that_fails_ends_no_call(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person((Pause(12), HangUp()), rings_s=1)
    async with an_office(TwilioScript(answers=person)) as office:
        placed = await office.place()

        async def save(self: CallRecords, record: CallRecord, now_s: float) -> None:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(CallRecords, "save", save)
            live = office.calls.live(placed.id)
            assert live is not None
            await live.over.wait()
            assert live.record.outcome == "talked"
            with pytest.raises(StorageError):
                await office.place("+12125550143")  # nobody would know of it
            answer = await office.api("POST", json={"to": "+12125550143"})
            assert (answer.status, answer.code) == (503, "storage_failed")
        assert len(office.twilio.calls) == 1
        assert office.is_idle()


# ---------------------------------------------------------------- transcripts


def test_what_was_said_and_what_was_heard() -> None:
    history, clock, transcript = History(), count(1000, 1000), Transcript("||BREAK||")
    assert transcript.follow(history) == ()
    history.add_user("Hello.", at_ms=next(clock))
    history.add_assistant(
        "Good day to you. How are you?",
        interrupted=True,
        heard_text="Good day",
        at_ms=next(clock),
    )
    half = transcript.follow(history)
    assert len(half) == 2
    assert transcript.follow(history) is half
    called = ToolCall("c1", "look_up", "{}")
    history.add_tool_use(
        (
            ChatMessage("assistant", "", tool_calls=(called,)),
            ChatMessage("tool", "found", tool_call_id="c1"),
        ),
        at_ms=next(clock),
    )
    history.add_assistant("Well. Fine.", written="Well. ||BREAK|| Fine.", at_ms=next(clock))
    assert transcript.follow(history) == (
        RecordedTurn("user", "Hello.", "Hello.", 1.0),
        RecordedTurn("assistant", "Good day to you. How are you?", "Good day", 2.0, True),
        RecordedTurn("tool", "look_up: found", "look_up: found", 3.0),
        RecordedTurn("assistant", "Well. Fine.", "Well. Fine.", 4.0),
    )
    history.tool_finished("c2", "late")  # of a call that is not in this record
    assert transcript.follow(history)[-1].said == "tool: late"
