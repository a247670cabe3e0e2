"""One WebSocket to Deepgram: opened with every failure translated, closed hard.

A send that is cancelled half-way leaves half a message on the wire. `Connection.whole` says whether
that happened; a connection that is not whole is only good for `cut()`.
"""

from __future__ import annotations

import ssl
import time

import trio
from attrs import Factory, define

from vantum.config import DeepgramSettings
from vantum.core.backoff import retry_after_s
from vantum.errors import ProviderError
from vantum.providers.contacts import Contacts
from vantum.providers.deepgram.protocol import NAME, Address, close_error, headers, status_error
from vantum.providers.dialling import OpenStream, dial
from vantum.websocket import BadHandshake, WebSocket, connect

#: A transcript message of many words is a few KiB.
_LARGEST_MESSAGE = 1 << 20


@define(eq=False)
class Access:
    """What all sessions share: how to get to Deepgram, and how that went lately."""

    settings: DeepgramSettings
    open_stream: OpenStream | None = None
    tls: ssl.SSLContext | None = None
    contacts: Contacts = Factory(Contacts)


@define(eq=False)
class Connection:
    """An open WebSocket. One task sends, one receives.

    Attributes:
        sending_since: when the send in progress began; None between sends.
        last_sent: when the last message was handed to the network.
    """

    _socket: WebSocket
    _stream: trio.abc.Stream
    last_sent: float
    sending_since: float | None = None

    async def send(self, *messages: str | bytes) -> None:
        """Send messages in one write. ProviderError when the connection is gone."""
        self.sending_since = trio.current_time()
        try:
            await self._socket.send(*messages)
        except trio.BrokenResourceError:
            raise self._closed() from None
        self.last_sent = trio.current_time()
        self.sending_since = None

    async def receive(self) -> str | bytes:
        """The next message. ProviderError when the connection is gone."""
        message = await self._socket.receive()
        if message is None:
            raise self._closed()
        return message

    def _closed(self) -> ProviderError:
        return close_error(self._socket.close_code, self._socket.close_reason)

    @property
    def whole(self) -> bool:
        """Whether another message can be sent: it is open and no send was cut short."""
        return self.sending_since is None and self._socket.whole

    async def cut(self) -> None:
        """Close it without a word. Does not wait, but is a checkpoint."""
        await trio.aclose_forcefully(self._stream)


async def open_connection(address: Address, access: Access) -> Connection:
    """Open a connection; whoever has it must `cut` it in the end.

    Raises:
        ProviderError: it cannot be opened, or not in the time that the settings give it.
    """
    limit_s = access.settings.connect_timeout_ms / 1000
    with trio.move_on_after(limit_s):
        connection = await _opened(address, access)
        access.contacts.success()
        return connection
    raise ProviderError(NAME, "timeout", f"no connection within {limit_s:g} s")


async def _opened(address: Address, access: Access) -> Connection:
    stream = await dial(
        NAME,
        address.host,
        address.port,
        secure=address.secure,
        open_stream=access.open_stream,
        tls=access.tls,
    )
    try:
        socket = await _shake_hands(stream, address, access)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return Connection(socket, stream, trio.current_time())


async def _shake_hands(stream: trio.abc.Stream, address: Address, access: Access) -> WebSocket:
    try:
        return await connect(
            stream,
            address.host_header,
            address.resource,
            headers=headers(access.settings),
            max_message_bytes=_LARGEST_MESSAGE,
        )
    except BadHandshake as error:
        if error.status is not None:
            told_s = retry_after_s(error.headers, time.time())
            raise status_error(error.status, told_s) from None
        raise _network(str(error), error) from None
    except trio.BrokenResourceError as error:
        raise _network("the connection broke during the handshake", error) from error


def _network(text: str, cause: BaseException | None = None) -> ProviderError:
    error = ProviderError(NAME, "network", text)
    error.__cause__ = cause
    return error
