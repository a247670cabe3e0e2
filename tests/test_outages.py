"""Whole calls whose providers are gone for longer than their clients try: what becomes of the words
of the caller, and whether the call goes on."""

from __future__ import annotations

import attrs
import pytest
import trio

from vantum.config import Settings, TurnSettings
from vantum.core import events as e
from vantum.testing import OpenAIScript
from vantum.testing.calls import CallSetup, SimulatedCall, simulate, simulated_call, turn_by_turn
from vantum.testing.deepgram import Disconnects, RefusesConnection, Rejects

SETUP = CallSetup(
    settings=Settings(turns=TurnSettings(reprompt_after_ms=0)),
    openai=OpenAIScript(turn_by_turn("First.", "Second.", "Third."), first_token_s=0.2),
    step_ms=40,
)
SAID = "tango copper violet harbor lemon sierra"


def words_of(call: SimulatedCall) -> list[str]:
    recorded = " ".join(entry.text for entry in call.history if entry.role == "user")
    return [word.strip(".,?").lower() for word in recorded.split()]


@pytest.mark.parametrize("mode", ["auto", "manual"])
@pytest.mark.parametrize("lost_at_s", [0.3, 0.7, 1.1, 1.9, 2.6])
def test_words_said_while_the_recogniser_was_away_are_answered(lost_at_s: float, mode: str) -> None:
    """Gone for a second and a half, which is more than is tried before the client is told."""
    faults = (
        Disconnects(after_s=lost_at_s, connections=frozenset({0})),
        RefusesConnection(connections=frozenset({1, 2, 3})),
    )
    setup = attrs.evolve(SETUP, deepgram_faults=faults, options={"turn_detection": mode})

    async def body() -> SimulatedCall:
        async with simulated_call(setup) as call:
            await call.caller.start()
            for text in (SAID, "finally"):
                await call.caller.say(text)
                if mode == "manual":
                    await call.caller.end_turn()
                with trio.fail_after(10):
                    await call.caller.answered()
                # Words that the outage has made late are a turn of their own.
                await call.caller.pause(6)
            await call.caller.end_call()
        return call

    call = simulate(body)
    assert words_of(call) == [*SAID.split(), "finally"]
    (told,) = call.phone.messages(e.ErrorReply)
    assert told.case == "stt_unavailable"
    assert call.phone.state == "ENDED"
    assert call.failure is None


@pytest.mark.parametrize("lost_at_s", [0.7, 1.1, 1.9])
def test_a_turn_that_ends_while_there_is_no_connection_is_answered_whole(lost_at_s: float) -> None:
    """Deepgram asks for a longer pause than the words of a turn are usually waited for."""
    faults = (
        Disconnects(after_s=lost_at_s, connections=frozenset({0})),
        Rejects(429, frozenset({1, 2}), retry_after="2"),
    )

    async def body() -> SimulatedCall:
        async with simulated_call(attrs.evolve(SETUP, deepgram_faults=faults)) as call:
            await call.caller.start()
            await call.caller.say(SAID)
            with trio.fail_after(10):
                await call.caller.answered()
            await call.caller.end_call()
        return call

    call = simulate(body)
    assert [x.text.lower() for x in call.history if x.role == "user"] == [SAID]
    assert not call.phone.messages(e.ErrorReply)


DEAF = "I'm sorry, I can't hear you any more: something on our side is broken. Goodbye."


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("lost_at_s", [0.5, 1.9, 4.0])
def test_whom_nobody_will_hear_any_more_is_told_and_the_call_ends(
    lost_at_s: float, status: int
) -> None:
    """Deepgram refuses for good in mid-call: while he speaks, or is spoken to."""
    faults = (
        Disconnects(after_s=lost_at_s, connections=frozenset({0})),
        Rejects(status, frozenset({1})),
    )

    async def body() -> SimulatedCall:
        async with simulated_call(attrs.evolve(SETUP, deepgram_faults=faults)) as call:
            await call.caller.start()
            await call.caller.say("tango copper violet")
            with trio.fail_after(25):
                await call.over.wait()
        return call

    call = simulate(body)
    told = [m.case for m in call.phone.messages(e.ErrorReply)]
    assert told in (["stt_unavailable"], ["stt_unavailable", "buffer_overflow"])
    assert bool(call.phone.messages(e.QuotaExceeded)) == (status == 402)
    assert call.history[-1].text == DEAF
    assert call.heard()[-1] == DEAF
    assert words_of(call) in ([], ["tango", "copper", "violet"][: len(words_of(call))])
    assert call.failure is None


def test_who_starts_again_is_heard_again() -> None:
    faults = (
        Disconnects(after_s=1.0, connections=frozenset({0})),
        Rejects(403, frozenset({1})),
    )

    async def body() -> SimulatedCall:
        async with simulated_call(attrs.evolve(SETUP, deepgram_faults=faults)) as call:
            await call.caller.start()
            await call.caller.say("tango copper violet")
            await call.caller.pause(2)
            assert call.phone.messages(e.ErrorReply)
            await call.caller.start()
            await call.caller.pause(6)
            await call.caller.say("finally")
            with trio.fail_after(10):
                await call.caller.answered()
            await call.caller.end_call()
        return call

    call = simulate(body)
    assert words_of(call)[-1] == "finally"
    assert DEAF not in call.heard()
