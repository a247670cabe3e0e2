"""Who is at the other end of the line: people, answering machines, and those who do not answer.

A person's steps are those of `vantum.testing.calls.script` that need no words of the agent's
(nobody recognises speech here), and `Press`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias, assert_never

import trio
from attrs import field, frozen

from vantum.testing.calls.script import (
    Answered,
    Backchannel,
    Cough,
    HangUp,
    Hear,
    InterruptAfter,
    Noise,
    Pause,
    Play,
    Say,
    Silence,
)
from vantum.testing.calls.voice import Sound, cough, noise, recording, speech
from vantum.testing.twilio.earpiece import Earpiece
from vantum.testing.twilio.leg import Leg
from vantum.testing.twilio.sound import FRAME_S, beep, phone_audio

#: What Twilio's detection says of who answered.
AnsweredBy: TypeAlias = Literal[
    "human",
    "machine_start",
    "machine_end_beep",
    "machine_end_silence",
    "machine_end_other",
    "fax",
    "unknown",
]

#: A key is held so long, and the finger needs as long to the next.
_KEY_S: Final = 0.1


@frozen
class Press:
    """Press keys: 0 to 9, *, #, A to D; `w`: half a second of nothing. `gap_s`: between two."""

    digits: str = field()
    gap_s: float = 0.2

    @digits.validator
    def _check(self, _attribute: object, value: str) -> None:
        if not value or set(value) - set("0123456789*#ABCDw"):
            raise ValueError(f"digits is {value!r}; allowed are 0 to 9, *, #, A to D and w (wait)")


Step: TypeAlias = (
    Say
    | Play
    | Backchannel
    | Cough
    | Noise
    | Pause
    | InterruptAfter
    | Hear
    | Answered
    | Silence
    | Press
    | HangUp
)


@frozen
class Person:
    """Somebody who picks up (or calls) and talks.

    Args:
        steps: what they do; then they stay on the line until it is cut.
        rings_s: from the first ring until they pick up.
        quiet_s: the agent has finished when nothing was to be heard of it for so long.
        patience_s: who waits longer than this for an answer hangs up.
        answered_by: what Twilio's detection takes them for; None: it goes by what it hears.
    """

    steps: tuple[Step, ...] = field(default=())
    rings_s: float = 2.0
    quiet_s: float = 1.0
    patience_s: float = 60.0
    answered_by: AnsweredBy | None = None

    @steps.validator
    def _check(self, _attribute: object, value: Sequence[Step]) -> None:
        if any(isinstance(step, InterruptAfter) and step.word for step in value):
            raise ValueError("a person on the phone waits for no word of the agent's: give seconds")


@frozen
class AnsweringMachine:
    """Greets, beeps, records, and hangs up after a time.

    Args:
        greeting: a WAV file, its bytes or a `Sound`; or a text, in a synthetic voice: `Say`.
        rings_s: until it picks up.
        pause_s: between the greeting and the tone.
        beep: the tone, mu-law; empty: a machine without one.
        records_s: it hangs up so long after the tone.
        answered_by: what Twilio's detection takes it for; None: it goes by what it hears.
    """

    greeting: Path | str | bytes | Sound | Say = Say(
        "You have reached the voice mailbox of the number that you have called. "
        "Please leave a message after the tone."
    )
    rings_s: float = 4.0
    pause_s: float = 0.5
    beep: bytes = field(factory=beep, repr=False)
    records_s: float = 60.0
    answered_by: AnsweredBy | None = None


@frozen
class Busy:
    """The line is busy."""

    after_s: float = 1.0


@frozen
class NoAnswer:
    """It rings until the caller gives up."""


@frozen
class Failed:
    """The call does not get through. `sip_code`: what the network says."""

    after_s: float = 1.0
    sip_code: int = 404


@frozen
class Rejects:
    """Sees who calls and declines: the caller gets the busy tone."""

    rings_s: float = 3.0


Persona: TypeAlias = Person | AnsweringMachine | Busy | NoAnswer | Failed | Rejects


class PutDown(Exception):
    """The persona hangs up; says why."""


async def live(persona: Person | AnsweringMachine, leg: Leg) -> None:
    """Do what the persona does once the call is answered. Does not return.

    Raises:
        PutDown: they hang up.
    """
    match persona:
        case Person():
            for step in persona.steps:
                await _perform(persona, leg, step)
            await trio.sleep_forever()
        case AnsweringMachine():
            await leg.say(*_audio(persona.greeting))
            await trio.sleep(persona.pause_s)
            await leg.say(persona.beep)
            leg.beeped_s = trio.current_time()
            await trio.sleep(persona.records_s)
            raise PutDown("the machine's tape is full")


async def _perform(person: Person, leg: Leg, step: Step) -> None:
    match step:
        case Say() | Play() | Backchannel() | Cough() | Noise():
            await leg.say(*_audio(step))
        case Pause(seconds):
            await trio.sleep(seconds)
        case InterruptAfter(seconds, text):
            await _hear(person, leg, seconds)
            await leg.say(*_audio(Say(text)))
        case Hear(seconds):
            await _hear(person, leg, seconds)
        case Answered():
            await _answered(person, leg)
        case Silence(seconds):
            await _silence(person, leg, seconds)
        case Press(digits, gap_s):
            for digit in digits:
                if digit == "w":
                    await trio.sleep(0.5)
                    continue
                leg.press(digit)
                await trio.sleep(_KEY_S + gap_s)
        case HangUp():
            await trio.sleep(1.5 * FRAME_S)  # the last frame of what was said still goes out
            raise PutDown("the person hangs up")
        case _ as never:
            assert_never(never)


def _audio(
    source: Path | str | bytes | Sound | Say | Play | Backchannel | Cough | Noise,
) -> tuple[bytes, Sound]:
    match source:
        case Say(text, seconds):
            sound = speech(text, seconds)
        case Backchannel(text, seconds):
            sound = speech(text, seconds, kind="backchannel")
        case Cough():
            sound = cough()
        case Noise(seconds, dbfs):
            sound = noise(seconds, dbfs)
        case Play(Sound() as sound):
            pass
        case Play(file, text):
            assert not isinstance(file, Sound)
            sound = recording(file, text)
        case Sound():
            sound = source
        case _:
            sound = recording(source)
    return phone_audio(sound), sound


# ---------------------------------------------------------------- listening


def _asked_s(leg: Leg) -> float:
    """What comes after this is the answer."""
    assert leg.answered_s is not None
    return leg.silent_since_s or leg.answered_s


async def _hear(person: Person, leg: Leg, seconds: float) -> None:
    asked_s, ear = _asked_s(leg), leg.earpiece

    def missing_s(now_s: float) -> float:
        missing = seconds - ear.voice_between(asked_s, now_s)
        queued = ear.voice_between(now_s, math.inf)
        return missing if queued or missing <= 0 else math.inf

    await _wait(person, ear, missing_s)


async def _answered(person: Person, leg: Leg) -> None:
    asked_s, ear = _asked_s(leg), leg.earpiece

    def missing_s(now_s: float) -> float:
        voice = ear.voice_after(asked_s)
        return math.inf if voice is None else voice[1] + person.quiet_s - now_s

    await _wait(person, ear, missing_s)


async def _silence(person: Person, leg: Leg, seconds: float) -> None:
    asked_s, ear = _asked_s(leg), leg.earpiece

    def missing_s(now_s: float) -> float:
        voice = ear.voice_after(asked_s)
        return (asked_s if voice is None else voice[1]) + seconds - now_s

    await _wait(person, ear, missing_s)


async def _wait(person: Person, ear: Earpiece, missing_s: Callable[[float], float]) -> None:
    """Until nothing is missing; `missing_s` gives the least time that it can still take."""
    with trio.move_on_after(person.patience_s) as waiting:
        while (left_s := missing_s(trio.current_time())) > 1e-6:
            # Not shorter than a frame: sums of times are not exact.
            with trio.move_on_after(max(left_s, FRAME_S / 20)):
                await ear.news.park()
    if waiting.cancelled_caught:
        raise PutDown(f"the person waited {person.patience_s:g} s for an answer")
