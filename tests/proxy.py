"""A small HTTP proxy on a real socket, for tests of those who connect through one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
from attrs import define, field

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


@define(eq=False)
class SmallProxy:
    """It knows CONNECT only, and finds every host on 127.0.0.1.

    Attributes:
        port: where it listens.
        wants: the `Proxy-Authorization` that it asks for; empty: none.
        answer: what it says to a request that it carries out; None: nothing, ever.
        heads: the requests that came.
        open: tunnels that are open.
    """

    port: int = 0
    wants: bytes = b""
    answer: bytes | None = ESTABLISHED
    heads: list[bytes] = field(factory=list)
    open: int = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        with suppress(*GONE):
            async with stream:
                await self._serve(stream)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = await stream.receive_some()
            if not data:
                return
            head += data
        self.heads.append(head)
        method, target, _ = head.split(b" ", 2)
        if self.wants and b"\r\nProxy-Authorization: %s\r\n" % self.wants not in head:
            await stream.send_all(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\n\r\n")
        elif method != b"CONNECT":
            await stream.send_all(b"HTTP/1.1 405 Tunnels only\r\nContent-Length: 0\r\n\r\n")
        elif self.answer is None:
            await trio.sleep_forever()
        elif self.answer != ESTABLISHED:
            await stream.send_all(self.answer)
        else:
            there = await trio.open_tcp_stream("127.0.0.1", int(target.rpartition(b":")[2]))
            await stream.send_all(ESTABLISHED)
            await self._relay(stream, there)

    async def _relay(self, one: trio.abc.Stream, other: trio.abc.Stream) -> None:
        self.open += 1
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_on, one, other, nursery.cancel_scope)
                nursery.start_soon(_pass_on, other, one, nursery.cancel_scope)
        finally:
            self.open -= 1
            await trio.aclose_forcefully(other)


async def _pass_on(
    source: trio.abc.Stream, target: trio.abc.Stream, both: trio.CancelScope
) -> None:
    with suppress(*GONE):
        while data := await source.receive_some():
            await target.send_all(data)
    both.cancel()


@asynccontextmanager
async def small_proxy(certificate: ssl.SSLContext | None = None) -> AsyncIterator[SmallProxy]:
    """Serve one on a free port while the body runs; with a certificate, over TLS."""
    proxy = SmallProxy()
    async with trio.open_nursery() as nursery:
        (tcp,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = tcp.socket.getsockname()[1]
        listener: trio.abc.Listener[trio.abc.Stream] = tcp
        if certificate is not None:
            listener = trio.SSLListener(tcp, certificate, https_compatible=True)
        nursery.start_soon(partial(trio.serve_listeners, proxy.serve, [listener]))
        yield proxy
        nursery.cancel_scope.cancel()


def set_proxies(monkeypatch: pytest.MonkeyPatch, **named: str) -> None:
    """Let the environment name these proxies and no others."""
    for name in ("http", "https", "all", "no"):
        for variable in (f"{name}_proxy", f"{name}_PROXY".upper()):
            monkeypatch.delenv(variable, raising=False)
    for name, value in named.items():
        monkeypatch.setenv(f"{name}_PROXY".upper(), value)
