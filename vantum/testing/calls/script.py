"""A call as a script: what the caller does, step by step, as values.

`run_call` plays it. Where steps are not enough, write the caller as a function of a `Caller`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, assert_never

from attrs import frozen

from vantum.testing.calls.call import CallSetup, SimulatedCall, simulated_call
from vantum.testing.calls.caller import Caller
from vantum.testing.calls.phone import CallOver
from vantum.testing.calls.virtual import simulate
from vantum.testing.calls.voice import Sound


@frozen
class Say:
    """Say words in a synthetic voice; `seconds`: 0.3 a word if nothing else is said."""

    text: str
    seconds: float | None = None


@frozen
class Play:
    """Play a recording: a WAV file, its bytes or a `Sound`; `text` is what is said in it."""

    source: Path | str | bytes | Sound
    text: str = ""


@frozen
class Backchannel:
    """A sound of listening, which asks for no answer."""

    text: str = "mm-hmm"
    seconds: float = 0.4


@frozen
class Cough:
    """A burst of noise."""


@frozen
class Noise:
    """Steady noise."""

    seconds: float
    dbfs: float = -40.0


@frozen
class Pause:
    """Nothing, for so long."""

    seconds: float


@frozen
class InterruptAfter:
    """Let the agent speak for so long (or to a word, if one is given), then cut in."""

    seconds: float
    text: str
    word: str = ""


@frozen
class Hear:
    """Listen until so much of an answer has been heard."""

    seconds: float


@frozen
class HearWord:
    """Listen until the agent says a word."""

    word: str


@frozen
class Answered:
    """Listen until what was said last has been answered, to the end or a cut."""


@frozen
class Silence:
    """Wait until neither side has made a sound for so long."""

    seconds: float


@frozen
class EndTurn:
    """Press the button that ends a turn."""


@frozen
class PressInterrupt:
    """Press the button that stops an answer."""


@frozen
class Mute:
    """Mute the microphone, or open it again."""

    muted: bool = True


@frozen
class StopReading:
    """The client takes nothing from the line any more, or does so again."""

    stopped: bool = True


@frozen
class EndCall:
    """End the call politely."""


@frozen
class HangUp:
    """Close the connection."""


@frozen
class LoseConnection:
    """The connection is gone."""


Step: TypeAlias = (
    Say
    | Play
    | Backchannel
    | Cough
    | Noise
    | Pause
    | InterruptAfter
    | Hear
    | HearWord
    | Answered
    | Silence
    | EndTurn
    | PressInterrupt
    | Mute
    | StopReading
    | EndCall
    | HangUp
    | LoseConnection
)


def run_call(script: Sequence[Step], setup: CallSetup | None = None) -> SimulatedCall:
    """Play a script in virtual time, from the start of the call to its end; no trio is needed.

    When the call ends before the script does, the rest of it is left out.

    Returns:
        The call when it is over. The same script, setup and seed give the same log, byte for byte.

    Raises:
        trio.TooSlowError: a step waited for five minutes of the call; the log is a note on it.
    """
    setup = setup or CallSetup()

    async def body() -> SimulatedCall:
        async with simulated_call(setup) as call:
            await call.caller.start()
            with suppress(CallOver):
                for step in script:
                    await perform(call.caller, step)
        return call

    return simulate(body, seed=setup.seed)


async def perform(caller: Caller, step: Step) -> None:
    """One step; returns when it is done. Raises `CallOver` if the call ends before."""
    match step:
        case Say(text, seconds):
            await caller.say(text, seconds)
        case Play(source, text):
            await caller.play(source, text)
        case Backchannel(text, seconds):
            await caller.backchannel(text, seconds)
        case Cough():
            await caller.cough()
        case Noise(seconds, dbfs):
            await caller.noise(seconds, dbfs)
        case Pause(seconds):
            await caller.pause(seconds)
        case InterruptAfter(seconds, text, word):
            if word:
                await caller.hear_word(word)
                await caller.pause(seconds)
                await caller.say(text)
            else:
                await caller.interrupt_after(seconds, text)
        case Hear(seconds):
            await caller.hear(seconds)
        case HearWord(word):
            await caller.hear_word(word)
        case Answered():
            await caller.answered()
        case Silence(seconds):
            await caller.silence(seconds)
        case EndTurn() | PressInterrupt() | Mute() | StopReading():
            await _press(caller, step)
        case EndCall():
            await caller.end_call()
        case HangUp():
            caller.hang_up()
        case LoseConnection():
            caller.lose_connection()
        case _ as never:
            assert_never(never)


async def _press(caller: Caller, step: EndTurn | PressInterrupt | Mute | StopReading) -> None:
    match step:
        case EndTurn():
            await caller.end_turn()
        case PressInterrupt():
            await caller.press_interrupt()
        case Mute(muted):
            await caller.mute(muted)
        case StopReading(stopped):
            caller.stop_reading(stopped)
