"""What is asked of `Calls`, and why it may not come about."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from vantum.core.events import Prospect
from vantum.core.refusals import Refusal
from vantum.core.scripts import Script
from vantum.errors import VantumError

_SHOWN_CHARS: Final = 60


@frozen
class Promise:
    """The callback for which a call is made: its id, and the name in which it was taken up."""

    id: str
    by: str


@frozen
class CallOrder:
    """Whom to call, and how to talk with them.

    `to`: in international form. `greeting`: said first, instead of `compliance.opening`.
    `voicemail`: left on an answering machine, instead of the settings' text. Both may hold the
    prospect's variables (`vantum.core.prompts.fill_spoken`). `script`: instead of the server's;
    `script_file` names one to be read (`script` None), or is only the name of `script`.
    `from_number`: one of the account's, instead of the settings'. `timezone`: the callee's, if
    better known than from the number. `promise`: the callback that this call is; whoever
    dials takes it for good in that moment, or does not dial.
    """

    to: str
    prospect: Prospect = Prospect()
    script_file: str = ""
    greeting: str = ""
    voicemail: str = ""
    campaign_id: str = ""
    from_number: str = ""
    timezone: str | None = None
    script: Script | None = None
    promise: Promise | None = None


class OrderError(VantumError):
    """The order cannot be carried out as it is; says what is wrong with it."""


class CallRefused(VantumError):
    """The call may not be made: `refusal` has the reasons, and when trying again may help."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the call is not permitted: {refusal.text}")
        self.refusal = refusal


class NoSuchCall(VantumError):
    """There is no call of that id."""


class NotOurs(VantumError):
    """The call is live, and another process has it."""


def shown(name: str) -> str:
    """A name or an id that somebody made up, as it may stand in a message: short, and one line."""
    return "".join(c if c.isprintable() else "?" for c in name[:_SHOWN_CHARS])
