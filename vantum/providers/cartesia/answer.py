"""The ledger of one answer: which piece's audio is where, and how to go on after a break.

Pure: no clock, no I/O. Replies of the provider go in, what the pipeline hears comes out.

**Axes.** The answer's axis counts every sample given out. Timestamps come on the context's axis
(samples generated in that context); a *take* is one generation of a piece in one context and knows
where it begins on both axes.

**Resuming.** When a context is gone half-way through a piece, that piece's next take generates
only the rest of its text, from the first word whose audio had not all been given out. If that word
had begun, its new audio is cut by what was given out already; if the break fell between two words,
the pause is filled up to where the word would have begun. So every word is heard once. If the next
word's timestamp had not come: where timestamps come before their audio, that word had not begun;
where they come late (which the answer so far has shown), the cut is where the last known word
ended, which may cost the new word as much as the pause was long. Without any timestamp the whole
piece is generated again and its audio cut by what was given out.

**Words** are reported when their audio begins, not before: a word whose audio is lost with the
connection has then not been reported yet, and is so once, by the take that speaks it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import Factory, define

from vantum.core.audio import AudioFormat, mulaw_decode
from vantum.core.messages import (
    PieceSpoken,
    SpeechAudio,
    SpeechPiece,
    SpeechWords,
    SpokenWord,
    TtsOutput,
)
from vantum.providers.cartesia.protocol import (
    Chunk,
    Done,
    Failure,
    FlushDone,
    Reply,
    Unknown,
    Words,
    speakable,
)

#: Text that may be under way at once, in characters: about 20 s of speech (640 KB at 16 kHz, 160 KB
#: for a telephone), which bounds memory without ever letting the caller wait. Most answers are
#: shorter, and all of such an answer is spoken in one context: a context that fell silent while the
#: caller listens would end, and the next piece would not follow in the same tone.
MAX_CHARS_UNDER_WAY = 280

#: A resumed take waits so long for its first timestamp before its audio is used without one.
_HOLD_S = 0.5

#: A last word whose audio ends so much too early was cut.
_CUT_S = 0.05

#: Longest pause that is filled in after a break.
_MAX_PAUSE_S = 0.5


@define
class _Take:
    """One generation of a piece. Positions in samples; `begins` is on the context's axis."""

    begins: int = 0
    received: int = 0
    #: The answer's position of the take's first sample; None until a resumed take knows it.
    origin: int | None = None
    #: Where the take's first word belongs on the answer's axis (resumed takes).
    first_word_at: int = 0
    drop: int = 0
    held: bytearray = Factory(bytearray)
    stamps: list[tuple[str, float, float]] = Factory(list)
    #: What to subtract from this take's timestamps, in samples; None until the first one.
    stamp_offset: int | None = None


@define
class Answer:
    """One answer's pieces and audio. See the module's text.

    Args:
        audio: what was asked for and comes. What is given out is PCM at its rate.
    """

    audio: AudioFormat
    pieces: list[SpeechPiece] = Factory(list)
    #: All pieces are known.
    ended: bool = False
    #: Samples given out.
    delivered: int = 0
    #: Position in `pieces` of the first one that is not fully spoken.
    current: int = 0
    _submitted: int = 0
    _take: _Take = Factory(lambda: _Take(origin=0))
    _piece_began: int = 0
    #: The current piece's words on the answer's axis (text, start, end in samples).
    _words: list[tuple[str, int, int]] = Factory(list)
    _reported: int = 0
    _rest: str | None = None
    _odd: bytes = b""
    _early: list[tuple[int, Words]] = Factory(list)
    #: Whether timestamps have come after their audio; None until the first one of the answer.
    _late: bool | None = None

    def samples(self, length_s: float) -> int:
        """So many seconds in samples of this answer's audio, to the nearest."""
        return round(length_s * self.audio.rate_hz)

    # ------------------------------------------------------------ text in

    def add(self, piece: SpeechPiece) -> None:
        """A further piece."""
        self.pieces.append(piece)

    def end(self) -> None:
        """There are no further pieces."""
        self.ended = True

    @property
    def finished(self) -> bool:
        """All pieces are known and spoken."""
        return self.ended and self.current == len(self.pieces)

    @property
    def has_work(self) -> bool:
        """Some known piece is not fully spoken."""
        return self.current < len(self.pieces)

    @property
    def all_submitted(self) -> bool:
        """No known piece waits to be sent."""
        return self._submitted == len(self.pieces)

    def next_text(self) -> tuple[int, str] | None:
        """The next piece to send to the provider, as (position, text), and counts it as sent.

        None: there is none, or enough is under way. Pieces with nothing to pronounce are skipped.
        """
        while self._submitted < len(self.pieces) and not speakable(self._text(self._submitted)):
            self._submitted += 1
        if self.all_submitted:
            return None
        under_way = sum(len(p.text) for p in self.pieces[self.current : self._submitted])
        if self._submitted > self.current + 1 and under_way > MAX_CHARS_UNDER_WAY:
            return None
        position = self._submitted
        self._submitted += 1
        return position, self._text(position)

    def _text(self, position: int) -> str:
        if position == self.current and self._rest is not None:
            return self._rest
        return self.pieces[position].text

    # ------------------------------------------------------------ replies in, speech out

    def settle(self) -> list[TtsOutput]:
        """Pass over current pieces that have nothing to pronounce."""
        outputs: list[TtsOutput] = []
        while self.has_work and not speakable(self._text(self.current)):
            outputs += self._complete()
        return outputs

    def take(self, reply: Reply, positions: Sequence[int]) -> list[TtsOutput]:
        """Account for a reply of the context that speaks the current piece.

        Args:
            reply: what came.
            positions: the pieces of that context in order; `flush_id` n is the n-th of them.
        """
        match reply:
            case Chunk(audio=audio):
                outputs = self._complete_before(self._position(reply.flush_id, positions))
                return outputs + (self._hear(audio) if self.current in positions else [])
            case Words():
                position = self._position(reply.flush_id, positions)
                if position > self.current:
                    self._early.append((position, reply))
                return self._learn(reply) if position == self.current in positions else []
            case FlushDone(flush_id=flush_id):
                return self._complete_before(self._position(flush_id, positions) + 1)
            case Done():
                heard = self.has_work and self.current in positions and self._take.received > 0
                return self._end() if heard else []
            case Failure() | Unknown():
                return []

    def _end(self) -> list[TtsOutput]:
        """The context of the current piece is over, and has given audio of it.

        The piece was complete, or its context would not have ended: unless by the words that it
        told of some are missing, or the last one's audio is.
        """
        outputs = self._release_held() if self._take.origin is None else []
        if words := self._words:
            rest = rest_of(self.pieces[self.current].text, [text for text, _, _ in words])
            if speakable(rest) or words[-1][2] > self.delivered + self.samples(_CUT_S):
                return outputs
        return outputs + self._complete_before(self.current + 1)

    def _position(self, flush_id: int | None, positions: Sequence[int]) -> int:
        if flush_id is None or not positions:
            return self.current
        return positions[max(1, min(flush_id, len(positions))) - 1]

    def _complete_before(self, position: int) -> list[TtsOutput]:
        outputs: list[TtsOutput] = []
        while self.current < position:
            outputs += self._complete()
        return outputs

    def _complete(self) -> list[TtsOutput]:
        """The current piece is spoken: give out what is still held, and go to the next."""
        outputs: list[TtsOutput] = []
        if self._take.origin is None:
            outputs += self._release_held()
        index = self.pieces[self.current].index
        outputs += self._report(index, everything=True)
        outputs.append(PieceSpoken(index))
        self.current += 1
        self._submitted = max(self._submitted, self.current)
        self._take = _Take(begins=self._take.begins + self._take.received, origin=self.delivered)
        self._piece_began = self.delivered
        self._words, self._reported, self._rest, self._odd = [], 0, None, b""
        early, self._early = self._early, []
        for position, words in early:
            if position == self.current:
                outputs += self._learn(words)
            elif position > self.current:
                self._early.append((position, words))
        return outputs

    def _hear(self, audio: bytes) -> list[TtsOutput]:
        pcm = self._decoded(audio)
        take = self._take
        take.received += len(pcm) // 2
        if take.origin is not None:
            return self._give(pcm)
        take.held += pcm
        return self._release_held() if take.received >= self.samples(_HOLD_S) else []

    def _decoded(self, audio: bytes) -> bytes:
        """Whole samples as PCM; half a sample waits for its other half."""
        if self.audio.encoding == "mulaw":
            return mulaw_decode(audio)
        if self._odd:
            audio = self._odd + audio
        even = len(audio) & ~1
        self._odd = audio[even:]
        return audio[:even]

    def _give(self, pcm: bytes) -> list[TtsOutput]:
        take = self._take
        if take.drop:
            cut = min(take.drop, len(pcm) // 2)
            take.drop -= cut
            pcm = pcm[2 * cut :]
        if not pcm:
            return []
        index = self.pieces[self.current].index
        self.delivered += len(pcm) // 2
        return [SpeechAudio(index, pcm), *self._report(index)]

    def _release_held(self) -> list[TtsOutput]:
        """Fit a resumed take to what was given out before: cut it, or fill the pause."""
        take = self._take
        lead = self._stamp_samples(take.stamps[0][1]) if take.stamps else 0
        origin = take.first_word_at - lead
        pause = min(max(0, origin - self.delivered), self.samples(_MAX_PAUSE_S))
        origin = min(origin, self.delivered + pause)
        take.origin = origin
        outputs = self._give(bytes(2 * pause))
        take.drop = self.delivered - origin
        self._place(take.stamps)
        pcm, take.held = bytes(take.held), bytearray()
        return outputs + self._give(pcm)

    # ------------------------------------------------------------ words

    def _learn(self, reply: Words) -> list[TtsOutput]:
        take = self._take
        if not reply.words:
            return []
        if take.stamp_offset is None:
            # Timestamps are the context's; but should a flush restart them, the first one of a
            # later piece is near 0 instead of near the piece's beginning.
            restarted = self.samples(reply.words[0][1] * 2) < take.begins
            take.stamp_offset = 0 if restarted else take.begins
        first = not take.stamps
        take.stamps += reply.words
        if take.origin is not None:
            placed = len(self._words)
            self._place(reply.words)
            began_before = self._words[placed][1] < self.delivered
            self._late = began_before or bool(self._late)
            return self._report(self.pieces[self.current].index)
        return self._release_held() if first and take.held else []

    def _place(self, stamps: Sequence[tuple[str, float, float]]) -> None:
        origin = self._take.origin or 0
        self._words += [
            (text, origin + self._stamp_samples(start), origin + self._stamp_samples(end))
            for text, start, end in stamps
        ]

    def _stamp_samples(self, at_s: float) -> int:
        return self.samples(at_s) - (self._take.stamp_offset or 0)

    def _report(self, index: int, *, everything: bool = False) -> list[TtsOutput]:
        """The words whose audio has begun and that were not reported yet."""
        begun = self._reported
        while begun < len(self._words) and (everything or self._words[begun][1] < self.delivered):
            begun += 1
        rate_hz = self.audio.rate_hz
        words = tuple(
            SpokenWord(text, start / rate_hz, end / rate_hz)
            for text, start, end in self._words[self._reported : begun]
        )
        self._reported = max(self._reported, begun)
        return [SpeechWords(index, words)] if words else []

    # ------------------------------------------------------------ other contexts

    def enter_context(self) -> None:
        """The next replies are of a new context, which begins with the current piece."""
        self._take.begins = 0

    def restart(self) -> list[TtsOutput]:
        """All contexts are gone: new ones speak what has not been given out."""
        self._submitted, self._early, self._odd = self.current, [], b""
        if self.delivered == self._piece_began or not self.has_work:
            self._take = _Take(origin=self.delivered)
            self._words, self._reported, self._rest = [], 0, None
            return []
        if self._take.origin is None:
            # The resumed take was lost before any of its audio was used: the same again.
            self._take = _Take(first_word_at=self._take.first_word_at)
            return []
        said = 0
        while said < len(self._words) and self._words[said][2] <= self.delivered:
            said += 1
        if said < len(self._words):
            take = _Take(first_word_at=self._words[said][1])
        elif not self._words:
            # Nothing is known but that the same text will begin in the same way.
            take = _Take(origin=self._piece_began, drop=self.delivered - self._piece_began)
        elif self._late is False:
            take = _Take(first_word_at=self.delivered)
        else:
            take = _Take(first_word_at=self._words[-1][2])
        # The word that was cut has been reported, and the next take speaks it first.
        self._reported = min(self._reported, said + 1)
        self._words = self._words[:said]
        self._rest = rest_of(self.pieces[self.current].text, [w[0] for w in self._words])
        self._take = take
        return self.settle()


def rest_of(text: str, words: Sequence[str]) -> str:
    """What is left of `text` after its first spoken `words`.

    Words are looked for in order; one that is not there as it stands (a provider may spell "3" as
    "three") counts for the next blank-separated word.
    """
    at, lowered = 0, text.lower()
    for word in words:
        token_at = at + len(text[at:]) - len(text[at:].lstrip())
        token_end = next((i for i in range(token_at, len(text)) if text[i].isspace()), len(text))
        found = lowered.find(word.lower(), token_at, max(token_end, token_at + len(word)))
        at = found + len(word) if word and found >= 0 else token_end
        # Punctuation that belongs to the word stays with it.
        while at < len(text) and not text[at].isspace() and not text[at].isalnum():
            at += 1
    return text[at:].strip()
