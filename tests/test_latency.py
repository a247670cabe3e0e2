"""The latency ledger of whole calls in virtual time: it says what the caller's clock says."""

from __future__ import annotations

from typing import Any

import pytest
import structlog.testing
import trio

from tests.in_memory import LOUD, Caller, LoudnessEar, a_call
from vantum.config import Settings, ToolSettings, TurnSettings
from vantum.core import events as e
from vantum.core.latency import TurnLatency
from vantum.testing import CallTool, CartesiaScript, DeepgramScript, OpenAIScript, Reply
from vantum.testing.openai_script import Fault
from vantum.tools import tool

TEXT = "Hi there, this is Alex. ||BREAK|| We help teams. ||BREAK|| Shall we talk?"
MODEL = OpenAIScript((TEXT,), first_token_s=0.4, tokens_per_s=40)
VOICE = CartesiaScript(first_audio_s=0.12)


def us(at_s: float) -> int:
    return round(at_s * 1_000_000)


def records(caller: Caller) -> tuple[TurnLatency, ...]:
    assert caller.conductor is not None
    return caller.conductor.latencies


async def test_the_parts_are_the_wait_by_the_callers_own_clock(autojump_clock: object) -> None:
    async with a_call(openai=MODEL, cartesia=VOICE) as caller:
        await caller.start()
        await caller.speak(0.5)
        ended_s = trio.current_time()
        await caller.end()
        await caller.until(e.OutputCompleted)
        (record,) = records(caller)
        assert record.gap_us == us(caller.when(e.OutputChunk)[0]) - us(ended_s)
        assert record.parts_ms["endpointing"] == 0
        assert record.parts_ms["token"] == 400.0
        # Six tokens to the marker, three for it: at 40 a second.
        assert record.parts_ms["words"] == pytest.approx(200, abs=26)
        assert record.parts_ms["audio"] == 120.0
        assert record.framework_us == 0, "nothing takes time in virtual time but waiting"
        assert record.outcome == "answered"


async def test_in_auto_the_silence_counts_from_where_the_voice_stopped(
    autojump_clock: object,
) -> None:
    heard = DeepgramScript(("I would take the blue one",), repeat=False, latency_ms=150)
    async with a_call(
        openai=MODEL, cartesia=VOICE, deepgram=heard, activity=LoudnessEar()
    ) as caller:
        await caller.start(turn_detection="auto", latency=True)
        await caller.speak(2.2, LOUD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 6.0)
            told = await caller.until(e.LatencyMeasured)
            nursery.cancel_scope.cancel()
        (record,) = records(caller)
        began_s = caller.when(e.OutputChunk)[0]
        assert record.parts_ms["endpointing"] >= 400
        assert record.parts_ms["transcript"] >= 150
        # The voice was over 2.2 s after the first frame; the ear takes 40 ms at a time.
        assert record.gap_us == pytest.approx(us(began_s - record_start(caller)), abs=60_000)
        assert told.gap_ms * 1000 == record.gap_us
        assert told.parts_ms == record.parts_ms
        assert sum(told.parts_ms.values()) == pytest.approx(told.gap_ms)


def record_start(caller: Caller) -> float:
    """When the caller fell silent: 2.2 s of voice after the ack of the start."""
    return caller.when(e.Ack)[0] + 2.2


async def test_it_is_sent_only_if_asked_for(autojump_clock: object) -> None:
    async with a_call(openai=MODEL) as caller:
        await caller.start()
        await caller.turn()
        assert not caller.messages(e.LatencyMeasured)
        await caller.start(latency=True)
        await caller.turn()
        (told,) = caller.messages(e.LatencyMeasured)
        assert told.turn == 1
        kinds = [type(x.message) for _, x in caller.got]
        chunk = kinds.index(e.OutputChunk, kinds.index(e.OutputCompleted))
        assert kinds[chunk + 1] is e.LatencyMeasured, "right behind the first audio"


async def test_older_clients_never_get_it(autojump_clock: object) -> None:
    async with a_call(openai=MODEL, vocabulary="voicechat") as caller:
        await caller.start(latency=True)
        await caller.speak(0.5)
        await caller.end()
        await caller.until(e.OutputCompleted)
        assert len(records(caller)) == 1
        assert not caller.messages(e.LatencyMeasured)


async def test_it_is_one_line_of_the_log(autojump_clock: object) -> None:
    with structlog.testing.capture_logs() as lines:
        async with a_call(openai=MODEL, cartesia=VOICE) as caller:
            await caller.start()
            await caller.turn()
            (record,) = records(caller)
    (line,) = (line for line in lines if line["event"] == "turn latency")
    assert line["gap_ms"] == record.gap_us / 1000
    assert line["token_ms"] == 400.0
    assert line["framework_ms"] == 0


async def test_a_turn_behind_another_waits_in_the_queue(autojump_clock: object) -> None:
    async with a_call(openai=MODEL) as caller:
        await caller.start()
        await caller.speak(0.5)
        await caller.end()
        await caller.until(e.OutputChunk)
        await caller.speak(0.5)
        ended_s = trio.current_time()
        await caller.end()
        await caller.until(e.OutputCompleted, 2)
        first, second = records(caller)
        assert "queue" not in first.parts_ms
        over_s = caller.when(e.StateChanged)[3]
        assert second.parts_ms["queue"] == pytest.approx((over_s - ended_s) * 1000, abs=0.01)
        began_s = next(
            at_s
            for at_s, chunk in zip(
                caller.when(e.OutputChunk), caller.messages(e.OutputChunk), strict=True
            )
            if chunk.utterance_id == second.utterance_id
        )
        assert second.gap_us == us(began_s) - us(ended_s)


async def test_the_greeting_has_no_end_of_speech(autojump_clock: object) -> None:
    chosen = Settings(turns=TurnSettings(greeting="Hello, this is Alex from Vantum."))
    async with a_call(settings=chosen, cartesia=VOICE) as caller:
        await caller.start()
        await caller.until(e.OutputCompleted)
        (record,) = records(caller)
        assert record.outcome == "own"
        assert "endpointing" not in record.parts_ms
        assert record.gap_us == 120_000


async def test_a_fallback_tells_how_long_the_model_was_waited_for(autojump_clock: object) -> None:
    dead = OpenAIScript((TEXT,), faults=(Fault("disconnect", after_tokens=0),) * 9)
    async with a_call(openai=dead, cartesia=VOICE) as caller:
        await caller.start()
        await caller.turn()
        (record,) = records(caller)
        assert record.outcome == "fallback"
        assert "token" not in record.parts_ms
        assert record.parts_ms["words"] >= 0
        assert record.gap_us == us(caller.when(e.OutputChunk)[0]) - us(
            caller.when(e.TranscriptOut)[0]
        )


async def test_thought_that_is_cut_off_ends_where_it_was(autojump_clock: object) -> None:
    async with a_call(openai=OpenAIScript((TEXT,), first_token_s=5.0)) as caller:
        await caller.start(latency=True)
        await caller.speak(0.5)
        await caller.end()
        await caller.until_state("THINKING")
        await trio.sleep(1.25)
        await caller.send(e.Interrupt(caller.request()))
        told = await caller.until(e.LatencyMeasured)
        assert (told.outcome, told.gap_ms) == ("cancelled", 1250.0)
        assert told.heard_by is None, "there was nothing to hear"
        assert told.parts_ms["token"] == 1250.0
        (record,) = records(caller)
        assert record.outcome == "cancelled"


async def test_an_answer_that_is_cut_has_its_record_already(autojump_clock: object) -> None:
    async with a_call(openai=MODEL, cartesia=VOICE) as caller:
        await caller.start(latency=True)
        await caller.speak(0.5)
        await caller.end()
        await caller.until(e.OutputChunk)
        await caller.send(e.Interrupt(caller.request()))
        await caller.until_state("LISTENING")
        assert [told.outcome for told in caller.messages(e.LatencyMeasured)] == ["answered"]
        assert len(records(caller)) == 1


async def test_when_it_was_heard_is_known_if_the_client_says_so(autojump_clock: object) -> None:
    async with a_call(openai=MODEL, cartesia=VOICE) as caller:
        await caller.start(latency=True)
        await caller.speak(0.5)
        await caller.end()
        first = await caller.until(e.OutputChunk)
        await trio.sleep(0.5)
        # The way to its speaker takes 180 ms.
        await caller.send(e.Played(caller.request(), first.utterance_id, 320.0))
        (before,) = records(caller)
        await caller.until_state("LISTENING")
        (after,) = records(caller)
        assert after.parts_ms["playback"] == pytest.approx(180.0)
        assert after.gap_us == before.gap_us + 180_000
        assert (before.heard_by, after.heard_by) == ("clock", "report")
        guess, known = caller.messages(e.LatencyMeasured)
        assert (guess.heard_by, guess.gap_ms) == ("clock", before.gap_us / 1000)
        assert (known.heard_by, known.parts_ms) == ("report", after.parts_ms)
        assert (known.turn, known.utterance_id) == (guess.turn, guess.utterance_id)
        assert sum(known.parts_ms.values()) == pytest.approx(known.gap_ms)


async def test_without_reports_the_end_of_the_gap_is_an_estimate(autojump_clock: object) -> None:
    async with a_call(openai=MODEL, cartesia=VOICE) as caller:
        await caller.start(latency=True)
        await caller.turn()
        (told,) = caller.messages(e.LatencyMeasured)
        (record,) = records(caller)
        assert told.heard_by == record.heard_by == "clock"
        assert "playback" not in told.parts_ms


async def test_a_call_keeps_only_the_last_records(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vantum.actors.latencies._KEPT", 2)
    answers: Any = OpenAIScript(("Yes.",))
    async with a_call(openai=answers) as caller:
        await caller.start()
        for _ in range(3):
            await caller.turn()
        assert [record.turn for record in records(caller)] == [1, 2]
        assert caller.conductor is not None
        turns = caller.conductor.answering.latencies.turns
        assert not turns.handed, "nothing is kept of what is over"
        assert not turns._ending
        assert not turns._waiting


async def test_the_time_of_a_tool_is_its_own(autojump_clock: object) -> None:
    @tool(effect="pure", filler="")
    async def look() -> str:
        """Look it up."""
        await trio.sleep(1.5)
        return "blue"

    model = OpenAIScript((Reply("", (CallTool("look", {}),)), "It is blue."), first_token_s=0.4)
    settings = Settings(tools=ToolSettings(built_in=""))
    async with a_call(openai=model, cartesia=VOICE, settings=settings, tools=(look,)) as caller:
        await caller.start()
        await caller.speak(0.5)
        ended_s = trio.current_time()
        await caller.end()
        await caller.until(e.OutputCompleted)
        (record,) = records(caller)
        assert record.parts_ms["tools"] == 1500.0
        assert record.parts_ms["token"] == pytest.approx(800, abs=1)
        assert record.gap_us == us(caller.when(e.OutputChunk)[0]) - us(ended_s)
