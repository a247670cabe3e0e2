"""How the simulated Twilio behaves: accounts, who answers at which number, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from attrs import field, frozen

from vantum.testing.calls.line import Network, Stall
from vantum.testing.twilio.personas import Person, Persona

__all__ = [
    "ACCOUNT",
    "AUTH_TOKEN",
    "FROM_NUMBER",
    "Account",
    "Callbacks",
    "Line",
    "RestFault",
    "RestFaultKind",
    "Stall",
    "TwilioScript",
]

ACCOUNT = "AC" + "a" * 32
AUTH_TOKEN = "simulated-auth-token"  # noqa: S105 (of a simulation)
FROM_NUMBER = "+15005550006"


@frozen
class Account:
    """An account that may call. `api_keys`: SID (`SK…`) → secret; `numbers`: it may call from."""

    sid: str = ACCOUNT
    auth_token: str = field(default=AUTH_TOKEN, repr=False)
    api_keys: Mapping[str, str] = field(factory=dict, repr=False)
    numbers: tuple[str, ...] = (FROM_NUMBER,)


RestFaultKind: TypeAlias = Literal["server", "unavailable", "rate", "hang", "refuse", "drop"]


@frozen
class RestFault:
    """What happens to one REST request instead of its answer.

    `server`: 500; `unavailable`: 503; `rate`: 429 (20429), not processed; `hang`: no answer;
    `refuse`: the connection is closed and the request not processed; `drop`: the connection is
    closed after the request was processed: a call that is created so rings all the same.
    `after_s`: before it happens.
    """

    kind: RestFaultKind
    after_s: float = 0.0


@frozen
class Callbacks:
    """What happens to status callbacks on their way, each with so much probability (0 to 1).

    `reordered` ones come up to `late_s` later than they should, so that later ones overtake them;
    `doubled` ones come again, up to `late_s` later. Without any: each call's callbacks come in
    order, one after the other.
    """

    lost: float = 0.0
    doubled: float = 0.0
    reordered: float = 0.0
    late_s: float = 2.0


@frozen
class Line:
    """The way of the other side's audio to the server, and of the server's back.

    Args:
        lost: probability with which a frame never comes; its numbers are missing then.
        network: delay, jitter and stalls, both ways (see `vantum.testing.calls`). Messages keep
            their order, as on a TCP connection.
        overtaking: a frame that jitter delays may be overtaken by later ones.
    """

    lost: float = 0.0
    network: Network = Network()
    overtaking: bool = False

    @property
    def is_ideal(self) -> bool:
        """Whether nothing happens on the way."""
        return not self.lost and self.network.is_ideal


@frozen
class TwilioScript:
    """How the simulation behaves.

    Args:
        account: whose calls these are.
        others: further accounts.
        personas: who answers, by number.
        answers: who answers at other numbers: a persona, or a function of the number.
        unreachable: numbers that cannot be called (21214).
        callbacks, line: what goes wrong on the way.
        faults: for the next REST requests, first in first out; None: a healthy one.
        calls_per_s: calls beyond it are queued, as by Twilio (1 by default there); 0: no limit.
        webhook_timeout_s: Twilio waits so long for an answer.
        keeps_audio: whether both sides are kept, for `PhoneCall.recording`: 16 KB a second.
        seed: of everything that is random, the SIDs included.
    """

    account: Account = Account()
    others: tuple[Account, ...] = ()
    personas: Mapping[str, Persona] = field(factory=dict)
    answers: Persona | Callable[[str], Persona] = field(factory=Person)
    unreachable: tuple[str, ...] = ()
    callbacks: Callbacks = Callbacks()
    line: Line = Line()
    faults: tuple[RestFault | None, ...] = ()
    calls_per_s: float = 0.0
    webhook_timeout_s: float = 15.0
    keeps_audio: bool = True
    seed: int = 0

    def persona(self, number: str) -> Persona:
        """Who answers there."""
        if number in self.personas:
            return self.personas[number]
        return self.answers(number) if callable(self.answers) else self.answers
