"""How long this caller pauses within a turn, and what silence that makes worth waiting for.

Pure. Durations of pauses in speech are log-normal (Campione and Véronis 2002, "A large-scale
multilingual study of silent pause duration"), so everything is done on their logarithms. What is
measured is polluted (a cough, a door, a long look into a diary), so the centre is the median and
the spread the median absolute deviation, times 1.4826 to be a standard deviation for normal data;
half of the measurements may be nonsense before these two are (Rousseeuw and Croux 1993,
"Alternatives to the median absolute deviation").
"""

from __future__ import annotations

import math
from statistics import median
from typing import Final

from attrs import frozen

#: Shorter silences are closures and catches inside a phrase, and no wait is as short anyway.
SHORTEST_S: Final = 0.2
#: So many of the last pauses count: a minute or two of talk.
KEPT: Final = 16

# A wait of this quantile outlasts nine pauses of ten.
_NORMAL_QUANTILE_90 = 1.2816
_MAD_TO_SIGMA = 1.4826
# The setting counts as much as so many measured pauses: three quick ones do not unsettle it.
_PRIOR_WEIGHT = 4


@frozen
class Pauses:
    """The last pauses of one caller: logarithms of their seconds, oldest first."""

    logs: tuple[float, ...] = ()

    def add(self, length_s: float) -> Pauses:
        """With one more pause; one that is too short to be a pause changes nothing."""
        if length_s < SHORTEST_S:
            return self
        return Pauses((*self.logs, math.log(length_s))[-KEPT:])

    def wait_s(self, silence_s: float) -> float:
        """The silence to wait for: `silence_s` with nothing measured, and the nearer to the
        quantile of the caller's own pauses the more of them there are."""
        if not self.logs:
            return silence_s
        centre = median(self.logs)
        sigma = _MAD_TO_SIGMA * median(abs(log - centre) for log in self.logs)
        own = centre + _NORMAL_QUANTILE_90 * sigma
        count = len(self.logs)
        mixed = _PRIOR_WEIGHT * math.log(silence_s) + count * own
        return math.exp(mixed / (_PRIOR_WEIGHT + count))
