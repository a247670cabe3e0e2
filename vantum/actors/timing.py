"""A model whose answer leaves its marks in the latency ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import frozen

from vantum.core.latency import Marks
from vantum.core.messages import ChatRequest, ModelOutput
from vantum.ports import LanguageModel


@frozen
class Timed:
    """A `vantum.ports.LanguageModel`: another one, watched.

    The request counts as sent when the provider is asked. Text is counted as the llm actor hands
    it on: white space ahead of the first word is no token of its own.
    """

    model: LanguageModel
    marks: Marks

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        """What the other one gives, as it gives it."""
        self.marks.mark("request", trio.current_time())
        async with self.model.stream(request) as pieces:
            yield _Watched(pieces, self.marks)


@frozen
class _Watched:
    """A class and not an async generator: those must be closed when they are not read out."""

    pieces: AsyncIterator[ModelOutput]
    marks: Marks

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> ModelOutput:
        piece = await self.pieces.__anext__()
        marks = self.marks
        if isinstance(piece, str) and piece and (marks.tokens or not piece.isspace()):
            marks.token(trio.current_time())
        return piece
