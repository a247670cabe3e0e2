"""What people say on the phone, and how the simulated recogniser hears it.

A telephone line leaves nothing of the marks by which `vantum.testing.calls` finds words in audio.
Here a recogniser's connection is matched with a call when somebody begins to speak in it: who
speaks at that moment, at that place of their stream's audio? From then on words are placed by the
amount of audio. Of calls that begin to speak at the same moment and place, the first is taken.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import trio
from attrs import define, field

from vantum.core.audio import to_int16
from vantum.testing.calls.said import Said, SaidSource
from vantum.testing.calls.voice import FRAME_S, Sound
from vantum.testing.deepgram_script import Heard
from vantum.testing.twilio.call import PhoneCall

#: Of a 16-bit sample: the room is far below it, a voice far above.
_VOICE_PEAK: Final = 400
#: A recogniser may get audio so long after it was said.
_LATE_S: Final = 2.0
#: Frames by which a resampler and the beginning of a sound may shift it.
_SHIFT: Final = 3


@define
class _Begun:
    """Somebody has begun to speak: when, and in which frame of their stream."""

    said: Said
    at_s: float
    frame: int


@define(eq=False)
class Hearing:
    """All calls of a simulated Twilio: give `watch` to its exchange, `source` to the recogniser."""

    _begun: list[_Begun] = field(factory=list)
    _matched: list[Said] = field(factory=list)

    def watch(self, call: PhoneCall) -> None:
        """A new call."""
        # Each stream has its own time, and its own recogniser.
        of_streams: list[Said] = []

        def listen(sound: Sound) -> None:
            if call.streams:
                while len(of_streams) < len(call.streams):
                    of_streams.append(Said(marked=False))
                frame, said = call.stream.frames, of_streams[-1]
                said.add(sound, frame)
                self._begun.append(_Begun(said, trio.current_time(), frame))

        call.leg.listeners.append(listen)

    def source(self, rate_hz: int) -> PhoneSource:
        """Of one connection of the recogniser. See `DeepgramScript.source`."""
        return PhoneSource(self, rate_hz)

    def speaks(self, frame: int) -> Said | None:
        """Whose voice begins in this frame of a stream's audio, lately."""
        now_s = trio.current_time()
        self._begun = [begun for begun in self._begun if begun.at_s > now_s - 60]
        near = [
            begun
            for begun in self._begun
            if begun.at_s > now_s - _LATE_S and abs(begun.frame - frame) <= _SHIFT
        ]
        # A call that has no recogniser yet before one whose recogniser was lost; the oldest first.
        new = [begun for begun in near if all(begun.said is not said for said in self._matched)]
        if not near:
            return None
        said = (new or near)[0].said
        self._matched.append(said)
        return said


@define
class PhoneSource:
    """The words in one connection's audio: a `vantum.testing.deepgram_script.Source`."""

    hearing: Hearing
    rate_hz: int
    partial: Heard | None = None
    _source: SaidSource | None = None
    _next: int = 0  # the first sample that has not been taken in

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        step = round(self.rate_hz * FRAME_S)
        if self._source is None:
            loud = np.flatnonzero(np.abs(to_int16(pcm).astype(np.int32)) > _VOICE_PEAK)
            if not len(loud):
                return []
            frame = (start + int(loud[0])) // step
            if (said := self.hearing.speaks(frame)) is None:
                return []
            self._source, self._next = SaidSource(said, self.rate_hz), frame * step
        # Whole frames only: where the pieces are cut is the network's and the resampler's business.
        first, self._next = self._next, max(self._next, end // step * step)
        if first == self._next:
            return []
        complete = self._source.hear(pcm, first, self._next)
        self.partial = self._source.partial
        return complete

    def finish(self) -> list[Heard]:
        """See `Source`."""
        if self._source is None:
            return []
        words = self._source.finish()
        self.partial = self._source.partial
        return words
