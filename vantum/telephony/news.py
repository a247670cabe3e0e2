"""Where a call stands, as the telephone company says it and as processes tell each other."""

from __future__ import annotations

import json
from typing import Final, Protocol

from attrs import frozen

from vantum.core.call_status import STATUSES, CallStatus

#: A call is no longer than that, and a number with more digits is none of Twilio's.
_MAX_DIGITS: Final = 9
_MAX_SID_CHARS: Final = 100


class Elsewhere(Protocol):
    """The other processes of this server: `vantum.workers.member.Member`."""

    async def tell(self, message: bytes) -> None:
        """Tell all of them, as far as they listen."""


@frozen
class StatusNews:
    """A call is at `status`. `duration_s`: from the answer to the end, where it has ended.
    `because`: why, for people, if it says so."""

    call_sid: str
    status: CallStatus
    duration_s: float | None = None
    because: str = ""

    def packed(self) -> bytes:
        """For another process: `parse_news` reads it."""
        said = [self.call_sid[:_MAX_SID_CHARS], self.status, self.duration_s, self.because]
        return json.dumps(said).encode()


def parse_news(message: bytes) -> StatusNews | None:
    """What another process of this server has packed; None: it is something else."""
    try:
        call_sid, status, duration_s, because = json.loads(message)
    except (ValueError, TypeError, RecursionError):
        return None
    known = next((s for s in STATUSES if s == status), None)
    fits = isinstance(call_sid, str) and isinstance(because, str)
    if known is None or not fits or not isinstance(duration_s, float | int | None):
        return None
    return StatusNews(call_sid, known, duration_s, because)


def whole_seconds(text: str) -> float | None:
    """A length as Twilio writes it; None: it says nothing of the kind."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return float(text) if is_number else None
