"""The server's ear for voices in a simulated call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from attrs import define, frozen

from vantum.core.audio import dbfs, to_float32, to_int16
from vantum.core.messages import VoiceEdge
from vantum.ports import Health, TurnDetector, VoiceActivity
from vantum.testing.calls.said import is_room

#: What is louder is a voice to the loudness ear.
VOICE_DBFS = -30.0
#: Nothing whose highest peak is below can be as loud as that on average.
_LOUD_PEAK = int(32_768 * 10 ** (VOICE_DBFS / 20))
_LOUD_SQUARE = 10 ** (VOICE_DBFS / 10)
_FRAME = 640  # 20 ms at 16 kHz
_BYTES_PER_S = 32_000


@define
class LoudnessEar:
    """A `VoiceActivity` that takes whatever is loud for a voice: exact, so that tests can be.

    `after_s`: how long it must be loud, or quiet, before it is sure; the edge then says `late_s`.
    """

    after_s: float = 0.1
    speaking: bool = False
    probability: float = 0.0
    _at_s: float = 0.0
    _other_s: float = 0.0

    async def hear(self, pcm: bytes) -> list[VoiceEdge]:
        """See `vantum.ports.VoiceActivity`."""
        return self.feed(pcm)

    def feed(self, pcm: bytes) -> list[VoiceEdge]:
        """Listen to 16 kHz PCM; judged in steps of 20 ms."""
        edges: list[VoiceEdge] = []
        quiet = not self.speaking and not self._other_s
        if quiet and (is_room(pcm) or not _may_be_loud(pcm)):
            self._at_s += len(pcm) / _BYTES_PER_S
            return edges
        for at, loud in zip(range(0, len(pcm), _FRAME), _loud(pcm), strict=True):
            length_s = min(len(pcm) - at, _FRAME) / _BYTES_PER_S
            self.probability = 1.0 if loud else 0.0
            self._other_s = 0.0 if loud == self.speaking else self._other_s + length_s
            if loud != self.speaking and self._other_s >= self.after_s:
                began_s = self._at_s + length_s - self._other_s
                edges.append(VoiceEdge(loud, began_s, self._other_s))
                self.speaking, self._other_s = loud, 0.0
            self._at_s += length_s
        return edges


def _loud(pcm: bytes) -> list[bool]:
    """Of each frame, the last of which may be shorter, whether it is loud."""
    whole = len(pcm) - len(pcm) % _FRAME
    samples = to_float32(pcm[:whole]).reshape(-1, _FRAME // 2)
    squares = np.einsum("ij,ij->i", samples, samples)
    loud: list[bool] = (squares > _LOUD_SQUARE * _FRAME / 2).tolist()
    return loud + [dbfs(pcm[whole:]) > VOICE_DBFS] * (whole < len(pcm))


def _may_be_loud(pcm: bytes) -> bool:
    samples = to_int16(pcm)
    return len(samples) > 0 and int(max(samples.max(), -int(samples.min()))) > _LOUD_PEAK


@frozen
class Ears:
    """A `VoiceActivityProvider` of whatever `new` makes."""

    new: Callable[[], VoiceActivity]
    name: str = "simulated"

    def health(self) -> Health:
        """Well."""
        return Health(True, "simulated")

    def for_session(self) -> VoiceActivity:
        """A new one."""
        return self.new()


@frozen
class Detector:
    """A `TurnDetectorProvider` around a turn detector."""

    detector: TurnDetector
    name: str = "simulated"

    def health(self) -> Health:
        """Well."""
        return Health(True, "simulated")

    async def probability(self, pcm: bytes, text: str) -> float:
        """As the detector says."""
        return await self.detector.probability(pcm, text)
