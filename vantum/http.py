"""The HTTP side of the port: routes by Starlette, the protocol by Hypercorn.

`build_app` takes further routes, so that a new page or webhook is one `Route` in a list. The
connection was looked at before it came here (was it a WebSocket?), which is why Hypercorn gets
single connections instead of a socket to listen on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

import h11
import trio
from attrs import define, field
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from vantum.backlog import unread
from vantum.tcp import quick, send_now

if TYPE_CHECKING:
    from vantum.server import Server

#: A request's head that is larger is refused by Hypercorn; we only need to see the head.
MAX_HEAD_BYTES = 65_536

#: What a target begins with that a client made for a proxy.
_AUTHORITY = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)

#: Codes for programs, of requests under `/v1/` that no route takes.
_CODES = {404: "no_such_path", 405: "wrong_method"}

#: How many times longer than for its next part a request may take as a whole: a body on a slow line
#: has its time, and one that comes drop by drop does not hold a descriptor for ever.
_WHOLE_AFTER = 6

#: For what is still to be done when nothing more comes of a connection.
_FAREWELL_S = 1.0
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

#: A peer that goes on sending is read for so long, and so much, behind our last word: what a client
#: sends before it looks at an answer, and no more than a session may cost in that time anyway.
_LEAVE_S = 2.0
_LEAVE_BYTES = 16 * 1024 * 1024
_READ_BYTES = 16_384


@define
class ReplayStream(trio.abc.HalfCloseableStream):
    """A TCP stream from which some bytes were read already: they are read again first."""

    stream: trio.SocketStream
    seen: bytes
    _quick: trio.abc.HalfCloseableStream = field(init=False)

    @_quick.default
    def _read_and_written_with_less(self) -> trio.abc.HalfCloseableStream:
        return quick(self.stream)

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket below, for the peer's address."""
        return self.stream.socket

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """First what was seen, then what comes."""
        if self.seen:
            size = len(self.seen) if max_bytes is None else max_bytes
            data, self.seen = self.seen[:size], self.seen[size:]
            return data
        return bytes(await self._quick.receive_some(max_bytes))

    def send_now(self, data: bytes) -> int:
        """What can be sent without a wait."""
        return send_now(self._quick, data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Pass on."""
        await self._quick.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Pass on."""
        await self.stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Pass on."""
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Pass on."""
        await self.stream.aclose()

    async def leave(self) -> None:
        """Nothing more comes from us; read on, and drop what is read, until the peer is done too.

        A socket that is closed with unread bytes in it, or gets more, resets the connection, and
        what was said last may be lost on its way (RFC 9112, section 9.6; RFC 6455, section 7.1.1).
        A peer that goes on for long is not read to its end.
        """
        left = _LEAVE_BYTES
        with trio.move_on_after(_LEAVE_S), suppress(OSError, *_GONE):
            await self.stream.send_eof()
            while left > 0 and (data := await self.stream.receive_some(_READ_BYTES)):
                left -= len(data)


@define
class _OneRequest(trio.abc.HalfCloseableStream):
    """A connection as Hypercorn gets it: with one request, and without its end.

    We answer one request a connection. Hypercorn would take a second one that is there before the
    first is answered for a breach of the protocol, and hang up instead of answering either. So what
    comes behind the first is dropped.

    `timeout_s`: between two reads of the request; all of it may take `_WHOLE_AFTER` times as long.
    Behind it nothing is awaited but the peer's end, however long the answer takes. What is no plain
    HTTP/1 never is behind it.

    `over`: nothing more will come, because the peer has gone or Hypercorn has done. `is_whole`: all
    of the request was read. `_parser`: None as soon as this is no plain HTTP/1 and everything is
    passed on.
    """

    stream: ReplayStream
    timeout_s: float
    over: trio.Event = field(factory=trio.Event, init=False)
    is_whole: bool = field(default=False, init=False)
    _whole_at_s: float = field(init=False)
    _is_closed: bool = field(default=False, init=False)
    _waiting: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    _parser: h11.Connection | None = field(
        factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES),
        init=False,
    )

    @_whole_at_s.default
    def _count_from_now(self) -> float:
        return trio.current_time() + _WHOLE_AFTER * self.timeout_s

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket below, for the peer's address."""
        return self.stream.socket

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What belongs to the request."""
        while data := await self._next(max_bytes):
            if part := self._part(data):
                return part
        return b""

    async def _next(self, max_bytes: int | None) -> bytes:
        data = b""
        try:
            with trio.move_on_at(self._next_by_s()) as self._waiting:
                self._check_open()
                data = await self.stream.receive_some(max_bytes)
        except _GONE:
            self.over.set()
            raise
        self._check_open()
        if self._waiting.cancelled_caught:
            raise trio.TooSlowError
        if not data:
            self.over.set()
        return data

    def _next_by_s(self) -> float:
        """When more must have come, on trio's clock."""
        if self.is_whole:
            return inf
        return min(trio.current_time() + self.timeout_s, self._whole_at_s)

    def _part(self, data: bytes) -> bytes:
        """What of the next bytes belongs to the request."""
        parser = self._parser
        if parser is None or self.is_whole:
            return b"" if self.is_whole else data
        try:
            parser.receive_data(data)
            while (event := parser.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Request) and _is_no_plain_request(event):
                    self._parser = None
                    break
                if isinstance(event, h11.EndOfMessage):
                    self.is_whole = True
                    return data[: len(data) - len(parser.trailing_data[0])]
        except h11.RemoteProtocolError:
            self._parser = None  # Hypercorn says so
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Pass on."""
        self._check_open()
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Pass on."""
        await self.stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Hypercorn has done, and closes next; an answer that ends may cancel it in between."""
        self._check_open()
        self._finish()
        await self.stream.send_eof()

    async def aclose(self) -> None:
        """Hypercorn has done. The connection stays."""
        self._finish()
        await trio.lowlevel.checkpoint()

    def _finish(self) -> None:
        """Who reads for it stops."""
        self._is_closed = True
        self.over.set()
        self._waiting.cancel()

    def _check_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError


def _is_no_plain_request(request: h11.Request) -> bool:
    """Whether another protocol begins with it."""
    return bool(header(request, b"upgrade")) or request.method == b"PRI"


class Neighbours(Protocol):
    """The other processes of this server, if it has several (`vantum.workers`)."""

    async def pass_on(self, request: h11.Request, stream: ReplayStream) -> bool:
        """Give the connection to the one that it is for; False: it is for us."""

    async def everybody(self, own: dict[str, Any]) -> dict[str, Any]:
        """The body of `/health` for all, from our own."""

    def count(self, sessions: int | None) -> None:
        """Tell how many sessions there are; None: nothing new is taken."""


async def peek_request(
    stream: trio.SocketStream | ReplayStream,
) -> tuple[h11.Request | None, ReplayStream]:
    """Read a connection's first request head without taking it away.

    Returns:
        The request, or None if the bytes are no HTTP (Hypercorn then answers as it does), and the
        stream with all bytes still to be read; of a target, its path and query.
    """
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    seen = b""
    if isinstance(stream, ReplayStream):
        seen = stream.seen
        stream = stream.stream
    data = seen
    while True:
        if not data:
            data = bytes(await stream.receive_some(MAX_HEAD_BYTES))
            seen += data
        try:
            parser.receive_data(data)
            event = parser.next_event()
        except h11.RemoteProtocolError:
            return None, ReplayStream(stream, seen)
        if isinstance(event, h11.Request):
            return event, ReplayStream(stream, _in_origin_form(event.target, seen))
        if not data:
            return None, ReplayStream(stream, seen)
        data = b""


def _in_origin_form(target: bytes, seen: bytes) -> bytes:
    """A request as it is without a proxy: a server must take `GET http://host/path` too (RFC 9112,
    section 3.2.2), all of which is a path to Hypercorn."""
    found = _AUTHORITY.match(target)
    if found is None:
        return seen
    path = target[found.end() :]
    # The method, which comes before it, has neither colons nor slashes.
    return seen.replace(target, path if path.startswith(b"/") else b"/" + path, 1)


def request_address(request: h11.Request) -> tuple[str, dict[str, list[str]]]:
    """Path and query of a request; no path at all if its target cannot be read as an address."""
    try:
        target = urlsplit(request.target.decode("latin-1"))
    except ValueError:
        return "", {}
    return target.path, parse_qs(target.query)


def header(request: h11.Request, name: bytes) -> str:
    """A header's value, or "": names are lower case in h11."""
    values = [value for key, value in request.headers if key == name]
    return b", ".join(values).decode("latin-1")


def wants_websocket(request: h11.Request) -> bool:
    """Whether the request asks to become a WebSocket."""
    return request.method == b"GET" and header(request, b"upgrade").lower() == "websocket"


async def _health(request: Request) -> Response:
    server = cast("Server", request.app.state.server)
    body, ok = server.health()
    if server.neighbours is not None:
        body = await server.neighbours.everybody(body)
        ok = body["status"] == "ok"
    return JSONResponse(body, status_code=200 if ok else 503)


async def _websocket_only(request: Request) -> Response:
    return PlainTextResponse(
        "This address speaks WebSocket; see docs/reference/protocol.md\n",
        status_code=426,
        headers={"Upgrade": "websocket"},
    )


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    about: Any = error.detail
    if request.url.path.startswith("/v1/"):  # as that API says what is wrong
        about = {"code": _CODES.get(error.status_code, "wrong_request"), "message": about}
    return JSONResponse({"error": about}, status_code=error.status_code, headers=error.headers)


def build_app(server: Server, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The ASGI application: our routes and the ones given."""
    app = Starlette(
        routes=[
            Route("/health", _health),
            Route("/ws", _websocket_only),
            *routes,
        ],
        exception_handlers={HTTPException: _error},
    )
    app.state.server = server
    return app


def http_config() -> Config:
    """Hypercorn's settings for the connections it gets."""
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.keep_alive_timeout = 15.0
    # Whether a connection is to become a WebSocket is looked at once, at its first request. A proxy
    # that keeps connections would send the upgrade over one that Hypercorn has: so it gets none.
    config.keep_alive_max_requests = 1
    # It would cut off an answer that takes longer. How long a request may take, we see to.
    config.read_timeout = None
    return config


async def serve_http(
    app: Starlette, config: Config, stream: ReplayStream, timeout_s: float
) -> None:
    """Serve one connection until it is answered or its request is late; the caller closes it.

    `timeout_s`: how long the next part of the request may take.
    """
    # TCPServer only uses the stream's methods and `.socket`, which ours has.
    one = _OneRequest(stream, timeout_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_leave_with_peer, one, nursery.cancel_scope)
        connection = cast(Any, one)
        await TCPServer(ASGIWrapper(cast(Any, app)), config, WorkerContext(None), {}, connection)
        nursery.cancel_scope.cancel()
    if not one.is_whole or unread(stream) != 0:
        await stream.leave()


async def _leave_with_peer(stream: _OneRequest, serving: trio.CancelScope) -> None:
    """Hypercorn would wait out its keep-alive time for a peer that has gone without a request."""
    await stream.over.wait()
    await trio.sleep(_FAREWELL_S)
    serving.cancel()
