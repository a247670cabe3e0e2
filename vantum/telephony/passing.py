"""What blind and warm transfers have in common: a permit to call a colleague, and new TwiML for the
caller's call, with which our part of it is over.

Source: "Modify Calls in Progress",
https://www.twilio.com/docs/voice/tutorials/how-to-modify-calls-in-progress.
"""

from __future__ import annotations

from attrs import frozen
from starlette.responses import Response

from vantum.compliance.permit import DialPermit, DialRequest, Refusal
from vantum.config.telephony import TwilioSettings
from vantum.config.transfer import TransferSettings
from vantum.core.call_status import STATUSES, CallStatus
from vantum.errors import VantumError
from vantum.observe.logs import get_log
from vantum.telephony.calls import Calls
from vantum.telephony.carrier import CarrierError
from vantum.telephony.lifecycle import CALLS_PATH
from vantum.telephony.live import LiveCall
from vantum.telephony.news import whole_seconds
from vantum.telephony.record import CallRecord
from vantum.telephony.signatures import Form, public_base, value

_log = get_log("phone")


class TransferFailed(VantumError):
    """The caller could not be put through; one safe line."""


@frozen
class Passing:
    """How the calls of a process are passed on."""

    twilio: TwilioSettings
    settings: TransferSettings
    calls: Calls

    async def permit(self, live: LiveCall, name: str) -> DialPermit:
        """To call a colleague for the sake of this call. Raises `TransferFailed`."""
        request = DialRequest(
            number=self.settings.destinations[name],
            opening="",
            purpose="colleague",
            from_number=our_number(live.record),
            call_id=live.id,
        )
        answer = await self.calls.means.permits.permit(request)
        if isinstance(answer, Refusal):
            _log.warning("a transfer was refused", call=live.id, to=name, reason=answer.text)
            raise TransferFailed("this number may not be called")
        return answer

    async def redirect(
        self, live: LiveCall, name: str, twiml: str, *, may_return: bool = False
    ) -> None:
        """Have the telephone company do this with the caller from now on.

        Raises:
            TransferFailed: it did not; the call goes on with us.
        """
        carrier = self.calls.means.carrier
        assert carrier is not None  # `Transfers.is_possible`
        live.hand_over(f"transferred to {name}", may_return=may_return)
        try:
            await carrier.redirect(live.record.sid, twiml, lambda: live.stream_is_taken)
        except CarrierError as error:
            if (error.retryable or error.kind == "unknown") and live.stream_is_taken:
                # It was done, and the answer was lost: who goes on now cuts them off.
                _log.warning("that a call is transferred was not told", call=live.id, to=name)
                return
            live.keep()
            _log.warning("a call could not be transferred", call=live.id, error=str(error))
            raise TransferFailed("the telephone company did not put them through") from error
        _log.info("call transferred", call=live.id, to=name)

    def about(self, live: LiveCall) -> str:
        """Where Twilio tells us of a call's transfers."""
        return f"{public_base(self.twilio)}{CALLS_PATH}/{live.id}/transfer"


def tell_of_leg(live: LiveCall, number: str, form: Form) -> None:
    """How far the call to a colleague has come: it costs, too."""
    if (status := status_of(form)) is not None:
        seconds = whole_seconds(value(form, "CallDuration"))
        live.told_of_leg(value(form, "CallSid"), number, status, duration_s=seconds)


def status_of(form: Form) -> CallStatus | None:
    """Where the call that a request is about stands; None: it does not say."""
    return next((s for s in STATUSES if s == value(form, "CallStatus")), None)


def our_number(record: CallRecord) -> str:
    """Our own number in a call."""
    return record.from_number if record.direction == "outbound" else record.to_number


def xml(text: str) -> Response:
    """TwiML, as an answer to Twilio."""
    return Response(text, media_type="application/xml")
