"""An answer in the making, as the conductor holds it."""

from __future__ import annotations

from typing import Protocol

import trio
from attrs import define, field

from vantum.actors.call import Call, Inbox, Outgoing
from vantum.actors.chunker import Answer, Said
from vantum.actors.player import Playing
from vantum.core.decisions import RoleLost
from vantum.core.events import InputOptions
from vantum.core.latency import Marks
from vantum.core.messages import ChatRequest


@define
class Response:
    """The chunker fills `said`, the player `playing`; the conductor reads them and may cancel.

    `is_own`: no model was asked; a text of our own is spoken. `cut_s`: when it was cancelled, on
    trio's clock.
    """

    answer: Answer
    playing: Playing
    options: InputOptions
    is_own: bool = False
    said: Said = field(factory=Said)
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    marks: Marks = field(factory=Marks)
    cut_s: float | None = None

    @property
    def failed(self) -> tuple[RoleLost, ...]:
        """The roles that failed on the way."""
        return tuple(f for f in (self.said.failure, self.playing.failure) if f is not None)


class Respond(Protocol):
    """What makes an answer: `vantum.turn.respond`."""

    async def __call__(
        self,
        call: Call,
        response: Response,
        request: ChatRequest,
        speaking: trio.Lock,
        out_tx: trio.MemorySendChannel[Outgoing],
        inbox_tx: trio.MemorySendChannel[Inbox],
    ) -> None:
        """Answer once."""
