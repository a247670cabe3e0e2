"""A client of the server: what a browser does, in Python. `replay` and the examples use it."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from errno import errorcode
from ssl import SSLError
from typing import NoReturn
from urllib.parse import urlsplit

import h11
import trio
import uuid_utils
from attrs import define, field, frozen
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)
from wsproto.utilities import LocalProtocolError

from vantum.core.events import (
    Ack,
    Busy,
    ClientMessage,
    EndCall,
    EndInput,
    ErrorReply,
    InputChunk,
    InputOptions,
    Interrupt,
    Played,
    Request,
    ServerMessage,
    StartInput,
    Welcome,
)
from vantum.errors import ConfigError, ProviderError, VantumError
from vantum.providers.dialling import open_tunnel
from vantum.proxies import proxy_to
from vantum.wire.client import Envelope, decode_server, encode_client
from vantum.wire.fields import ProtocolError, Vocabulary

__all__ = ["Client", "ClientError", "closing_words", "connect"]

#: What a client may fall behind before the server feels it.
_EVENTS = 1024
_MAX_MESSAGE_BYTES = 1_048_576


class ClientError(VantumError):
    """The server could not be reached, refused a request, or hung up."""


@define(eq=False)
class Client:
    """One connection.

    `events` gives what the server sends, each with its time of arrival on trio's clock, and ends
    when the connection does; take them, or after 1024 the server waits. Requests that are acked
    (`start`, `end`) wait for their ack and raise `ClientError` with the server's message if it
    refuses. All requests raise `ClientError` when the server has hung up.

    `closed`: how the connection ended (close code and reason), None while it is open.
    """

    connection: WebSocketConnection
    vocabulary: Vocabulary
    session_id: str
    events: trio.MemoryReceiveChannel[tuple[float, ServerMessage]]
    closed: str | None = field(default=None, init=False)
    _waiting: dict[str, tuple[trio.Event, list[ServerMessage]]] = field(factory=dict, init=False)

    async def start(self, options: InputOptions) -> None:
        """Say how audio will come, and wait until the server is ready for it."""
        request = self._request()
        await self._ask(StartInput(request, options), request)

    async def send_audio(self, pcm: bytes) -> None:
        """Send 16-bit mono PCM at the rate given to `start`."""
        await self._send(InputChunk(self._request(), pcm))

    async def end(self) -> None:
        """The user has finished speaking."""
        request = self._request()
        await self._ask(EndInput(request), request)

    async def interrupt(self) -> None:
        """Stop the answer."""
        await self._send(Interrupt(self._request()))

    async def played(self, utterance_id: str, played_ms: float) -> None:
        """Report how far playback has come."""
        await self._send(Played(self._request(), utterance_id, played_ms))

    async def end_call(self) -> None:
        """Hang up."""
        await self._send(EndCall(self._request()))

    @staticmethod
    def _request() -> Request:
        return Request(None, str(uuid_utils.uuid7()))

    async def _send(self, message: ClientMessage) -> None:
        data = encode_client(message, vocabulary=self.vocabulary, session_id=self.session_id)
        try:
            await self.connection.send_message(data)
        except ConnectionClosed as error:
            raise ClientError(f"the server hung up: {closing_words(error)}") from error

    async def _ask(self, message: ClientMessage, request: Request) -> None:
        assert request.event_id is not None
        answered, answers = self._waiting[request.event_id] = (trio.Event(), [])
        try:
            await self._send(message)
            await answered.wait()
        finally:
            del self._waiting[request.event_id]
        if not answers:
            raise ClientError(f"the server hung up: {self.closed}")
        if isinstance(answers[0], ErrorReply):
            raise ClientError(answers[0].message)

    async def _read(self, event_tx: trio.MemorySendChannel[tuple[float, ServerMessage]]) -> None:
        wanted = True
        with event_tx:
            while True:
                try:
                    envelope = _decoded(await self.connection.get_message(), self.vocabulary)
                except ConnectionClosed as error:
                    self.closed = closing_words(error)
                    break
                if isinstance(envelope.message, Ack | ErrorReply):
                    self._answered(envelope.event_id, envelope.message)
                if envelope.message is None or not wanted:
                    continue
                try:
                    await event_tx.send((trio.current_time(), envelope.message))
                except trio.BrokenResourceError:
                    # Whoever closed `events` may still want acks.
                    wanted = False
        for answered, _ in list(self._waiting.values()):
            answered.set()

    def _answered(self, event_id: str | None, message: ServerMessage) -> None:
        if event_id in self._waiting:
            answered, answers = self._waiting[event_id]
            answers.append(message)
            answered.set()


def closing_words(error: ConnectionClosed) -> str:
    """Code and reason of a close frame, for a message to a person."""
    reason = error.reason
    return f"{reason.code} {reason.reason or reason.name}" if reason else "no close frame"


@asynccontextmanager
async def connect(
    url: str, *, vocabulary: Vocabulary = "unified", token: str = "", timeout_s: float = 10.0
) -> AsyncIterator[Client]:
    """Connect and wait for the connection ack.

    Goes through the proxy that the environment names for the address, if it does
    (`vantum.core.proxies`); never to this machine itself.

    Args:
        url: such as "ws://127.0.0.1:3001/ws", or wss for TLS; http and https mean the same, and
            "127.0.0.1:3001" is enough.
        vocabulary: which names of events to speak.
        token: what the server wants if it asks for authentication.
        timeout_s: until the ack.

    Raises:
        ClientError: nobody answers there, or the server does not let us in.
    """
    there = _address(url)
    if not (token.isascii() and token.isprintable()):
        raise ClientError("the token must be one line of printable ASCII characters")
    event_tx, event_rx = trio.open_memory_channel[tuple[float, ServerMessage]](_EVENTS)
    error: Exception | None = None
    welcomed = hung_up = False
    try:
        with trio.fail_after(timeout_s) as opening:
            stream = await _open_stream(there)
            try:
                await _secure(stream, there)
                async with trio.open_nursery() as nursery:
                    connection = await _upgrade(nursery, stream, there, vocabulary, token)
                    session_id = await _welcome(connection, vocabulary)
                    welcomed, opening.deadline = True, float("inf")
                    client = Client(connection, vocabulary, session_id, event_rx)
                    nursery.start_soon(client._read, event_tx)
                    yield client
                    hung_up = True
                    with trio.move_on_after(2):
                        await connection.aclose()
                    nursery.cancel_scope.cancel()
            finally:
                # The library does not close the socket if it is cancelled on the way.
                await trio.aclose_forcefully(stream)
    except trio.TooSlowError:
        # Also a server of another kind that just closes: the library does not tell it from silence.
        raise ClientError(
            f"{there.shown} did not answer as a Vantum server within {timeout_s:g} s"
        ) from None
    except BaseExceptionGroup as group:
        # One task failed, or the caller's own code did: nobody wants a group for that.
        error = _only(group)
        if error is None:
            raise
        if hung_up and isinstance(error, LocalProtocolError):
            return  # the library's answer to a ping that crossed our goodbye
    if error is not None and not welcomed and not isinstance(error, ClientError):
        # The library's reader task stumbles over the handshake, not the call that waits for it.
        _no_server(there, error)
    if error is not None:
        raise error


def _only(group: BaseExceptionGroup[BaseException]) -> Exception | None:
    """The one thing that went wrong; of several `ClientError`s the first, None of other things."""
    leaves = _leaves(group)
    if len(leaves) > 1 and not all(isinstance(leaf, ClientError) for leaf in leaves):
        return None
    return leaves[0] if isinstance(leaves[0], Exception) else None


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


# ---------------------------------------------------------------- finding the server


@frozen
class _Address:
    """Where a server is. `shown` is fit to print: without the query, which may hold a token."""

    host: str
    port: int
    secure: bool
    resource: str
    shown: str

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def _address(url: str) -> _Address:
    """Read a server's address as people write it.

    Raises:
        ClientError: it is none.
    """
    shown = url.strip().split("?")[0]
    text = url.strip() if "://" in shown else f"ws://{url.strip()}"
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    known = {"ws": False, "http": False, "wss": True, "https": True}
    plain = text.isascii() and text.isprintable() and " " not in text
    if not host or not plain or port == 0 or parts.scheme not in known or "@" in parts.netloc:
        # What stands before an @ may be a password.
        without = ", without user name and password" if "@" in shown else ""
        raise ClientError(
            f"{shown.rpartition('@')[2]!a} is no address of a server; "
            f"one is ws://HOST:PORT/ws{without}"
        )
    secure = known[parts.scheme]
    path = parts.path if parts.path.strip("/") else "/ws"
    resource = path + (f"?{parts.query}" if parts.query else "")
    scheme = "wss" if secure else "ws"
    shown = f"{scheme}://{parts.netloc}{path}"
    return _Address(host, port or (443 if secure else 80), secure, resource, shown)


async def _open_stream(there: _Address) -> trio.abc.Stream:
    """TCP, by way of a proxy where the environment names one, and TLS without its handshake yet."""
    try:
        proxy = proxy_to(there.host, there.port, secure=there.secure)
        if proxy is None:
            stream: trio.abc.Stream = await trio.open_tcp_stream(there.host, there.port)
        else:
            stream = await open_tunnel("vantum", proxy, there.host, there.port)
    except (OSError, ValueError) as error:
        raise ClientError(
            f"cannot connect to {there.shown}: {_words(error)} (is a server running there?)"
        ) from error
    except ConfigError as error:
        raise ClientError(f"cannot connect to {there.shown}: {error}") from error
    except ProviderError as error:
        raise ClientError(f"cannot connect to {there.shown}: {error.message}") from error
    if there.secure:
        context = ssl.create_default_context()
        return trio.SSLStream(stream, context, server_hostname=there.host, https_compatible=True)
    return stream


async def _secure(stream: trio.abc.Stream, there: _Address) -> None:
    """Shake hands, if that is TLS: behind the library, a failure could not be told from silence."""
    if isinstance(stream, trio.SSLStream):
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            _no_server(there, error)


def _words(error: BaseException) -> str:
    """The system's own word for what happened, without the libraries' around it."""
    while isinstance(cause := error.__cause__, Exception):
        error = cause.exceptions[0] if isinstance(cause, ExceptionGroup) else cause
    if isinstance(error, ConnectionRejected):
        return f"it answers with HTTP status {error.status_code}"
    if isinstance(error, h11.ProtocolError):
        return "it speaks another protocol"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, SSLError):
        return f"TLS with it fails: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, OSError) and error.errno is not None:
        # Trio puts the address into the text; name lookup numbers its errors differently.
        return (
            os.strerror(error.errno) if error.errno in errorcode else error.strerror or str(error)
        )
    return (str(error) or type(error).__name__).replace("\n", " ")


def _no_server(there: _Address, error: Exception) -> NoReturn:
    raise ClientError(f"{there.shown} is no Vantum server: {_words(error)}") from error


async def _upgrade(
    nursery: trio.Nursery,
    stream: trio.abc.Stream,
    there: _Address,
    vocabulary: Vocabulary,
    token: str,
) -> WebSocketConnection:
    resource = there.resource
    if vocabulary == "voicechat":
        resource += ("&" if "?" in resource else "?") + "events=voicechat"
    headers = [(b"Authorization", b"Bearer " + token.encode())] if token else []
    try:
        return await wrap_client_stream(
            nursery,
            stream,  # type: ignore[arg-type]  # any stream will do for it
            there.host_header,
            resource,
            extra_headers=headers,
            message_queue_size=64,
            max_message_size=_MAX_MESSAGE_BYTES,
            receive_buffer_size=65_536,
        )
    except (HandshakeError, OSError, trio.BrokenResourceError) as error:
        _no_server(there, error)


def _decoded(data: bytes | str, vocabulary: Vocabulary) -> Envelope:
    try:
        return decode_server(data, vocabulary)
    except ProtocolError as error:
        raise ClientError(f"what the server says is not Vantum's protocol: {error}") from error


async def _welcome(connection: WebSocketConnection, vocabulary: Vocabulary) -> str:
    try:
        envelope = _decoded(await connection.get_message(), vocabulary)
    except ConnectionClosed as error:
        raise ClientError(f"the server hung up: {closing_words(error)}") from error
    match envelope.message:
        case Welcome() if envelope.session_id:
            return envelope.session_id
        case ErrorReply(message=message):
            raise ClientError(f"the server refuses: {message}")
        case Busy(active_sessions=active, max_sessions=most):
            raise ClientError(f"the server takes no calls now: {active} of {most} sessions")
        case None:  # such as for `events` in the address, which is not looked at
            begins = f"it begins with {envelope.event_type!a}"
            raise ClientError(f"the server does not speak the vocabulary {vocabulary}: {begins}")
        case _:
            raise ClientError(f"the server takes no calls now: {envelope.event_type!a}")
