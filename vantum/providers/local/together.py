"""The voice activity of a crowd: the frames of many calls in one run of the model.

After whatever else the process has done, the model must come from memory again, which takes longer
than to compute a frame. A run for eight calls costs less than two for one. So in a crowd a frame
waits a moment for those of other calls; the results are those that it would have alone.
"""

from __future__ import annotations

from typing import Final

import trio
from attrs import define, field

from vantum.providers.local.vad import FRAME_MS, VadStream, probabilities

#: From so many calls on it is worth waiting: fewer seldom speak within the same moment.
_CROWD: Final = 8
_CROWD_FRAMES_PER_S: Final = _CROWD * 1000 / FRAME_MS
#: The ear hears 40 ms at once: nobody notices a quarter of it.
_WAIT_S: Final = 0.01
#: Frames of one run: it takes the loop's time from everybody else.
_MOST: Final = 32


@define(eq=False)
class _Waiting:
    stream: VadStream
    done: trio.Event = field(factory=trio.Event)
    probability: float = 0.0
    error: Exception | None = None


@define(eq=False)
class Together:
    """The frames of all calls of a process."""

    _waiting: list[_Waiting] = field(factory=list, init=False)
    _frames: int = field(default=0, init=False)
    _since_s: float = field(default=float("-inf"), init=False)
    _is_crowd: bool = field(default=False, init=False)

    async def probability(self, stream: VadStream, frame: bytes) -> float:
        """See `VadStream.probability`. Returns without waiting if few calls are listened to.

        Raises whatever the model raises. Who is cancelled meanwhile may not use his stream again.
        """
        if not stream.take(frame):
            return 0.0
        self._count(trio.current_time())
        if not self._is_crowd:
            return probabilities([stream])[0]
        mine = _Waiting(stream)
        self._waiting.append(mine)
        if len(self._waiting) == 1:
            try:
                await trio.sleep(_WAIT_S)
            finally:
                # Also if its own call is over: the others wait for it.
                self._run()
        await mine.done.wait()
        if mine.error is not None:
            raise mine.error
        return mine.probability

    def _count(self, now_s: float) -> None:
        self._frames += 1
        if now_s >= self._since_s + 1:
            self._is_crowd = self._frames >= _CROWD_FRAMES_PER_S * (now_s - self._since_s)
            self._frames, self._since_s = 0, now_s

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        for first in range(0, len(waiting), _MOST):
            batch = waiting[first : first + _MOST]
            try:
                found = probabilities([each.stream for each in batch])
            except Exception as error:
                for each in batch:
                    each.error = error
                    each.done.set()
                continue
            for each, probability in zip(batch, found, strict=True):
                each.probability = probability
                each.done.set()
