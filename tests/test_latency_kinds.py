"""The latency ledger of every kind of turn, in virtual time, by the clock of the caller's phone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from attrs import evolve, frozen

from vantum.config import LlmSettings, Settings, SpeculationSettings, ToolSettings, TurnSettings
from vantum.core import events as e
from vantum.core.latency import TurnLatency
from vantum.testing import CallTool, OpenAIScript, Reply
from vantum.testing.calls import CallSetup, SimulatedCall, simulated_call
from vantum.testing.openai_script import Fault
from vantum.tools import tool

LONG = (
    "Well, our platform answers every single phone call for you within a second. ||BREAK|| "
    "It never sleeps and it never forgets what a customer has said before."
)
ASKED = "I would take the blue one."
SOFT_US = 20_000


def us(at_s: float) -> int:
    return round(at_s * 1_000_000)


def first_audio_us(call: SimulatedCall, record: TurnLatency) -> int:
    """When the first of it arrived at the caller's phone, which is no way off."""
    return next(
        us(at_s)
        for at_s, x in call.phone.got
        if isinstance(x.message, e.OutputChunk) and x.message.utterance_id == record.utterance_id
    )


Story = Callable[[SimulatedCall], Awaitable[float]]


async def ask(call: SimulatedCall) -> float:
    """Say one sentence and be answered; gives when it was said, as all stories do."""
    await call.caller.pause(0.3)
    await call.caller.say(ASKED)
    said_s = trio.current_time()
    await call.caller.answered()
    return said_s


async def ask_by_button(call: SimulatedCall) -> float:
    await call.caller.say(ASKED)
    await call.caller.pause(0.25)
    said_s = trio.current_time()
    await call.caller.end_turn()
    await call.caller.answered()
    return said_s


async def go_on_while_it_thinks(call: SimulatedCall) -> float:
    await call.caller.pause(0.3)
    await call.caller.say(ASKED)
    await call.phone.until_state("THINKING")
    await call.caller.pause(0.2)
    await call.caller.say("but not today")
    said_s = trio.current_time()
    await call.caller.answered()
    assert [x.outcome for x in records(call)] == ["cancelled", "answered"]
    return said_s


async def have_an_afterthought(call: SimulatedCall) -> float:
    await call.caller.pause(0.3)
    await call.caller.say(ASKED)
    await call.caller.pause(0.36)
    await call.caller.say("but not today")
    said_s = trio.current_time()
    await call.caller.answered()
    assert call.conductor is not None
    assert call.conductor.speculation.dropped
    return said_s


async def speak_over_it(call: SimulatedCall) -> float:
    await call.caller.pause(0.3)
    await call.caller.say(ASKED)
    await call.caller.hear(0.6)
    await call.caller.say("and what does it cost then")
    said_s = trio.current_time()
    await call.caller.answered()
    return said_s


async def press_keys(call: SimulatedCall) -> float:
    assert call.conductor is not None
    for key in "42":
        await call.caller.pause(0.5)
        pressed_s = trio.current_time()
        await call.conductor.inbox_tx.send(e.InputDigits(e.Request("dtmf"), key))
    await call.caller.answered()
    return pressed_s


async def wait_for_the_greeting(call: SimulatedCall) -> float:
    began_s = trio.current_time()  # the client's start: the greeting follows the server's ready
    await call.caller.answered()
    return began_s


async def be_silent(call: SimulatedCall) -> float:
    await call.caller.pause(5.0)
    asked_s = trio.current_time()  # from here on it is to be asked
    await call.caller.pause(3.0)
    return asked_s


def look(takes_s: float, filler: str) -> Any:
    @tool(effect="pure", filler=filler)
    async def look() -> str:
        """Look it up."""
        await trio.sleep(takes_s)
        return "blue"

    return look


@frozen
class Kind:
    """A kind of turn: how it comes about, and what its record must say."""

    story: Story
    setup: CallSetup = CallSetup()
    outcome: str = "answered"
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    late_us: int = 0  # so much after the caller had stopped the record begins
    manual: bool = False
    is_ahead: bool = False


def records(call: SimulatedCall) -> tuple[TurnLatency, ...]:
    assert call.conductor is not None
    return call.conductor.latencies


def thinks(*answers: str | Reply, first_token_s: float = 0.4, **script: Any) -> OpenAIScript:
    return OpenAIScript(answers or (LONG,), first_token_s=first_token_s, tokens_per_s=40, **script)


PLAIN = CallSetup(openai=thinks())
NO_GUESS = evolve(PLAIN, settings=Settings(speculation=SpeculationSettings(mode="off")))
#: The server has judged that the turn was over, by its ear.
HEARD = ("endpointing",)
LOOKS = Reply("", (CallTool("look", {}),))


def turns(**given: Any) -> CallSetup:
    return evolve(PLAIN, settings=Settings(turns=TurnSettings(**given)))


def looks(takes_s: float, filler: str, rounds: int) -> CallSetup:
    return evolve(
        PLAIN,
        openai=thinks(*(LOOKS,) * rounds, "It is blue."),
        tools=(look(takes_s, filler),),
        settings=Settings(tools=ToolSettings(built_in="")),
    )


KINDS = {
    "ended by the client": Kind(ask_by_button, PLAIN, has=("token",), manual=True),
    "by ear": Kind(ask, NO_GUESS, has=(*HEARD, "transcript", "token", "audio")),
    # Without an ear the voice's end is known when the recogniser says so, which is 80 ms late here.
    "by the recogniser": Kind(ask, evolve(NO_GUESS, ear=None), late_us=80_000),
    "asked ahead and kept": Kind(ask, PLAIN, has=HEARD, is_ahead=True),
    "spoken ahead and kept": Kind(
        ask,
        evolve(PLAIN, settings=Settings(speculation=SpeculationSettings(mode="speech"))),
        has=HEARD,
        is_ahead=True,
    ),
    "asked ahead and dropped": Kind(have_an_afterthought, PLAIN, has=(*HEARD, "token")),
    "joined": Kind(
        go_on_while_it_thinks, evolve(PLAIN, openai=thinks(first_token_s=1.8)), has=HEARD
    ),
    "behind another": Kind(speak_over_it, turns(barge_in="off"), has=(*HEARD, "queue")),
    "behind an interruption": Kind(speak_over_it, PLAIN, has=HEARD, lacks=("queue",)),
    "keys": Kind(press_keys, PLAIN, has=HEARD),
    "greeting": Kind(
        wait_for_the_greeting,
        turns(greeting="Good day, this is Alex."),
        "own",
        lacks=("endpointing",),
    ),
    "re-prompt": Kind(be_silent, turns(reprompt_after_ms=5000), "own", lacks=("endpointing",)),
    "tool": Kind(ask, looks(0.5, "", 1), has=(*HEARD, "tools", "token")),
    "tool with a filler": Kind(ask, looks(3.0, "Let me see.", 1), "filler", has=(*HEARD, "tools")),
    "three rounds": Kind(ask, looks(0.5, "", 3), has=(*HEARD, "tools", "token")),
    "slow model": Kind(
        ask, evolve(PLAIN, openai=thinks(first_token_s=6.0)), "filler", HEARD, ("token",)
    ),
    "fallback": Kind(
        ask,
        evolve(PLAIN, openai=thinks(faults=(Fault("server"),) * 9)),
        "fallback",
        HEARD,
        ("token",),
    ),
    "asked again": Kind(
        ask,
        evolve(
            NO_GUESS,
            openai=thinks(faults=(Fault("server"), Fault("disconnect", after_tokens=0))),
            settings=evolve(NO_GUESS.settings, llm=LlmSettings(max_retries=3, filler_after_ms=0)),
        ),
        has=(*HEARD, "token"),
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
async def test_the_parts_add_up_to_the_silence(autojump_clock: object, kind: Kind) -> None:
    mode = "manual" if kind.manual else "auto"
    setup = evolve(kind.setup, options={"turn_detection": mode, "latency": True})
    async with simulated_call(setup) as call:
        await call.caller.start()
        said_s = await kind.story(call)
        record = records(call)[-1]
        assert record.outcome == kind.outcome
        late_us = first_audio_us(call, record) - us(said_s) - record.gap_us
        # The simulated voice's last frame may be too soft for the ear.
        assert late_us - kind.late_us in ((0, SOFT_US) if "endpointing" in kind.has else (0,))
        assert record.gap_us == sum(part.duration_us for part in record.parts)
        assert all(part.duration_us >= 0 for part in record.parts)
        assert record.framework_us == 0, "nothing takes time in virtual time but waiting"
        assert record.ahead_us > 0 or not kind.is_ahead
        parts_ms = record.parts_ms
        assert all(parts_ms.get(name, 0) > 0 for name in kind.has), parts_ms
        assert not set(kind.lacks) & set(parts_ms), parts_ms


async def test_an_answer_that_goes_on_begins_with_the_decision(autojump_clock: object) -> None:
    """What the caller heard of silence before was the price of the false stop, not of a turn."""
    setup = evolve(PLAIN, options={"turn_detection": "auto"})
    async with simulated_call(setup) as call:
        await call.caller.start()
        await call.caller.pause(0.3)
        await call.caller.say(ASKED)
        await call.caller.hear(0.6)
        await call.caller.cough()
        await call.phone.until_state("LISTENING")
        await call.phone.until_state("THINKING")
        decided_s = trio.current_time()
        await call.caller.answered()
        record = records(call)[-1]
        assert len(records(call)) == 2
        assert record.gap_us == first_audio_us(call, record) - us(decided_s)
        assert "endpointing" not in record.parts_ms


async def test_what_is_cut_before_its_first_sound_ends_there(autojump_clock: object) -> None:
    setup = evolve(PLAIN, options={"turn_detection": "auto"}, openai=thinks(first_token_s=2.5))
    async with simulated_call(setup) as call:
        await call.caller.start()
        await call.caller.pause(0.3)
        await call.caller.say(ASKED)
        said_s = trio.current_time()
        await call.phone.until_state("THINKING")
        await call.caller.pause(0.5)
        await call.caller.press_interrupt()
        cut_s = trio.current_time()
        await call.caller.pause(1.0)
        (record,) = records(call)
        assert record.outcome == "cancelled"
        assert us(cut_s) - us(said_s) - record.gap_us in (0, SOFT_US)
        assert record.parts_ms["token"] > 0
