"""How far behind Deepgram is with what it was sent. Pure.

A stream is recognised at 1.25 times its own speed at most ("Recovering From Connection Errors &
Timeouts When Live Streaming Audio", developers.deepgram.com, seen 2026-11-21). So what is sent
again on a new connection, several seconds at once, is not known at once: an answer that comes so
much later is not late.
"""

from __future__ import annotations

from typing import Final

from attrs import define

MOST_SPEED: Final = 1.25
#: For the answer to a flush that has only silence before it: mostly there is none.
_SILENT_ANSWER_S: Final = 0.25
#: Messages that come in bursts are behind by so much for a moment; deadlines have room for it.
_UNNOTICED_S: Final = 0.3
#: Nobody waits longer on a telephone: then the best known words are better than none.
MOST_S: Final = 6.0


@define
class Pace:
    """Of one connection."""

    _heard_at: float = 0.0  # when it will have heard all that it was sent

    def sent(self, length_s: float, now: float) -> None:
        """So much audio goes out now."""
        self._heard_at = max(self._heard_at, now) + length_s / MOST_SPEED

    def behind_s(self, now: float) -> float:
        """When it will have heard what it was sent, in seconds from now; 0 if that is as usual."""
        behind_s = self._heard_at - now
        return min(behind_s, MOST_S) if behind_s > _UNNOTICED_S else 0.0

    def answer_s(self, limit_s: float, now: float, *, silent: bool) -> float:
        """How long the answer to a Finalize that goes out now may take, usually `limit_s`."""
        return min(limit_s, _SILENT_ANSWER_S) if silent else limit_s + self.behind_s(now)
