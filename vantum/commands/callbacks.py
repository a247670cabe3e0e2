"""`callbacks`: who wants to be called back, and calling them."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vantum.commands.common import (
    complain,
    config_option,
    load,
    one_line_errors,
    say,
    say_if_heard,
    to_its_end,
    token_option,
)
from vantum.screen import one_line

if TYPE_CHECKING:
    from vantum.telephony.callbacks import Callback, Callbacks


def _with_callbacks(config: Path | None, work: Callable[[Callbacks], Awaitable[None]]) -> None:
    """Run `work` with the wishes in the settings' database."""
    import time
    from uuid import uuid4

    from vantum.storage.database import open_database
    from vantum.telephony.callbacks import SCHEMA, Callbacks

    settings = load(config).settings

    async def run() -> None:
        async with open_database(settings.storage.location, [SCHEMA]) as database:
            await work(Callbacks(database, time.time, new_id=lambda: str(uuid4())))

    to_its_end(run)


def _line(callback: Callback) -> str:
    who = " ".join(filter(None, (callback.prospect.name, callback.prospect.company)))
    made = f"call {callback.made_call_id}" if callback.made_call_id else ""
    parts = (callback.id, callback.wanted, callback.number, callback.state, made, who)
    return "  ".join(one_line(part) for part in (*parts, callback.note) if part)


@click.group()
def callbacks() -> None:
    """Who wants to be called back, and when."""


@callbacks.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those taken up or called off.")
@config_option
@one_line_errors
def callbacks_list(config: Path | None, everything: bool) -> None:
    """Print the wishes, soonest first. A line has id, time, number, state, the call that was made
    for it, who, what about."""

    async def work(found: Callbacks) -> None:
        for callback in await found.list(*(() if everything else ("waiting",))):
            say(_line(callback))

    _with_callbacks(config, work)


@callbacks.command("cancel")
@click.argument("callback_id", metavar="ID")
@config_option
@one_line_errors
def callbacks_cancel(config: Path | None, callback_id: str) -> None:
    """Call a wish off that nobody has taken up yet."""
    missing = False

    async def work(found: Callbacks) -> None:
        nonlocal missing
        missing = not await found.cancel(callback_id)

    _with_callbacks(config, work)
    if missing:
        complain(f"no callback {callback_id} waits (see: vantum-actors callbacks list --all)")
        sys.exit(1)


@callbacks.command("run")
@click.option(
    "--url",
    required=True,
    metavar="ADDRESS",
    help="The running server that calls, such as http://127.0.0.1:3001.",
)
@token_option
@click.option(
    "--script",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The calls' script, in TOML; else the server's.",
)
@click.option("--watch", is_flag=True, help="Go on, and call whoever becomes due, until Ctrl-C.")
@one_line_errors
def callbacks_run(url: str, token: str, script: Path | None, watch: bool) -> None:
    """Call the server's callbacks whose time has come. One after the other, each once, whoever else
    looks."""
    import time
    from uuid import uuid4

    from vantum.campaigns.remote import open_remote
    from vantum.campaigns.remote_wishes import RemoteWishes
    from vantum.config.prompts import read_script, read_text
    from vantum.telephony.calling_back import call_back

    if script is not None:
        read_script(script)  # what is wrong with it is better said before the first call
    text = "" if script is None else read_text(script)

    def tell(line: str) -> None:
        say_if_heard(one_line(line))

    async def run() -> None:
        async with open_remote(url, token, text) as dialler:
            wishes = RemoteWishes(dialler.http, f"callbacks run {uuid4()}")
            await call_back(wishes, dialler, now_s=time.time, say=tell, watch=watch)

    to_its_end(run)
