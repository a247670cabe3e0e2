"""Waiting for the model: a caller who hears nothing for long is told that somebody is there.

The model's messages pass through here on their way to the chunker. While none comes it is looked
whether the caller hears something; if he has heard nothing for long, a filler goes to the chunker
in the model's place: behind all that was said, and ahead of all that the model will say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from attrs import define, field

from vantum.actors.chunker import Said
from vantum.channels import take
from vantum.config import LlmSettings
from vantum.core.messages import LlmFiller, LlmOutput

_NEVER: Final = float("inf")


@define
class Fillers:
    """What is said in one call while its model thinks, in turn: `texts` in order, then again."""

    texts: tuple[str, ...]
    _said: int = field(default=0, init=False)

    def other_than(self, text: str) -> str | None:
        """The next one that is not `text`; None if there is none."""
        for _ in self.texts:
            found = self.texts[self._said % len(self.texts)]
            self._said += 1
            if found != text:
                return found
        return None


@define(eq=False)
class Waiting:
    """The model's messages, and fillers between them: an iterator for the chunker.

    Args:
        llm: says after how long.
        fillers: the call's.
        said: the answer, as the chunker makes it.
        silent_since: since when, on trio's clock, the caller hears nothing although it is the
            model's turn, which may lie ahead; infinity: he hears something, or it is not.
    """

    llm: LlmSettings
    fillers: Fillers
    said: Said
    silent_since: Callable[[], float]
    message_rx: trio.MemoryReceiveChannel[LlmOutput]
    _look_at_s: float = field(default=_NEVER, init=False)
    _filled: int = field(default=0, init=False)  # pieces there were behind our last filler

    def __attrs_post_init__(self) -> None:
        self._look_again()

    def __aiter__(self) -> Waiting:
        return self

    async def __anext__(self) -> LlmOutput:
        while True:
            message: LlmOutput | None = None
            try:
                with trio.move_on_at(self._look_at_s):
                    message = await take(self.message_rx)
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
            if message is None and (filler := self._due()) is not None:
                return filler
            # A tool that takes long has a filler, too, and need not repeat ours.
            if message is not None and not (message == self._last and self._is_filled):
                return message

    def _due(self) -> LlmFiller | None:
        """A filler, if it is time for one; else it is looked again when it may be."""
        wait_s, now_s = self._wait_s, trio.current_time()
        silent_s = self.silent_since()
        # Whatever keeps the caller from waiting now, he will not have waited long enough before.
        due_s = (now_s if silent_s == _NEVER else silent_s) + wait_s
        if due_s > now_s:
            self._look_at_s = due_s
            return None
        text = self.fillers.other_than(self._last.text)
        self._look_again()
        if text is None:
            return None
        self._filled = len(self.said.pieces) + 1
        return LlmFiller(text)

    def _look_again(self) -> None:
        self._look_at_s = trio.current_time() + (self._wait_s if self.fillers.texts else _NEVER)

    @property
    def _wait_s(self) -> float:
        after_ms = self.llm.filler_again_ms if self._is_filled else self.llm.filler_after_ms
        return after_ms / 1000 if after_ms and self.llm.filler_after_ms else _NEVER

    @property
    def _is_filled(self) -> bool:
        """Whether what was said last is a filler of ours."""
        return bool(self._filled) and self._filled == len(self.said.pieces)

    @property
    def _last(self) -> LlmFiller:
        return LlmFiller(self.said.pieces[-1] if self.said.pieces else "")
