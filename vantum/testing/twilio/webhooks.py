"""The simulated Twilio's own HTTP requests: signed, and with what may happen to them on the way.

Sources: "Twilio's request to your application", https://www.twilio.com/docs/voice/twiml; "Call
resource", https://www.twilio.com/docs/voice/api/call-resource; "Webhooks Security",
https://www.twilio.com/docs/usage/webhooks/webhooks-security; errors 11200, 11205, 11750 and 12300
of https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode, urljoin, urlsplit

import h11
import trio
from attrs import define, field, frozen

from vantum.errors import ConfigError
from vantum.testing.http_wire import HttpAnswer, ask
from vantum.testing.twilio.script import Account, Callbacks

if TYPE_CHECKING:
    from vantum.testing.twilio.call import PhoneCall

#: Opens a connection: host, port, with TLS?
OpenStream: TypeAlias = Callable[[str, int, bool], Awaitable[trio.abc.Stream]]

#: What a document may be served as.
_XML_TYPES: Final = ("text/xml", "application/xml", "text/html")
_MAX_TWIML_BYTES: Final = 64 * 1024


class WebhookFailed(Exception):
    """Nothing came of a request. `code`: Twilio's number for it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@frozen
class SentWebhook:
    """A request that was sent, and its answer's status (0: none came)."""

    at_s: float
    url: str
    method: str
    fields: Mapping[str, str] = field(hash=False)
    status: int


async def open_tcp(host: str, port: int, tls: bool) -> trio.abc.Stream:
    """The usual way to a server."""
    stream = await trio.open_tcp_stream(host, port)
    if not tls:
        return stream
    context = ssl.create_default_context()
    return trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)


def compute_signature(auth_token: str, url: str, fields: Mapping[str, str]) -> str:
    """By the official package. ConfigError if it is not installed."""
    try:
        from twilio.request_validator import RequestValidator
    except ImportError:
        raise ConfigError(
            "the simulated Twilio signs with a package that is not installed: "
            'pip install "vantum[phone]"'
        ) from None
    return str(RequestValidator(auth_token).compute_signature(url, fields))


@define(eq=False)
class Webhooks:
    """Sends requests. `sent` is what went out, in order."""

    open_stream: OpenStream
    callbacks: Callbacks
    timeout_s: float
    nursery: trio.Nursery
    rng: random.Random
    sent: list[SentWebhook] = field(factory=list)

    async def ask(
        self, account: Account, url: str, method: str, fields: Mapping[str, str]
    ) -> HttpAnswer:
        """Send a request and wait for its answer, whatever it is.

        Raises:
            WebhookFailed: none came.
        """
        signed_fields: Mapping[str, str] = fields
        if method == "GET":
            url += ("&" if urlsplit(url).query else "?") + urlencode(fields)
            signed_fields = {}
        signature = compute_signature(account.auth_token, url, signed_fields)
        headers = {
            "Host": urlsplit(url).netloc,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
            "X-Twilio-Signature": signature,
            "I-Twilio-Idempotency-Token": f"{self.rng.getrandbits(128):032x}",
        }
        body = b""
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            body = urlencode(fields).encode()
        status, at_s = 0, trio.current_time()
        try:
            answer = await self._send(url, method, headers, body)
            status = answer.status
        finally:
            self.sent.append(SentWebhook(at_s, url, method, dict(fields), status))
        return answer

    async def _send(
        self, url: str, method: str, headers: Mapping[str, str], body: bytes
    ) -> HttpAnswer:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WebhookFailed(11100, f"Invalid URL format: {url!r}")
        tls = parts.scheme == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with trio.fail_after(self.timeout_s):
                port = parts.port or (443 if tls else 80)
                async with await self.open_stream(parts.hostname, port, tls) as stream:
                    return await ask(stream, method, target, headers, body)
        except trio.TooSlowError:
            message = f"no answer of {url} within {self.timeout_s:g} s"
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            message = f"no connection with {url}: {error}"
        except h11.RemoteProtocolError as error:
            message = f"{url} does not speak HTTP: {error}"
        raise WebhookFailed(11205, f"HTTP connection failure: {message}")

    async def fetch_twiml(
        self, account: Account, url: str, method: str, fields: Mapping[str, str]
    ) -> bytes:
        """The document that a URL gives.

        Raises:
            WebhookFailed: it gives none.
        """
        answer = await self.ask(account, url, method, fields)
        if answer.status >= 400:
            raise WebhookFailed(
                11200, f"HTTP retrieval failure: {url} answered with status {answer.status}"
            )
        if answer.status >= 300 and "location" in answer.headers:
            return await self.fetch_twiml(
                account, urljoin(url, answer.headers["location"]), "GET", fields
            )
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.body and kind not in _XML_TYPES:
            raise WebhookFailed(12300, f"Invalid Content-Type: {url} gave {kind or 'none'}")
        if len(answer.body) > _MAX_TWIML_BYTES:
            raise WebhookFailed(11750, f"TwiML response body too large: {url}")
        return answer.body or b"<Response/>"

    # ------------------------------------------------------------ callbacks

    def tell(
        self,
        account: Account,
        call: PhoneCall,
        url: str,
        method: str,
        fields: Mapping[str, str],
    ) -> None:
        """Send a status callback in the background, unless it gets lost."""
        if not url:
            return
        rng, trouble = self.rng, self.callbacks
        lost, doubled, late = (rng.random() for _ in range(3))
        late_s = rng.random() * trouble.late_s
        if lost < trouble.lost:
            return
        after_s = late_s if late < trouble.reordered else None
        self.nursery.start_soon(self._tell, account, call, url, method, fields, after_s)
        if doubled < trouble.doubled:
            again_s = rng.random() * trouble.late_s
            self.nursery.start_soon(self._tell, account, call, url, method, fields, again_s)

    async def _tell(
        self,
        account: Account,
        call: PhoneCall,
        url: str,
        method: str,
        fields: Mapping[str, str],
        after_s: float | None,
    ) -> None:
        try:
            if after_s is not None:
                await trio.sleep(after_s)
                answer = await self.ask(account, url, method, fields)
            else:
                async with call.telling:
                    answer = await self.ask(account, url, method, fields)
        except WebhookFailed as error:
            call.problem(15003, f"Call Progress: {error}")
            return
        if answer.status >= 400:
            call.problem(15003, f"Call Progress: {url} answered with status {answer.status}")
