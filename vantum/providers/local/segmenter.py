"""Speech and silence out of the probabilities of consecutive 32 ms frames. Pure.

One piece for both who ask: the embedded recogniser, which cuts utterances with it, and the server's
voice activity, which reports a caller's voice.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import Factory, define, frozen


@frozen
class SegmenterOptions:
    """When speech begins and ends, in probabilities and frames of 32 ms.

    The two thresholds and their distance are Silero's own advice. Three frames to begin with, since
    a click or a breath is over in two and the shortest "yes" lasts five.
    """

    start_threshold: float = 0.5
    end_threshold: float = 0.35
    min_speech_frames: int = 3
    silence_frames: int = 16


@frozen
class SpeechBegan:
    """Speech, since `frame`."""

    frame: int


@frozen
class SpeechPaused:
    """The voice fell silent at `frame`; it may go on yet."""

    frame: int


@frozen
class SpeechResumed:
    """It was only a pause."""


@frozen
class SpeechEnded:
    """Silence for long enough; the last frame of speech is the one before `frame`."""

    frame: int


SpeechEvent: TypeAlias = SpeechBegan | SpeechPaused | SpeechResumed | SpeechEnded


@define
class Segmenter:
    """Hysteresis over the probabilities of consecutive frames, numbered from 0."""

    options: SegmenterOptions = Factory(SegmenterOptions)
    frame: int = 0
    speech_frame: int | None = None  # first of the speech, or of what may become speech
    is_speech: bool = False
    quiet_frame: int | None = None  # first of the silence that may end it

    def feed(self, probability: float) -> SpeechEvent | None:
        """What this frame's probability changes, if anything."""
        frame = self.frame
        self.frame += 1
        return (
            self._in_speech(frame, probability)
            if self.is_speech
            else self._idle(frame, probability)
        )

    def _idle(self, frame: int, probability: float) -> SpeechEvent | None:
        if self.speech_frame is None:
            if probability < self.options.start_threshold:
                return None
            self.speech_frame = frame
        elif probability < self.options.end_threshold:
            self.speech_frame = None
            return None
        if self.frame - self.speech_frame < self.options.min_speech_frames:
            return None
        self.is_speech = True
        return SpeechBegan(self.speech_frame)

    def _in_speech(self, frame: int, probability: float) -> SpeechEvent | None:
        event: SpeechEvent | None = None
        if self.quiet_frame is None:
            if probability >= self.options.end_threshold:
                return None
            self.quiet_frame = frame
            event = SpeechPaused(frame)
        elif probability >= self.options.start_threshold:
            self.quiet_frame = None
            return SpeechResumed()
        if self.frame - self.quiet_frame < self.options.silence_frames:
            return event
        ended = SpeechEnded(self.quiet_frame)
        self.is_speech, self.speech_frame, self.quiet_frame = False, None, None
        return ended
