"""Texts that are known ahead, spoken as if a model had written them.

Greetings and questions into silence; and the rest of an answer that was cut, behind which the model
may have to go on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from attrs import define, frozen

from vantum.core.messages import ChatRequest, ModelOutput
from vantum.ports import LanguageModel


@frozen
class Recital:
    """A `vantum.ports.LanguageModel` that always says the same."""

    text: str

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[str]]:
        """The text in one piece."""
        # Closed here: an answer may be cut before it is read out.
        async with aclosing(_once(self.text)) as pieces:
            yield pieces


async def _once(text: str) -> AsyncGenerator[str, None]:
    yield text


@frozen
class Continuation:
    """A `vantum.ports.LanguageModel` that first says `text` and then what the model says.

    The model is asked as soon as the text has been taken: it writes while the text is spoken.
    """

    text: str
    model: LanguageModel

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        """The text, a space, and the model's answer to `request`, which knows of the text."""
        async with AsyncExitStack() as stack:
            yield _Continued(self, request, stack)


@define
class _Continued:
    """A class and not an async generator: those must be closed when they are not read out."""

    whole: Continuation
    request: ChatRequest
    stack: AsyncExitStack
    begun: bool = False
    pieces: AsyncIterator[ModelOutput] | None = None

    def __aiter__(self) -> _Continued:
        return self

    async def __anext__(self) -> ModelOutput:
        if not self.begun:
            self.begun = True
            return f"{self.whole.text} "
        if self.pieces is None:
            opening = self.whole.model.stream(self.request)
            self.pieces = aiter(await self.stack.enter_async_context(opening))
        return await anext(self.pieces)
