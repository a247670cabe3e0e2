"""A model whose answer leaves its marks in the latency ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, frozen

from vantum.core.latency import Marks
from vantum.core.messages import ChatRequest, ModelOutput, ToolCall
from vantum.core.speculation import Draft
from vantum.ports import LanguageModel


@frozen
class Timed:
    """A `vantum.ports.LanguageModel`: another one, watched.

    The request counts as sent when the provider is asked. Text is counted as the llm actor hands
    it on: white space ahead of the first word is no token of its own. From the end of an answer
    that asks for tools until the next request, the model waits for them.

    `draft` has what is asked and written, of an answer that may yet be dropped.
    """

    model: LanguageModel
    marks: Marks
    draft: Draft | None = None

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        """What the other one gives, as it gives it."""
        self.marks.asked(trio.current_time())
        if self.draft is not None:
            self.draft.requests.append(request)
        async with self.model.stream(request) as pieces:
            yield _Watched(pieces, self.marks, self.draft)


@define
class _Watched:
    """A class and not an async generator: those must be closed when they are not read out."""

    pieces: AsyncIterator[ModelOutput]
    marks: Marks
    draft: Draft | None
    calls: bool = False

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> ModelOutput:
        marks = self.marks
        try:
            piece = await self.pieces.__anext__()
        except StopAsyncIteration:
            if self.calls:
                marks.paused(trio.current_time())
            raise
        self.calls = self.calls or isinstance(piece, ToolCall)
        if self.draft is not None and isinstance(piece, str | ToolCall):
            self.draft.written.append(piece if isinstance(piece, str) else piece.arguments_json)
        if isinstance(piece, str) and piece and (marks.tokens or not piece.isspace()):
            marks.token(trio.current_time())
        return piece
