"""What comes out of a telephone's earpiece, to the byte: what is queued, played, cleared.

A byte is played every 125 µs, so when each begins and ends is known as soon as it comes: nothing
here needs a clock of its own or a task.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
import trio
from attrs import define, field, frozen
from numpy.typing import NDArray

from vantum.core.audio import mulaw_decode, to_int16
from vantum.testing.twilio.sound import BYTE_S, RATE_HZ, SILENCE, is_voice

#: A sum of many 125 µs is not exact to the last bit.
EPSILON_S: Final = 1e-7


@frozen
class Piece:
    """A stretch of audio: when its first byte is heard, on trio's clock, and its mu-law."""

    began_s: float
    mulaw: bytes
    voiced: bool

    @property
    def end_s(self) -> float:
        """When its last byte has been heard."""
        return self.began_s + len(self.mulaw) * BYTE_S


@define(eq=False)
class Earpiece:
    """One telephone's. `keeps`: whether what was heard is kept (8 KB a second), to be recorded.

    `play` queues behind what is there, as Twilio's buffer does; `mix` is heard on top of it, as
    from the other party of a bridge.
    """

    keeps: bool = True
    now_s: Callable[[], float] = trio.current_time
    #: When everything that is queued will have been heard.
    end_s: float = 0.0
    #: Woken whenever something is queued or cleared.
    news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot)
    _pieces: deque[Piece] = field(factory=deque)
    _mixed: deque[Piece] = field(factory=deque)
    #: Stretches with a voice: [began, end], joined where one follows upon the other.
    _voiced: deque[list[float]] = field(factory=deque)

    # ------------------------------------------------------------ what comes

    def play(self, mulaw: bytes) -> float:
        """Queue audio; gives the time at which its last byte will have been heard."""
        began_s = max(self.now_s(), self.end_s)
        piece = Piece(began_s, mulaw, is_voice(mulaw))
        self.end_s = piece.end_s
        self._keep(self._pieces, piece)
        return self.end_s

    def mix(self, mulaw: bytes) -> None:
        """Let audio be heard now."""
        self._keep(self._mixed, Piece(self.now_s(), mulaw, is_voice(mulaw)))

    def _keep(self, pieces: deque[Piece], piece: Piece) -> None:
        pieces.append(piece)
        if not self.keeps:
            while pieces[0].end_s < self.now_s() - 1:
                pieces.popleft()
        if piece.voiced:
            last = self._voiced[-1] if self._voiced else None
            if last is not None and piece.began_s - last[1] < 0.001:
                last[1] = max(last[1], piece.end_s)
            else:
                self._voiced.append([piece.began_s, piece.end_s])
                while not self.keeps and len(self._voiced) > 100:
                    self._voiced.popleft()
        self.news.unpark_all()

    def clear(self) -> None:
        """Forget what has not been heard yet, to the byte."""
        now_s = self.now_s()
        while self._pieces and self._pieces[-1].end_s > now_s + EPSILON_S:
            piece = self._pieces.pop()
            if (heard := round((now_s - piece.began_s) / BYTE_S)) > 0:
                self._pieces.append(Piece(piece.began_s, piece.mulaw[:heard], piece.voiced))
                break
        self.end_s = min(self.end_s, now_s)
        while self._voiced and self._voiced[-1][0] >= now_s:
            self._voiced.pop()
        if self._voiced:
            self._voiced[-1][1] = min(self._voiced[-1][1], now_s)
        self.news.unpark_all()

    def hold_up(self, seconds: float) -> float:
        """Put silence in front of what is queued, behind the piece that is being heard.

        Gives the time from which everything is late.
        """
        now_s = self.now_s()
        later = []
        while self._pieces and self._pieces[-1].began_s > now_s + EPSILON_S:
            later.append(self._pieces.pop())
        from_s = max(now_s, self._pieces[-1].end_s if self._pieces else 0.0)
        while self._voiced and self._voiced[-1][0] >= from_s - EPSILON_S:
            self._voiced.pop()
        if self._voiced:
            self._voiced[-1][1] = min(self._voiced[-1][1], from_s)
        self.end_s = from_s
        self.play(SILENCE * round(seconds * RATE_HZ))
        for piece in reversed(later):
            self.play(piece.mulaw)
        return from_s

    # ------------------------------------------------------------ what was heard

    @property
    def pieces(self) -> list[Piece]:
        """All that has begun to be heard, in order; the last one perhaps not to its end."""
        now_s = self.now_s() + EPSILON_S
        heard = [piece for piece in self._pieces if piece.began_s <= now_s]
        return heard + [piece for piece in self._mixed if piece.began_s <= now_s]

    @property
    def heard_s(self) -> float:
        """How much has been heard of what was queued, in seconds."""
        now_s = self.now_s()
        return sum(
            min(piece.end_s, now_s) - piece.began_s
            for piece in self._pieces
            if piece.began_s < now_s
        )

    def voice_between(self, from_s: float, to_s: float) -> float:
        """How long somebody was to be heard in that stretch of time, in seconds."""
        return sum(max(0.0, min(end, to_s) - max(began, from_s)) for began, end in self._voiced)

    def voice_after(self, from_s: float) -> tuple[float, float] | None:
        """(first, last) moment at which somebody is to be heard after `from_s`; None: nobody.

        The last may be in the future, as far as audio is queued.
        """
        spans = [(max(began, from_s), end) for began, end in self._voiced if end > from_s]
        return (spans[0][0], spans[-1][1]) if spans else None

    def samples(self, from_s: float, to_s: float) -> NDArray[np.int16]:
        """All that was heard from one moment to another, mixed."""
        total = np.zeros(max(0, round((to_s - from_s) * RATE_HZ)), np.int32)
        for piece in (*self._pieces, *self._mixed):
            add(total, piece.mulaw, piece.began_s - from_s)
        return np.clip(total, -32_768, 32_767).astype(np.int16)


def add(total: NDArray[np.int32], mulaw: bytes, at_s: float) -> None:
    """Add audio to samples at 8 kHz, `at_s` from their beginning; what is outside is left out."""
    at = round(at_s * RATE_HZ)
    pcm = to_int16(mulaw_decode(mulaw))[max(0, -at) :]
    at = max(0, at)
    part = pcm[: max(0, len(total) - at)]
    total[at : at + len(part)] += part
