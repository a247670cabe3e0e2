"""Who may come in, and what is kept free for them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence

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


def is_admitted(tokens: Secret, authorization: str, query: Mapping[str, Sequence[str]]) -> bool:
    """Whether a client may come in: it brings one of the tokens, or none is asked for.

    Args:
        tokens: the setting.
        authorization: the header's value. What is no `Bearer` is for a proxy, not for us.
        query: the address's; of several with the name `token`, the last one counts.
    """
    kind, _, token = authorization.partition(" ")
    in_header = token.strip() if kind.lower() == "bearer" else ""
    in_query = query.get("token", [""])[-1]
    return not tokens or is_listed(in_header, tokens) or is_listed(in_query, tokens)


def most_frames_per_s(messages_per_s: int) -> float:
    """How many WebSocket frames of any kind a client of so many messages a second may send.

    A message may come in pieces, and pings between them, but not for ever: a flood of frames that
    are no messages would take the other calls' time as well as one of messages.
    """
    return max(1000.0, 10.0 * messages_per_s)
