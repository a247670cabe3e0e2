"""The audio lane from reader to resampler: bounded by time, and it drops the oldest audio.

A memory channel can only refuse the newest when it is full. On a live call the oldest is the least
useful, and the reader must never wait for audio: pings and interruptions come through it too. So
this one queue is our own: `put` never waits. Marks (the end of a turn) are never dropped for audio,
and the newest thousand of them not at all: who answers one stands for those before it.

It also hands audio on in batches: each hop of a frame costs the event loop a turn, and recognisers
want audio in larger pieces anyway (Deepgram: up to 250 ms). A mark takes everything along at once,
so a turn that ends does not wait for it; where it is the audio that says whether a turn has ended,
the batches are shorter.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from attrs import define, field, frozen

from vantum.core.audio import AudioFormat
from vantum.core.messages import SttFlush


@frozen
class AudioFrame:
    """Audio from the client as its `line` carries it, in whole samples.

    `listen`: the server decides when a turn is over, and wants to hear the voice for it.
    """

    audio: bytes
    line: AudioFormat
    listen: bool = False

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return self.line.duration_s(self.audio)


LaneItem = AudioFrame | SttFlush

#: More than there may be ends of turns that wait for their words (`LLM_MAX_QUEUE_SIZE`): what a
#: client sends besides is refused, and a mark for it need not be kept, be it for hours.
_MOST_MARKS: Final = 1_000

#: Audio handed on at once: what interim transcripts may be late by. With half of it a call costs a
#: sixth more.
_BATCH_S = 0.2
#: The same where the recogniser listens for the end of a turn: three frames of a phone's. Nobody
#: hears whether it knows of it 10 ms sooner, and with two a call costs a tenth more.
_LISTENING_BATCH_S = 0.06
#: The same where the server's own ear listens: it judges in steps of 32 ms.
_EAR_BATCH_S = 0.04


def listening_batch_s(*, has_ear: bool) -> float:
    """How much audio is handed on at once if it says whether a turn is over."""
    return _EAR_BATCH_S if has_ear else _LISTENING_BATCH_S


@define
class AudioLane:
    """One producer, one consumer.

    Args:
        limit_s: audio that may wait; beyond it the oldest frames go.
        listening_batch_s: what is handed on at once of frames that are listened to.

    `handed`: when each mark went to the recogniser, on trio's clock; whoever reads it clears it.
    """

    limit_s: float
    listening_batch_s: float = _EAR_BATCH_S
    handed: dict[int, float] = field(factory=dict, init=False)
    _items: deque[LaneItem] = field(factory=deque, init=False)
    _held_s: float = field(default=0.0, init=False)
    _marks: int = field(default=0, init=False)
    _flushes: int = field(default=0, init=False)
    _fed_s: float = field(default=float("-inf"), init=False)
    _due_at_s: float = field(default=float("inf"), init=False)
    _due: trio.Event = field(factory=trio.Event, init=False)
    _patience: trio.CancelScope = field(factory=trio.CancelScope, init=False)

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
        if isinstance(item, SttFlush):
            self._due.set()
            self._marks += 1
            if self._marks > _MOST_MARKS:
                self._items.remove(next(mark for mark in self._items if isinstance(mark, SttFlush)))
                self._marks -= 1
            return 0.0
        now_s = self._fed_s = trio.current_time()
        batch_s = self.listening_batch_s if item.listen else _BATCH_S
        self._held_s += item.duration_s
        dropped_s = self._drop_oldest() if self._held_s > self.limit_s else 0.0
        if self._held_s >= min(batch_s, self.limit_s) - _EPSILON_S:
            self._due.set()
        elif now_s + batch_s < self._due_at_s:
            self._due_at_s = self._patience.deadline = now_s + batch_s
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

    async def get_batch(self, until_s: float = float("inf")) -> list[LaneItem]:
        """All that is there, at least one item, once it is worth it; neighbours are joined. Nothing
        if nothing has come by `until_s`, on trio's clock."""
        with trio.CancelScope(deadline=min(self._due_at_s, until_s)) as self._patience:
            await self._due.wait()
        batch: list[LaneItem] = []
        while self._items:
            run = [first := self._items.popleft()]
            while (
                isinstance(first, AudioFrame) and self._items and _goes_with(first, self._items[0])
            ):
                run.append(self._items.popleft())
            batch.append(_joined(run))
        self._held_s, self._due_at_s, self._due = 0.0, float("inf"), trio.Event()
        self._marks = 0
        return batch


#: Sums of frame lengths in floats.
_EPSILON_S = 1e-9


def _goes_with(first: AudioFrame, item: LaneItem) -> bool:
    return isinstance(item, AudioFrame) and item.line == first.line and item.listen == first.listen


def _joined(run: list[LaneItem]) -> LaneItem:
    first = run[0]
    if len(run) == 1 or not isinstance(first, AudioFrame):
        return first
    audio = b"".join(frame.audio for frame in run if isinstance(frame, AudioFrame))
    return AudioFrame(audio, first.line, first.listen)
