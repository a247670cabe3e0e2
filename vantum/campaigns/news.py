"""What a running campaign tells of itself."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from vantum.core.refusals import Refusal
from vantum.telephony.record import CallRecord


@frozen
class Dialled:
    """A phone rings."""

    number: str
    attempt: int


@frozen
class Ended:
    """A call is over. `next_s`: when the prospect is called again; None: it is not."""

    number: str
    attempt: int
    outcome: str
    record: CallRecord | None
    next_s: float | None


@frozen
class NotAllowed:
    """The compliance check refused. `next_s` as in `Ended`."""

    number: str
    refusal: Refusal
    next_s: float | None


@frozen
class Paused:
    """Somebody wants a pause, or (`False`) that it goes on."""

    is_paused: bool


@frozen
class Held:
    """No line, no telephone company, or a database that fails: for so long."""

    why: str
    for_s: float


@frozen
class Waiting:
    """Nothing to do until then; None: until a call ends. `active`: calls that go on."""

    until_s: float | None
    active: int


@frozen
class Unread:
    """It cannot be read who wants to be called back; it is tried again and again."""

    why: str


News: TypeAlias = Dialled | Ended | NotAllowed | Paused | Held | Waiting | Unread
