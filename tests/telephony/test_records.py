"""What is kept of calls, across restarts and between processes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.telephony.office import PROSPECT, SETTINGS, SETUP, an_office
from vantum.config import StorageSettings
from vantum.core.call_status import STATUSES, Outcome
from vantum.core.cost import CostEstimate, Usage
from vantum.core.events import Prospect
from vantum.core.history import History
from vantum.core.messages import ChatMessage, ToolCall
from vantum.errors import StorageError
from vantum.storage.database import open_database
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
