"""A recogniser's ear that takes whatever is loud for words: for recorded voices in many calls.

The words mean nothing. What matters is when they come and when they end, and that to hear them
costs next to nothing.
"""

from __future__ import annotations

import itertools

from vantum.testing.deepgram_loudness import loud_steps
from vantum.testing.deepgram_script import Heard

_WORDS = ("please", "tell", "me", "more", "about", "it", "now")
#: The longest word, and the shortest that is one, in seconds.
_WORD_S, _LEAST_S = 0.3, 0.06


class Loud:
    """A `vantum.testing.deepgram_script.Source` at this rate."""

    def __init__(self, rate: int) -> None:
        self._words = itertools.cycle(_WORDS)
        self._longest, self._least = round(_WORD_S * rate), round(_LEAST_S * rate)
        self._rate = rate
        self._began: int | None = None
        self.partial: Heard | None = None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        found: list[Heard] = []
        for here, until, is_loud in loud_steps(pcm, start, self._rate):
            if not is_loud:
                found += self._word(here)
                continue
            if self._began is None:
                self._began = here
            if until - self._began >= self._longest:
                found += self._word(until)
        self.partial = None
        if self._began is not None:
            self.partial = Heard(_WORDS[0], self._began, end, 0.99, clear=False)
        return found

    def _word(self, end: int) -> list[Heard]:
        began, self._began = self._began, None
        if began is None or end - began < self._least:
            return []
        return [Heard(next(self._words), began, end, 0.99)]

    def finish(self) -> list[Heard]:
        """See `Source`."""
        self.partial = self._began = None
        return []
