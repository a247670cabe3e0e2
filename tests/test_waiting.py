"""A model that takes long, in whole calls in virtual time: the caller is told that he is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.in_memory import LOUD, Caller, LoudnessEar, a_call
from vantum.config import LlmSettings, Settings, SpeculationSettings, ToolSettings, TurnSettings
from vantum.core import events as e
from vantum.testing import CallTool, CartesiaScript, DeepgramScript, OpenAIScript, Reply
from vantum.testing.calls.direct import DirectModel
from vantum.testing.deepgram_script import ScriptWord, Utterance
from vantum.testing.openai_script import Fault
from vantum.testing.text import text_conversation
from vantum.tools import tool

ANSWER = "Hi there, this is Alex. ||BREAK|| We help teams."
PLAIN = "Hi there, this is Alex. We help teams."
VOICE = CartesiaScript(first_audio_s=0.1, rate=10.0)
FIRST, SECOND, THIRD = LlmSettings().filler_texts
SORRY = LlmSettings().fallback_tier1


def settings(*, turns: TurnSettings | None = None, guess: bool = True, **llm: Any) -> Settings:
    return Settings(
        llm=LlmSettings(**llm),
        tools=ToolSettings(built_in=""),
        turns=turns or TurnSettings(),
        speculation=SpeculationSettings(mode="model" if guess else "off"),
    )


def slow(first_token_s: float, *answers: str | Reply, **script: Any) -> OpenAIScript:
    return OpenAIScript(answers or (ANSWER,), first_token_s=first_token_s, **script)


def said(caller: Caller) -> list[str]:
    """What the client was told that each answer says."""
    return [done.text for done in caller.messages(e.ResponseCompleted)]


def texts(caller: Caller) -> list[tuple[str, str, bool]]:
    assert caller.conductor is not None
    return [(x.role, x.text, x.interrupted) for x in caller.conductor.history.entries]


def told(caller: Caller) -> list[tuple[str, str]]:
    """What the model was told in its last request, without the system prompt."""
    messages = caller.openai.chats[-1].body["messages"]
    return [(m["role"], m["content"]) for m in messages[1:]]


async def ask(caller: Caller) -> float:
    """Say something; gives when that was over."""
    await caller.speak(0.5)
    await caller.end()
    return trio.current_time()


async def answered(caller: Caller, count: int = 1) -> None:
    await caller.until(e.OutputCompleted, count)
    await caller.until_state("LISTENING")


def gaps(caller: Caller, longer_than_s: float = 0.2) -> list[float]:
    """Silences between one chunk's end and the next one's sending."""
    chunks = list(zip(caller.when(e.OutputChunk), caller.messages(e.OutputChunk), strict=True))
    heard_s = chunks[0][0]
    found = []
    for at_s, chunk in chunks:
        if at_s - heard_s > longer_than_s:
            found.append(round(at_s - heard_s, 3))
        heard_s = max(heard_s, at_s) + len(chunk.audio) / (2 * chunk.sample_rate_hz)
    return found


def hears(*placed: tuple[float, str]) -> DeepgramScript:
    """Sentences, each at its second of the call's audio."""
    utterances, ends = [], [at_s for at_s, _ in placed[1:]] + [1000.0]
    for (at_s, text), next_s in zip(placed, ends, strict=True):
        words = tuple(
            ScriptWord(word, 0.3 * n, 0.3 * n + 0.24) for n, word in enumerate(text.split())
        )
        utterances.append(Utterance(words, next_s - at_s - words[-1].end_s))
    return DeepgramScript(tuple(utterances), repeat=False, lead_s=placed[0][0])


@asynccontextmanager
async def said_hello(
    openai: OpenAIScript, *later: tuple[float, str], **more: Any
) -> AsyncIterator[Caller]:
    """A call with an ear, whose caller has just said "Hello there.", and what he says `later`."""
    async with a_call(
        openai=openai,
        deepgram=hears((0.2, "Hello there."), *later),
        activity=LoudnessEar(),
        cartesia=VOICE,
        **more,
    ) as caller:
        await caller.start(turn_detection="auto")
        await caller.speak(0.2)
        await caller.speak(0.6, LOUD)
        yield caller


# ---------------------------------------------------------------- when it is said


async def test_who_hears_nothing_is_told_to_wait_and_then_answered(autojump_clock: object) -> None:
    async with a_call(openai=slow(5.0), cartesia=VOICE) as caller:
        await caller.start(latency=True)
        ended_s = await ask(caller)
        await answered(caller)
        began_s = caller.when(e.OutputChunk)[0]
        assert began_s - ended_s == pytest.approx(3.1)
        assert said(caller) == [f"{FIRST} {PLAIN}"]
        assert len(caller.messages(e.OutputStarted)) == 1, "one answer is one utterance"
        # The record has what was heard, the model what it wrote.
        assert texts(caller)[1:] == [("assistant", f"{FIRST} {PLAIN}", False)]
        assert caller.conductor is not None
        assert caller.conductor.history.entries[-1].written == ANSWER
        await ask(caller)
        await answered(caller, 2)
        assert told(caller)[1] == ("assistant", ANSWER)
        assert said(caller)[1] == f"{SECOND} {PLAIN}", "not the same as before"
        (utterance, _) = caller.conductor.ledger.utterances
        assert " ".join(word.text for word in utterance.words) == f"{FIRST} {PLAIN}"


async def test_the_parts_are_the_wait_for_the_first_sound(autojump_clock: object) -> None:
    async with a_call(openai=slow(5.0), cartesia=VOICE) as caller:
        await caller.start(latency=True)
        ended_s = await ask(caller)
        await answered(caller)
        (record,) = caller.messages(e.LatencyMeasured)
        assert record.outcome == "filler"
        assert record.gap_ms == pytest.approx((caller.when(e.OutputChunk)[0] - ended_s) * 1000)
        assert sum(record.parts_ms.values()) == pytest.approx(record.gap_ms)
        assert record.parts_ms["words"] == 3000.0
        assert "token" not in record.parts_ms
        assert record.framework_ms == 0


async def test_an_answer_that_comes_in_time_has_no_filler(autojump_clock: object) -> None:
    async with a_call(openai=slow(2.9), cartesia=VOICE) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [PLAIN]
        assert gaps(caller) == []


async def test_it_can_be_turned_off(autojump_clock: object) -> None:
    chosen = settings(filler_after_ms=0, filler_again_ms=1000)
    async with a_call(openai=slow(20.0), cartesia=VOICE, settings=chosen) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [PLAIN]


async def test_an_answer_that_comes_meanwhile_follows_without_a_pause(
    autojump_clock: object,
) -> None:
    async with a_call(openai=slow(3.2), cartesia=VOICE) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [f"{FIRST} {PLAIN}"]
        assert gaps(caller, 0.02) == []


async def test_silence_goes_on_to_be_broken(autojump_clock: object) -> None:
    async with a_call(openai=slow(25.0), cartesia=VOICE) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [f"{FIRST} {SECOND} {THIRD} {PLAIN}"]
        assert gaps(caller)[:2] == [pytest.approx(8.1, abs=0.02)] * 2


async def test_one_filler_may_be_enough(autojump_clock: object) -> None:
    for chosen, second in ((settings(filler_again_ms=0), SECOND), (settings(fillers=FIRST), FIRST)):
        async with a_call(openai=slow(25.0), cartesia=VOICE, settings=chosen) as caller:
            await caller.start()
            await caller.turn()
            assert said(caller) == [f"{FIRST} {PLAIN}"], "never the same twice in a row"
            await caller.turn()
            assert said(caller)[1] == f"{second} {PLAIN}"


@pytest.mark.parametrize("fillers", ["", " | ", "...|!"])
async def test_without_a_text_nothing_is_said(autojump_clock: object, fillers: str) -> None:
    async with a_call(
        openai=slow(20.0), cartesia=VOICE, settings=settings(fillers=fillers)
    ) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [PLAIN]


async def test_a_model_that_writes_but_says_nothing_is_waited_for_as_well(
    autojump_clock: object,
) -> None:
    """Half a sentence cannot be spoken yet; it comes behind the filler and is not cut by it."""
    script = OpenAIScript(("Well, the price of it is four dollars.",), tokens_per_s=2)
    async with a_call(openai=script, cartesia=VOICE) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [f"{FIRST} Well, the price of it is four dollars."]


async def test_a_stall_within_an_answer_is_bridged(autojump_clock: object) -> None:
    stalls = (Fault("stall", after_tokens=9),)
    async with a_call(openai=slow(0.1, faults=stalls), cartesia=VOICE) as caller:
        await caller.start()
        await caller.turn()
        # Ten seconds without a token end the answer: what was said stands.
        assert said(caller) == [f"Hi there, this is Alex. {FIRST}"]
        assert caller.messages(e.ErrorReply)[0].case == "llm_unavailable"


async def test_it_is_counted_from_the_turn_and_not_from_a_guess(autojump_clock: object) -> None:
    heard = hears((0.2, "I would take the blue one."))
    chosen = settings(turns=TurnSettings(min_wait_ms=1500, silence_ms=1600, max_wait_ms=2200))
    async with a_call(
        openai=slow(6.0), deepgram=heard, activity=LoudnessEar(), cartesia=VOICE, settings=chosen
    ) as caller:
        await caller.start(turn_detection="auto", latency=True)
        await caller.speak(0.2)
        await caller.speak(2.0, LOUD)
        await caller.speak(12.0)
        assert caller.conductor is not None
        assert caller.conductor.speculation.kept == 1
        thinking_s = next(
            at_s for at_s, x in caller.got if getattr(x.message, "new", "") == "THINKING"
        )
        assert caller.when(e.OutputChunk)[0] - thinking_s == pytest.approx(3.1)
        assert said(caller) == [f"{FIRST} {PLAIN}"]
        record = caller.messages(e.LatencyMeasured)[0]
        assert sum(record.parts_ms.values()) == pytest.approx(record.gap_ms)


# ---------------------------------------------------------------- what else may happen


async def test_a_model_that_never_answers_still_has_its_fallback(autojump_clock: object) -> None:
    hangs = slow(0.1, faults=(Fault("hang"), None))
    async with a_call(openai=hangs, cartesia=VOICE) as caller:
        await caller.start(latency=True)
        ended_s = await ask(caller)
        await answered(caller)
        assert said(caller) == [f"{FIRST} {SECOND} {THIRD} {SORRY}"]
        (done,) = caller.messages(e.ResponseCompleted)
        assert (done.is_fallback, done.tier) == (True, 1)
        assert caller.when(e.ResponseCompleted)[0] - ended_s == pytest.approx(30.0, abs=0.01)
        assert caller.conductor is not None
        entry = caller.conductor.history.entries[-1]
        assert (entry.text, entry.is_fallback) == (said(caller)[0], True)
        assert caller.conductor.answering.failures == 1
        await caller.turn()
        assert said(caller)[1] == PLAIN
        assert caller.conductor.answering.failures == 0


async def test_attempts_go_on_behind_a_filler(autojump_clock: object) -> None:
    hangs = slow(0.5, faults=(Fault("hang"), Fault("hang"), None))
    chosen = settings(request_timeout_ms=5000, max_retries=2)
    async with a_call(openai=hangs, cartesia=VOICE, settings=chosen) as caller:
        await caller.start()
        await caller.turn()
        assert len(caller.openai.chats) == 3
        assert said(caller) == [f"{FIRST} {SECOND} {PLAIN}"]


@pytest.mark.parametrize(
    ("after_s", "heard"), [(0.3, "One"), (2.5, FIRST)], ids=["while it is said", "in the silence"]
)
async def test_it_can_be_interrupted(autojump_clock: object, after_s: float, heard: str) -> None:
    async with a_call(openai=slow(20.0), cartesia=VOICE) as caller:
        await caller.start()
        await ask(caller)
        await caller.until(e.OutputChunk)
        await trio.sleep(after_s)
        await caller.send(e.Interrupt(caller.request()))
        cut = await caller.until(e.Interrupted)
        assert cut.heard_text == heard
        chunks = len(caller.messages(e.OutputChunk))
        await trio.sleep(30)
        assert len(caller.messages(e.OutputChunk)) == chunks
        assert texts(caller)[-1] == ("assistant", heard, True)
        await ask(caller)
        await answered(caller)
        assert told(caller)[1] == ("assistant", heard)
        assert said(caller)[-1] == f"{SECOND} {THIRD} {PLAIN}"


async def test_words_in_the_silence_behind_it_are_a_turn_of_their_own(
    autojump_clock: object,
) -> None:
    async with said_hello(slow(6.0), (7.0, "What about the price?")) as caller:
        await caller.speak(6.2)
        assert caller.messages(e.StateChanged)[-1].new == "RESPONDING"
        await caller.speak(1.2, LOUD)
        await caller.speak(20)
        assert texts(caller) == [
            ("user", "Hello there.", False),
            ("assistant", FIRST, True),
            ("user", "What about the price?", False),
            ("assistant", f"{SECOND} {PLAIN}", False),
        ]


async def test_a_cough_in_the_silence_costs_nothing(autojump_clock: object) -> None:
    """There is nothing to silence: what the model has begun goes on, and is still interrupted."""
    async with said_hello(slow(7.0)) as caller:
        await caller.speak(5.7)
        assert caller.messages(e.StateChanged)[-1].new == "RESPONDING"
        asked = len(caller.openai.chats)
        await caller.speak(0.4, LOUD)
        await caller.speak(12)
        assert len(caller.openai.chats) == asked
        assert not caller.messages(e.OutputCancelled)
        assert texts(caller)[-1] == ("assistant", f"{FIRST} {PLAIN}", False)


async def test_a_voice_that_is_raised_in_the_silence_stops_what_comes_then(
    autojump_clock: object,
) -> None:
    async with said_hello(slow(7.0)) as caller:
        await caller.speak(6.2)
        assert len(caller.messages(e.ResponseCompleted)) == 0
        await caller.speak(2.4, LOUD)  # the answer begins in the middle of it
        assert len(caller.messages(e.OutputCancelled)) == 1
        completed_s, cancelled_s = (
            caller.when(kind)[0] for kind in (e.ResponseCompleted, e.OutputCancelled)
        )
        assert cancelled_s - completed_s < 0.3


async def test_a_false_stop_in_a_filler_asks_anew_and_not_from_the_middle_of_it(
    autojump_clock: object,
) -> None:
    faults = (None, Fault("server"))
    async with said_hello(slow(9.0, faults=faults), settings=settings(guess=False)) as caller:
        await caller.speak(4.1)
        assert len(caller.messages(e.OutputChunk)) > 1
        await caller.speak(0.3, LOUD)
        assert len(caller.messages(e.OutputCancelled)) == 1
        await caller.speak(8)
        # The model has not said a word: it is asked what it was asked, and may fail.
        first, second = caller.openai.chats
        assert first.body["messages"] == second.body["messages"]
        assert said(caller)[-1] == SORRY
        role, text, interrupted = texts(caller)[-1]
        assert (role, text, interrupted) == ("assistant", f"One {SORRY}", False)


async def test_a_callers_voice_is_not_spoken_into(autojump_clock: object) -> None:
    """Who is making a sound as the time comes is not told to wait: he may be going on."""
    async with said_hello(slow(20.0)) as caller:
        await caller.speak(3.3)
        assert caller.messages(e.StateChanged)[-1].new == "THINKING"
        await caller.speak(1.0, LOUD)
        assert not caller.messages(e.OutputChunk)
        await caller.speak(4.0)
        assert caller.messages(e.OutputChunk)


# ---------------------------------------------------------------- beside tools


def _look(takes_s: float, **options: Any) -> Any:
    @tool(effect="pure", **options)
    async def look() -> str:
        """Look it up."""
        await trio.sleep(takes_s)
        return "blue"

    return look


ASKS = Reply("", (CallTool("look", {}),))


async def test_a_tool_does_not_repeat_what_was_just_said(autojump_clock: object) -> None:
    async with a_call(
        openai=slow(4.5, ASKS, "It is blue."),
        cartesia=VOICE,
        settings=settings(),
        tools=(_look(2.0),),
    ) as caller:
        await caller.start()
        await caller.turn()
        # 3.0 s: ours; 4.5: the tool, which has nothing new to say; 6.5: the model again.
        assert said(caller) == [f"{FIRST} It is blue."]


async def test_tools_keep_their_own_time_and_the_model_after_them_its_own(
    autojump_clock: object,
) -> None:
    async with a_call(
        openai=slow(4.0, ASKS, "It is blue."),
        cartesia=VOICE,
        settings=settings(filler_again_ms=5000),
        tools=(_look(9.0, timeout_s=20.0, filler=""),),
    ) as caller:
        await caller.start()
        ended_s = await ask(caller)
        await answered(caller)
        assert said(caller) == [f"{FIRST} It is blue."]
        assert len(gaps(caller)) == 1, "9 s of a tool that is to say nothing, then 4 s"
        began_s = caller.when(e.OutputChunk)[0]
        assert began_s - ended_s == pytest.approx(3.1)
    async with a_call(
        openai=slow(6.0, ASKS, "It is blue."),
        cartesia=VOICE,
        settings=settings(filler_again_ms=5000),
        tools=(_look(2.0, filler="Let me see."),),
    ) as caller:
        await caller.start()
        await caller.turn()
        assert said(caller) == [f"{FIRST} Let me see. {SECOND} It is blue."]
        entries = [(x.role, x.text) for x in caller.call.history if x.role == "assistant"]
        assert entries[-1] == ("assistant", f"Let me see. {SECOND} It is blue.")


async def test_in_text_too(autojump_clock: object) -> None:
    model = DirectModel(script=OpenAIScript(("Hello.",), first_token_s=4.0))
    async with text_conversation(settings(), model=model) as talk:
        reply = await talk.say("hi")
        assert reply.pieces == (FIRST, "Hello.")
