"""One WebSocket to Deepgram: opened with every failure translated, closed hard.

trio-websocket's traps, and what is done about them here:

- A send that is cancelled half-way leaves half a message on the wire. `Connection.whole` says
  whether that happened; a connection that is not whole is only good for `cut()`.
- If the peer hangs up during the handshake, its opening waits forever. The stream below it
  (`_Watched`) says so instead.
- A full message queue stops its reader, and with it the pongs: ours is drained by a task that
  never waits for anybody.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import trio
from attrs import Factory, define
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from vantum.config import DeepgramSettings
from vantum.errors import ProviderError
from vantum.providers.contacts import Contacts
from vantum.providers.deepgram.protocol import NAME, Address, close_error, headers, status_error

#: Opens the TCP stream to a host and port; TLS is put on top of it where the address wants it.
OpenStream: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

#: Messages that may wait for our reader. It never blocks, so this only has to cover one burst.
_MESSAGE_QUEUE = 64
#: As much as a loaded loopback or TLS record gives at once; the library's 4 KiB costs more wakes.
_RECEIVE_BYTES = 65_536
#: A transcript message of many words is a few KiB.
_LARGEST_MESSAGE = 1 << 20


async def open_tcp(host: str, port: int) -> trio.abc.Stream:
    """The usual `OpenStream`: TCP with happy eyeballs, no delay."""
    return await trio.open_tcp_stream(host, port)


@define(eq=False)
class Access:
    """What all sessions share: how to get to Deepgram, and how that went lately."""

    settings: DeepgramSettings
    open_stream: OpenStream = open_tcp
    _tls: ssl.SSLContext | None = None
    contacts: Contacts = Factory(Contacts)

    def tls(self) -> ssl.SSLContext:
        """Made once: loading the system's certificates takes tens of milliseconds."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


class _Watched(trio.abc.Stream):
    """A stream that reports its end, until the handshake is over."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.on_end: Callable[[], None] | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._ended()
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._ended()
            raise
        if not data:
            self._ended()
        return data

    async def aclose(self) -> None:
        self._ended()
        await self._stream.aclose()

    def _ended(self) -> None:
        if self.on_end is not None:
            self.on_end()


@define(eq=False)
class Connection:
    """An open WebSocket. One task sends, one receives.

    Attributes:
        sending_since: when the send in progress began; None between sends.
        last_sent: when the last message was handed to the network.
    """

    _socket: WebSocketConnection
    _scope: trio.CancelScope
    last_sent: float
    sending_since: float | None = None

    async def send(self, message: str | bytes) -> None:
        """Send one message. ProviderError when the connection is gone."""
        self.sending_since = trio.current_time()
        try:
            await self._socket.send_message(message)
        except ConnectionClosed as error:
            raise _closed(error) from None
        self.last_sent = trio.current_time()
        self.sending_since = None

    async def receive(self) -> str | bytes:
        """The next message. ProviderError when the connection is gone."""
        try:
            return await self._socket.get_message()
        except ConnectionClosed as error:
            raise _closed(error) from None

    @property
    def whole(self) -> bool:
        """Whether another message can be sent: it is open and no send was cut short."""
        return self.sending_since is None and self._socket.closed is None

    def cut(self) -> None:
        """Close it without a word: its reader stops and the stream is closed."""
        self._scope.cancel()


def _closed(error: ConnectionClosed) -> ProviderError:
    reason = error.reason
    return close_error(reason.code if reason else 1006, reason.reason if reason else None)


async def hold_connection(
    address: Address,
    access: Access,
    *,
    task_status: trio.TaskStatus[Connection] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Open a connection, hand it out by `task_status`, and run its reader until it ends.

    Cancelling works as usual until the connection is open. From then on only `Connection.cut`
    or the peer ends it: its owner may still have to say goodbye when everything around it is
    being cancelled.

    Raises:
        ProviderError: it cannot be opened (the caller sets the deadline).
    """
    watched = _Watched(await _dial(address, access))
    opened = False
    failure: ProviderError | None = None
    try:
        async with trio.open_nursery() as nursery:
            watched.on_end = nursery.cancel_scope.cancel
            socket = await wrap_client_stream(
                nursery,
                cast(trio.SocketStream, watched),
                address.host_header,
                address.resource,
                extra_headers=headers(access.settings),
                message_queue_size=_MESSAGE_QUEUE,
                max_message_size=_LARGEST_MESSAGE,
                receive_buffer_size=_RECEIVE_BYTES,
            )
            watched.on_end = None
            opened = True
            nursery.cancel_scope.shield = True
            task_status.started(Connection(socket, nursery.cancel_scope, trio.current_time()))
    except* ConnectionRejected as group:
        failure = status_error(_status(group))
    except* Exception as group:
        # Whatever the library trips over, a broken peer is behind it. An open connection's users
        # learn of its end by themselves.
        failure = _network("the handshake failed" if not opened else "the connection broke", group)
    finally:
        await trio.aclose_forcefully(watched)
    if not opened:
        raise failure or _network("the connection was closed during the handshake")


def _status(group: BaseException) -> int:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group.status_code if isinstance(group, ConnectionRejected) else 0


def _network(text: str, cause: BaseException | None = None) -> ProviderError:
    error = ProviderError(NAME, "network", text)
    error.__cause__ = cause
    return error


async def _dial(address: Address, access: Access) -> trio.abc.Stream:
    where = f"{address.host}:{address.port}"
    try:
        stream = await access.open_stream(address.host, address.port)
    except (OSError, trio.BrokenResourceError) as error:
        raise _network(f"no connection to {where}", error) from error
    if not address.secure:
        return stream
    secured = trio.SSLStream(
        stream, access.tls(), server_hostname=address.host, https_compatible=True
    )
    try:
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, OSError | trio.BrokenResourceError):
            raise _network(f"no TLS connection to {where}", error) from error
        raise
    return secured
