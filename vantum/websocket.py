"""A WebSocket on any stream: the protocol by `websockets`' sans-I/O core, the I/O by us.

There is no task behind it: whoever calls `receive` reads the stream, and all frames that came in
one read are handed out before the next, without a turn of the event loop between them. A call has
fifty frames a second, and each task that one passes through costs more than reading it (see
docs/decisions/0009).

So pings are answered, and pongs and the peer's goodbye are noticed, while somebody receives; both
ends of ours always do. One task receives; any may send.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import h11
import trio
from attrs import define, field
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, Protocol, Side
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from vantum.backlog import unacknowledged

__all__ = ["BadHandshake", "WebSocket", "accept", "connect", "keep_alive"]

#: Several audio messages in one read.
_RECEIVE_BYTES = 65_536
#: The head of an answer to a handshake.
_MAX_HEAD_BYTES = 65_536
#: At DEBUG the library would log what is said, which is nobody's business but the callers'.
_QUIET = logging.getLogger("vantum.websocket")
_QUIET.setLevel(logging.WARNING)

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class BadHandshake(Exception):
    """The other side is no WebSocket peer, or refuses.

    `status`: of the HTTP answer that it gave; None if there was none that can be understood.
    `headers`: of that answer, names in lower case.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in headers
        }


@define(eq=False)
class WebSocket:
    """An open connection, from `accept` or `connect`. Who made the stream closes it."""

    _stream: trio.abc.Stream
    _protocol: Protocol
    #: No message will come any more.
    over: trio.Event = field(factory=trio.Event, init=False)
    _messages: deque[bytes | str] = field(factory=deque, init=False)
    _fragments: list[bytes] = field(factory=list, init=False)
    _is_text: bool = field(default=False, init=False)
    _reading: bool = field(default=False, init=False)
    _sending: trio.Lock = field(factory=trio.Lock, init=False)
    _cut_short: bool = field(default=False, init=False)
    _pings: dict[bytes, trio.Event] = field(factory=dict, init=False)
    #: Bytes that were given to the stream.
    sent: int = field(default=0, init=False)

    # ------------------------------------------------------------ receiving

    async def receive(self) -> bytes | str | None:
        """The next message; None when the connection is closed, by whomever and however.

        Is a checkpoint only where it has to wait for the network.
        """
        while not self._messages:
            if self.over.is_set():
                return None
            if self._reading:  # by `close`, which drops what comes
                await self.over.wait()
                return None
            await self._read()
        return self._messages.popleft()

    async def _read(self) -> None:
        """Read once and take in all frames that came."""
        self._reading = True
        try:
            data = await self._stream.receive_some(_RECEIVE_BYTES)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        finally:
            self._reading = False
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        self._take_in()
        # Pongs and the echo of a goodbye. Whoever is sending takes them along.
        if protocol.writes and not self._sending.locked():
            try:
                await self._flush()
            except trio.BrokenResourceError:
                self._end()

    def _take_in(self) -> None:
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            opcode = event.opcode
            if opcode is Opcode.PONG:
                self._ponged(bytes(event.data))
            elif opcode is Opcode.BINARY or opcode is Opcode.TEXT:
                if event.fin:
                    self._deliver(event.data, opcode is Opcode.TEXT)
                else:
                    self._is_text = opcode is Opcode.TEXT
                    self._fragments.append(bytes(event.data))
            elif opcode is Opcode.CONT:
                self._fragments.append(bytes(event.data))
                if event.fin:
                    whole, self._fragments = b"".join(self._fragments), []
                    self._deliver(whole, self._is_text)
        protocol = self._protocol
        if protocol.state is not OPEN and (protocol.close_rcvd or protocol.parser_exc) is not None:
            self._end()

    def _deliver(self, data: bytes | bytearray | memoryview, is_text: bool) -> None:
        if self.over.is_set():
            return
        if not is_text:
            self._messages.append(bytes(data))
            return
        try:
            self._messages.append(str(data, "utf-8"))
        except UnicodeDecodeError:
            if self._protocol.state is OPEN:
                self._protocol.fail(1007, "a text message is not UTF-8")
            self._end()

    def _ponged(self, payload: bytes) -> None:
        """A pong answers its ping and all before it (RFC 6455, section 5.5.3)."""
        if payload in self._pings:
            while self._pings:
                first = next(iter(self._pings))
                self._pings.pop(first).set()
                if first == payload:
                    return

    def _end(self) -> None:
        self.over.set()
        for ping in self._pings.values():
            ping.set()

    # ------------------------------------------------------------ sending

    def put_back(self, message: bytes | str) -> None:
        """What was received is received again, before all else."""
        self._messages.appendleft(message)

    async def send(self, message: bytes | str | tuple[str, ...]) -> None:
        """Send one message, or several text messages in one write.

        A send that is cancelled leaves half a message on the wire: nothing can be sent after it.

        Raises:
            trio.BrokenResourceError: the connection is closed.
        """
        await self._take_turn()
        try:
            if not self.whole:
                raise trio.BrokenResourceError("the WebSocket is closed")
            if isinstance(message, bytes):
                self._protocol.send_binary(message)
            else:
                for text in (message,) if isinstance(message, str) else message:
                    self._protocol.send_text(text.encode())
            await self._write()
        finally:
            self._sending.release()

    async def _take_turn(self) -> None:
        """Wait for the lock, but not for the loop's next turn if it is free, as mostly."""
        try:
            self._sending.acquire_nowait()
        except trio.WouldBlock:
            await self._sending.acquire()

    async def ping(self) -> None:
        """Send a ping and wait for its pong.

        Raises:
            trio.BrokenResourceError: the connection is closed.
        """
        payload, pong = os.urandom(4), trio.Event()
        async with self._sending:
            if not self.whole:
                raise trio.BrokenResourceError("the WebSocket is closed")
            self._pings[payload] = pong
            self._protocol.send_ping(payload)
            await self._write()
        await pong.wait()
        if self.over.is_set():
            raise trio.BrokenResourceError("the WebSocket is closed")

    async def _flush(self) -> None:
        async with self._sending:
            await self._write()

    async def _write(self) -> None:
        """Write what the protocol has, and what it gets meanwhile. By the owner of the lock."""
        if self._cut_short:
            raise trio.BrokenResourceError("a send before was cut short")
        # An empty piece among them means the end of the stream, which its owner sees to.
        while data := b"".join(self._protocol.data_to_send()):
            self._cut_short = True
            self.sent += len(data)
            try:
                await self._stream.send_all(data)
            except (OSError, trio.ClosedResourceError) as error:
                raise trio.BrokenResourceError from error
            self._cut_short = False

    @property
    def held(self) -> int | None:
        """How many of them the other machine has not acknowledged; None: not known."""
        return unacknowledged(self._stream)

    # ------------------------------------------------------------ the end

    @property
    def whole(self) -> bool:
        """Whether a message can be sent: the connection is open and no send was cut short."""
        return self._protocol.state is OPEN and not self.over.is_set() and not self._cut_short

    @property
    def close_code(self) -> int:
        """Of the peer's goodbye: 1005 if it gave no code, 1006 if there was no goodbye."""
        received = self._protocol.close_rcvd
        return 1006 if received is None else int(received.code)

    @property
    def close_reason(self) -> str:
        """Of the peer's goodbye; may be empty."""
        received = self._protocol.close_rcvd
        return "" if received is None else received.reason

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye and wait for the peer's; what else still comes is dropped.

        The caller sets the deadline. Does nothing on a connection that is closed or broken.
        """
        try:
            async with self._sending:
                if not self.whole:
                    return
                self._protocol.send_close(code, reason)
                await self._write()
        except trio.BrokenResourceError:
            self._end()
        while not self.over.is_set():
            if self._reading:
                await self.over.wait()
            else:
                await self._read()
            self._messages.clear()


async def keep_alive(socket: WebSocket, *, interval_s: float, timeout_s: float) -> None:
    """Ping for ever; return when a pong is late or the connection is gone."""
    while True:
        await trio.sleep(interval_s)
        with trio.move_on_after(timeout_s) as waiting:
            try:
                await socket.ping()
            except trio.BrokenResourceError:
                return
        if waiting.cancelled_caught:
            return


# ---------------------------------------------------------------- handshakes


async def accept(
    stream: trio.abc.Stream, *, subprotocol: str | None, max_message_bytes: int
) -> WebSocket:
    """Shake hands as the server. `subprotocol`: one of those that the client offers, or None.

    Raises:
        BadHandshake: it was no valid request; it has been answered with its status.
        trio.BrokenResourceError: the connection broke.
    """

    def choose(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        return next((one for one in offered if one == subprotocol), None)

    protocol = ServerProtocol(
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        select_subprotocol=choose,
        max_size=max_message_bytes,
        logger=_QUIET,
    )
    events: list[object] = []
    while not events:
        data = await stream.receive_some(_RECEIVE_BYTES)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        events += protocol.events_received()
        if protocol.handshake_exc is not None:
            break
    request = events[0] if events else None
    status = None
    if isinstance(request, Request):
        response = protocol.accept(request)
        protocol.send_response(response)
        status = response.status_code
    await stream.send_all(b"".join(protocol.data_to_send()))
    if protocol.handshake_exc is not None:
        raise BadHandshake(str(protocol.handshake_exc), status)
    return _opened(stream, protocol)


async def connect(
    stream: trio.abc.Stream,
    host: str,
    resource: str,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    max_message_bytes: int,
) -> WebSocket:
    """Shake hands as a client. `host`: the header's value; `resource`: path and query.

    Raises:
        BadHandshake: with the status if the answer was a refusal.
        trio.BrokenResourceError: the connection broke.
    """
    key = base64.b64encode(os.urandom(16))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    request = h11.Request(
        method="GET",
        target=resource,
        headers=[
            (b"Host", host.encode()),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", key),
            (b"Sec-WebSocket-Version", b"13"),
            *headers,
        ],
    )
    head = http.send(request)
    assert head is not None
    await stream.send_all(head)
    try:
        event = http.next_event()
        while event is h11.NEED_DATA or (
            isinstance(event, h11.InformationalResponse) and event.status_code != 101
        ):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(_RECEIVE_BYTES)))
            event = http.next_event()
    except h11.RemoteProtocolError as error:
        raise BadHandshake("the answer to the handshake is no HTTP") from error
    if isinstance(event, h11.Response):
        text = f"refused with status {event.status_code}"
        raise BadHandshake(text, event.status_code, event.headers)
    if not isinstance(event, h11.InformationalResponse):
        raise BadHandshake("the connection was closed during the handshake")
    wanted = base64.b64encode(hashlib.sha1(key + _ACCEPT_GUID, usedforsecurity=False).digest())
    if dict(event.headers).get(b"sec-websocket-accept") != wanted:
        raise BadHandshake("the answer to the handshake does not fit the question")
    socket = _opened(stream, Protocol(Side.CLIENT, max_size=max_message_bytes, logger=_QUIET))
    if rest := http.trailing_data[0]:
        socket._protocol.receive_data(rest)
        socket._take_in()
    return socket


def _opened(stream: trio.abc.Stream, protocol: Protocol) -> WebSocket:
    socket = WebSocket(stream, protocol)
    socket._take_in()
    return socket
