"""The audio lane from reader to resampler: bounded by time, and it drops the oldest audio.

A memory channel can only refuse the newest when it is full. On a live call the oldest is the least
useful, and the reader must never wait for audio: pings and interruptions come through it too. So
this one queue is our own: `put` never waits. Marks (the end of a turn) are never dropped.
"""

from __future__ import annotations

from collections import deque

import trio
from attrs import define, field, frozen

from vantum.core.messages import SttFlush


@frozen
class AudioFrame:
    """Audio from the client: 16-bit little-endian mono PCM of even length at `rate_hz`.

    `listen`: the server decides when a turn is over, and wants to hear the voice for it.
    """

    pcm: bytes
    rate_hz: int
    listen: bool = False

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / (2 * self.rate_hz)


LaneItem = AudioFrame | SttFlush


@define
class AudioLane:
    """One producer, one consumer.

    Args:
        limit_s: audio that may wait; beyond it the oldest frames go.
    """

    limit_s: float
    _items: deque[LaneItem] = field(factory=deque, init=False)
    _held_s: float = field(default=0.0, init=False)
    _flushes: int = field(default=0, init=False)
    _fed_s: float = field(default=float("-inf"), init=False)
    _waiting: trio.Event = field(factory=trio.Event, init=False)

    @property
    def fed_s(self) -> float:
        """When audio came last, on trio's clock."""
        return self._fed_s

    def flush(self) -> int:
        """Put a mark behind all that was put; returns its number, which only grows."""
        self._flushes += 1
        self.put(SttFlush(self._flushes))
        return self._flushes

    def put(self, item: LaneItem) -> float:
        """Add; returns the seconds of audio that had to go for it."""
        self._items.append(item)
        dropped_s = 0.0
        if isinstance(item, AudioFrame):
            self._held_s += item.duration_s
            self._fed_s = trio.current_time()
            if self._held_s > self.limit_s:
                dropped_s = self._drop_oldest()
        self._waiting.set()
        return dropped_s

    def _drop_oldest(self) -> float:
        kept: deque[LaneItem] = deque()
        dropped_s = 0.0
        # The newest stays whatever its length: a client may send all it has in one message.
        while len(self._items) > 1 and self._held_s > self.limit_s:
            oldest = self._items.popleft()
            if isinstance(oldest, AudioFrame):
                self._held_s -= oldest.duration_s
                dropped_s += oldest.duration_s
            else:
                kept.append(oldest)
        self._items.extendleft(reversed(kept))
        return dropped_s

    async def get(self) -> LaneItem:
        """The next item; waits while there is none."""
        while not self._items:
            self._waiting = trio.Event()
            await self._waiting.wait()
        item = self._items.popleft()
        if isinstance(item, AudioFrame):
            self._held_s -= item.duration_s
        return item
