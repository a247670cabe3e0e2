"""What `vantum-actors run --workers N` runs: the parent, and (as a program) one of its workers.

The parent serves nobody. It finds out that the port is free, keeps it, reads the settings once, and
hands them to its workers, each of which is a whole server on the same port.
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import attrs
import trio
from structlog.contextvars import bind_contextvars

from vantum.config import Settings
from vantum.config.declared import declared
from vantum.config.load import Loaded
from vantum.errors import ConfigError, VantumError, first_error
from vantum.models import prepare_models
from vantum.observe.logs import configure_logs
from vantum.running import Say, farewell, open_listeners, run_server
from vantum.signals import HANG_UP, end_signals
from vantum.workers.board import make_board, open_board
from vantum.workers.crew import Crew
from vantum.workers.member import Address, Member, Place, Task, share_port
from vantum.workers.parent import Parent
from vantum.workers.routing import labels_of, shares

#: What a worker may take longer to end than its own deadlines say.
_OVERTIME_S: Final = 5.0
_NEEDED: Final = ("AF_UNIX", "SO_REUSEPORT", "SCM_RIGHTS", "MSG_CMSG_CLOEXEC")


def worker_count(settings: Settings) -> int:
    """How many workers the settings ask for; 0 there means as many as cores."""
    return settings.server.workers or _cores()


def _cores() -> int:
    """Those that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


# ---------------------------------------------------------------- the parent


async def run_workers(loaded: Loaded, *, say: Say) -> int:
    """Serve with several processes until a signal (`end_signals`); a second one ends at once.

    Returns:
        The process's exit code: 0 after a polite end.

    Raises:
        ConfigError: a setting is wrong, the port is in use, or this platform cannot do it.
    """
    if missing := [name for name in _NEEDED if not hasattr(socket, name)]:
        raise ConfigError(
            f"several workers (server.workers, WORKERS) need Linux: there is no {missing[0]} here"
        )
    settings = loaded.settings
    configure_logs(settings.log.level, settings.log.format)
    labels = labels_of(worker_count(settings))
    _check_shares("server.max_sessions", settings.server.max_sessions, len(labels))
    if settings.twilio.max_lines:  # 0: as many as sessions
        _check_shares("twilio.max_lines", settings.twilio.max_lines, len(labels))
    with ExitStack() as stack:
        addresses = await _free_addresses(settings)
        for address in addresses:
            stack.enter_context(_kept(address))
        await prepare_models(settings, say)
        # Readable by this user only, and gone with the last of us.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vantum-")))
        tasks = _tasks(loaded, labels, directory, addresses)
        place = tasks[labels[0]].place
        make_board(place.board, labels)
        board = stack.enter_context(open_board(place.board, labels))
        crew = Crew(
            (sys.executable, "-m", "vantum.running_workers"),
            {label: pickle.dumps(task) for label, task in tasks.items()},
            down=lambda label: board.put(label, None),
        )
        busy = partial(_busy, board.get)
        await _serve(crew, settings, say, busy, directory)
    return 0


def _check_shares(name: str, total: int, workers: int) -> None:
    if total < workers:
        raise ConfigError(
            f"{name}={total} ({declared()[name].env}) must be at least the number of workers, "
            f"{workers} (WORKERS): it is divided among them"
        )


async def _serve(
    crew: Crew, settings: Settings, say: Say, busy: Callable[[], int], directory: Path
) -> None:
    """Run the workers until a signal."""
    server = settings.server
    grace_s = (server.grace_ms + server.send_timeout_ms) / 1000 + 1 + _OVERTIME_S
    with trio.open_signal_receiver(*end_signals()) as signals:
        async with trio.open_nursery() as nursery:

            async def greet() -> None:
                await crew.ready.wait()
                (first, *_) = crew.banners.values()
                say(_banner(first, len(crew.tasks)))

            async def obey() -> None:
                await anext(aiter(signals))
                say(farewell(busy(), server.grace_ms))
                nursery.start_soon(crew.stop, grace_s)
                async for number in signals:
                    if number != HANG_UP:  # at once means at once, as in a single process
                        crew.kill()
                        shutil.rmtree(directory, ignore_errors=True)
                        os._exit(1)

            nursery.start_soon(greet)
            nursery.start_soon(obey)
            await crew.run()
            nursery.cancel_scope.cancel()


def _busy(counts: Callable[[], dict[str, int | None]]) -> int:
    return sum(count or 0 for count in counts().values())


def _banner(first: str, workers: int) -> str:
    head, *rest = first.split("\n")
    return "\n".join([head, f"  {workers} workers", *rest])


def _tasks(
    loaded: Loaded, labels: tuple[str, ...], directory: Path, addresses: tuple[Address, ...]
) -> dict[str, Task]:
    """What each worker is given: sessions, phone lines and the embedded providers' threads are
    divided."""
    settings = loaded.settings
    each = shares(settings.server.max_sessions, len(labels))
    lines = shares(settings.twilio.max_lines, len(labels))
    threads = settings.local.threads or max(1, _cores() // len(labels))
    tasks = {}
    for label, share, own_lines in zip(labels, each, lines, strict=True):
        own = attrs.evolve(
            settings,
            server=attrs.evolve(settings.server, max_sessions=share),
            local=attrs.evolve(settings.local, threads=threads),
            twilio=attrs.evolve(settings.twilio, max_lines=own_lines),
        )
        place = Place(label, labels, each, directory, addresses)
        tasks[label] = Task(attrs.evolve(loaded, settings=own), place)
    return tasks


async def _free_addresses(settings: Settings) -> tuple[Address, ...]:
    """Where the workers are to listen: nobody else does.

    Bound alone for a moment: a port that is shared could be shared with a server that was
    forgotten, and each would get some of the calls.
    """
    listeners = await open_listeners(settings.server.host, settings.server.port)
    found = []
    for listener in listeners:
        found.append((int(listener.socket.family), listener.socket.getsockname()))
        await listener.aclose()
    return tuple(found)


@contextmanager
def _kept(address: Address) -> Iterator[None]:
    """Keep a port without listening: nobody else gets it while a worker is started again."""
    family, where = address
    with socket.socket(family, socket.SOCK_STREAM) as kept:
        share_port(kept)
        try:
            kept.bind(where)
        except OSError as error:
            raise ConfigError(f"cannot keep {where[0]}:{where[1]}: {error.strerror}") from error
        yield


# ---------------------------------------------------------------- one worker


def main(descriptor: int) -> int:
    """Be a worker: the parent's socket is that descriptor."""
    parent = Parent(socket.socket(fileno=descriptor))
    try:
        # Our own parent wrote it, into a socket that nobody else has.
        task: Task = pickle.loads(parent.task())  # noqa: S301
    except EOFError:
        return 0
    try:
        return trio.run(_work, parent, task)
    except* VantumError as group:
        parent.report(failed=str(first_error(group)))
    return 1


async def _work(parent: Parent, task: Task) -> int:
    bind_contextvars(worker=task.place.label)  # for every line of the log
    with open_board(task.place.board, task.place.labels) as board:
        member = Member(task.place, board, parent)
        return await run_server(
            task.loaded, say=lambda banner: parent.report(listens=banner), member=member
        )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
