"""The whole phone in memory: people are heard, understood and answered, in one call and in many."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from vantum.config import ComplianceSettings, Settings
from vantum.telephony.calls import CallOrder
from vantum.testing import OpenAIScript
from vantum.testing.calls import CallSetup
from vantum.testing.openai_wire import Messages
from vantum.testing.twilio import (
    Answered,
    AnsweringMachine,
    HangUp,
    Line,
    Network,
    Pause,
    Person,
    Say,
    TwilioScript,
    simulated_phone,
)

Clock = trio.testing.MockClock


def echo(messages: Messages) -> str:
    return f"You said: {messages[-1]['content']}"


SETUP = CallSetup(
    settings=Settings(compliance=ComplianceSettings(consent_required=False, countries="US")),
    openai=OpenAIScript(echo),
)


def says(*sentences: str) -> Person:
    steps = [step for text in sentences for step in (Say(text), Answered())]
    return Person((Pause(0.5), *steps, HangUp()), quiet_s=1.5)


@pytest.mark.parametrize("direct", [False, True])
async def test_what_is_said_is_heard(autojump_clock: Clock, direct: bool) -> None:
    setup = attrs.evolve(SETUP, direct=direct)
    async with simulated_phone(setup=setup) as phone:
        call = phone.twilio.ring(phone.voice_url, says("What does it cost?", "That is a lot."))
        await call.until_streaming()
        (live,) = phone.calls.all_live
        record = await phone.calls.wait(live.id)
        said = [(turn.role, turn.said) for turn in record.turns]
        assert said == [
            ("user", "What does it cost?"),
            ("assistant", "You said: What does it cost?"),
            ("user", "That is a lot."),
            ("assistant", "You said: That is a lot."),
        ]
        assert call.ended_because == "the person hangs up"


@pytest.mark.parametrize("at_once", [False, True])
async def test_many_calls_are_not_confused(autojump_clock: Clock, at_once: bool) -> None:
    """They speak one shortly after the other, or all at once, on a line of changing delay."""
    words = ["apples", "pears", "plums", "figs", "dates"]
    line = Line(network=Network(delay_ms=200, jitter_ms=600 if at_once else 0))
    async with simulated_phone(TwilioScript(line=line), SETUP) as phone:
        for number, word in enumerate(words):
            pause = Pause(3.0 - 0.37 * number if at_once else 0.5)
            person = Person((pause, Say(f"I like {word}."), Answered(), HangUp()), quiet_s=1.5)
            phone.twilio.ring(phone.voice_url, person)
            await trio.sleep(0.37)
        records = [await phone.calls.wait(live.id) for live in list(phone.calls.all_live)]
        assert [record.turns[0].said for record in records] == [f"I like {w}." for w in words]


async def test_a_call_of_ours_and_a_line_that_loses_frames(autojump_clock: Clock) -> None:
    script = TwilioScript(answers=says("Yes, hello?"), line=Line(lost=0.02), seed=3)
    async with simulated_phone(script, SETUP) as phone:
        placed = await phone.calls.place(CallOrder("+12125550142"))
        record = await phone.calls.wait(placed.id)
        assert record.outcome == "talked"
        assert "Yes, hello?" in [turn.said for turn in record.turns]
        (call,) = phone.twilio.calls
        assert call.status == "completed"


async def test_a_machine_is_left_a_message(autojump_clock: Clock) -> None:
    script = TwilioScript(answers=AnsweringMachine())
    text = "Hello, this is an AI assistant. Please call us back."
    async with simulated_phone(script, SETUP) as phone:
        placed = await phone.calls.place(CallOrder("+12125550142", voicemail=text))
        record = await phone.calls.wait(placed.id)
        (call,) = phone.twilio.calls
        assert record.outcome == "voicemail_left"
        assert call.answered_by == "machine_end_beep"
        assert call.leg.beeped_s is not None
        # A tone of 0.12 s for each word, at least, and all of it behind the beep.
        assert call.leg.earpiece.voice_between(call.leg.beeped_s, 1e9) > 1.0
