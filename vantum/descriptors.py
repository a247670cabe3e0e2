"""File descriptors: as many as the sessions may need, and accepting connections without one.

Whoever connects while there is none waits in the kernel's queue; calls that go on are not touched.
"""

from __future__ import annotations

import errno
import sys
from math import inf
from typing import Final, Generic, TypeVar

import trio
from attrs import define, field

from vantum.observe.logs import get_log

if sys.platform != "win32":  # which has no such limit
    import resource

T = TypeVar("T", bound=trio.abc.AsyncResource)

#: Connections that are no session, the database, libraries, and what ends a moment later.
SPARE: Final = 256
#: Between two tries: short for who waits, long for a processor that could do nothing else.
_AGAIN_S: Final = 0.1
#: Whoever reads the log is told again so often.
_TELL_S: Final = 30.0

_RAISE: Final = "raise the limit (ulimit -n, LimitNOFILE=) or lower MAX_SESSIONS"
_WHAT: Final = {
    errno.EMFILE: ("this process has no file descriptor left", _RAISE),
    errno.ENFILE: ("this machine has no file descriptor left", "raise its limit (fs.file-max)"),
    errno.ENOBUFS: ("the kernel has no memory left for a socket", "free some memory"),
    errno.ENOMEM: ("the kernel has no memory left for a socket", "free some memory"),
}

_log = get_log("server")


def allow_descriptors(wanted: int) -> None:
    """Raise this process's soft limit to `wanted`, as far as the hard one lets us; say in the log
    if it does not."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    except (OSError, ValueError):  # macOS has a limit behind the limit
        most = soft
    if most < wanted:
        _log.warning("all sessions may need more file descriptors", limit=most, wanted=wanted)


def _limit() -> int | None:
    return None if sys.platform == "win32" else resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@define(eq=False)
class LastingListener(trio.abc.Listener[T], Generic[T]):
    """Accepts from another listener. Where nothing can be accepted for now, it says so, waits, and
    says when it goes on."""

    inner: trio.abc.Listener[T]
    #: When it was said that nothing can be accepted; and whether it is to be said that it can.
    _told_s: float = field(default=-inf, init=False)
    _stands: bool = field(default=False, init=False)

    async def accept(self) -> T:
        """The next connection."""
        while True:
            try:
                accepted = await self.inner.accept()
            except OSError as error:
                if error.errno not in _WHAT:
                    raise
                self._cannot(error.errno)
                await trio.sleep(_AGAIN_S)
            else:
                self._can_again()
                return accepted

    def _cannot(self, number: int) -> None:
        # Also where it can and cannot in turn: what is short-lived gives its descriptor back.
        if trio.current_time() < self._told_s + _TELL_S:
            return
        self._told_s, self._stands = trio.current_time(), True
        why, what_to_do = _WHAT[number]
        limit = {"limit": _limit()} if number == errno.EMFILE else {}
        _log.error("no connection can be accepted", why=why, what_to_do=what_to_do, **limit)

    def _can_again(self) -> None:
        if self._stands:
            self._stands = False
            _log.info("connections are accepted again")

    async def aclose(self) -> None:
        """Stop listening."""
        await self.inner.aclose()
