"""What is said to the simulated Deepgram, and how it hears it. Pure.

`DeepgramScript` says what is spoken. There are four ways to place it:

- ``"timed"`` (default): by the *amount* of audio received, whatever it contains. The first
  sentence begins after `lead_s` of audio, and so on.
- ``"on_finalize"``: nothing is recognised until `Finalize`, which is answered at once with the
  next sentence. For benchmarks: the recogniser costs no time of its own.
- ``"loud"``: a sentence begins wherever the audio becomes loud (`deepgram_loudness`), and its words
  come as long as it is. For recorded voices, and people.
- ``"in_audio"``: the words are in the audio itself, as `spoken_audio` makes it. So what is cut,
  replayed or sent twice is heard as cut, replayed or twice, as by a real recogniser.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import numpy as np
from attrs import define, frozen

from vantum.core.audio import Encoding, mulaw_decode, mulaw_encode, to_int16

#: In spoken audio, word n of the script is a run of samples of this value plus n,
_FIRST_WORD_VALUE = 1000
#: and in mu-law of the nth louder code: the rest of 112 steps are silence and a room.
_FIRST_WORD_CODE = 0xEF
_CODES = 112


@frozen
class ScriptWord:
    """A word and when it is said, in seconds since its utterance began."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 0.99


@frozen
class Utterance:
    """Words with times of their own, and the silence after them."""

    words: tuple[ScriptWord, ...]
    pause_s: float = 1.5


@frozen
class DeepgramScript:
    """What the peer recognises, and how it behaves.

    Attributes:
        sentences: text, timed automatically, or `Utterance`s.
        speech: how they are placed; see the module.
        scope: "connection": each begins the script anew; "server": each goes on with the next
            sentence that was not begun yet.
        repeat: begin again after the last sentence; else nothing more is said.
        lead_s, pause_s, word_s: silence before and after a sentence; a word with its gap.
        interim_every_s: how much audio there is between interim results.
        final_every_s: a stretch of so much audio is made final even in mid-speech.
        least_finalize_s: Finalize with less audio than this buffered is answered by nothing.
        latency_ms: from audio to the messages it causes.
        most_speed: it hears so many times faster than audio plays, at most, as Deepgram does with
            1.25: what is sent faster is heard, and answered, late. 0: without a limit.
        api_key: the only key that is let in; None: any.
        idle_timeout_s: silence on the wire after which it closes with NET-0001.
        source: finds the words of one connection at this rate, instead of `sentences`.
    """

    sentences: tuple[str | Utterance, ...] = ("hello there",)
    speech: Literal["timed", "on_finalize", "loud", "in_audio"] = "timed"
    scope: Literal["connection", "server"] = "connection"
    repeat: bool = True
    lead_s: float = 0.2
    pause_s: float = 1.5
    word_s: float = 0.3
    interim_every_s: float = 0.5
    final_every_s: float = 4.0
    least_finalize_s: float = 0.1
    latency_ms: float = 0.0
    most_speed: float = 0.0
    api_key: str | None = None
    idle_timeout_s: float = 10.0
    source: Callable[[int], Source] | None = None

    def utterances(self) -> Iterator[Utterance]:
        """The sentences in order, each with times; endless if they repeat."""
        timed = [self.timed(sentence) for sentence in self.sentences]
        return itertools.cycle(timed) if self.repeat else iter(timed)

    def timed(self, sentence: str | Utterance) -> Utterance:
        """A sentence with its words' times."""
        if isinstance(sentence, Utterance):
            return sentence
        words = tuple(
            ScriptWord(text, n * self.word_s, (n + 0.8) * self.word_s)
            for n, text in enumerate(sentence.split())
        )
        return Utterance(words, self.pause_s)


def _word_values(count: int, encoding: Encoding) -> list[int]:
    """The samples that stand for the words of a script, in order."""
    if encoding == "pcm":
        return list(range(_FIRST_WORD_VALUE, _FIRST_WORD_VALUE + count))
    if count > _CODES:
        raise ValueError(f"the script has {count} words; mu-law tells {_CODES} apart")
    codes = bytes(_FIRST_WORD_CODE - n for n in range(count))
    values: list[int] = to_int16(mulaw_decode(codes)).tolist()
    return values


def spoken_audio(
    script: DeepgramScript, *, rate_hz: int = 16_000, encoding: Encoding = "pcm"
) -> bytes:
    """The whole script once as audio that the ``"in_audio"`` peer understands.

    Raises:
        ValueError: there are too many words for mu-law.
    """
    utterances = [script.timed(sentence) for sentence in script.sentences]
    values = _word_values(sum(len(each.words) for each in utterances), encoding)
    pieces = []
    index = 0
    for utterance in utterances:
        length_s = script.lead_s + utterance.words[-1].end_s + utterance.pause_s
        pcm = np.zeros(round(length_s * rate_hz), "<i2")
        for word in utterance.words:
            start, end = ((script.lead_s + at) * rate_hz for at in (word.start_s, word.end_s))
            pcm[round(start) : round(end)] = values[index]
            index += 1
        pieces.append(pcm.tobytes())
    audio = b"".join(pieces)
    return mulaw_encode(audio) if encoding == "mulaw" else audio


# ---------------------------------------------------------------- hearing words


@define
class Heard:
    """A word on the connection's axis, in samples. `clear`: enough of it was heard to know it."""

    text: str
    start: int
    end: int
    confidence: float
    clear: bool = True


class Source(Protocol):
    """Finds the words in what is received."""

    partial: Heard | None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """Words that are complete now; `partial` is the one being said, up to `end`."""

    def finish(self) -> list[Heard]:
        """What is known of what is being said now: what follows of it is no word."""


class Timed:
    """Words at fixed places of the connection's audio."""

    def __init__(self, script: DeepgramScript, utterances: Iterator[Utterance], rate: int) -> None:
        self._words = self._place(script, utterances, rate)
        self._next = next(self._words, None)
        self.partial: Heard | None = None

    @staticmethod
    def _place(
        script: DeepgramScript, utterances: Iterator[Utterance], rate: int
    ) -> Iterator[Heard]:
        at_s = 0.0
        for utterance in utterances:
            at_s += script.lead_s
            for word in utterance.words:
                start, end = (at_s + word.start_s) * rate, (at_s + word.end_s) * rate
                yield Heard(word.text, round(start), round(end), word.confidence)
            at_s += (utterance.words[-1].end_s if utterance.words else 0.0) + utterance.pause_s

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        complete = []
        while self._next is not None and self._next.end <= end:
            complete.append(self._next)
            self._next = next(self._words, None)
        word = self._next
        self.partial = None
        if word is not None and word.start < end:
            clear = 2 * (end - word.start) >= word.end - word.start
            self.partial = Heard(word.text, word.start, end, word.confidence, clear)
        return complete

    def finish(self) -> list[Heard]:
        """See `Source`."""
        partial = self.partial
        if partial is None or not partial.clear:
            return []
        self.partial = None
        self._next = next(self._words, None)
        return [partial]


class InAudio:
    """Words read from the samples."""

    def __init__(self, script: DeepgramScript, rate: int, encoding: Encoding = "pcm") -> None:
        timed = [script.timed(sentence) for sentence in script.sentences]
        self._words = [word for utterance in timed for word in utterance.words]
        values = _word_values(len(self._words), encoding)
        self._at = {value: index for index, value in enumerate(values)}
        self._rate = rate
        self._value = 0
        self._consumed = 0
        self.partial: Heard | None = None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        samples = np.frombuffer(pcm, "<i2")
        borders = [0, *(np.flatnonzero(np.diff(samples)) + 1).tolist(), len(samples)]
        complete = []
        for first, last in itertools.pairwise(borders):
            value = int(samples[first])
            if value != self._value:
                if self.partial is not None and self.partial.clear:
                    complete.append(self.partial)
                self.partial = None
                self._value = value
            self._extend(value, start + first, start + last)
        return complete

    def _extend(self, value: int, start: int, end: int) -> None:
        index = self._at.get(value)
        if index is None or value == self._consumed:
            return
        word = self._words[index]
        if self.partial is None:
            self.partial = Heard(word.text, start, end, word.confidence)
        self.partial.end = end
        length = (word.end_s - word.start_s) * self._rate
        self.partial.clear = 2 * (end - self.partial.start) >= length

    def finish(self) -> list[Heard]:
        """See `Source`."""
        partial = self.partial
        if partial is None or not partial.clear:
            return []
        self._consumed = self._value
        self.partial = None
        return [partial]


class Nothing:
    """No word ever."""

    partial: Heard | None = None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """See `Source`."""
        return []

    def finish(self) -> list[Heard]:
        """See `Source`."""
        return []
