"""An open WebSocket: frames of a stream become messages, and messages frames."""

from __future__ import annotations

import math
import os

import trio
from attrs import define, field
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol

from vantum.backlog import unacknowledged
from vantum.core.ratelimit import RateLimit
from vantum.tcp import send_now

#: Several audio messages in one read. Each read takes so much room, for a moment, in one stretch,
#: among pieces of audio that stay for seconds: with 64 KiB the heap of a talking crowd had to grow
#: where it had many smaller gaps.
RECEIVE_BYTES = 16_384
#: Taken in at once: of the smallest frames, some seven hundred.
_SLICE_BYTES = 4_096
#: For the last frame to a peer that may not be reading.
_GOODBYE_S = 1.0


@define(eq=False)
class WebSocket:
    """An open connection, from `accept` or `connect`. Who made the stream closes it."""

    _stream: trio.abc.Stream
    _protocol: Protocol
    #: For frames of all kinds: pings and pieces of messages cost time too. None: no limit.
    _rate: RateLimit | None = None
    #: For a pong: a peer that asks for it, and reads nothing, would hold up who receives.
    _answer_s: float = float("inf")
    #: No message will come any more.
    over: trio.Event = field(factory=trio.Event, init=False)
    # Lists: both are short, mostly empty, and an empty deque takes as much room as a task's frames.
    _messages: list[bytes | str] = field(factory=list, init=False)
    _unread: list[bytes] = field(factory=list, init=False)
    _fragments: list[bytes] = field(factory=list, init=False)
    _is_text: bool = field(default=False, init=False)
    _reading: bool = field(default=False, init=False)
    _sending: trio.Lock = field(factory=trio.Lock, init=False)
    _cut_short: bool = field(default=False, init=False)
    _pings: dict[bytes, trio.Event] = field(factory=dict, init=False)
    #: Bytes that were given to the stream.
    sent: int = field(default=0, init=False)

    def put_unread(self, data: bytes) -> None:
        """Bytes that came right behind the handshake: they are read before what comes."""
        slices = range(0, len(data), _SLICE_BYTES)
        self._unread.extend(data[at : at + _SLICE_BYTES] for at in slices)

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
        return self._messages.pop(0)

    async def _read(self) -> None:
        """Take in the frames of a slice; read if there is none."""
        protocol = self._protocol
        data = self._unread.pop(0) if self._unread else await self._read_stream()
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        self._take_in()
        if protocol.writes and self.over.is_set():
            # A goodbye must not be lost because others hear first that it is over.
            with trio.move_on_after(_GOODBYE_S, shield=True):
                await self._flush()
        # Pongs. Whoever is sending takes them along.
        elif protocol.writes and not self._sending.locked():
            with trio.move_on_after(self._answer_s) as answering:
                await self._flush()
            if answering.cancelled_caught:
                self._end()

    async def _read_stream(self) -> bytes:
        """What comes, its first slice; nothing at the end."""
        self._reading = True
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return b""
        finally:
            self._reading = False
        if len(data) <= _SLICE_BYTES:
            return bytes(data)
        self.put_unread(bytes(data))
        return self._unread.pop(0)

    def _take_in(self) -> None:
        now_s = trio.current_time() if self._rate is not None else 0.0
        for event in self._protocol.events_received():
            assert isinstance(event, Frame)
            if self._rate is not None and self._rate.arrived(now_s) == "close":
                self._protocol.fail(4429, "too many frames")
                self._end()
                return
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
        # RFC 6455 (section 8.1) would have the connection fail over text that is not UTF-8. Ours
        # takes no text but to say so, and the protocol promises that this drops no call.
        self._messages.append(str(data, "utf-8", "replace") if is_text else bytes(data))

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
        self._messages.insert(0, message)

    async def send(self, *messages: bytes | str, within_s: float = math.inf) -> None:
        """Send one message, or several in one write. Text is `str`.

        A send that is cancelled while it waits, or late, leaves half a message on the wire: nothing
        can be sent after it. `within_s`: for the wait until others have sent, and for that until
        the peer has read. Nearly no send waits, so there is no scope around those that do not.

        Raises:
            trio.BrokenResourceError: the connection is closed.
            trio.TooSlowError: the peer does not read.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._sending.locked():
            with trio.fail_after(within_s):
                await self._sending.acquire()
        else:
            self._sending.acquire_nowait()
        try:
            if not self.whole:
                raise trio.BrokenResourceError("the WebSocket is closed")
            for message in messages:
                if isinstance(message, bytes):
                    self._protocol.send_binary(message)
                else:
                    self._protocol.send_text(message.encode())
            await self._write(within_s)
        finally:
            self._sending.release()

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
        try:
            async with self._sending:
                await self._write()
        except trio.BrokenResourceError:
            self._end()

    async def _write(self, within_s: float = math.inf) -> None:
        """Write what the protocol has, and what it gets meanwhile. By the owner of the lock."""
        if self._cut_short:
            raise trio.BrokenResourceError("a send before was cut short")
        # An empty piece among them means the end of the stream, which its owner sees to.
        while data := b"".join(self._protocol.data_to_send()):
            self._cut_short = True
            self.sent += len(data)
            try:
                if (sent := send_now(self._stream, data)) < len(data):
                    with trio.fail_after(within_s):
                        await self._stream.send_all(data[sent:])
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

    @property
    def goodbye(self) -> str:
        """Who closed it and with what code, for a log; of a peer's words, none."""
        protocol = self._protocol
        if protocol.close_sent is not None and not protocol.close_rcvd_then_sent:
            return f"ours: {protocol.close_sent.code} {protocol.close_sent.reason}".rstrip()
        return "none" if protocol.close_rcvd is None else f"the peer's: {self.close_code}"

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

    def let_go(self) -> None:
        """Nobody uses the connection any more: drop what it holds, up to two whole messages.

        The protocol and its parser hold each other, and so do what the parser ended with and where
        that was raised; the collector comes seldom.
        """
        self._protocol.parser.close()
        if self._protocol.parser_exc is not None:
            self._protocol.parser_exc.__traceback__ = None
        self._messages, self._unread, self._fragments = [], [], []


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
