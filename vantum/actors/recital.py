"""Texts that are known ahead, spoken as if a model had written them.

Greetings and questions into silence; and the rest of an answer that was cut, behind which the model
may have to go on. Keys that were still to be sent are sent as such and not read out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

from attrs import define, field, frozen

from vantum.core.dtmf import split_notes
from vantum.core.messages import ChatRequest, Keys, ModelOutput
from vantum.ports import LanguageModel


@frozen
class Recital:
    """A `vantum.ports.LanguageModel` that always says the same."""

    text: str

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        """The text in one piece, or in several with keys between them."""
        # Closed here: an answer may be cut before it is read out.
        async with aclosing(_once(_pieces(self.text))) as pieces:
            yield pieces


def _pieces(text: str) -> list[ModelOutput]:
    parts = split_notes(text)
    if all(words for words, _ in parts):
        return [text]  # as it is, be it empty
    return [words or Keys(keys) for words, keys in parts]


async def _once(pieces: list[ModelOutput]) -> AsyncGenerator[ModelOutput, None]:
    for piece in pieces:
        yield piece


@define
class Continuation:
    """A `vantum.ports.LanguageModel` that first says `text` and then what the model says.

    The model is asked as soon as the text has been taken: it writes while the text is spoken. If it
    is asked again, with what its tools have answered, the text has been said.
    """

    text: str
    model: LanguageModel
    _said: bool = field(default=False, init=False)

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        """The text, a space, and the model's answer to `request`, which knows of the text."""
        ours = [] if self._said else self._ours()
        self._said = True
        async with AsyncExitStack() as stack:
            yield _Continued(self.model, request, stack, ours)

    def _ours(self) -> list[ModelOutput]:
        """The text and a space, the end first."""
        first, *others = reversed(_pieces(self.text))
        return [f"{first} " if isinstance(first, str) else first, *others]


@define
class _Continued:
    """A class and not an async generator: those must be closed when they are not read out.

    `ours`: what is said first, its end first.
    """

    model: LanguageModel
    request: ChatRequest
    stack: AsyncExitStack
    ours: list[ModelOutput]
    pieces: AsyncIterator[ModelOutput] | None = None

    def __aiter__(self) -> _Continued:
        return self

    async def __anext__(self) -> ModelOutput:
        if self.ours:
            return self.ours.pop()
        if self.pieces is None:
            opening = self.model.stream(self.request)
            self.pieces = aiter(await self.stack.enter_async_context(opening))
        return await anext(self.pieces)
