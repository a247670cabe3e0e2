"""A client of the server: what a browser does, in Python. `replay` and the examples use it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
import uuid_utils
from attrs import define, field
from trio_websocket import (
    ConnectionClosed,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from vantum.core.events import (
    Ack,
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
from vantum.errors import VantumError
from vantum.wire.client import decode_server, encode_client
from vantum.wire.native import Vocabulary

#: What a client may fall behind before the server feels it.
_EVENTS = 1024
_MAX_MESSAGE_BYTES = 1_048_576


class ClientError(VantumError):
    """The server could not be reached, refused a request, or hung up."""


@define(eq=False)
class Client:
    """One connection. `events` gives what the server sends, with the time of arrival.

    Requests that are acked (`start`, `end`) wait for their ack and raise `ClientError` with the
    server's message if it refuses.
    """

    connection: WebSocketConnection
    vocabulary: Vocabulary
    session_id: str
    events: trio.MemoryReceiveChannel[tuple[float, ServerMessage]]
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
            raise ClientError("the server hung up before it answered")
        if isinstance(answers[0], ErrorReply):
            raise ClientError(answers[0].message)

    async def _read(self, event_tx: trio.MemorySendChannel[tuple[float, ServerMessage]]) -> None:
        with event_tx:
            while True:
                try:
                    data = await self.connection.get_message()
                except ConnectionClosed:
                    break
                envelope = decode_server(data, self.vocabulary)
                if envelope.message is None:
                    continue
                if isinstance(envelope.message, Ack | ErrorReply):
                    self._answered(envelope.event_id, envelope.message)
                await event_tx.send((trio.current_time(), envelope.message))
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

    Args:
        url: such as "ws://127.0.0.1:3001/ws", or wss for TLS.
        vocabulary: which names of events to speak.
        token: what the server wants if it asks for authentication.
        timeout_s: until the ack.

    Raises:
        ClientError: nobody answers there, or the server does not let us in.
    """
    if vocabulary == "voicechat":
        url += ("&" if "?" in url else "?") + "events=voicechat"
    event_tx, event_rx = trio.open_memory_channel[tuple[float, ServerMessage]](_EVENTS)
    error: Exception | None = None
    try:
        with trio.fail_after(timeout_s) as opening:
            stream = await _open_stream(url)
            try:
                async with trio.open_nursery() as nursery:
                    connection = await _upgrade(nursery, stream, url, token)
                    session_id = await _welcome(connection, vocabulary)
                    opening.deadline = float("inf")
                    client = Client(connection, vocabulary, session_id, event_rx)
                    nursery.start_soon(client._read, event_tx)
                    yield client
                    with trio.move_on_after(2):
                        await connection.aclose()
                    nursery.cancel_scope.cancel()
            finally:
                # The library does not close the socket if it is cancelled on the way.
                await trio.aclose_forcefully(stream)
    except trio.TooSlowError:
        where = url.split("?")[0]
        raise ClientError(f"{where} did not answer within {timeout_s:g} s") from None
    except BaseExceptionGroup as group:
        # One task failed, or the caller's own code did: nobody wants a group for that.
        error = _only(group)
        if error is None:
            raise
    if error is not None:
        raise error


def _only(group: BaseExceptionGroup[BaseException]) -> Exception | None:
    if len(group.exceptions) > 1:
        return None
    inner = group.exceptions[0]
    if isinstance(inner, BaseExceptionGroup):
        return _only(inner)
    return inner if isinstance(inner, Exception) else None


async def _open_stream(url: str) -> trio.SocketStream | trio.SSLStream[trio.SocketStream]:
    target = urlsplit(url)
    if target.scheme not in ("ws", "wss") or not target.hostname:
        raise ClientError(f"{url.split('?')[0]} is no address of a server: ws://HOST:PORT/ws")
    secure = target.scheme == "wss"
    try:
        port = target.port or (443 if secure else 80)
        stream = await trio.open_tcp_stream(target.hostname, port)
    except (OSError, ValueError) as error:
        where = url.split("?")[0]
        raise ClientError(f"cannot connect to {where}: {_words(error)}") from error
    if secure:
        context = ssl.create_default_context()
        return trio.SSLStream(
            stream, context, server_hostname=target.hostname, https_compatible=True
        )
    return stream


def _words(error: BaseException) -> str:
    """The system's own word for what happened, without the library's around it."""
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(error) or type(error).__name__


async def _upgrade(
    nursery: trio.Nursery,
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream],
    url: str,
    token: str,
) -> WebSocketConnection:
    target = urlsplit(url)
    headers = [(b"Authorization", b"Bearer " + token.encode())] if token else []
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    try:
        return await wrap_client_stream(
            nursery,
            stream,
            target.netloc,
            path,
            extra_headers=headers,
            message_queue_size=64,
            max_message_size=_MAX_MESSAGE_BYTES,
            receive_buffer_size=65_536,
        )
    except (HandshakeError, OSError, trio.BrokenResourceError) as error:
        where = url.split("?")[0]
        raise ClientError(f"{where} is no Vantum server: {_words(error)}") from error


async def _welcome(connection: WebSocketConnection, vocabulary: Vocabulary) -> str:
    try:
        envelope = decode_server(await connection.get_message(), vocabulary)
    except ConnectionClosed as error:
        raise ClientError(f"the server hung up: {closing_words(error)}") from error
    if isinstance(envelope.message, Welcome) and envelope.session_id:
        return envelope.session_id
    if isinstance(envelope.message, ErrorReply):
        raise ClientError(envelope.message.message)
    raise ClientError(f"the server does not take calls now: {envelope.event_type}")
