"""Which processes have a database open: nobody changes its tables under somebody's feet.

Each process that opens a file holds a shared lock on a second file beside it (flock) for as long.
Whoever has to change tables that are there needs that lock alone, and refuses if he cannot have it.
The system takes a lock back when its process ends, however that comes, so none is ever stale.

Locks are taken and given within a transaction that holds SQLite's write lock, so of two processes
that open a file at once neither is in the other's way.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from vantum.errors import ConfigError

#: Linux's list of all locks, with the process and the inode of each.
_LOCKS: Final = Path("/proc/locks")


@frozen
class Users:
    """Our part in it, from `register` to `leave`."""

    _file: int

    def is_alone(self) -> bool:
        """Whether nobody else has the database open; then nobody can open it before `join`."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def join(self) -> None:
        """We use it, and others may."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def others(self) -> str:
        """Who else has it open, as far as this system tells: "processes 17, 18"."""
        inode, found = os.fstat(self._file).st_ino, set[str]()
        try:
            lines = _LOCKS.read_text().splitlines()
        except OSError:
            lines = []
        for line in lines:
            match line.split():
                # 7: FLOCK  ADVISORY  READ 4242 fd:01:393 0 EOF
                case [_, "FLOCK", _, _, pid, where, *_] if where.endswith(f":{inode}"):
                    found.add(pid)
        known = sorted((pid for pid in found if pid.isdigit() and pid != "0"), key=int)
        if not known:
            return "another process"
        return f"process{'es' if len(known) > 1 else ''} {', '.join(known)}"

    def leave(self) -> None:
        """We do not use it any more."""
        os.close(self._file)


def register(path: str | Path, kind: str = "users") -> Users:
    """For the database of this name; holds nothing yet. Raises `OSError`.

    `kind`: one of several locks that a database has.
    """
    database = Path(path).resolve()  # by whatever name: it is one file
    beside = database.with_name(f"{database.name}-{kind}")
    return Users(os.open(beside, os.O_RDWR | os.O_CREAT, 0o600))


@contextmanager
def only_one(path: str | Path, name: str) -> Iterator[None]:
    """While the body runs, nobody else has this name with the database; for names of which there
    are few.

    Raises:
        ConfigError: somebody has it.
    """
    users = register(path, name)
    try:
        if not users.is_alone():
            raise ConfigError(
                f"storage.path={path}: {users.others()} is a server with this database already "
                f"({name}), and would lose its calls to a second one of that name; give this one "
                "another PORT, or another VANTUM_DATABASE"
            )
        yield
    finally:
        users.leave()
