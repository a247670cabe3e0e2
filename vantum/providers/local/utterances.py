"""Cutting a stream of frames into utterances by voice activity. Pure.

`Segmenter` says where speech begins and ends; `UtteranceCutter` keeps the audio and says what is to
be recognised when.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from attrs import Factory, define, frozen

from vantum.core.audio import SAMPLE_BYTES, to_float32
from vantum.providers.local.segmenter import (
    Segmenter,
    SegmenterOptions,
    SpeechBegan,
    SpeechEnded,
)
from vantum.providers.local.vad import FRAME_BYTES, FRAME_MS, FRAME_SAMPLES

# ---------------------------------------------------------------- audio to recognise


@frozen
class Stretch:
    """A piece of the stream: samples `start` up to `end` of it, as PCM.

    The voice itself is heard from `voice_start` to `voice_end`, as far as is known.
    """

    start: int
    end: int
    voice_start: int
    voice_end: int
    pcm: bytes


@frozen
class Began:
    """The caller began to speak, at this sample."""

    at: int


@frozen
class Sketch:
    """An interim recognition is due.

    `settling`: the voice has just fallen silent; if it stays so, the final text is that of exactly
    this stretch, which is why it is worth recognising before one knows.
    """

    stretch: Stretch
    settling: bool


@frozen
class Settle:
    """This stretch is complete: recognise it for good.

    `utterance_ended_at`: the sample where the voice fell silent, if that is why.
    """

    stretch: Stretch
    utterance_ended_at: int | None


Task: TypeAlias = Began | Sketch | Settle


@frozen
class CutterOptions:
    """Lengths in frames.

    Attributes:
        segmenter: when speech begins and ends.
        interim_frames: between two sketches.
        lead_frames: audio before the first frame of speech that belongs to it (soft onsets).
        tail_frames: silence after it that belongs to it. When it has passed, the text is worked
            out: with 4 frames (128 ms) it has no more errors than with 6, with 3 a few.
        max_frames: from this length on a stretch is cut at its quietest point (`tail_frames` later
            at most); well under the recogniser's 10 s.
    """

    segmenter: SegmenterOptions = Factory(SegmenterOptions)
    interim_frames: int = 16
    lead_frames: int = 10
    tail_frames: int = 4
    max_frames: int = 300

    @classmethod
    def from_ms(cls, *, silence_ms: int, interim_ms: int) -> CutterOptions:
        """With the settings' times, rounded to frames."""
        silence_frames = max(1, round(silence_ms / FRAME_MS))
        return cls(
            segmenter=SegmenterOptions(silence_frames=silence_frames),
            interim_frames=max(1, round(interim_ms / FRAME_MS)),
            tail_frames=min(cls().tail_frames, silence_frames),
        )


#: A stretch that has to be cut is cut in its later half, and not so late that words are still open.
_CUT_FROM: Final = 0.5
_CUT_TO_FRAMES: Final = 10
_AROUND: Final = (1.0, 2.0, 1.0)  # a word's edge next to a quiet frame counts half


def quietest_frame(pcm: bytes, low: int, high: int) -> int:
    """The frame border of `pcm` in low..high with the least sound around it."""
    samples = to_float32(pcm[: len(pcm) // FRAME_BYTES * FRAME_BYTES])
    energy = np.square(samples).reshape(-1, FRAME_SAMPLES).sum(axis=1)
    around = np.convolve(energy, _AROUND, mode="same")
    return low + int(np.argmin(around[low : high + 1]))


@define
class UtteranceCutter:
    """Feed it frames and their probabilities; it answers with what is to be done.

    Stretches that are settled follow each other in order and never overlap.
    """

    options: CutterOptions = Factory(CutterOptions)
    _segmenter: Segmenter = Factory(lambda self: Segmenter(self.options.segmenter), takes_self=True)
    _origin: int = 0  # sample of the segmenter's frame 0
    _kept: bytearray = Factory(bytearray)
    _kept_from: int = 0  # sample of its first one
    _voice_from: int = 0  # sample where the open utterance's voice begins
    _sketched_frame: int = 0

    @property
    def position(self) -> int:
        """Samples taken so far."""
        return self._kept_from + len(self._kept) // SAMPLE_BYTES

    @property
    def is_speech(self) -> bool:
        """Whether an utterance is open."""
        return self._segmenter.is_speech

    def feed(self, frame: bytes, probability: float) -> list[Task]:
        """Take one frame (`FRAME_BYTES` of PCM) and the probability that it is speech."""
        self._kept += frame
        tasks: list[Task] = []
        match self._segmenter.feed(probability):
            case SpeechBegan(first):
                self._begin(first)
                tasks.append(Began(self._voice_from))
            case SpeechEnded(quiet):
                stretch = self._stretch(self._sample(quiet + self.options.tail_frames), quiet)
                self._forget_before(stretch.end)
                return [Settle(stretch, utterance_ended_at=self._sample(quiet))]
            case _:
                pass
        if self._segmenter.is_speech:
            tasks += self._go_on()
        else:
            self._forget_before(self._idle_from())
        return tasks

    def _begin(self, frame: int) -> None:
        self._forget_before(self._sample(frame - self.options.lead_frames))
        self._voice_from = self._sample(frame)
        self._sketched_frame = frame

    def _go_on(self) -> list[Task]:
        here, quiet = self._segmenter.frame, self._segmenter.quiet_frame
        is_full = len(self._kept) // FRAME_BYTES >= self.options.max_frames
        if quiet is not None:
            tail_end = quiet + self.options.tail_frames
            if here == tail_end:
                self._sketched_frame = here
                return [Sketch(self._stretch(self.position, quiet), settling=True)]
            if here > tail_end and is_full:  # the silence is the best place there is
                return [self._cut(self._stretch(self._sample(tail_end), quiet))]
            return []
        if is_full:
            return [self._cut(self._stretch(self._quietest()))]
        if here - self._sketched_frame < self.options.interim_frames:
            return []
        self._sketched_frame = here
        return [Sketch(self._stretch(self.position), settling=False)]

    def _quietest(self) -> int:
        frames = len(self._kept) // FRAME_BYTES
        low = int(frames * _CUT_FROM)
        frame = quietest_frame(bytes(self._kept), low, max(low, frames - _CUT_TO_FRAMES))
        return self._kept_from + frame * FRAME_SAMPLES

    def _cut(self, stretch: Stretch) -> Settle:
        self._forget_before(stretch.end)
        return Settle(stretch, utterance_ended_at=None)

    def flush(self, rest: bytes) -> list[Task]:
        """The turn is over: settle what is open. `rest` is PCM that made no whole frame.

        Speech too short to have begun yet counts here: a "no" and at once the end.
        """
        self._kept += rest
        tasks: list[Task] = []
        segmenter = self._segmenter
        if segmenter.speech_frame is not None:
            first = segmenter.speech_frame
            if not segmenter.is_speech:
                self._begin(first)
                tasks.append(Began(self._voice_from))
            quiet, end = segmenter.quiet_frame, self.position
            if quiet is not None:
                end = min(end, self._sample(quiet + self.options.tail_frames))
            tasks.append(Settle(self._stretch(end, quiet), utterance_ended_at=None))
        self._forget_before(self.position)
        self._origin = self.position
        self._segmenter = Segmenter(self.options.segmenter)
        return tasks

    def _idle_from(self) -> int:
        """First sample that a beginning utterance may still want."""
        segmenter = self._segmenter
        first = segmenter.frame if segmenter.speech_frame is None else segmenter.speech_frame
        return self._sample(first - self.options.lead_frames)

    def _sample(self, frame: int) -> int:
        return self._origin + frame * FRAME_SAMPLES

    def _stretch(self, end: int, quiet_frame: int | None = None) -> Stretch:
        # A long silence may have been cut off already: then nothing is left, and no voice in it.
        start = self._kept_from
        voice_end = end if quiet_frame is None else self._sample(quiet_frame)
        voice_end = min(max(voice_end, start), end)
        return Stretch(
            start,
            end,
            voice_start=min(max(self._voice_from, start), voice_end),
            voice_end=voice_end,
            pcm=bytes(self._kept[: (end - start) * SAMPLE_BYTES]),
        )

    def _forget_before(self, sample: int) -> None:
        if sample > self._kept_from:
            del self._kept[: (sample - self._kept_from) * SAMPLE_BYTES]
            self._kept_from = sample
