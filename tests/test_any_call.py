"""Whole calls in which anything happens in any order: the promises that hold in all of them.

The table's own promises are in tests/core/test_conversation.py; here the whole session runs, and
what it says of itself is compared with what the caller's phone heard and said.
"""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import hypothesis.strategies as st
import trio
from hypothesis import Phase, given, settings
from hypothesis.strategies import DrawFn

from vantum.config import LlmSettings, Settings, SpeculationSettings, TurnSettings
from vantum.core import events as e
from vantum.core.conversation import MOVES, TABLE
from vantum.core.decisions import CloseRequested
from vantum.testing import CallTool, CartesiaScript, OpenAIScript, Reply
from vantum.testing.calls import (
    Backchannel,
    Caller,
    CallOver,
    CallSetup,
    Cough,
    EndCall,
    EndTurn,
    HangUp,
    Hear,
    LoseConnection,
    Mute,
    Network,
    Noise,
    Pause,
    PressInterrupt,
    Say,
    SimulatedCall,
    Stall,
    Step,
    perform,
    simulate,
    simulated_call,
    turn_by_turn,
)
from vantum.testing.openai_wire import Messages
from vantum.testing.word_errors import word_errors
from vantum.tools import Tool, ToolContext, tool

#: Every word of the caller is another one, so that lost and doubled ones are seen.
WORDS = [
    f"{stem}{end}"
    for end in ("", "ville", "berg", "ton", "field", "stone", "mouth")
    for stem in ("tango", "copper", "violet", "harbor", "lemon", "sierra", "walnut", "zebra")
]
ANSWERS = (
    "Hi, this is Alex from Vantum. ||BREAK|| How do you find new customers today?",
    "I see.",
    "That depends on how many calls you make. ||BREAK|| May I show you in a short demo?",
)
#: Nothing in a call takes longer than this to come to an end.
REST_S = 40.0
#: What was said so long ago has been understood.
UNDERSTOOD_S = 0.9


@attrs.frozen
class Announced:
    """Somebody outside the conversation has the agent say something, which need not end it."""

    text: str = "One moment please."


@attrs.frozen
class LastWords:
    """The agent's last words, which end the call, while a turn of the caller's is not over."""

    text: str = "That was all. Goodbye."


@attrs.frozen
class Closing:
    """The server ends the call politely."""


@attrs.frozen
class Plan:
    """A call: how it is set up, what happens in it, and how it ends.

    `booked`: the key of each booking that its tool has begun.
    """

    setup: CallSetup
    steps: tuple[Step | Announced, ...]
    end: Step | LastWords | Closing
    booked: list[str] = attrs.field(factory=list)


def with_tools(messages: Messages) -> str | Reply:
    """The model looks something up and books it before it answers, with or without a word."""
    text = turn_by_turn("", ANSWERS[1], ANSWERS[2])(messages)
    assert isinstance(text, str)
    if messages[-1]["role"] != "user":
        return ANSWERS[0]
    return Reply(text, (CallTool("look"), CallTool("book", {"what": "it"})))


def tools_of(booked: list[str]) -> tuple[Tool, ...]:
    @tool(effect="pure")
    async def look() -> str:
        await trio.sleep(0.2)
        return "there it is"

    @tool(effect="irreversible")
    async def book(context: ToolContext, what: str) -> str:
        booked.append(context.key)
        await trio.sleep(1.2)
        return f"{what} is booked"

    return look, book


@st.composite
def plans(draw: DrawFn) -> Plan:
    words = iter(WORDS)
    steps: list[Step | Announced] = []
    muted = False
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=9)):
        match kind:
            case "say":
                count = draw(st.integers(1, 4))
                steps.append(Say(" ".join(itertools.islice(words, count))))
            case "hesitate":  # longer than the recogniser waits, shorter than the server does
                for _ in range(2):
                    steps += [Say(" ".join(itertools.islice(words, 2))), Pause(0.36)]
            case "mute":
                muted = not muted
                steps.append(Mute(muted))
            case "pause":
                steps.append(Pause(draw(st.sampled_from([0.1, 0.4, 0.8, 1.5, 4.0]))))
            case "hear":
                steps.append(Hear(draw(st.sampled_from([0.1, 0.5, 1.2]))))
            case other:
                steps.append(other)
    if muted:
        steps.append(Mute(False))
    network, reports_ms = draw(
        st.sampled_from(
            [
                (Network(), 0),
                (Network(delay_ms=60, jitter_ms=80), 0),
                (Network(stalls=(Stall(3.0, 1.2),)), 0),
                (Network(stalls=(Stall(3.0, 1.2),)), 200),
            ]
        )
    )
    booked: list[str] = []
    setup = CallSetup(
        settings=Settings(
            turns=TurnSettings(
                greeting=draw(st.sampled_from(["", "Good day."])),
                reprompt_after_ms=0,  # the rest at the end is longer
                barge_in=draw(st.sampled_from(["auto", "auto", "words"])),
            ),
            llm=LlmSettings(max_messages=draw(st.sampled_from([50, 1, 4]))),
            speculation=SpeculationSettings(draw(st.sampled_from(["off", "model", "speech"]))),
        ),
        options={"turn_detection": draw(st.sampled_from(["auto", "auto", "manual"]))},
        openai=OpenAIScript(
            draw(st.sampled_from([turn_by_turn(*ANSWERS), with_tools])),
            first_token_s=draw(st.sampled_from([0.0, 0.5, 4.0])),
            tokens_per_s=80,
        ),
        cartesia=CartesiaScript(first_audio_s=0.1, rate=5.0),
        network=network,
        reports_ms=reports_ms,
        direct=draw(st.booleans()),
        seed=draw(st.integers(0, 5)),
        step_ms=40,
        tools=tools_of(booked),
    )
    ends: list[Step | LastWords | Closing] = [
        EndCall(),
        HangUp(),
        LoseConnection(),
        LastWords(),
        Closing(),
    ]
    end = draw(st.sampled_from(ends))
    return Plan(setup, tuple(steps), end, booked)


KINDS: tuple[Any, ...] = (
    "say",
    "say",
    "hesitate",
    "hear",
    "hear",
    "pause",
    "pause",
    "mute",
    Cough(),
    Noise(0.5),
    Backchannel(),
    PressInterrupt(),
    Announced(),
    EndTurn(),
)


@attrs.define
class Seen:
    """What a call was like before its end."""

    call: SimulatedCall
    rested: str = ""
    answered_at_last: bool = False
    said: list[str] = attrs.field(factory=list)


def play(plan: Plan) -> Seen:
    async def body() -> Seen:
        async with simulated_call(plan.setup) as call:
            seen, muted = Seen(call), False
            await call.caller.start()
            for step in plan.steps:
                if isinstance(step, Mute):
                    muted = step.muted
                if isinstance(step, Say) and not muted:
                    seen.said += step.text.split()
                if isinstance(step, Announced):
                    assert call.conductor is not None
                    await call.conductor.say(step.text)
                    continue
                with trio.move_on_after(6.0):  # nobody may be speaking
                    await perform(call.caller, step)
            if plan.setup.options["turn_detection"] == "manual":
                await call.caller.end_turn()
            await call.caller.pause(REST_S)
            seen.rested = call.phone.state
            seen.answered_at_last = await _is_answered(call.caller, plan)
            await call.caller.say("farewell")
            await call.caller.pause(UNDERSTOOD_S)
            seen.said += ["finally", "farewell"]
            await _end(call, plan.end)
            if any("anybody" in m.transcript for m in call.phone.messages(e.TranscriptOut)):
                seen.said.append("anybody")
        return seen

    return simulate(body, seed=plan.setup.seed)


async def _end(call: SimulatedCall, end: Step | LastWords | Closing) -> None:
    """End the call while what was said last is not answered yet."""
    assert call.conductor is not None
    match end:
        case LastWords(text):
            await call.conductor.say(text, then_hang_up=True)
        case Closing():
            await call.conductor.inbox_tx.send(CloseRequested(1001, "going down"))
            await call.caller.say("anybody")
        case step:
            await perform(call.caller, step)
            return
    with trio.fail_after(60):
        await call.over.wait()


async def _is_answered(caller: Caller, plan: Plan) -> bool:
    """Whether one more thing that is said is answered."""
    await caller.say("finally")
    if plan.setup.options["turn_detection"] == "manual":
        await caller.end_turn()
    with trio.move_on_after(REST_S):
        try:
            await caller.answered()
        except CallOver:
            return False
        return True
    return False


# ---------------------------------------------------------------- the promises


def check_moves(call: SimulatedCall) -> set[str]:
    """States follow each other as the table has it; gives those that were visited."""
    state, visited = "INITIALIZING", {"INITIALIZING"}
    for move in call.phone.messages(e.StateChanged):
        assert move.old == state
        assert (move.old, move.new) in MOVES
        state = move.new
        visited.add(state)
    return visited


def check_one_answer_at_a_time(call: SimulatedCall) -> None:
    live: str | None = None
    over: set[str] = set()
    for _, envelope in call.phone.got:
        match envelope.message:
            case e.OutputStarted(utterance_id=utterance_id):
                assert live is None, "two answers at once"
                assert utterance_id not in over
                live = utterance_id
            case e.OutputChunk(utterance_id=utterance_id):
                assert utterance_id == live, "audio of an answer that is over or never began"
            case e.OutputCompleted(utterance_id=utterance_id):
                assert utterance_id == live
                # What was sent may still be cut while it is heard.
                live = None
                over.add(utterance_id)
            case e.OutputCancelled(utterance_id=utterance_id):
                live = None if utterance_id == live else live
                over.add(utterance_id)
            case _:
                pass
    assert all(utterance.late_chunks == 0 for utterance in call.answers)


def check_words_of_the_caller(seen: Seen) -> None:
    """Each word is in the record, once and in order; a sound of listening may be."""
    recorded = " ".join(x.text for x in seen.call.history if x.role == "user").split()
    recorded = [word.strip(".,?!").lower() for word in recorded]
    of_caller = [word for word in recorded if word not in ("mm-hmm", "mmhmm")]
    assert of_caller == seen.said


def check_heard(seen: Seen, allowed: int) -> None:
    """The record of the answers is what came out of the earpiece, but for a word at each cut."""
    entries = [x for x in seen.call.history if x.role == "assistant"]
    recorded = " ".join(x.text for x in entries).split()
    heard = " ".join(seen.call.heard()).split()
    cuts = sum(utterance.cut_s is not None for utterance in seen.call.answers)
    assert word_errors(heard, recorded) <= allowed * cuts


def check_contexts(seen: Seen) -> None:
    """Each call of a tool has its result in every request, the limit is kept as far as it can be,
    and the caller's latest words are there."""
    limit = seen.call.setup.settings.llm.max_messages
    for messages in seen.call.asked:
        said = [m for m in messages if m["role"] != "system"]
        called = [call["id"] for m in said for call in m.get("tool_calls") or ()]
        assert called == [m["tool_call_id"] for m in said if m["role"] == "tool"]
        spoken = [n for n, m in enumerate(said) if m["role"] == "user"]
        assert spoken
        assert len(said) <= limit or spoken == [0]


def check(plan: Plan) -> set[str]:
    seen = play(plan)
    call = seen.call
    try:
        assert call.failure is None
        visited = check_moves(call)
        check_one_answer_at_a_time(call)
        assert seen.rested == "LISTENING", "a dead end"
        assert seen.answered_at_last, "a dead end"
        check_words_of_the_caller(seen)
        check_heard(seen, 1 if plan.setup.network == Network() else 2)
        check_contexts(seen)
        assert len(set(plan.booked)) == len(plan.booked), "booked twice"
        assert call.wires.open == 0
    except BaseException as error:
        error.add_note(str(call.log))
        raise
    return visited


@given(plans())
@settings(max_examples=20, phases=(Phase.generate,))  # a log tells more than a shorter call
def test_the_promises_hold_whatever_happens(plan: Plan) -> None:
    check(plan)


def test_every_state_is_reached_and_left() -> None:
    steps = (Say("tango"), Hear(0.5), Say("copper violet harbor"), Pause(3.0))
    setup = CallSetup(
        settings=Settings(turns=TurnSettings(reprompt_after_ms=0)),
        options={"turn_detection": "auto"},
        openai=OpenAIScript(turn_by_turn(*ANSWERS)),
        direct=True,
    )
    assert check(Plan(setup, steps, EndCall())) == set(TABLE)
