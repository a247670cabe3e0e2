"""Chunker: the model's tokens become speakable pieces, as soon as each is complete.

It also decides what is said when the model fails: the fallback, if nothing was spoken yet; else
what was spoken stands and the broken-off rest is not said. An answer without words is a failure.
"""

from __future__ import annotations

import trio
from attrs import define, field, frozen

from vantum.actors.call import Inbox, Outgoing
from vantum.actors.link import lost
from vantum.core.chunking import Chunker, ChunkingOptions, strip_markers
from vantum.core.decisions import AnswerFailed, RoleLost
from vantum.core.events import ResponseCompleted, ResponseStarted, ResponseToken
from vantum.core.messages import (
    EndOfPieces,
    LlmFailed,
    LlmFinished,
    LlmOutput,
    LlmToken,
    SpeechPiece,
    TtsInput,
)
from vantum.errors import ProviderError


@frozen
class Fallback:
    """What to say if the model fails before anything was spoken."""

    tier: int
    text: str


@frozen
class Answer:
    """How an answer is made: its identity and what the client wants to see of it."""

    turn: int
    utterance_id: str
    timestamp_ms: int
    fallback: Fallback
    options: ChunkingOptions
    tokens: bool = False


@define
class Said:
    """What became of the model's part: filled in while it runs, read when the response is over.

    `begun`: the client knows of the answer. `written` is the whole answer with its markers; empty
    if it is not whole.
    """

    begun: bool = False
    text: str = ""
    written: str = ""
    is_fallback: bool = False
    failure: RoleLost | None = None
    pieces: list[str] = field(factory=list)


async def chunk(
    answer: Answer,
    said: Said,
    token_rx: trio.MemoryReceiveChannel[LlmOutput],
    piece_tx: trio.MemorySendChannel[TtsInput],
    out_tx: trio.MemorySendChannel[Outgoing],
    inbox_tx: trio.MemorySendChannel[Inbox],
) -> None:
    """Cut one answer into pieces until the model has finished or failed."""
    chunker = Chunker(answer.options)
    raw: list[str] = []

    async def begin() -> None:
        if not said.begun:
            said.begun = True
            await out_tx.send(ResponseStarted(answer.utterance_id, answer.timestamp_ms))

    async def say(pieces: list[str]) -> None:
        for text in pieces:
            said.pieces.append(text)
            await piece_tx.send(SpeechPiece(len(said.pieces) - 1, text))

    async for message in token_rx:
        match message:
            case LlmToken(text=token):
                await begin()
                raw.append(token)
                if answer.tokens:
                    await out_tx.send(ResponseToken(answer.utterance_id, token))
                await say(chunker.feed(token))
            case LlmFinished():
                await say(chunker.finish())
                if said.pieces:
                    said.written = "".join(raw)
                    said.text = strip_markers(said.written, answer.options.break_marker)
                    break
                # Markers, dots or an emoji: to who waits for an answer it is silence.
                said.failure = lost(
                    "llm", ProviderError("llm", "server", "an answer without words")
                )
            case LlmFailed(error_kind=kind, message=text, provider=provider):
                said.failure = lost("llm", ProviderError(provider, kind, text))
        if said.failure is None:
            continue
        await inbox_tx.send(AnswerFailed(answer.turn, said.failure))
        if said.pieces:
            said.text = " ".join(said.pieces)
            break
        said.is_fallback, said.text = True, answer.fallback.text
        await begin()
        fallback = Chunker(answer.options)
        await say(fallback.feed(answer.fallback.text) + fallback.finish())
        break
    tier = answer.fallback.tier if said.is_fallback else None
    await out_tx.send(ResponseCompleted(answer.utterance_id, said.text, said.is_fallback, tier))
    await piece_tx.send(EndOfPieces())
