"""An answer in the making, as the conductor holds it."""

from __future__ import annotations

from typing import Protocol

import trio
from attrs import define, field

from vantum.actors.call import Call, Inbox, Outgoing
from vantum.actors.chunker import Answer, Said
from vantum.actors.player import Playing
from vantum.actors.tools import Errands
from vantum.actors.waiting import Fillers
from vantum.channels import Sender
from vantum.core.decisions import RoleLost
from vantum.core.events import InputOptions
from vantum.core.latency import Marks
from vantum.core.messages import ChatRequest
from vantum.core.speculation import Draft
from vantum.core.wording import words_of


def _certain() -> trio.Event:
    event = trio.Event()
    event.set()
    return event


@define
class Response:
    """The chunker fills `said`, the player `playing`; the conductor reads them and may cancel.

    `is_own`: no model was asked; a text of our own is spoken. `own_text`: what was known of it from
    the start. `cut_s`: when it was cancelled, on trio's clock; `joins`: because the user went on
    with his turn. `committed`: set when it is certain that there is a turn to answer; what has an
    effect waits for it. `errands`: the tools it asks for, if there are any. `ends_call`: it is a
    goodbye of ours, or goes on with one that was cut. `begun_s`: when the caller began to wait for
    it; `fillers`: what he is told meanwhile. `draft`: what it has cost, if it is made in secret and
    may be dropped.
    """

    answer: Answer
    playing: Playing
    options: InputOptions
    is_own: bool = False
    said: Said = field(factory=Said)
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    marks: Marks = field(factory=Marks)
    own_text: str = ""
    cut_s: float | None = None
    joins: bool = False
    committed: trio.Event = field(factory=_certain)
    errands: Errands | None = None
    ends_call: bool = False
    speaks_ahead: bool = False
    draft: Draft | None = None
    begun_s: float = float("inf")
    fillers: Fillers = field(factory=lambda: Fillers(()))

    @property
    def heard(self) -> str:
        """What was heard of it: by the cut, or by now."""
        heard_at_s = trio.current_time() if self.cut_s is None else self.cut_s
        return self.playing.playout.heard_text(heard_at_s)

    @property
    def known(self) -> str:
        """What was known of it when it was cut, spoken or not."""
        written, own = " ".join(self.said.known), self.own_text
        is_ahead = len(words_of(own)) > len(words_of(written))
        return own if self.is_own or is_ahead else written

    @property
    def failed(self) -> tuple[RoleLost, ...]:
        """The roles that failed on the way."""
        return tuple(f for f in (self.said.failure, self.playing.failure) if f is not None)

    @property
    def hangs_up(self) -> bool:
        """Whether the call is to end with this answer: not if it broke off into a fallback."""
        asked = self.errands is not None and self.errands.hang_up is not None
        return (asked or self.ends_call) and not self.failed

    def silent_since(self) -> float:
        """Since when, on trio's clock, the caller hears nothing although it is the model's turn.

        It may lie ahead. Infinity: something of it is not even synthesised or not let out, a tool
        is at work, or nobody waits for the answer yet.
        """
        quiet_s = self.quiet_since(0)
        if quiet_s is None or self.playing.hold.holds:
            return float("inf")
        busy_s = self.errands.busy_until_s if self.errands is not None else 0.0
        return max(self.begun_s, quiet_s, busy_s)

    def quiet_since(self, rounds: int) -> float | None:
        """Since when, on trio's clock, the caller has heard all that the first `rounds` wrote.

        It may lie ahead. The past, however far, if they said nothing; None if some of it is not
        even synthesised.
        """
        if len(self.said.round_ends) < rounds or self.playing.spoken < len(self.said.pieces):
            return None
        return self.playing.playout.finished_at_s or 0.0


class Respond(Protocol):
    """What makes an answer: `vantum.turn.respond`."""

    async def __call__(
        self,
        call: Call,
        response: Response,
        request: ChatRequest,
        speaking: trio.Lock,
        out_tx: Sender[Outgoing],
        inbox_tx: Sender[Inbox],
    ) -> None:
        """Answer once."""
