"""What is asked before a call, and the two answers: a permit or a refusal.

A `DialPermit` is what a carrier's `create_call` takes, so that no call can be made without one. It
carries a seal over all that it says, with a key that is drawn when the process starts:
`compliance/check.py` is the only place that makes one (a test reads the whole package for that),
and a copy with another number in it is refused by its own constructor.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from vantum.core.refusals import Reason, ReasonCode, Refusal
from vantum.errors import VantumError

__all__ = [
    "DialPermit",
    "DialRequest",
    "PermitRefused",
    "Purpose",
    "Reason",
    "ReasonCode",
    "Refusal",
    "seal_of",
]

#: A prospect is somebody we call of our own accord; a colleague is one of our own people, to whom
#: a call is transferred, and who is listed in the settings.
Purpose: TypeAlias = Literal["prospect", "colleague"]

_KEY: Final = secrets.token_bytes(32)


@frozen(kw_only=True)
class DialRequest:
    """A call that somebody wants to make.

    Attributes:
        number: whom to call, in international form (`+12125550123`; spaces and dashes may be in).
        opening: the text that will be spoken first, with its variables filled in.
        from_number: the number that calls; its country is allowed by default.
        voicemail: the text that would be left on a machine; empty: none.
        timezone: the prospect's own, as an IANA name, if it is known.
        call_id, campaign_id: for the record; a consent may be for one campaign only.
    """

    number: str
    opening: str
    purpose: Purpose = "prospect"
    from_number: str = ""
    voicemail: str = ""
    call_id: str = ""
    campaign_id: str = ""
    timezone: str | None = None


@frozen(kw_only=True)
class DialPermit:
    """One call to one number may be made, soon, once.

    Attributes:
        number: E.164.
        opening: must be spoken first: the disclosure is in it. Empty for a colleague.
        issued_s, expires_s: seconds since 1970.

    Raises:
        TypeError: the seal is not that of these values: nobody but the check makes permits.
    """

    permit_id: str
    number: str
    purpose: Purpose
    opening: str
    issued_s: float
    expires_s: float
    seal: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        wanted = seal_of(
            self.permit_id,
            self.number,
            self.purpose,
            self.opening,
            self.issued_s,
            self.expires_s,
        )
        if not (isinstance(self.seal, bytes) and hmac.compare_digest(self.seal, wanted)):
            raise TypeError("a DialPermit is made by vantum.compliance.check only")


def seal_of(*values: str | float) -> bytes:
    """The seal of a permit's values, in their order; for the check."""
    return hmac.new(_KEY, repr(values).encode(), sha256).digest()


class PermitRefused(VantumError):
    """A permit does not hold when it is to be used; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the call is not permitted: {refusal.text}")
        self.refusal = refusal
