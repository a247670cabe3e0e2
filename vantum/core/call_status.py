"""How far a telephone call has come, as a value that only goes forward.

A telephone company tells of a call by callbacks that may come late, twice, in any order, or never.
`Progress.told` takes each: a status that lies behind the one that is known changes nothing, and
nothing follows a final one. Statuses are in Twilio's words ("Call Resource",
https://www.twilio.com/docs/voice/api/call-resource#call-status-values).
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from attrs import evolve, frozen

CallStatus: TypeAlias = Literal[
    "queued",
    "initiated",
    "ringing",
    "in-progress",
    "completed",
    "busy",
    "no-answer",
    "failed",
    "canceled",
]
Direction: TypeAlias = Literal["inbound", "outbound"]
#: What answered. Empty: not known, or not asked for.
AnsweredBy: TypeAlias = Literal["", "human", "machine", "fax", "unknown"]
#: What came of a call. `hung_up`: somebody answered and said nothing that was understood.
Outcome: TypeAlias = Literal[
    "talked",
    "hung_up",
    "voicemail_left",
    "machine",
    "no_answer",
    "busy",
    "failed",
    "canceled",
    "refused",
    "transferred",
    "opted_out",
    "callback",
]

STATUSES: Final[tuple[CallStatus, ...]] = get_args(CallStatus)
#: What a call cannot leave any more.
FINAL: Final[frozenset[CallStatus]] = frozenset(
    {"completed", "busy", "no-answer", "failed", "canceled"}
)
_RANK: Final[dict[CallStatus, int]] = {
    "queued": 0,
    "initiated": 1,
    "ringing": 2,
    "in-progress": 3,
}
_MACHINES: Final = {
    "machine_start",
    "machine_end_beep",
    "machine_end_silence",
    "machine_end_other",
}


@frozen
class Progress:
    """How far a call has come. Times are seconds since 1970; None: it has not come to that.

    `duration_s`: from the answer to the end, in whole seconds if the telephone company said so.
    """

    status: CallStatus = "queued"
    answered_by: AnsweredBy = ""
    answered_s: float | None = None
    ended_s: float | None = None
    duration_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing follows any more."""
        return self.status in FINAL

    @property
    def was_answered(self) -> bool:
        """Whether somebody or something took the call."""
        return self.answered_s is not None

    def told(
        self, status: CallStatus, now_s: float, *, duration_s: float | None = None
    ) -> Progress:
        """The call is said to be at `status`: the same value if that is no news."""
        if self.is_over:
            return self
        if status in FINAL:
            return self._ended(status, now_s, duration_s)
        if _RANK[status] <= _RANK[self.status]:
            return self
        answered_s = now_s if status == "in-progress" else self.answered_s
        return evolve(self, status=status, answered_s=answered_s)

    def _ended(self, status: CallStatus, now_s: float, duration_s: float | None) -> Progress:
        answered_s = self.answered_s
        if answered_s is None and status == "completed":
            # That it was answered has not been told, or will be told too late.
            answered_s = now_s - (duration_s or 0.0)
        if answered_s is None:
            duration_s = None
        elif duration_s is None:
            duration_s = max(0.0, now_s - answered_s)
        return evolve(
            self, status=status, answered_s=answered_s, ended_s=now_s, duration_s=duration_s
        )

    def judged(self, answered_by: str) -> Progress:
        """Machine detection has come to `answered_by`, in Twilio's words: the first verdict counts.

        What is not known is `unknown`. After the end it is still noted.
        """
        if self.answered_by:
            return self
        return evolve(self, answered_by=verdict(answered_by))


def verdict(answered_by: str) -> AnsweredBy:
    """Twilio's `AnsweredBy` in four words."""
    if answered_by in _MACHINES:
        return "machine"
    return answered_by if answered_by in ("human", "fax") else "unknown"  # type: ignore[return-value]


def outcome_of(
    progress: Progress,
    *,
    noted: Outcome | None = None,
    has_spoken: bool = False,
    message_left: bool = False,
    is_persons: bool = False,
) -> Outcome | None:
    """What came of a call; None: it is not over.

    Args:
        progress: how far it came.
        noted: what the conversation came to, such as `transferred`, if somebody said so.
        has_spoken: something was understood of whoever answered.
        message_left: a message was left on a machine, and played in full.
        is_persons: a person was there, whatever machine detection has found.
    """
    if not progress.is_over:
        return None
    if not progress.was_answered:
        return _UNANSWERED[progress.status]
    if noted == "opted_out":  # whoever it was that said so
        return noted
    if progress.answered_by in ("machine", "fax") and not is_persons:
        return "voicemail_left" if message_left else "machine"
    if noted is not None:
        return noted
    if progress.status == "failed":
        return "failed"
    return "talked" if has_spoken else "hung_up"


_UNANSWERED: Final[dict[CallStatus, Outcome]] = {
    "completed": "no_answer",
    "busy": "busy",
    "no-answer": "no_answer",
    "failed": "failed",
    "canceled": "canceled",
}
