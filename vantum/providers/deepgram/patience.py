"""How long a connection may say nothing before it counts as hung. Pure.

A half-dead peer is noticed in two ways, and both are losses like any other. A send that does not
finish in 5 s: the peer no longer reads. And no message for 80 % of the ring's length, in time and
in audio sent: with `interim_results` Deepgram speaks every few seconds even in silence, and at
this point the ring can still replay everything. Should that ever be wrong about a healthy peer,
the patience doubles each time, so that it costs a reconnect or two and not one every eight seconds.

A turn's end is a third way: a Finalize without an answer, of a turn that was not silent, after a
second and a half (or all of a shorter turn) without any message; after three if words of it are
final and none is interim text. Then the turn is heard and asked for once more, on a new connection.

Lengths are seconds of audio, times are of trio's clock.
"""

from __future__ import annotations

from typing import Final

from attrs import define

#: Without a message for so much audio, a Finalize that is not answered is not just one of noise.
_QUIET_S: Final = 1.5


@define
class Patience:
    """`limit_s`: without a message for so long, in time and in audio sent, a peer has hung."""

    limit_s: float
    _heard_s: float = 0.0  # of the connection's audio, when the last message came,
    _heard_at: float = 0.0  # and when that was

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
