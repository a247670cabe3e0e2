"""Audio of the last seconds, by the moment at which it sounds. Pure.

Whoever hears the caller needs ours to know an echo of it (`vantum.core.acoustic_echo`), and what
was heard meanwhile. What is compared is 8 kHz mu-law: nothing above that comes back over a
telephone, and what mu-law loses is far below what any echo loses. In most of a call nobody asks, so
until somebody does audio is kept as mu-law of its own rate. When nothing of ours sounds, nothing is
kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import define, field, frozen
from numpy.typing import NDArray

from vantum.core.audio import AudioFormat, mulaw_decode, mulaw_encode, to_int16
from vantum.core.resampling import Resampler

#: Of all that is compared with what is heard.
RATE_HZ: Final = 8_000
#: Audio that begins where the last one ended, but for so much, goes on with it.
_SEAM_S: Final = 0.002


@frozen
class _Piece:
    """Audio that nobody has asked for yet. `at_s`: of its first sample."""

    at_s: float
    line: AudioFormat
    audio: bytes

    @property
    def end_s(self) -> float:
        return self.at_s + self.line.duration_s(self.audio)

    def until(self, end_s: float) -> _Piece:
        """What of it comes before."""
        return _Piece(self.at_s, self.line, self.audio[: self.line.bytes_in(end_s - self.at_s)])


@define(eq=False)
class Sounding:
    """What we say on one call, or hear. Times are seconds on any steady clock.

    Attributes:
        reach_s: how long ago it may have sounded and still be asked for.
        is_wanted: whether anybody will ask; until then nothing is kept.
    """

    reach_s: float
    is_wanted: bool = False
    # Lists: they are short, and most sessions leave them empty, where a deque takes 600 bytes.
    _new: list[_Piece] = field(factory=list, init=False)
    _pieces: list[tuple[int, bytes]] = field(factory=list, init=False)  # older than all new ones
    _resampler: Resampler | None = field(default=None, init=False)
    _next_s: float = field(default=0.0, init=False)  # where what was converted last ends
    _at: int = field(default=0, init=False)  # and the sample with which what is kept of it goes on

    def add(self, audio: bytes, line: AudioFormat, at_s: float, now_s: float) -> None:
        """Audio that begins to sound at `at_s`, which may lie ahead, leaves now: whole samples at a
        rate that `Resampler` takes."""
        if not self.is_wanted or not audio:
            return
        self._forget(now_s)
        if line.encoding == "pcm":
            audio, line = mulaw_encode(audio), AudioFormat(line.rate_hz, "mulaw")
        self._new.append(_Piece(at_s, line, audio))

    def cut(self, at_s: float) -> None:
        """What was to sound from then on does not."""
        while self._new and self._new[-1].end_s > at_s:
            piece = self._new.pop()
            if piece.at_s < at_s:
                self._new.append(piece.until(at_s))
                break
        if not self._new:
            self._resampler = None
        end = round(at_s * RATE_HZ)
        while self._pieces and _end(self._pieces[-1]) > end:
            begin, codes = self._pieces.pop()
            if begin < end:
                self._pieces.append((begin, codes[: end - begin]))

    def sounds(self, now_s: float, for_s: float = float("inf")) -> bool:
        """Whether any of it may be heard by now, of what sounded in the last `for_s`."""
        self._forget(now_s)
        if self._pieces:
            begin_s = self._pieces[0][0] / RATE_HZ
        elif self._new:
            begin_s = self._new[0].at_s
        else:
            return False
        end_s = self._new[-1].end_s if self._new else _end(self._pieces[-1]) / RATE_HZ
        return begin_s < now_s and end_s > now_s - for_s

    def until(self, end: int, count: int) -> NDArray[np.float32]:
        """The `count` samples before sample `end` of the clock, -32768..32767; silence where there
        is nothing."""
        while self._new:
            self._convert(self._new.pop(0))
        found = np.zeros(count, np.float32)
        begin = end - count
        for piece in self._pieces:
            at, codes = piece
            first, last = max(at, begin), min(_end(piece), end)
            if first < last:
                pcm = mulaw_decode(codes[first - at : last - at])
                found[first - begin : last - begin] = to_int16(pcm)
        return found

    def _convert(self, piece: _Piece) -> None:
        resampler, rate_hz = self._resampler, piece.line.rate_hz
        has_gap = abs(piece.at_s - self._next_s) > _SEAM_S
        if resampler is None or resampler.from_hz != rate_hz or has_gap:
            resampler = self._resampler = Resampler(rate_hz, RATE_HZ)
            self._next_s, self._at = piece.at_s, round(piece.at_s * RATE_HZ)
        codes = mulaw_encode(resampler.feed(piece.line.pcm(piece.audio)))
        self._next_s += piece.line.duration_s(piece.audio)
        if codes:
            self._pieces.append((self._at, codes))
            self._at += len(codes)

    def _forget(self, now_s: float) -> None:
        oldest_s = now_s - self.reach_s
        while self._pieces and _end(self._pieces[0]) <= oldest_s * RATE_HZ:
            self._pieces.pop(0)
            if not self._pieces:
                self._resampler = None
        while not self._pieces and self._new and self._new[0].end_s <= oldest_s:
            self._new.pop(0)


def _end(piece: tuple[int, bytes]) -> int:
    return piece[0] + len(piece[1])
