"""What one session's recogniser, model or voice has used of what is paid for."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, frozen


@frozen
class ModelUsage:
    """Tokens of one request as the provider bills them. `cached`: those of `sent` that it had
    read before."""

    sent: int
    written: int
    cached: int = 0


@define
class Spent:
    """Grows while the session goes on: whatever was asked for, be it answers that nobody heard,
    attempts that failed half-way, or audio that was sent again.

    `requests`: to the model; of these, `estimated` were cut before their usage was told.
    """

    heard_s: float = 0.0
    characters: int = 0
    requests: int = 0
    estimated: int = 0
    sent_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0

    def asked(self, usage: ModelUsage, *, is_estimate: bool) -> None:
        """One request of the model is over."""
        self.requests += 1
        self.estimated += is_estimate
        self.sent_tokens += usage.sent
        self.cached_tokens += usage.cached
        self.written_tokens += usage.written


def spent_sum(parts: Iterable[Spent]) -> Spent:
    """All together."""
    total = Spent()
    for part in parts:
        total.heard_s += part.heard_s
        total.characters += part.characters
        total.requests += part.requests
        total.estimated += part.estimated
        total.sent_tokens += part.sent_tokens
        total.cached_tokens += part.cached_tokens
        total.written_tokens += part.written_tokens
    return total
