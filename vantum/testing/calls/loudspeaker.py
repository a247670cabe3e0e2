"""A speakerphone: what comes out of the earpiece comes back into the microphone, a little later."""

from __future__ import annotations

import numpy as np
from attrs import define, frozen

from vantum.core.audio import from_int16, to_int16
from vantum.testing.calls.earpiece import Earpiece, Utterance
from vantum.testing.calls.voice import RATE_HZ


@frozen
class Speakerphone:
    """How the agent's voice comes back: `delay_s` after it was played, louder by `gain_db`."""

    delay_s: float = 0.15
    gain_db: float = -6.0


@define(eq=False)
class Loudspeaker:
    """The echo of what `earpiece` plays."""

    earpiece: Earpiece
    speakerphone: Speakerphone

    def over(self, pcm: bytes, begins_s: float) -> bytes:
        """This audio of the microphone, whose first sample is taken at `begins_s`, with the echo
        in it."""
        samples = to_int16(pcm).astype(np.float64)
        played_s = begins_s - self.speakerphone.delay_s
        # Who still sounds may have been followed by the next one since.
        for utterance in self.earpiece.utterances[-2:]:
            self._add(samples, utterance, played_s)
        return from_int16(np.clip(np.rint(samples), -32_768, 32_767).astype(np.int16))

    def _add(self, samples: np.ndarray, utterance: Utterance, played_s: float) -> None:
        length_s = len(samples) / RATE_HZ
        first_s, last_s = utterance.heard_s(played_s), utterance.heard_s(played_s + length_s)
        sounding = round((last_s - first_s) * RATE_HZ)
        if sounding <= 0:
            return
        # It begins in the middle of this audio, or ends there.
        at = len(samples) - sounding if first_s == 0 else 0
        places = (first_s + np.arange(sounding) / RATE_HZ) * utterance.rate_hz
        ours = to_int16(bytes(utterance.pcm))
        gain = 10 ** (self.speakerphone.gain_db / 20)
        samples[at : at + sounding] += gain * np.interp(places, np.arange(len(ours)), ours)
