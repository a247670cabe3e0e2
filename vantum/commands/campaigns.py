"""`campaign`: run one, look at it, stop it and let it go on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, TypeVar

import click
import trio

from vantum.commands.common import (
    complain,
    config_option,
    load,
    log_level_option,
    one_line_errors,
    say,
    say_if_heard,
    to_its_end,
    token_option,
)

T = TypeVar("T")


@click.group()
def campaign() -> None:
    """Call a list of prospects, one after the other, by rules."""


#: Option, key of the campaign's file, kind, metavar, help.
_RULES: tuple[tuple[str, str, Any, str, str], ...] = (
    ("--name", "name", str, "NAME", "What the campaign is called; of a list, its file's name."),
    ("--script", "script", str, "FILE", "The calls' script, in TOML."),
    ("--greeting", "greeting", str, "TEXT", "Said first; must say that an AI is speaking."),
    ("--voicemail", "voicemail", str, "TEXT", "Left on an answering machine."),
    ("--from", "from_number", str, "NUMBER", "The number that calls."),
    ("--timezone", "timezone", str, "ZONE", "Whose days the limits per day count."),
    ("--max-concurrent", "pace.max_concurrent", int, "NUMBER", "Calls at a time."),
    ("--calls-per-minute", "pace.calls_per_minute", float, "NUMBER", "The pace."),
    ("--ramp-minutes", "pace.ramp_minutes", float, "NUMBER", "Until the full pace."),
    ("--attempts", "limits.attempts", int, "NUMBER", "Calls to a prospect, at most."),
    ("--attempts-per-day", "limits.attempts_per_day", int, "NUMBER", "The same, in a day."),
    ("--calls-per-day", "limits.calls_per_day", int, "NUMBER", "Of all together; 0: any number."),
    ("--hours", "hours.windows", str, "09:00-17:00", "Prospects' local hours, comma-separated."),
    ("--days", "hours.days", str, "mon,tue,…", "Days of the week, comma-separated."),
    ("--start-date", "hours.start_date", str, "DATE", "The first day, in prospects' time."),
    ("--end-date", "hours.end_date", str, "DATE", "The last day."),
)


def _with_rules(command: Callable[..., Any]) -> Callable[..., Any]:
    for option, key, kind, metavar, text in reversed(_RULES):
        command = click.option(option, _parameter(key), type=kind, metavar=metavar, help=text)(
            command
        )
    return command


def _parameter(key: str) -> str:
    return "rule_" + key.replace(".", "_")


_name_argument = click.argument("target", metavar="NAME|FILE")


@campaign.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@_with_rules
@click.option(
    "--url", metavar="ADDRESS", default="", help="Call through a running server, not one of ours."
)
@token_option
@log_level_option
@config_option
@one_line_errors
def campaign_run(
    file: Path, config: Path | None, url: str, token: str, log_level: str | None, **rules: Any
) -> None:
    """Run the campaign of FILE (TOML), or call a list (CSV, JSON). It goes on where it stopped."""
    from vantum.campaigns.plan import PlanError
    from vantum.commands.campaign_run import Through, echo_error, run_campaign

    overrides = {key: rules[_parameter(key)] for _, key, *_ in _RULES}
    # What is of interest here is who was called.
    loaded = load(config, {"log.level": log_level}, least_logged="warning")
    work = partial(
        run_campaign,
        loaded,
        path=file,
        overrides=overrides,
        through=Through(url, token),
        say=say_if_heard,
        complain=echo_error,
    )
    try:
        code = trio.run(work)
    except* PlanError as group:
        _complain_of(group)
        code = 1
    sys.exit(code)


def _complain_of(group: BaseExceptionGroup[Any]) -> None:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            _complain_of(error)
        else:
            for problem in error.problems:
                complain(problem)


@campaign.command("status")
@click.argument("target", metavar="[NAME|FILE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@config_option
@one_line_errors
def campaign_status(target: str | None, as_json: bool, config: Path | None) -> None:
    """Say how far a campaign has come, or all of them."""
    from vantum.campaigns.report import read_report
    from vantum.campaigns.screen import status_line
    from vantum.campaigns.tables import campaign_names

    name = None if target is None else _name_of(target)
    now_s = time.time()

    def read(c: Connection) -> list[Any]:
        names = campaign_names(c) if name is None else [name]
        return [read_report(c, each, now_s) for each in names]

    reports = _in_database(config, read)
    if None in reports:
        _no_such(name)
    if as_json:
        say(json.dumps([each.to_json() for each in reports], indent=2))
        return
    for each in reports:
        say(status_line(each, now_s))
    if not reports:
        say("There is no campaign yet: vantum-actors campaign run FILE")


@campaign.command("report")
@_name_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="A line for each prospect.")
@config_option
@one_line_errors
def campaign_report(target: str, as_json: bool, as_csv: bool, config: Path | None) -> None:
    """Print what came of a campaign. Outcomes, time, cost, conversion, refusals, hours."""
    from vantum.campaigns.report import read_report
    from vantum.campaigns.screen import report_text

    name, now_s = _name_of(target), time.time()
    if as_csv:
        _echo_csv(config, name)
        return
    report = _in_database(config, lambda c: read_report(c, name, now_s))
    if report is None:
        _no_such(name)
    elif as_json:
        say(json.dumps(report.to_json(), indent=2))
    else:
        say(report_text(report, now_s))


def _echo_csv(config: Path | None, name: str) -> None:
    from vantum.campaigns.report import CSV_COLUMNS, csv_lines, csv_rows
    from vantum.campaigns.tables import campaign_of

    def read(c: Connection) -> bool:
        if campaign_of(c, name) is None:
            return False
        say(csv_lines([CSV_COLUMNS]), nl=False)
        after = (-1, "")
        while rows := csv_rows(c, name, after):
            say(csv_lines(row for _, row in rows), nl=False)
            after = rows[-1][0]
        return True

    if not _in_database(config, read):
        _no_such(name)


@campaign.command("pause")
@_name_argument
@config_option
@one_line_errors
def campaign_pause(target: str, config: Path | None) -> None:
    """Have nobody called any more until `campaign resume`. Calls that go on end by themselves."""
    _want(target, "pause", "paused", config)


@campaign.command("resume")
@_name_argument
@config_option
@one_line_errors
def campaign_resume(target: str, config: Path | None) -> None:
    """Let a campaign go on that was paused."""
    _want(target, "run", "resumed", config)


def _want(target: str, wanted: str, done: str, config: Path | None) -> None:
    from vantum.campaigns.lease import is_owned
    from vantum.campaigns.tables import Saved, campaign_of, want

    name = _name_of(target)

    def write(c: Connection) -> Saved | None:
        return campaign_of(c, name) if want(c, name, wanted) else None

    saved = _in_database(config, write)
    if saved is None:
        _no_such(name)
        return
    runs = is_owned(saved, time.time())
    say(f"{name}: {done}" + ("" if runs else f"; nobody runs it: campaign run {saved.source}"))


def _name_of(target: str) -> str:
    """The campaign's name: of its file, if it is one."""
    from vantum.campaigns.plan import LIST_SUFFIXES, read_plan

    path = Path(target)
    is_file = path.suffix.lower() in (".toml", *LIST_SUFFIXES)
    return read_plan(path).name if is_file and path.exists() else target


def _no_such(name: str | None) -> None:
    from vantum.campaigns.lease import NoSuchCampaign

    raise NoSuchCampaign(
        f"there is no campaign {name} in this database (vantum-actors campaign status lists them)"
    )


def _in_database(config: Path | None, work: Callable[[Connection], T]) -> T:
    from vantum.commands.campaign_run import campaigns_database

    settings = load(config).settings

    async def run() -> T:
        async with campaigns_database(settings) as database:
            return await database.run(work)

    return to_its_end(run)


GROUPS = (campaign,)
