"""What all commands share: settings, and errors of one line."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from vantum.config.load import Loaded, load_settings
from vantum.errors import VantumError

NAME = "vantum-actors"
#: What ends a command without being a bug; a broken pipe is `| head`.
_EXPECTED = (VantumError, KeyboardInterrupt, BrokenPipeError)

#: Which option sets what, as an error line names it.
_OPTIONS = {
    "server.host": "--host",
    "server.port": "--port",
    "server.workers": "--workers",
    "stt.provider": "--stt",
    "llm.provider": "--llm",
    "tts.provider": "--tts",
    "prompts.script_file": "--script",
    "tools.load": "--tools",
    "log.level": "--log-level",
}

P = ParamSpec("P")
R = TypeVar("R")


def one_line_errors(command: Callable[P, R]) -> Callable[P, R]:
    """What goes wrong on purpose is one line on standard error, never a stack."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except _EXPECTED as error:
            causes: list[BaseException] = [error]
        except BaseExceptionGroup as group:
            causes = _leaves(group)
            if not all(isinstance(c, _EXPECTED) for c in causes):
                raise
        sys.exit(_explain(causes))

    return run


def _explain(causes: Sequence[BaseException]) -> int:
    """Say what went wrong, each thing once; the exit code."""
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return 130
    for line in dict.fromkeys(str(c) for c in causes if not isinstance(c, BrokenPipeError)):
        complain(line)
    if any(isinstance(cause, BrokenPipeError) for cause in causes):
        _print_no_more()
    return 1


def _print_no_more() -> None:
    """Nobody gets what we print: what is left of it must not be tried again at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(text: str, *, nl: bool = True) -> None:
    """Print a line.

    Raises:
        BrokenPipeError: nobody reads any more.
        VantumError: it cannot be written, as on a full disk.
    """
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:
        raise
    except OSError as error:
        _print_no_more()
        raise VantumError(f"what is printed cannot be written: {error.strerror}") from error


def say_if_heard(text: str) -> None:
    """The same for what holds calls: they go on, whoever does not read what is printed."""
    try:
        click.echo(text)
    except OSError:
        _print_no_more()


def to_its_end(work: Callable[[], Awaitable[R]]) -> R:
    """What `work` gives. A signal cancels it, so that nothing is left half done, and ends the
    program with 128 plus its number."""
    import trio

    from vantum.signals import until_signal

    if threading.current_thread() is not threading.main_thread():
        return trio.run(work)  # signals are not for other threads
    results: list[R] = []

    async def run() -> int:
        results.append(await work())
        return 0

    if code := trio.run(until_signal, run):
        sys.exit(code)
    return results[0]


def a_number(low: float, high: float) -> Callable[[click.Context, click.Parameter, str], float]:
    """What reads an option's text as a number from `low` to `high`."""

    def read(_context: click.Context, _option: click.Parameter, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan  # which is in no range
        if not low <= value <= high:
            raise click.BadParameter(f"{text}: must be a number from {low:g} to {high:g}")
        return value

    return read


def complain(text: str) -> None:
    """One line on standard error."""
    from vantum.screen import one_line

    with suppress(OSError):
        click.echo(f"vantum-actors: {one_line(text)}", err=True)


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def load(
    config: Path | None,
    overrides: Mapping[str, object] | None = None,
    *,
    least_logged: str | None = None,
) -> Loaded:
    """The settings of the environment, a file and the command line (None: not given); warnings
    are printed.

    Args:
        least_logged: the level of the log where nobody has chosen one.

    Raises:
        ConfigError: see `load_settings`.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    loaded = load_settings(os.environ, config, given, _OPTIONS)
    if least_logged is not None and loaded.origins["log.level"] == "default":
        loaded = load_settings(os.environ, config, given | {"log.level": least_logged}, _OPTIONS)
    for warning in loaded.warnings:
        complain(warning)
    return loaded


token_option = click.option(
    "--token",
    envvar="VANTUM_API_TOKEN",
    default="",
    metavar="TEXT",
    help="One of that server's API_TOKENS.",
)
log_level_option = click.option(
    "--log-level", metavar="LEVEL", help="Least that is logged: debug, info, warning, error."
)
config_option = click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="A TOML file with settings."
)
