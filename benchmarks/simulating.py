"""Half an hour of dense talk in the call simulator, and the processor time it took.

    python -m benchmarks.simulating [coarse | direct | wired] [minutes]

6 s of caller, about 14 s of agent, a second's pause, again. The log's fingerprint is printed, too:
a change that only makes it faster leaves it as it is.
"""

from __future__ import annotations

import hashlib
import time

import attrs
import click
import trio

from vantum.testing.calls import CallSetup, SimulatedCall, coarse, simulate, simulated_call
from vantum.testing.openai import OpenAIScript

_SAYS = "So what would it cost us if we made more calls than we make today say twice as many as now"
_ANSWER = " ".join(
    (
        *("That depends on how many calls you make now, and on how long each of them takes you.",)
        * 2,
        "Twice as many would cost less than twice.",
    )
)
_CALL = CallSetup(openai=OpenAIScript((_ANSWER,), first_token_s=0.35, tokens_per_s=60.0))
_MODES = {"coarse": coarse(_CALL), "direct": attrs.evolve(_CALL, direct=True), "wired": _CALL}


def talk(setup: CallSetup, minutes: float) -> SimulatedCall:
    """A call of so many minutes."""

    async def body() -> SimulatedCall:
        async with simulated_call(setup) as call:
            await call.caller.start()
            while trio.current_time() < minutes * 60:
                await call.caller.say(_SAYS, seconds=6.0)
                await call.caller.answered()
                await call.caller.pause(1.0)
        return call

    return simulate(body)


@click.command()
@click.argument("mode", type=click.Choice(list(_MODES)), default="coarse")
@click.argument("minutes", type=click.FloatRange(min=0, min_open=True), default=30.0)
def main(mode: str, minutes: float) -> None:
    """Play one call of MINUTES and print a line about it."""
    talk(_MODES[mode], 0.5)  # what is made once in a process
    began_s = time.process_time()
    call = talk(_MODES[mode], minutes)
    spent_s = time.process_time() - began_s
    fingerprint = hashlib.sha256(call.log.text().encode()).hexdigest()[:12]
    print(
        f"{mode}: {(call.ended_s or 0) / 60:.1f} minutes of call, {len(call.answers)} answers: "
        f"{spent_s:.2f} s of CPU; log {fingerprint}"
    )


if __name__ == "__main__":
    main()
