"""Whole calls in virtual time, over the providers' real wire protocols."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
import hypothesis.strategies as st
import msgpack
import pytest
import trio
import trio.testing
from hypothesis import given, settings

from tests.in_memory import FRAME, LOUD, Caller, LoudnessEar, a_call
from vantum.config import (
    LlmSettings,
    ServerSettings,
    SessionSettings,
    Settings,
    TtsSettings,
    TurnSettings,
)
from vantum.core import events as e
from vantum.core.decisions import CloseRequested
from vantum.core.messages import VoiceEdge
from vantum.errors import ProviderError
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript
from vantum.testing.cartesia_script import Fault as TtsFault
from vantum.testing.cartesia_script import speech
from vantum.testing.deepgram import Disconnects, Rejects, spoken_audio
from vantum.testing.openai_script import Fault as LlmFault

ANSWER = "Hi there, this is Alex from Vantum. ||BREAK|| We help teams. ||BREAK|| Shall we talk?"
SPOKEN = "Hi there, this is Alex from Vantum. We help teams. Shall we talk?"
THREE = OpenAIScript((ANSWER,))
SLOW = OpenAIScript((ANSWER,), first_token_s=0.4, tokens_per_s=20)


def moves(caller: Caller) -> list[tuple[str, str]]:
    return [(m.old, m.new) for m in caller.messages(e.StateChanged)]


def record(caller: Caller) -> list[tuple[str, str, bool]]:
    assert caller.conductor is not None
    return [(x.role, x.text, x.interrupted) for x in caller.conductor.history.entries]


# ---------------------------------------------------------------- a turn


async def test_a_turn(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        start = await caller.start()
        await caller.turn()
        (transcript,) = caller.messages(e.TranscriptOut)
        assert transcript.transcript == "hello there"
        assert transcript.request.event_id == start.event_id
        (complete,) = caller.messages(e.ResponseCompleted)
        assert complete.text == SPOKEN
        assert moves(caller) == [
            ("INITIALIZING", "LISTENING"),
            ("LISTENING", "THINKING"),
            ("THINKING", "RESPONDING"),
            ("RESPONDING", "LISTENING"),
        ]
        assert record(caller) == [("user", "hello there", False), ("assistant", SPOKEN, False)]
        assert caller.messages(e.Ready)[0].providers["stt"] == "deepgram"
    assert caller.failure is None


async def test_one_answer_is_one_utterance(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await caller.start(sampling_rate_hz=48_000)
        await caller.turn()
        (started,) = caller.messages(e.OutputStarted)
        (completed,) = caller.messages(e.OutputCompleted)
        chunks = caller.messages(e.OutputChunk)
        assert {started.utterance_id, completed.utterance_id} == {c.utterance_id for c in chunks}
        assert started.sample_rate_hz == 48_000
        assert {len(c.audio) for c in chunks[:-1]} == {9600}, "100 ms at 48 kHz"
        length_s = sum(len(c.audio) for c in chunks) / 96_000
        assert completed.duration_ms == pytest.approx(length_s * 1000, abs=1)
        order = [type(x.message) for _, x in caller.got]
        assert order.index(e.OutputStarted) < order.index(e.OutputChunk)
        assert order.index(e.OutputCompleted) > len(order) - 1 - order[::-1].index(e.OutputChunk)


async def test_all_of_the_answer_is_spoken_and_no_marker(autojump_clock: object) -> None:
    async with a_call(openai=SLOW) as caller:
        await caller.start()
        await caller.turn()
        spoken = [text for texts in caller.cartesia.transcripts.values() for text in texts]
        assert " ".join(" ".join(spoken).split()) == SPOKEN


async def test_speech_begins_while_the_model_still_writes(autojump_clock: object) -> None:
    async with a_call(openai=SLOW, cartesia=CartesiaScript(first_audio_s=0.1)) as caller:
        await caller.start()
        await caller.turn()
        (first_token,) = caller.when(e.ResponseStarted)
        (written,) = caller.when(e.ResponseCompleted)
        (speech,) = caller.when(e.OutputStarted)
        # Eight tokens up to the first marker at 20 tokens a second, and the synthesis.
        assert speech - first_token < 0.75
        assert speech < written - 0.2


async def test_what_is_dated_is_dated_when_it_leaves(autojump_clock: object) -> None:
    async with a_call(openai=SLOW) as caller:
        await caller.start()
        await caller.turn()
        kinds: tuple[type[Any], ...]
        kinds = (e.StateChanged, e.TranscriptOut, e.ResponseStarted, e.OutputStarted)
        offsets_ms = {
            round(message.timestamp_ms - when_s * 1000)
            for kind in kinds
            for message, when_s in zip(caller.messages(kind), caller.when(kind), strict=True)
        }
        assert max(offsets_ms) - min(offsets_ms) <= 2


async def test_audio_is_never_further_ahead_than_the_lead(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await caller.start()
        await caller.turn()
        at_s = caller.when(e.OutputChunk)
        sent_s = 0.0
        for when_s, chunk in zip(at_s, caller.messages(e.OutputChunk), strict=True):
            sent_s += len(chunk.audio) / 32_000
            assert sent_s <= when_s - at_s[0] + 0.2 + 1e-6
        # And never late: the provider is quick, so there is no gap between the pieces.
        assert at_s[-1] - at_s[0] == pytest.approx(sent_s - 0.2, abs=0.101)
        # The line is free when the last audio was heard.
        assert caller.when(e.StateChanged)[-1] == pytest.approx(at_s[0] + sent_s, abs=0.01)


async def test_the_next_piece_is_synthesised_while_one_plays(autojump_clock: object) -> None:
    async with a_call(openai=THREE, cartesia=CartesiaScript(first_audio_s=0.3)) as caller:
        await caller.start()
        await caller.turn()
        at_s = caller.when(e.OutputChunk)
        gaps = [b - a for a, b in pairwise(at_s)]
        assert max(gaps) <= 0.1 + 1e-6


async def test_a_slow_model_leaves_no_half_word_behind(autojump_clock: object) -> None:
    """The end of a piece is not held back until the next piece fills its chunk."""
    text = ("One. ||BREAK|| Two and some more words here. ||BREAK|| Three.",)
    async with a_call(openai=OpenAIScript(text, tokens_per_s=1.0)) as caller:
        await caller.start()
        await caller.turn()
        chunks = caller.messages(e.OutputChunk)
        at_s = caller.when(e.OutputChunk)
        first_gap = next(n for n, (a, b) in enumerate(pairwise(at_s)) if b - a > 1)
        heard = sum(len(c.audio) for c in chunks[: first_gap + 1])
        spoken = caller.cartesia.transcripts
        piece = next(iter(spoken.values()))[0]
        assert heard >= len(speech(piece, 16_000).pcm) - 2 * 16  # less what a filter may hold


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 44_100, 48_000])
async def test_any_rate_comes_back_as_it_went_in(autojump_clock: object, rate_hz: int) -> None:
    async with a_call(openai=THREE) as caller:
        await caller.start(sampling_rate_hz=rate_hz)
        await caller.speak(1.0, frame=bytes(2 * (rate_hz // 50)))
        await caller.end()
        await caller.until(e.OutputCompleted)
        assert caller.deepgram.connections[0].audio_s == pytest.approx(1.0, abs=0.05)
        (done,) = caller.messages(e.OutputCompleted)
        assert {c.sample_rate_hz for c in caller.messages(e.OutputChunk)} == {rate_hz}
        samples = sum(len(c.audio) for c in caller.messages(e.OutputChunk)) / 2
        assert done.duration_ms == pytest.approx(samples / rate_hz * 1000, abs=2)


async def test_auto_mode_needs_no_end(autojump_clock: object) -> None:
    heard = DeepgramScript(("who is this", "goodbye"), repeat=False, pause_s=5.0)
    async with a_call(openai=THREE, deepgram=heard) as caller:
        await caller.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 4.0)
            await caller.until(e.OutputCompleted)
            nursery.cancel_scope.cancel()
        assert record(caller)[0] == ("user", "who is this", False)


class Guess:
    """A turn detector that always answers the same, after a while."""

    def __init__(self, probability: float, takes_s: float = 0.1) -> None:
        self.probability_, self.takes_s = probability, takes_s
        self.asked: list[tuple[float, str]] = []

    async def probability(self, pcm: bytes, text: str) -> float:
        self.asked.append((len(pcm) / 32_000, text))
        await trio.sleep(self.takes_s)
        return self.probability_


@pytest.mark.parametrize(
    ("guess", "waits_s"), [(0.99, (0.34, 0.7)), (0.5, (1.18, 1.5)), (0.01, (1.6, 2.1))]
)
async def test_the_guess_shortens_or_lengthens_the_wait(
    autojump_clock: object, guess: float, waits_s: tuple[float, float]
) -> None:
    heard = DeepgramScript(("I would take the blue one",), repeat=False)
    detector = Guess(guess)
    async with a_call(
        openai=THREE, deepgram=heard, activity=LoudnessEar(), detector=detector
    ) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(2.2, LOUD)
        silent_s = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 6.0)
            await caller.until_state("THINKING")
            nursery.cancel_scope.cancel()
        low_s, high_s = waits_s
        assert low_s <= trio.current_time() - silent_s <= high_s
        ((length_s, text),) = detector.asked
        assert length_s >= 2.2
        assert text == "I would take the blue one"
        assert record(caller) == [("user", "I would take the blue one", False)]


class DeafEar(LoudnessEar):
    """An ear that fails after a while."""

    def feed(self, pcm: bytes) -> list[VoiceEdge]:
        if self._at_s > 1.0:
            raise ProviderError("local", "server", "voice activity failed")
        return super().feed(pcm)


async def test_an_ear_that_fails_is_done_without_and_the_detector_with_it(
    autojump_clock: object,
) -> None:
    heard = DeepgramScript(("I would take the blue one",), repeat=False)
    detector = Guess(0.99)
    async with a_call(openai=THREE, deepgram=heard, activity=DeafEar(), detector=detector) as call:
        await call.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.speak, 9.0, LOUD)
            await call.until(e.OutputCompleted)
            nursery.cancel_scope.cancel()
        assert detector.asked == [], "it would have judged old audio"
        assert call.conductor is not None
        assert call.conductor.orders.ear.recent is None
        assert record(call)[0] == ("user", "I would take the blue one", False)


async def test_a_voice_whose_ear_has_failed_is_over(autojump_clock: object) -> None:
    """Else nobody would ever be silent again: no turn ends in time, and no silence is noticed."""
    heard = DeepgramScript(("I would take the blue one",), repeat=False)
    turns = TurnSettings(reprompt_after_ms=5_000, reprompts="Are you there?")
    async with a_call(
        openai=THREE, deepgram=heard, activity=DeafEar(), settings=Settings(turns=turns)
    ) as call:
        await call.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call.speak, 60.0, LOUD)
            await call.until(e.OutputCompleted)
            await call.until_state("LISTENING")
            quiet_s = trio.current_time()
            await call.until(e.OutputStarted, 2)
            nursery.cancel_scope.cancel()
        assert call.messages(e.ResponseCompleted)[-1].text == "Are you there?"
        assert trio.current_time() - quiet_s < 6.0
        assert call.conductor is not None
        assert not call.conductor.conversation.bargein.eared, "the recogniser's word counts"


async def test_a_pause_within_a_sentence_does_not_end_the_turn(autojump_clock: object) -> None:
    heard = DeepgramScript(("well I wanted to", "ask for the price"), repeat=False, pause_s=1.0)
    async with a_call(openai=THREE, deepgram=heard, activity=LoudnessEar()) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(1.6, LOUD)
        await caller.speak(0.5)
        await caller.speak(2.0, LOUD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 6.0)
            await caller.until(e.OutputCompleted)
            nursery.cancel_scope.cancel()
        assert [text for role, text, _ in record(caller) if role == "user"] == [
            "well I wanted to ask for the price"
        ]


async def test_a_greeting_opens_the_call(autojump_clock: object) -> None:
    chosen = Settings(turns=TurnSettings(greeting="Hello, this is Alex from Vantum."))
    async with a_call(openai=THREE, settings=chosen) as caller:
        await caller.start()
        await caller.until(e.OutputCompleted)
        assert not caller.openai.chats, "no model is asked for it"
        await caller.until_state("LISTENING")
        assert record(caller) == [("assistant", "Hello, this is Alex from Vantum.", False)]
        await caller.turn()
        roles = [m["role"] for m in caller.openai.chats[-1].body["messages"]]
        assert roles == ["system", "assistant", "user"]


async def test_long_silence_asks_and_then_ends_politely(autojump_clock: object) -> None:
    chosen = Settings(
        turns=TurnSettings(
            reprompt_after_ms=8000, reprompts="Still there?|Hello?", goodbye="Goodbye then."
        )
    )
    heard = DeepgramScript((" ",), repeat=False)
    async with a_call(settings=chosen, deepgram=heard, activity=LoudnessEar()) as caller:
        await caller.start(turn_detection="auto")
        began_s = trio.current_time()
        with trio.move_on_after(120):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(caller.speak, 100.0)
                await caller.over.wait()
                nursery.cancel_scope.cancel()
        said = [m.text for m in caller.messages(e.ResponseCompleted)]
        assert said == ["Still there?", "Hello?", "Goodbye then."]
        assert caller.messages(e.OutputCompleted)[2:], "the goodbye was heard to its end"
        assert caller.socket.closed_with == (1000, "nobody answered")
        assert 24 < trio.current_time() - began_s < 36
    assert caller.failure is None


@pytest.mark.parametrize("comes_back", [True, False])
async def test_who_comes_back_for_the_goodbye_is_answered(
    autojump_clock: object, comes_back: bool
) -> None:
    """And a cough does not keep the call: the goodbye goes on, and the call ends behind it."""
    goodbye = "I am going to let you go then. Have a very nice day and goodbye."
    turns = TurnSettings(reprompt_after_ms=8000, reprompts="", goodbye=goodbye)
    words = ("Wait, here I am.",) if comes_back else (" ",)
    heard = DeepgramScript(words, repeat=False, lead_s=9.0, pause_s=60.0)
    async with a_call(
        settings=Settings(turns=turns), openai=THREE, deepgram=heard, activity=LoudnessEar()
    ) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(9.0)
        await caller.speak(1.2 if comes_back else 0.3, LOUD)
        with trio.move_on_after(12):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(caller.speak, 12.0)
                await caller.over.wait()
                nursery.cancel_scope.cancel()
        assert len(caller.messages(e.Interrupted)) == 1
        if not comes_back:
            assert caller.socket.closed_with == (1000, "nobody answered")
            assert record(caller) == [("assistant", goodbye, False)]
            return
        assert not caller.over.is_set()
        said, answered, _ = record(caller)
        assert said[2]
        assert goodbye.startswith(said[1])
        assert answered == ("user", "Wait, here I am.", False)
    assert caller.failure is None


async def test_manual_mode_waits_for_the_end(autojump_clock: object) -> None:
    heard = DeepgramScript(("who is this",), repeat=False)
    async with a_call(openai=THREE, deepgram=heard) as caller:
        await caller.start()
        await caller.speak(5.0)
        assert [m.new for m in caller.messages(e.StateChanged)] == ["LISTENING"]
        await caller.end()
        await caller.until(e.OutputCompleted)


async def test_nothing_said_stays_in_listening(autojump_clock: object) -> None:
    async with a_call(deepgram=DeepgramScript((" ",), repeat=False)) as caller:
        await caller.start()
        await caller.speak(0.5)
        await caller.end()
        await trio.sleep(10)
        assert [m.new for m in caller.messages(e.StateChanged)] == ["LISTENING"]


async def test_tokens_only_if_asked_for(autojump_clock: object) -> None:
    async with a_call(openai=SLOW) as caller:
        await caller.start(tokens=True)
        await caller.turn()
        tokens = [m.token for m in caller.messages(e.ResponseToken)]
        assert "".join(tokens) == ANSWER
        await caller.start(tokens=False)
        await caller.turn()
        assert len(caller.messages(e.ResponseToken)) == len(tokens)


async def test_the_model_gets_the_whole_conversation(autojump_clock: object) -> None:
    heard = DeepgramScript(("one", "two"), speech="on_finalize")
    async with a_call(openai=THREE, deepgram=heard) as caller:
        await caller.start(prospect=e.Prospect(name="Grace", company="Cobol Ltd"))
        await caller.turn()
        await caller.turn()
        messages = caller.openai.chats[-1].body["messages"]
        assert [m["role"] for m in messages] == ["system", "user", "assistant", "user"]
        assert "||BREAK||" in messages[0]["content"]
        assert "Grace" in messages[0]["content"]
        assert "Cobol Ltd" in messages[0]["content"]
        assert [m["content"] for m in messages[1:]] == ["one", ANSWER, "two"]


async def test_requests_during_an_answer_queue_in_order(autojump_clock: object) -> None:
    heard = DeepgramScript(("one", "two", "three", "four"), speech="on_finalize")
    chosen = Settings(session=SessionSettings(max_queue_size=2))
    async with a_call(openai=SLOW, deepgram=heard, settings=chosen) as caller:
        await caller.start()
        for _ in range(4):
            await caller.speak(0.2)
            await caller.end()
            await trio.sleep(0.1)
        await caller.until(e.OutputCompleted, 3)
        await caller.until_state("LISTENING")
        assert [text for role, text, _ in record(caller) if role == "user"] == [
            "one",
            "two",
            "three four",
        ]
        (error,) = caller.messages(e.ErrorReply)
        assert "LLM_MAX_QUEUE_SIZE" in error.message


# ---------------------------------------------------------------- cutting it off


async def respond_for(caller: Caller, seconds: float) -> None:
    await caller.start()
    await caller.speak(0.3)
    await caller.end()
    await caller.until(e.OutputStarted)
    await trio.sleep(seconds)


async def test_interrupt_cuts_at_once_and_keeps_what_was_heard(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await respond_for(caller, 1.5)
        asked_s = trio.current_time()
        await caller.send(e.Interrupt(caller.request()))
        cancel = await caller.until(e.OutputCancelled)
        assert caller.when(e.OutputCancelled) == [pytest.approx(asked_s, abs=0.001)]
        assert cancel.reason == "user_interrupt"
        interrupted = await caller.until(e.Interrupted)
        await caller.until_state("LISTENING")
        assert moves(caller)[-2:] == [("RESPONDING", "INTERRUPTED"), ("INTERRUPTED", "LISTENING")]
        assert SPOKEN.startswith(interrupted.heard_text)
        assert 0 < len(interrupted.heard_text) < len(SPOKEN)
        assert record(caller)[-1] == ("assistant", interrupted.heard_text, True)
        await trio.sleep(5)
        assert caller.when(e.OutputChunk)[-1] <= asked_s
        assert not caller.messages(e.OutputCompleted)
        assert len(caller.cartesia.cancelled) <= 1
        # The next turn is an ordinary one, and the model knows what was heard.
        await caller.turn()
        said = caller.openai.chats[-1].body["messages"][-2]
        assert said == {"role": "assistant", "content": interrupted.heard_text}


async def test_interrupt_while_the_model_hangs(autojump_clock: object) -> None:
    script = OpenAIScript((ANSWER,), faults=(LlmFault("hang_open"),))
    async with a_call(openai=script) as caller:
        await caller.start()
        await caller.speak(0.3)
        await caller.end()
        await caller.until_state("THINKING")
        await trio.sleep(1)
        await caller.send(e.Interrupt(caller.request()))
        await caller.until_state("LISTENING")
        assert moves(caller)[-1] == ("THINKING", "LISTENING")
        assert not caller.messages(e.OutputCancelled), "nothing was to be heard yet"
        await caller.turn()
        assert [m["role"] for m in caller.openai.chats[-1].body["messages"]] == ["system", "user"]


async def test_interrupt_of_an_answer_that_has_begun_but_not_sounded(
    autojump_clock: object,
) -> None:
    async with a_call(openai=SLOW, cartesia=CartesiaScript(first_audio_s=5.0)) as caller:
        await caller.start()
        await caller.speak(0.3)
        await caller.end()
        began = await caller.until(e.ResponseStarted)
        await trio.sleep(1)
        await caller.send(e.Interrupt(caller.request()))
        cancel = await caller.until(e.OutputCancelled)
        assert cancel.utterance_id == began.utterance_id, "a client that shows it must know"
        await caller.until_state("LISTENING")
        assert not caller.messages(e.Interrupted), "nothing was heard"


async def test_many_starts_while_the_synthesiser_is_lost_hold_nobody_up(
    autojump_clock: object,
) -> None:
    script = CartesiaScript(connect_faults=(401,) * 3)
    async with a_call(openai=THREE, cartesia=script) as caller:
        for _ in range(40):
            await caller.send(e.StartInput(caller.request(), e.InputOptions()))
        await caller.until(e.ErrorReply)
        while not caller.messages(e.Ready):
            await trio.sleep(1)
            await caller.send(e.StartInput(caller.request(), e.InputOptions()))
        await caller.start()
        await caller.turn()
        assert caller.messages(e.OutputCompleted)


async def test_interrupt_stops_the_synthesis_at_the_provider(autojump_clock: object) -> None:
    async with a_call(openai=THREE, cartesia=CartesiaScript(rate=1.0)) as caller:
        await respond_for(caller, 0.5)
        await caller.send(e.Interrupt(caller.request()))
        await caller.until_state("LISTENING")
        await trio.sleep(0.1)
        assert len(caller.cartesia.cancelled) == 1


@pytest.mark.parametrize("when", ["initializing", "listening", "thinking", "responding"])
@pytest.mark.parametrize("how", ["end_call", "goodbye", "gone"])
async def test_hanging_up_ends_everything_at_once(
    autojump_clock: object, when: str, how: str
) -> None:
    script = OpenAIScript((ANSWER,), faults=(LlmFault("hang_open"),))
    async with a_call(openai=script if when == "thinking" else THREE) as caller:
        if when != "initializing":
            await caller.start()
        if when in ("thinking", "responding"):
            await caller.speak(0.3)
            await caller.end()
            await caller.until_state(when.upper())
            await trio.sleep(0.35)
        began_s = trio.current_time()
        if how == "gone":
            await caller.hang_up()
        else:
            message = e.EndCall if how == "end_call" else e.Goodbye
            await caller.send(message(caller.request()))
            await caller.over.wait()
            assert caller.socket.closed_with is not None
            assert caller.socket.closed_with[0] == 1000
            assert moves(caller)[-1][1] == "ENDED"
        # Saying goodbye to Deepgram and Cartesia may take a moment, never longer.
        assert trio.current_time() - began_s <= 1.1
        chunks = len(caller.messages(e.OutputChunk))
        await trio.sleep(3)
        assert len(caller.messages(e.OutputChunk)) == chunks
        assert caller.cartesia.open_connections == 0
        assert all(c.ended != "open" for c in caller.deepgram.connections)
    assert caller.failure is None


async def test_reports_of_playback_make_the_record_exact(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await respond_for(caller, 1.0)
        (started,) = caller.messages(e.OutputStarted)
        await caller.send(e.Played(caller.request(), started.utterance_id, 0))
        await caller.send(e.Played(caller.request(), "another", 5000))
        await caller.send(e.Interrupt(caller.request()))
        interrupted = await caller.until(e.Interrupted)
        assert interrupted.heard_text == "", "the client says that nothing was played yet"


@given(
    after_s=st.floats(0, 4),
    first_token_s=st.floats(0, 0.5),
    tokens_per_s=st.sampled_from([0.0, 5.0, 40.0]),
    first_audio_s=st.floats(0, 0.4),
    rate=st.sampled_from([0.0, 0.8, 4.0]),
)
@settings(max_examples=25, deadline=None)
def test_no_chunk_follows_a_cancel_whenever_it_comes(
    after_s: float, first_token_s: float, tokens_per_s: float, first_audio_s: float, rate: float
) -> None:
    """Interrupt at any moment: no old audio after it, the line free, the next answer whole."""
    thought = OpenAIScript((ANSWER,), first_token_s=first_token_s, tokens_per_s=tokens_per_s)
    said = CartesiaScript(first_audio_s=first_audio_s, rate=rate)

    async def main() -> None:
        async with a_call(openai=thought, cartesia=said) as caller:
            await caller.start()
            await caller.speak(0.1)
            await caller.end()
            await trio.sleep(after_s)
            await caller.send(e.Interrupt(caller.request()))
            await trio.sleep(0.05)
            names = [x.message for _, x in caller.got]
            for at, message in enumerate(names):
                if isinstance(message, e.OutputCancelled):
                    assert not [m for m in names[at:] if isinstance(m, e.OutputChunk)]
            await caller.until_state("LISTENING")
            cut = [text for role, text, interrupted in record(caller) if interrupted]
            assert all(SPOKEN.startswith(text) for text in cut)
            await caller.turn(0.1)
            assert record(caller)[-1] == ("assistant", SPOKEN, False)
        assert caller.failure is None

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


# ---------------------------------------------------------------- what fails


async def test_model_failures_climb_the_tiers_and_success_resets(autojump_clock: object) -> None:
    down = LlmFault("hang")
    chosen = Settings(llm=LlmSettings(request_timeout_ms=1000))
    faults = (down, down, down, down, None, down)
    script = OpenAIScript(("Fine. ||BREAK|| Thanks.",), faults=faults)
    async with a_call(openai=script, settings=chosen) as caller:
        await caller.start()
        for _ in faults:
            await caller.turn()
        done = caller.messages(e.ResponseCompleted)
        assert [m.tier for m in done] == [1, 2, 3, 3, None, 1]
        assert [m.is_fallback for m in done] == [True, True, True, True, False, True]
        assert done[0].text == "I apologize, can you repeat that?"
        assert len(caller.messages(e.ErrorReply)) == 5
        assert all(m.case == "llm_unavailable" for m in caller.messages(e.ErrorReply))
        said = [text for role, text, _ in record(caller) if role == "assistant"]
        assert said[:2] == [done[0].text, done[1].text]
        context = [m["content"] for m in caller.openai.chats[-1].body["messages"]]
        assert done[0].text in context, "the fallback is part of the conversation"


async def test_stream_that_dies_half_way_keeps_what_was_spoken(autojump_clock: object) -> None:
    script = OpenAIScript(
        ("This is the first sentence. ||BREAK|| And here is the second one, cut.",),
        faults=(LlmFault("disconnect", after_tokens=10),),
    )
    async with a_call(openai=script) as caller:
        await caller.start()
        await caller.turn()
        assert record(caller)[-1] == ("assistant", "This is the first sentence.", False)
        (done,) = caller.messages(e.ResponseCompleted)
        assert not done.is_fallback
        assert done.text == "This is the first sentence."
        (error,) = caller.messages(e.ErrorReply)
        assert error.case == "llm_unavailable"


async def test_retries_before_anything_was_spoken(autojump_clock: object) -> None:
    chosen = Settings(llm=LlmSettings(max_retries=2))
    faults = (LlmFault("refuse"), LlmFault("disconnect", after_tokens=0))
    script = OpenAIScript(("Here I am.",), faults=faults)
    async with a_call(openai=script, settings=chosen) as caller:
        await caller.start()
        await caller.turn()
        assert [m.is_fallback for m in caller.messages(e.ResponseCompleted)] == [False]
        assert not caller.messages(e.ErrorReply)


@pytest.mark.parametrize("kind", ["error", "stall", "hang"])
async def test_synthesis_that_fails_ends_the_answer_and_not_the_call(
    autojump_clock: object, kind: Any
) -> None:
    # What stalls is asked for again, until nobody would wait any longer.
    fault = TtsFault(kind, after_chunks=3, status=400)
    script = CartesiaScript(faults=(fault,) * (1 if kind == "error" else 3))
    chosen = Settings(tts=TtsSettings(audio_timeout_ms=5000))
    async with a_call(openai=THREE, cartesia=script, settings=chosen) as caller:
        await caller.start()
        await caller.speak(0.3)
        await caller.end()
        error = await caller.until(e.ErrorReply)
        assert error.case == "tts_unavailable"
        await caller.until_state("LISTENING")
        heard = record(caller)[-1][1]
        assert SPOKEN.startswith(heard)
        assert heard != SPOKEN
        if kind != "hang":
            assert caller.messages(e.OutputCompleted), "what was made is played to its end"
        await caller.turn()
        assert record(caller)[-1][1] == SPOKEN


async def test_a_model_that_nobody_can_speak_for_is_stopped_and_its_answer_is_over(
    autojump_clock: object,
) -> None:
    slow = attrs.evolve(THREE, tokens_per_s=4.0)
    down = CartesiaScript(faults=(TtsFault("error", after_chunks=0, status=400),))
    async with a_call(openai=slow, cartesia=down) as caller:
        await caller.start()
        await caller.speak(0.3)
        await caller.end()
        await caller.until(e.ErrorReply)
        await caller.until_state("LISTENING")
        (begun,) = caller.messages(e.ResponseStarted)
        (done,) = caller.messages(e.ResponseCompleted)
        assert done.utterance_id == begun.utterance_id
        assert SPOKEN.startswith(done.text)
        assert done.text != SPOKEN
        assert caller.openai.completed == 0


@pytest.mark.parametrize("status", [401, 402, 403, 400])
async def test_recogniser_that_refuses_us(autojump_clock: object, status: int) -> None:
    faults = (Rejects(status, frozenset({0})),)
    async with a_call(openai=THREE, deepgram_faults=faults) as caller:
        await caller.send(e.StartInput(request := caller.request(), e.InputOptions()))
        error = await caller.until(e.ErrorReply)
        assert error.case == "stt_unavailable"
        assert error.request.event_id == request.event_id
        assert "in-memory" not in error.message, "never the key"
        # The session goes on, and the next start finds a recogniser that is well again.
        await caller.start()
        assert bool(caller.messages(e.QuotaExceeded)) == (status == 402)
        await caller.turn()


async def test_another_language_gets_another_recogniser(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await caller.start()
        await caller.start(language="de-DE")
        assert [c.query["language"] for c in caller.deepgram.connections] == ["en-US", "de-DE"]
        await caller.turn()
        assert caller.messages(e.TranscriptOut)[-1].language == "de-DE"


# ---------------------------------------------------------------- bad input


def pack(**fields: Any) -> bytes:
    data: bytes = msgpack.packb(fields)
    return data


async def test_bad_messages_are_answered_and_the_call_goes_on(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        envelope = {"eventId": "x", "sessionId": "session", "payload": {}}
        await caller.send_raw("text")
        await caller.send_raw(b"\xc1")
        await caller.send_raw(pack(eventType="audio.input.start"))
        await caller.send_raw(pack(eventType="no.such.event", **envelope))
        await caller.send_raw(
            pack(eventType="audio.input.end", eventId="x", sessionId="other", payload={})
        )
        await caller.send_raw(
            pack(
                eventType="audio.input.chunk",
                eventId="x",
                sessionId="session",
                payload={"audio": b"ab"},
            )
        )
        await caller.send_raw(
            pack(
                eventType="audio.input.start",
                eventId="x",
                sessionId="session",
                payload={"samplingRate": 96_000},
            )
        )
        await caller.until(e.ErrorReply, 7)
        got = [(x.event_type, x.event_id, x.request_type) for _, x in caller.got[1:]]
        assert got[0][::2] == ("error.system.unknown", None)
        assert got[1][::2] == ("error.system.unknown", None)
        assert got[2][::2] == ("error.system.unknown", "audio.input.start")
        assert got[3] == ("error.system.unknown", "x", "no.such.event")
        assert got[4] == ("connection.error.general", "x", "audio.input.end")
        assert got[5] == ("audio.error.invalid_format", "x", "audio.input.chunk")
        assert got[6] == ("audio.error.invalid_format", "x", "audio.input.start")
        await caller.start()
        await caller.turn()


async def test_older_vocabulary(autojump_clock: object) -> None:
    async with a_call(openai=THREE, vocabulary="voicechat") as caller:
        await caller.start(turn_detection="manual")
        await caller.speak(0.3)
        await caller.end()
        await caller.until(e.OutputCompleted)
        names = [x.event_type for _, x in caller.got]
        assert names[0] == "connection.ack"
        assert "voicechat.audio.start" in names
        assert "voicechat.response.start" in names
        assert "voicechat.response.chunk" in names
        assert "voicechat.response.complete" in names
        assert not [n for n in names if n.startswith(("conversation.", "audio.output"))]


async def test_too_many_messages_warn_and_then_close(autojump_clock: object) -> None:
    async with a_call() as caller:
        for _ in range(150):
            await caller.send(e.Heartbeat(caller.request()))
        await caller.until(e.RateLimitWarning)
        assert not caller.over.is_set(), "a warning first"
        for _ in range(60):
            await caller.send(e.Heartbeat(caller.request()))
        await caller.over.wait()
        assert caller.socket.closed_with == (4429, "too many messages")
    assert caller.failure is None


async def test_frames_that_a_network_has_held_up_are_no_flood(autojump_clock: object) -> None:
    async with a_call() as caller:
        await caller.start()
        await trio.sleep(8)
        for _ in range(400):  # in which nothing came through
            await caller.send(e.InputChunk(caller.request(), FRAME))
        await caller.until(e.RateLimitWarning)
        await caller.send(e.Heartbeat(caller.request()))
        await trio.sleep(1)
        assert not caller.over.is_set()


async def test_muted_audio_is_silence(autojump_clock: object) -> None:
    heard = DeepgramScript(("a b c",), speech="in_audio")
    frame = spoken_audio(heard)
    async with a_call(openai=THREE, deepgram=heard) as caller:
        await caller.start()
        await caller.send(e.Mute(caller.request(), True))
        await caller.send(e.InputChunk(caller.request(), frame))
        await caller.send(e.Mute(caller.request(), False))
        await caller.send(e.InputChunk(caller.request(), frame, is_muted=True))
        await caller.end()
        await trio.sleep(5)
        assert not caller.messages(e.TranscriptOut)
        await caller.send(e.InputChunk(caller.request(), frame))
        await caller.end()
        await caller.until(e.OutputCompleted)
        assert caller.messages(e.TranscriptOut)[-1].transcript == "a b c"


async def test_odd_bytes_are_carried_over(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await caller.start()
        for at in range(0, len(FRAME) * 20, 333):
            await caller.send(e.InputChunk(caller.request(), (FRAME * 20)[at : at + 333]))
        await caller.end()
        await caller.until(e.OutputCompleted)
        assert caller.deepgram.connections[0].audio_s == pytest.approx(0.4, abs=0.001)


async def test_half_a_sample_does_not_turn_the_next_stream_into_noise(
    autojump_clock: object,
) -> None:
    ear = LoudnessEar()
    async with a_call(activity=ear) as caller:
        for _ in range(2):
            await caller.start(turn_detection="auto")
            await caller.send(e.InputChunk(caller.request(), FRAME + b"\x00"))
            await trio.sleep(1)
        assert not ear.speaking


# ---------------------------------------------------------------- limits


async def test_audio_that_nobody_takes_is_dropped_and_told(autojump_clock: object) -> None:
    chosen = Settings(session=SessionSettings(input_buffer_ms=250))
    faults = (
        Disconnects(after_s=0.2, connections=frozenset({0})),
        Rejects(500, frozenset({1, 2, 3})),
    )
    async with a_call(openai=THREE, settings=chosen, deepgram_faults=faults) as caller:
        await caller.start()
        await caller.speak(2.0)
        assert [m.case for m in caller.messages(e.ErrorReply)] == [
            "stt_unavailable",
            "buffer_overflow",
        ], "told, and not with every frame"
        # A second later the recogniser is there again: the call goes on.
        await trio.sleep(1)
        await caller.turn()
        assert record(caller)[0][0] == "user"


async def test_idle_ends_politely_and_heartbeats_are_no_activity(autojump_clock: object) -> None:
    chosen = Settings(session=SessionSettings(idle_timeout_ms=1_800_000))
    async with a_call(settings=chosen) as caller:
        began_s = trio.current_time()
        with trio.move_on_after(3600):
            while not caller.over.is_set():
                await trio.sleep(60)
                if not caller.over.is_set():
                    await caller.send(e.Heartbeat(caller.request()))
        assert 1800 <= trio.current_time() - began_s <= 1861
        assert caller.socket.closed_with == (1000, "idle for too long")
        assert caller.messages(e.Disconnecting) == [e.Disconnecting("idle for too long")]
        assert len(caller.messages(e.Ack)) >= 29
    assert caller.failure is None


async def test_longest_session_lets_the_answer_finish(autojump_clock: object) -> None:
    chosen = Settings(session=SessionSettings(max_duration_ms=7_200_000))
    async with a_call(openai=THREE, settings=chosen) as caller:
        await caller.start()
        began_s = caller.got[0][0]
        while trio.current_time() < began_s + 7190:
            await caller.send(e.Mute(caller.request(), False))
            await trio.sleep(600 if trio.current_time() < began_s + 6500 else 1)
        await trio.sleep_until(began_s + 7199)
        await caller.speak(0.3)
        await caller.end()
        await caller.over.wait()
        assert caller.messages(e.OutputCompleted), "the answer was heard to its end"
        assert caller.socket.closed_with == (1000, "maximum duration reached")


async def test_maintenance_waits_for_the_answer_up_to_its_grace(autojump_clock: object) -> None:
    for grace_ms, finishes in ((10_000, True), (500, False)):
        chosen = Settings(server=ServerSettings(grace_ms=grace_ms))
        async with a_call(openai=THREE, settings=chosen) as caller:
            await respond_for(caller, 0.3)
            assert caller.conductor is not None
            await caller.conductor.inbox_tx.send(CloseRequested(1001, "bye", maintenance=True))
            await caller.over.wait()
            assert bool(caller.messages(e.OutputCompleted)) == finishes
            assert bool(caller.messages(e.OutputCancelled)) != finishes
            assert caller.messages(e.Maintenance) == [e.Maintenance("bye")]
            assert caller.socket.closed_with == (1001, "bye")
            if not finishes:
                assert caller.messages(e.OutputCancelled)[0].reason == "shutdown"


async def test_client_that_stops_reading_is_closed(autojump_clock: object) -> None:
    chosen = Settings(server=ServerSettings(send_timeout_ms=5000))
    async with a_call(openai=THREE, settings=chosen) as caller:
        await respond_for(caller, 0.3)
        began_s = trio.current_time()
        caller.call.phone.line.down.stop(True)
        await caller.over.wait()
        assert trio.current_time() - began_s <= 7
    assert caller.failure is not None
    assert "5 s" in str(caller.failure.exceptions[0])  # type: ignore[attr-defined]


async def test_half_an_hour_of_call(autojump_clock: object) -> None:
    async with a_call(openai=THREE) as caller:
        await caller.start()
        began_s = trio.current_time()
        turns = 0
        while trio.current_time() < began_s + 1800:
            await caller.turn(0.1)
            turns += 1
            await trio.sleep(60)
        assert len(caller.messages(e.OutputCompleted)) == turns
        assert len(caller.deepgram.connections) == 1, "kept alive in silence"
    assert caller.failure is None
