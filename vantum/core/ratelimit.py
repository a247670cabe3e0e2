"""How many messages a client may send: a token bucket that warns before it gives up."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define, field, setters

#: `ok`: take the message. `warn`: too many, and it is time to say so. `over`: too many, said
#: already. `close`: it goes on; close the connection with 4429.
Verdict: TypeAlias = Literal["ok", "warn", "over", "close"]

#: A warning stands for so long before it is repeated.
_WARNING_S = 1.0


# Set for each message of a client: attrs' hooks on that would cost more than the arithmetic.
@define(on_setattr=setters.NO_OP)
class RateLimit:
    """At most `limit_per_s` messages a second, with bursts of one second's worth.

    A message beyond that is still counted: it makes a debt. A debt of more than a further second's
    worth says `close`, and goes on saying so until it is worked off. What becomes of messages
    beyond the limit is the caller's choice; the verdicts do not depend on it.

    What a network holds up comes at once behind it. So for `close` the messages of up to
    `make_up_s` seconds in which fewer came than may be made up for: they are no debt.

    `limit_per_s` is above 0 (else ValueError). `now_s` is seconds on any steady clock.
    """

    limit_per_s: float = field()
    make_up_s: float = 1.0
    # Room for so many messages: from limit_per_s (rested) through 0 to -limit_per_s (to be closed).
    _room: float = field(init=False)
    # The same, with what may be made up for.
    _credit: float = field(init=False)
    _most_credit: float = field(init=False)
    #: At limits below one a second, one message must still fit.
    _burst: float = field(init=False)
    _counted_at_s: float | None = field(default=None, init=False)
    _warned_at_s: float | None = field(default=None, init=False)

    @limit_per_s.validator
    def _check_limit(self, _attribute: object, value: float) -> None:
        if not value > 0:
            raise ValueError(f"limit_per_s is {value}; it must be above 0")

    def __attrs_post_init__(self) -> None:
        self._room = self._credit = self._burst = max(1.0, self.limit_per_s)
        self._most_credit = max(self._burst, self.make_up_s * self.limit_per_s)

    def arrived(self, now_s: float) -> Verdict:
        """A message arrived at `now_s`: what to do about it."""
        burst, room, credit = self._burst, self._room, self._credit
        if self._counted_at_s is None or now_s > self._counted_at_s:
            if self._counted_at_s is not None:
                more = (now_s - self._counted_at_s) * self.limit_per_s
                room, credit = min(burst, room + more), min(self._most_credit, credit + more)
            self._counted_at_s = now_s
        # The debt is bounded: even a flood is forgiven after little more than a second's rest.
        self._room = room = max(room - 1, -burst - 1)
        self._credit = credit = max(credit - 1, -burst - 1)
        if room >= 0:
            return "ok"
        if credit < -burst:
            return "close"
        if self._warned_at_s is None or self._counted_at_s - self._warned_at_s >= _WARNING_S:
            self._warned_at_s = self._counted_at_s
            return "warn"
        return "over"
