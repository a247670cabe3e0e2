"""The audit log's file: appended to by several processes, checked by anybody.

Blocking; `vantum.compliance.audit` calls it in a thread. Each entry is on the disk before `append`
returns. Its head lies in a file of its own beside it (`audit.jsonl.head`) and is replaced after
each entry, under the same lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from vantum.core.audit_chain import Flaw, Head, add_line, new_head, next_head, read_head, write_head
from vantum.errors import AuditError

#: Others hold the lock for two or three writes to the disk.
_LOCK_S: Final = 5.0
_LOCK_RETRY_S: Final = 0.005
_TORN_SHOWN: Final = 200
_ADVICE: Final = "see `vantum-actors audit verify`"


@frozen
class Verified:
    """A log in which every line follows the one before, up to where we left it."""

    count: int
    hash: str
    first_at: str
    last_at: str


@frozen
class Broken:
    """What is wrong with a log.

    Attributes:
        line: the first line at fault, from 1; the number after the last one if lines are missing
            at the end; 0: the log as a whole.
        why: one sentence.
    """

    line: int
    why: str


@frozen
class FileJournal:
    """An audit log in a file. `key`: empty: anybody can check, and write, it."""

    path: Path
    key: bytes = field(default=b"", repr=False)

    @property
    def place(self) -> str:
        """What the log is called where somebody remembers its end."""
        return place_of_log(self.path)

    def append(self, event: str, data: Mapping[str, Any], at_s: float) -> None:
        """Add one entry.

        Raises:
            AuditError: it could not be written, or the log's end is not where we left it.
        """
        with self._locked() as file:
            head, torn = self._end(file)
            if torn:
                # Half a line would make the next one unreadable; what it was, the log keeps.
                os.ftruncate(file, head.size)
                head = self._write(file, head, "audit.torn_line", _described(torn), at_s)
            self._write(file, head, event, data, at_s)

    def head(self, seen: Head | None = None) -> Head:
        """The log's end, made sure of.

        Args:
            seen: an earlier end, from somewhere else than the log's own files.

        Raises:
            AuditError: the log's end is not where we left it, or cannot be read; or the log goes
                back to before `seen`.
        """
        with self._locked() as file:
            head = self._end(file)[0]
            if seen is not None:
                _check_seen(
                    head, seen, os.pread(file, seen.size - seen.start, seen.start), self.key
                )
            return head

    def _write(
        self, file: int, head: Head, event: str, data: Mapping[str, Any], at_s: float
    ) -> Head:
        line = add_line(head, event, data, at_s, self.key)
        _write_all(file, line)
        os.fsync(file)
        following = next_head(head, line, self.key)
        self._keep(following)
        return following

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The log, open and ours alone."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                _lock(file)
                yield file
            finally:
                os.close(file)  # and with it the lock
        except OSError as error:
            raise AuditError(
                f"the audit log {self.path} cannot be written: {error.strerror or error}"
            ) from None
        except Flaw as flaw:
            raise AuditError(
                f"the audit log {self.path} is not as we left it: {flaw}; {_ADVICE}"
            ) from None

    def _end(self, file: int) -> tuple[Head, bytes]:
        """The head, with what was written without it, and the beginning of a line that never was
        finished."""
        size = os.fstat(file).st_size
        head = self._kept()
        if head is None:
            if size:
                raise Flaw(f"its head, {head_path(self.path)}, is missing")
            head = new_head(self.key)
            self._keep(head)
        if size < head.size:
            raise Flaw(f"it has {size} bytes of {head.size}: its end was cut off")
        if head.count:
            _check_last(head, os.pread(file, head.size - head.start, head.start), self.key)
        rest = os.pread(file, size - head.size, head.size)
        line, end, torn = rest.partition(b"\n")
        if not end:
            return head, line
        # The process died after the entry was written, and before the head was.
        head = next_head(head, line + end, self.key)
        if b"\n" in torn:
            raise Flaw(f"there are lines behind entry {head.count} that we did not write")
        self._keep(head)
        return head, torn

    def _kept(self) -> Head | None:
        try:
            text = head_path(self.path).read_bytes()
        except FileNotFoundError:
            return None
        return read_head(text, self.key)

    def _keep(self, head: Head) -> None:
        """Replace the head: a power cut leaves the old one or the new one."""
        target = head_path(self.path)
        draft = target.with_name(target.name + ".new")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write_all(file, write_head(head, self.key))
            os.fsync(file)
        finally:
            os.close(file)
        draft.replace(target)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def verify(path: Path, key: bytes = b"", expect: Collection[str] = ()) -> Verified | Broken:
    """Check every line, and that the end is where we left it.

    Args:
        key: what the log is sealed with; empty: nothing.
        expect: hashes of entries that somebody noted down earlier: they must still be there.

    Raises:
        AuditError: there is no log, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            try:
                kept = head_path(path).read_bytes()
            except FileNotFoundError:
                return Broken(0, f"its head, {head_path(path)}, is missing")
            return _verify(file, kept, key, expect)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise AuditError(f"the audit log {path} cannot be read: {reason}") from None


def _verify(
    lines: Iterator[bytes], kept: bytes, key: bytes, expect: Collection[str]
) -> Verified | Broken:
    try:
        end = read_head(kept, key)
    except Flaw as flaw:
        return Broken(0, str(flaw))
    head, first_at, expected = new_head(key), "", {each.lower() for each in expect}
    for line in lines:
        try:
            if head == end and line.endswith(b"\n"):
                raise Flaw(
                    "the head does not know it: somebody added it, or the process died as it was "
                    "written (then the next entry takes it in)"
                )
            head = next_head(head, line, key)
        except Flaw as flaw:
            return Broken(head.count + 1, str(flaw))
        first_at = first_at or head.at
        expected.discard(head.hash)
    if head.count < end.count:
        return Broken(head.count + 1, f"the log ends here; the head knows {end.count} entries")
    if head != end:
        return Broken(head.count, "it is not the last entry that the head knows")
    if expected:
        missing = ", ".join(sorted(expected))
        return Broken(
            0,
            f"no entry has the expected hash {missing}: the log was written anew, or put back",
        )
    return Verified(head.count, head.hash, first_at, head.at)


def place_of_log(path: Path) -> str:
    """What a log is called where somebody remembers its end: its whole path."""
    return str(path.absolute())


def head_path(path: Path) -> Path:
    """Where a log's head lies."""
    return path.with_name(path.name + ".head")


def _check_seen(head: Head, seen: Head, line: bytes, key: bytes) -> None:
    """See that an earlier end is still in the log."""
    if head.count < seen.count:
        raise Flaw(
            f"it has {head.count} entries, and the database has seen {seen.count}: it was removed "
            "or put back to an older copy (to begin another log, give it another name)"
        )
    if seen.count:
        _check_last(seen, line, key)


def _check_last(head: Head, line: bytes, key: bytes) -> None:
    """See that the line that the head knows as the last one is still that line."""
    before = new_head(key)
    try:
        entry_prev = line.rpartition(b'"prev":"')[2][:64].decode()
        found = next_head(
            Head(before.alg, head.count - 1, entry_prev, 0, head.start, ""), line, key
        )
    except (Flaw, UnicodeDecodeError) as flaw:
        raise Flaw(f"entry {head.count}: {flaw}") from None
    if found != head:
        raise Flaw(f"entry {head.count}: it is not the last entry that the head knows")


def _described(torn: bytes) -> dict[str, Any]:
    return {
        "bytes": len(torn),
        "sha256": sha256(torn).hexdigest(),
        "text": torn[:_TORN_SHOWN].decode("ascii", "backslashreplace"),
    }


def _lock(file: int) -> None:
    until_s = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                raise
            time.sleep(_LOCK_RETRY_S)
        else:
            return


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
