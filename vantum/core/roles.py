"""News of a session's recogniser and synthesiser. Pure."""

from __future__ import annotations

from attrs import frozen

from vantum.errors import ErrorKind, Role


@frozen
class RoleReady:
    """The recogniser (for this language) or the synthesiser of this session is ready."""

    role: Role
    language: str | None = None


@frozen
class RoleLost:
    """It cannot be reached, at the start or in mid-call.

    `for_good`: nobody tries again before the client's next `audio.input.start`.
    """

    role: Role
    kind: ErrorKind
    message: str
    language: str | None = None
    for_good: bool = False
