"""Audio of the last seconds, by the moment at which it sounds. Pure.

Whoever hears the caller needs ours to know an echo of it (`vantum.core.acoustic_echo`), and what
was heard meanwhile. It is kept as 8 kHz mu-law, 8 KB a second: nothing above that comes back over a
telephone, and what mu-law loses is far below what any echo loses. When nothing of ours sounds,
nothing is kept.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from vantum.core.audio import mulaw_decode, mulaw_encode, to_int16
from vantum.core.resampling import Resampler

#: Of all that is compared with what is heard.
RATE_HZ: Final = 8_000
#: Audio that begins where the last one ended, but for so much, goes on with it.
_SEAM_S: Final = 0.002


@define(eq=False)
class Sounding:
    """What we say on one call, or hear. Times are seconds on any steady clock.

    Attributes:
        reach_s: how long ago it may have sounded and still be asked for.
        is_wanted: whether anybody will ask; until then nothing is kept.
    """

    reach_s: float
    is_wanted: bool = False
    _pieces: deque[tuple[int, bytes]] = field(factory=deque, init=False)
    _resampler: Resampler | None = field(default=None, init=False)
    _next_s: float = field(default=0.0, init=False)  # where what was added last ends
    _at: int = field(default=0, init=False)  # and the sample with which what is kept of it goes on

    def add(self, pcm: bytes, rate_hz: int, at_s: float, now_s: float) -> None:
        """Audio that begins to sound at `at_s`, which may lie ahead, leaves now.

        ValueError: the rate is none that `Resampler` takes, or half a sample is left.
        """
        if not self.is_wanted:
            return
        self._forget(now_s)
        resampler = self._resampler
        if resampler is None or resampler.from_hz != rate_hz or abs(at_s - self._next_s) > _SEAM_S:
            resampler = self._resampler = Resampler(rate_hz, RATE_HZ)
            self._next_s, self._at = at_s, round(at_s * RATE_HZ)
        codes = mulaw_encode(resampler.feed(pcm))
        self._next_s += len(pcm) / (2 * rate_hz)
        if codes:
            self._pieces.append((self._at, codes))
            self._at += len(codes)

    def cut(self, at_s: float) -> None:
        """What was to sound from then on does not."""
        end = round(at_s * RATE_HZ)
        self._resampler = None
        while self._pieces and _end(self._pieces[-1]) > end:
            begin, codes = self._pieces.pop()
            if begin < end:
                self._pieces.append((begin, codes[: end - begin]))

    def sounds(self, now_s: float, for_s: float = float("inf")) -> bool:
        """Whether any of it may be heard by now, of what sounded in the last `for_s`."""
        self._forget(now_s)
        if not self._pieces or self._pieces[0][0] >= now_s * RATE_HZ:
            return False
        return _end(self._pieces[-1]) > (now_s - for_s) * RATE_HZ

    def until(self, end: int, count: int) -> NDArray[np.float32]:
        """The `count` samples before sample `end` of the clock, -32768..32767; silence where there
        is nothing."""
        found = np.zeros(count, np.float32)
        begin = end - count
        for piece in self._pieces:
            at, codes = piece
            first, last = max(at, begin), min(_end(piece), end)
            if first < last:
                pcm = mulaw_decode(codes[first - at : last - at])
                found[first - begin : last - begin] = to_int16(pcm)
        return found

    def _forget(self, now_s: float) -> None:
        oldest = (now_s - self.reach_s) * RATE_HZ
        while self._pieces and _end(self._pieces[0]) <= oldest:
            self._pieces.popleft()
        if not self._pieces:
            self._resampler = None


def _end(piece: tuple[int, bytes]) -> int:
    return piece[0] + len(piece[1])
