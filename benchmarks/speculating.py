"""(s): what answering ahead of time saves, and what it wastes.

In virtual time, so that the figures are exact and the same on every machine: providers with the
delays of real ones, a caller who says whole sentences, and one who pauses after some of them and
then goes on. The words alone say whether a sentence is complete; there is no end-of-turn model.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import attrs
from attrs import frozen

from benchmarks.report import Row
from benchmarks.scenarios import Say, Scale
from vantum.config import Settings, SpeculationSettings
from vantum.core.speculation import Speculation
from vantum.testing.calls import CallSetup, SimulatedCall, simulate, simulated_call
from vantum.testing.cartesia import CartesiaScript
from vantum.testing.deepgram import DeepgramScript
from vantum.testing.openai import OpenAIScript

#: What callers say, as recognisers with punctuation write it.
SENTENCES = (
    "Who is this?",
    "Yes, this is John.",
    "We are forty people in sales.",
    "What does it cost?",
    "I am not sure that we need it.",
    "Can you send me an email?",
    "We use something else at the moment.",
    "How long does it take to set up?",
)
#: It is thought over, after every fourth of them: shorter than the wait, so that one turn it is.
AFTERTHOUGHT = "Maybe next month."
THOUGHT_S = 0.25

ANSWER = (
    "Thanks for telling me that. ||BREAK|| Most teams like yours save two hours a day with us. "
    "||BREAK|| Would a short call next week suit you?"
)


@frozen
class Found:
    """Of one call: each turn's gap in milliseconds, and the counts."""

    gaps_ms: list[float]
    ahead: int
    speculation: Speculation


def setup(mode: Any) -> CallSetup:
    """A model that takes 400 ms and then writes 40 tokens a second, a recogniser whose last words
    take 150 ms and a synthesiser whose first audio takes 120 ms."""
    return CallSetup(
        settings=Settings(speculation=SpeculationSettings(mode=mode)),
        deepgram=DeepgramScript((), latency_ms=150.0, interim_every_s=0.3),
        openai=OpenAIScript((ANSWER,), first_token_s=0.4, tokens_per_s=40.0),
        cartesia=CartesiaScript(first_audio_s=0.12, rate=5.0),
    )


async def _talk(call: SimulatedCall, turns: int, hesitates: bool) -> None:
    caller = call.caller
    await caller.start()
    for number in range(turns):
        await caller.say(SENTENCES[number % len(SENTENCES)])
        if hesitates and number % 4 == 3:
            await caller.pause(THOUGHT_S)
            await caller.say(AFTERTHOUGHT)
        await caller.answered()


async def a_call(mode: str, turns: int, hesitates: bool) -> Found:
    """One call; its turns' gaps are the server's own record, which is the caller's clock."""
    async with simulated_call(setup(mode)) as call:
        await _talk(call, turns, hesitates)
        assert call.conductor is not None
        records = call.conductor.latencies
        if len(records) != turns:
            raise RuntimeError(f"{len(records)} answers to {turns} turns")
        return Found(
            [record.gap_us / 1000 for record in records],
            sum(record.ahead_us > 0 for record in records),
            call.conductor.speculation,
        )


def speculation(scale: Scale, say: Say) -> list[Row]:
    """Time saved and tokens wasted, by mode and caller."""
    turns = scale.of(16, 4)
    rows: list[Row] = []
    for hesitates, who in ((False, "whole sentences"), (True, "an afterthought every fourth turn")):
        found = {
            mode: simulate(a_call, mode, turns, hesitates) for mode in ("off", "model", "speech")
        }
        off = found["off"]
        rows.append(_row(f"last word to first audio, {who}: not ahead", "ms", off.gaps_ms))
        for mode in ("model", "speech"):
            rows += _saved(who, mode, off, found[mode])
        say(f"(s) {who}: done")
    return rows


def _saved(who: str, mode: str, off: Found, ahead: Found) -> list[Row]:
    saved = [late - early for late, early in zip(off.gaps_ms, ahead.gaps_ms, strict=True)]
    state = ahead.speculation
    turns = len(saved)
    begun = state.kept + state.dropped
    return [
        _row(f"the same, `{mode}` ahead", "ms", ahead.gaps_ms),
        attrs.evolve(
            _row(f"saved by `{mode}`", "ms", saved),
            note=f"{ahead.ahead} of {turns} turns were begun ahead; {begun} answers begun, "
            f"{state.kept} kept",
            better="more",
        ),
        Row("s", f"wasted by `{mode}`", "tokens a turn", [state.wasted_tokens / turns]),
    ]


def _row(what: str, unit: str, values: Sequence[float]) -> Row:
    mean = f"mean {statistics.fmean(values):.0f}, worst {max(values):.0f}"
    return Row("s", what, unit, [statistics.median(values)], note=mean)
