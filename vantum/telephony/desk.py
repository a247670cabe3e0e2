"""What a server with a phone opens, and in which order: what is kept, who may be called, Twilio's
REST API, the calls.

Without a phone nothing of it is there: no file, no client, no task.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio
import uuid_utils
from attrs import define

from vantum.compliance import check
from vantum.compliance.audit import open_audit
from vantum.compliance.check import Compliance
from vantum.config import Settings
from vantum.observe.logs import get_log
from vantum.storage.database import IN_MEMORY, Database, open_database
from vantum.storage.migrations import Schema
from vantum.storage.users import only_one
from vantum.telephony import callbacks, records
from vantum.telephony.abilities import Abilities
from vantum.telephony.calls import Calls, Means, Places
from vantum.telephony.heeding import Heeding
from vantum.telephony.invitations import Invitations
from vantum.telephony.lifecycle import watch_turns
from vantum.telephony.news import Elsewhere, parse_news
from vantum.telephony.phone import Phone, has_phone, missing_for_rest, new_phone, no_phone
from vantum.telephony.records import CallRecords

if TYPE_CHECKING:
    import httpx2

#: The process that serves alone, or the first of several.
FIRST_LABEL: Final = "w0"
#: Labels of those that are none begin with this.
_PASSING: Final = "t"

_log = get_log("phone")


@define
class Desk:
    """What belongs to a phone; all but `phone` is None without one."""

    phone: Phone
    calls: Calls | None = None
    compliance: Compliance | None = None
    database: Database | None = None
    abilities: Abilities | None = None

    def attach(self, places: Places, elsewhere: Elsewhere | None = None) -> None:
        """Where the sessions of calls are held: the server that the phone's routes are part of;
        and the other processes of it, if there are any."""
        if self.calls is not None:
            self.calls.places, self.calls.elsewhere = places, elsewhere

    def take_news(self, message: bytes) -> None:
        """Another process of this server tells of a call that it does not have."""
        if self.calls is not None and (news := parse_news(message)) is not None:
            self.calls.heed(news)

    def drain(self) -> None:
        """No further calls; those that ring are given up."""
        if self.calls is not None:
            self.calls.drain()


def new_label() -> str:
    """For a process that is no server started to stay: a label that no other has."""
    return f"{_PASSING}{uuid_utils.uuid4().hex[:8]}"


def _owner(settings: Settings, label: str) -> str:
    """By what name a process has its calls in the database. Several servers may share one: each has
    its own port, and the same one when it starts again."""
    return label if label.startswith(_PASSING) else f"{label}-{settings.server.port}"


def _new_id() -> str:
    return str(uuid_utils.uuid7())


@asynccontextmanager
async def open_desk(
    settings: Settings,
    *,
    label: str = FIRST_LABEL,
    now_s: Callable[[], float] = time.time,
    new_id: Callable[[], str] = _new_id,
    transport: httpx2.AsyncBaseTransport | None = None,
    beside: Sequence[Schema] = (),
) -> AsyncIterator[Desk]:
    """The desk that these settings ask for. At its end all calls are ended.

    Args:
        label: of this process among those of its server: the calls that one of the same label and
            port had when it died are closed now.
        now_s: the time of day, in seconds.
        new_id: makes UUIDs of version 7.
        transport: what Twilio's REST API is reached through instead of the network.
        beside: tables of rooms that we do not use, brought up to date with ours: as long as we
            have the file open, nobody else may change those that are there.

    Raises:
        ConfigError: what it needs is not installed, not set, or cannot be opened; or a server of
            this label and port has the database already.
    """
    if not has_phone(settings):
        yield Desk(no_phone(settings))
        return
    async with AsyncExitStack() as stack:
        schemas = (check.SCHEMA, records.SCHEMA, callbacks.SCHEMA, *beside)
        storage = settings.storage
        where = IN_MEMORY if storage.is_in_memory else storage.file
        database = await stack.enter_async_context(open_database(where, schemas))
        owner = _owner(settings, label)
        if not storage.is_in_memory and owner != label:
            stack.enter_context(only_one(where, owner))
        audit = await open_audit(settings, now_s)
        compliance = check.open_compliance(settings, database, audit, now_s=now_s)
        kept = CallRecords(database, owner)
        if closed := await kept.close_abandoned(now_s(), former=label):
            _log.warning("calls were live when their process stopped", calls=closed)
        missing, carrier = missing_for_rest(settings), None
        if not missing:
            from vantum.telephony.twilio_rest import open_twilio

            carrier = await stack.enter_async_context(open_twilio(settings.twilio, transport))
        means = Means(settings, compliance, kept, carrier, missing, new_id, now_s, label)
        async with trio.open_nursery() as nursery:
            calls = Calls(means, nursery)
            invitations = Invitations.of(settings.twilio, label, now_s)
            heeding = Heeding(calls, compliance, settings.compliance.opt_out_reply)
            nursery.start_soon(heeding.run)
            nursery.start_soon(watch_turns, calls)
            abilities = Abilities.of(settings, calls, compliance, database, invitations, now_s)
            phone = new_phone(settings, calls, abilities, invitations)
            yield Desk(phone, calls, compliance, database, abilities)
            nursery.cancel_scope.cancel()
