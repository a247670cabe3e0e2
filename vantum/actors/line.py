"""The line that a call is on, as the tools of one answer see it: `vantum.core.tools.Line`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio
from attrs import define, frozen

from vantum.actors.call import Inbox
from vantum.channels import Sender, put
from vantum.core.decisions import Announce
from vantum.core.dtmf import check_keys
from vantum.core.messages import Keys, LlmFiller, LlmOutput
from vantum.core.tools import ToolError

#: How often silence is looked for: nobody hears the difference.
LOOK_S: Final = 0.05


@frozen
class Talk:
    """How the call's talking stands. `is_cut`: this answer was; `is_quiet`: the other side has
    heard all of this answer so far; `is_speaking`: some answer is live."""

    is_cut: Callable[[], bool]
    is_quiet: Callable[[], bool]
    is_speaking: Callable[[], bool]


@define(eq=False)
class AnswerLine:
    """The line during one answer.

    `ended`: set when the call is over. `speech_tx`: what this answer says besides the model's
    words, set while its tools run. `has_pressed`: tones were sent in it.
    """

    inbox_tx: Sender[Inbox]
    ended: trio.Event
    talk: Talk
    speech_tx: trio.MemorySendChannel[LlmOutput] | None = None
    has_pressed: bool = False

    @property
    def is_cut(self) -> bool:
        """See `Line`."""
        return self.talk.is_cut() or self.speech_tx is None

    def press(self, keys: str) -> None:
        """See `Line`."""
        keys = check_keys(keys)
        if self.is_cut or self.speech_tx is None:
            raise ToolError("not sent: they interrupted")
        try:
            self.speech_tx.send_nowait(Keys(keys))
        except trio.WouldBlock:
            raise ToolError("not sent: too much is waiting to be said") from None
        self.has_pressed = True

    async def say(self, text: str) -> None:
        """See `Line`."""
        if self.is_cut or self.speech_tx is None:
            await put(self.inbox_tx, Announce(text))
        else:
            await put(self.speech_tx, LlmFiller(text))
        await trio.sleep(LOOK_S)  # until it is known of

    async def say_goodbye(self, text: str, reason: str) -> None:
        """See `Line`."""
        await put(self.inbox_tx, Announce(text, then_hang_up=True, reason=reason))

    async def heard(self) -> None:
        """See `Line`."""
        while not self._is_quiet():  # noqa: ASYNC110 (it is the clock that tells)
            await trio.sleep(LOOK_S)

    def _is_quiet(self) -> bool:
        if self.ended.is_set():
            return True
        return not self.talk.is_speaking() if self.is_cut else self.talk.is_quiet()

    @property
    def is_over(self) -> bool:
        """See `Line`."""
        return self.ended.is_set()

    async def over(self) -> None:
        """See `Line`."""
        await self.ended.wait()
