"""The line between a caller and the server: messages in memory, through a network if one is wanted.

Messages keep their order, as on a TCP connection: what is delayed holds up what comes behind it.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Generic, TypeAlias, TypeVar

import trio
from attrs import define, field, frozen

from vantum.websocket.connection import RECEIVE_BYTES

Message: TypeAlias = bytes | str
M = TypeVar("M")


@frozen
class Stall:
    """Nothing gets through, in either direction, from `at_s` into the call for `for_s`."""

    at_s: float
    for_s: float


@frozen
class Network:
    """How the line behaves. Without anything: at once and for ever.

    Args:
        delay_ms: each way.
        jitter_ms: at most so much on top of it, at random for each message.
        stalls: when nothing gets through; what was sent meanwhile comes in one burst after it.
        reset_at_s: the connection is gone, so long into the call; None: it stays.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    stalls: tuple[Stall, ...] = ()
    reset_at_s: float | None = None

    @property
    def is_ideal(self) -> bool:
        """Whether messages arrive in the instant in which they are sent."""
        return not (self.delay_ms or self.jitter_ms or self.stalls)

    def arrival_s(self, sent_s: float, rng: random.Random) -> float:
        """When a message that is sent at `sent_s` is at the other end, both since the beginning."""
        at_s = sent_s + (self.delay_ms + self.jitter_ms * rng.random()) / 1000
        for stall in self.stalls:
            if stall.at_s <= at_s < stall.at_s + stall.for_s:
                at_s = stall.at_s + stall.for_s
        return at_s


@define(eq=False)
class Way(Generic[M]):
    """One direction. `limit`: messages that may be under way before a sender waits.

    `sink`: takes at once what arrives in the instant in which it was sent, instead of whoever waits
    in `receive`; it must be quick.
    """

    network: Network
    rng: random.Random
    began_s: float
    limit: float
    sink: Callable[[M], object] | None = None
    stopped: bool = False
    closed: bool = False
    gone: bool = False
    _under_way: deque[tuple[float, M]] = field(factory=deque, init=False)
    #: Of the latest messages, taken or not.
    _arrivals: deque[float] = field(factory=lambda: deque(maxlen=256), init=False)
    _last_s: float = field(default=0.0, init=False)
    _news: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)
    _room: trio.lowlevel.ParkingLot = field(factory=trio.lowlevel.ParkingLot, init=False)

    async def send(self, message: M) -> None:
        """Raises `trio.BrokenResourceError` when the connection is gone."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while len(self._under_way) >= self.limit and not self.gone:
            await self._room.park()
        if self.gone or self.closed:
            raise trio.BrokenResourceError
        at_s = trio.current_time()
        if not self.network.is_ideal:
            since_s = self.network.arrival_s(at_s - self.began_s, self.rng)
            at_s = self._last_s = max(self._last_s, self.began_s + since_s)
            self._arrivals.append(at_s)
        elif self.sink is not None and not self.stopped and not self._under_way:
            self.sink(message)
            return
        self._under_way.append((at_s, message))
        self._news.unpark_all()

    async def receive(self) -> M | None:
        """The next message when it has arrived; None: there will be none."""
        parked = False
        while not self.gone:
            at_s = self._under_way[0][0] if self._under_way else math.inf
            if not self.stopped and at_s <= trio.current_time():
                if not parked:
                    await trio.lowlevel.checkpoint_if_cancelled()
                if self._room:  # somebody waits
                    self._room.unpark()
                return self._under_way.popleft()[1]
            if self.closed and not self._under_way:
                break
            parked = True
            if self.stopped or at_s == math.inf:
                await self._news.park()
            else:
                with trio.move_on_at(at_s):
                    await self._news.park()
        if not parked:
            await trio.lowlevel.checkpoint()
        return None

    @property
    def on_the_way(self) -> int:
        """Messages that have not arrived, or whose acknowledgement has not; those that nobody has
        taken yet have."""
        now_s = trio.current_time() - self.network.delay_ms / 1000
        return sum(1 for _ in takewhile(lambda at_s: at_s > now_s, reversed(self._arrivals)))

    def stop(self, stopped: bool) -> None:
        """The receiver takes nothing from here on, or again."""
        self.stopped = stopped
        self._news.unpark_all()

    def close(self) -> None:
        """No more is sent; what is under way still arrives."""
        self.closed = True
        self._news.unpark_all()

    def reset(self) -> None:
        """Gone, with all that was under way."""
        self.gone = True
        self._news.unpark_all()
        self._room.unpark_all()


@define(eq=False)
class Line:
    """Both directions of one connection. `MemorySocket` is the server's end of it."""

    up: Way[Message]
    down: Way[Message]

    @classmethod
    def over(cls, network: Network, rng: random.Random, *, window: int = 0) -> Line:
        """A new connection, with randomness of its own in each direction.

        `window`: messages to the client that fit in the buffers on the way, if it does not read.
        """
        began_s = trio.current_time()
        up: Way[Message] = Way(network, random.Random(rng.random()), began_s, math.inf)  # noqa: S311
        down: Way[Message] = Way(network, random.Random(rng.random()), began_s, window or 64)  # noqa: S311
        return cls(up, down)

    def reset(self) -> None:
        """The connection is gone, both ways and at once."""
        self.up.reset()
        self.down.reset()


@define(eq=False)
class MemorySocket:
    """The server's end: a `vantum.actors.call.ClientSocket`."""

    line: Line
    closed_with: tuple[int, str] | None = None
    sent: int = 0
    _taken: int = 0

    @property
    def held(self) -> int | None:
        """Messages that have not been acknowledged, as a kernel would tell."""
        return self.line.down.on_the_way

    async def receive(self) -> Message | None:
        """The next message; None when the connection is closed.

        Of a burst no more is taken at once than a real connection reads: the others have their turn
        in between, so that what comes behind a stall is not more than can be taken.
        """
        if self._taken >= RECEIVE_BYTES:
            self._taken = 0
            await trio.lowlevel.checkpoint()
        message = await self.line.up.receive()
        self._taken += len(message or b"")
        return message

    async def send(self, *messages: Message, within_s: float) -> None:
        """Raises `trio.BrokenResourceError` when the connection is gone, `trio.TooSlowError` if
        the caller does not read."""
        with trio.fail_after(within_s):
            for message in messages:
                await self.line.down.send(message)
                self.sent += 1

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye."""
        self.closed_with = (code, reason)
        self.line.down.close()
