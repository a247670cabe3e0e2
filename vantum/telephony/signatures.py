"""Whether a request is Twilio's: `X-Twilio-Signature`, over the address as Twilio saw it and form.

The official package checks it. Requests that an account has signed with a shared key of its own
(a public beta in 2026) are refused: only the auth token is known here. Sources: "Webhooks
Security", https://www.twilio.com/docs/usage/webhooks/webhooks-security; "Sign webhooks with shared
keys", https://www.twilio.com/docs/usage/webhooks/webhook-shared-keys.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TypeAlias
from urllib.parse import parse_qsl

from attrs import frozen
from starlette.datastructures import ImmutableMultiDict
from starlette.exceptions import HTTPException
from starlette.requests import Request

from vantum.config.telephony import TwilioSettings
from vantum.observe.logs import get_log

#: A request has about thirty short fields.
_MAX_BODY_BYTES = 65_536
_MAX_FIELDS = 200
#: Twilio says in it that it has not signed with the auth token.
_SHARED_KEY_HEADER = "X-Twilio-Webhooks-Signature-Settings"

_log = get_log("phone")

#: What Twilio has posted. The official validator knows `getlist`.
Form: TypeAlias = ImmutableMultiDict[str, str]


@frozen
class Signatures:
    """What lets Twilio's requests in."""

    settings: TwilioSettings

    async def form(self, request: Request) -> tuple[Form, str]:
        """The form and the address without its query, if Twilio has signed them; else 403."""
        body = await body_of(request, _MAX_BODY_BYTES)
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
            reason = "wrong signature"
            if request.headers.get(_SHARED_KEY_HEADER):
                reason = "signed with a shared key, and not with the account's auth token"
            _log.warning(f"request refused: {reason}", url=url)
            raise HTTPException(403, "wrong X-Twilio-Signature")
        wanted = self.settings.account_sid
        if wanted and value(form, "AccountSid") != wanted:
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
        if public := public_base(self.settings):
            return public + path
        headers = request.headers
        scheme, host = "http", headers.get("Host", "")
        if self.settings.trust_proxy:
            scheme = _first(headers.get("X-Forwarded-Proto", "")) or scheme
            host = _first(headers.get("X-Forwarded-Host", "")) or host
        return f"{scheme}://{host}{path}"


def public_base(settings: TwilioSettings) -> str:
    """Where Twilio reaches us by HTTP, without a slash at the end; empty if it is not set."""
    public = settings.public_url.rstrip("/")
    return "http" + public[2:] if public.startswith("ws") else public


def value(form: Form, name: str) -> str:
    """A field, or "" if there is none."""
    return str(form.get(name, ""))


async def body_of(request: Request, max_bytes: int) -> bytes:
    """A request's body; 413 if it is larger."""
    body = b""
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > max_bytes:
                raise HTTPException(413, f"the body is larger than {max_bytes} bytes")
    return body


def _first(listed: str) -> str:
    """Of several proxies, the one that Twilio talks to."""
    return listed.split(",")[0].strip()
