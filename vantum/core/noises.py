"""Words that were none, dropped before they were final: what the recogniser still says of them.

A listening noise is known by its first interim text, and the answer goes on; the final one comes
half a second later and says the same again, or nearly. It is judged by what was known when it was
dropped: by then the agent may be saying something else. Pure.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from vantum.core.bargein import BargeIn
from vantum.core.evolving import evolve
from vantum.core.floor import Floor

#: A recogniser takes less for its last word on what it has heard. Behind that, or behind another
#: voice, it speaks of something else.
_LATE_S: Final = 3.0


@frozen
class Noise:
    """What was dropped, by the policy and the floor of that moment."""

    policy: BargeIn
    floor: Floor
    until_s: float

    @classmethod
    def dropped(cls, policy: BargeIn, floor: Floor, now_s: float) -> Noise:
        """Words were none, and their final text has not come."""
        return cls(evolve(policy, echo_words=0), floor, now_s + _LATE_S)

    def covers(self, text: str, now_s: float) -> bool:
        """Whether this is what was dropped, and no word besides."""
        return now_s <= self.until_s and self.policy.kind(text, self.floor) != "words"
