"""Whole calls at their edges: what comes at the wrong moment, and answers that are none."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from tests.in_memory import a_call
from vantum.core import events as e
from vantum.testing import DeepgramScript, OpenAIScript
from vantum.testing.deepgram import Disconnects, HangsInHandshake, RefusesConnection, Stalls
from vantum.testing.openai_script import Fault as LlmFault

ANSWER = "Hi there, this is Alex from Vantum. ||BREAK|| We help teams. ||BREAK|| Shall we talk?"
THREE = OpenAIScript((ANSWER,))


# ---------------------------------------------------------------- starts at the wrong moment


async def test_another_language_right_after_a_turn(autojump_clock: object) -> None:
    """The words of the turn before are not lost, and the next turn is heard."""
    heard = DeepgramScript(("hello there", "guten Tag"), speech="on_finalize", scope="server")
    async with a_call(openai=THREE, deepgram=heard) as caller:
        first = await caller.start()
        await caller.speak(0.3)
        await caller.end()
        second = await caller.start(language="de-DE")
        await caller.until(e.OutputCompleted)
        await caller.turn()
        told = caller.messages(e.TranscriptOut)
        assert [(t.transcript, t.language) for t in told] == [
            ("hello there", "en-US"),
            ("guten Tag", "de-DE"),
        ]
        assert [t.request.event_id for t in told] == [first.event_id, second.event_id]
    assert caller.failure is None


async def test_words_that_come_late_after_a_lost_connection_are_answered(
    autojump_clock: object,
) -> None:
    """Mending took longer than a turn usually waits: no reason to drop the turn."""
    faults = (
        Disconnects(after_s=0.2, connections=frozenset({0})),
        HangsInHandshake(connections=frozenset({1})),
    )
    async with a_call(openai=THREE, deepgram_faults=faults) as caller:
        await caller.start()
        await caller.speak(0.4)
        await caller.end()
        ended_s = trio.current_time()
        await caller.until(e.OutputCompleted)
        (told,) = caller.messages(e.TranscriptOut)
        assert told.transcript == "hello there"
        assert caller.when(e.TranscriptOut)[0] > ended_s + 4, "later than STT_FLUSH_TIMEOUT"
        assert not caller.messages(e.ErrorReply)
        await caller.turn()


async def test_words_that_are_sent_again_are_waited_for_and_answered_in_one_turn(
    autojump_clock: object,
) -> None:
    """Deepgram hears at 1.25 times their speed what a lost connection had not made final, and the
    turn ends meanwhile."""
    said = "one two three four five six seven eight nine ten eleven twelve"
    heard = DeepgramScript((said,), repeat=False, most_speed=1.25)
    faults = (Disconnects(after_s=3.0, connections=frozenset({0})),)
    async with a_call(openai=THREE, deepgram=heard, deepgram_faults=faults) as caller:
        await caller.start()
        await caller.speak(4.0)
        await caller.end()
        ended_s = trio.current_time()
        await caller.until(e.OutputCompleted)
        assert caller.when(e.TranscriptOut)[-1] > ended_s + 2.0, "later than STT_FLUSH_TIMEOUT"
        told = [t.transcript for t in caller.messages(e.TranscriptOut) if t.is_final]
        assert told == [said]
        assert caller.conductor is not None
        assert [x.text for x in caller.conductor.history.entries if x.role == "user"] == [said]


@pytest.mark.parametrize("after_s", [0.0, 1.0])
async def test_turn_that_a_hung_recogniser_did_not_hear_is_heard_by_the_next(
    autojump_clock: object, after_s: float
) -> None:
    """One turn of push-to-talk: no audio follows it that could show that the peer has hung."""
    faults = (Stalls(after_s=after_s, connections=frozenset({0})),)
    heard = DeepgramScript(("hello there",), speech="on_finalize", scope="server")
    async with a_call(openai=THREE, deepgram=heard, deepgram_faults=faults) as caller:
        await caller.start()
        await caller.speak(3.0)
        await caller.end()
        ended_s = trio.current_time()
        await caller.until(e.OutputCompleted)
        (told,) = caller.messages(e.TranscriptOut)
        assert told.transcript == "hello there"
        assert caller.when(e.TranscriptOut)[0] < ended_s + 1.5
        assert not caller.messages(e.ErrorReply)


# ---------------------------------------------------------------- audio in strange portions


@pytest.mark.parametrize("chunk_s", [1.0, 61.0])
async def test_audio_all_at_once_is_recognised_or_its_loss_is_told(
    autojump_clock: object, chunk_s: float
) -> None:
    """Nothing of it goes without a word to the client."""
    # Were silence made final exactly where the audio ends, a Finalize would have nothing to answer.
    script = DeepgramScript(("hello there",), speech="on_finalize", final_every_s=1000)
    async with a_call(openai=THREE, deepgram=script) as caller:
        await caller.start(sampling_rate_hz=8000)
        for _ in range(round(61 / chunk_s)):
            await caller.send(e.InputChunk(caller.request(), bytes(round(16_000 * chunk_s))))
        await caller.end()
        await caller.until(e.OutputCompleted)
        told = sum(m.case == "buffer_overflow" for m in caller.messages(e.ErrorReply))
        # Whether a second's messages overtake the recogniser is the scheduler's choice.
        assert caller.deepgram.audio_s == pytest.approx(61, abs=0.1) or told
        assert not told or chunk_s == 1.0, "a single message waits, whatever its length"


async def test_an_outage_is_told_once_and_what_it_cost_is_logged(autojump_clock: object) -> None:
    """The recogniser is away for a minute and a half; the client hangs up in a second outage."""
    away = RefusesConnection(connections=frozenset({*range(1, 26), *range(27, 99)}))
    times = {0: 1.0, 26: 60.0}
    lost = [Disconnects(at_s, connections=frozenset({n})) for n, at_s in times.items()]
    with capture_logs() as logs:
        async with a_call(openai=THREE, deepgram_faults=(away, *lost)) as caller:
            await caller.start()
            outages = [["stt_unavailable", "buffer_overflow"] * n for n in (1, 2)]
            for told, length_s in zip(outages, (105, 60), strict=True):
                await caller.speak(length_s)
                assert [m.case for m in caller.messages(e.ErrorReply)] == told
    costs = [line["total_ms"] for line in logs if line["event"] == "audio dropped"]
    assert len(costs) == 2
    assert all(10_000 < cost < 100_000 for cost in costs)


# ---------------------------------------------------------------- answers that are none


@pytest.mark.parametrize(
    "text", ["||BREAK||", " ||BREAK|| \n ||BREAK||", "...", "\N{THUMBS UP SIGN}"]
)
async def test_answer_without_words_is_a_failure(autojump_clock: object, text: str) -> None:
    """Silence would leave the caller waiting: the fallback is spoken."""
    script = OpenAIScript((text, text, "Here I am.", text))
    async with a_call(openai=script) as caller:
        await caller.start()
        for _ in range(4):
            await caller.turn(0.1)
        done = caller.messages(e.ResponseCompleted)
        assert [m.tier for m in done] == [1, 2, None, 1], "a success starts anew"
        assert done[0].text == "I apologize, can you repeat that?"
        assert len(caller.messages(e.ResponseStarted)) == 4
        assert [m.case for m in caller.messages(e.ErrorReply)] == ["llm_unavailable"] * 3


async def test_failure_is_told_although_its_fallback_is_interrupted(autojump_clock: object) -> None:
    script = OpenAIScript(faults=(LlmFault("server"),))
    async with a_call(openai=script) as caller:
        await caller.start()
        await caller.speak(0.1)
        await caller.end()
        await caller.until_state("RESPONDING")
        await caller.send(e.Interrupt(caller.request()))
        error = await caller.until(e.ErrorReply)
        assert error.case == "llm_unavailable"
        assert error.request.event_type == "audio.input.end"


async def test_record_of_a_cut_answer_is_what_the_client_was_told(autojump_clock: object) -> None:
    """Also if the client is slow to take the news."""
    async with a_call(openai=THREE) as caller:
        await caller.start()
        await caller.speak(0.1)
        await caller.end()
        await caller.until(e.OutputStarted)
        await trio.sleep(1)
        caller.call.phone.line.down.stop(True)
        for _ in range(8):  # its answers fill the way out
            await caller.send(e.Heartbeat(caller.request()))
        await trio.sleep(0.01)
        await caller.send(e.Interrupt(caller.request()))
        await trio.sleep(1.5)
        caller.call.phone.line.down.stop(False)
        told = await caller.until(e.Interrupted)
        await caller.until_state("LISTENING")
        assert caller.conductor is not None
        assert caller.conductor.history.entries[-1].text == told.heard_text


# ---------------------------------------------------------------- a client that says nonsense


async def test_nonsense_does_not_fill_the_log(autojump_clock: object) -> None:
    """At a rate that no limit minds, for as long as a call may last."""
    with capture_logs() as logs:
        async with a_call() as caller:
            for number in range(1, 201):
                await caller.send_raw("nonsense")
                await trio.sleep(0.025)
                await trio.testing.wait_all_tasks_blocked()
                assert len(caller.messages(e.ErrorReply)) == number, "the client hears of each"
    refused = [line for line in logs if line["event"] == "refused"]
    assert 5 <= len(refused) <= 6
    assert refused[0]["count"] == 1
    assert all(35 <= line["count"] <= 45 for line in refused[1:])
