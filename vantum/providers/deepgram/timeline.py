"""One session's audio and words on one axis, however many connections carried them. Pure.

The axis is the session's: samples since the recogniser's first. A connection's own axis starts at
zero and may have holes and padding (`Timeline.pad`), so each is mapped piece by piece.

No word lost: audio stays in the ring until a final result covers it, and a new connection is sent
everything that is not covered, with a short run-up so that its first word is heard in context.
None twice: at the border between two connections (and where an interim text had to be promoted
to a final one), a word is dropped if its middle lies before the end of the last word reported.
The middle, because both borders of a word wobble by tens of milliseconds from one recognition to
the next. Beyond that border words are never dropped. A result that comes a second time, or an
interim one that comes behind the final one of its stretch, says nothing new.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import attrs
from attrs import Factory, define

from vantum.core.audio import AudioFormat, to_int16
from vantum.core.messages import SpeechStarted, SttEvent, Transcript, UtteranceEnded, Word
from vantum.core.ring import Ring
from vantum.providers.deepgram.protocol import Results, ResultWord, UtteranceEnd, VoiceStarted

#: Covered audio that a new connection hears again before the first uncovered sample.
RUN_UP_S = 0.5
#: A transcript without word times counts as one word; this much of it is enough.
_LONGEST_WORD_S = 1.0
#: Two recognitions of one word that straddles the border may disagree by so much.
_WOBBLE_S = 0.02
#: Behind the end of an utterance no word fits into so much audio: the shortest last longer.
_AFTERMATH_S = 0.15
#: So many final results of a connection are remembered, to know one that comes again.
_REMEMBERED = 16
#: Muted and comfort-noise audio stays within this amplitude (-60 dBFS), speech never does.
_SILENCE = 32


@define
class _Segment:
    """From here on, the connection's samples are the session's, moved by a constant."""

    connection: int
    session: int


def _same(a: str, b: str) -> bool:
    return a.strip(".,!?;:").casefold() == b.strip(".,!?;:").casefold()


@define
class Timeline:
    """What was heard, sent and recognised. All positions are samples on the session's axis.

    Attributes:
        audio: what is heard and sent.
        capacity: samples that the ring may hold.
        heard: end of the audio taken in.
        sent: end of the audio sent on the current connection.
        covered: everything before it is in final results.
        lost: samples that were dropped before any final result covered them.
    """

    audio: AudioFormat
    capacity: int
    heard: int = 0
    sent: int = 0
    covered: int = 0
    lost: int = 0
    _ring: Ring = Factory(lambda self: Ring(self.audio.sample_bytes), takes_self=True)
    _counted: int = 0  # losses before it are already in `lost`
    _connection: int = 0  # samples sent on the current connection, padding included
    _segments: list[_Segment] = Factory(list)
    _finals: list[tuple[float, float]] = Factory(list)
    _final_s: float = 0.0  # of the current connection: so far its final results go
    _replay_until: int = 0
    _interim: Transcript | None = None
    _last_word: Word | None = None  # last one reported in a final transcript
    _border: Word | None = None  # words before its end have been reported
    _over: bool = False  # the utterance was over at the end of what is covered
    _words_open: bool = False  # final words since the utterance's end was last reported
    _ended_s: float = -1.0
    _speaking: bool = False

    def samples(self, length_s: float) -> int:
        """So many seconds in samples, to the nearest."""
        return round(length_s * self.audio.rate_hz)

    # ------------------------------------------------------------ audio

    def hear(self, audio: bytes) -> None:
        """Take in audio; past the ring's capacity the oldest goes."""
        self._ring.add(audio)
        self.heard = self._ring.end
        if self.heard - self._ring.base > self.capacity:
            self._lose_until(self.heard - self.capacity)

    def _lose_until(self, position: int) -> None:
        if position > self.sent:
            self._count_loss(self.sent, position)
            self.sent = position
        self._ring.forget_until(position)

    def _count_loss(self, start: int, end: int) -> None:
        start = max(start, self._counted)
        if end > start:
            self.lost += end - start
            self._counted = end

    def connect(self) -> float:
        """A new connection is open: go back to what no final result covers.

        Returns:
            Seconds of audio waiting to be sent.
        """
        start = max(self._ring.base, self._replay_from())
        self._count_loss(self.covered, self._ring.base)
        self._replay_until = max(self._replay_until, self.sent)
        self._border = self._last_word
        self.sent = start
        self._connection = 0
        self._segments.clear()
        self._finals.clear()
        self._final_s = 0.0
        return (self.heard - start) / self.audio.rate_hz

    def _replay_from(self) -> int:
        """Where a new connection would begin to hear, if the ring reaches so far back."""
        start = self.covered - self.samples(RUN_UP_S)
        if self._words_open and self._last_word is not None:
            # It must hear the last word again, or it cannot say that the utterance has ended.
            word = self._last_word
            began_s = max(word.start_s, word.end_s - _LONGEST_WORD_S)
            start = min(start, self.samples(began_s - RUN_UP_S / 4))
        return max(0, start)

    def take(self, most: int, until: int | None) -> bytes:
        """The next audio to send: at most `most` samples, none at or behind position `until`."""
        end = min(self.heard if until is None else until, self.sent + most)
        if end <= self.sent:
            return b""
        last = self._segments[-1] if self._segments else None
        if last is None or self.sent - last.session != self._connection - last.connection:
            self._segments.append(_Segment(self._connection, self.sent))
        audio = self._ring.read(self.sent, end)
        self._connection += end - self.sent
        self.sent = end
        return audio

    def pad(self, samples: int) -> None:
        """So many samples that the caller never spoke were sent on this connection."""
        self._connection += samples

    @property
    def unheard(self) -> int:
        """Samples that are there and that no final result covers."""
        return self.heard - max(self.covered, self._ring.base)

    @property
    def connection_samples(self) -> int:
        """What the current connection was sent, padding included."""
        return self._connection

    @property
    def known(self) -> int:
        """No word before it can still come. Behind an utterance that is over that is a little more
        than what final results cover, if nothing of another was heard yet: so an end of turn that
        comes just then need not wait for a `Finalize`, which may not be answered."""
        over = self._over and self._interim is None
        return self.covered + (self.samples(_AFTERMATH_S) if over else 0)

    def is_silent(self) -> bool:
        """Whether no word can come of the audio that no final result covers yet."""
        if self._interim is not None:
            return False
        open_ = self._ring.read(max(self.covered, self._ring.base), self.heard)
        samples = to_int16(self.audio.pcm(open_))
        return not samples.size or bool(samples.max() <= _SILENCE and samples.min() >= -_SILENCE)

    # ------------------------------------------------------------ one axis

    def _at(self, connection_s: float) -> float:
        """The session's second for a second of the connection."""
        rate_hz = self.audio.rate_hz
        if not self._segments:
            return self.sent / rate_hz
        position = connection_s * rate_hz
        index = bisect_right(self._segments, position, key=lambda s: s.connection) - 1
        if index < 0:  # inside the padding before the first audio
            return self._segments[0].session / rate_hz
        segment = self._segments[index]
        mapped = segment.session + position - segment.connection
        if index + 1 < len(self._segments):  # padding maps to the moment it was put into
            mapped = min(mapped, self._segments[index + 1].session)
        return min(mapped, self.sent) / rate_hz  # there was nothing behind it to be heard

    def position(self, connection_s: float) -> int:
        """The session's sample for a second of the connection."""
        return self.samples(self._at(connection_s))

    def _words(self, words: Sequence[ResultWord]) -> tuple[Word, ...]:
        border = self._border
        kept = []
        for word in words:
            mapped = Word(word.text, self._at(word.start_s), self._at(word.end_s), word.confidence)
            if border is None or not _doubled(mapped, border):
                kept.append(mapped)
        return tuple(kept)

    # ------------------------------------------------------------ words

    def results(self, results: Results) -> list[SttEvent]:
        """A transcript arrived: what of it is new, in the session's time."""
        if not results.is_final:
            return [] if self._is_stale(results) else self._fresh_interim(self._placed(results))
        events = self._final(self._placed(results)) if self._note_final(results) else []
        end = min(self.position(results.end_s), self.sent)
        if end > self.covered:
            self.covered = end
        self._over = results.speech_final and not results.from_finalize
        if results.from_finalize:
            self.close_utterance()
        elif results.speech_final and self._words_open:
            events.append(self._end_utterance())
        self._ring.forget_until(self._replay_from())
        return events

    def is_again(self, events: Sequence[SttEvent]) -> bool:
        """Whether there are words in them that the connection before was sent, and did not make
        final."""
        words = [e for e in events if isinstance(e, Transcript) and e.text]
        return any(w.start_s * self.audio.rate_hz < self._replay_until for w in words)

    def _is_stale(self, results: Results) -> bool:
        return bool(results.text) and results.end_s <= self._final_s

    def _note_final(self, results: Results) -> bool:
        """Whether this stretch has not been final on this connection before, with its words."""
        stretch = results.start_s, results.duration_s
        if stretch in self._finals:
            return False
        if results.text:
            self._finals.append(stretch)
            del self._finals[:-_REMEMBERED]
        sent_s = self._connection / self.audio.rate_hz
        self._final_s = max(self._final_s, min(results.end_s, sent_s))
        return True

    def _placed(self, results: Results) -> Transcript:
        """In the session's time, without the words that have been reported."""
        start_s, end_s = self._at(results.start_s), self._at(results.end_s)
        words = self._words(results.words)
        text = results.text
        if len(words) < len(results.words):
            text = " ".join(word.text for word in words)
        elif not words and self._border and (start_s + end_s) / 2 <= self._border.end_s:
            text = ""  # without word times the stretch as a whole is old or new
        return Transcript(text, results.is_final, results.confidence, start_s, end_s, words)

    def _fresh_interim(self, transcript: Transcript) -> list[SttEvent]:
        shown = self._interim.text if self._interim else ""
        self._interim = transcript if transcript.text else None
        return [transcript] if transcript.text != shown else []

    def _final(self, transcript: Transcript) -> list[SttEvent]:
        if not transcript.text:
            # Nothing came of the interim text: take it back, but make no final one of nothing.
            return self._fresh_interim(attrs.evolve(transcript, is_final=False))
        self._interim = None
        self._words_open = True
        self._last_word = (
            transcript.words[-1]
            if transcript.words
            else Word("", transcript.start_s, transcript.end_s)
        )
        return [transcript]

    def promote_interim(self) -> list[SttEvent]:
        """The answer to a flush did not come: the interim text stands as the final one."""
        if self._interim is None:
            return []
        events = self._final(attrs.evolve(self._interim, is_final=True))
        self._border = self._last_word
        return events

    def voice_started(self, message: VoiceStarted) -> list[SttEvent]:
        """Voice activity; not reported again when a replay brings the same voice back."""
        at_s = self._at(message.at_s)
        if at_s * self.audio.rate_hz < self._replay_until:
            reported_s = self._border.end_s if self._border else 0.0
            if self._speaking or at_s < reported_s:
                return []
        self._speaking = True
        return [SpeechStarted(at_s)]

    def utterance_end(self, message: UtteranceEnd) -> list[SttEvent]:
        """The gap after the last word; nothing if `speech_final` has reported it already."""
        if not self._words_open or message.last_word_end_s < 0:
            return []
        if self._at(message.last_word_end_s) <= self._ended_s:
            return []  # about the utterance before this one
        return [self._end_utterance()]

    def _end_utterance(self) -> UtteranceEnded:
        self.close_utterance()
        return UtteranceEnded(self._ended_s)

    def close_utterance(self) -> None:
        """The words so far are one utterance, which needs no further report of its end."""
        if self._last_word is not None:
            self._ended_s = self._last_word.end_s
        self._words_open = False
        self._speaking = False

    def is_final_since(self, position: int) -> bool:
        """Whether any word behind `position` is final, and none is interim text.

        Of interim text a `Finalize` makes final results: who has given it has something to answer.
        """
        word = self._last_word
        return self._interim is None and (
            word is not None and word.end_s * self.audio.rate_hz > position
        )


def _doubled(word: Word, border: Word) -> bool:
    if (word.start_s + word.end_s) / 2 <= border.end_s:
        return True
    return word.start_s < border.end_s - _WOBBLE_S and _same(word.text, border.text)
