"""Answers begun ahead of time, in whole calls: earlier by the exact time, or without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import structlog.testing
import trio

from tests.in_memory import LOUD, Caller, LoudnessEar, a_call
from vantum.config import LlmSettings, Settings, SpeculationSettings, ToolSettings
from vantum.core import events as e
from vantum.core.history import message_tokens
from vantum.core.latency import TurnLatency
from vantum.core.messages import ChatMessage
from vantum.core.speculation import Speculation, normalised
from vantum.testing import CallTool, CartesiaScript, DeepgramScript, OpenAIScript, Reply
from vantum.testing.calls import CallSetup, simulated_call
from vantum.testing.cartesia_script import Fault as TtsFault
from vantum.testing.openai_script import Fault
from vantum.tools import Tool, ToolContext, tool

SAID = "I would take the blue one."
MORE = "But not today."
TEXT = "Hi there, this is Alex. ||BREAK|| We help teams. ||BREAK|| Shall we talk?"
SPOKEN = TEXT.replace(" ||BREAK||", "")
#: The words are over 1.94 s after the first audio; their last transcript comes when asked for.
HEARD = DeepgramScript((SAID,), repeat=False)
GOES_ON = DeepgramScript((SAID, MORE), repeat=False, pause_s=0.6)
MODEL = OpenAIScript((TEXT,), first_token_s=0.4, tokens_per_s=40)
VOICE = CartesiaScript(first_audio_s=0.12)
#: Two calls begin at different times of the clock, and deadlines are floats.
ROUNDING_US = 2


def chosen(mode: Any = "model", **options: Any) -> Settings:
    return Settings(speculation=SpeculationSettings(mode=mode, **options))


def state(caller: Caller) -> Speculation:
    assert caller.conductor is not None
    return caller.conductor.speculation


def records(caller: Caller) -> tuple[TurnLatency, ...]:
    assert caller.conductor is not None
    return caller.conductor.latencies


def history(caller: Caller) -> list[tuple[str, str]]:
    assert caller.conductor is not None
    entries = caller.conductor.history.entries
    return [(entry.role, entry.text) for entry in entries if entry.text and entry.role != "tool"]


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 (virtual time)
            await trio.sleep(0.01)


async def goes_on(caller: Caller) -> None:
    """A sentence, a pause that seems to be its end, and more: what `GOES_ON` hears."""
    await caller.speak(2.0, LOUD)
    await caller.speak(0.4)
    await caller.speak(1.6, LOUD)
    await caller.speak(20.0)


async def one_turn(mode: str, **other: Any) -> tuple[TurnLatency, list[Any], Caller]:
    """One turn of the same call: its record, what was sent to the client, and the rest."""
    given: dict[str, Any] = {"openai": MODEL, "cartesia": VOICE, "deepgram": HEARD}
    given |= {"settings": chosen(mode), "activity": LoudnessEar()} | other
    async with a_call(**given) as caller:
        await caller.start(turn_detection="auto", tokens=True)
        async with trio.open_nursery() as nursery:

            async def talk() -> None:
                await caller.speak(2.0, LOUD)
                await caller.speak(20.0)

            nursery.start_soon(talk)
            await caller.until(e.OutputCompleted)
            await caller.until_state("LISTENING")
            nursery.cancel_scope.cancel()
        assert history(caller) == [("user", SAID), ("assistant", SPOKEN)]
        return records(caller)[0], [x.message for _, x in caller.got], caller


def by_kind(messages: list[Any]) -> dict[type, list[Any]]:
    """What a client got, but for when and under which number: text may overtake audio."""
    same = {"timestamp_ms": 0, "utterance_id": ""}
    found: dict[type, list[Any]] = {}
    for message in messages:
        changed = {name: value for name, value in same.items() if hasattr(message, name)}
        found.setdefault(type(message), []).append(attrs.evolve(message, **changed))
    return found


# ---------------------------------------------------------------- kept


async def test_kept_it_comes_earlier_by_exactly_what_was_begun_ahead(
    autojump_clock: object,
) -> None:
    late, _, caller = await one_turn("off")
    assert state(caller).kept == 0
    early, _, caller = await one_turn("model")
    assert (state(caller).kept, state(caller).dropped, state(caller).wasted_tokens) == (1, 0, 0)
    assert len(caller.openai.chats) == 1
    # The voice stops, and the words known by then, or a moment later, make a whole sentence.
    assert 390_000 < early.ahead_us <= late.owned_us("endpointing") + late.owned_us("stt") + 2
    assert late.ahead_us == 0
    hidden_us = min(early.ahead_us, late.owned_us("llm"))
    assert late.gap_us - early.gap_us == pytest.approx(hidden_us, abs=ROUNDING_US)
    assert early.owned_us("llm") == pytest.approx(late.owned_us("llm") - hidden_us, abs=ROUNDING_US)
    assert early.framework_us == 0


async def test_speech_ahead_saves_synthesis_too(autojump_clock: object) -> None:
    quick = OpenAIScript((TEXT,), first_token_s=0.05)
    late, _, _ = await one_turn("off", openai=quick)
    thought, _, _ = await one_turn("model", openai=quick)
    spoken, _, caller = await one_turn("speech", openai=quick)
    model_us, voice_us = late.gap_us - thought.gap_us, thought.gap_us - spoken.gap_us
    assert model_us == pytest.approx(50_000, abs=ROUNDING_US), "all that the model takes"
    assert voice_us == pytest.approx(120_000, abs=ROUNDING_US), "and all that the synthesis takes"
    assert spoken.gap_us == spoken.owned_us("endpointing") + spoken.owned_us("stt")
    (texts,) = caller.cartesia.transcripts.values()
    assert " ".join(" ".join(texts).split()) == SPOKEN, "nothing is synthesised twice"


async def test_the_client_gets_the_same(autojump_clock: object) -> None:
    _, late, _ = await one_turn("off")
    for mode in ("model", "speech"):
        _, early, _ = await one_turn(mode)
        assert by_kind(early) == by_kind(late)


async def test_nothing_is_told_before_the_turn_is_committed(autojump_clock: object) -> None:
    quick = OpenAIScript((TEXT,), first_token_s=0.01)
    for mode in ("model", "speech"):
        _, got, _ = await one_turn(mode, openai=quick)
        thinking = next(n for n, m in enumerate(got) if getattr(m, "new", "") == "THINKING")
        secret = e.ResponseStarted | e.ResponseToken | e.ResponseCompleted | e.OutputStarted
        assert not [m for m in got[:thinking] if isinstance(m, secret)]
        started = next(m for m in got if isinstance(m, e.ResponseStarted))
        assert started.timestamp_ms >= got[thinking].timestamp_ms


async def test_only_the_first_piece_is_synthesised_ahead(autojump_clock: object) -> None:
    quick = OpenAIScript((TEXT,))
    async with a_call(
        openai=quick, deepgram=GOES_ON, settings=chosen("speech"), activity=LoudnessEar()
    ) as caller:
        await caller.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 2.0, LOUD)
            await trio.sleep(2.0)
            nursery.start_soon(caller.speak, 0.4)
            await until(lambda: state(caller).live is not None)
            await trio.sleep(0.2)
            (texts,) = caller.cartesia.transcripts.values()
            assert texts == ["Hi there, this is Alex. "]
            nursery.cancel_scope.cancel()


async def test_the_model_is_asked_what_it_would_have_been_asked(autojump_clock: object) -> None:
    asked = []
    for mode in ("off", "model"):
        _, _, caller = await one_turn(mode)
        asked.append(caller.openai.chats[0].body["messages"])
    assert asked[0] == asked[1]


# ---------------------------------------------------------------- dropped


@pytest.mark.parametrize("mode", ["model", "speech"])
async def test_dropped_it_leaves_no_trace(autojump_clock: object, mode: Any) -> None:
    """The caller pauses after a whole sentence, and then goes on."""
    with structlog.testing.capture_logs() as lines:
        async with a_call(
            openai=MODEL,
            cartesia=VOICE,
            deepgram=GOES_ON,
            settings=chosen(mode),
            activity=LoudnessEar(),
        ) as caller:
            await caller.start(turn_detection="auto", tokens=True, latency=True)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(goes_on, caller)
                await until(lambda: state(caller).live is not None)
                await until(lambda: state(caller).live is None)
                assert caller.messages(e.StateChanged)[-1].new == "LISTENING"
                assert history(caller) == []
                await caller.until(e.OutputCompleted)
                await caller.until_state("LISTENING")
                nursery.cancel_scope.cancel()
            assert history(caller) == [("user", f"{SAID} {MORE}"), ("assistant", SPOKEN)]
            for kind in (
                e.ResponseStarted,
                e.ResponseCompleted,
                e.OutputStarted,
                e.OutputCompleted,
                e.LatencyMeasured,
            ):
                assert len(caller.messages(kind)) == 1, kind
            assert not caller.messages(e.OutputCancelled)
            assert len(records(caller)) == 1
            first, *_, last = [chat.body["messages"] for chat in caller.openai.chats]
            assert first[-1]["content"] == SAID
            assert last[-1]["content"] == f"{SAID} {MORE}"
            assert state(caller).dropped >= 1
            assert state(caller).wasted_tokens > 20, "its prompt counts"
    assert len([line for line in lines if line["event"] == "answered"]) == 1
    dropped = [line for line in lines if line["event"] == "answer ahead of time dropped"]
    assert sum(line["tokens"] for line in dropped) == state(caller).wasted_tokens


async def test_a_spare_connection_is_there_after_a_dropped_one(autojump_clock: object) -> None:
    """A stream that is broken off takes its connection along; the next request must not wait for
    another to be made."""
    async with a_call(
        openai=MODEL, deepgram=GOES_ON, settings=chosen(), activity=LoudnessEar()
    ) as caller:
        await caller.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(goes_on, caller)
            await until(lambda: state(caller).dropped == 1)
            await until(lambda: caller.openai.connections == 2)
            assert len(caller.openai.chats) == 1, "the spare is there before it is wanted"
            await caller.until(e.OutputCompleted)
            assert len(caller.openai.chats) == 2
            assert caller.openai.connections == 2, "and used"
            nursery.cancel_scope.cancel()


async def test_a_model_that_fails_in_secret_is_asked_again(autojump_clock: object) -> None:
    failing = attrs.evolve(MODEL, faults=(Fault("bad_request"),))
    record, got, caller = await one_turn("model", openai=failing)
    assert len(caller.openai.chats) == 2
    assert (state(caller).kept, state(caller).dropped) == (0, 1)
    assert record.outcome == "answered"
    assert not [m for m in got if isinstance(m, e.ErrorReply)]
    (complete,) = (m for m in got if isinstance(m, e.ResponseCompleted))
    assert not complete.is_fallback


async def test_waste_is_bounded(autojump_clock: object) -> None:
    """A caller who pauses after every sentence, and a limit that one dropped answer reaches."""
    pausing = DeepgramScript((SAID,) * 6, repeat=False, pause_s=0.66)
    counts = []
    for limit in (20_000, 1, 0):
        settings = chosen(max_per_turn=20, max_wasted_tokens=limit)
        async with a_call(
            openai=MODEL, deepgram=pausing, settings=settings, activity=LoudnessEar()
        ) as caller:
            await caller.start(turn_detection="auto")
            for _ in range(4):
                await caller.speak(2.2, LOUD)
                await caller.speak(0.4)
            counts.append(state(caller).dropped + (state(caller).live is not None))
    assert counts[0] >= 3
    assert counts[1:] == [1, 0]


async def test_a_turn_has_so_many(autojump_clock: object) -> None:
    pausing = DeepgramScript((SAID,) * 6, repeat=False, pause_s=0.66)
    async with a_call(
        openai=MODEL, deepgram=pausing, settings=chosen(max_per_turn=2), activity=LoudnessEar()
    ) as caller:
        await caller.start(turn_detection="auto")
        for _ in range(4):
            await caller.speak(2.2, LOUD)
            await caller.speak(0.4)
        assert len(caller.openai.chats) == 1, "the second is kept for the turn's end"


# ---------------------------------------------------------------- ends


async def hang_up(caller: Caller) -> None:
    await caller.hang_up()


async def end_call(caller: Caller) -> None:
    await caller.send(e.EndCall(caller.request()))
    await caller.over.wait()


async def interrupt(caller: Caller) -> None:
    await caller.send(e.Interrupt(caller.request()))
    await caller.speak(0.6, LOUD)
    await until(lambda: state(caller).live is None)


async def speak_on(caller: Caller) -> None:
    await caller.speak(0.2, LOUD)
    await until(lambda: state(caller).live is None)


@pytest.mark.parametrize("end", [hang_up, end_call, interrupt, speak_on])
@pytest.mark.parametrize("mode", ["model", "speech"])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.3])
async def test_whatever_ends_it_leaves_nothing_behind(
    autojump_clock: object, end: Any, mode: Any, after_s: float
) -> None:
    quick = OpenAIScript((TEXT,), first_token_s=0.05, tokens_per_s=40)
    async with a_call(
        openai=quick,
        cartesia=VOICE,
        deepgram=GOES_ON,
        settings=chosen(mode),
        activity=LoudnessEar(),
    ) as caller:
        await caller.start(turn_detection="auto", tokens=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 2.0, LOUD)
            await trio.sleep(2.0)
            nursery.start_soon(caller.speak, 0.5)
            await until(lambda: state(caller).live is not None)
            await trio.sleep(after_s)
            assert state(caller).live is not None
            await end(caller)
            nursery.cancel_scope.cancel()
        secret = (e.ResponseStarted, e.ResponseToken, e.OutputStarted, e.OutputChunk)
        assert not [m for kind in secret for m in caller.messages(kind)]
        # What the caller had said by the end of the call is kept; nothing was answered.
        assert history(caller) == ([("user", SAID)] if end in (hang_up, end_call) else [])
        await trio.sleep(0.1)
        peer = caller.openai
        assert len(peer.chats) == 1
        assert (peer.completed, peer.abandoned) == (0, 1), "the model was stopped"
    assert caller.failure is None


async def test_not_in_manual_mode(autojump_clock: object) -> None:
    async with a_call(openai=MODEL, deepgram=HEARD, settings=chosen()) as caller:
        await caller.start()
        await caller.speak(2.0, LOUD)
        await trio.sleep(1.0)
        await caller.end()
        await caller.until(e.OutputCompleted)
        assert records(caller)[0].ahead_us == 0
        assert state(caller) == Speculation(state(caller).options)


def test_a_model_that_all_share_is_left_alone_unless_asked_for() -> None:
    assert SpeculationSettings().options(model="openai").mode == "model"
    assert SpeculationSettings().options(model="local").mode == "off"
    assert SpeculationSettings(local=True, mode="speech").options(model="local").mode == "speech"


# ---------------------------------------------------------------- once it is kept


@pytest.mark.parametrize("mode", ["model", "speech"])
async def test_a_kept_answer_is_paced_like_any_other(autojump_clock: object, mode: str) -> None:
    quick = OpenAIScript((TEXT,))
    _, _, caller = await one_turn(mode, openai=quick, cartesia=CartesiaScript())
    at_s = caller.when(e.OutputChunk)
    sent_s = 0.0
    for when_s, chunk in zip(at_s, caller.messages(e.OutputChunk), strict=True):
        sent_s += len(chunk.audio) / 32_000
        assert sent_s <= when_s - at_s[0] + 0.2 + 1e-6
    assert caller.when(e.StateChanged)[-1] == pytest.approx(at_s[0] + sent_s, abs=0.01)


async def test_a_synthesis_that_fails_is_told_once_and_after_the_commit(
    autojump_clock: object,
) -> None:
    down = CartesiaScript(faults=(TtsFault("error"),) * 50)
    async with a_call(
        openai=OpenAIScript((TEXT,)),
        cartesia=down,
        deepgram=HEARD,
        settings=chosen("speech"),
        activity=LoudnessEar(),
    ) as caller:
        await caller.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.speak, 2.0, LOUD)
            await trio.sleep(2.0)
            nursery.start_soon(caller.speak, 20.0)
            error = await caller.until(e.ErrorReply)
            await caller.until_state("LISTENING")
            nursery.cancel_scope.cancel()
        assert error.case == "tts_unavailable"
        assert len(caller.messages(e.ErrorReply)) == 1
        kinds = [type(x.message) for _, x in caller.got]
        assert kinds.index(e.ResponseStarted) < kinds.index(e.ErrorReply), "after the commit"
        assert len(records(caller)) == 1


def _by_turn(requests: list[Any]) -> list[tuple[int, Any]]:
    """Each request with the number of its turn: it changes when the last question does."""
    found: list[tuple[int, Any]] = []
    for request in requests:
        question = normalised(request[-1]["content"])
        same = found and normalised(found[-1][1][-1]["content"]) in question
        found.append((found[-1][0] + (not same) if found else 0, request))
    return found


async def test_the_context_moves_on_as_it_does_without(autojump_clock: object) -> None:
    """A window that slides with every other request: what is asked is the same for every turn."""
    asked = []
    for mode in ("off", "model"):
        settings = attrs.evolve(
            chosen(mode), llm=LlmSettings(max_messages=5, summary="off", max_context_tokens=0)
        )
        setup = CallSetup(
            settings=settings,
            deepgram=DeepgramScript(()),
            openai=OpenAIScript((TEXT,)),
            cartesia=CartesiaScript(),
        )
        async with simulated_call(setup) as call:
            await call.caller.start()
            for text in ("Who is this?", "What does it cost?", "How long does it take?") * 2:
                await call.caller.say(text)
                await call.caller.answered()
            assert call.conductor is not None
            assert (call.conductor.speculation.kept > 0) == (mode == "model")
            # Of the requests for a turn the last one is that of its answer.
            kept = dict(_by_turn(call.asked))
            asked.append(list(kept.values()))
    assert asked[0] == asked[1]


# ---------------------------------------------------------------- tools


def notebook(effect: Any, begun: list[tuple[float, str]]) -> Tool:
    @tool(effect=effect)
    async def note(context: ToolContext, what: str) -> str:
        """Note something."""
        begun.append((trio.current_time(), what))
        return "noted"

    return note


@pytest.mark.parametrize("effect", ["pure", "idempotent", "irreversible"])
async def test_only_a_pure_tool_runs_ahead(autojump_clock: object, effect: Any) -> None:
    begun: list[tuple[float, str]] = []
    script = OpenAIScript((Reply("", (CallTool("note", {"what": "x"}),)), TEXT))
    _, _, caller = await one_turn("model", openai=script, tools=(notebook(effect, begun),))
    assert state(caller).kept == 1
    thinking_s = next(at_s for at_s, x in caller.got if getattr(x.message, "new", "") == "THINKING")
    ((begun_s, _),) = begun
    assert (begun_s < thinking_s - 0.3) == (effect == "pure")
    assert effect == "pure" or begun_s == thinking_s


async def test_waste_has_all_that_was_asked_and_written(autojump_clock: object) -> None:
    """Tools are part of each prompt, and their results ask for another one."""

    def answer(messages: Any) -> str | Reply:
        asks = messages[-1]["role"] != "tool"
        return Reply("", (CallTool("note", {"what": "blue"}),)) if asks else TEXT

    async def wasted(model: OpenAIScript, *tools: Tool) -> tuple[int, int]:
        """Tokens that were wasted, and those of the messages that the model was sent."""
        async with a_call(
            openai=model,
            deepgram=GOES_ON,
            settings=attrs.evolve(chosen(), tools=ToolSettings(built_in="")),
            activity=LoudnessEar(),
            tools=tools,
        ) as caller:
            await caller.start(turn_detection="auto")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(goes_on, caller)
                await until(lambda: state(caller).dropped == 1)
                nursery.cancel_scope.cancel()
            sent = [m for chat in caller.openai.chats for m in chat.body["messages"]]
            texts = (ChatMessage(m["role"], m["content"] or "") for m in sent)
            return state(caller).wasted_tokens, sum(map(message_tokens, texts))

    slow = attrs.evolve(MODEL, first_token_s=5.0)
    wasted_tokens, sent_tokens = await wasted(slow)
    assert sent_tokens == wasted_tokens
    asking = attrs.evolve(MODEL, answers=answer, first_token_s=0.1)
    wasted_tokens, sent_tokens = await wasted(asking, notebook("pure", []))
    assert sent_tokens > 800, "two prompts"
    assert wasted_tokens > sent_tokens + 100, "and in both what there is of tools"


@pytest.mark.parametrize("effect", ["idempotent", "irreversible"])
async def test_nothing_is_done_for_a_turn_that_is_dropped(
    autojump_clock: object, effect: Any
) -> None:
    begun: list[tuple[float, str]] = []

    def answer(messages: Any) -> str | Reply:
        if messages[-1]["role"] == "tool":
            return TEXT
        return Reply("", (CallTool("note", {"what": messages[-1]["content"]}),))

    async with a_call(
        openai=OpenAIScript(answer),
        deepgram=GOES_ON,
        settings=chosen(),
        activity=LoudnessEar(),
        tools=(notebook(effect, begun),),
    ) as caller:
        await caller.start(turn_detection="auto")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(goes_on, caller)
            await caller.until(e.OutputCompleted)
            nursery.cancel_scope.cancel()
        assert state(caller).dropped >= 1
        assert [what for _, what in begun] == [f"{SAID} {MORE}"]
