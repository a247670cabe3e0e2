"""Lines: how many phone calls there may be at once. A line is a lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define

from vantum.errors import VantumError


class NoLine(VantumError):
    """All lines are taken, or the server goes down."""


@define(eq=False)
class Lines:
    """At most `most` leases at once. `closed`: no further ones."""

    most: int
    taken: int = 0
    closed: bool = False

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[None]:
        """A line, for as long as the body runs.

        Raises:
            NoLine: says why there is none.
        """
        if self.closed:
            raise NoLine("the server is going down")
        if self.taken >= self.most:
            raise NoLine(f"all {self.most} phone lines are taken")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
