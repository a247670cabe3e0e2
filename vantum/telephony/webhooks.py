"""Twilio's HTTP requests: what becomes of a call, and what Twilio tells of it.

Each must be signed by Twilio (`signatures`). What belongs to a call that we placed carries our id
of it in its path. Sources: "TwiML Voice: <Stream>", https://www.twilio.com/docs/voice/twiml/stream;
"<Reject>", https://www.twilio.com/docs/voice/twiml/reject; "Call Resource" (status callbacks),
https://www.twilio.com/docs/voice/api/call-resource; "Answering Machine Detection",
https://www.twilio.com/docs/voice/answering-machine-detection.
"""

from __future__ import annotations

from attrs import field, frozen
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vantum.config.telephony import TwilioSettings
from vantum.core.call_status import STATUSES
from vantum.observe.logs import get_log
from vantum.telephony.calls import Calls
from vantum.telephony.invitations import STREAM_PATH, Invitations, call_data
from vantum.telephony.lifecycle import CALLS_PATH
from vantum.telephony.live import LiveCall
from vantum.telephony.news import StatusNews, whole_seconds
from vantum.telephony.signatures import Form, Signatures, value

VOICE_PATH = "/twilio/voice"
STATUS_PATH = "/twilio/status"

_log = get_log("phone")


@frozen
class Webhooks:
    """What answers Twilio's requests."""

    settings: TwilioSettings
    invitations: Invitations
    calls: Calls
    signatures: Signatures = field(init=False)

    @signatures.default
    def _new_signatures(self) -> Signatures:
        return Signatures(self.settings)

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        of_call = f"{CALLS_PATH}/{{call_id}}"
        return (
            Route(VOICE_PATH, self.voice, methods=["POST"]),
            Route(STATUS_PATH, self.status, methods=["POST"]),
            Route(f"{of_call}/voice", self.answered, methods=["POST"]),
            Route(f"{of_call}/status", self.call_status, methods=["POST"]),
            Route(f"{of_call}/amd", self.detected, methods=["POST"]),
            Route(f"{of_call}/stream-status", self.stream_status, methods=["POST"]),
            Route(STREAM_PATH, _websocket_only),
            Route(self.invitations.stream_path, _websocket_only),
        )

    async def voice(self, request: Request) -> Response:
        """A call comes in: TwiML that connects it with a stream, or turns it away."""
        form, seen_url = await self.signatures.form(request)
        call = call_data(form)
        was_here = self.invitations.tokens.was_opened(call.call_sid)
        if was_here or await self.calls.had_session(call.call_sid):
            _log.info("the call comes again", call=call.call_sid)
            return _xml(self._closing())
        live = await self.calls.take(call.call_sid, call.caller, call.called)
        if live is None:
            _log.warning("call turned away", call=call.call_sid, lines=self.calls.lines.taken)
            return _xml(self._busy())
        _log.info("call coming in", call=call.call_sid)
        return _xml(self.invitations.connect(call, live, seen_url.removesuffix(VOICE_PATH)))

    async def answered(self, request: Request) -> Response:
        """A call that we placed was answered: TwiML that connects it with a stream, unless it is
        not wanted any more."""
        form, seen_url = await self.signatures.form(request)
        call, live = call_data(form), self._live(request, form)
        if live is None or live.is_ending or self.invitations.tokens.was_opened(call.call_sid):
            _log.info("an answered call is not wanted any more", call=call.call_sid)
            return _xml(self._closing())
        live.told("in-progress")
        return _xml(self.invitations.connect(call, live, seen_url.removesuffix(request.url.path)))

    async def call_status(self, request: Request) -> Response:
        """Something became of a call that we placed."""
        form, _ = await self.signatures.form(request)
        live, news = self._live(request, form), _news_of(form)
        self._log_status(form)
        if live is not None and news is not None:
            self.calls.heed(news)
        return Response(status_code=204)

    async def detected(self, request: Request) -> Response:
        """Machine detection has found out what answered."""
        form, _ = await self.signatures.form(request)
        live, answered_by = self._live(request, form), value(form, "AnsweredBy")
        _log.info("answered by", call=value(form, "CallSid"), what=answered_by)
        if live is not None:
            live.judged(answered_by)
        return Response(status_code=204)

    async def stream_status(self, request: Request) -> Response:
        """Something became of a call's stream."""
        form, _ = await self.signatures.form(request)
        self._log_status(form)
        return Response(status_code=204)

    async def status(self, request: Request) -> Response:
        """Something became of an inbound call, as its number is set up to tell. Its address is the
        same for all calls, so of several workers any is asked; if the call is not its own, it tells
        the others."""
        form, _ = await self.signatures.form(request)
        self._log_status(form)
        if value(form, "StreamEvent") or (news := _news_of(form)) is None:
            return Response(status_code=204)
        if not self.calls.heed(news) and self.calls.elsewhere is not None:
            await self.calls.elsewhere.tell(news.packed())
        return Response(status_code=204)

    def _live(self, request: Request, form: Form) -> LiveCall | None:
        """The call that a request is about, if it is live and Twilio means the same one."""
        live = self.calls.live(request.path_params["call_id"])
        if live is not None and not live.named(value(form, "CallSid")):
            _log.warning("a callback is of another call than its address", id=live.id)
            return None
        return live

    def _log_status(self, form: Form) -> None:
        about = {
            "call": value(form, "CallSid"),
            "status": value(form, "CallStatus"),
            "seconds": value(form, "CallDuration"),
            "sip": value(form, "SipResponseCode"),
            "stream": value(form, "StreamEvent"),
            "error": value(form, "StreamError") or value(form, "ErrorCode"),
        }
        _log.info("call status", **{name: text for name, text in about.items() if text})

    # ------------------------------------------------------------ TwiML

    def _busy(self) -> str:
        if self.settings.busy == "say":
            return self._said(self.settings.busy_text)
        from twilio.twiml.voice_response import VoiceResponse

        response = VoiceResponse()
        response.reject(reason="busy")
        return str(response)

    def _closing(self) -> str:
        """For a call that has had its stream, or is not live."""
        return self._said(self.settings.closing_text)

    def _said(self, text: str) -> str:
        """The text, if any, and the end."""
        from twilio.twiml.voice_response import VoiceResponse

        response = VoiceResponse()
        if text:
            response.say(text, language=self.settings.language)
        response.hangup()
        return str(response)


def _news_of(form: Form) -> StatusNews | None:
    """Where a call stands; None: it does not say."""
    status = next((s for s in STATUSES if s == value(form, "CallStatus")), None)
    if status is None:
        return None
    sip = value(form, "SipResponseCode")
    return StatusNews(
        value(form, "CallSid"),
        status,
        whole_seconds(value(form, "CallDuration")),
        f"SIP {sip[:3]}" if sip and status != "completed" else "",
    )


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml")


async def _websocket_only(request: Request) -> Response:
    return Response(
        "This address speaks Twilio's Media Streams over WebSocket\n",
        status_code=426,
        headers={"Upgrade": "websocket"},
        media_type="text/plain",
    )
