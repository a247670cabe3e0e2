"""One WebSocket to Cartesia: connected, kept alive, its contexts told apart.

Whoever speaks never touches the socket: sending puts a message into the link's outbox, and a task
of the link's sends what is there. So a cancelled answer cannot cut a frame in two.

Receiving never waits for a consumer: replies go into the inbox of their context, bounded in bytes,
so that a slow listener of one context holds up neither another context nor the pongs. Replies of
contexts that nobody knows any more (cancelled ones) are dropped.
"""

from __future__ import annotations

import math
import ssl
import time
from typing import Literal, TypeAlias

import trio
from attrs import define, field, frozen

from vantum.channels import give_way
from vantum.config import Secret
from vantum.core.audio import SAMPLE_BYTES, Encoding
from vantum.core.backoff import retry_after_s
from vantum.core.packing import PackedQueue
from vantum.errors import ProviderError
from vantum.observe.logs import get_log
from vantum.providers.cartesia import protocol
from vantum.providers.cartesia.protocol import Failure, FlushDone, Reply, Target
from vantum.providers.dialling import OpenStream, dial
from vantum.websocket import BadHandshake, WebSocket, connect

_log = get_log("cartesia")

#: Why an inbox woke its reader without a reply: something to decide, or the link is gone.
Wake: TypeAlias = Literal["nudge", "lost"]

#: A ping in silence keeps middleboxes from forgetting us and finds a dead peer.
_PING_EVERY_S = 20.0
_PONG_WITHIN_S = 10.0
#: The same when a caller waits for what was asked for: before his patience is over, there is time
#: for another connection.
_PONG_IN_DOUBT_S = 4.0
_SEND_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 1.0
_HANG_UP_WITHIN_S = 0.1

#: Messages to Cartesia that may wait: an answer has at most some dozens of pieces, two each.
_OUTBOX = 256

#: Audio of a context that nobody has taken yet: much more than is ever asked for ahead.
_MAX_INBOX_BYTES = 8 * 1024 * 1024

#: Audio behind so much that waits is packed: a second at 16 kHz. What is before it goes soon.
_NEAR_BYTES = 32_000

_MAX_MESSAGE_BYTES = 4 * 1024 * 1024


def _network(message: str, *, status: int | None = None) -> ProviderError:
    return ProviderError(protocol.NAME, "network", message, status=status)


@frozen
class _Kept:
    """A `Chunk` whose audio, so many bytes, is in the inbox's queue."""

    size: int
    flush_id: int | None


@define(eq=False)
class Inbox:
    """What a context has sent and its answer has not taken yet.

    `encoding`: of the audio. PCM that is far from its turn is packed meanwhile.
    """

    context_id: str
    encoding: Encoding = "pcm"
    #: The last submission that was answered in full, and when anything last came, as the network
    #: saw it: the reader may be far behind.
    flushed: int = 0
    last_reply_s: float = -math.inf
    lost: bool = False
    over: bool = False
    #: Audio has come.
    sounds: bool = False
    _bytes: int = 0
    _held: Reply | Wake | None = None
    _far: PackedQueue = field(factory=PackedQueue)
    #: Not bounded in messages, because `put` bounds it in bytes.
    _channel: tuple[
        trio.MemorySendChannel[Reply | Wake | _Kept],
        trio.MemoryReceiveChannel[Reply | Wake | _Kept],
    ] = field(factory=lambda: trio.open_memory_channel[Reply | Wake | _Kept](math.inf))

    def put(self, reply: Reply) -> bool:
        """Add a reply; false: the inbox is full, the context has to be given up."""
        self.last_reply_s = trio.current_time()
        kept: Reply | _Kept = reply
        match reply:
            case FlushDone(flush_id=flush_id):
                self.flushed = max(self.flushed, flush_id)
            case protocol.Done() | Failure():
                self.over = True
            case protocol.Chunk(audio=audio):
                kept = self._put_by(reply)
                self._bytes += len(audio)
                self.sounds = True
        self._channel[0].send_nowait(kept)
        return self._bytes <= _MAX_INBOX_BYTES

    def _put_by(self, chunk: protocol.Chunk) -> protocol.Chunk | _Kept:
        size = len(chunk.audio)
        if self._bytes < _NEAR_BYTES or self.encoding != "pcm" or size % SAMPLE_BYTES:
            return chunk
        self._far.add(chunk.audio)
        return _Kept(size, chunk.flush_id)

    def wake(self, why: Wake) -> None:
        """Wake the reader, behind what is already there."""
        self.lost = self.lost or why == "lost"
        self._channel[0].send_nowait(why)

    async def receive(self) -> Reply | Wake:
        """The next reply, in order."""
        reply, self._held = self._held, None
        if reply is None:
            reply = self._taken(await self._channel[1].receive())
        return reply

    def more_speech(self) -> protocol.Chunk | protocol.Words | None:
        """The next reply, if it is there already and is audio or timestamps."""
        if self._held is None:
            try:
                self._held = self._taken(self._channel[1].receive_nowait())
            except trio.WouldBlock:
                return None
        reply = self._held
        if not isinstance(reply, protocol.Chunk | protocol.Words):
            return None
        self._held = None
        return reply

    def _taken(self, kept: Reply | Wake | _Kept) -> Reply | Wake:
        """As it came."""
        match kept:
            case _Kept(size=size, flush_id=flush_id):
                self._bytes -= size
                return protocol.Chunk(self.context_id, self._far.take(size), flush_id)
            case protocol.Chunk(audio=audio):
                self._bytes -= len(audio)
        return kept


@define(eq=False)
class Link:
    """An open WebSocket. Made by `hold_link`, whose `nursery` ends when it is lost."""

    _socket: WebSocket
    _nursery: trio.Nursery
    last_used_s: float
    lost: trio.Event = field(factory=trio.Event)
    #: When it was opened, and when anything came last.
    opened_s: float = field(init=False)
    heard_s: float = -math.inf
    #: Why it is lost.
    error: ProviderError | None = None
    _inboxes: dict[str, Inbox] = field(factory=dict)
    _outbox: list[str] = field(factory=list)
    _is_sending: bool = False
    _retired: bool = False
    _doubted: trio.Event = field(factory=trio.Event)

    @opened_s.default
    def _since_its_first_use(self) -> float:
        return self.last_used_s

    def open_context(self, context_id: str, encoding: Encoding = "pcm") -> Inbox:
        """From now on replies for this context, whose audio is so written, are kept."""
        inbox = self._inboxes[context_id] = Inbox(context_id, encoding)
        return inbox

    def send(self, message: str) -> None:
        """Send a message soon, in order. Never waits: a link that does not keep up is given up."""
        self.last_used_s = trio.current_time()
        if self.lost.is_set():
            return
        if len(self._outbox) >= _OUTBOX:
            self.drop(_network("the connection takes no more messages"))
            return
        self._outbox.append(message)
        if not self._is_sending:
            self._is_sending = True
            self._nursery.start_soon(self._send_all)

    async def _send_all(self) -> None:
        """Send what waits. A task only for so long: most of a call the agent does not speak."""
        while self._outbox:
            # A piece and its flush, and what else waits, in one write.
            messages, self._outbox = self._outbox, []
            with trio.move_on_after(_SEND_WITHIN_S) as scope:
                try:
                    await self._socket.send(*messages)
                except trio.BrokenResourceError:
                    return  # the receiver says why
            if scope.cancelled_caught:
                self.drop(_network("the connection does not take what is sent"))
        self._is_sending = False

    def forget(self, context_id: str, *, cancel: bool) -> None:
        """Drop all further replies for a context and, if asked, stop it at the provider."""
        if self._inboxes.pop(context_id, None) is not None and cancel:
            self.send(protocol.cancel(context_id))
        if self._retired and not self._inboxes:
            self.drop(_network("the connection was replaced"))

    def retire(self) -> None:
        """Close as soon as no context is open."""
        self._retired = True
        if not self._inboxes:
            self.drop(_network("the connection was replaced"))

    def doubt(self) -> None:
        """Nothing comes although something should: find out whether anybody is there."""
        self._doubted.set()

    async def doubted(self) -> None:
        """Until somebody doubts it."""
        await self._doubted.wait()
        self._doubted = trio.Event()

    @property
    def spoke(self) -> bool:
        """Whether anything has come."""
        return self.heard_s > -math.inf

    @property
    def busy(self) -> bool:
        """Whether any context is open."""
        return bool(self._inboxes)

    def drop(self, error: ProviderError) -> None:
        """Give the connection up, for this reason."""
        if not self.lost.is_set():
            self.error = error
            self.lost.set()
            for inbox in self._inboxes.values():
                inbox.wake("lost")
            self._nursery.cancel_scope.cancel()

    def route(self, reply: Reply) -> bool:
        """Put a reply into its context's inbox; true: it is the first audio there."""
        self.last_used_s = self.heard_s = trio.current_time()
        match reply:
            case protocol.Unknown():
                return False
            case Failure(context_id=None):
                targets = list(self._inboxes.values())
            case _:
                inbox = self._inboxes.get(reply.context_id or "")
                targets = [inbox] if inbox else []
        begins = False
        for inbox in targets:
            silent = not inbox.sounds
            if not inbox.put(reply):
                self.drop(_network("more audio came than was asked for"))
            begins = silent and inbox.sounds
        return begins


async def hold_link(
    where: Target,
    api_key: Secret,
    open_stream: OpenStream | None,
    connect_timeout_s: float,
    *,
    tls: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[Link],
) -> None:
    """Connect, report the `Link`, and keep it going until it is lost or dropped.

    Raises:
        ProviderError: it could not be connected. Never after that.
    """
    stream: trio.abc.Stream | None = None
    try:
        try:
            with trio.fail_after(connect_timeout_s):
                stream = await dial(
                    protocol.NAME,
                    where.host,
                    where.port,
                    secure=where.tls,
                    open_stream=open_stream,
                    tls=tls,
                )
                socket = await _shake_hands(stream, where, api_key)
        except trio.TooSlowError:
            raise ProviderError(protocol.NAME, "timeout", "connecting took too long") from None
        try:
            async with trio.open_nursery() as nursery:
                link = Link(socket, nursery, trio.current_time())
                task_status.started(link)
                del task_status  # it holds the nursery in which this task began
                nursery.start_soon(_ping, link, socket)
                try:
                    await _receive_all(link, socket)
                finally:  # before the nursery is closed to what might still be sent
                    link.drop(_network("the connection is gone"))
        finally:
            await _say_goodbye(socket)
    finally:
        if stream is not None:
            with trio.CancelScope(shield=True):  # does not wait: closing by force is immediate
                await trio.aclose_forcefully(stream)


async def _shake_hands(stream: trio.abc.Stream, where: Target, api_key: Secret) -> WebSocket:
    try:
        return await connect(
            stream,
            where.host_header,
            where.resource,
            headers=protocol.auth_headers(api_key),
            max_message_bytes=_MAX_MESSAGE_BYTES,
        )
    except BadHandshake as error:
        if error.status is not None:
            told_s = retry_after_s(error.headers, time.time())
            raise protocol.refused(error.status, told_s) from None
        raise _network(str(error)) from error
    except trio.BrokenResourceError as error:
        raise _network("the connection broke during the handshake") from error


async def _say_goodbye(socket: WebSocket) -> None:
    # When the session is cancelled nobody reads the peer's reply any more: only say goodbye.
    hanging_up = trio.current_effective_deadline() == -math.inf
    with trio.move_on_after(_HANG_UP_WITHIN_S if hanging_up else _CLOSE_WITHIN_S, shield=True):
        await socket.close()


async def _receive_all(link: Link, socket: WebSocket) -> None:
    try:
        while (message := await socket.receive()) is not None:
            if link.route(protocol.parse(message)):
                # An answer's first sound does not wait until what came with it is understood.
                await give_way()
        code = socket.close_code
        link.drop(_network(f"the connection was lost (close code {code})", status=code))
    except protocol.MalformedMessage as fault:
        # It may have held audio. A new connection and the resumed answer lose none.
        _log.warning("malformed message", fault=str(fault))
        link.drop(ProviderError(protocol.NAME, "server", f"sent a malformed message: {fault}"))


async def _ping(link: Link, socket: WebSocket) -> None:
    while True:
        patience_s = _PONG_WITHIN_S
        with trio.move_on_after(_PING_EVERY_S):
            await link.doubted()
            patience_s = _PONG_IN_DOUBT_S
        asked_s = trio.current_time()
        with trio.move_on_after(patience_s) as waiting:
            try:
                await socket.ping()
            except trio.BrokenResourceError:
                return  # the receiver says why
        # A pong may be late behind much audio; but a ping that was cut short ends the connection.
        if waiting.cancelled_caught and (link.heard_s < asked_s or not socket.whole):
            link.drop(_network("the connection is dead (no pong)"))
