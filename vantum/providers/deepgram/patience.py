"""How long a connection may say nothing before it counts as hung. Pure.

A half-dead peer is noticed in two ways, and both are losses like any other. A send that does not
finish in 5 s: the peer no longer reads. And no message for 5 s (or half of a longer ring), in time
and in audio sent: with `interim_results` Deepgram speaks about every second even in silence. Should
that ever be wrong about a healthy peer, the patience doubles from the second time on, so that it
costs a few reconnects and not one every five seconds; words that only the next connection brings
show that it was right.

While that is open the ring may hold twice as much: two peers that hang, one after the other, have
cost more than it usually holds.

A turn's end is a third way: a Finalize without an answer, of a turn that was not silent, after a
second and a half (or all of a shorter turn) without any message; after three if words of it are
final and none is interim text. Then the turn is heard and asked for once more, on a new connection.

Lengths are seconds of audio, times are of trio's clock.
"""

from __future__ import annotations

from typing import Final

from attrs import define

#: Never below what Deepgram may take between two interim results.
_LEAST_S: Final = 5.0
#: Without a message for so much audio, a Finalize that is not answered is not just one of noise.
_QUIET_S: Final = 1.5


@define
class Patience:
    """`ring_s`: so much audio can be heard again by the next connection."""

    ring_s: float
    _alarms: int = 0  # in a row, which no word has shown to be right
    _heard_s: float = 0.0  # of the connection's audio, when the last message came,
    _heard_at: float = 0.0  # and when that was

    @property
    def limit_s(self) -> float:
        """Without a message for so long, in time and in audio sent, a peer has hung."""
        return float(max(_LEAST_S, self.ring_s / 2) * 2 ** max(0, self._alarms - 1))

    def hung(self) -> None:
        """A peer was given up for it."""
        self._alarms += 1

    def was_right(self) -> None:
        """Words have come of what the one before had not heard."""
        self._alarms = 0

    @property
    def in_doubt(self) -> bool:
        """Whether it is open if the last one that was given up had hung."""
        return self._alarms > 0

    def heard(self, sent_s: float, now: float) -> None:
        """A message came, or the connection has just been opened; it was sent so much so far."""
        self._heard_s, self._heard_at = sent_s, now

    def hung_at(self, sent_s: float, now: float) -> float:
        """When it counts as hung if it says nothing and audio goes on in real time."""
        unanswered_s = sent_s - self._heard_s
        return max(self._heard_at + self.limit_s, now + (self.limit_s - unanswered_s))

    def is_deaf(self, sent_s: float, turn_s: float, *, has_words: bool) -> bool:
        """Whether a Finalize that it has not answered was not even heard.

        Args:
            sent_s: audio that it was sent so far.
            turn_s: how long the turn is that was to be made final.
            has_words: words of the turn are final and none is interim text: then it may have
                nothing to answer.
        """
        unanswered_s = sent_s - self._heard_s
        return unanswered_s >= (2 * _QUIET_S if has_words else min(_QUIET_S, turn_s))
