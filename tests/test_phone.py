"""Phone calls from end to end in virtual time: Twilio's stream in, a conversation, and out."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.twilio_stream import ROOM, VOICE, Exchange, MediaStream, an_exchange
from vantum.config import Settings, TurnSettings
from vantum.core.audio import mulaw_decode, mulaw_encode
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript
from vantum.testing.calls import CallSetup
from vantum.testing.cartesia_script import speech
from vantum.testing.deepgram_script import ScriptWord, Utterance

ANSWER = (
    "Well, our platform answers every single phone call for you within a second. ||BREAK|| "
    "It never sleeps and it never forgets what a customer has said before."
)
MENU = "For sales press one, for support press two, and for anything else please press nine now."


def hears(*sentences: str) -> DeepgramScript:
    """The first sentence from 0.2 s of audio on, one more every 6 s."""
    return DeepgramScript(
        tuple(
            Utterance(
                tuple(ScriptWord(w, 0.3 * n, 0.3 * n + 0.24) for n, w in enumerate(text.split())),
                6.0 - 0.3 * len(text.split()),
            )
            for text in sentences
        ),
        repeat=False,
        lead_s=0.2,
    )


def setup(answer: Any = ANSWER, *sentences: str, **changes: Any) -> CallSetup:
    answers = answer if callable(answer) else lambda _: answer
    return CallSetup(
        deepgram=hears(*sentences or ("Hello there.",)),
        openai=OpenAIScript(answers, first_token_s=0.1, tokens_per_s=0.0),
        cartesia=CartesiaScript(first_audio_s=0.1, rate=4.0),
        **changes,
    )


async def greet(stream: MediaStream) -> None:
    """Say "Hello there." and be silent until the answer can be heard."""
    await stream.speak(0.2)
    await stream.speak(0.6, VOICE)
    while not stream.played:
        await stream.speak(0.1)


def said(exchange: Exchange) -> list[tuple[str, str, bool]]:
    return [(x.role, x.text, x.interrupted) for x in exchange.conductor.history.entries]


async def test_a_caller_is_answered_and_heard_out(autojump_clock: trio.testing.MockClock) -> None:
    async with an_exchange(setup()) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.speak(12)
        spoken = ANSWER.replace("||BREAK|| ", "")
        assert said(exchange) == [("user", "Hello there.", False), ("assistant", spoken, False)]
        # All of it came in frames of 20 ms, none late, and a mark behind each 100 ms.
        sizes = [len(mulaw) for _, mulaw in stream.played]
        assert set(sizes[:-1]) == {160}
        times = [at_s for at_s, _ in stream.played]
        assert times == pytest.approx([times[0] + 0.02 * n for n in range(len(times))])
        assert len(stream.events("mark")) == pytest.approx(stream.played_s / 0.1, abs=1)
        # The ledger knows it from the marks.
        (utterance,) = exchange.conductor.ledger.utterances
        assert utterance.reported
        assert utterance.heard_s == pytest.approx(stream.played_s)
        assert not stream.events("clear")
        # To the sample what the synthesiser made for a telephone: nobody resampled it.
        sound = b"".join(mulaw for _, mulaw in stream.played)
        made = b"".join(speech(piece, 8_000).pcm for piece in ANSWER.split("||BREAK||"))
        assert mulaw_decode(sound) == mulaw_decode(mulaw_encode(made))


async def test_what_is_sent_is_never_more_than_the_lead_ahead(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup()) as exchange:
        stream = await exchange.call()
        await greet(stream)
        first_s = stream.played[0][0]
        await stream.speak(8)
        sent_s = 0.0
        for at_s, body in stream.got:
            if body["event"] == "media":
                sent_s += 0.02
                assert sent_s - (at_s - first_s) <= 0.2 + 1e-6


async def test_a_voice_clears_and_what_was_heard_is_kept(
    autojump_clock: trio.testing.MockClock,
) -> None:
    def answers(messages: Any) -> str:
        return ANSWER if "Hello" in str(messages[-1]["content"]) else "All right."

    # The second sentence is 6 s of audio behind the first.
    script = setup(answers, "Hello there.", "No wait please.")
    async with an_exchange(script) as exchange:
        stream = await exchange.call()
        began_s = trio.current_time()
        await greet(stream)
        await stream.speak(began_s + 6.2 - trio.current_time())
        assert not stream.events("clear")
        await stream.speak(0.9, VOICE)
        (cleared_s,) = stream.when("clear")
        assert cleared_s - began_s < 6.9
        before_s = sum(0.02 for at_s, _ in stream.played if at_s < cleared_s)
        await stream.speak(5)
        role, text, interrupted = said(exchange)[1]
        assert (role, interrupted) == ("assistant", True)
        assert 0 < len(text) < len(ANSWER)
        assert [x[:2] for x in said(exchange)[2:]] == [
            ("user", "No wait please."),
            ("assistant", "All right."),
        ]
        # Not the marks that the clear brought back, but those before it: to the frame.
        assert exchange.conductor.ledger.utterances[0].heard_s == pytest.approx(before_s, abs=0.03)


async def test_marks_tell_of_speech_that_is_held_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup()) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.speak(1.0)
        stream.hold_up(0.7)  # 0.7 s in which nothing of ours is played
        await stream.speak(2.0)
        await stream.press("1")
        await stream.until_event("clear")
        heard = b"".join(mulaw for _, mulaw in stream.played if len(mulaw) != 5600)
        await stream.speak(3)
        (utterance, *_) = exchange.conductor.ledger.utterances
        # By the clock alone it would be 0.7 s more.
        assert utterance.heard_s == pytest.approx(len(heard) / 8000, abs=0.05)


async def test_keys_reach_the_model_as_words(autojump_clock: trio.testing.MockClock) -> None:
    async with an_exchange(setup("You pressed something.")) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.speak(4)
        for digit in "42":
            await stream.press(digit)
            await stream.speak(1.0)
        assert len(said(exchange)) == 2  # the next key is still waited for
        await stream.speak(3)
        assert said(exchange)[2] == ("user", "(pressed 42)", False)


async def test_a_hash_ends_the_keys(autojump_clock: trio.testing.MockClock) -> None:
    async with an_exchange(setup("Thank you.")) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.speak(4)
        for digit in "7#":
            await stream.press(digit)
        await stream.speak(0.7)
        assert said(exchange)[2] == ("user", "(pressed 7#)", False)


async def test_a_key_stops_a_menu_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with an_exchange(setup(MENU)) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.speak(0.5)
        await stream.press("1")
        pressed_s = trio.current_time()
        await stream.until_event("clear")
        assert trio.current_time() - pressed_s < 0.05
        await stream.speak(4)
        assert said(exchange)[1][2]
        assert said(exchange)[2] == ("user", "(pressed 1)", False)


async def test_a_key_does_not_stop_an_agent_that_cannot_be_interrupted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    settings = Settings(turns=TurnSettings(barge_in="off"))
    async with an_exchange(setup(MENU, settings=settings)) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.press("1")
        await stream.speak(12)
        assert not stream.events("clear")
        assert said(exchange)[2] == ("user", "(pressed 1)", False)


async def test_stop_ends_the_call(autojump_clock: trio.testing.MockClock) -> None:
    async with an_exchange(setup()) as exchange:
        stream = await exchange.call()
        await greet(stream)
        await stream.stop()
        await stream.over.wait()
        assert stream.socket.close_code == 1000
        await trio.testing.wait_all_tasks_blocked()
        assert not exchange.server.sessions
        assert exchange.sim.wires.open <= 1  # the model's warm connection


async def test_frames_that_are_lost_late_or_doubled_do_no_harm(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup()) as exchange:
        stream = await exchange.call()
        # 0.8 s of audio, every fifth frame late, every seventh doubled, every eleventh lost.
        numbers = [n for n in range(1, 41) if n % 11]
        for at in range(0, len(numbers) - 1, 5):
            numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
        for number in numbers:
            frame = VOICE if 10 < number <= 40 else ROOM
            for _ in range(1 + (number % 7 == 0)):
                await stream.media(frame, number)
            await trio.sleep(0.02)
        stream._chunk = 40
        await stream.speak(4)
        assert said(exchange)[0] == ("user", "Hello there.", False)
        with capture_logs() as logs:
            await stream.stop()
            await stream.over.wait()
            await trio.testing.wait_all_tasks_blocked()
        (line,) = [x for x in logs if "frames" in x]
        assert line["frames"] == 3


async def test_a_goodbye_is_heard_out_before_the_line_is_cut(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup("Goodbye, and thank you for your call.")) as exchange:
        stream = await exchange.call()
        await greet(stream)
        exchange.nursery.start_soon(exchange.server.drain)
        count = 0
        while count < len(stream.events("media")):  # until the last chunk is there
            count = len(stream.events("media"))
            await trio.sleep(0.12)
        stream.hold_up(0.5)  # half a second behind the clock
        await stream.over.wait()
        sent = sum(160 for _ in stream.events("media"))
        assert sum(len(mulaw) for _, mulaw in stream.played) >= sent + 4000


async def test_marks_that_never_come_back_hold_nobody_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with an_exchange(setup("Goodbye.")) as exchange:
        stream = await exchange.call()
        await greet(stream)
        stream.hold_up(60)
        began_s = trio.current_time()
        await exchange.server.drain()
        await stream.over.wait()
        assert trio.current_time() - began_s < 4


async def test_the_agent_greets_who_calls(autojump_clock: trio.testing.MockClock) -> None:
    settings = Settings(turns=TurnSettings(greeting="Hello, this is Ada."))
    async with an_exchange(setup(settings=settings)) as exchange:
        stream = await exchange.call()
        await trio.sleep(3)
        assert said(exchange) == [("assistant", "Hello, this is Ada.", False)]
        assert stream.played_s > 0.5
