"""Summarising: what falls out of the model's context is summed up by the model, in the background.

It begins between turns, when an answer has been heard and the next is not yet due, and nothing
waits for it: until it is done the window is all there is, and if it fails, that stays so. It ends
with the call, whose nursery it runs in.
"""

from __future__ import annotations

import trio
from attrs import define, field

from vantum.actors.call import Call
from vantum.core.history import Digest, History
from vantum.core.summary import ENOUGH_CHARS, clean_summary, summary_request
from vantum.errors import ProviderError

#: After failures in a row so many turns pass before the next attempt, at most.
_MAX_PAUSE_TURNS = 8


@define
class Summarising:
    """At most one summary is being made.

    A model on this machine (`shares_machine`) computes with what its answers need: its summary is
    given up when an answer begins, and begun again after it. Others do both at once.
    """

    call: Call
    nursery: trio.Nursery
    history: History
    _scope: trio.CancelScope | None = field(default=None, init=False)
    _failures: int = field(default=0, init=False)
    _pause_turns: int = field(default=0, init=False)

    @property
    def enabled(self) -> bool:
        """Whether summaries are wanted and the model is able to make them."""
        settings = self.call.settings
        is_small = self.shares_machine and not settings.local.llm_model_path
        return settings.llm.summary != "off" and not is_small

    @property
    def shares_machine(self) -> bool:
        """Whether the model runs in this process."""
        return self.call.provider_names["llm"] == "local"

    def turn_over(self) -> None:
        """An answer has been heard: now there is time."""
        if not self.enabled or self._scope is not None:
            return
        digest = self.history.due()
        if digest is None:
            return
        if self._pause_turns:
            self._pause_turns -= 1
            return
        # Made here and not in the task: it may be cancelled before that has run at all.
        self._scope = trio.CancelScope()
        self.nursery.start_soon(self._summarise, digest, self._scope)

    def turn_begins(self) -> None:
        """An answer is due: it comes first."""
        if self._scope is not None and self.shares_machine:
            self._scope.cancel()

    async def _summarise(self, digest: Digest, scope: trio.CancelScope) -> None:
        log = self.call.log
        marker = self.call.settings.streaming.break_marker
        timeout_s = self.call.settings.llm.summary_timeout_ms / 1000
        text, why = "", "the model declined or said nothing"
        try:
            with scope, trio.move_on_after(timeout_s) as patience:
                try:
                    text = clean_summary(await self._ask(digest), marker)
                except ProviderError as error:
                    why = str(error)
            if patience.cancelled_caught:
                why = f"not complete within {timeout_s:g} s"
        finally:
            self._scope = None
        if text:
            self._failures = 0
            self.history.summarised(digest, text)
            log.info("summarised", messages=len(digest.messages), chars=len(text))
        elif not scope.cancelled_caught:
            self._failures += 1
            self._pause_turns = min(2**self._failures - 1, _MAX_PAUSE_TURNS)
            log.warning("what fell out of the context is not summarised", why=why)

    async def _ask(self, digest: Digest) -> str:
        request = summary_request(digest, self.call.settings.streaming.break_marker)
        text = ""
        async with self.call.model.stream(request) as outputs:
            async for output in outputs:
                text += output if isinstance(output, str) else ""
                if len(text) > ENOUGH_CHARS:
                    break  # a model that does not come to an end: no more of it is taken
        return text
