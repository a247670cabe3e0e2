"""How loud the caller usually is, and what is too faint to be him. Pure.

A voice-activity model hears every voice, also those of the people behind the caller. What sets him
apart is that he is nearer to the microphone. So a voice counts only if it is not far below the
usual level of the voices that counted before. Nothing is known before the first second of voice,
and what is heard then sets the level.

Who turns away or gets tired is heard again after a while: every second in which a voice is held to
be too faint lowers what is usual.
"""

from __future__ import annotations

import math
from typing import Final

from attrs import frozen

#: A voice so far below the usual one is somebody else's. Within one talker's speech the loudest
#: frames of two neighbouring fifths of a second differ by less.
FAR_DB: Final = 12.0

# Frames of 32 ms. The loudest of the last few stands for a voice: between two syllables everybody
# is quiet.
_HELD = 6
_KEPT = 160
_KNOWN = 32
# Of the kept frames: loud ones, but no shout.
_LOUD_SHARE = 0.75
_FORGIVEN_DB = 0.02  # by a frame that was too faint: 0.6 dB a second


@frozen
class Loudness:
    """What was heard of the caller: levels in dBFS of frames that counted as voice, newest last.

    Attributes:
        levels: of the last five seconds of voice.
        recent: of the last frames, voice or not.
        lowered_db: by frames that were too faint since.
        loud_db: what the louder ones of `levels` reach; None: they are too few. Asked for more
            often than it changes.
    """

    levels: tuple[float, ...] = ()
    recent: tuple[float, ...] = ()
    lowered_db: float = 0.0
    loud_db: float | None = None

    @property
    def usual_db(self) -> float | None:
        """The caller's usual level; None: not known yet."""
        return None if self.loud_db is None else self.loud_db - self.lowered_db

    @property
    def is_near(self) -> bool:
        """Whether a voice in the frame that was heard last can be the caller's."""
        usual_db = self.usual_db
        return usual_db is None or max(self.recent, default=usual_db) >= usual_db - FAR_DB

    def hear(self, level_db: float, *, voice: bool) -> Loudness:
        """With one more frame; `voice`: it holds some voice."""
        recent = (*self.recent, level_db)[-_HELD:]
        heard = Loudness(self.levels, recent, self.lowered_db, self.loud_db)
        if not voice:
            return heard
        if not heard.is_near:
            return Loudness(self.levels, recent, self.lowered_db + _FORGIVEN_DB, self.loud_db)
        # A level that was lowered is found anew rather than jumped back to.
        lowered_db = max(self.lowered_db - _FORGIVEN_DB, 0.0)
        levels = (*self.levels, level_db)[-_KEPT:]
        return Loudness(levels, recent, lowered_db, _loud_db(levels))


def _loud_db(levels: tuple[float, ...]) -> float | None:
    if len(levels) < _KNOWN:
        return None
    return sorted(levels)[math.floor(_LOUD_SHARE * len(levels))]
