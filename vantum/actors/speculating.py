"""Speculating: the answer that is made in secret for a turn that is not committed yet.

When to begin and when to drop one is decided in `vantum.core.speculation`. A dropped one leaves
nothing but a count: what it would have sent was held at its gate, and the history never had it.
"""

from __future__ import annotations

import trio
from attrs import define, field

from vantum.actors.answering import Ahead, Answering
from vantum.core.decisions import Conversation, Event, Turn
from vantum.core.events import InputOptions
from vantum.core.messages import Transcript
from vantum.core.speculation import Discard, Speculation, Start


@define
class Speculating:
    """At most one secret answer at a time. `state` has the counts."""

    answering: Answering
    state: Speculation
    _ahead: Ahead | None = field(default=None, init=False)
    _confidence: float = field(default=0.0, init=False)

    def follow(self, c: Conversation, event: Event) -> None:
        """Begin or drop, now that an event has led to this conversation."""
        if isinstance(event, Transcript) and event.text:
            self._confidence = event.confidence
        now_s = trio.current_time()
        verdict = self.state.decide(c, self._confidence, now_s)
        if isinstance(verdict, Discard):
            self._drop()
            verdict = self.state.decide(c, self._confidence, now_s)
        if isinstance(verdict, Start):
            self._begin(verdict.text, c)

    def take(self, turn: Turn, options: InputOptions) -> Ahead | None:
        """The secret answer to a turn that is committed now; None if there is none that fits."""
        ahead = self._ahead
        if ahead is None:
            return None
        fits = (
            self.state.fits(turn.text)
            and ahead.response.playing.turn == turn.number
            and ahead.response.options == options
            and not ahead.response.failed
            and not turn.joins
            and not turn.say  # what the model would say to it does not matter
        )
        if not fits:
            self._drop()
            return None
        self._ahead, self.state = None, self.state.was_kept()
        return ahead

    def _begin(self, text: str, c: Conversation) -> None:
        self.state = self.state.begun(text, c)
        self._ahead = self.answering.begin_ahead(
            c.next_turn,
            text,
            c.options or InputOptions(),
            speaks=self.state.options.mode == "speech",
        )

    def _drop(self) -> None:
        ahead, self._ahead = self._ahead, None
        assert ahead is not None
        assert ahead.response.draft is not None
        ahead.response.scope.cancel()
        sent, written = ahead.response.draft.tokens(self.answering.call.count_tokens)
        self.state = self.state.was_dropped(sent + written, trio.current_time())
        self.answering.call.log.info(
            "answer ahead of time dropped",
            turn=ahead.response.playing.turn,
            tokens=sent + written,
            written=written,
            dropped=self.state.dropped,
            kept=self.state.kept,
        )
