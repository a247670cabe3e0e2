"""Who is put on the do-not-call list elsewhere, while we call him, is called no further."""

from __future__ import annotations

import trio
import trio.testing

from tests.telephony.office import OTHER, PROSPECT, Office, an_office
from tests.telephony.test_inbound import VOICE
from tests.telephony.test_opting_out import APOLOGY, audited, failing
from vantum.compliance.audit import AuditLog, MemoryJournal
from vantum.compliance.lists import Lists
from vantum.telephony.heeding import BECAUSE, LOOK_S
from vantum.testing.twilio import AnsweringMachine, HangUp, Pause, Person, TwilioScript
from vantum.testing.twilio.script import RestFault

Clock = trio.testing.MockClock

#: Rings for long; then talks for long.
RINGS = TwilioScript(answers=Person((Pause(60), HangUp()), rings_s=20))
TALKS = TwilioScript(answers=Person((Pause(120), HangUp()), rings_s=3))


async def block(office: Office, number: str = PROSPECT) -> None:
    """As another process does it, with an audit log of its own."""
    assert office.desk.database is not None
    elsewhere = Lists(office.desk.database, AuditLog(MemoryJournal()))
    assert await elsewhere.block(number, "wrote a letter")


def ended(office: Office) -> list[str]:
    return [line for line in audited(office) if "opt_out.call_ended" in line]


async def test_a_phone_that_rings_stops_ringing(autojump_clock: Clock) -> None:
    async with an_office(RINGS) as office:
        placed, other = await office.place(), await office.place(OTHER)
        await trio.sleep(5)
        assert (await office.calls.get(placed.id)).status == "ringing"
        await block(office)
        began_s = trio.current_time()
        record = await office.calls.wait(placed.id)
        assert trio.current_time() - began_s < LOOK_S + 1
        assert (record.status, record.outcome) == ("canceled", "canceled")
        assert record.ended_because == BECAUSE
        assert record.answered_s is None
        (line,) = ended(office)
        assert record.id in line
        assert PROSPECT in line
        assert '"ringing"' in line
        assert (await office.calls.get(other.id)).status == "ringing", "it is another number"


async def test_one_that_is_just_being_dialled_does_not_go_on_ringing(
    autojump_clock: Clock,
) -> None:
    """The telephone company does not say what the call is called; its first callback does."""
    script = TwilioScript(answers=RINGS.answers, faults=(RestFault("drop", after_s=6.0),))
    async with an_office(script) as office:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.place)
            await trio.sleep(2)
            await block(office)
        (live,) = office.calls.all_live
        record = await office.calls.wait(live.id)
        assert (record.outcome, record.ended_because) == ("canceled", BECAUSE)
        assert office.is_idle()


async def test_who_is_on_the_line_is_told_so(autojump_clock: Clock) -> None:
    async with an_office(TALKS) as office:
        placed = await office.place()
        await trio.sleep(20)
        await block(office)
        record = await office.calls.wait(placed.id)
        assert record.turns[-1].heard == APOLOGY
        assert "Yes, indeed." in [turn.heard for turn in record.turns]
        assert (record.outcome, record.ended_because) == ("opted_out", BECAUSE)
        (line,) = ended(office)
        assert '"in-progress"' in line


async def test_a_machine_is_left_no_message(autojump_clock: Clock) -> None:
    """Its message has begun when the number comes onto the list."""
    message = "This is an AI assistant with a message for you. " * 12
    script = TwilioScript(answers=AnsweringMachine())
    async with an_office(script) as office:
        placed = await office.place(voicemail=message)
        live = office.calls.live(placed.id)
        assert live is not None
        with trio.fail_after(60):
            while not live.message_begun:  # noqa: ASYNC110 (virtual time costs nothing)
                await trio.sleep(0.1)
        await block(office)
        record = await office.calls.wait(placed.id)
        assert (record.outcome, record.ended_because) == ("opted_out", BECAUSE)
        assert APOLOGY not in [turn.heard for turn in record.turns]


async def test_who_calls_us_goes_on_talking(autojump_clock: Clock) -> None:
    async with an_office(TALKS) as office:
        office.twilio.ring(VOICE, Person((Pause(60), HangUp())), from_number=PROSPECT)
        await trio.sleep(10)
        await block(office)
        await trio.sleep(20)
        (live,) = office.calls.all_live
        assert not live.is_ending
        assert ended(office) == []


async def test_what_cannot_be_asked_now_is_asked_again(autojump_clock: Clock) -> None:
    async with an_office(RINGS) as office:
        placed = await office.place()
        await block(office)
        async with failing(office, 1000, ZeroDivisionError):
            await trio.sleep(5 * LOOK_S)
            assert (await office.calls.get(placed.id)).status == "ringing"
        record = await office.calls.wait(placed.id)
        assert record.ended_because == BECAUSE
