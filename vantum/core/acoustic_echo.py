"""Whether what comes from the caller is our own voice, back out of his loudspeaker. Pure.

We know what we sent and when it was to sound (`vantum.core.sounding`). An echo is that sound again:
late by the way there, the phone's buffers and the way back, fainter, and coloured by a loudspeaker,
a room and a codec. Whenever a voice is heard, its last quarter of a second is asked three things:

1. *Where* it agrees with ours best. The first time all lags up to a second are searched, later only
   those near the one that was found.
2. *How much* of it is ours there, by `coherence`. An echo has 0.4 to 0.95, another voice 0.15; a
   room that rings for longer than the window takes it away, so what is usual here is learnt.
3. *How loud* it is against ours. What the way takes is learnt as well; who speaks over an echo is
   heard on top of it.

The answers add up to a belief, as in Page's cumulative sum test ("Continuous inspection schemes",
1954): a clear answer turns it at once, doubtful ones must agree for longer.

An echo may be too faint for the ear to hear a voice in it, and still be understood for words. When
words come that no voice was heard for, the second in which they lie is looked at as a whole: in so
long a sound even a faint echo stands out at one lag.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from vantum.core.coherence import SHAPE, WINDOW, Floats, best_lag, clear_lag, coherence, shares
from vantum.core.sounding import RATE_HZ, Sounding

#: What is looked at of words: few are longer, and come later. As samples, and in seconds.
SPAN: Final = RATE_HZ
SPAN_S: Final = SPAN / RATE_HZ

#: The longest way to a mobile phone and back; and what is sent ahead of time may sound a little
#: before it should by our clock.
_FARTHEST, _EARLIEST = RATE_HZ, RATE_HZ // 20
#: A known echo is looked for so far around its lag: first where clocks that differ take it, for a
#: vowel agrees with itself at many lags; then where a jitter buffer that stretches or skips does.
_STILL, _NEAR = 24, 256
#: How long ago our audio may have sounded and still be asked for; the window before counts too.
REACH_S: Final = (_FARTHEST + _NEAR + 2 * WINDOW) / RATE_HZ

#: The first time, so much of a sound must be ours; chance gives the best of all lags less.
_SURE: Final = 0.6
#: And ours must be as loud as this there (32 steps of 16 bits): of silence anything is an echo.
_AUDIBLE_DB: Final = 35.0
#: In looks; until there were so many an echo is a guess, and one look that contradicts it is
#: enough.
_YOUNG: Final = 6
_GUESS: Final = 0.5
#: Of the usual share so much speaks neither for nor against an echo, and with so much more or less
#: nothing is left to wish for.
_SHARE_MIDDLE, _SHARE_WIDTH = 0.55, 0.3
_USUAL: Final = (0.35, 0.65)
#: So much louder than usual speaks against an echo, fully so much above that.
_LOUDER_DB, _LOUDER_WIDTH_DB = 6.0, 5.0
#: A share that is missing says little of a sound that is no louder than the echo would be: it is
#: the room's. So loud it counts fully; never less than `_LEAST`.
_COUNTS_DB, _LEAST = 5.0, 0.12
_WEIGHT: Final = 0.7
#: What is learnt of one look: of the share; of the loudness upwards, and downwards. A room rings on
#: when we are silent, so it is the loud moments that tell what is to be expected.
_LEARN, _LEARN_UP, _LEARN_DOWN = 0.1, 0.3, 0.05
_EARLY: Final = 4
#: An echo is learnt from if a look speaks for it by so much.
_CLEAR: Final = 0.25
#: Another lag is better if so much more agrees there; the more lags, the more chance.
_BETTER, _BETTER_NEAR = 0.2, 0.1

#: A second of sound is an echo for the most part if the lag is so clear and so much of it ours. Of
#: 14 000 seconds beside other voices ten were so, of 268 of audible echoes two were not.
_CLEARLY, _MOSTLY = 2.3, 0.35
#: It is nothing else if its share is as good as the usual one, and no loud part of it has less.
_WHOLLY, _EVERYWHERE = 0.9, 0.45

_BLOCK: Final = 256
_DECAY_DB: Final = 2.0  # in a block of 32 ms: a room that rings for a second


def _ringing() -> NDArray[np.float64]:
    """Weights of the energies of our last two windows, in blocks: what of it is still to be heard
    in the window, if it decays."""
    shape = (SHAPE * SHAPE).reshape(-1, _BLOCK).mean(axis=1)
    count = len(shape)
    ago = count + np.arange(count)[:, None] - np.arange(2 * count)[None, :]
    decayed = np.where(ago >= 0, 10 ** (-_DECAY_DB * ago / 10), 0.0)
    return np.asarray(shape @ decayed)


_RINGING: Final = _ringing()


#: How much of a second of sound is ours.
Ours: TypeAlias = Literal["none", "most", "all"]


@frozen
class _Look:
    """What one look found: the lag, how much of the sound is ours there, how much louder it is than
    ours was, and how loud that was (dB, 0 is one step of 16 bits)."""

    lag: int
    share: float
    level_db: float
    ours_db: float

    @property
    def is_sure(self) -> bool:
        """Whether it alone is enough to know an echo."""
        return self.share >= _SURE and self.ours_db > _AUDIBLE_DB


@define(eq=False)
class EchoJudge:
    """What is known of the echo of one call. A look takes 0.2 ms, the first ones twice that.

    Attributes:
        ours: what we say; whoever sends it adds to it.
        lag: of the echo in samples of 8 kHz; None: none is known.
        belief: -1 (somebody else speaks) to 1 (it is our echo), as of the last look.
        share, level_db: of the usual look.
        looks: that found this echo.
    """

    ours: Sounding = field(factory=lambda: Sounding(REACH_S + SPAN_S))
    lag: int | None = None
    belief: float = 0.0
    share: float = _USUAL[1]
    level_db: float = 0.0
    looks: int = 0

    def judge(self, heard: Floats, end_s: float) -> float:
        """Look at the last `WINDOW` samples of a voice, 8 kHz, -32768..32767, which end at `end_s`
        on the clock of `ours`; gives the new `belief`."""
        end = round(end_s * RATE_HZ)
        if self.lag is None:
            return self._search(heard, end)
        look = self._look(heard, end, self.lag - _STILL, self.lag + _STILL)
        speaks_for = self._speaks_for(look)
        if speaks_for < 0:
            near = self._look(heard, end, self.lag - _NEAR, self.lag + _NEAR)
            if near.share > look.share + _BETTER_NEAR:
                look, speaks_for = near, self._speaks_for(near)
        if self.belief + speaks_for < 0:
            # Before it is somebody else's: has the way become longer or shorter?
            far = self._look(heard, end, -_EARLIEST, _FARTHEST)
            if far.is_sure and far.share > look.share + _BETTER:
                look, speaks_for = far, _GUESS
        highest = _GUESS if self.looks < _YOUNG else 1.0
        self.belief = min(max(self.belief + speaks_for, -1.0), highest)
        if speaks_for > _CLEAR:
            self._learn(look)
        elif self.belief <= -_GUESS and self.looks < _YOUNG:
            self.lag = None
        return self.belief

    def ours_of(self, heard: Floats, end_s: float) -> Ours:
        """How much of the last `SPAN` samples before `end_s` is our echo, voice or none; nothing is
        learnt of it. Takes 1.5 ms."""
        end = round(end_s * RATE_HZ) + _EARLIEST
        lags = _FARTHEST + _EARLIEST
        lag, clearness = clear_lag(heard, self.ours.until(end, SPAN + lags))
        share, least = shares(heard, self.ours.until(end - lag, SPAN))
        if clearness < _CLEARLY or share < _MOSTLY:
            return "none"
        usual = max(self.share, _USUAL[0])
        return "all" if share >= _WHOLLY * usual and least >= _EVERYWHERE else "most"

    def _search(self, samples: Floats, end: int) -> float:
        look = self._look(samples, end, -_EARLIEST, _FARTHEST)
        self.belief = -1.0
        if look.is_sure:
            self.belief, self.lag, self.looks = _GUESS, look.lag, 1
            self.share, self.level_db = min(look.share, _USUAL[1]), look.level_db
        return self.belief

    def _look(self, samples: Floats, end: int, first: int, last: int) -> _Look:
        """Look at the lags from `first` to `last`."""
        lag = first + best_lag(samples, self.ours.until(end - first, WINDOW + last - first))
        ours = self.ours.until(end - lag, 2 * WINDOW)
        blocks = (ours * ours).reshape(-1, _BLOCK).mean(axis=1)
        ours_db = _db(float(blocks @ _RINGING))
        weighted = samples * SHAPE
        level_db = _db(float(weighted @ weighted) / WINDOW) - ours_db
        return _Look(lag, coherence(samples, ours[WINDOW:]), level_db, ours_db)

    def _speaks_for(self, look: _Look) -> float:
        """By how much a look speaks for an echo, -1..`_WEIGHT`."""
        share = look.share / max(self.share, _USUAL[0]) - _SHARE_MIDDLE
        agrees = _clip(share / _SHARE_WIDTH, -1.0, 1.0)
        louder_db = look.level_db - self.level_db
        if agrees < 0 and self.looks >= _YOUNG:
            agrees *= _clip(louder_db / _COUNTS_DB, _LEAST, 1.0)
        louder = _clip((louder_db - _LOUDER_DB) / _LOUDER_WIDTH_DB, 0.0, 2.0)
        if self.looks < _EARLY:
            louder = 0.0  # the first look may have caught only its beginning
        return max(_WEIGHT * (agrees - louder), -1.0)

    def _learn(self, look: _Look) -> None:
        self.lag = look.lag
        self.share += _LEARN * (look.share - self.share)
        louder_db = look.level_db - self.level_db
        rises = louder_db > 0 or self.looks < _EARLY
        self.level_db += (_LEARN_UP if rises else _LEARN_DOWN) * louder_db
        self.looks += 1


def _db(power: float) -> float:
    return 10 * float(np.log10(power + 1.0))


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
