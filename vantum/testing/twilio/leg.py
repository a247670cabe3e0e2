"""The telephone at the other end of a call: a mouth, an ear and keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np
import trio
from attrs import define, field
from numpy.typing import NDArray

from vantum.testing.calls.voice import Sound
from vantum.testing.twilio.earpiece import Earpiece, add
from vantum.testing.twilio.sound import BYTE_S, FRAME_BYTES, FRAME_S, RATE_HZ, ROOM

#: Takes 20 ms of what the telephone's microphone has just recorded.
Sink: TypeAlias = Callable[[bytes], None]
#: Takes a key that was pressed.
KeySink: TypeAlias = Callable[[str], None]

_EPSILON: Final = 1e-6


@define(eq=False)
class Utterance:
    """Something that is said into the telephone. `began_s` is None until its first frame."""

    mulaw: bytes
    sound: Sound | None = None
    asked_s: float = field(factory=trio.current_time)
    began_s: float | None = None
    done: trio.Event = field(factory=trio.Event)
    sent: int = 0


@define(eq=False)
class Leg:
    """One telephone. `keeps`: whether its audio is kept to be recorded.

    Attributes:
        earpiece: what is heard in it.
        sinks, key_sinks: who gets what is said into it, frame by frame, and its keys.
        answered_s: when it was picked up, on trio's clock; None: not yet.
        beeped_s: when its tone was over, if it is an answering machine that has come so far.
        utterances: what was said into it; the last only, if nothing is kept.
        pressed: its keys and when.
        listeners: told of each sound in the moment in which it begins to be said.
    """

    keeps: bool = True
    earpiece: Earpiece = field(init=False)
    sinks: list[Sink] = field(factory=list)
    key_sinks: list[KeySink] = field(factory=list)
    answered_s: float | None = None
    beeped_s: float | None = None
    utterances: list[Utterance] = field(factory=list)
    pressed: list[tuple[float, str]] = field(factory=list)
    listeners: list[Callable[[Sound], None]] = field(factory=list)
    _queue: deque[Utterance] = field(factory=deque)
    _frame: int = 0

    def __attrs_post_init__(self) -> None:
        self.earpiece = Earpiece(self.keeps)

    def pick_up(self) -> None:
        """The call is answered: time begins for `run`."""
        self.answered_s = trio.current_time()

    async def run(self) -> None:
        """Give every 20 ms of the microphone to the sinks, for ever."""
        assert self.answered_s is not None
        while True:
            self._frame += 1
            await trio.sleep_until(self.answered_s + self._frame * FRAME_S)
            frame = self._next()
            for sink in tuple(self.sinks):
                sink(frame)

    def _next(self) -> bytes:
        assert self.answered_s is not None
        frame_s = self.answered_s + (self._frame - 1) * FRAME_S
        # A frame that was begun before somebody opened their mouth is the room's.
        if not self._queue or self._queue[0].asked_s > frame_s + _EPSILON:
            return ROOM
        utterance = self._queue[0]
        if utterance.began_s is None:
            utterance.began_s = frame_s
            if not self.keeps:
                self.utterances.clear()
            self.utterances.append(utterance)
            if utterance.sound is not None:
                for listener in self.listeners:
                    listener(utterance.sound)
        frame = utterance.mulaw[utterance.sent : utterance.sent + FRAME_BYTES]
        utterance.sent += FRAME_BYTES
        if utterance.sent >= len(utterance.mulaw):
            self._queue.popleft()
            utterance.done.set()
        return frame + ROOM[len(frame) :]

    # ------------------------------------------------------------ the person's side

    async def say(self, mulaw: bytes, sound: Sound | None = None) -> Utterance:
        """Speak; returns when it has been said. Behind what is being said already."""
        utterance = Utterance(mulaw, sound)
        if mulaw:
            self._queue.append(utterance)
            await utterance.done.wait()
        return utterance

    def press(self, digit: str) -> None:
        """Press a key."""
        self.pressed.append((trio.current_time(), digit))
        for sink in tuple(self.key_sinks):
            sink(digit)

    @property
    def silent_since_s(self) -> float | None:
        """When the last word was over; None: it is being said, or nothing has been said yet."""
        if self._queue or not self.utterances:
            return None
        last = self.utterances[-1]
        assert last.began_s is not None
        return last.began_s + len(last.mulaw) * BYTE_S

    def samples(self, from_s: float, to_s: float) -> NDArray[np.int16]:
        """What was said into it from one moment to another."""
        total = np.zeros(max(0, round((to_s - from_s) * RATE_HZ)), np.int32)
        for utterance in self.utterances:
            assert utterance.began_s is not None
            add(total, utterance.mulaw[: utterance.sent], utterance.began_s - from_s)
        return np.clip(total, -32_768, 32_767).astype(np.int16)
