"""What is asked of a telephone company, and how it fails. `twilio_rest` is the one there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from attrs import frozen

from vantum.compliance.permit import DialPermit
from vantum.errors import VantumError

#: `auth`: our credentials. `permission`: the account may not call there. `invalid_number`: no such
#: number, or it cannot be reached. `funds`: the account is suspended or has nothing left.
#: `unknown`: the request was sent and its answer never came, so it may have been carried out.
CarrierErrorKind: TypeAlias = Literal[
    "auth",
    "permission",
    "invalid_number",
    "invalid_request",
    "not_found",
    "rate_limit",
    "funds",
    "timeout",
    "network",
    "server",
    "unknown",
]
#: The call was certainly not made, and trying again can help.
_RETRYABLE: Final[frozenset[CarrierErrorKind]] = frozenset(
    {"rate_limit", "timeout", "network", "server"}
)


class CarrierError(VantumError):
    """The telephone company refused, failed, or did not answer.

    Args:
        kind: the class of failure.
        message: one safe line, without secrets and without numbers of callees.
        code: the company's own error code, if it gave one.
        retry_after_s: how long it asked to be left alone.
    """

    def __init__(
        self,
        kind: CarrierErrorKind,
        message: str,
        *,
        code: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"twilio: {message}")
        self.kind = kind
        self.message = message
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether the same again may help, and cannot dial twice."""
        return self.kind in _RETRYABLE


#: `off`: nobody asks. `start`: told as soon as it is known. `message_end`: of a machine, when its
#: own greeting is over and it records.
MachineDetection: TypeAlias = Literal["off", "start", "message_end"]


@frozen
class Dial:
    """How a call is to be made. One of `url` and `twiml` says what happens when it is answered.

    `url` is asked for TwiML by POST; `status_url` is told of initiated, ringing, answered and
    completed; `amd_url` of what machine detection finds, while the call already goes on.
    """

    from_number: str
    url: str = ""
    twiml: str = ""
    status_url: str = ""
    machine_detection: MachineDetection = "off"
    amd_url: str = ""
    ring_timeout_s: int = 30
    time_limit_s: int = 3600


@frozen
class Placed:
    """A call that was taken. `queue_s`: how long it is expected to wait before it is dialled."""

    sid: str
    queue_s: float = 0.0


class Carrier(Protocol):
    """A telephone company. Deadlines on its answers are its own; each method may raise
    `CarrierError`."""

    async def create_call(self, permit: DialPermit, dial: Dial) -> Placed:
        """Dial `permit.number`, when it is that call's turn. Only `Calls.dial` comes here."""

    async def end_call(self, call_sid: str) -> None:
        """End a call, whether it is ringing or answered; one that is over already is fine."""

    async def redirect(self, call_sid: str, twiml: str, is_done: Callable[[], bool]) -> None:
        """What a live call does from now on; what it did is broken off, its stream too.

        `is_done`: whether that shows by itself; then it is not asked for again if the answer is
        lost, and an error is raised all the same.
        """
