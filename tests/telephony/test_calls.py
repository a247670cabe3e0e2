"""Outbound calls, from the order to the record, with the simulated Twilio at the other end."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.telephony.office import OTHER, PROSPECT, SETTINGS, SETUP, Office, an_office, stopping
from vantum.config import ComplianceSettings, TurnSettings
from vantum.core.events import Prospect
from vantum.core.scripts import parse_script
from vantum.errors import ConfigError
from vantum.telephony import lifecycle
from vantum.telephony.calls import CallRefused, CarrierError, NoLine, NoSuchCall, OrderError
from vantum.testing import cartesia, deepgram
from vantum.testing.twilio import (
    AnsweringMachine,
    Busy,
    Callbacks,
    Failed,
    HangUp,
    NoAnswer,
    Pause,
    Person,
    Persona,
    PhoneCall,
    Rejects,
    RestFault,
    Say,
    TwilioScript,
)
from vantum.testing.twilio.personas import AnsweredBy

Clock = trio.testing.MockClock

OPENING = "Hello, this is an AI assistant calling. Is now a good moment?"
#: Says something six seconds after picking up (see `office`).
TALKER = Person((Pause(12), HangUp()), rings_s=3)
STAYS = Person(rings_s=3)
FIRST = frozenset({0})


def only(office: Office) -> PhoneCall:
    """The one call that Twilio has."""
    (call,) = office.twilio.calls
    return call


async def test_a_call_from_the_order_to_the_record(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=TALKER)) as office:
        began_s = office.calls.means.now_s()
        placed = await office.place(prospect=Prospect(name="Ada"), campaign_id="spring")
        assert placed.status in ("queued", "initiated")
        assert placed.sid == only(office).sid
        record = await office.calls.wait(placed.id)
        assert (record.direction, record.to_number) == ("outbound", PROSPECT)
        assert record.prospect.name == "Ada"
        assert record.campaign_id == "spring"
        assert (record.status, record.outcome) == ("completed", "talked")
        assert record.ended_because == "the other party hung up"
        assert record.answered_s is not None
        assert record.answered_s - began_s == pytest.approx(3, abs=1)
        assert record.duration_s == pytest.approx(12, abs=1)
        said = [(turn.role, turn.said) for turn in record.turns]
        assert said[:2] == [("assistant", OPENING), ("user", "Hello there.")]
        assert record.turns[0].heard == OPENING
        assert record.cost.carrier == pytest.approx(0.014 + 0.0044 + 0.0075)
        assert record.cost.total > record.cost.carrier
        assert await office.calls.get(placed.id) == record
        assert await office.calls.means.records.get(placed.id) == record
        assert only(office).problems == []
        assert office.is_idle()


@pytest.mark.parametrize(
    ("persona", "status", "outcome"),
    [
        (Busy(), "busy", "busy"),
        (NoAnswer(), "no-answer", "no_answer"),
        (Failed(), "failed", "failed"),
        (Rejects(), "busy", "busy"),
        (Person((Pause(2), HangUp())), "completed", "hung_up"),
    ],
)
async def test_what_becomes_of_calls(
    autojump_clock: Clock, persona: Persona, status: str, outcome: str
) -> None:
    async with an_office(TwilioScript(answers=persona)) as office:
        record = await office.call()
        assert (record.status, record.outcome) == (status, outcome)
        assert (record.duration_s is None) == (status != "completed")
        if status != "completed":
            assert record.cost.total == 0
        assert office.is_idle()


async def test_what_is_asked_of_twilio(autojump_clock: Clock) -> None:
    async with an_office(
        TwilioScript(answers=Busy()), ring_timeout_ms=20_000, max_call_ms=600_000
    ) as office:
        record = await office.call(voicemail="This is an AI assistant; please call us back.")
        call = only(office)
        assert call.options.timeout_s == 20
        assert call.options.time_limit_s == 600
        about = f"https://server.test/twilio/calls/{record.id}"
        assert call.options.source is not None
        assert call.options.source.url == f"{about}/voice"
        assert call.options.status_url == f"{about}/status"
        assert set(call.options.status_events) == {"initiated", "ringing", "answered", "completed"}
        assert call.options.amd is not None
        assert call.options.amd.message_end
        assert call.options.amd.url == f"{about}/amd"
    async with an_office(TwilioScript(answers=Busy()), machine_detection=False) as office:
        await office.call()
        assert only(office).options.amd is None


@pytest.mark.parametrize("lost", [0.0, 1.0])
async def test_a_call_rings_as_long_behind_others_in_the_queue(
    autojump_clock: Clock, lost: float
) -> None:
    """Twilio dials so many calls a second, and keeps the rest: nobody has been rung there yet."""
    script = TwilioScript(
        answers=Person((Pause(2), HangUp()), rings_s=3),
        calls_per_s=0.01,
        callbacks=Callbacks(lost=lost),
    )
    async with an_office(script, ring_timeout_ms=30_000) as office:
        first = await office.place()
        second = await office.place(OTHER)
        records = [await office.calls.wait(call.id) for call in (first, second)]
        assert [record.status for record in records] == ["completed", "completed"]
        assert records[1].answered_s is not None
        assert records[1].answered_s - records[1].created_s == pytest.approx(103, abs=1)


async def test_greeting_script_and_prospect_are_the_orders(autojump_clock: Clock) -> None:
    script = parse_script('[stages.hello]\ngoals = ["say hello"]\n', "test")
    async with an_office(TwilioScript(answers=TALKER)) as office:
        record = await office.call(
            prospect=Prospect(name="Ada"),
            greeting="Hello {{prospect.name}}, an AI assistant here.",
            script=script,
            script_file="some/where/hello.toml",
        )
        assert record.turns[0].said == "Hello Ada, an AI assistant here."
        assert record.stage == "hello"
        assert record.script == "hello.toml"


# ---------------------------------------------------------------- machines

MESSAGE = "Hello, this is an AI assistant of Vantum. Please call us back."


@pytest.mark.parametrize(
    "answered_by", [None, "machine_end_beep", "machine_end_silence", "machine_end_other"]
)
async def test_a_message_is_left_after_the_tone(
    autojump_clock: Clock, answered_by: AnsweredBy | None
) -> None:
    machine = AnsweringMachine(answered_by=answered_by)
    async with an_office(TwilioScript(answers=machine)) as office:
        record = await office.call(voicemail=MESSAGE)
        assert record.answered_by == "machine"
        assert record.outcome == "voicemail_left"
        assert record.turns[-1].said == MESSAGE
        assert record.turns[-1].heard == MESSAGE
        assert record.ended_because == "message left"
        assert office.is_idle()
        leg = only(office).leg
        if answered_by is None:  # then the tone is over when Twilio says so
            assert leg.beeped_s is not None
            (began_s, ended_s) = leg.earpiece.voice_after(leg.beeped_s) or (0.0, 0.0)
            spoken_s = leg.earpiece.voice_between(leg.beeped_s, trio.current_time())
            assert spoken_s == pytest.approx(len(MESSAGE) / 15, rel=0.5)  # all of the message
            assert leg.beeped_s < began_s < leg.beeped_s + 2
            assert ended_s > began_s


async def test_a_long_greeting_is_waited_for(autojump_clock: Clock) -> None:
    """After half a minute Twilio takes a greeting for ended, if it is not told to wait longer."""
    greeting = Say("You have reached the office of Miller and Sons, and all of us are busy. " * 9)
    async with an_office(TwilioScript(answers=AnsweringMachine(greeting))) as office:
        record = await office.call(voicemail=MESSAGE)
        assert record.outcome == "voicemail_left"
        leg = only(office).leg
        assert leg.beeped_s is not None
        assert leg.answered_s is not None
        assert 35 < leg.beeped_s - leg.answered_s < 59
        spoken_s = leg.earpiece.voice_between(leg.beeped_s, trio.current_time())
        assert spoken_s == pytest.approx(len(MESSAGE) / 15, rel=0.5)  # all of the message


async def test_a_machine_that_hangs_up_during_the_message_has_none(autojump_clock: Clock) -> None:
    machine = AnsweringMachine(records_s=2.0)
    async with an_office(TwilioScript(answers=machine)) as office:
        record = await office.call(voicemail=MESSAGE)
        assert record.outcome == "machine"
        assert office.is_idle()


async def test_a_message_for_which_it_is_too_late_is_not_left(autojump_clock: Clock) -> None:
    """What has answered is known when the server goes down: the agent says nothing new any more."""
    async with an_office(TwilioScript(answers=STAYS), machine_detection=False) as office:
        placed = await office.place(voicemail=MESSAGE)
        await only(office).until("in-progress")
        await trio.sleep(2)  # in the midst of the greeting
        live = office.calls.live(placed.id)
        assert live is not None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(office.server.drain)
            await trio.sleep(0.1)
            live.judged("machine_end_beep")
            record = await office.calls.wait(placed.id)
        assert [turn.heard for turn in record.turns] == [OPENING]
        assert (record.answered_by, record.outcome) == ("machine", "machine")


async def test_without_a_message_a_machine_is_hung_up_on(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=AnsweringMachine())) as office:
        record = await office.call()
        assert (record.answered_by, record.outcome) == ("machine", "machine")
        assert record.ended_because == "an answering machine answered"
        assert record.duration_s is not None
        assert record.duration_s < 8  # it did not wait for the greeting's end
        assert office.is_idle()


@pytest.mark.parametrize(
    ("answered_by", "unknown_answer", "because"),
    [
        ("fax", "talk", "a fax machine answered"),
        ("unknown", "hang_up", "it could not be told what answered"),
        ("unknown", "talk", "the other party hung up"),
        ("human", "hang_up", "the other party hung up"),
    ],
)
async def test_other_verdicts(
    autojump_clock: Clock, answered_by: AnsweredBy, unknown_answer: Any, because: str
) -> None:
    persona = attrs.evolve(TALKER, answered_by=answered_by)
    script = TwilioScript(answers=persona)
    async with an_office(script, unknown_answer=unknown_answer) as office:
        record = await office.call()
        assert record.answered_by == answered_by
        assert record.ended_because == because
        assert (record.outcome == "talked") == (because == "the other party hung up")
        assert office.is_idle()


async def test_a_late_verdict_does_not_cut_off_a_call_that_a_colleague_has(
    autojump_clock: Clock,
) -> None:
    persona = attrs.evolve(STAYS, answered_by="machine_start")
    async with an_office(TwilioScript(answers=persona)) as office:
        placed = await office.place()
        await trio.sleep(5)  # answered two seconds ago, and not judged yet
        live = office.calls.live(placed.id)
        assert live is not None
        live.hand_over("transferred")
        await trio.sleep(20)
        assert live.record.answered_by == "machine"
        assert not live.is_ending
        await office.calls.hang_up(placed.id)
        assert office.is_idle()


async def test_who_answers_a_call_that_is_being_given_up_is_told_to_hang_up(
    autojump_clock: Clock,
) -> None:
    script = TwilioScript(answers=STAYS)
    async with an_office(script) as office:
        placed = await office.place()
        await trio.sleep(1)  # it rings, until the third second
        office.twilio.faults.append(RestFault("hang"))  # the request to end it comes to nothing
        with trio.fail_after(20):
            record = await office.calls.hang_up(placed.id)
        assert record.ended_because == "hung up by request"
        await only(office).over.wait()
        assert only(office).answered_s is not None
        assert not only(office).streams


# ---------------------------------------------------------------- what is not dialled


async def test_where_the_person_is_comes_from_the_order_or_the_prospect(
    autojump_clock: Clock,
) -> None:
    async with an_office(TwilioScript(answers=Busy())) as office:
        abroad = Prospect(timezone="Asia/Tokyo")
        for about in ({"prospect": abroad}, {"timezone": "Asia/Tokyo"}):
            with pytest.raises(CallRefused) as refused:
                await office.place(**about)
            assert refused.value.refusal.codes == ("timezone_contradicts",)
        # What is said of this call counts more than what is known of the person.
        assert (await office.call(prospect=abroad, timezone="America/New_York")).outcome == "busy"


async def test_a_refused_permit_dials_nothing(autojump_clock: Clock) -> None:
    strict = attrs.evolve(SETTINGS, compliance=ComplianceSettings(countries="US"))
    async with an_office(setup=attrs.evolve(SETUP, settings=strict)) as office:
        with pytest.raises(CallRefused) as refused:
            await office.place()
        assert refused.value.refusal.codes == ("no_consent",)
        assert not office.twilio.requests
        assert await office.calls.list() == ()
        assert office.is_idle()


async def test_an_opt_out_while_the_call_waits_dials_nothing(autojump_clock: Clock) -> None:
    async with an_office() as office:
        permits, compliance = office.calls.means.permits, office.desk.compliance
        assert compliance is not None

        class Slow:
            async def permit(self, request: Any) -> Any:
                permit = await permits.permit(request)
                assert compliance is not None
                await compliance.opt_out(PROSPECT, source="test")
                return permit

            redeem = permits.redeem

        office.calls.means = attrs.evolve(office.calls.means, permits=Slow())
        with pytest.raises(CallRefused) as refused:
            await office.place()
        assert "do_not_call" in refused.value.refusal.codes
        assert not office.twilio.requests
        (record,) = await office.calls.list()
        assert (record.status, record.outcome) == ("canceled", "refused")
        assert office.is_idle()


async def test_lines_are_limited(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS), max_lines=1) as office:
        first = await office.place()
        with pytest.raises(NoLine, match="all 1 phone lines"):
            await office.place(OTHER)
        await office.calls.hang_up(first.id)
        second = await office.place(OTHER)
        await office.calls.hang_up(second.id)
        assert len(office.twilio.calls) == 2
        assert office.is_idle()


async def test_nobody_is_called_whom_nobody_could_talk_to(autojump_clock: Clock) -> None:
    server = attrs.evolve(SETTINGS.server, max_sessions=1)
    setup = attrs.evolve(SETUP, settings=attrs.evolve(SETTINGS, server=server))
    async with an_office(TwilioScript(answers=STAYS), setup=setup, max_lines=5) as office:
        first = await office.place()
        with pytest.raises(NoLine, match="no place"):
            await office.place(OTHER)
        await office.calls.hang_up(first.id)
        assert office.is_idle()


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"public_url": ""}, "TWILIO_PUBLIC_URL"),
        ({"from_number": ""}, "TWILIO_FROM_NUMBER"),
        ({"account_sid": ""}, "TWILIO_ACCOUNT_SID"),
    ],
)
async def test_what_is_missing_is_named(
    autojump_clock: Clock, changes: dict[str, Any], missing: str
) -> None:
    async with an_office(None, **changes) as office:
        with pytest.raises(ConfigError, match=missing):
            await office.place()
        assert office.is_idle()


async def test_an_order_that_is_none(autojump_clock: Clock) -> None:
    async with an_office() as office:
        with pytest.raises(OrderError, match="unknown variable"):
            await office.place(greeting="Hello {{nobody}}, an AI assistant.")
        with pytest.raises(ConfigError, match="cannot be read"):
            await office.place(script_file="/nowhere/script.toml")
        with pytest.raises(NoSuchCall):
            await office.calls.get("w0-none")
        with pytest.raises(NoSuchCall):
            await office.calls.hang_up("w0-none")


# ---------------------------------------------------------------- REST


async def test_a_number_that_twilio_refuses(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(unreachable=(PROSPECT,))) as office:
        with pytest.raises(CarrierError) as failed:
            await office.place()
        assert (failed.value.kind, failed.value.code) == ("invalid_number", 21214)
        assert PROSPECT not in str(failed.value)
        (record,) = await office.calls.list()
        assert (record.status, record.outcome) == ("failed", "failed")
        assert "cannot be reached" in record.ended_because
        assert office.is_idle()


async def test_wrong_credentials(autojump_clock: Clock) -> None:
    async with an_office(
        api_key="SK1", api_secret=type(SETTINGS.twilio.auth_token)("no")
    ) as office:
        with pytest.raises(CarrierError) as failed:
            await office.place()
        assert failed.value.kind == "auth"
        assert office.is_idle()


async def test_a_refusal_for_haste_is_tried_again(autojump_clock: Clock) -> None:
    script = TwilioScript(answers=TALKER, faults=(RestFault("rate"), RestFault("rate")))
    async with an_office(script) as office:
        record = await office.call()
        assert record.outcome == "talked"
        assert len(office.twilio.calls) == 1


@pytest.mark.parametrize("kind", ["server", "unavailable", "refuse", "hang"])
async def test_a_lost_answer_never_dials_twice(autojump_clock: Clock, kind: Any) -> None:
    async with an_office(TwilioScript(answers=TALKER, faults=(RestFault(kind),))) as office:
        with pytest.raises(CarrierError) as failed:
            await office.place()
        assert failed.value.kind == "unknown"
        assert not failed.value.retryable
        assert len([r for r in office.twilio.requests if r.method == "POST"]) == 1
        assert office.twilio.calls == []
        (record,) = await office.calls.list()
        assert record.outcome == "failed"
        assert office.is_idle()


async def test_a_call_whose_making_was_not_confirmed_is_known_by_its_callbacks(
    autojump_clock: Clock,
) -> None:
    async with an_office(TwilioScript(answers=TALKER, faults=(RestFault("drop"),))) as office:
        record = await office.call()
        assert record.outcome == "talked"
        assert record.sid == only(office).sid
        assert office.is_idle()


async def test_a_call_that_is_given_up_and_rings_all_the_same_is_hung_up(
    autojump_clock: Clock,
) -> None:
    script = TwilioScript(
        answers=attrs.evolve(STAYS, rings_s=25),
        faults=(RestFault("drop"),),
        callbacks=Callbacks(lost=1.0),
    )
    async with an_office(script) as office:
        with pytest.raises(CarrierError):
            await office.place()
        assert office.is_idle()
        with trio.fail_after(60):
            await only(office).over.wait()
        assert only(office).status == "completed"
        assert only(office).problems == []
        assert not any(hook.url.endswith("/stream-status") for hook in office.twilio.webhooks)
        (record,) = await office.calls.list()
        assert record.outcome == "failed"


# ---------------------------------------------------------------- hanging up


@pytest.mark.parametrize("after_s", [0, 0.5, 1.5, 3.2, 5, 9])
@pytest.mark.parametrize("fault", [None, "server", "hang", "refuse"])
async def test_hanging_up_at_any_time(autojump_clock: Clock, after_s: float, fault: Any) -> None:
    async with an_office(TwilioScript(answers=STAYS)) as office:
        placed = await office.place()
        await trio.sleep(after_s)
        if fault is not None:
            office.twilio.faults.extend([RestFault(fault)] * 20)
        with trio.fail_after(60):
            record = await office.calls.hang_up(placed.id)
        assert record.is_over
        assert record.ended_because == "hung up by request"
        assert record.outcome in ("canceled", "no_answer", "hung_up", "talked")
        assert (record.outcome in ("hung_up", "talked")) == (record.answered_s is not None)
        assert await office.calls.hang_up(placed.id) == record
        assert office.is_idle()
        assert only(office).over.is_set() or fault is not None
        with trio.fail_after(120):
            await only(office).over.wait()


async def test_hanging_up_while_nobody_knows_whether_it_was_dialled(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS, faults=(RestFault("hang"),))) as office:
        async with trio.open_nursery() as nursery:

            async def place() -> None:
                with pytest.raises(CarrierError):
                    await office.place()

            nursery.start_soon(place)
            await trio.sleep(12)
            (live,) = office.calls.all_live
            with trio.fail_after(60):
                record = await office.calls.hang_up(live.id)
            assert record.outcome == "failed"
        assert office.is_idle()


# ---------------------------------------------------------------- limits


async def test_nothing_is_heard_of_a_call(autojump_clock: Clock) -> None:
    script = TwilioScript(answers=NoAnswer(), callbacks=Callbacks(lost=1.0))
    async with an_office(script) as office:
        began_s = trio.current_time()
        record = await office.call()
        assert record.outcome == "no_answer"
        assert trio.current_time() - began_s < 50
        assert office.is_idle()


async def test_callbacks_are_lost_of_a_call_that_is_answered(autojump_clock: Clock) -> None:
    script = TwilioScript(answers=TALKER, callbacks=Callbacks(lost=1.0))
    async with an_office(script) as office:
        record = await office.call()
        assert (record.status, record.outcome) == ("completed", "talked")
        assert office.is_idle()


@pytest.mark.parametrize("seed", range(12))
async def test_callbacks_come_doubled_and_in_any_order(autojump_clock: Clock, seed: int) -> None:
    personas: tuple[Persona, ...] = (TALKER, Busy(), NoAnswer(), Failed())
    persona = personas[seed % 4]
    wanted = ["talked", "busy", "no_answer", "failed"][seed % 4]
    callbacks = Callbacks(lost=0.0, doubled=0.7, reordered=0.7, late_s=6.0)
    async with an_office(TwilioScript(answers=persona, callbacks=callbacks, seed=seed)) as office:
        record = await office.call()
        assert record.outcome == wanted
        assert office.is_idle()
        await trio.sleep(20)  # what comes late changes nothing
        assert await office.calls.get(record.id) == record


async def test_the_longest_call_is_ended(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS), max_call_ms=20_000) as office:
        record = await office.call()
        assert record.duration_s is not None
        assert record.duration_s <= 21
        assert office.is_idle()


async def test_a_stream_that_does_not_come_ends_the_call(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS)) as office:
        office.server.doors = {}
        record = await office.call()
        assert record.outcome == "hung_up"
        assert record.is_over
        assert office.is_idle()


async def test_a_session_that_fails_ends_the_call(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS)) as office:
        office.server.tools = (None,)  # type: ignore[assignment]
        record = await office.call()
        assert record.outcome == "hung_up"
        assert record.ended_because == "its session failed"
        assert office.is_idle()


@pytest.mark.parametrize(
    "faults",
    [
        (deepgram.Rejects(401),),
        (deepgram.RefusesConnection(),),
        (deepgram.Disconnects(4.0, connections=FIRST), deepgram.Rejects(402, frozenset({1}))),
    ],
)
async def test_whom_nobody_would_hear_is_not_kept_on_the_line(
    autojump_clock: Clock, faults: tuple[deepgram.Fault, ...]
) -> None:
    """Deepgram cannot be had at the start of the call, or not any more in the middle of it."""
    setup = attrs.evolve(SETUP, direct=False, deepgram_faults=faults)
    async with an_office(TwilioScript(answers=STAYS), setup=setup) as office:
        record = await office.call()
        assert record.ended_because == "speech recognition is unavailable"
        assert record.duration_s is not None
        assert record.duration_s < 20
        said = [turn.heard for turn in record.turns]
        assert (TurnSettings().cannot_hear in said) == (len(faults) == 2)
        assert office.is_idle()


async def test_who_would_hear_nothing_is_not_kept_on_the_line(autojump_clock: Clock) -> None:
    """The account of the voice's provider runs dry in the midst of the greeting."""
    fault = cartesia.Fault("error", after_chunks=9, status=402, code="quota_exceeded")
    script = cartesia.CartesiaScript(faults=(fault,))
    setup = attrs.evolve(SETUP, direct=False, cartesia=script)
    async with an_office(TwilioScript(answers=STAYS), setup=setup) as office:
        record = await office.call()
        assert record.ended_because == "speech synthesis is unavailable"
        (greeting,) = record.turns
        assert OPENING.startswith(greeting.heard)
        assert 0 < len(greeting.heard) < len(OPENING)
        assert office.is_idle()


async def test_a_server_that_goes_down_gives_up_what_rings(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS)) as office:
        talking = await office.place()
        await trio.sleep(5)
        ringing = await office.place(OTHER)
        await trio.sleep(1)
        office.desk.drain()
        with pytest.raises(NoLine, match="going down"):
            await office.place("+12125550144")
        live = office.calls.live(talking.id)
        assert live is not None
        assert not live.is_ending, "its session says goodbye first"
        assert (await office.calls.wait(ringing.id)).outcome == "canceled"
        assert office.calls.live(talking.id) is live
        await office.server.drain()
        assert (await office.calls.wait(talking.id)).ended_because.startswith("the server is going")
        assert office.is_idle()


async def test_what_is_live_is_ended_when_the_process_stops(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=STAYS)) as office:
        placed = await office.place()
        await trio.sleep(1)
        live = office.calls.live(placed.id)
        assert live is not None
        with stopping(office):
            await live.over.wait()
            assert live.record.ended_because == "server stopped"
            assert live.record.outcome == "canceled"
            await only(office).over.wait()
            assert only(office).status == "canceled"


async def test_a_bug_in_one_call_ends_that_call(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with an_office(TwilioScript(answers=STAYS)) as office:
        well = await office.place(OTHER)
        monkeypatch.setattr(lifecycle, "_heed_verdict", None)
        record = await office.call()
        monkeypatch.undo()
        assert record.ended_because == "internal error"
        assert record.outcome == "canceled"
        assert office.calls.live(well.id) is None  # it looked at its verdict too
        assert office.is_idle()
        for call in office.twilio.calls:
            await call.over.wait()


async def test_a_phone_without_calls_looks_after_nothing(autojump_clock: Clock) -> None:
    """Nothing wakes the process while nobody talks, nor once nobody does any more."""
    async with an_office() as office:
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline == float("inf")
        await office.call()
        await trio.sleep(600)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 60
