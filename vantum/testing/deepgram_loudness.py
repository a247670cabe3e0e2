"""A recogniser that hears when somebody speaks, and has its words from a script. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np

from vantum.testing.deepgram_script import Heard, ScriptWord, Utterance

#: A word takes so long; less sound than the second is a click; and so much silence says that the
#: rest of a sentence will not come, or that the next sound begins the next one. Seconds.
_WORD_S: Final = 0.3
_CLICK_S: Final = 0.06
_REST_S: Final = 0.2
_NEXT_S: Final = 0.8
_STEP_S: Final = 0.02
#: And a word that has found no room.
_LEAST_S: Final = 0.001
#: Of 16-bit samples, on average: a quiet room stays far below it, a voice is far above.
LOUD: Final = 250


def loud_steps(pcm: bytes, start: int, rate: int) -> Iterator[tuple[int, int, bool]]:
    """Each 20 ms of 16-bit audio from sample `start` on: first sample, end, whether it is loud."""
    samples, step = np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)), round(_STEP_S * rate)
    for at in range(0, len(samples), step):
        part = samples[at : at + step]
        yield start + at, start + at + len(part), bool(part.mean() >= LOUD)


class Loudness:
    """The words of the next sentence where the audio is loud: a `Source` for recorded voices.

    A sentence has as long as the voice goes on, pauses of less than 0.8 s in it: words that found
    no room come where it ends, and behind the last word there is only a sound.
    """

    def __init__(self, utterances: Iterator[Utterance], rate: int) -> None:
        self._utterances = utterances
        self._rate = rate
        self._left: deque[ScriptWord] = deque()
        self._sound: int | None = None  # where the sound began that goes on
        self._word = 0  # and where the word that is being said
        self._quiet = -round(_NEXT_S * rate)  # end of the last sound
        self._is_sentence = False
        self.partial: Heard | None = None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        found: list[Heard] = []
        for here, until, is_loud in loud_steps(pcm, start, self._rate):
            if is_loud:
                found += self._louder(here, until)
            elif self._sound is not None and here - self._quiet >= self._samples(_REST_S):
                found += self._rest()
        self.partial = self._saying(end)
        return found

    def _louder(self, begin: int, end: int) -> list[Heard]:
        if self._sound is None:
            self._sound = self._word = begin
            self._is_sentence = begin - self._quiet < self._samples(_NEXT_S)
        self._quiet = end
        if not self._is_sentence and end - self._sound >= self._samples(_CLICK_S):
            self._is_sentence = True
            self._left = deque(next(self._utterances, Utterance(())).words)
        if not self._left or end - self._word < self._samples(_WORD_S):
            return []
        word, self._word, begin = self._left.popleft(), end, self._word
        return [Heard(word.text, begin, end, word.confidence)]

    def _rest(self) -> list[Heard]:
        """What is left of the sentence, in what is left of its sound; if that is nothing, in a
        moment of the silence behind it: no word takes no time."""
        words, self._left, self._sound = self._left, deque[ScriptWord](), None
        each = max((self._quiet - self._word) / max(len(words), 1), self._samples(_LEAST_S))
        return [
            Heard(
                word.text,
                round(self._word + n * each),
                round(self._word + (n + 1) * each),
                word.confidence,
            )
            for n, word in enumerate(words)
        ]

    def _saying(self, end: int) -> Heard | None:
        if self._sound is None:
            return None
        if not self._left:
            return Heard("", self._word, end, 0.0, clear=False)
        is_clear = 2 * (end - self._word) >= self._samples(_WORD_S)
        return Heard(self._left[0].text, self._word, end, self._left[0].confidence, is_clear)

    def finish(self) -> list[Heard]:
        """See `Source`: the sentence's other words are taken as said, and the next sound begins the
        next one, though no silence is between them: in `manual` no audio comes between turns."""
        self.partial = None
        found = [] if self._sound is None else self._rest()
        self._quiet = -self._samples(_NEXT_S)
        return found

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate)
