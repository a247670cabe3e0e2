"""Why a number is not called: a code for programs, a sentence for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from attrs import field, frozen

ReasonCode: TypeAlias = Literal[
    # The number itself.
    "not_a_number",  # no number that is in use, in international form
    "not_callable",  # toll-free, premium, a pager, …: nobody whom one calls unasked
    "country_not_allowed",
    "unknown_timezone",
    "timezone_contradicts",  # the prospect's timezone is none that the number may be in
    "not_a_colleague",  # a transfer to somebody who is not listed
    # The person.
    "do_not_call",
    "no_consent",
    "consent_expired",
    # The moment.
    "outside_hours",
    "too_many_attempts",
    # What would be said.
    "no_disclosure",
    # Doubts of our own: they refuse as well.
    "opt_out_unknown",  # the database does not answer
    "audit_failed",  # the decision could not be recorded
    "clock_went_back",
    "check_failed",
    # The permit.
    "permit_unknown",
    "permit_used",
    "permit_expired",
]


@frozen
class Reason:
    """One reason against a call.

    Attributes:
        code: for programs.
        text: one sentence for people, without the number.
        retry_at_s: seconds since 1970 from when this reason no longer holds; None if time does
            not help.
    """

    code: ReasonCode
    text: str
    retry_at_s: float | None = None


@frozen
class Refusal:
    """The number must not be called, and all that speaks against it.

    Attributes:
        number: as asked for, in E.164 if it is one.
        reasons: at least one.
    """

    number: str
    reasons: tuple[Reason, ...] = field()

    @reasons.validator
    def _check_reasons(self, _field: object, reasons: Sequence[Reason]) -> None:
        if not reasons:
            raise ValueError("a refusal needs a reason")

    @property
    def retry_at_s(self) -> float | None:
        """Seconds since 1970 from when it is worth asking again: the latest of the reasons'; None
        if one of them does not pass."""
        times = [reason.retry_at_s for reason in self.reasons]
        known = [time for time in times if time is not None]
        return max(known) if len(known) == len(times) else None

    @property
    def codes(self) -> tuple[ReasonCode, ...]:
        """The reasons' codes, in order."""
        return tuple(reason.code for reason in self.reasons)

    @property
    def text(self) -> str:
        """All reasons on one line."""
        return "; ".join(reason.text for reason in self.reasons)
