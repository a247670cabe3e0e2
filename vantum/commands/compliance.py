"""`audit`, `do-not-call` and `consent`: whom we may call, and the record of it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vantum.commands.common import config_option, load, one_line_errors, say, to_its_end
from vantum.screen import one_line

if TYPE_CHECKING:
    from vantum.compliance.lists import Lists
    from vantum.config import Settings


def _with_lists(config: Path | None, work: Callable[[Lists], Awaitable[None]]) -> None:
    """Run `work` with the lists of the settings' database."""
    from vantum.compliance.audit import open_audit
    from vantum.compliance.check import SCHEMA
    from vantum.compliance.lists import Lists
    from vantum.storage.database import open_database

    settings = load(config).settings

    async def run() -> None:
        async with open_database(settings.storage.location, [SCHEMA]) as database:
            await work(Lists(database, await open_audit(settings)))

    to_its_end(run)


def _seen(settings: Settings, log: Path) -> str:
    """The hash of the log's last entry that the database has seen; empty: none."""
    from vantum.compliance.check import SCHEMA
    from vantum.compliance.journal import place_of_log
    from vantum.compliance.store import audit_seen
    from vantum.storage.database import open_database

    if settings.storage.is_in_memory or not settings.storage.file.exists():
        return ""

    async def run() -> str:
        async with open_database(settings.storage.location, [SCHEMA]) as database:
            head = await database.run(lambda c: audit_seen(c, place_of_log(log)))
        return head.hash if head is not None and head.count else ""

    return to_its_end(run)


def _day(at_s: float | None) -> str:
    return "never" if at_s is None else f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M}"


@click.group()
def audit() -> None:
    """The audit log of every decision about a call."""


@audit.command("verify")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--expect",
    metavar="HASH",
    default="",
    help="The hash of an entry, noted down earlier: it must still be there.",
)
@config_option
@one_line_errors
def audit_verify(config: Path | None, file: Path | None, expect: str) -> None:
    """Check that no entry was changed, removed or added. Without FILE, in the settings' log.

    What the settings' database has seen of it must be there, too.
    """
    from vantum.compliance.journal import Verified, verify

    settings = load(config).settings
    path = file or settings.compliance.audit_path(settings.storage.file)
    key = settings.compliance.audit_key.reveal().encode()
    match verify(path, key, {expect.strip(), _seen(settings, path)} - {""}):
        case Verified(0):
            say(f"{path}: no entries")
        case Verified() as whole:
            say(f"{path}: {whole.count} entries, {whole.first_at} to {whole.last_at}")
            say(f"head {whole.hash}")
        case broken:
            where = f"line {broken.line}: " if broken.line else ""
            click.echo(f"{path}: {where}{broken.why}", err=True)
            sys.exit(1)


@click.group("do-not-call")
def do_not_call() -> None:
    """Numbers that are never called. Who said so, and whom you know of."""


@do_not_call.command("add")
@click.argument("number")
@click.option(
    "--source", metavar="TEXT", default="command line", show_default=True, help="Why it is there."
)
@config_option
@one_line_errors
def do_not_call_add(config: Path | None, number: str, source: str) -> None:
    """Put NUMBER on the list."""

    async def work(lists: Lists) -> None:
        added = await lists.block(number, source)
        say("added" if added else "was on the list already")

    _with_lists(config, work)


@do_not_call.command("remove")
@click.argument("number")
@click.option(
    "--reason", metavar="TEXT", required=True, help="Why it may be called again; for the audit log."
)
@config_option
@one_line_errors
def do_not_call_remove(config: Path | None, number: str, reason: str) -> None:
    """Take NUMBER off the list."""

    async def work(lists: Lists) -> None:
        await lists.unblock(number, reason)
        say("removed")

    _with_lists(config, work)


@do_not_call.command("list")
@config_option
@one_line_errors
def do_not_call_list(config: Path | None) -> None:
    """Print the list: number, since when (UTC), and why."""

    async def work(lists: Lists) -> None:
        for each in await lists.blocked():
            say(f"{each.number}  {_day(each.added_s)}  {one_line(each.source)}")

    _with_lists(config, work)


@do_not_call.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@one_line_errors
def do_not_call_import(config: Path | None, file: Path) -> None:
    """Put the numbers of FILE on the list. Text or CSV, the number in the first column."""

    async def work(lists: Lists) -> None:
        count, added = await lists.block_file(file)
        say(f"{count} numbers, {added} of them new")

    _with_lists(config, work)


@click.group()
def consent() -> None:
    """Who has agreed to be called, and how we know."""


@consent.command("add")
@click.argument("number")
@click.option("--person", metavar="TEXT", required=True, help="Who has agreed.")
@click.option("--how", metavar="TEXT", required=True, help="How, and where the proof is.")
@click.option("--obtained", metavar="DATE", required=True, help="When, such as 2026-05-03.")
@click.option(
    "--scope", metavar="NAME", default="", help="The campaign that it is for; without: any call."
)
@click.option("--expires", metavar="DATE", default="", help="Until when; without: for good.")
@config_option
@one_line_errors
def consent_add(config: Path | None, **given: str) -> None:
    """Record that somebody agreed to be called at NUMBER."""
    from vantum.compliance.lists import consent_of

    record = consent_of(**given)

    async def work(lists: Lists) -> None:
        added = await lists.consent(record)
        say("added" if added else "was on record already; what is revoked stays so")

    _with_lists(config, work)


@consent.command("revoke")
@click.argument("number")
@click.option("--reason", metavar="TEXT", required=True, help="Why; for the audit log.")
@config_option
@one_line_errors
def consent_revoke(config: Path | None, number: str, reason: str) -> None:
    """Revoke all consents of NUMBER."""

    async def work(lists: Lists) -> None:
        say(f"{await lists.revoke(number, reason)} revoked")

    _with_lists(config, work)


@consent.command("list")
@click.option("--number", metavar="NUMBER", default="", help="Only this number's.")
@config_option
@one_line_errors
def consent_list(config: Path | None, number: str) -> None:
    """Print the consents. Number, who, for what, from when until when (UTC), and how."""

    async def work(lists: Lists) -> None:
        for each in await lists.consents(number):
            end = f"revoked {_day(each.revoked_s)}" if each.revoked_s else _day(each.expires_s)
            say(
                f"{each.number}  {one_line(each.person)}  {one_line(each.scope)}  "
                f"{_day(each.obtained_s)} to {end}  {one_line(each.how)}"
            )

    _with_lists(config, work)


@consent.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@one_line_errors
def consent_import(config: Path | None, file: Path) -> None:
    """Record the consents of FILE. CSV with number, person, how, obtained, scope, expires."""

    async def work(lists: Lists) -> None:
        count, added = await lists.consent_file(file)
        say(f"{count} consents, {added} of them new")

    _with_lists(config, work)


GROUPS = (audit, do_not_call, consent)
