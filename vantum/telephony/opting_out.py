"""Who asks not to be called any more: written down at once, whatever becomes of the call.

The words are looked for in what the caller says (`overhear`), so no model has to understand them,
and none can talk them away. The task that writes them down belongs to the server, not to the call:
hanging up, cutting in or a failed session does not stop it, and a database that fails is asked
again. Then an apology is said and the call ends, be it written down by then or not.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio
from attrs import define

from vantum.core.decisions import Announce
from vantum.core.opt_out import LANGUAGES, opt_out_phrase
from vantum.errors import VantumError
from vantum.observe.logs import get_log
from vantum.telephony.live import LiveCall
from vantum.telephony.record import CallRecord

#: Pauses between attempts to write it down; the last one is for all that follow.
_PAUSES_S: Final = (1.0, 5.0, 15.0, 60.0)
#: About an hour: whoever looks after the server has seen the errors by then.
_MAX_RETRIES: Final = 60
REASON: Final = "they asked not to be called again"

_log = get_log("phone")


class DoNotCall(Protocol):
    """Where it is written down: `vantum.compliance.check.Compliance`."""

    async def opt_out(self, number: str, *, source: str, call_id: str = "") -> None:
        """Nobody calls this number from now on. Finished even if it is cancelled; raises
        `StorageError` or `AuditError` if it could not be written down."""


def other_party(record: CallRecord) -> str:
    """The number at the other end of a call."""
    return record.to_number if record.direction == "outbound" else record.from_number


@define(eq=False)
class OptOuts:
    """Opt-outs of all calls. `nursery` outlives the calls; `reply` is what is said to them,
    `phrases` are those that count besides the built-in ones of `languages`."""

    do_not_call: DoNotCall
    nursery: trio.Nursery
    reply: str
    phrases: tuple[str, ...] = ()
    languages: tuple[str, ...] = LANGUAGES

    def overhear(self, live: LiveCall, text: str) -> Announce | None:
        """What is to be said to somebody who has said this, if he asks not to be called."""
        phrase = opt_out_phrase(text, self.phrases, self.languages)
        if phrase is None:
            return None
        self.begin(live, f"said: {phrase}")
        return Announce(self.reply, then_hang_up=True, reason=REASON, answers=True)

    def begin(self, live: LiveCall, source: str) -> None:
        """Write it down, once for a call; returns at once."""
        if live.noted == "opted_out":
            return
        live.note("opted_out")
        _log.info("asked not to be called again", call=live.id, source=source)
        self.nursery.start_soon(self._write, live, source)

    async def _write(self, live: LiveCall, source: str) -> None:
        number, attempt = other_party(live.record), 0
        try:
            while not await self._written(live, number, source) and attempt < _MAX_RETRIES:
                await trio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
                attempt += 1
        except trio.Cancelled:
            if attempt:  # the server stops: one more time, which shields itself
                await self._written(live, number, source)
            raise

    async def _written(self, live: LiveCall, number: str, source: str) -> bool:
        try:
            await self.do_not_call.opt_out(number, source=source, call_id=live.id)
        except VantumError as error:
            _log.error("an opt-out is not written down yet", call=live.id, error=str(error))
            return False
        except Exception:
            # Whatever it is, it stops neither this wish nor the calls that run beside it.
            _log.exception("an opt-out is not written down yet", call=live.id)
            return False
        return True
