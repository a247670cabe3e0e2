"""The end of a phone call by its agent: nothing interrupts the last words, and they are heard."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.testing

from tests.telephony.office import SETUP as OFFICE
from tests.telephony.office import an_office
from tests.test_phone import ANSWER, greet, setup
from tests.twilio_stream import VOICE, MediaStream, an_exchange
from vantum.actors.conductor import Conductor
from vantum.config import Settings, ToolSettings
from vantum.testing import CallTool, DeepgramScript, OpenAIScript, Reply
from vantum.testing.twilio import HangUp, Pause, Person, TwilioScript

TEXT = "Please call us back when you have a moment. Goodbye."
SPOKEN = ANSWER.replace("||BREAK|| ", "")


async def test_a_message_is_heard_out_whatever_a_recording_says_meanwhile(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup(ANSWER, "Hello there.", "Please speak after the tone.")) as line:
        stream = await line.call()
        began_s = trio.current_time()
        await greet(stream)
        await stream.speak(1.0)
        conductor = line.conductor
        await conductor.say(TEXT, then_hang_up=True, reason="left a message")
        await stream.until_event("clear")
        # The recording goes on for as long as the message does.
        with trio.move_on_after(20):
            while not stream.over.is_set():
                await stream.speak(0.2, VOICE)
        assert stream.over.is_set()
        assert len(stream.events("clear")) == 1, "only the answer was cut"
        entries = conductor.history.entries
        assert [x.role for x in entries] == ["user", "assistant", "assistant"]
        assert entries[1].interrupted
        assert SPOKEN.startswith(entries[1].text)
        assert (entries[2].text, entries[2].interrupted) == (TEXT, False)
        assert conductor.ended_because == "left a message"
        assert stream.socket.close_code == 1000
        assert trio.current_time() - began_s < 20


async def test_what_is_announced_can_be_interrupted_unless_the_call_ends_with_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup(ANSWER, "Hello there.")) as line:
        stream = await line.call()
        await greet(stream)
        await line.conductor.say(TEXT)
        await stream.until_event("clear")
        count = len(stream.played)
        while len(stream.played) < count + 10:
            await stream.speak(0.1)
        await stream.speak(1.0, VOICE)
        assert len(stream.events("clear")) == 2


@pytest.mark.parametrize("held_up", ["never", "early", "late"])
async def test_the_line_is_cut_when_the_goodbye_of_end_call_was_heard(
    autojump_clock: trio.testing.MockClock, held_up: str
) -> None:
    """Early: the marks tell before the last word is sent; late: only the line itself knows."""
    goodbye = "Thank you for your time, and goodbye."
    script = setup(settings=Settings(tools=ToolSettings(built_in="end_call")))
    answers = (Reply(goodbye, (CallTool("end_call"),)),)
    script = attrs.evolve(script, openai=OpenAIScript(answers, first_token_s=0.1))
    async with an_exchange(script) as line:
        stream = await line.call()
        conductor = line.conductor
        await greet(stream)
        if held_up == "early":
            stream.hold_up(0.6)
        count = 0
        while count < len(stream.events("media")):  # until the last chunk is there
            count = len(stream.events("media"))
            await stream.speak(0.12)
        if held_up == "late":
            stream.hold_up(0.6)
        await _until_over(stream)
        sent = sum(160 for _ in stream.events("media"))
        late = 0 if held_up == "never" else 4800
        assert sum(len(mulaw) for _, mulaw in stream.played) >= sent + late
        assert not stream.events("clear")
        assert said_by(conductor) == [("user", "Hello there."), ("assistant", goodbye)]
        assert conductor.ledger.utterances[-1].reported


async def _until_over(stream: MediaStream) -> None:
    with trio.fail_after(30):
        while not stream.over.is_set():
            await stream.speak(0.1)


def said_by(conductor: Conductor) -> list[tuple[str, str]]:
    return [(x.role, x.text) for x in conductor.history.entries if x.role != "tool" and x.text]


async def test_words_of_the_other_side_during_the_last_ones_are_no_turn(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup("Yes.", "Hello there.", "Wait, I have a question.")) as line:
        stream = await line.call()
        began_s = trio.current_time()
        await greet(stream)
        await stream.speak(began_s + 5.8 - trio.current_time())
        conductor = line.conductor
        await conductor.say(TEXT, then_hang_up=True)
        await _until_over(stream)
        assert said_by(conductor) == [
            ("user", "Hello there."),
            ("assistant", "Yes."),
            ("assistant", TEXT),
        ]


@pytest.mark.parametrize("said", ["Wait, what do you want?", "Hello? Who is this?"])
async def test_the_opening_of_an_outbound_call_is_heard_whatever_is_said_into_it(
    autojump_clock: trio.testing.MockClock, said: str
) -> None:
    """Most people speak when they pick up; what must be said first is in the opening. What they
    say is answered after it, be it in words like those of the opening."""
    heard = DeepgramScript((said,), lead_s=1.0, pause_s=30.0, repeat=False)
    script = TwilioScript(answers=Person((Pause(15), HangUp()), rings_s=3))
    async with an_office(script, setup=attrs.evolve(OFFICE, deepgram=heard)) as office:
        record = await office.call()
        opening, *_ = [turn for turn in record.turns if turn.role == "assistant"]
        assert "AI assistant" in opening.heard
        assert (opening.heard, opening.interrupted) == (opening.said, False)
        assert [turn.role for turn in record.turns] == ["assistant", "user", "assistant"]
        assert record.turns[1].said == said
