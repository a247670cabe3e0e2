"""Who may come in, and what is kept free for them."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from attrs import define

from vantum.config.base import Secret


@define(eq=False)
class Place:
    """A place that is held back for a session which is on its way; see `Server.reserve`.

    `freed` is called when it is given back.
    """

    _held_back: set[Place]
    _freed: Callable[[], None]

    @property
    def is_held(self) -> bool:
        """Whether it is still held back."""
        return self in self._held_back

    def release(self) -> None:
        """Give it back, unless the session has taken it."""
        self._held_back.discard(self)
        self._freed()


def listed_tokens(tokens: Secret) -> list[str]:
    """The tokens of a setting that holds several, separated by commas."""
    return [t for t in (part.strip() for part in tokens.reveal().split(",")) if t]


def is_listed(token: str, tokens: Secret) -> bool:
    """Whether the token is one of the setting's."""
    # All are compared, each in constant time: how long it takes says nothing.
    matches = [hmac.compare_digest(token.encode(), t.encode()) for t in listed_tokens(tokens)]
    return any(matches)
