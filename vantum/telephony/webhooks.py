"""Twilio's HTTP requests: a call comes in, and what becomes of it.

Each must be signed by Twilio (`X-Twilio-Signature`), over the address as Twilio saw it and the
form; the official package checks it. Sources: "Webhooks Security",
https://www.twilio.com/docs/usage/webhooks/webhooks-security; "TwiML Voice: <Stream>",
https://www.twilio.com/docs/voice/twiml/stream; "<Reject>",
https://www.twilio.com/docs/voice/twiml/reject.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import parse_qsl

from attrs import frozen
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vantum.config.telephony import TwilioSettings
from vantum.observe.logs import get_log
from vantum.telephony.tokens import CallData, StreamTokens

if TYPE_CHECKING:
    from vantum.server import Server

VOICE_PATH = "/twilio/voice"
STATUS_PATH = "/twilio/status"
STREAM_PATH = "/twilio/stream"

#: A request has about thirty short fields.
_MAX_BODY_BYTES = 65_536
_MAX_FIELDS = 200
#: Name and value of a `<Parameter>` may have 500 characters together.
_MAX_PARAMETER_CHARS = 450

_log = get_log("phone")

#: What Twilio has posted. The official validator knows `getlist`.
Form: TypeAlias = ImmutableMultiDict[str, str]


@frozen
class Webhooks:
    """What answers Twilio's requests."""

    settings: TwilioSettings
    tokens: StreamTokens

    @property
    def routes(self) -> tuple[BaseRoute, ...]:
        """For the server's HTTP side."""
        return (
            Route(VOICE_PATH, self.voice, methods=["POST"]),
            Route(STATUS_PATH, self.status, methods=["POST"]),
            Route(STREAM_PATH, _websocket_only),
        )

    async def voice(self, request: Request) -> Response:
        """A call comes in: TwiML that connects it with a stream, or turns it away."""
        form, seen_url = await self._signed(request)
        call = CallData(
            _field(form, "CallSid"),
            _field(form, "AccountSid"),
            _field(form, "From")[:_MAX_PARAMETER_CHARS],
            _field(form, "To")[:_MAX_PARAMETER_CHARS],
        )
        if not call.call_sid or not call.account_sid:
            raise HTTPException(400, "CallSid and AccountSid are missing")
        if self.tokens.was_opened(call.call_sid):
            _log.warning("call refused", call=call.call_sid, reason="the call has had its stream")
            raise HTTPException(403, "this call has had its stream")
        server = cast("Server", request.app.state.server)
        if server.is_full:
            _log.warning("call turned away", call=call.call_sid, active=len(server.sessions))
            return _xml(self._busy())
        _log.info("call coming in", call=call.call_sid)
        return _xml(self._connect(call, seen_url.removesuffix(VOICE_PATH)))

    async def status(self, request: Request) -> Response:
        """Something became of a call or of a stream: it is written into the log."""
        form, _ = await self._signed(request)
        about = {
            "call": _field(form, "CallSid"),
            "status": _field(form, "CallStatus"),
            "seconds": _field(form, "CallDuration"),
            "stream": _field(form, "StreamEvent"),
            "error": _field(form, "StreamError"),
        }
        _log.info("call status", **{name: value for name, value in about.items() if value})
        return Response(status_code=204)

    # ------------------------------------------------------------ TwiML

    def _connect(self, call: CallData, base_url: str) -> str:
        from twilio.twiml.voice_response import Connect, VoiceResponse

        connect = Connect()
        stream = connect.stream(
            url=f"ws{base_url.removeprefix('http')}{STREAM_PATH}",
            status_callback=f"{base_url}{STATUS_PATH}",
        )
        stream.parameter(name="token", value=self.tokens.issue(call))
        stream.parameter(name="from", value=call.caller)
        stream.parameter(name="to", value=call.called)
        response = VoiceResponse()
        response.append(connect)
        return str(response)

    def _busy(self) -> str:
        from twilio.twiml.voice_response import VoiceResponse

        response = VoiceResponse()
        if self.settings.busy == "reject":
            response.reject(reason="busy")
        else:
            response.say(self.settings.busy_text, language=self.settings.language)
            response.hangup()
        return str(response)

    # ------------------------------------------------------------ signatures

    async def _signed(self, request: Request) -> tuple[Form, str]:
        """The form and the address without its query, if Twilio has signed them; else 403."""
        body = await _body(request)
        try:
            pairs = parse_qsl(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS
            )
        except ValueError:
            raise HTTPException(400, "the body is no form") from None
        form, url = Form(pairs), self._seen_url(request)
        signed_url = f"{url}?{request.url.query}" if request.url.query else url
        if not self._is_signed(signed_url, form, request.headers.get("X-Twilio-Signature", "")):
            # The address is what is wrong most often, and no secret.
            _log.warning("request refused: wrong signature", url=url)
            raise HTTPException(403, "wrong X-Twilio-Signature")
        wanted = self.settings.account_sid
        if wanted and _field(form, "AccountSid") != wanted:
            _log.warning("request refused: another account's")
            raise HTTPException(403, "not of this account")
        return form, url

    def _is_signed(self, url: str, form: Form, signature: str) -> bool:
        from twilio.request_validator import RequestValidator

        validator = RequestValidator(self.settings.auth_token.reveal())
        try:
            return bool(validator.validate(url, form, signature))
        except ValueError:  # the host's port is no number
            return False

    def _seen_url(self, request: Request) -> str:
        """The address as Twilio saw it, without its query."""
        path: str = request.scope["raw_path"].decode("latin-1")
        if public := self.settings.public_url.rstrip("/"):
            return ("http" + public[2:] if public.startswith("ws") else public) + path
        headers = request.headers
        scheme, host = "http", headers.get("Host", "")
        if self.settings.trust_proxy:
            scheme = _first(headers.get("X-Forwarded-Proto", "")) or scheme
            host = _first(headers.get("X-Forwarded-Host", "")) or host
        return f"{scheme}://{host}{path}"


def _first(value: str) -> str:
    """Of several proxies, the one that Twilio talks to."""
    return value.split(",")[0].strip()


def _field(form: Form, name: str) -> str:
    return str(form.get(name, ""))


def _xml(text: str) -> Response:
    return Response(text, media_type="application/xml")


async def _body(request: Request) -> bytes:
    body = b""
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > _MAX_BODY_BYTES:
                raise HTTPException(413, f"the body is larger than {_MAX_BODY_BYTES} bytes")
    return body


async def _websocket_only(request: Request) -> Response:
    return Response(
        "This address speaks Twilio's Media Streams over WebSocket\n",
        status_code=426,
        headers={"Upgrade": "websocket"},
        media_type="text/plain",
    )
