"""Speech and silence out of the probabilities of consecutive 32 ms frames. Pure.

One piece for both who ask: the embedded recogniser, which cuts utterances with it, and the server's
voice activity, which reports a caller's voice.

Speech begins in one of two ways: after so many frames that all hold some, or (`Evidence`) as soon
as all frames together make it sure enough, as in Page's cumulative sum test ("Continuous inspection
schemes", 1954): after few if they are clear, after more if each says little.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

from attrs import Factory, define, frozen


@frozen
class Evidence:
    """When frames are enough for speech, in natural logarithms of odds.

    Attributes:
        doubt: a frame speaks for speech by so much less than the odds of its probability; below
            that it speaks against it.
        most: no frame speaks for it by more.
        enough: in sum, since the sum was nothing.
    """

    doubt: float
    most: float
    enough: float

    def of(self, probability: float) -> float:
        """By how much a frame speaks for speech."""
        p = min(max(probability, _NEVER), 1 - _NEVER)
        return min(math.log(p / (1 - p)) - self.doubt, self.most)


#: A probability that is nearer to 0 or 1 is taken for this one.
_NEVER: Final = 1e-3


@frozen
class SegmenterOptions:
    """When speech begins and ends, in probabilities and frames of 32 ms.

    The two thresholds and their distance are Silero's own advice. Three frames to begin with, since
    a click or a breath is over in two and the shortest "yes" lasts five.

    Attributes:
        start_threshold: a frame from which speech begins, or goes on after a pause.
        end_threshold: below it a frame is silent.
        evidence: begin by the sum of all frames instead of by `min_speech_frames`.
    """

    start_threshold: float = 0.5
    end_threshold: float = 0.35
    min_speech_frames: int = 3
    silence_frames: int = 16
    evidence: Evidence | None = None


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
    odds: float = 0.0  # of what is evident since `speech_frame`

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
        if self.options.evidence is not None:
            return self._weigh(frame, self.options.evidence, probability)
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

    def _weigh(self, frame: int, evidence: Evidence, probability: float) -> SpeechEvent | None:
        self.odds += evidence.of(probability)
        if self.odds <= 0:
            self.odds, self.speech_frame = 0.0, None
            return None
        began = frame if self.speech_frame is None else self.speech_frame
        self.speech_frame = began
        if self.odds < evidence.enough:
            return None
        self.odds, self.is_speech = 0.0, True
        return SpeechBegan(began)

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
