"""The caller's microphone: an endless stream of audio in which sounds are placed.

While there is sound, and for a while after it, audio goes out in steps of `step_ms`. In longer
silences it goes out in steps of `idle_ms`, each at the moment at which its last sample is due: the
server hears of a silence a little late, but never of a sound. That is what makes long calls fast.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import trio
from attrs import define, field

from vantum.core import events as e
from vantum.core.resampling import Resampler
from vantum.testing.calls.loudspeaker import Loudspeaker
from vantum.testing.calls.phone import Phone
from vantum.testing.calls.said import Said, stamp
from vantum.testing.calls.virtual import Sleep
from vantum.testing.calls.voice import FRAME_S, FRAME_SAMPLES, RATE_HZ, ROOM, Sound

_FRAME_BYTES: Final = 2 * FRAME_SAMPLES
#: After a sound: longer than any recogniser and any policy waits for the end of an utterance.
_TAIL_FRAMES: Final = round(1.2 / FRAME_S)
_EPSILON: Final = 1e-6


@define(eq=False)
class Take:
    """A sound on its way out. `began_s`: its first sample, on trio's clock."""

    sound: Sound
    frame: int
    began_s: float
    done: trio.Event = field(factory=trio.Event)
    sent: int = 0
    pcm: bytes = field(init=False)  # as it goes out, but for an echo

    def __attrs_post_init__(self) -> None:
        self.pcm = self.sound.pcm


@define(eq=False)
class Microphone:
    """One caller's. `play` may be called at any time; sounds wait for each other.

    `rate_hz`: of the call. `step_ms`, `idle_ms`: see the module; multiples of 20. `loudspeaker`:
    what else is to be heard; with it all audio goes out in steps of `step_ms`.
    """

    phone: Phone
    said: Said
    rate_hz: int = RATE_HZ
    step_ms: int = 20
    idle_ms: int = 200
    loudspeaker: Loudspeaker | None = None
    _began_s: float = 0.0
    _frame: int = 0  # the next to be sent
    _free: int = 0  # the first that belongs to no sound
    _tail: int = 0
    _takes: deque[Take] = field(factory=deque)
    _silence: Sleep = field(factory=Sleep)
    _resampler: Resampler | None = None

    def __attrs_post_init__(self) -> None:
        if self.rate_hz != RATE_HZ:
            self._resampler = Resampler(RATE_HZ, self.rate_hz)
            self.said.marked = False

    @property
    def speaking(self) -> bool:
        """Whether a sound is going out."""
        return any(take.began_s <= trio.current_time() + _EPSILON for take in self._takes)

    def begin(self) -> None:
        """The first sample is taken now; call it before anything else."""
        self._began_s = trio.current_time()

    async def quiet(self) -> None:
        """Return when all sounds have gone out."""
        while self._takes:
            await self._takes[-1].done.wait()

    def play(self, sound: Sound) -> Take:
        """Place a sound behind what is there, at the earliest now."""
        now = (trio.current_time() - self._began_s) / FRAME_S
        first = max(math.ceil(now - _EPSILON), self._free)
        take = Take(sound, first, self._began_s + first * FRAME_S)
        self._free = first + sound.frames
        self.said.add(sound, first)
        if self._stamps(take) and self.loudspeaker is None:
            take.pcm = stamp(sound.pcm, first)
        if self.phone.line.up.gone:
            take.done.set()
        else:
            self._takes.append(take)
            self._silence.cut()
        return take

    async def run(self) -> None:
        """Send until the connection is gone; whoever waits for a sound is released then."""
        step = self.step_ms // round(FRAME_S * 1000)
        idle = self.idle_ms // round(FRAME_S * 1000)
        while not self.phone.line.up.gone:
            if self._takes and self._takes[0].frame <= self._frame:
                await self._send_sound(self._takes[0], step)
            else:
                is_busy = self._tail > 0 or self.loudspeaker is not None
                await self._send_silence(step if is_busy else idle)
        for take in self._takes:
            take.done.set()
        self._takes.clear()

    async def _send_sound(self, take: Take, step: int) -> None:
        count = min(step, take.sound.frames - take.sent)
        await trio.sleep_until(self._due_s(self._frame + count))
        at = take.sent * _FRAME_BYTES
        pcm = take.pcm[at : at + count * _FRAME_BYTES]
        if self.loudspeaker is not None:
            pcm = self._with_echo(pcm)
            if self._stamps(take):  # an echo would rub them out
                pcm = stamp(pcm, self._frame)
        take.sent += count
        await self._send(pcm, count)
        self._tail = _TAIL_FRAMES
        if take.sent == take.sound.frames:
            self._takes.popleft()
            take.done.set()

    async def _send_silence(self, most: int) -> None:
        end = self._frame + most
        if self._takes:
            end = min(end, self._takes[0].frame)
            await trio.sleep_until(self._due_s(end))
        else:
            await self._silence.until(self._due_s(end))
        due = math.floor((trio.current_time() - self._began_s) / FRAME_S + _EPSILON)
        if (count := min(due, end) - self._frame) > 0:
            self._tail -= count
            await self._send(self._with_echo(ROOM * count), count)

    def _stamps(self, take: Take) -> bool:
        return self.said.marked and bool(take.sound.words)

    def _with_echo(self, pcm: bytes) -> bytes:
        """The audio that is sent next."""
        if self.loudspeaker is None:
            return pcm
        return self.loudspeaker.over(pcm, self._due_s(self._frame))

    def _due_s(self, frame: int) -> float:
        return self._began_s + frame * FRAME_S

    async def _send(self, pcm: bytes, frames: int) -> None:
        self._frame += frames
        if self._resampler is not None:
            pcm = self._resampler.feed(pcm)
        await self.phone.send(e.InputChunk(self.phone.request(), pcm))
