"""Calls that come in, with their records: the whole phone and the simulated Twilio."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from tests.telephony.office import SETTINGS, SETUP, Office, an_office
from vantum.telephony.record import CallRecord
from vantum.testing.twilio import HangUp, Pause, Person

Clock = trio.testing.MockClock

VOICE = "https://server.test/twilio/voice"
STATUS = "https://server.test/twilio/status"
CALLER = "+12125550199"


async def ring(office: Office, stays_s: float = 12, *, status_url: str = "") -> CallRecord:
    """Somebody calls and hangs up; gives the record when the call is over."""
    person = Person((Pause(stays_s), HangUp()))
    call = office.twilio.ring(VOICE, person, from_number=CALLER, status_url=status_url)
    with trio.fail_after(300):
        await call.over.wait()
        while not office.is_idle():  # noqa: ASYNC110 (virtual time costs nothing)
            await trio.sleep(0.1)
    (record,) = await office.calls.list(limit=1)
    assert record.sid == call.sid
    return record


@pytest.mark.parametrize("status_url", ["", STATUS])
async def test_a_call_that_came_in_has_a_record(autojump_clock: Clock, status_url: str) -> None:
    async with an_office() as office:
        record = await ring(office, status_url=status_url)
        assert (record.direction, record.from_number) == ("inbound", CALLER)
        assert (record.status, record.outcome) == ("completed", "talked")
        assert record.ended_because == "the other party hung up"
        assert record.duration_s == pytest.approx(12, abs=1.5)
        assert [(turn.role, turn.said) for turn in record.turns][:2] == [
            ("user", "Hello there."),
            ("assistant", "Yes, indeed."),
        ]
        assert record.cost.carrier == pytest.approx(0.0085 + 0.0044)
        # Nothing was asked of the REST API: the call ended by itself.
        assert not office.twilio.requests


async def test_a_caller_who_says_nothing(autojump_clock: Clock) -> None:
    async with an_office() as office:
        record = await ring(office, 3)
        assert record.outcome == "hung_up"


async def test_lines_are_for_both_directions(autojump_clock: Clock) -> None:
    async with an_office(max_lines=1, busy="reject") as office:
        first = office.twilio.ring(VOICE, Person())
        await trio.sleep(1)
        second = office.twilio.ring(VOICE, Person())
        with trio.fail_after(20):
            await second.over.wait()
        assert second.status == "busy"
        (live,) = office.calls.all_live
        await office.calls.hang_up(live.id)
        await first.over.wait()
        assert office.is_idle()
        assert (await ring(office)).outcome == "talked"


async def test_the_greeting_of_an_inbound_call_is_the_servers(autojump_clock: Clock) -> None:
    turns = attrs.evolve(SETTINGS.turns, greeting="Hello, you have reached Vantum.")
    setup = attrs.evolve(SETUP, settings=attrs.evolve(SETTINGS, turns=turns))
    async with an_office(setup=setup) as office:
        record = await ring(office, 4)
        assert record.turns[0].said == "Hello, you have reached Vantum."


async def test_a_caller_who_is_gone_before_the_stream_comes(autojump_clock: Clock) -> None:
    async with an_office() as office:
        office.server.doors = {}
        call = office.twilio.ring(VOICE, Person())
        await call.over.wait()
        assert not office.is_idle()  # it may still come
        await trio.sleep(70)
        assert office.is_idle()
        (record,) = await office.calls.list()
        assert record.outcome == "canceled"
        assert record.ended_because == "its media stream did not begin"


async def test_a_call_can_be_hung_up_on(autojump_clock: Clock) -> None:
    async with an_office() as office:
        call = office.twilio.ring(VOICE, Person())
        await trio.sleep(5)
        (live,) = office.calls.all_live
        record = await office.calls.hang_up(live.id)
        assert record.ended_because == "hung up by request"
        await call.over.wait()
        assert call.status == "completed"
        assert office.is_idle()
