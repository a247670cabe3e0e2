"""What comes out of the caller's earpiece: the agent's audio as a client plays it.

The earpiece knows nothing of the server's own record. Which words are in the audio it learns from
what the simulated synthesiser was asked to speak, by comparing the sound, so that it can be used
to check that record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import trio
from attrs import define, field, frozen

from vantum.core import events as e
from vantum.core.wording import word_spans, words_of
from vantum.testing.calls.voice import RATE_HZ
from vantum.testing.cartesia_script import speech
from vantum.wire.client import Envelope

_EPSILON_S: Final = 1e-6


@frozen
class HeardWord:
    """A word of an answer and when it sounds, in seconds since the answer's first sample.

    `spaced`: a space stands in front of it, unless it is the first.
    """

    text: str
    start_s: float
    end_s: float
    spaced: bool = True


@define(eq=False)
class Utterance:
    """One answer as it came out of the earpiece.

    Attributes:
        began_s: its first sample was heard, on trio's clock; None: nothing was.
        received_s: how much audio came.
        cut_s: when it was cancelled; None: it was not.
        complete: the server said that it was.
        words: as far as they are known.
    """

    utterance_id: str
    rate_hz: int
    began_s: float | None = None
    received_s: float = 0.0
    cut_s: float | None = None
    complete: bool = False
    words: tuple[HeardWord, ...] = ()
    pcm: bytearray = field(factory=bytearray)
    late_chunks: int = 0
    _stretch: tuple[float, float] = (0.0, 0.0)

    def chunk(self, now_s: float, pcm: bytes) -> None:
        """More audio: it is played behind what is there, or at once if there is nothing."""
        if self.cut_s is not None:
            self.late_chunks += 1
            return
        if self.began_s is None:
            self.began_s = now_s
        if now_s > self.ends_s - _EPSILON_S:
            self._stretch = (now_s, self.received_s)
        self.pcm += pcm
        self.received_s += len(pcm) / (2 * self.rate_hz)

    @property
    def ends_s(self) -> float:
        """When all audio that came has been heard; in the past if it was cut."""
        at_s, position_s = self._stretch
        ends_s = at_s + self.received_s - position_s
        return ends_s if self.cut_s is None else min(ends_s, self.cut_s)

    def heard_s(self, now_s: float) -> float:
        """How much of it has been heard by then."""
        if self.began_s is None:
            return 0.0
        at_s, position_s = self._stretch
        by_s = now_s if self.cut_s is None else min(now_s, self.cut_s)
        return min(self.received_s, position_s + max(0.0, by_s - at_s))

    def reached_at(self, position_s: float) -> float | None:
        """When this position will be heard; None: its audio has not come, or never will."""
        if position_s > self.received_s + _EPSILON_S:
            return None
        at_s, from_s = self._stretch
        reached_s = at_s + position_s - from_s
        return reached_s if self.cut_s is None or reached_s <= self.cut_s else None

    def heard_text(self, now_s: float) -> str:
        """The words of which at least half has been heard."""
        heard_s = self.heard_s(now_s) + _EPSILON_S
        heard = [w for w in self.words if (w.start_s + w.end_s) / 2 <= heard_s]
        return "".join(f" {w.text}" if w.spaced else w.text for w in heard).strip()


def _words(text: str) -> tuple[HeardWord, ...]:
    return tuple(
        HeardWord(w.text, w.start / RATE_HZ, w.end / RATE_HZ, not text[begin - 1 : begin].strip())
        for w, (begin, _) in zip(speech(text, RATE_HZ).words, word_spans(text), strict=True)
    )


@define(eq=False)
class Earpiece:
    """`transcripts`: what the synthesiser was asked to speak, by context, oldest first.

    An answer that waits for a tool may take several contexts, one after the other.
    """

    transcripts: Callable[[], Mapping[str, Sequence[str]]]
    utterances: list[Utterance] = field(factory=list)
    _contexts: dict[str, list[str]] = field(factory=dict)

    def take(self, now_s: float, envelope: Envelope) -> None:
        """A message of the server."""
        match envelope.message:
            case e.OutputStarted(utterance_id=utterance_id, sample_rate_hz=rate_hz):
                # A client stops what it plays when something new begins.
                if (playing := self.playing) is not None:
                    playing.cut_s = now_s
                self.utterances.append(Utterance(utterance_id, rate_hz))
                if rate_hz != RATE_HZ and (known := list(self.transcripts())):
                    # Resampled audio cannot be compared: it is what was asked for last.
                    self._contexts[utterance_id] = [known[-1]]
            case e.OutputChunk(utterance_id=utterance_id, audio=pcm):
                if (utterance := self._find(utterance_id)) is not None:
                    first = utterance.began_s is None
                    utterance.chunk(now_s, pcm)
                    if first:  # now it is among the latest that were asked for
                        self.learn_words(utterance)
            case e.OutputCompleted(utterance_id=utterance_id):
                if (utterance := self._find(utterance_id)) is not None:
                    utterance.complete = True
            case e.OutputCancelled(utterance_id=utterance_id):
                if (utterance := self._find(utterance_id)) is not None and not utterance.cut_s:
                    utterance.cut_s = now_s
            case _:
                pass

    def _find(self, utterance_id: str) -> Utterance | None:
        for utterance in reversed(self.utterances):
            if utterance.utterance_id == utterance_id:
                return utterance
        return None

    @property
    def playing(self) -> Utterance | None:
        """What is heard at this moment, or will go on when more of it comes."""
        if not self.utterances:
            return None
        last = self.utterances[-1]
        over = last.cut_s is not None or (
            last.complete and last.ends_s <= trio.current_time() + _EPSILON_S
        )
        return None if over else last

    def learn_words(self, utterance: Utterance) -> None:
        """Find out which words are in what came so far, and are still to come."""
        asked = {key: " ".join(texts) for key, texts in self.transcripts().items()}
        keys = self._contexts.setdefault(utterance.utterance_id, [])
        while (key := self._next_context(utterance, keys, asked)) is not None:
            keys.append(key)
        text = " ".join(asked[key] for key in keys)
        if len(words_of(text)) != len(utterance.words):
            utterance.words = _words(text)

    def _next_context(
        self, utterance: Utterance, keys: Sequence[str], asked: dict[str, str]
    ) -> str | None:
        """The context that the audio behind those of `keys` is from, if there is any."""
        if utterance.rate_hz != RATE_HZ and keys:
            return None  # resampled audio cannot be compared
        heard = bytes(utterance.pcm[sum(len(speech(asked[key], RATE_HZ).pcm) for key in keys) :])
        if not heard:
            return None
        taken = {key for others in self._contexts.values() for key in others}
        # One that was only opened, for an answer that is begun ahead, sounds like anything.
        for key in (key for key in reversed(asked) if asked[key] and key not in taken):
            spoken = speech(asked[key], RATE_HZ).pcm
            if heard[: len(spoken)] == spoken[: len(heard)]:
                return key
        return None
