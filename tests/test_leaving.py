"""What the server says last arrives, whatever the peer is still sending."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import cast

import pytest
import trio
import trio.lowlevel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from trio.testing import memory_stream_pair

from tests.test_server import a_server
from tests.test_server_edges import UPGRADE
from vantum.http import ReplayStream, http_config, serve_http

#: More than the server reads at once, and more than the kernel would take unread.
MUCH = bytes(2_000_000)
MASK = bytes(4)
WEBSOCKET = b"GET /ws HTTP/1.1\r\n" + UPGRADE


async def all_said(url: str, sent: bytes) -> bytes:
    """What comes until the server ends the connection; raises if it resets it."""
    host, port = url.removeprefix("ws://").removesuffix("/ws").split(":")
    said = bytearray()
    async with (
        await trio.open_tcp_stream(host, int(port)) as stream,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream.send_all, sent)
        async for part in stream:
            said += part
    return bytes(said)


@pytest.mark.parametrize(
    ("frames", "goodbye"),
    [
        (b"\xc2\x80" + MASK + MUCH, b"\x03\xeareserved bits must be 0"),
        (b"\x82\xff" + len(MUCH).to_bytes(8, "big") + MASK + MUCH, b"\x03\xf1frame with 2000000"),
        (b"\x88\x82" + MASK + b"\x03\xe8" + MUCH, b"\x03\xe8"),
        ((b"\x82\x80" + MASK) * 100_000, b"\x11Mtoo many messages"),
    ],
    ids=["broken", "large", "closed", "flood"],
)
async def test_the_goodbye_of_a_websocket_arrives(frames: bytes, goodbye: bytes) -> None:
    async with a_server() as running:
        said = await all_said(running.url, WEBSOCKET + frames)
        assert goodbye in said[-80:]
        await running.no_sessions()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", b"405"),
        (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"\x16\x03\x01\r\n", b"400"),
        (WEBSOCKET.replace(b"Version: 13", b"Version: 12"), b"426"),
        (b"GET /nowhere HTTP/1.1\r\n" + UPGRADE, b"404"),
    ],
    ids=["body", "surplus", "no http", "old websocket", "websocket elsewhere"],
)
async def test_the_answer_to_a_request_arrives(
    head: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with a_server() as running:
        said = await all_said(running.url, head + MUCH)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_a_peer_that_says_nothing_is_left_soon(autojump_clock: trio.abc.Clock) -> None:
    ours, theirs = memory_stream_pair()
    await ReplayStream(cast(trio.SocketStream, ours), b"").leave()
    assert 1 < trio.current_time() < 5
    assert await theirs.receive_some() == b"", "it hears that we have done"


async def test_a_peer_that_says_all_there_is_is_left_in_the_middle() -> None:
    ours, theirs = memory_stream_pair()
    sent = 0

    async def send_for_ever() -> None:
        nonlocal sent
        while True:
            await theirs.send_all(bytes(16_384))
            sent += 16_384
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_for_ever)
        await ReplayStream(cast(trio.SocketStream, ours), b"").leave()
        nursery.cancel_scope.cancel()
    assert 1_000_000 < sent < 100_000_000


class _Socket:
    """As far as Hypercorn looks at one."""

    family = socket.AF_INET

    def getpeername(self) -> tuple[str, int]:
        return "127.0.0.1", 1

    getsockname = getpeername


async def served_for(request: bytes, drip: bytes = b"") -> bytes:
    """What comes for a request, in virtual time, where its parts may take 10 s.

    `drip` is sent every 9 s behind it, for ever.
    """

    async def slow(request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(5):
                await trio.sleep(8)
                yield b"piece"

        return StreamingResponse(pieces())

    async def read(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{len(await request.body())} bytes")

    routes = [Route("/slow", slow, methods=["GET", "POST"]), Route("/read", read, methods=["POST"])]
    app = Starlette(routes=routes)
    ours, theirs = memory_stream_pair()
    ours.socket = _Socket()  # type: ignore[attr-defined]
    said = bytearray()
    async with trio.open_nursery() as nursery:
        stream = ReplayStream(cast(trio.SocketStream, ours), b"")
        nursery.start_soon(serve_http, app, http_config(), stream, 10.0)
        await theirs.send_all(request)
        if drip:
            nursery.start_soon(_drip, theirs, drip)
        async for part in theirs:
            said += part
        nursery.cancel_scope.cancel()
    return bytes(said)


async def _drip(stream: trio.abc.SendStream, drip: bytes) -> None:
    while True:
        await trio.sleep(9)
        await stream.send_all(drip)


async def test_an_answer_may_take_longer_than_a_request(autojump_clock: trio.abc.Clock) -> None:
    said = await served_for(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert said.count(b"piece") == 5
    assert said.endswith(b"0\r\n\r\n")


async def test_a_request_whose_body_does_not_come_is_given_up(
    autojump_clock: trio.abc.Clock,
) -> None:
    head = b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    assert (await served_for(head)).count(b"piece") < 5
    assert trio.current_time() < 40


#: A client's first words in HTTP/2: its preface and empty SETTINGS (RFC 9113, section 3.4).
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
_HTTP2_PING = bytes.fromhex("000008060000000000") + bytes(8)


@pytest.mark.parametrize(
    ("request_bytes", "drip"),
    [
        (b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"a"),
        (_HTTP2, _HTTP2_PING),
    ],
    ids=["body", "http2"],
)
async def test_a_request_that_comes_drop_by_drop_is_given_up(
    request_bytes: bytes, drip: bytes, autojump_clock: trio.abc.Clock
) -> None:
    """Nobody has to show a token for it, and each holds a file descriptor."""
    with trio.fail_after(100):
        assert b"bytes" not in await served_for(request_bytes, drip)
    assert trio.current_time() > 30, "a slow line has its time"


async def test_a_slow_request_is_answered(autojump_clock: trio.abc.Clock) -> None:
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    assert (await served_for(head, b"a")).endswith(b"3 bytes")
