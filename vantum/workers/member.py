"""One worker among the others: what its server asks of them, and what they ask of it.

In the directory that the parent made for them (only this user can enter it) each has three Unix
sockets: `w0.connections` takes connections, `w0.health` says how it is, `w0.news` hears what the
others tell.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import h11
import trio
from attrs import define, frozen

from vantum.config.load import Loaded
from vantum.descriptors import LastingListener
from vantum.errors import ConfigError
from vantum.http import ReplayStream, request_address
from vantum.observe.logs import get_log
from vantum.workers.board import Board
from vantum.workers.handover import HandoverListener, NotTaken, hand_over, listen_privately
from vantum.workers.news import serve_news, tell
from vantum.workers.parent import Parent
from vantum.workers.routing import NEW, At, Here, Load, Nowhere, place_of, place_of_new

#: A worker that says nothing for so long does not count as well.
_HEALTH_S: Final = 1.0
#: One that takes nothing for so long is stuck; Twilio waits 15 s for an answer.
_HANDOVER_S: Final = 3.0
_MAX_HEALTH_BYTES: Final = 1 << 20
_UNAVAILABLE: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nRetry-After: 2\r\nContent-Length: %d\r\n\r\n%s"
)

_log = get_log("workers")

#: A bound port: the family and the address, as `socket` has them.
Address: TypeAlias = tuple[int, tuple[Any, ...]]
Health: TypeAlias = dict[str, Any]


@frozen
class Place:
    """Where a worker stands: its label among all, what it shares with them, and its port.

    `shares`: how many sessions each may hold, in the order of the labels.
    """

    label: str
    labels: tuple[str, ...]
    shares: tuple[int, ...]
    directory: Path
    addresses: tuple[Address, ...]

    def connections(self, label: str) -> Path:
        """Where that worker takes connections."""
        return self.directory / f"{label}.connections"

    def health(self, label: str) -> Path:
        """Where that worker says how it is."""
        return self.directory / f"{label}.health"

    def news(self, label: str) -> Path:
        """Where that worker is told something."""
        return self.directory / f"{label}.news"

    @property
    def others(self) -> tuple[str, ...]:
        """The labels of all but this one."""
        return tuple(label for label in self.labels if label != self.label)

    @property
    def board(self) -> Path:
        """Where all say how much they do."""
        return self.directory / "board"


@frozen
class Task:
    """What one worker is given: settings with its own share in them, and its place."""

    loaded: Loaded
    place: Place


@define(eq=False)
class Member:
    """A worker, as its own server sees it (`vantum.http.Neighbours`)."""

    place: Place
    board: Board
    parent: Parent

    @property
    def label(self) -> str:
        """Its own."""
        return self.place.label

    # ------------------------------------------------------------ connections

    @asynccontextmanager
    async def listeners(
        self,
    ) -> AsyncIterator[tuple[list[trio.SocketListener], HandoverListener]]:
        """Listen on the common port, and for what the others hand over.

        Raises:
            ConfigError: one of them cannot be bound.
        """
        async with AsyncExitStack() as stack:
            try:
                found = [_listen(address) for address in self.place.addresses]
                handed = HandoverListener(listen_privately(self.place.connections(self.label)))
            except OSError as error:
                raise ConfigError(f"worker {self.label} cannot listen: {error}") from error
            for listener in (*found, handed):
                stack.push_async_callback(trio.aclose_forcefully, listener)
            yield found, handed

    async def pass_on(self, request: h11.Request, stream: ReplayStream) -> bool:
        """Hand a connection to the worker that it is for; False: it is for us.

        What nobody takes is answered with 503.
        """
        path, _ = request_address(request)
        match place_of(path, self.place.labels):
            case At(label=label) if label != self.label:
                pass
            case Nowhere(label=label):
                _log.info("no such worker", wanted=label[:20])
                await _refuse(stream, "there is no such worker")
                return True
            case Here() if path in NEW:
                label = place_of_new(self.label, self._loads())
                if label == self.label:
                    return False
            case _:
                return False
        return await self._hand_to(label, path, stream)

    async def _hand_to(self, label: str, path: str, stream: ReplayStream) -> bool:
        why = "it did not take it in time"
        with trio.move_on_after(_HANDOVER_S):
            try:
                await hand_over(self.place.connections(label), stream)
                return True
            except NotTaken as error:
                why = str(error)
        _log.warning("a connection was not handed over", to=label, why=why)
        if path in NEW:
            return False  # we have more to do, but we are there
        await _refuse(stream, "the call's worker does not answer")
        return True

    def _loads(self) -> dict[str, Load]:
        shares = dict(zip(self.place.labels, self.place.shares, strict=True))
        return {
            label: Load(sessions, shares[label])
            for label, sessions in self.board.get().items()
            if sessions is not None
        }

    def count(self, sessions: int | None) -> None:
        """Tell the others how many sessions we hold; None: we take nothing new."""
        self.board.put(self.label, sessions)

    # ------------------------------------------------------------ news

    async def tell(self, message: bytes) -> None:
        """Tell the others; whoever does not listen within a second is passed over."""
        await tell(map(self.place.news, self.place.others), message)

    async def serve_news(
        self,
        take: Callable[[bytes], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Give `take` what the others tell, for ever."""
        await serve_news(self.place.news(self.label), take, task_status=task_status)

    # ------------------------------------------------------------ health

    async def serve_health(
        self,
        own: Callable[[], Health],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Tell whoever connects how this worker is, for ever."""

        async def tell(stream: trio.SocketStream) -> None:
            async with stream:
                try:
                    with trio.move_on_after(_HEALTH_S):
                        await stream.send_all(json.dumps(own()).encode())
                except trio.BrokenResourceError:
                    pass

        listener = listen_privately(self.place.health(self.label))
        async with listener:
            task_status.started()
            await trio.serve_listeners(tell, [LastingListener(listener)])

    async def everybody(self, own: Health) -> Health:
        """How all are: `own` is this worker's; the others are asked, and have a second."""
        found: dict[str, Health] = {self.label: own}

        async def ask(label: str) -> None:
            with trio.move_on_after(_HEALTH_S):
                if (health := await _ask(self.place.health(label))) is not None:
                    found[label] = health

        async with trio.open_nursery() as nursery:
            for label in self.place.others:
                nursery.start_soon(ask, label)
        return together(self.label, self.place.labels, found)


def together(label: str, labels: Sequence[str], found: dict[str, Health]) -> Health:
    """The health of all, as one of them says it: sums, and each by itself; `down`: not there."""
    workers = [{"worker": name, **found.get(name, {"status": "down"})} for name in labels]
    states = {worker["status"] for worker in workers}
    alive = [found[name] for name in labels if name in found]
    if states == {"ok"}:
        status = "ok"
    else:
        status = "draining" if states <= {"draining", "down"} else "degraded"
    by_state: Counter[str] = Counter()
    for health in alive:
        by_state.update(health["sessions"]["byState"])
    return {
        **found[label],
        "status": status,
        "worker": label,
        "sessions": {
            "active": sum(health["sessions"]["active"] for health in alive),
            "max": sum(health["sessions"]["max"] for health in alive),
            "byState": dict(by_state),
        },
        "workers": workers,
    }


async def _ask(path: Path) -> Health | None:
    try:
        async with await trio.open_unix_socket(path) as stream:
            data = bytearray()
            async for part in stream:
                data += part
                if len(data) > _MAX_HEALTH_BYTES:
                    return None
        health = json.loads(data)
    except (OSError, trio.BrokenResourceError, ValueError):
        return None
    return health if isinstance(health, dict) else None


async def _refuse(stream: ReplayStream, why: str) -> None:
    body = json.dumps({"error": why}).encode()
    await stream.send_all(_UNAVAILABLE % (len(body), body))
    await stream.leave()


def _listen(address: Address) -> trio.SocketListener:
    """Listen on a port that others of this user listen on too."""
    family, where = address
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        share_port(listening)
        listening.bind(where)
        listening.listen(65_535)  # the kernel has its own, lower limit
        return trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    except BaseException:
        listening.close()
        raise


def share_port(bound: socket.socket) -> None:
    """Let other sockets of this user have the same port; before `bind`."""
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
