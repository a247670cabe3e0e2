"""HTTP/1.1 to a provider: a transport for httpx2 on trio's own streams, with h11.

httpx2's usual transport takes a request through its pool, its connection, its protocol and its
backend, each with locks, traces and generators of its own, and yields to the event loop at most of
these steps. Of a turn's first token that was a third of the server's own time, and in a crowd every
yield waits for all the others. Here a request is one write, and its answer is read as it comes.

What is left out, because nothing here asks for it: HTTP/2, requests for a
proxy to make, upgrades, a limit of
connections, and any deadline but that of connecting (whoever waits sets the others).

Importing this imports httpx2, which takes 0.2 s.
"""

from __future__ import annotations

import select
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeAlias

import h11
import httpx2
import trio
from attrs import define, field

from vantum.errors import ProviderError
from vantum.providers.dialling import CONNECTED, OpenStream, dial
from vantum.tcp import TcpStream

_RECEIVE_BYTES = 65_536
#: A response's head. h11's own limit, 16 KiB, is less than some proxies put into cookies.
_MAX_HEAD_BYTES = 102_400

#: Scheme, host, port.
_Origin: TypeAlias = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}


@define(eq=False)
class Http11Transport(httpx2.AsyncBaseTransport):
    """Sends requests over connections that it keeps for the next one.

    Args:
        provider: whose failures these are.
        keep_idle_s: how long a connection is kept after its last response, in seconds.
        max_idle: so many are kept at once.
        tls: whom to trust; None: the system's authorities.
        open_stream: opens the connection under TLS or HTTP; None: as the environment says (`dial`),
            through a tunnel if it names a proxy.
    """

    provider: str
    keep_idle_s: float = field(kw_only=True)
    max_idle: int = field(kw_only=True)
    tls: ssl.SSLContext | None = field(default=None, kw_only=True)
    open_stream: OpenStream | None = field(default=None, kw_only=True)
    _idle: deque[_Connection] = field(factory=deque, init=False)  # the oldest first
    _closed: bool = field(default=False, init=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and wait for the response's head.

        Raises:
            httpx2.TransportError: no connection, none in time (`ConnectTimeout`), or it was lost
                or made no sense before the head was complete.
        """
        url = request.url
        origin = (url.scheme, url.host, url.port or _PORTS[url.scheme])
        connection = await self._kept(origin)
        if connection is None:
            request.extensions[CONNECTED] = True
            connection = await self._connect(origin, request)
        try:
            await connection.send(request, await request.aread())
            head = await connection.head()
        except BaseException:
            await trio.aclose_forcefully(connection.stream)
            raise
        return httpx2.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(connection, self),
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def aclose(self) -> None:
        """Close the connections that are idle; one in use is closed with its response."""
        self._closed = True
        while self._idle:
            await trio.aclose_forcefully(self._idle.pop().stream)

    async def _kept(self, origin: _Origin) -> _Connection | None:
        """The connection to this origin that was used last, if it is still open."""
        await self._forget_old()
        for connection in reversed(tuple(self._idle)):
            if connection.origin != origin:
                continue
            self._idle.remove(connection)
            if connection.is_quiet:
                return connection
            await trio.aclose_forcefully(connection.stream)
        return None

    async def take_back(self, connection: _Connection) -> None:
        """The connection's response was read to its end, or given up: keep it, or close it."""
        if not connection.is_reusable or self._closed:
            await trio.aclose_forcefully(connection.stream)
            return
        connection.http.start_next_cycle()
        connection.idle_since_s = trio.current_time()
        self._idle.append(connection)
        await self._forget_old()

    async def _forget_old(self) -> None:
        oldest_s = trio.current_time() - self.keep_idle_s
        idle = self._idle
        while idle and (len(idle) > self.max_idle or idle[0].idle_since_s < oldest_s):
            await trio.aclose_forcefully(idle.popleft().stream)

    async def _connect(self, origin: _Origin, request: httpx2.Request) -> _Connection:
        scheme, host, port = origin
        limit_s = request.extensions.get("timeout", {}).get("connect")
        try:
            with trio.fail_after(float("inf") if limit_s is None else limit_s):
                stream = await dial(
                    self.provider,
                    host,
                    port,
                    secure=scheme == "https",
                    open_stream=self.open_stream,
                    tls=self.tls,
                )
        except trio.TooSlowError as error:
            raise httpx2.ConnectTimeout(f"not within {limit_s} s", request=request) from error
        except ProviderError as error:
            raise httpx2.ConnectError(str(error), request=request) from error
        return _Connection(origin, stream)


@define(eq=False)
class _Connection:
    """One connection, and what has been said on it."""

    origin: _Origin
    stream: trio.abc.Stream
    http: h11.Connection = field(
        factory=lambda: h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    )
    idle_since_s: float = 0.0

    @property
    def is_reusable(self) -> bool:
        """Both have said all, neither wants to close or has closed, and no more has come."""
        http = self.http
        return http.our_state is http.their_state is h11.DONE and http.trailing_data == (b"", False)

    @property
    def is_quiet(self) -> bool:
        """Nothing has come on it while it was idle: not its end, nothing that nobody asked for."""
        stream = self.stream
        while isinstance(stream, trio.SSLStream):  # in a tunnel there may be two
            stream = stream.transport_stream
        if not isinstance(stream, trio.SocketStream | TcpStream):
            return True
        poll = select.poll()  # `select` knows only the first 1,024 files
        poll.register(stream.socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def send(self, request: httpx2.Request, body: bytes) -> None:
        """The whole request in one write."""
        try:
            head = h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
            parts = [self.http.send(head)]
            if body:
                parts.append(self.http.send(h11.Data(body)))
            parts.append(self.http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError:
            # Its text shows the header, which may be the one with the key.
            raise httpx2.LocalProtocolError("a header that HTTP does not allow") from None
        # Who refuses a request may answer and close before all of it was read.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.stream.send_all(b"".join(part for part in parts if part))

    async def head(self) -> h11.Response:
        """The response's head, whatever is said before it."""
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event

    async def data(self) -> bytes | None:
        """What has come of the response's body, which is something; None: it is complete.

        A stream's events are a chunk each, and several often come together: taken one by one, each
        would go through the layers above by itself.
        """
        if self.http.their_state not in (h11.SEND_BODY, h11.ERROR):
            return None
        event: h11.Event | None = await self._event()
        parts = []
        while isinstance(event, h11.Data):
            parts.append(bytes(event.data))
            event = self._at_hand()
        return b"".join(parts) if parts else None

    def _at_hand(self) -> h11.Event | None:
        """The next event without waiting for it."""
        with suppress(h11.RemoteProtocolError):  # which h11 says again when it is asked again
            event = self.http.next_event()
            if isinstance(event, h11.Event):
                return event
        return None

    async def _event(self) -> h11.Event:
        while True:
            try:
                event = self.http.next_event()
                if isinstance(event, h11.Event):
                    return event
                self.http.receive_data(bytes(await self.stream.receive_some(_RECEIVE_BYTES)))
            except h11.RemoteProtocolError as error:
                raise httpx2.RemoteProtocolError(str(error)) from error
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise httpx2.ReadError(str(error)) from error


@define(eq=False)
class _Body(httpx2.AsyncByteStream):
    """A response's body: an iterator without a generator that could be left suspended."""

    _connection: _Connection
    _transport: Http11Transport
    _over: bool = field(default=False, init=False)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._connection.data()
        if data is None:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            await self._transport.take_back(self._connection)
