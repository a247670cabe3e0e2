"""What the caller says, and how the simulated recogniser finds it in the audio that it gets.

Every 20 ms frame of the caller's speech carries its number in the lowest bit of its samples, which
nobody can hear. So the recogniser hears exactly what reached it: audio that was cut, dropped,
muted, replayed after a lost connection or sent twice is heard as cut, missing, replayed or twice.

The marks only survive at 16 kHz. At other rates the words are placed by the amount of audio since
the beginning; then what is lost on the way shifts the words behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
from attrs import define, field

from vantum.core.audio import from_int16, to_int16
from vantum.testing.calls.voice import FRAME_SAMPLES, RATE_HZ, ROOM, Sound
from vantum.testing.deepgram_script import Heard

_MARK: Final = 0x9D37A5C3
_BITS: Final = 32
_MARKS: Final = np.array([_MARK >> n & 1 for n in range(_BITS)], np.int16)
#: A byte's lowest bit as a digit, and the mark so written: the lowest digit comes first.
_LOWEST: Final = b"01" * 128
_SYNC: Final = f"{_MARK:0{_BITS}b}".encode()[::-1]


def stamp(pcm: bytes, number: int) -> bytes:
    """The same whole frames at 16 kHz, with their numbers from `number` on."""
    samples = to_int16(pcm).reshape(-1, FRAME_SAMPLES) & -2
    numbers = np.arange(number, number + len(samples))[:, None]
    samples[:, :_BITS] |= _MARKS
    samples[:, _BITS : 2 * _BITS] |= (numbers >> np.arange(_BITS) & 1).astype(np.int16)
    return from_int16(samples.ravel())


def is_room(pcm: bytes) -> bool:
    """Whether it is whole frames of the quiet room, as the microphone sends them."""
    count, rest = divmod(len(pcm), len(ROOM))
    return not rest and pcm == _room(count)


@lru_cache(maxsize=64)
def _room(frames: int) -> bytes:
    return ROOM * frames


def stamps(pcm: bytes) -> Iterator[tuple[int, int]]:
    """(first sample, number) of each stamped frame that is whole in `pcm`."""
    low, at = pcm[::2].translate(_LOWEST), -1
    while (at := low.find(_SYNC, at + 1)) >= 0 and at + FRAME_SAMPLES <= len(low):
        yield at, int(low[at + _BITS : at + 2 * _BITS][::-1], 2)
        at += FRAME_SAMPLES - 1


@define(eq=False)
class Said:
    """Which word each frame of the caller's audio belongs to.

    `marked`: frames carry their numbers; else they are counted as they come.
    """

    marked: bool = True
    _words: list[str] = field(factory=list)
    _frames: dict[int, int] = field(factory=dict)
    _lengths: list[int] = field(factory=list)

    def add(self, sound: Sound, frame: int) -> None:
        """This is said from frame number `frame` of the caller's audio on."""
        for word in sound.words:
            self._frames.update(
                dict.fromkeys(range(frame + word.first, frame + word.end), len(self._words))
            )
            self._words.append(word.text)
            self._lengths.append(word.end - word.first)

    def word_at(self, frame: int) -> int | None:
        """The number of the word that is said in this frame, counted from 0."""
        return self._frames.get(frame)

    def text(self, word: int) -> str:
        """A word by its number."""
        return self._words[word]

    def frames(self, word: int) -> int:
        """How many frames it takes."""
        return self._lengths[word]

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in the order in which they were to be said."""
        return tuple(self._words)


@define(eq=False)
class SaidSource:
    """The words in one connection's audio: a `vantum.testing.deepgram_script.Source`."""

    said: Said
    rate_hz: int = RATE_HZ
    partial: Heard | None = None
    _word: int | None = None
    _consumed: int | None = None
    _heard_frames: int = 0
    _rest: bytes = b""

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        complete: list[Heard] = []
        if not self.said.marked:
            step = self.rate_hz * FRAME_SAMPLES // RATE_HZ
            if not pcm.strip(b"\0"):
                self._quiet(complete)  # muted
                return complete
            for number in range(start // step, end // step):  # each where its end is
                self._take(number, number * step, (number + 1) * step, complete)
            return complete
        if self._word is None and not self._rest.strip(ROOM) and is_room(pcm):
            self._rest = b""  # most of a call: not worth a closer look
            return complete
        start -= len(self._rest) // 2
        pcm = self._rest + pcm
        at = 0
        for first, number in stamps(pcm):
            if first - at >= FRAME_SAMPLES:
                self._quiet(complete)
            at = first + FRAME_SAMPLES
            self._take(number, start + first, start + at, complete)
        # What is left may be the beginning of a frame; longer than one, it holds none.
        left = len(pcm) // 2 - at
        if left >= FRAME_SAMPLES:
            self._quiet(complete)
        keep = left if left < FRAME_SAMPLES else FRAME_SAMPLES - 1
        self._rest = pcm[len(pcm) - 2 * keep :] if keep else b""
        return complete

    def _take(self, number: int, first: int, end: int, complete: list[Heard]) -> None:
        word = self.said.word_at(number)
        if word != self._word:
            self._quiet(complete)
            self._word = word
        if word is None or word == self._consumed:
            return
        if self.partial is None:
            self._heard_frames = 0
            self.partial = Heard(self.said.text(word), first, end, 0.99, clear=False)
        self._heard_frames += 1
        self.partial.end = end
        self.partial.clear = 2 * self._heard_frames >= self.said.frames(word)

    def _quiet(self, complete: list[Heard]) -> None:
        """The word being said, if any, is over: it counts if half of it was heard."""
        if self.partial is not None and self.partial.clear:
            complete.append(self.partial)
        self.partial = None
        self._word = self._consumed = None

    def finish(self) -> list[Heard]:
        """See `Source`."""
        partial = self.partial
        if partial is None or not partial.clear:
            return []
        self._consumed = self._word
        self.partial = None
        return [partial]
