"""A telephone to try a server with, by hand: numbers that are answered, a caller, and a report of
each call with both sides as a WAV file. This is what `vantum-actors simulate --twilio` runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

from vantum.core.audio import from_int16
from vantum.testing.calls.script import Answered, HangUp, Play, Say, Silence
from vantum.testing.calls.voice import recording
from vantum.testing.twilio.call import PhoneCall
from vantum.testing.twilio.peer import SimulatedTwilio
from vantum.testing.twilio.personas import (
    AnsweringMachine,
    Busy,
    NoAnswer,
    Person,
    Persona,
    Rejects,
    Step,
)
from vantum.testing.twilio.script import TwilioScript
from vantum.testing.twilio.sound import RATE_HZ, speech_dbfs

Speak = Callable[[str], Any]

#: Numbers of New York that are nobody's (555-0100 to 555-0199 are kept for fiction).
PERSON: Final = "+12125550142"
MACHINE: Final = "+12125550143"
BUSY: Final = "+12125550144"
NO_ANSWER: Final = "+12125550145"
DECLINES: Final = "+12125550146"
NUMBERS: Final = {
    PERSON: "a person, who hears you out, speaks, hears your answer and hangs up",
    MACHINE: "an answering machine: greeting, beep, and it records for a minute",
    BUSY: "busy",
    NO_ANSWER: "a number where nobody picks up",
    DECLINES: "somebody who declines",
}

_TOKEN: Final = "simulated"  # noqa: S105 (of a simulation)
#: An agent stops for breath between sentences.
_QUIET_S: Final = 1.5
_PATIENCE_S: Final = 30.0
#: Without a recording: nobody recognises these words, but they are a voice.
_NO_VOICE: Final = Say("Hello, who is speaking there please?")


def trial_script(voices: Sequence[Path]) -> TwilioScript:
    """Who answers at which number. `voices`: what a person says, one after each answer.

    Raises:
        ValueError, OSError: a voice is no WAV file that can be read, or is not there.
    """
    callee = Person(
        (Answered(), *_talk(voices)),
        quiet_s=_QUIET_S,
        patience_s=_PATIENCE_S,
        # Who waits for the agent to speak leaves the detection guessing.
        answered_by="human",
    )
    personas: dict[str, Persona] = {
        PERSON: callee,
        MACHINE: AnsweringMachine(),
        BUSY: Busy(),
        NO_ANSWER: NoAnswer(),
        DECLINES: Rejects(),
    }
    # SIDs are new ones each time: the server may remember those of an earlier trial.
    return TwilioScript(answers=callee, personas=personas, seed=secrets.randbits(64))


def trial_caller(voices: Sequence[Path]) -> Person:
    """Somebody who calls: hears a greeting out, if there is one, and then talks."""
    return Person((Silence(_QUIET_S), *_talk(voices)), quiet_s=_QUIET_S, patience_s=_PATIENCE_S)


def _talk(voices: Sequence[Path]) -> tuple[Step, ...]:
    said: list[Step] = []
    for voice in voices:
        said += [Play(recording(voice, voice.name)), Answered()]
    return (*(said or [_NO_VOICE, Answered()]), HangUp())


def trial_environment(twilio: SimulatedTwilio, server_url: str, out: Path) -> dict[str, str]:
    """Environment variables for a server that is tried: everybody may be called at any time,
    because nobody is, and nothing of it is kept with what is kept of real calls."""
    return twilio.environment() | {
        "TWILIO_PUBLIC_URL": server_url,
        "COMPLIANCE_COUNTRIES": "US",
        "COMPLIANCE_CONSENT_REQUIRED": "false",
        "COMPLIANCE_HOURS": "mon-sun 00:00-24:00",
        "COMPLIANCE_ATTEMPTS": "10000/1d",
        # What the server wants to be asked for a call, and what `vantum-actors call` brings.
        "API_TOKENS": _TOKEN,
        "VANTUM_API_TOKEN": _TOKEN,
        "VANTUM_DATABASE": str((out / "trial.sqlite3").absolute()),
    }


@define(eq=False)
class Reporter:
    """Says what becomes of each call, and writes its recording.

    `heard` counts calls with speech of both sides; `done` is set when one has been reported.
    """

    nursery: trio.Nursery
    out: Path
    say: Speak
    heard: int = 0
    done: trio.Event = field(factory=trio.Event)
    _count: int = field(default=0, init=False)

    def watch(self, call: PhoneCall) -> None:
        """A new call."""
        self._count += 1
        self.nursery.start_soon(self.follow, call, self._count)

    async def follow(self, call: PhoneCall, number: int) -> None:
        """Tell of a call until it is over."""
        who = f"call {number}"
        if call.direction == "inbound":
            self.say(f"# {who}: {call.from_number} calls the server …")
        else:
            self.say(f"# {who}: the server calls {call.to_number} …")
        await call.until("in-progress")
        if call.answered_s is not None:
            self.say(f"# {who}: answered")
        await call.over.wait()
        seconds = "" if call.answered_s is None else f" after {call.duration_s} s"
        because = f" ({call.ended_because})" if call.ended_because != call.status else ""
        found = f", taken for {call.answered_by}" if call.answered_by else ""
        self.say(f"# {who}: {call.status}{seconds}{because}{found}")
        for problem in call.problems:
            self.say(f"# {who}: Twilio would warn: {problem.code} {problem.message}")
        if call.answered_s is not None:
            self.say(f"# {who}: {await self._keep(call, number)}")
        self.done.set()

    async def _keep(self, call: PhoneCall, number: int) -> str:
        """Write the recording; says where, and how loud both sides speak."""
        path = self.out / f"call-{number}.wav"
        await trio.Path(path).write_bytes(call.recording())
        assert call.answered_s is not None
        assert call.ended_s is not None
        span = call.answered_s, call.ended_s
        levels = [
            speech_dbfs(from_int16(samples))
            for samples in (call.leg.samples(*span), call.leg.earpiece.samples(*span))
        ]
        self.heard += min(levels) > -60
        left, right = (f"{level:.1f} dBFS" if level > -100 else "silent" for level in levels)
        length_s = round((span[1] - span[0]) * RATE_HZ) / RATE_HZ
        return (
            f"{path}, {length_s:.1f} s: left, the other side's speech, {left}; "
            f"right, the server's, {right}"
        )
