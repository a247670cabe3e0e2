"""Who runs a campaign: one process at a time, for as long as it says that it is alive."""

from __future__ import annotations

import os
import socket
import sqlite3
import uuid
from typing import Final

from attrs import Factory, frozen

from vantum.campaigns.tables import Saved, campaign_of
from vantum.errors import VantumError

#: A process that has said nothing for so long has lost its campaign.
LEASE_S: Final = 30.0


class CampaignBusy(VantumError):
    """Another process runs the campaign; says which."""


class LeaseLost(VantumError):
    """Another process runs the campaign now: this one was silent for too long."""


class NoSuchCampaign(VantumError):
    """There is no campaign of that name in the database."""


def _token() -> str:
    return uuid.uuid4().hex


@frozen
class Owner:
    """A process that runs a campaign. `token` is another one for each run."""

    host: str = Factory(socket.gethostname)
    pid: int = Factory(os.getpid)
    token: str = Factory(_token)
    lease_s: float = LEASE_S


def take_lease(
    c: sqlite3.Connection, name: str, source: str, timezone: str, owner: Owner, now_s: float
) -> Saved:
    """Make the campaign if it is not there, and own it.

    Raises:
        CampaignBusy: another process owns it, and may be alive.
    """
    c.execute(
        "INSERT OR IGNORE INTO campaigns (name, source, created_s) VALUES (?, ?, ?)",
        (name, source, now_s),
    )
    saved = _saved(c, name)
    if is_owned(saved, now_s) and saved.owner != owner.token:
        left_s = saved.lease_until_s - now_s
        raise CampaignBusy(
            f"campaign {name} is being run by process {saved.pid} on {saved.host} "
            f"(if that is dead, its lease ends in {left_s:.0f} s)"
        )
    c.execute(
        "UPDATE campaigns SET owner = ?, host = ?, pid = ?, lease_until_s = ?, source = ?, "
        "timezone = ? WHERE name = ?",
        (owner.token, owner.host, owner.pid, now_s + owner.lease_s, source, timezone, name),
    )
    return _saved(c, name)


def keep_lease(c: sqlite3.Connection, name: str, owner: Owner, now_s: float) -> Saved:
    """Say that the owner is alive.

    Raises:
        LeaseLost: it is another's.
    """
    saved = _saved(c, name)
    if saved.owner != owner.token:
        who = f"process {saved.pid} on {saved.host}" if saved.owner else "another process"
        raise LeaseLost(f"campaign {name} was taken over by {who}: this one was silent too long")
    # Each time would be a write to the disk for every look at the queue.
    if saved.lease_until_s - now_s < owner.lease_s * 2 / 3:
        c.execute(
            "UPDATE campaigns SET lease_until_s = ? WHERE name = ?",
            (now_s + owner.lease_s, name),
        )
    return saved


def give_back(c: sqlite3.Connection, name: str, owner: Owner) -> None:
    """Let another process run it."""
    c.execute(
        "UPDATE campaigns SET owner = '', lease_until_s = 0 WHERE name = ? AND owner = ?",
        (name, owner.token),
    )


def is_owned(saved: Saved, now_s: float) -> bool:
    """Whether a process runs it that may be alive."""
    if not saved.owner or saved.lease_until_s <= now_s:
        return False
    return saved.host != socket.gethostname() or _is_alive(saved.pid)


def _saved(c: sqlite3.Connection, name: str) -> Saved:
    saved = campaign_of(c, name)
    if saved is None:
        raise NoSuchCampaign(f"there is no campaign {name} in this database")
    return saved


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
