"""The agent out of the caller's loudspeaker, in whole calls in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from attrs import evolve

from vantum.config import Settings, TurnSettings
from vantum.core import events as e
from vantum.testing import DeepgramScript, OpenAIScript
from vantum.testing.calls import (
    Caller,
    CallSetup,
    Network,
    SimulatedCall,
    Speakerphone,
    simulated_call,
)

ANSWER = (
    "Well, our platform answers every single phone call for you within a second. ||BREAK|| "
    "It never sleeps and it never forgets what a customer has said before."
)
SPOKEN = ANSWER.replace("||BREAK|| ", "")
LATER = "You are right. We will do that."


def setup(*, echo: bool = True, rate_hz: int = 16_000, delay_s: float = 0.15) -> CallSetup:
    return CallSetup(
        settings=Settings(turns=TurnSettings(echo=echo)),
        options={"turn_detection": "auto", "sampling_rate_hz": rate_hz},
        openai=OpenAIScript(lambda m: ANSWER if "Hello" in m[-1]["content"] else LATER),
        speakerphone=Speakerphone(delay_s, gain_db=-9.0),
    )


async def hold(given: CallSetup, talk: Callable[[Caller], Awaitable[object]]) -> SimulatedCall:
    async with simulated_call(given) as call:
        await call.caller.start()
        await call.caller.say("Hello there.")
        await talk(call.caller)
        await call.caller.end_call()
    return call


def cancelled(call: SimulatedCall) -> list[float]:
    return [at_s for at_s, x in call.phone.got if isinstance(x.message, e.OutputCancelled)]


async def answered(caller: Caller) -> None:
    await caller.answered()


async def test_without_it_the_agent_stops_itself(autojump_clock: object) -> None:
    """The echo is one: or the tests below would show nothing."""
    call = await hold(setup(echo=False), answered)
    assert cancelled(call)


@pytest.mark.parametrize(
    ("rate_hz", "delay_s"), [(8_000, 0.06), (8_000, 0.7), (16_000, 0.15), (48_000, 0.15)]
)
async def test_the_agent_does_not_stop_itself(
    autojump_clock: object, rate_hz: int, delay_s: float
) -> None:
    call = await hold(setup(rate_hz=rate_hz, delay_s=delay_s), answered)
    assert not cancelled(call)
    assert [(x.role, x.text) for x in call.history] == [
        ("user", "Hello there."),
        ("assistant", SPOKEN),
    ]


async def test_nor_over_a_network_that_delivers_unevenly(autojump_clock: object) -> None:
    network = Network(delay_ms=50, jitter_ms=60)
    call = await hold(evolve(setup(), network=network), answered)
    assert not cancelled(call)


@pytest.mark.parametrize("echo", [True, False])
async def test_what_is_misheard_of_an_echo_that_is_no_voice_to_the_ear_stops_nothing(
    autojump_clock: object, echo: bool
) -> None:
    """The recogniser understands something of it all the same, and most of that is not ours."""
    hello = DeepgramScript().timed("Hello there.")
    heard = DeepgramScript(
        (evolve(hello, pause_s=3.0), "Answers very single home coal."),
        repeat=False,
        latency_ms=80.0,
        interim_every_s=0.3,
    )
    faint = Speakerphone(0.15, gain_db=-36.0)
    given = evolve(setup(echo=echo), deepgram=heard, speakerphone=faint)
    call = await hold(given, answered)
    assert bool(cancelled(call)) != echo
    assert (SPOKEN in [x.text for x in call.history]) == echo


async def test_who_speaks_into_the_echo_is_heard_within_a_quarter_of_a_second(
    autojump_clock: object,
) -> None:
    began: list[float] = []

    async def talk(caller: Caller) -> None:
        await caller.hear(2.5)
        take = await caller.say("Wait, I have a question.")
        began.append(take.began_s)
        await caller.answered()

    call = await hold(setup(), talk)
    (cut_s,) = cancelled(call)
    assert 0 < cut_s - began[0] <= 0.25
    assert [(x.role, x.interrupted) for x in call.history] == [
        ("user", False),
        ("assistant", True),
        ("user", False),
        ("assistant", False),
    ]
    assert call.history[2].text == "Wait, I have a question."


async def test_what_was_cut_is_no_echo_any_more(autojump_clock: object) -> None:
    """The reference ends with the answer: a caller who goes on is not compared with its rest."""

    async def talk(caller: Caller) -> None:
        await caller.hear(1.0)
        await caller.press_interrupt()
        await trio.sleep(3.0)
        conductor = call_of[0].conductor
        assert conductor is not None
        ours = conductor.orders.ear.ours
        assert ours is not None
        assert not ours.sounds(trio.current_time())

    call_of: list[SimulatedCall] = []
    async with simulated_call(setup()) as call:
        call_of.append(call)
        await call.caller.start()
        await call.caller.say("Hello there.")
        await talk(call.caller)
        await call.caller.end_call()


async def test_a_caller_who_ends_turns_himself_is_not_compared(autojump_clock: object) -> None:
    """Nobody listens to his voice, so nothing of ours is kept."""
    manual = evolve(setup(), options={"turn_detection": "manual"})
    async with simulated_call(manual) as call:
        await call.caller.start()
        await call.caller.say("Hello there.")
        await call.caller.end_turn()
        await call.caller.hear(1.0)
        assert call.conductor is not None
        ours = call.conductor.orders.ear.ours
        assert ours is not None
        assert not ours.sounds(trio.current_time())
        await call.caller.end_call()
