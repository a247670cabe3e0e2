"""A text of our own, spoken as if a model had written it: greetings and questions into silence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import frozen

from vantum.core.messages import ChatRequest


@frozen
class Recital:
    """A `vantum.ports.LanguageModel` that always says the same."""

    text: str

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[str]]:
        """The text in one piece."""
        yield _once(self.text)


async def _once(text: str) -> AsyncIterator[str]:
    yield text
