"""The client of a simulated call: sends messages, keeps every answer with its time of arrival."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import trio
from attrs import define, field

from vantum.core import events as e
from vantum.testing.calls.line import Line, Message
from vantum.wire.client import Envelope, decode_server, encode_client
from vantum.wire.native import Vocabulary

M = TypeVar("M")

#: No call waits so long for anything: a test that would wait for ever fails instead.
_PATIENCE_S = 300.0

#: Told of every message of the server as it arrives.
Listener = Callable[[float, Envelope], None]


class CallOver(Exception):
    """The call ended while somebody waited for something to happen in it."""


@define(eq=False)
class Phone:
    """The client's device. What a person does with it is in `vantum.testing.calls.caller`.

    `got`: every message of the server with the time of its arrival. `over`: the connection has
    ended. Waiting fails with `trio.TooSlowError` after five minutes of virtual time.
    """

    line: Line
    vocabulary: Vocabulary = "unified"
    session_id: str = ""
    got: list[tuple[float, Envelope]] = field(factory=list)
    over: trio.Event = field(factory=trio.Event)
    listeners: list[Listener] = field(factory=list)
    patience_s: float = _PATIENCE_S
    _by_kind: dict[type, list[tuple[float, Any]]] = field(factory=dict)
    _waiting: list[tuple[Callable[[], bool], trio.Event]] = field(factory=list)
    _ids: Iterator[int] = field(factory=itertools.count)
    _broken: Exception | None = None

    async def listen(self) -> None:
        """Keep what comes until the connection ends."""
        self.line.down.sink = self._take_at_once
        while (data := await self.line.down.receive()) is not None:
            self._take(data)
        if self._broken is not None:
            raise self._broken
        self.over.set()
        self.wake()

    def _take_at_once(self, data: Message) -> None:
        """It is the server's task that comes here: what goes wrong is not its fault."""
        try:
            self._take(data)
        except Exception as error:
            self._broken = error
            self.line.reset()

    def _take(self, data: Message) -> None:
        envelope = decode_server(data, self.vocabulary)
        self.session_id = self.session_id or envelope.session_id
        now_s = trio.current_time()
        self.got.append((now_s, envelope))
        kind = type(envelope.message)
        self._by_kind.setdefault(kind, []).append((now_s, envelope.message))
        for listener in self.listeners:
            listener(now_s, envelope)
        self.wake()

    def wake(self) -> None:
        """Look again whether what somebody waits for is so."""
        for is_so, happened in self._waiting:
            if self.over.is_set() or is_so():
                happened.set()

    # ------------------------------------------------------------ sending

    def request(self) -> e.Request:
        """A request with an id of its own."""
        return e.Request(None, f"request-{next(self._ids)}")

    async def send(self, message: e.ClientMessage) -> None:
        """Send in this phone's vocabulary. On a line that is gone it goes nowhere."""
        await self.send_raw(
            encode_client(message, vocabulary=self.vocabulary, session_id=self.session_id)
        )

    async def send_raw(self, data: Message) -> None:
        """Send bytes, or a text frame, as they are."""
        with suppress(trio.BrokenResourceError):
            await self.line.up.send(data)

    async def start(self, options: e.InputOptions) -> e.Request:
        """Begin; returns when the server is ready."""
        request = self.request()
        acks = self.count(e.Ack)
        await self.send(e.StartInput(request, options))
        await self.until(e.Ack, acks + 1)
        return request

    async def speak(self, seconds: float, frame: bytes) -> None:
        """Send a frame every 20 ms for so long."""
        started_s = trio.current_time()
        for number in range(round(seconds / 0.02)):
            await trio.sleep_until(started_s + number * 0.02)
            await self.send(e.InputChunk(self.request(), frame))

    async def end(self) -> None:
        """The turn is over: `audio.input.end`."""
        await self.send(e.EndInput(self.request()))

    def hang_up(self) -> None:
        """Close the connection."""
        self.line.up.close()

    # ------------------------------------------------------------ what came

    def messages(self, kind: type[M]) -> list[M]:
        """All messages of a kind."""
        return [message for _, message in self._by_kind.get(kind, ())]

    def when(self, kind: type) -> list[float]:
        """Their times of arrival."""
        return [at_s for at_s, _ in self._by_kind.get(kind, ())]

    def count(self, kind: type) -> int:
        """How many there are."""
        return len(self._by_kind.get(kind, ()))

    @property
    def state(self) -> e.StateName:
        """Of the conversation, as the server has told it."""
        moves = self._by_kind.get(e.StateChanged)
        state: e.StateName = moves[-1][1].new if moves else "INITIALIZING"
        return state

    async def until(self, kind: type[M], count: int = 1) -> M:
        """Wait for the nth message of a kind, counted from the beginning of the call."""
        await self.wait_for(lambda: self.count(kind) >= count)
        return self.messages(kind)[count - 1]

    async def until_state(self, state: str) -> None:
        """Wait for the conversation to be in a state."""
        await self.wait_for(lambda: self.state == state)

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so. It is looked at when a message comes, so it should be quick.

        Raises:
            CallOver: the call ended, and it is not so.
            trio.TooSlowError: it never was.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if is_so():
            return
        if self.over.is_set():
            raise CallOver("the call is over")
        waiting = (is_so, trio.Event())
        self._waiting.append(waiting)
        try:
            with trio.fail_after(self.patience_s):
                await waiting[1].wait()
        finally:
            self._waiting.remove(waiting)
        if self.over.is_set() and not is_so():
            raise CallOver("the call is over")
