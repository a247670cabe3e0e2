"""Blind transfers: the live call is given new TwiML, which dials a colleague.

Our session ends with its stream. If the colleague takes the call, our part of it is over. If not,
the caller comes back: `<Dial>` asks its `action` what to do, and the answer connects the call with
its agent by a second stream. What that one's session says and hears goes on in the same history and
the same record; the model reads in the result of its own `transfer` what became of it, and the
caller is told `transfer.unavailable_text` first. For as long as the colleague's phone rings, a
place is kept for it. Only if there is none after all does Twilio say a sentence and hang up.

A mailbox takes calls, too. Where a colleague has to press 1 (`transfer.blind_needs_key`), Twilio
asks us what he is to hear before the two are connected (`url` of `<Number>`), and whoever does not
press it was not reached. Twilio could also detect machines there (`machineDetection`), but takes
those for one who answer with more than a few words, as people do at work; and it tells only when
the two are connected.

Twilio also asks the action when it is the caller who has hung up; `CallStatus` tells. Source:
"<Dial>", https://www.twilio.com/docs/voice/twiml/dial (`action`, `DialCallStatus`).
"""

from __future__ import annotations

from typing import Final

import trio
from attrs import define
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vantum.actors.call import Past
from vantum.compliance.permit import PermitRefused
from vantum.core.call_status import FINAL
from vantum.observe.logs import get_log
from vantum.telephony import transfer_twiml
from vantum.telephony.invitations import Invitations, call_data
from vantum.telephony.lifecycle import CALLS_PATH
from vantum.telephony.live import LiveCall
from vantum.telephony.news import whole_seconds
from vantum.telephony.passing import (
    Passing,
    TransferFailed,
    our_number,
    status_of,
    tell_of_leg,
    xml,
)
from vantum.telephony.signatures import Signatures, public_base, value

#: The tool by which the model asks for it, as it stands in the history.
TOOL: Final = "transfer"
#: How a call to a colleague ends that he has taken, in Twilio's words, and how one that he has not.
_REACHED: Final = ("completed", "answered")
_NOT_REACHED: Final = {
    "busy": "the line was busy",
    "no-answer": "nobody answered",
    "canceled": "they hung up before anybody answered",
}
#: A session whose stream was taken away ends at once; Twilio waits 15 s for what is to follow.
_SETTLED_S: Final = 5.0

_log = get_log("phone")


@define(eq=False)
class PutThrough:
    """All blind transfers of a process."""

    passing: Passing
    signatures: Signatures
    invitations: Invitations

    async def begin(self, live: LiveCall, name: str) -> None:
        """Have the telephone company dial a colleague and connect the call with him.

        Raises:
            TransferFailed: it did not; the call goes on with us.
        """
        passing = self.passing
        permit = await passing.permit(live, name)
        try:
            twiml = await transfer_twiml.dial(
                passing.calls.means.permits,
                permit,
                caller_id=our_number(live.record),
                ring_timeout_s=passing.settings.ring_timeout_ms // 1000,
                about=passing.about(live),
                needs_key=passing.settings.blind_needs_key,
            )
        except PermitRefused as error:
            raise TransferFailed("this number may not be called") from error
        await passing.redirect(live, name, twiml, may_return=True)

    # ------------------------------------------------------------ Twilio's requests

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        of_call = f"{CALLS_PATH}/{{call_id}}/transfer"
        return (
            Route(f"{of_call}/dialled", self.dialled, methods=["POST"]),
            Route(f"{of_call}/dialled-status", self.dialled_status, methods=["POST"]),
            Route(f"{of_call}/whisper", self.whisper, methods=["POST"]),
            Route(f"{of_call}/accept", self.accept, methods=["POST"]),
        )

    async def dialled(self, request: Request) -> Response:
        """The colleague's call is over, and the caller is still there, or has just gone."""
        form, _ = await self.signatures.form(request)
        call, live, status = call_data(form), self._live(request), value(form, "DialCallStatus")
        self._tell(live, value(form, "DialCallSid"), status)
        if (gone := status_of(form)) in FINAL:
            if live is not None and live.record.sid == call.call_sid:
                live.told(gone, duration_s=whole_seconds(value(form, "CallDuration")))
            return xml(transfer_twiml.hang_up())
        if live is None or live.comeback is None:
            if status in _REACHED and value(form, "DialBridged") != "false":
                return xml(transfer_twiml.hang_up())
            return self._unreached(call.call_sid)  # a server before this one had the call
        with trio.move_on_after(_SETTLED_S):
            await live.until(lambda: live.conductor is None)
        if live.conductor is not None or not self.passing.calls.keep_place(live):
            return self._unreached(call.call_sid)
        _log.info("call comes back", call=live.id, because=live.comeback.why)
        live.invited()
        return xml(self.invitations.connect(call, live, public_base(self.passing.twilio)))

    def _unreached(self, call_sid: str) -> Response:
        _log.warning("a call cannot come back to its agent", call=call_sid)
        settings, language = self.passing.settings, self.passing.twilio.language
        return xml(transfer_twiml.hang_up(settings.unreached_text, language))

    async def dialled_status(self, request: Request) -> Response:
        """The colleague's call was answered, or is over, whoever has hung up."""
        form, _ = await self.signatures.form(request)
        live, leg, status = self._live(request), value(form, "CallSid"), value(form, "CallStatus")
        if live is not None and (live.handed_over or leg in live.legs):
            tell_of_leg(live, value(form, "To"), form)
            is_taken = status == "in-progress" and not self.passing.settings.blind_needs_key
            if is_taken and live.handed_over and leg not in live.settled_legs:
                live.taken()
        if status in FINAL:
            self._tell(live, leg, status)
        return Response(status_code=204)

    async def whisper(self, request: Request) -> Response:
        """The colleague has answered: what he hears before he is connected."""
        await self.signatures.form(request)
        about = f"{public_base(self.passing.twilio)}{request.url.path.removesuffix('/whisper')}"
        settings, language = self.passing.settings, self.passing.twilio.language
        return xml(transfer_twiml.question(settings, language, "", f"{about}/accept"))

    async def accept(self, request: Request) -> Response:
        """The colleague has pressed a key."""
        form, _ = await self.signatures.form(request)
        live = self._live(request)
        if value(form, "Digits") != "1" or (live is not None and not live.handed_over):
            return xml(transfer_twiml.hang_up())
        if live is not None:
            live.taken()
        return xml(transfer_twiml.go_on())

    def _live(self, request: Request) -> LiveCall | None:
        return self.passing.calls.live(request.path_params["call_id"])

    def _tell(self, live: LiveCall | None, leg: str, status: str) -> None:
        """The transfer to this leg has ended so: the call with it, or it comes back. What comes
        twice, or late, is no news of a transfer after it."""
        if live is None or leg in live.settled_legs:
            return
        if leg:  # without one, somebody could not even be dialled
            live.settled_legs.add(leg)
        if not live.handed_over or live.progress.is_over:
            return
        if status not in _REACHED:
            live.not_taken(_NOT_REACHED.get(status, "it could not be put through"))
        elif self.passing.settings.blind_needs_key and live.may_return:
            live.not_taken("nobody accepted the call")
        else:
            live.told("completed")


def remember_return(past: Past, why: str, *, at_ms: int) -> None:
    """Let the agent know that the caller whom it has passed on is back, by the result of its own
    tool."""
    calls = (c for entry in reversed(past.history.entries) for c in reversed(entry.tool_calls))
    if (asked := next((c for c in calls if c.name == TOOL), None)) is not None:
        text = (
            f"Not connected after all: {why}. They are back with you and have heard an apology. Go "
            "on with the conversation, and offer another way, such as a callback."
        )
        past.history.tool_finished(asked.id, text, at_ms=at_ms)
