"""Transfers, with the simulated Twilio at all three ends: the caller, the colleague, the server."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import attrs
import httpx
import pytest
import trio
import trio.testing

from tests.telephony.office import OTHER, PROSPECT, SETTINGS, SETUP, Office, an_office
from vantum.config import TransferSettings, TurnSettings
from vantum.core.cost import price_per_minute
from vantum.http import build_app
from vantum.telephony import transfer_twiml
from vantum.telephony.record import CallRecord
from vantum.telephony.records import ABANDONED_S, CallRecords
from vantum.telephony.transfers import Transfers
from vantum.testing import CallTool, DeepgramScript, OpenAIScript, Reply
from vantum.testing.calls import CallSetup
from vantum.testing.openai_wire import Messages
from vantum.testing.twilio import (
    AnsweringMachine,
    Busy,
    Failed,
    HangUp,
    NoAnswer,
    Pause,
    Person,
    Persona,
    PhoneCall,
    Press,
    RestFault,
    TwilioScript,
)

Clock = trio.testing.MockClock

SUMMARY = "It is Bob of Acme, who wants an offer for fifty seats."
TRANSFER = TransferSettings(numbers=f"sales={OTHER}", ring_timeout_ms=10_000)
CALLEE = Person((Pause(50), HangUp()), rings_s=3)
#: Listens to the summary, takes the call and talks.
COLLEAGUE = Person((Pause(8), Press("1"), Pause(20), HangUp()), rings_s=4)


def office_with(
    colleague: Persona,
    *,
    callee: Persona = CALLEE,
    sentences: tuple[str, ...] = ("Hello there.",),
    to: str = "sales",
    **settings: Any,
) -> Any:
    """The model transfers who says hello."""

    def reply(messages: Messages) -> str | Reply:
        last = messages[-1]
        if last["role"] == "tool":
            return f"Told: {last['content']}"
        if "Hello" in str(last["content"]):
            return Reply("", (CallTool("transfer", {"to": to, "summary": SUMMARY}),))
        return "We open at nine."

    transfer = attrs.evolve(TRANSFER, **settings)
    if transfer.mode == "blind":
        calls = (CallTool("transfer", {"to": to}),)

        def reply(messages: Messages) -> str | Reply:
            last = messages[-1]
            if last["role"] == "tool":
                return f"Told: {last['content']}"
            return Reply("", calls) if "Hello" in str(last["content"]) else "We open at nine."

    setup: CallSetup = attrs.evolve(
        SETUP,
        settings=attrs.evolve(SETTINGS, transfer=transfer, turns=TurnSettings(reprompt_after_ms=0)),
        openai=OpenAIScript(reply),
        deepgram=DeepgramScript(sentences, lead_s=6.0, pause_s=3.0, repeat=False),
    )
    personas = {PROSPECT: callee, OTHER: colleague}
    return an_office(TwilioScript(personas=personas), setup=setup)


def legs(office: Office) -> tuple[PhoneCall, PhoneCall]:
    caller, colleague = office.twilio.calls
    return caller, colleague


def heard(record: CallRecord) -> list[str]:
    return [turn.heard for turn in record.turns if turn.role == "assistant" and turn.heard]


async def test_a_colleague_who_accepts_gets_the_caller(autojump_clock: Clock) -> None:
    async with office_with(COLLEAGUE) as office:
        record = await office.call()
        caller, colleague = legs(office)
        assert record.outcome == "transferred"
        assert record.ended_because == "transferred to sales"
        assert heard(record) == [
            "Hello, this is an AI assistant calling. Is now a good moment?",
            f"{TRANSFER.waiting_text} {TRANSFER.connect_text}",
        ]
        assert not caller.problems
        assert not colleague.problems
        # The summary was spoken to the colleague, and only then was the caller there.
        assert colleague.to_number == OTHER
        created = next(r for r in office.twilio.requests if r.form.get("To") == [OTHER])
        assert SUMMARY in str(created.form)
        assert "Press 1" in str(created.form)
        assert colleague.answered_s is not None
        await caller.over.wait()  # a moment after the record: it is told by its last request
        assert caller.ended_s is not None
        assert caller.ended_s > colleague.answered_s + 20, "they talked"
        assert caller.ended_s == pytest.approx(colleague.ended_s, abs=6)
        assert office.is_idle()
        assert not office.desk.abilities.transfers._asked


@pytest.mark.parametrize(
    ("colleague", "words"),
    [
        (Busy(), "is on another line"),
        (NoAnswer(), "does not answer"),
        (Failed(), "cannot be reached"),
        (Person((Pause(8), Press("2")), rings_s=2), "did not take the call"),
        (Person((Pause(100),), rings_s=2), "did not take the call"),
        (Person((Pause(3), HangUp()), rings_s=2), "did not take the call"),
        (AnsweringMachine(rings_s=2), "did not take the call"),
    ],
    ids=["busy", "no answer", "failed", "another key", "no key", "hangs up", "machine"],
)
async def test_a_colleague_who_does_not_leaves_the_conversation_going_on(
    autojump_clock: Clock, colleague: Persona, words: str
) -> None:
    async with office_with(colleague) as office:
        record = await office.call()
        caller, colleague_call = legs(office)
        assert record.outcome == "talked"
        assert f"sales {words}" in heard(record)[-1], "the model has told them"
        assert "go on with the conversation" in heard(record)[-1]
        assert colleague_call.is_over
        assert caller.cut_s is not None
        assert not office.desk.abilities.transfers._asked
        assert office.is_idle()


async def test_the_caller_talks_with_the_agent_meanwhile(autojump_clock: Clock) -> None:
    talk = ("Hello there.", "When do you open tomorrow?")
    async with office_with(NoAnswer(), sentences=talk, ring_timeout_ms=20_000) as office:
        record = await office.call()
        said = heard(record)
        assert "We open at nine." in said[2]
        assert said[3] == TRANSFER.unavailable_text, "said though nobody asked the model"
        told = [turn.said for turn in record.turns if turn.role == "tool"]
        assert "still running" in told[0]
        assert "sales does not answer" in told[-1]


async def test_talking_meanwhile_does_not_keep_the_caller_from_the_colleague(
    autojump_clock: Clock,
) -> None:
    talk = ("Hello there.", "When do you open tomorrow?")
    slow = Person((Pause(12), Press("1"), Pause(20), HangUp()), rings_s=8)
    async with office_with(slow, sentences=talk) as office:
        record = await office.call()
        assert record.outcome == "transferred"
        assert heard(record)[-2:] == ["We open at nine.", TRANSFER.connect_text]


async def test_a_caller_who_hangs_up_takes_the_colleague_along(autojump_clock: Clock) -> None:
    callee = Person((Pause(20), HangUp()), rings_s=3)
    slow = Person((Pause(60), Press("1")), rings_s=6)
    async with office_with(slow, callee=callee, accept_timeout_ms=60_000) as office:
        record = await office.call()
        caller, colleague = legs(office)
        assert record.outcome == "talked"
        await trio.sleep(3)
        assert colleague.is_over
        assert colleague.answered_s is not None
        assert colleague.cut_s is not None
        assert caller.cut_s is not None
        assert colleague.cut_s - caller.cut_s < 2
        assert office.is_idle()


async def test_a_caller_who_leaves_the_conference_ends_it(autojump_clock: Clock) -> None:
    callee = Person((Pause(40), HangUp()), rings_s=3)
    stays = Person((Pause(6), Press("1"), Pause(600)), rings_s=3)
    async with office_with(stays, callee=callee) as office:
        record = await office.call()
        assert record.outcome == "transferred"
        await trio.sleep(8)
        assert all(call.is_over for call in office.twilio.calls)
        assert office.is_idle()


async def test_a_call_that_a_colleague_has_is_known_to_be_alive(autojump_clock: Clock) -> None:
    """Nothing of it changes here any more, and still nobody takes it for a dead process's."""
    stays = Person((Pause(6), Press("1"), Pause(900)), rings_s=3)
    async with office_with(stays, callee=Person(rings_s=3)) as office:
        placed = await office.place()
        await trio.sleep(60 + ABANDONED_S + 60)
        live = office.calls.live(placed.id)
        assert live is not None
        assert live.session_is_over
        means = office.calls.means
        another = CallRecords(means.records.database, "w1")
        assert await another.close_abandoned(means.now_s()) == 0
        await office.calls.hang_up(placed.id)


async def test_a_colleague_whom_nobody_joins_is_not_kept(autojump_clock: Clock) -> None:
    """The caller was told to come and has hung up in that instant."""
    stays = Person((Pause(6), Press("1"), Pause(600)), rings_s=3)
    async with office_with(stays) as office:
        placed = await office.place()
        live = office.calls.live(placed.id)
        assert live is not None
        with trio.fail_after(100):
            while not live.handed_over:  # noqa: ASYNC110 (virtual time costs nothing)
                await trio.sleep(0.05)
        live.told("completed")
        await trio.sleep(8)
        assert legs(office)[1].is_over


async def test_a_redirect_that_fails_lets_the_colleague_go(autojump_clock: Clock) -> None:
    async with office_with(COLLEAGUE) as office:
        placed = await office.place()
        while len(office.twilio.calls) < 2:  # noqa: ASYNC110 (virtual time costs nothing)
            await trio.sleep(0.5)
        office.twilio.faults.extend([RestFault("server")] * 5)  # each attempt
        with trio.fail_after(600):
            record = await office.calls.wait(placed.id)
        caller, colleague = legs(office)
        assert record.outcome == "talked"
        assert "did not put them through" in heard(record)[-1]
        assert colleague.is_over
        assert caller.cut_s is not None


async def test_a_bug_in_one_transfer_is_the_end_of_no_call(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(Transfers, "_dial", fails)
    async with office_with(COLLEAGUE) as office:
        record = await office.call()
        assert record.outcome == "talked"
        assert "sales cannot be reached" in heard(record)[-1]
        assert not office.desk.abilities.transfers._asked
        assert office.is_idle()


def test_a_summary_is_xml_whatever_the_model_wrote() -> None:
    twiml = transfer_twiml.question(
        TRANSFER, "en-GB", "Bob\x00 & \ud83d\x0b🙂 <3\n", "https://x/key"
    )
    summary = ET.fromstring(twiml).findtext("Gather/Say")
    assert summary == "Bob  &   🙂 <3\n"


async def test_a_name_that_is_not_in_the_settings_is_nobody(autojump_clock: Clock) -> None:
    async with office_with(COLLEAGUE, to="+19005550000") as office:
        record = await office.call()
        assert len(office.twilio.calls) == 1
        assert "there are: sales" in heard(record)[-1]


# ---------------------------------------------------------------- blind


async def test_a_blind_transfer_is_announced_and_dialled_by_twilio(autojump_clock: Clock) -> None:
    async with office_with(COLLEAGUE, mode="blind") as office:
        record = await office.call()
        caller, colleague = legs(office)
        assert record.outcome == "transferred"
        assert heard(record)[-1] == TRANSFER.connect_text
        assert colleague.direction == "outbound-dial"
        assert colleague.from_number == record.from_number
        assert colleague.bridged
        assert not caller.problems
        assert office.is_idle()


def test_what_is_said_to_who_was_not_connected() -> None:
    assert transfer_twiml.hang_up("Sorry.", "en-GB") == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Say language="en-GB">Sorry.</Say><Hangup /></Response>'
    )


@pytest.mark.parametrize("mode", ["warm", "blind"])
@pytest.mark.parametrize(
    ("colleague", "stays_s", "minutes"),
    [
        (Person((Pause(6), Press("1"), Pause(75), HangUp()), rings_s=3), 200, 2),
        # The agent goes on with him, and each second of that is a second of audio.
        (Person((Pause(1), HangUp()), rings_s=3), 40, 1),
        (Busy(), 40, 0),
    ],
)
async def test_what_the_colleagues_call_costs_is_in_the_record(
    autojump_clock: Clock, mode: str, colleague: Persona, stays_s: float, minutes: int
) -> None:
    callee = Person((Pause(stays_s), HangUp()), rings_s=3)
    async with office_with(colleague, callee=callee, mode=mode) as office:
        record = await office.call()
        assert record.duration_s is not None
        per_minute = price_per_minute(SETTINGS.prices.prices.outbound, OTHER)
        own = math.ceil(record.duration_s / 60) * per_minute
        detection = SETTINGS.prices.prices.machine_detection if record.answered_by else 0
        rest = record.cost.carrier - own - detection - minutes * per_minute
        # The streams of its own sessions: each minute that was begun, and never the colleague's.
        streams = rest / SETTINGS.prices.prices.stream_per_minute
        assert streams == pytest.approx(round(streams))
        assert 1 <= round(streams) <= math.ceil(record.duration_s / 60)


async def test_who_interrupts_a_blind_transfer_is_not_transferred(autojump_clock: Clock) -> None:
    talk = ("Hello there.", "Wait, not yet please.")
    long_text = "I am connecting you with a colleague of mine who can tell you all about it now. "
    async with office_with(
        COLLEAGUE, mode="blind", sentences=talk, connect_text=long_text * 3
    ) as office:
        record = await office.call()
        assert len(office.twilio.calls) == 1
        assert record.outcome == "talked"
        assert any("they interrupted" in t.said for t in record.turns if t.role == "tool")


# ---------------------------------------------------------------- an inbound call


@pytest.mark.parametrize("mode", ["warm", "blind"])
async def test_an_inbound_call_that_nobody_tells_the_end_of_ends_too(
    autojump_clock: Clock, mode: str
) -> None:
    caller = Person((Pause(40), HangUp()))
    async with office_with(COLLEAGUE, mode=mode) as office:
        ringing = office.twilio.ring("https://server.test/twilio/voice", caller)
        await ringing.until("in-progress")
        (live,) = office.calls.all_live
        with trio.fail_after(300):
            record = await office.calls.wait(live.id)
        assert record.outcome == "transferred"
        assert record.direction == "inbound"
        assert office.is_idle()


# ---------------------------------------------------------------- who may say so


@pytest.mark.parametrize("path", ["dialled", "dialled-status", "x/key", "x/status", "x/left"])
async def test_what_is_not_signed_is_refused(autojump_clock: Clock, path: str) -> None:
    async with office_with(COLLEAGUE) as office:
        transport = httpx.ASGITransport(build_app(office.server, office.desk.phone.routes))
        async with httpx.AsyncClient(transport=transport, base_url="https://server.test") as web:
            url = f"/twilio/calls/w0-1/transfer/{path}"
            answer = await web.post(url, data={"Digits": "1", "CallSid": "CA1"})
            assert answer.status_code == 403
