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
