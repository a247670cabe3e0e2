"""`simulate`: the simulated providers and the simulated Twilio, for trying a server by hand."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click
import trio
from attrs import frozen
from click.core import ParameterSource

from vantum.commands.common import one_line_errors, say
from vantum.errors import ConfigError

if TYPE_CHECKING:
    from vantum.running import Say
    from vantum.testing.twilio import Person, SimulatedTwilio

#: The recording that comes with the sources.
_EXAMPLE: Final = Path("examples/caller.wav")
_VOICE_PATH: Final = "/twilio/voice"


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on.",
)
@click.option("--twilio", is_flag=True, help="A Twilio too, with people to call and be called by.")
@click.option("--only-twilio", is_flag=True, help="A Twilio and no providers.")
@click.option(
    "--server",
    default="http://127.0.0.1:3001",
    show_default=True,
    metavar="URL",
    help="The server that is tried, as Twilio reaches it.",
)
@click.option(
    "--ring",
    metavar="URL",
    help="Call this voice webhook at once, and end with the call; "
    "fails unless both sides have spoken.",
)
@click.option(
    "--voice",
    "voices",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.wav",
    help="What the simulated people say, one file after each answer (may be repeated); "
    f"without it {_EXAMPLE}, if it is there.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("simulated-calls"),
    show_default=True,
    metavar="DIR",
    help="Where the calls' WAV files go.",
)
@one_line_errors
def simulate(twilio: bool, only_twilio: bool, ring: str | None, **options: Any) -> None:
    """Start simulated providers, and a telephone with `--twilio`. Deepgram, OpenAI and Cartesia;
    how to point a server at them is printed."""
    has_phone = twilio or only_twilio or ring is not None
    source = click.get_current_context().get_parameter_source
    for name, option in (("server", "--server"), ("voices", "--voice"), ("out", "--out")):
        if not has_phone and source(name) is not ParameterSource.DEFAULT:
            raise ConfigError(f"{option} is for phone calls: it needs --twilio or --only-twilio")
    _check_address("--server", options["server"])
    if ring is not None:
        _check_address("--ring", ring)
    run = partial(
        run_simulators,
        providers=not only_twilio,
        twilio=has_phone,
        ring=ring,
        say=say,
        **options,
    )
    sys.exit(trio.run(run))


def _check_address(option: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{option}: {url!r} is no address such as http://127.0.0.1:3001")


async def run_simulators(
    *,
    host: str,
    providers: bool,
    twilio: bool,
    server: str,
    ring: str | None,
    voices: Sequence[Path],
    out: Path,
    say: Say,
) -> int:
    """Run the simulations until SIGINT or SIGTERM, or the end of the call that `ring` asks for.

    What is said is input for a shell: `export` lines and comments.

    Returns:
        The process's exit code.

    Raises:
        ConfigError: the address cannot be used, a voice cannot be read, a package is missing.
    """
    from vantum.running import open_listeners
    from vantum.testing import simulated_providers

    # The peers take free ports; whether there are any is better said before they start.
    for listener in await open_listeners(host, 0, "--host"):
        await listener.aclose()
    async with AsyncExitStack() as stack:
        received = trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM)
        signals = aiter(stack.enter_context(received))
        environment: dict[str, str] = {}
        trial = None
        if providers:
            peers = await stack.enter_async_context(simulated_providers(host=host))
            environment |= peers.environment()
        if twilio:
            trial = await _Trial.open(stack, host, server.rstrip("/"), voices, out)
            environment |= trial.environment
        _explain(environment, providers, trial is not None, say)
        if trial is not None:
            return await trial.run(ring, signals, say)
        await anext(signals)
    return 0


def _explain(environment: Mapping[str, str], providers: bool, twilio: bool, say: Say) -> None:
    who = ["Deepgram", "OpenAI", "Cartesia"] * providers + ["Twilio"] * twilio
    named = " and ".join([", ".join(who[:-1]), who[-1]] if who[1:] else who)
    say(f"# Simulated {named} {'are' if who[1:] else 'is'} running, until Ctrl-C.")
    say("# Point a server at them: in another shell,")
    for name, value in environment.items():
        say(f"export {name}={shlex.quote(value)}")
    if not twilio:
        example = str(_EXAMPLE) if _EXAMPLE.exists() else "YOUR.wav"
        say(f"# then: vantum-actors run, or: vantum-actors replay {example}")


# ---------------------------------------------------------------- the telephone


@frozen
class _Trial:
    """A Twilio whose calls are told of, and somebody who calls the server."""

    twilio: SimulatedTwilio
    environment: Mapping[str, str]
    server: str
    caller: Person
    out: Path

    @staticmethod
    async def open(
        stack: AsyncExitStack, host: str, server: str, voices: Sequence[Path], out: Path
    ) -> _Trial:
        from vantum.replay import make_directory
        from vantum.testing.calls.voice import recording
        from vantum.testing.twilio import simulated_twilio, trial
        from vantum.testing.twilio.webhooks import compute_signature

        compute_signature("", "", {})  # whether it can is better said before the first call
        if not voices and _EXAMPLE.exists():
            voices = [_EXAMPLE]
        for voice in voices:
            try:
                recording(voice)
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                raise ConfigError(f"--voice {voice}: {why or 'cannot be read'}") from error
        script, caller = trial.trial_script(voices), trial.trial_caller(voices)
        make_directory(out)
        twilio = await stack.enter_async_context(simulated_twilio(script, host=host))
        environment = trial.trial_environment(twilio, server, out)
        return _Trial(twilio, environment, server, caller, out)

    async def run(self, ring: str | None, signals: AsyncIterator[int], say: Say) -> int:
        """Until a signal, or the report of the call that `ring` asks for: 0 if both have spoken."""
        from vantum.testing.twilio.trial import NUMBERS, PERSON, Reporter

        async with trio.open_nursery() as nursery:
            reporter = Reporter(nursery, self.out, say)
            self.twilio.exchange.watchers.append(reporter.watch)
            if ring is not None:
                nursery.start_soon(_until_signal, signals, nursery.cancel_scope)
                self.twilio.ring(ring, self.caller)
                await reporter.done.wait()
                nursery.cancel_scope.cancel()
                return 0 if reporter.heard else 1
            say("# then: vantum-actors run")
            say("# and in a third one, to have the server call somebody:")
            say(f"#   vantum-actors call {PERSON} --url {self.server}")
            for number, who in NUMBERS.items():
                say(f"#   {number} is {who}")
            say("# or press Enter here, and somebody calls the server.")
            say("# Each call ends in a WAV file of both sides.")
            nursery.start_soon(self._ring_on_enter)
            await anext(signals)
            nursery.cancel_scope.cancel()
        return 0 if ring is None else 1

    async def _ring_on_enter(self) -> None:
        """Call at each line of standard input, until it ends."""
        if not _may_read():
            return
        while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            self.twilio.ring(self.server + _VOICE_PATH, self.caller)


async def _until_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()


def _may_read() -> bool:
    """In the background of a terminal, to read from it would stop the process."""
    try:
        return not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # closed, or none
        return False
