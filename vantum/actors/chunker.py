"""Chunker: the model's tokens become speakable pieces, as soon as each is complete.

It also decides what is said when the model fails: the fallback, if nothing of its round was spoken
yet; else what was spoken stands and the broken-off rest is not said. An answer without words is a
failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

import trio
from attrs import define, field, frozen

from vantum.actors.call import Inbox, Outgoing
from vantum.actors.link import lost
from vantum.channels import Sender, put
from vantum.core.chunking import Chunker, ChunkingOptions, strip_markers
from vantum.core.decisions import AnswerFailed, RoleLost
from vantum.core.dtmf import WrittenNotes, as_note, join_notes, strip_notes
from vantum.core.events import ResponseCompleted, ResponseStarted, ResponseToken
from vantum.core.latency import Marks
from vantum.core.markers import without_unfinished
from vantum.core.messages import (
    EndOfPieces,
    Keys,
    LlmFailed,
    LlmFiller,
    LlmFinished,
    LlmOutput,
    LlmPaused,
    LlmToken,
    Piece,
    SpeechPiece,
    TonePiece,
)
from vantum.core.stage_marks import StageMarks, strip_stage_marks, without_unfinished_mark
from vantum.errors import ProviderError


@frozen
class Fallback:
    """What to say if the model fails before anything of its round was spoken."""

    tier: int
    text: str


@frozen
class Answer:
    """How an answer is made: its identity and what the client wants to see of it. `wall_ms`: the
    time of day. `goes_on`: with one that was cut, so that there may be nothing more to say."""

    turn: int
    utterance_id: str
    wall_ms: Callable[[], int]
    fallback: Fallback
    options: ChunkingOptions
    tokens: bool = False
    has_script: bool = False
    goes_on: bool = False

    def would_say(self, text: str) -> bool:
        """Whether anything of this text of the model's is spoken: more than markers and signs."""
        text = strip_stage_marks(text) if self.has_script else text
        text = strip_notes(text)
        return any(map(str.isalnum, strip_markers(text, self.options.break_marker)))

    def example(self, text: str) -> str:
        """A text of the model's as it is shown what it wrote, which it takes as its example: half a
        marker at its end would be one of speaking it."""
        text = without_unfinished(strip_notes(text), self.options.break_marker)
        return without_unfinished_mark(text) if self.has_script else text


@define
class Said:
    """What became of the model's part: filled in while it runs, read when the response is over.

    `begun`: the client knows of the answer; `told`: also that it is complete. `written` is the
    whole answer with its markers; empty if it is not whole. An answer that asked for tools has
    several rounds: `round_ends` says how many pieces there were at the end of each but the last,
    and `written` is then the last one.
    `fillers`: which pieces are ours and not the model's, said while it was waited for.
    `has_keys`: tones are among the pieces. `stages`: where in the script the model wants to go, in
    order.
    """

    begun: bool = False
    told: bool = False
    text: str = ""
    written: str = ""
    is_fallback: bool = False
    has_keys: bool = False
    failure: RoleLost | None = None
    pieces: list[str] = field(factory=list)
    round_ends: list[int] = field(factory=list)
    fillers: list[int] = field(factory=list)
    stages: list[str] = field(factory=list)
    marks: Marks = field(factory=Marks)
    chunker: Chunker | None = None
    unsaid: list[str] = field(factory=list)

    @property
    def has_words(self) -> bool:
        """Whether there are pieces besides fillers."""
        return len(self.pieces) > len(self.fillers)

    @property
    def round_has_words(self) -> bool:
        """The same of the round that runs, or ran last."""
        began = self.round_ends[-1] if self.round_ends else 0
        return len(self.pieces) - began > sum(index >= began for index in self.fillers)

    @property
    def known(self) -> list[str]:
        """The pieces, and what was written but is none yet: of an answer that was cut."""
        if self.chunker is not None and not self.text:
            self.unsaid = self.chunker.finish(cut=True)
            self.chunker = None
        return [*self.pieces, *self.unsaid]


@define
class _Writing:
    """One answer being cut."""

    answer: Answer
    said: Said
    piece_tx: trio.MemorySendChannel[Piece]
    out_tx: Sender[Outgoing]
    chunker: Chunker
    raw: list[str] = field(factory=list)
    stage_marks: StageMarks = field(factory=StageMarks)
    notes: WrittenNotes = field(factory=WrittenNotes)

    async def token(self, text: str) -> None:
        await self.begin()
        self.raw.append(text)
        await self.write(self.unmarked(text))

    def unmarked(self, text: str, *, final: bool = False) -> str:
        """The text without notes of keys, and without markers of the script's stages, which are
        noted."""
        text = self.notes.feed(text, final=final)
        if not self.answer.has_script:
            return text
        text = self.stage_marks.feed(text, final=final)
        self.said.stages += self.stage_marks.names
        self.stage_marks.names.clear()
        return text

    async def write(self, text: str) -> None:
        if text and self.answer.tokens:
            await put(self.out_tx, ResponseToken(self.answer.utterance_id, text))
        await self.say(self.chunker.feed(text), tokens=len(self.raw))

    async def finish(self) -> None:
        """The round is over: what was held back comes out."""
        await self.write(self.unmarked("", final=True))
        await self.say(self.chunker.finish())

    async def begin(self) -> None:
        if not self.said.begun:
            self.said.begun = True
            answer = self.answer
            await put(self.out_tx, ResponseStarted(answer.utterance_id, answer.wall_ms()))

    async def say(self, pieces: list[str], tokens: int = 0) -> None:
        if pieces:
            self.said.marks.piece(tokens, trio.current_time())
        first = len(self.said.pieces)
        # All of them before any has to wait: what is cut here must be known.
        self.said.pieces.extend(pieces)
        for index, text in enumerate(pieces, first):
            await put(self.piece_tx, SpeechPiece(index, text))

    async def fill(self, text: str) -> None:
        await self.begin()
        self.said.fillers.append(len(self.said.pieces))
        await self.say([text])

    async def press(self, keys: str) -> None:
        """Tones, behind what was written so far."""
        await self.begin()
        await self.finish()
        said, first = self.said, len(self.said.pieces)
        said.chunker = self.chunker = Chunker(self.answer.options)
        said.has_keys = True
        said.pieces.extend(map(as_note, keys))
        for index, key in enumerate(keys, first):
            await put(self.piece_tx, TonePiece(index, as_note(key), key))

    async def pause(self) -> None:
        await self.finish()
        self.said.round_ends.append(len(self.said.pieces))
        self.said.chunker = self.chunker = Chunker(self.answer.options)
        self.raw = []

    async def fall_back(self) -> None:
        said, text = self.said, self.answer.fallback.text
        said.is_fallback, said.text = True, " ".join([*said.pieces, text])
        await self.begin()
        fallback = Chunker(self.answer.options)
        await self.say(fallback.feed(text) + fallback.finish())

    def complete(self) -> None:
        said = self.said
        said.written = "" if said.has_keys else self.answer.example("".join(self.raw))
        # An answer that tools divided, or tones, or fillers is told as it was spoken.
        said.text = (
            join_notes(" ".join(said.pieces))
            if said.round_ends or said.has_keys or said.fillers
            else strip_markers(self._spoken(), self.answer.options.break_marker)
        )

    def _spoken(self) -> str:
        written = self.said.written
        return strip_stage_marks(written) if self.answer.has_script else written


async def chunk(
    answer: Answer,
    said: Said,
    messages: AsyncIterable[LlmOutput],
    piece_tx: trio.MemorySendChannel[Piece],
    out_tx: Sender[Outgoing],
    inbox_tx: Sender[Inbox],
) -> None:
    """Cut one answer into pieces until the model has finished or failed.

    `messages`: what the model sends, and fillers.
    """
    writing = _Writing(answer, said, piece_tx, out_tx, Chunker(answer.options))
    said.chunker = writing.chunker
    async for message in messages:
        match message:
            case LlmToken(text=token):
                await writing.token(token)
                continue
            case LlmPaused():
                await writing.pause()
                continue
            case Keys(keys=keys):
                await writing.press(keys)
                continue
            case LlmFiller(text=text):
                await writing.fill(text)
                continue
            case LlmFinished():
                await writing.finish()
                if said.has_words or answer.goes_on:
                    await writing.begin()
                    writing.complete()
                    break
                # Markers, dots or an emoji: to who waits for an answer it is silence.
                said.failure = lost(
                    "llm", ProviderError("llm", "server", "an answer without words")
                )
            case LlmFailed(error_kind=kind, message=text, provider=provider):
                said.failure = lost("llm", ProviderError(provider, kind, text))
        await put(inbox_tx, AnswerFailed(answer.turn, said.failure))
        if said.round_has_words:
            said.text = " ".join(said.pieces)
        else:  # also behind "Let me see.": who was told to wait is not left waiting
            await writing.fall_back()
        break
    tier = answer.fallback.tier if said.is_fallback else None
    await put(out_tx, ResponseCompleted(answer.utterance_id, said.text, said.is_fallback, tier))
    said.told = True
    await put(piece_tx, EndOfPieces())


async def break_off(answer: Answer, said: Said, out_tx: Sender[Outgoing]) -> None:
    """Nobody can speak what the model writes: it was stopped, and that is all of its answer."""
    if said.begun and not said.told:
        await put(out_tx, ResponseCompleted(answer.utterance_id, " ".join(said.pieces)))
