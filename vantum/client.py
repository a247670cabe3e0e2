"""A client of the server: what a browser does, in Python. `replay` and the examples use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import trio
import uuid_utils
from attrs import define, field
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, open_websocket_url

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

T = TypeVar("T")


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
        url: such as "ws://127.0.0.1:3001/ws".
        vocabulary: which names of events to speak.
        token: what the server wants if it asks for authentication.
        timeout_s: until the ack.

    Raises:
        ClientError: nobody answers there, or the server does not let us in.
    """
    if vocabulary == "voicechat":
        url += ("&" if "?" in url else "?") + "events=voicechat"
    headers = [(b"Authorization", b"Bearer " + token.encode())] if token else []
    event_tx, event_rx = trio.open_memory_channel[tuple[float, ServerMessage]](_EVENTS)
    try:
        async with trio.open_nursery() as nursery:
            connection = await _open(nursery, url, headers, timeout_s)
            session_id = await _welcome(connection, vocabulary, timeout_s)
            client = Client(connection, vocabulary, session_id, event_rx)
            nursery.start_soon(client._read, event_tx)
            yield client
            with trio.move_on_after(2):
                await connection.aclose()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # One task failed, or the caller's own code did: nobody wants a group for that.
        if len(group.exceptions) == 1 and not isinstance(group.exceptions[0], BaseExceptionGroup):
            raise group.exceptions[0] from None
        raise


async def _open(
    nursery: trio.Nursery, url: str, headers: list[tuple[bytes, bytes]], timeout_s: float
) -> WebSocketConnection:
    opened: list[WebSocketConnection] = []
    ready = trio.Event()
    failure: list[Exception] = []

    async def hold() -> None:
        try:
            async with open_websocket_url(
                url,
                extra_headers=headers,
                message_queue_size=64,
                max_message_size=_MAX_MESSAGE_BYTES,
                receive_buffer_size=65_536,
                connect_timeout=timeout_s,
                disconnect_timeout=2,
            ) as connection:
                opened.append(connection)
                ready.set()
                await trio.sleep_forever()
        except (HandshakeError, OSError, ValueError) as error:
            failure.append(error)
            ready.set()

    nursery.start_soon(hold)
    await ready.wait()
    if failure:
        words = str(failure[0]) or type(failure[0]).__name__
        raise ClientError(f"cannot connect to {url.split('?')[0]}: {words}")
    return opened[0]


async def _welcome(
    connection: WebSocketConnection, vocabulary: Vocabulary, timeout_s: float
) -> str:
    with trio.move_on_after(timeout_s):
        try:
            envelope = decode_server(await connection.get_message(), vocabulary)
        except ConnectionClosed as error:
            raise ClientError(f"the server hung up: {closing_words(error)}") from error
        if isinstance(envelope.message, Welcome) and envelope.session_id:
            return envelope.session_id
        if isinstance(envelope.message, ErrorReply):
            raise ClientError(envelope.message.message)
        raise ClientError(f"the server does not take calls now: {envelope.event_type}")
    raise ClientError(f"the server did not answer within {timeout_s:g} s")
