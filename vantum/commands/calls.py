"""`call`: place one phone call and watch it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from vantum.commands.common import (
    config_option,
    load,
    log_level_option,
    one_line_errors,
    say_if_heard,
    token_option,
)


@click.command()
@click.argument("number", metavar="NUMBER")
@click.option(
    "--prospect",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Who that is: JSON or TOML with name, company, industry, timezone and extra.",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The call's script, in TOML; else the server's.",
)
@click.option(
    "--greeting", default="", metavar="TEXT", help="Said first; must say that an AI is speaking."
)
@click.option("--voicemail", default="", metavar="TEXT", help="Left on an answering machine.")
@click.option("--from", "from_number", default="", metavar="NUMBER", help="The number that calls.")
@click.option(
    "--url",
    default="",
    metavar="ADDRESS",
    help="A running server, such as http://127.0.0.1:3001; without it one is started for the call.",
)
@token_option
@log_level_option
@config_option
@one_line_errors
def call(config: Path | None, log_level: str | None, **options: Any) -> None:
    """Call NUMBER, such as +12125550123, and print what is said. Ctrl-C hangs up."""
    from vantum.commands.call_run import run_call

    # What is of interest here is the call.
    loaded = load(config, {"log.level": log_level}, least_logged="warning")
    sys.exit(trio.run(partial(run_call, loaded, say=say_if_heard, **options)))
