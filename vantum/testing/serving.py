"""How a simulated peer listens: the same for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import trio


class Peer(Protocol):
    """A simulated provider that knows its own address."""

    base_url: str


_P = TypeVar("_P", bound=Peer)


async def serve_peer(
    peer: _P,
    serve_stream: Callable[[trio.SocketStream], Awaitable[object]],
    address: str,
    *,
    host: str,
    port: int,
    task_status: trio.TaskStatus[_P],
) -> None:
    """Serve each connection with `serve_stream` until cancelled; hand out `peer` when it listens.

    Args:
        peer: gets its `base_url`.
        address: that URL, with `{}` for host and port.
        host: name or address to listen on.
        port: 0 takes a free one.
        task_status: of `nursery.start`.

    Raises:
        OSError: the address cannot be had.
    """
    # A crowd of calls may connect at the same moment: room for all of them.
    listeners = await trio.open_tcp_listeners(port, host=host, backlog=1024)
    bound = listeners[0].socket.getsockname()[1]
    peer.base_url = address.format(f"[{host}]:{bound}" if ":" in host else f"{host}:{bound}")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve_stream, listeners)
        task_status.started(peer)


@asynccontextmanager
async def served(serve: Callable[..., Awaitable[Any]]) -> AsyncIterator[Any]:
    """What `serve` hands out, for the length of the block; leaving it closes every connection."""
    async with trio.open_nursery() as nursery:
        try:
            yield await nursery.start(serve)
        finally:
            nursery.cancel_scope.cancel()
