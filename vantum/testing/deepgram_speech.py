"""What the simulated Deepgram hears: scripted words, and the messages they become. Pure.

`DeepgramScript` says what is spoken. There are three ways to place it:

- ``"timed"`` (default): by the *amount* of audio received, whatever it contains. The first
  sentence begins after `lead_s` of audio, and so on.
- ``"on_finalize"``: nothing is recognised until `Finalize`, which is answered at once with the
  next sentence. For benchmarks: the recogniser costs no time of its own.
- ``"in_audio"``: the words are in the audio itself, as `spoken_audio` makes it. So what is cut,
  replayed or sent twice is heard as cut, replayed or twice, as by a real recogniser.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from attrs import Factory, define, frozen

#: In spoken audio, word n of the script is a run of samples of this value plus n.
_FIRST_WORD_VALUE = 1000


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
        api_key: the only key that is let in; None: any.
        idle_timeout_s: silence on the wire after which it closes with NET-0001.
    """

    sentences: tuple[str | Utterance, ...] = ("hello there",)
    speech: Literal["timed", "on_finalize", "in_audio"] = "timed"
    scope: Literal["connection", "server"] = "connection"
    repeat: bool = True
    lead_s: float = 0.2
    pause_s: float = 1.5
    word_s: float = 0.3
    interim_every_s: float = 0.5
    final_every_s: float = 4.0
    least_finalize_s: float = 0.1
    latency_ms: float = 0.0
    api_key: str | None = None
    idle_timeout_s: float = 10.0

    def utterances(self) -> Iterator[Utterance]:
        """The sentences in order, each with times; endless if they repeat."""
        timed = [self._timed(sentence) for sentence in self.sentences]
        return itertools.cycle(timed) if self.repeat else iter(timed)

    def _timed(self, sentence: str | Utterance) -> Utterance:
        if isinstance(sentence, Utterance):
            return sentence
        words = tuple(
            ScriptWord(text, n * self.word_s, (n + 0.8) * self.word_s)
            for n, text in enumerate(sentence.split())
        )
        return Utterance(words, self.pause_s)


def spoken_audio(script: DeepgramScript, *, rate_hz: int = 16_000) -> bytes:
    """The whole script once as PCM that the ``"in_audio"`` peer understands."""
    pieces = []
    index = 0
    for sentence in script.sentences:
        utterance = script._timed(sentence)
        length_s = script.lead_s + utterance.words[-1].end_s + utterance.pause_s
        pcm = np.zeros(round(length_s * rate_hz), "<i2")
        for word in utterance.words:
            start, end = ((script.lead_s + at) * rate_hz for at in (word.start_s, word.end_s))
            pcm[round(start) : round(end)] = _FIRST_WORD_VALUE + index
            index += 1
        pieces.append(pcm.tobytes())
    return b"".join(pieces)


# ---------------------------------------------------------------- hearing words


@define
class Heard:
    """A word on the connection's axis, in samples. `clear`: enough of it was heard to know it."""

    text: str
    start: int
    end: int
    confidence: float
    clear: bool = True


class _Source(Protocol):
    partial: Heard | None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        """Words that are complete now; `partial` is the one being said, up to `end`."""

    def consume_partial(self) -> None:
        """The partial word was reported: what follows of it is no word."""


class _Timed:
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

    def consume_partial(self) -> None:
        self.partial = None
        self._next = next(self._words, None)


class _InAudio:
    """Words read from the samples."""

    def __init__(self, script: DeepgramScript, rate: int) -> None:
        timed = [script._timed(sentence) for sentence in script.sentences]
        self._words = [word for utterance in timed for word in utterance.words]
        self._rate = rate
        self._value = 0
        self._consumed = 0
        self.partial: Heard | None = None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
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
        index = value - _FIRST_WORD_VALUE
        if not 0 <= index < len(self._words) or value == self._consumed:
            return
        word = self._words[index]
        if self.partial is None:
            self.partial = Heard(word.text, start, end, word.confidence)
        self.partial.end = end
        length = (word.end_s - word.start_s) * self._rate
        self.partial.clear = 2 * (end - self.partial.start) >= length

    def consume_partial(self) -> None:
        self._consumed = self._value
        self.partial = None


class _Nothing:
    """No word ever."""

    partial: Heard | None = None

    def hear(self, pcm: bytes, start: int, end: int) -> list[Heard]:
        return []

    def consume_partial(self) -> None: ...


# ---------------------------------------------------------------- messages

#: A message as it will be encoded.
Body: TypeAlias = dict[str, Any]


@define
class Listener:
    """One connection's recognition: audio and control messages in, Deepgram's messages out.

    Times go by the audio received. `query`: the connection's, with the last value of each name.
    """

    script: DeepgramScript
    query: dict[str, str]
    utterances: Iterator[Utterance]
    request_id: str
    received: int = 0
    _source: _Source = Factory(_Nothing)
    _rate: int = 16_000
    _step: int = 1600
    _segment: int = 0  # start of the stretch that is not final yet
    _reported: int = 0  # how far the last interim result went
    _words: list[Heard] = Factory(list)
    _voice: bool = False
    _last_word_end: int | None = None  # of a final word without its UtteranceEnd

    def __attrs_post_init__(self) -> None:
        self._rate = int(self.query.get("sample_rate", "16000"))
        self._step = self._rate // 10
        match self.script.speech:
            case "timed":
                self._source = _Timed(self.script, self.utterances, self._rate)
            case "in_audio":
                self._source = _InAudio(self.script, self._rate)

    def _on(self, name: str) -> bool:
        return self.query.get(name) == "true"

    @property
    def received_s(self) -> float:
        """Audio so far, in seconds."""
        return self.received / self._rate

    def audio(self, pcm: bytes) -> list[Body]:
        """Linear16 of any length; long messages are heard in steps of 100 ms."""
        messages: list[Body] = []
        for at in range(0, len(pcm), 2 * self._step):
            messages += self._hear(pcm[at : at + 2 * self._step])
        return messages

    def _hear(self, pcm: bytes) -> list[Body]:
        start = self.received
        self.received += len(pcm) // 2
        self._words += self._source.hear(pcm, start, self.received)
        partial = self._source.partial
        messages: list[Body] = []
        speaking = partial or (self._words[-1] if self._words else None)
        if speaking and not self._voice:
            self._voice = True
            if self._on("vad_events"):
                at_s = max(speaking.start, self._segment) / self._rate
                messages.append({"type": "SpeechStarted", "channel": [0, 1], "timestamp": at_s})
        endpointing = self.query.get("endpointing", "10")
        if self._words and not partial and endpointing != "false":
            quiet = self.received - self._words[-1].end
            if quiet * 1000 >= int(endpointing) * self._rate:
                return [*messages, self._final(self.received, speech_final=True)]
        if self.received - self._segment >= self.script.final_every_s * self._rate:
            messages.append(self._final(partial.start if partial else self.received))
        elif self._on("interim_results") and (
            self.received - self._reported >= self.script.interim_every_s * self._rate
        ):
            self._reported = self.received
            shown = [*self._words, *([partial] if partial and partial.clear else [])]
            messages.append(self._results(shown, self.received, is_final=False))
        return messages + self._utterance_end(partial)

    def _utterance_end(self, partial: Heard | None) -> list[Body]:
        gap_ms = self.query.get("utterance_end_ms")
        end = self._last_word_end
        if gap_ms is None or end is None or self._words or partial:
            return []
        if (self.received - end) * 1000 < int(gap_ms) * self._rate:
            return []
        self._last_word_end = None
        last_s = end / self._rate
        return [{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_s}]

    def finalize(self) -> list[Body]:
        """`Finalize`: what is buffered becomes final; too little of it is answered by nothing."""
        if self.script.speech == "on_finalize" and self.received > self._segment:
            self._words = self._spread(next(self.utterances, Utterance(())))
        elif self.received - self._segment < self.script.least_finalize_s * self._rate:
            return []
        self._take_partial()
        return [self._final(self.received, speech_final=True, from_finalize=True)]

    def close_stream(self, created: str) -> list[Body]:
        """`CloseStream`: the last words, and the summary."""
        self._take_partial()
        last = [self._final(self.received, speech_final=True)] if self._words else []
        summary = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self.request_id,
            "sha256": "0" * 64,
            "created": created,
            "duration": self.received_s,
            "channels": 1,
        }
        return [*last, summary]

    def _spread(self, utterance: Utterance) -> list[Heard]:
        """The words, evenly over the audio that is not final yet."""
        count = max(1, len(utterance.words))
        each = (self.received - self._segment) / count
        return [
            Heard(
                word.text,
                round(self._segment + n * each),
                round(self._segment + (n + 0.9) * each),
                word.confidence,
            )
            for n, word in enumerate(utterance.words)
        ]

    def _take_partial(self) -> None:
        partial = self._source.partial
        if partial is not None and partial.clear:
            self._words.append(partial)
            self._source.consume_partial()

    def _final(self, end: int, *, speech_final: bool = False, from_finalize: bool = False) -> Body:
        end = max(end, self._segment)
        message = self._results(
            self._words, end, is_final=True, speech_final=speech_final, from_finalize=from_finalize
        )
        if self._words:
            self._last_word_end = self._words[-1].end
        self._words = []
        self._segment = self._reported = end
        if speech_final:
            self._voice = False
        return message

    def _results(
        self,
        words: list[Heard],
        end: int,
        *,
        is_final: bool,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Body:
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "start": self._segment / self._rate,
            "duration": (end - self._segment) / self._rate,
            "is_final": is_final,
            "speech_final": speech_final,
            "from_finalize": from_finalize,
            "channel": {
                "alternatives": [
                    {
                        "transcript": " ".join(word.text for word in words),
                        "confidence": min((word.confidence for word in words), default=0.0),
                        "words": [self._word(word) for word in words],
                    }
                ]
            },
            "metadata": {
                "request_id": self.request_id,
                "model_info": {"name": self.query.get("model", ""), "version": "", "arch": ""},
                "model_uuid": "00000000-0000-0000-0000-000000000000",
            },
        }

    def _word(self, word: Heard) -> Body:
        return {
            "word": word.text.strip(".,!?").lower(),
            "start": word.start / self._rate,
            "end": word.end / self._rate,
            "confidence": word.confidence,
            "punctuated_word": word.text,
        }
