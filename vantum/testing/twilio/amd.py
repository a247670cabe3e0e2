"""Answering machine detection as Twilio describes it, by what the telephone really says. Pure.

Somebody who says little and then waits is a person; who talks on is a machine, and its greeting
ends with a tone or with silence. Source: "Answering Machine Detection",
https://www.twilio.com/docs/voice/answering-machine-detection.
"""

from __future__ import annotations

from attrs import define

from vantum.testing.twilio.call import Amd
from vantum.testing.twilio.personas import AnsweredBy
from vantum.testing.twilio.sound import FRAME_S, is_voice

#: Of the greeting's end, where there is no tone.
_MESSAGE_END_S = 2.0


@define
class Detector:
    """Listens to one call from its answer on, frame by frame."""

    amd: Amd
    at_s: float = 0.0
    #: How much was said, short pauses included, and how long nothing has been said since.
    speech_s: float = 0.0
    silence_s: float = 0.0
    is_machine: bool = False

    def feed(self, frame: bytes, beeped: bool) -> AnsweredBy | None:
        """20 ms more; `beeped`: the machine's tone is over. Gives the verdict once it is known."""
        self.at_s += FRAME_S
        if is_voice(frame):
            self.speech_s += FRAME_S + (self.silence_s if self.speech_s else 0.0)
            self.silence_s = 0.0
        else:
            self.silence_s += FRAME_S
        amd = self.amd
        if self.is_machine:
            return self._end_of_message(beeped)
        if self.speech_s >= amd.speech_s:
            self.is_machine = True
            return None if amd.message_end else "machine_start"
        if self.speech_s and self.silence_s >= amd.speech_end_s:
            return "human"
        if not self.speech_s and self.silence_s >= amd.silence_s:
            return "unknown"
        return "unknown" if self.at_s >= amd.timeout_s else None

    def _end_of_message(self, beeped: bool) -> AnsweredBy | None:
        if beeped:
            return "machine_end_beep"
        if self.silence_s >= _MESSAGE_END_S:
            return "machine_end_silence"
        return "machine_end_other" if self.at_s >= self.amd.timeout_s else None
