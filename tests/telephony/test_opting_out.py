"""Who asks not to be called again is written down at once, and heard out with an apology."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.telephony.office import PROSPECT, SETUP, Office, an_office
from tests.test_phone import greet, hears
from tests.test_phone import setup as phone_setup
from tests.twilio_stream import VOICE, an_exchange
from vantum.compliance.check import Compliance
from vantum.config import (
    ComplianceSettings,
    DeepgramSettings,
    Settings,
    SpeculationSettings,
)
from vantum.errors import StorageError
from vantum.telephony.opting_out import REASON
from vantum.testing import CallTool, DeepgramScript, OpenAIScript, Reply
from vantum.testing.calls import CallSetup
from vantum.testing.openai_script import Fault
from vantum.testing.twilio import HangUp, Pause, Person, TwilioScript

Clock = trio.testing.MockClock

APOLOGY = ComplianceSettings().opt_out_reply
CALLER = "+12125550188"
LISTENER = TwilioScript(answers=Person((Pause(60), HangUp()), rings_s=3))


def saying(text: str, **changes: Any) -> CallSetup:
    """Six seconds after the answer somebody says this."""
    heard = DeepgramScript((text,), lead_s=6.0, pause_s=30.0, repeat=False)
    return attrs.evolve(SETUP, deepgram=heard, **changes)


def audited(office: Office) -> list[str]:
    compliance = office.desk.compliance
    assert compliance is not None
    return [str(line) for line in compliance._audit.journal.lines]  # type: ignore[attr-defined]


async def is_blocked(office: Office, number: str = PROSPECT) -> bool:
    """By the database, whatever the process remembers."""
    compliance = office.desk.compliance
    assert compliance is not None
    compliance._unwritten.clear()
    return await compliance.is_blocked(number)


async def test_a_callee_who_says_so_is_not_called_again(autojump_clock: Clock) -> None:
    async with an_office(LISTENER, setup=saying("Please stop calling me.")) as office:
        record = await office.call()
        assert record.outcome == "opted_out"
        assert record.ended_because == REASON
        assert [(t.role, t.heard) for t in record.turns][-2:] == [
            ("user", "Please stop calling me."),
            ("assistant", APOLOGY),
        ]
        assert "Yes, indeed." not in str(record.turns), "the model had no say in it"
        assert await is_blocked(office)
        (line,) = [line for line in audited(office) if '"opt_out"' in line]
        assert "stop calling me" in line
        assert record.id in line


@pytest.mark.parametrize(
    ("verdict", "voicemail"),
    [
        ("machine_start", ""),
        ("machine_end_beep", "This is an AI assistant. Please call us back."),
        ("unknown", ""),
    ],
)
async def test_what_answered_changes_nothing_once_it_was_said(
    autojump_clock: Clock, verdict: str, voicemail: str
) -> None:
    """Machine detection takes its time, and may be wrong: the verdict comes into the apology."""
    setup = saying("Please stop calling me.")
    detection: dict[str, Any] = {"machine_detection": False, "unknown_answer": "hang_up"}
    async with an_office(LISTENER, setup=setup, **detection) as office:
        placed = await office.place(voicemail=voicemail)
        live = office.calls.live(placed.id)
        assert live is not None
        with trio.fail_after(100):
            await live.until(lambda: live.noted is not None)
        await trio.sleep(1)
        live.judged(verdict)
        record = await office.calls.wait(placed.id)
        assert (record.outcome, record.ended_because) == ("opted_out", REASON)
        assert record.turns[-1].heard == APOLOGY
        assert await is_blocked(office)


async def test_a_model_that_fails_changes_nothing(autojump_clock: Clock) -> None:
    broken = OpenAIScript(faults=(Fault("server"),) * 20)
    setup = saying("Take me off your list.", openai=broken, direct=False)
    async with an_office(LISTENER, setup=setup) as office:
        record = await office.call()
        assert record.outcome == "opted_out"
        assert record.turns[-1].heard == APOLOGY
        assert await is_blocked(office)


async def test_who_calls_us_can_say_so_too_while_the_agent_speaks(autojump_clock: Clock) -> None:
    setup = phone_setup("Let me tell you a very long story about what we do. " * 5)
    heard = hears("Hello there.", "Do not call me again.")
    async with an_exchange(attrs.evolve(setup, deepgram=heard)) as line:
        stream = await line.call(From=CALLER)
        began_s = trio.current_time()
        await greet(stream)
        await stream.speak(began_s + 6.2 - trio.current_time())
        conductor = line.conductor
        with trio.move_on_after(30):
            while not stream.over.is_set():
                await stream.speak(0.2, VOICE)
        assert conductor.ended_because == REASON
        entries = [(x.role, x.text) for x in conductor.history.entries]
        assert entries[-2:] == [
            ("user", "Do not call me again."),
            ("assistant", APOLOGY),
        ]
        assert conductor.history.entries[1].interrupted
        compliance = line.desk.compliance
        assert compliance is not None
        assert await compliance.is_blocked(CALLER)


async def test_an_answer_that_was_made_ahead_in_secret_is_not_said(autojump_clock: Clock) -> None:
    """The same words were guessed before they were final, and the model had answered them."""
    ahead = SpeculationSettings(mode="speech", confidence=0.0, probability=0.0)
    settings = Settings(speculation=ahead, deepgram=DeepgramSettings(endpointing_ms=2000))
    setup = phone_setup("Why should I stop?", settings=settings)
    heard = attrs.evolve(hears("Please stop calling me."), interim_every_s=0.1, latency_ms=150)
    async with an_exchange(attrs.evolve(setup, deepgram=heard)) as line:
        stream = await line.call(From=CALLER)
        conductor = line.conductor
        await stream.speak(0.2)
        await stream.speak(1.3, VOICE)
        with trio.move_on_after(30):
            while not stream.over.is_set():
                await stream.speak(0.1)
        assert conductor.speculation.dropped, "there was such an answer"
        entries = [(x.role, x.text) for x in conductor.history.entries]
        assert entries == [("user", "Please stop calling me."), ("assistant", APOLOGY)]


async def test_the_tool_does_the_same(autojump_clock: Clock) -> None:
    answers = OpenAIScript((Reply("Well.", (CallTool("do_not_call"),)), "Nothing."))
    setup = saying("I have had enough of this.", openai=answers)
    async with an_office(LISTENER, setup=setup) as office:
        record = await office.call()
        assert record.outcome == "opted_out"
        assert record.turns[-1].heard == APOLOGY
        assert await is_blocked(office)
        assert any("understood by the agent" in line for line in audited(office))


async def test_hanging_up_right_after_the_words_does_not_lose_them(autojump_clock: Clock) -> None:
    """The last word is final 1.1 s after the sixth second: before it, it was not said."""
    script = TwilioScript(answers=Person((Pause(9.6), HangUp()), rings_s=3))
    async with an_office(script, setup=saying("Please stop calling me.")) as office:
        record = await office.call()
        assert record.outcome == "opted_out"
        assert APOLOGY not in [turn.heard for turn in record.turns]
        assert await is_blocked(office)


#: He speaks on and on, so that none of it becomes final; the request is over after 1.2 s.
BREATHLESS = attrs.evolve(
    hears("Please stop calling me " + "and I mean it " * 20),
    lead_s=6.0,
    final_every_s=100.0,
    interim_every_s=0.1,
)


@pytest.mark.parametrize("after_s", [7.3, 9.0])
async def test_who_hangs_up_before_his_words_are_final_has_said_them(
    autojump_clock: Clock, after_s: float
) -> None:
    script = TwilioScript(answers=Person((Pause(after_s), HangUp()), rings_s=3))
    async with an_office(script, setup=attrs.evolve(SETUP, deepgram=BREATHLESS)) as office:
        record = await office.call()
        assert record.turns[-1].said.startswith("Please stop calling me")
        assert record.outcome == "opted_out"
        assert await is_blocked(office)


async def test_so_has_whose_connection_is_gone(autojump_clock: Clock) -> None:
    async with an_exchange(attrs.evolve(phone_setup("Yes?"), deepgram=BREATHLESS)) as line:
        stream = await line.call(From=CALLER)
        await stream.speak(8.0)
        await stream.socket._stream.aclose()
        await trio.sleep(5)
        compliance = line.desk.compliance
        assert compliance is not None
        assert await compliance.is_blocked(CALLER)


async def test_so_has_who_speaks_into_our_last_words(autojump_clock: Clock) -> None:
    """We hang up while he is still speaking."""
    message = "This is an AI assistant. Please call us back."
    setup = attrs.evolve(SETUP, deepgram=BREATHLESS)
    async with an_office(LISTENER, setup=setup, machine_detection=False) as office:
        placed = await office.place(voicemail=message)
        live = office.calls.live(placed.id)
        assert live is not None
        with trio.fail_after(100):
            await live.until(lambda: live.progress.was_answered)
        await trio.sleep(5.5)
        live.judged("machine_start")
        record = await office.calls.wait(placed.id)
        assert record.turns[-1].heard == message
        assert record.outcome == "opted_out"
        assert await is_blocked(office)


@asynccontextmanager
async def failing(
    office: Office, times: int, error: type[Exception] = StorageError
) -> AsyncIterator[list[float]]:
    """The database takes no opt-out so many times."""
    compliance = office.desk.compliance
    assert compliance is not None
    database, tried = compliance._database, []

    class Failing:
        async def run(self, work: Any) -> Any:
            if work.__name__ == "withdraw":
                tried.append(trio.current_time())
            if len(tried) <= times:
                raise error("the database is locked")
            return await database.run(work)

    compliance._database = Failing()  # type: ignore[assignment]
    try:
        yield tried
    finally:
        compliance._database = database


@pytest.mark.parametrize("error", [StorageError, ZeroDivisionError])
async def test_a_database_that_fails_is_asked_again_and_the_call_ends_anyway(
    autojump_clock: Clock, error: type[Exception]
) -> None:
    async with an_office(LISTENER, setup=saying("Please stop calling me.")) as office:
        placed = await office.place()
        async with failing(office, 2, error) as tried:
            record = await office.calls.wait(placed.id)
            assert record.outcome == "opted_out"
            assert record.turns[-1].heard == APOLOGY
            await trio.sleep(30)
        assert [round(b - a) for a, b in pairwise(tried)] == [1, 5]
        assert await is_blocked(office)
        if error is StorageError:
            on_record = sum('"opt_out"' in line for line in audited(office))
            assert on_record == 3, "each attempt is on record"


async def test_the_process_knows_of_it_even_if_the_database_never_does(
    autojump_clock: Clock,
) -> None:
    async with an_office(LISTENER, setup=saying("Please stop calling me.")) as office:
        placed = await office.place()
        async with failing(office, 1000):
            await office.calls.wait(placed.id)
            compliance = office.desk.compliance
            assert isinstance(compliance, Compliance)
            assert await compliance.is_blocked(PROSPECT)


@pytest.mark.parametrize("text", ["Please call me again tomorrow.", "Never stop calling me, mom."])
async def test_other_words_are_the_models_to_answer(autojump_clock: Clock, text: str) -> None:
    async with an_office(LISTENER, setup=saying(text)) as office:
        record = await office.call()
        assert record.outcome == "talked"
        assert "Yes, indeed." in [turn.heard for turn in record.turns]
        assert not await is_blocked(office)
