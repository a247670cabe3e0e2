"""What the commands run: a server with its signals, a replay with its own server, simulators."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from starlette.routing import BaseRoute

from vantum import __version__
from vantum.admission import listed_tokens
from vantum.campaigns.tables import SCHEMA as CAMPAIGNS
from vantum.client import ClientError, connect
from vantum.config import Settings
from vantum.config.choices import Choice, provider_choices
from vantum.config.load import Loaded
from vantum.core.events import TurnDetection
from vantum.core.tools import Tool
from vantum.descriptors import SPARE, allow_descriptors
from vantum.errors import ConfigError, Role
from vantum.models import prepare_models
from vantum.observe.logs import configure_logs
from vantum.providers.registry import Providers, open_providers
from vantum.replay import Recording, Turn, load_recording, make_directory, replay_turn, save_answer
from vantum.screen import Screen, answer_line, table, waterfall
from vantum.server import ProspectOf, Server
from vantum.signals import HANG_UP, end_signals, ending_at_once
from vantum.telephony.desk import FIRST_LABEL, Desk, new_label, open_desk
from vantum.telephony.phone import Phone
from vantum.tools import check_tools, left_unused, load_tools
from vantum.wire.fields import Vocabulary
from vantum.workers.handover import HandoverListener
from vantum.workers.member import Member

Say = Callable[[str], Any]

#: The recording that comes with the sources.
_EXAMPLE = Path("examples/caller.wav")


# ---------------------------------------------------------------- listening


async def open_listeners(
    host: str, port: int, names: str = "HOST, PORT"
) -> Sequence[trio.SocketListener]:
    """Bind. `names` are those of the settings, for the error.

    Raises:
        ConfigError: the address cannot be used; says which and why.
    """
    if host.startswith("[") and host.endswith("]"):  # as it stands in addresses
        host = host[1:-1]
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        # A ValueError is a host name that cannot even be asked for.
        raise ConfigError(f"cannot listen on {_address(host, port)} ({names}): {why}") from error


@asynccontextmanager
async def _bound(host: str, port: int) -> AsyncIterator[Sequence[trio.SocketListener]]:
    async with AsyncExitStack() as stack:
        listeners = await open_listeners(host, port)
        for listener in listeners:
            stack.push_async_callback(trio.aclose_forcefully, listener)
        yield listeners


@asynccontextmanager
async def _bound_for(
    settings: Settings, member: Member | None
) -> AsyncIterator[tuple[Sequence[trio.SocketListener], Sequence[HandoverListener]]]:
    """What a server listens on, and what other workers hand connections over to."""
    if member is not None:
        async with member.listeners() as (listeners, handed):
            yield listeners, (handed,)
        return
    async with _bound(settings.server.host, settings.server.port) as listeners:
        yield listeners, ()


@asynccontextmanager
async def _signals() -> AsyncIterator[AsyncIterator[int]]:
    with trio.open_signal_receiver(*end_signals()) as signals:
        yield signals


def listening_url(listeners: Sequence[trio.SocketListener]) -> str:
    """Where a client on this machine connects."""
    host, port, *_ = listeners[0].socket.getsockname()
    # Trio's sockets of one family take no connections of the other.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"ws://{_address(host, port)}/ws"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@asynccontextmanager
async def open_server(
    settings: Settings,
    providers: Providers,
    *,
    routes: Sequence[BaseRoute] = (),
    tools: Sequence[Tool] = (),
    prospect: ProspectOf | None = None,
    host: str | None = None,
    port: int | None = None,
    desk: Desk | None = None,
    began: Callable[[Server], None] | None = None,
) -> AsyncIterator[str]:
    """Serve while the body runs, and hang up on everybody after it. Gives the WebSocket's address.

    Args:
        providers: from `open_providers`, or your own.
        routes: further HTTP routes on the same port.
        tools: what the model may call (`vantum.tools`), besides the built-in ones and those that
            the settings name.
        prospect: finds out who is on the line from the query of a client's URL, such as
            `ws://…/ws?lead=42`; see `Server`.
        host, port: instead of those of the settings; port 0 takes a free one.
        desk: from `vantum.telephony.desk.open_desk`, to place calls with; without it the server
            has one of its own, if the settings ask for a phone.
        began: is given the server before it listens; its `sessions` has each call's conductor, by
            the session's id, for as long as the call lasts.

    Raises:
        ConfigError: the address cannot be used, a tool that the settings name is none, two tools
            have the same name, or what the phone needs is not installed.
    """
    tools = (*load_tools(settings.tools.load_paths), *tools)
    check_tools(tools)
    where = (
        settings.server.host if host is None else host,
        settings.server.port if port is None else port,
    )
    async with AsyncExitStack() as stack:
        listeners = await stack.enter_async_context(_bound(*where))
        if desk is None:
            desk = await stack.enter_async_context(open_desk(settings, label=new_label()))
        nursery = await stack.enter_async_context(trio.open_nursery())
        routes = (*desk.phone.routes, *routes)
        server = Server(settings, providers, routes, tools, prospect, doors=desk.phone.doors)
        desk.attach(server)
        if began is not None:
            began(server)
        await nursery.start(server.serve, listeners)
        yield listening_url(listeners)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- run


async def run_server(loaded: Loaded, *, say: Say, member: Member | None = None) -> int:
    """Serve until a signal (`end_signals`); then end politely. A second one ends at once.

    Args:
        member: the others, if this process is one of several workers; the parent has looked to
            the models, and says when to end.

    Returns:
        The process's exit code: 0 after a polite end.
    """
    settings = loaded.settings
    configure_logs(settings.log.level, settings.log.format)
    choices = provider_choices(settings, loaded.origins)
    allow_descriptors(_most_descriptors(settings, choices))
    tools = load_tools(settings.tools.load_paths)
    check_tools(tools)
    label = FIRST_LABEL if member is None else member.label
    async with (
        _bound_for(settings, member) as (listeners, handed),
        open_desk(settings, label=label, beside=[CAMPAIGNS]) as desk,
    ):
        if member is None:
            await prepare_models(settings, say)
        async with open_providers(settings) as providers, trio.open_nursery() as nursery:
            phone = desk.phone
            server = Server(
                settings, providers, phone.routes, tools, doors=phone.doors, neighbours=member
            )
            desk.attach(server, member)
            if member is not None:
                await nursery.start(member.serve_health, lambda: server.health()[0])
                await nursery.start(member.serve_news, desk.take_news)
            async with _signals() if member is None else member.parent.asked() as signals:
                accepting = await nursery.start(server.serve, [*listeners, *handed])
                _settle_memory()
                notices = phone.notice, left_unused(tools, choices["llm"].provider)
                say(_banner(listening_url(listeners), choices, notices))
                await anext(aiter(signals))
                accepting.cancel()
                for listener in (*listeners, *handed):
                    await listener.aclose()
                nursery.start_soon(_drain, server, desk, nursery.cancel_scope)
                say(farewell(len(server.sessions), settings.server.grace_ms))
                async for number in signals:
                    if number != HANG_UP:
                        os._exit(1)  # at once means at once: no clean-up that could hang
    return 0


def _most_descriptors(settings: Settings, choices: Mapping[Role, Choice]) -> int:
    """A session has its client's connection, and one to each provider elsewhere."""
    each = 1 + sum(choice.provider != "local" for choice in choices.values())
    return SPARE + each * settings.server.max_sessions


def _settle_memory() -> None:
    """Keep the collector from walking through what stays for the life of the process.

    Hundreds of thousands of objects are there before the first call (mostly the libraries'), and a
    full collection of them stops every call for tens of milliseconds. What calls leave behind is
    little and mostly freed by its last reference, so it is looked for less often too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _drain(server: Server, desk: Desk, everything: trio.CancelScope) -> None:
    desk.drain()
    await server.drain()
    everything.cancel()


def _banner(url: str, choices: Mapping[Role, Choice], notices: Iterable[str]) -> str:
    return "\n".join(
        [
            *_where(url, choices),
            *filter(None, notices),
            f"Try it:  vantum-actors replay {_a_recording()} --url {url}",
            "Stop it: Ctrl-C",
        ]
    )


def _a_recording() -> str:
    return str(_EXAMPLE) if _EXAMPLE.exists() else "YOUR.wav"


def _where(url: str, choices: Mapping[Role, Choice]) -> list[str]:
    http = url.replace("ws", "http", 1).removesuffix("/ws")
    roles: dict[Role, str] = {"stt": "recognises", "llm": "thinks", "tts": "speaks"}
    return [
        f"Vantum {__version__} is listening on {url}",
        f"  health          {http}/health",
        *(f"  {role} {roles[role]:<11} {name}: {why}" for role, (name, why) in choices.items()),
    ]


def farewell(sessions: int, grace_ms: int) -> str:
    """What is said when the server goes down with so many sessions."""
    if not sessions:
        return "Shutting down …"
    return (
        f"Shutting down: {sessions} session{'s' if sessions > 1 else ''}, answers in progress may "
        f"finish within {grace_ms / 1000:g} s (again to end at once) …"
    )


# ---------------------------------------------------------------- replay


async def run_replay(
    loaded: Loaded,
    *,
    files: Sequence[Path],
    url: str | None,
    token: str,
    voice: str | None,
    events: Vocabulary,
    turn_detection: TurnDetection,
    speed: float,
    out: Path,
    say: Say,
) -> int:
    """Replay recordings in one call, to a server of our own if there is no `url`.

    Returns:
        0: every recording was answered with speech of the model's own.

    Raises:
        ClientError: one was not, or a file or the server is no good; what was measured before is
            printed.
    """
    settings = loaded.settings
    recordings = [load_recording(path) for path in files]
    make_directory(out)
    configure_logs(settings.log.level, settings.log.format)
    turns: list[Turn] = []
    async with AsyncExitStack() as stack:
        if url is None:
            await prepare_models(settings, say)
            providers = await stack.enter_async_context(ending_at_once(open_providers(settings)))
            # One token is as good as another: the server is ours.
            token = next(iter(listed_tokens(settings.server.auth_tokens)), "")
            # Nobody calls it: it needs no phone, whatever the settings say.
            own = open_server(settings, providers, host="127.0.0.1", port=0, desk=Desk(Phone()))
            url = await stack.enter_async_context(own)
            say("\n".join(_where(url, provider_choices(settings, loaded.origins))))
        try:
            async with connect(url, vocabulary=events, token=token) as client:
                for number, recording in enumerate(recordings, 1):
                    say(f"\n{_title(recording)}")
                    with Screen(say, recording.wav.duration_s / speed) as screen:
                        turn = await replay_turn(
                            client,
                            recording,
                            voice_id=voice,
                            turn_detection=turn_detection,
                            speed=speed,
                            show=screen.show,
                        )
                    turns.append(turn)
                    path = f": {save_answer(turn, out, number)}" if turn.answer else ""
                    say(f"  {answer_line(turn)}{path}")
        except ClientError:
            if turns:
                _say_times(turns, say)
            raise
        _say_times(turns, say)
    _complain_of_unanswered(turns)
    return 0


def _complain_of_unanswered(turns: Sequence[Turn]) -> None:
    if names := [turn.name for turn in turns if not turn.is_answered]:
        raise ClientError(f"no answer of the model's own to {', '.join(names)}")


def _say_times(turns: Sequence[Turn], say: Say) -> None:
    say("\n" + table(turns))
    if fall := waterfall(turns):
        say("\nWhere the time went, in milliseconds, as the server measured it:\n\n" + fall)


def _title(recording: Recording) -> str:
    wav, file_rate_hz = recording.wav, recording.file_rate_hz
    rates = f"{wav.sample_rate_hz} Hz"
    if file_rate_hz is not None:
        rates = f"{file_rate_hz} Hz (sent at {rates})"
    # A file of some milliseconds is mostly a mistake: it should not look like an empty one.
    length = (
        f"{wav.duration_s:.1f} s" if wav.duration_s >= 0.1 else f"{wav.duration_s * 1000:.1f} ms"
    )
    return f"{recording.name}: {length} at {rates}"
