"""Where things are kept that outlive the process."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from vantum.config.base import setting

#: SQLite's own word for a database that is gone when the process ends.
IN_MEMORY = ":memory:"


@frozen
class StorageSettings:
    """What is kept: calls, the do-not-call list, consents, campaigns."""

    path: str = setting(
        "",
        "The SQLite file, made if it is not there; empty: `vantum.sqlite3` in the user's data "
        "directory (`~/.local/share/vantum`, or where the XDG base directories are); `:memory:`: "
        "kept only while the process runs.",
        env="VANTUM_DATABASE",
    )

    @property
    def is_in_memory(self) -> bool:
        """Whether nothing is kept."""
        return self.path.strip() == IN_MEMORY

    @property
    def location(self) -> str | Path:
        """What `open_database` takes."""
        return IN_MEMORY if self.is_in_memory else self.file

    @property
    def file(self) -> Path:
        """The database's file; what else is kept without a place of its own lies beside it."""
        given = self.path.strip()
        return Path(given).expanduser() if given else data_home() / "vantum.sqlite3"


def data_home() -> Path:
    """This user's directory for our data; it need not exist."""
    home = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification: a relative path there is to be ignored.
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local" / "share"
    return base / "vantum"
