"""The audit log: every decision about a call, so that nobody can change it unnoticed.

What is written down: permits, refusals with their reasons, dials, opt-outs, and whatever is put on
or taken off the do-not-call list and the consents. Numbers stand in it in full: it is evidence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import trio
from attrs import define, field

from vantum.compliance.journal import Broken, FileJournal, Verified, verify
from vantum.config import Settings
from vantum.core.audit_chain import Head, add_line, new_head, next_head
from vantum.errors import AuditError

__all__ = ["AuditLog", "Broken", "MemoryJournal", "Verified", "open_audit", "verify"]


class Journal(Protocol):
    """Where entries go. Both raise AuditError."""

    def append(self, event: str, data: Mapping[str, Any], at_s: float) -> None:
        """Add one entry; it is kept when this returns."""
        ...

    def head(self) -> Head:
        """The log's end."""
        ...


@define(eq=False)
class MemoryJournal:
    """An audit log that is gone when the process ends: the same chain, in `lines`."""

    lines: list[bytes] = field(factory=list, init=False)
    _head: Head = field(factory=partial(new_head, b""), init=False)

    def append(self, event: str, data: Mapping[str, Any], at_s: float) -> None:
        """Add one entry."""
        line = add_line(self._head, event, data, at_s, b"")
        self._head = next_head(self._head, line, b"")
        self.lines.append(line)

    def head(self) -> Head:
        """The log's end."""
        return self._head


@define(eq=False)
class AuditLog:
    """The audit log as the rest of the server sees it. `now_s`: seconds since 1970."""

    journal: Journal
    _now_s: Callable[[], float] = time.time
    _limiter: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, 1), init=False)

    async def append(self, event: str, **fields: Any) -> None:
        """Write one entry; it is on the disk when this returns.

        Args:
            event: what happened, such as `permit.issued`.
            fields: values that JSON has.

        Raises:
            AuditError: it could not be written, or somebody has changed the log's end.
        """
        await self._do(partial(self.journal.append, event, fields, self._now_s()))

    async def last_at_s(self) -> float:
        """When the last entry was written, in seconds since 1970; 0: there is none.

        Raises:
            AuditError: the log cannot be read, or somebody has changed its end.
        """
        head: Head = await self._do(self.journal.head)
        return head.at_s

    async def _do(self, work: Callable[[], Any]) -> Any:
        if isinstance(self.journal, MemoryJournal):
            # Without a thread, so that a virtual clock stands still meanwhile.
            await trio.lowlevel.checkpoint()
            return work()
        return await trio.to_thread.run_sync(work, limiter=self._limiter)


async def open_audit(settings: Settings, now_s: Callable[[], float] = time.time) -> AuditLog:
    """The audit log that the settings ask for: in memory if the database is and no file is named.

    Raises:
        AuditError: it cannot be written, or its end is not what we left there.
    """
    compliance, storage = settings.compliance, settings.storage
    if storage.is_in_memory and not compliance.audit_file.strip():
        return AuditLog(MemoryJournal(), now_s)
    path = compliance.audit_path(storage.file)
    audit = AuditLog(FileJournal(path, compliance.audit_key.reveal().encode()), now_s)
    try:
        await audit.last_at_s()
    except AuditError as error:
        raise AuditError(f"{error} (compliance.audit_file, AUDIT_FILE)") from None
    return audit
