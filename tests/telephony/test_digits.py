"""Keys that the agent presses: tones in the call's audio, in order with its speech."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.dtmf_receiver import keys_in
from tests.in_memory import a_call
from tests.test_phone import greet, said, setup
from tests.twilio_stream import VOICE, Exchange, an_exchange
from vantum.config import Settings, ToolSettings
from vantum.core import events as e
from vantum.telephony.phone_tools import SEND_DIGITS
from vantum.testing import CallTool, OpenAIScript, Reply
from vantum.testing.openai_wire import Messages

SETTINGS = Settings(tools=ToolSettings(built_in=""))


def presses(digits: str, text: str = "") -> Reply:
    return Reply(text, (CallTool("send_digits", {"digits": digits}),))


@asynccontextmanager
async def a_menu(*answers: str | Reply, heard: tuple[str, ...] = ()) -> AsyncIterator[Exchange]:
    def reply(messages: Messages) -> str | Reply:
        """The first answer to "Hello there.", the second to the tool, the last to all else."""
        last = messages[-1]
        if last["role"] == "tool":
            return answers[1]
        return answers[0 if "Hello" in str(last["content"]) else -1]

    script = setup("", *heard, settings=SETTINGS)
    script = attrs.evolve(script, openai=OpenAIScript(reply, first_token_s=0.1))
    async with an_exchange(script) as line:
        line.server.tools = (SEND_DIGITS,)
        yield line


def audio(stream: Any) -> bytes:
    return b"".join(mulaw for _, mulaw in stream.played)


async def test_keys_alone_are_an_answer(autojump_clock: trio.testing.MockClock) -> None:
    async with a_menu(presses("42#"), "?") as line:
        stream = await line.call()
        await greet(stream)
        await stream.speak(4)
        assert keys_in(audio(stream)) == "42#"
        assert said(line)[1:] == [
            ("assistant", "", False),
            ("tool", "The tones are being sent. Wait for what is said next.", False),
            ("assistant", "(sent digits 42#)", False),
        ]
        assert not any(m["role"] == "tool" for asked in line.sim.asked for m in asked), (
            "the model is not asked what else to say"
        )
        assert not line.sim.cartesia.transcripts, "nothing is read out"
        assert stream.played_s == pytest.approx(0.6, abs=0.03)


async def test_keys_come_behind_what_is_said_with_them_and_before_what_follows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    first = "One moment, let me enter the number for you."
    calls = (CallTool("send_digits", {"digits": "7w8"}), CallTool("send_digits", {"digits": "xyz"}))
    async with a_menu(Reply(first, calls), "That is done.") as line:
        stream = await line.call()
        await greet(stream)
        await stream.speak(9)
        entries = [(x.role, x.text) for x in line.conductor.history.entries if x.text]
        assert entries[1] == ("assistant", first)
        assert "w is a pause" in entries[3][1], "the model is told what was wrong"
        assert entries[4] == ("assistant", "(sent digits 7w8) That is done.")
        # Speech, then tones and pause, then speech.
        read_out = str(line.sim.cartesia.transcripts)
        assert "One moment" in read_out
        assert "That is done" in read_out
        assert "digits" not in read_out
        whole = audio(stream)
        assert keys_in(whole) == "78"
        heard = next(end for end in range(0, len(whole), 160) if keys_in(whole[:end]) == "7")
        spoken_s = line.conductor.ledger.utterances[0].words[len(first.split())].at_s
        assert heard / 8000 == pytest.approx(spoken_s, abs=0.08)


async def test_keys_that_are_cut_were_sent_as_far_as_they_were(
    autojump_clock: trio.testing.MockClock,
) -> None:
    heard = ("Hello there.", "Sorry wrong menu please.")
    async with a_menu(presses("123456789*0#" * 3), "All right.", heard=heard) as line:
        stream = await line.call()
        began_s = trio.current_time()
        await greet(stream)
        await stream.speak(began_s + 6.2 - trio.current_time())
        await stream.speak(0.9, VOICE)
        (cleared_s,) = stream.when("clear")
        await stream.speak(4)
        heard_audio = b"".join(m for at_s, m in stream.played if at_s < cleared_s)
        sent = keys_in(heard_audio)
        entries = [x for x in line.conductor.history.entries if x.text.startswith("(sent")]
        assert [x.interrupted for x in entries] == [True]
        noted = entries[0].text.removeprefix("(sent digits ").removesuffix(")")
        # A key that was cut in its tone is none, though a good receiver may have heard it.
        assert sent in (noted, noted + "123456789*0#"[len(noted) % 12])
        assert 10 < len(noted) < 36
        told = str(line.sim.openai.chats[-1].body["messages"])
        assert f"(sent digits {noted})" in told


async def test_a_noise_stops_the_tones_and_they_go_on_where_they_were(
    autojump_clock: trio.testing.MockClock,
) -> None:
    keys = "1234567890" * 2 + "*#"
    async with a_menu(presses(keys, "Here it is."), "?") as line:
        stream = await line.call()
        await greet(stream)
        await stream.speak(1.5)
        await stream.speak(0.4, VOICE)  # and no words
        await stream.until_event("clear")
        await stream.speak(8)
        entries = [(x.text, x.interrupted) for x in line.conductor.history.entries if x.text]
        assert entries[1] == ("Here it is.", False)
        assert entries[-1] == (f"(sent digits {keys})", False)
        # One key may sound twice: the one that was cut in its tone.
        sent = keys_in(audio(stream))
        assert len(sent) - len(keys) in (0, 1)
        at = next((n for n in range(len(keys)) if sent[: n + 1] != keys[: n + 1]), len(keys))
        assert sent in (keys, keys[:at] + keys[at - 1] + keys[at:])
        assert all("digits" not in t for ts in line.sim.cartesia.transcripts.values() for t in ts)


async def test_the_client_is_told_of_tones_as_of_words(
    autojump_clock: trio.testing.MockClock,
) -> None:
    script = OpenAIScript((presses("5", "Now."), "?"))
    async with a_call(openai=script, settings=SETTINGS, tools=(SEND_DIGITS,)) as caller:
        await caller.start()
        await caller.turn()
        assert [m.text for m in caller.messages(e.ResponseCompleted)] == ["Now. (sent digits 5)"]
        assert len(caller.messages(e.OutputCompleted)) == 1


async def test_keys_that_the_model_only_writes_are_neither_read_out_nor_noted_as_sent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """It has seen such notes of what it did, and takes them for a way to do it."""
    script = OpenAIScript(
        (presses("5", "Now."), "Once more. (sent digits 42#) It is done.", "Yes.")
    )
    async with a_call(openai=script, settings=SETTINGS, tools=(SEND_DIGITS,)) as caller:
        await caller.start()
        for _ in range(3):
            await caller.turn()
        assert caller.messages(e.ResponseCompleted)[1].text == "Once more. It is done."
        assert not any("digits" in t for ts in caller.cartesia.transcripts.values() for t in ts)
        noted = [x.text for x in caller.call.history if "digits" in x.text]
        assert noted == ["(sent digits 5)"]
        told = str(caller.openai.chats[-1].body["messages"])
        assert "It is done." in told
        assert "42#" not in told
