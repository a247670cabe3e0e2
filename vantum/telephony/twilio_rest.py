"""Twilio's REST API: the official package's own async calls, over an HTTP client of ours on trio.

The package makes the requests and reads the answers; what it asks of its HTTP client is one method.
Ours sends with httpx2, so nothing blocks, no thread is needed, and tests run it in virtual time
(`transport`).

A request that ends a call may be sent again whenever it fails: twice is as good as once. One that
redirects it may, as long as nothing shows that it was carried out: what the call does by then would
be broken off, a colleague's telephone that rings. One that makes a call may not, because Twilio
knows no key by which it would see that the second is the first. So it is sent again only if it
certainly was not carried out: no connection came about, or Twilio said 429. When its answer is
lost, or is a 5xx, the error's kind is `unknown`; whether there is a call, its callbacks tell, which
carry our own id (`live`).

Sources: "Call Resource", https://www.twilio.com/docs/voice/api/call-resource; "Error and Warning
Dictionary", https://www.twilio.com/docs/api/errors; "REST API Best Practices" (429 and back-off),
https://www.twilio.com/docs/usage/rest-api-best-practices.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio
from attrs import define, field, frozen

from vantum.compliance.permit import DialPermit
from vantum.config.telephony import TwilioSettings
from vantum.core.backoff import Schedule
from vantum.proxies import http_client_options
from vantum.telephony.carrier import CarrierError, CarrierErrorKind, Dial, MachineDetection, Placed

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")

#: Requests under way at once. Twilio takes one new call a second and queues the rest itself.
_MAX_REQUESTS: Final = 10
#: Waits before further attempts, within the deadline of them all.
_RETRIES: Final = Schedule((0.5, 1.0, 2.0, 4.0))
#: Twilio's own words for what is already over; then there is nothing left to end.
_NOT_IN_PROGRESS: Final = 21220
_DETECTION: Final[dict[MachineDetection, str]] = {
    "start": "Enable",
    "message_end": "DetectMessageEnd",
}
#: Seconds from the answer until a machine's greeting must have ended: the most that Twilio allows.
#: After its usual 30 a longer greeting counts as ended, and the message would be spoken into it;
#: businesses have longer ones ("AMD FAQ & Best Practices"). Nobody waits for it.
_GREETING_S: Final = 59
_EVENTS: Final = ["initiated", "ringing", "answered", "completed"]

#: Codes of Twilio's dictionary: what they are to us, and what to tell.
_CODES: Final[dict[int, tuple[CarrierErrorKind, str]]] = {
    10001: ("funds", "the account is not active (suspended, or out of funds)"),
    10002: ("permission", "a trial account may not do this"),
    10004: ("rate_limit", "the account has as many calls as it may have at once"),
    13223: ("invalid_number", "the number called is no phone number"),
    13224: ("invalid_number", "the number called cannot be reached"),
    20003: ("auth", "the account SID and the auth token or API key do not go together"),
    20005: ("funds", "the account is not active (suspended, or out of funds)"),
    20006: ("permission", "the credentials may not do this"),
    20404: ("not_found", "there is no such call, or no such account"),
    20429: ("rate_limit", "too many requests"),
    21201: ("invalid_number", "no number to call was given"),
    21205: ("invalid_request", "Twilio cannot use the address of our webhook (TWILIO_PUBLIC_URL)"),
    21210: ("invalid_request", "the number that calls is none of the account's (from_number)"),
    21211: ("invalid_number", "the number called is no phone number"),
    21212: ("invalid_request", "the number that calls is no phone number (from_number)"),
    21213: ("invalid_request", "no number to call from was given (from_number)"),
    21214: ("invalid_number", "the number called cannot be reached"),
    21215: ("permission", "the account may not call this country (Voice Geographic Permissions)"),
    21216: (
        "permission",
        "Twilio blocks calls to this number (fraud, regulation), or the account has no approved "
        "Primary Customer Profile, which calls to +1 need",
    ),
    21217: ("invalid_number", "the number called is no phone number"),
    21219: ("permission", "a trial account calls verified numbers only"),
    21220: ("invalid_request", "the call is not in progress"),
    573005: ("permission", "a trial account calls verified numbers only"),
}
_STATUSES: Final[dict[int, CarrierErrorKind]] = {
    401: "auth",
    402: "funds",
    403: "permission",
    404: "not_found",
    429: "rate_limit",
}


def error_of(status: int, body: str, headers: Mapping[str, str]) -> CarrierError:
    """An answer that is none, in our terms. Twilio's own sentence may hold a number: it is left
    out."""
    try:
        code = int(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        code = None
    kind, text = _CODES.get(code or 0, ("", ""))
    if not text:
        kind = _STATUSES.get(status, "server" if status >= 500 else "invalid_request")
        text = f"HTTP {status}"
        if code is not None and code != status:
            text += f", error {code} (https://www.twilio.com/docs/api/errors/{code})"
    wait = headers.get("Retry-After", "")
    retry_after_s = float(wait) if wait.isascii() and wait.isdigit() else None
    return CarrierError(kind, text, code=code, retry_after_s=retry_after_s)  # type: ignore[arg-type]


@frozen
class _Answer:
    """What the package reads of an HTTP answer."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    @property
    def content(self) -> str:
        return self.text


@define
class TrioHttp:
    """The HTTP client that the official package asks for: `is_async` and `request`.

    Raises `CarrierError` where the answer is an error, or there is none; `unknown` if the request
    may have been carried out all the same.
    """

    client: httpx2.AsyncClient
    is_async: bool = True

    async def request(
        self,
        method: str,
        uri: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> _Answer:
        """One request. `timeout` is not used: deadlines are the caller's scopes."""
        import httpx2

        try:
            answer = await self.client.request(
                method,
                uri,
                params=dict(params) if params else None,
                data=dict(data) if data else None,
                headers=dict(headers or {}),
                auth=auth,
                follow_redirects=allow_redirects,
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            what = f"no connection to {httpx2.URL(uri).host} ({type(error).__name__})"
            raise CarrierError("network", what) from error
        except httpx2.ProxyError as error:  # before the request itself
            status = str(error)[:3]  # what follows are the proxy's words
            what = f"the proxy does not connect to {httpx2.URL(uri).host} ({status})"
            raise CarrierError("network", what) from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            what = f"the answer was lost ({type(error).__name__})"
            raise CarrierError("unknown", what) from error
        if answer.status_code >= 400:
            raise error_of(answer.status_code, answer.text, answer.headers)
        return _Answer(answer.status_code, answer.text, answer.headers)


@define(eq=False)
class TwilioCarrier:
    """A `Carrier`. `open_twilio` makes one.

    `calls` is the official package's list of calls.
    """

    calls: Any
    timeout_s: float
    _limiter: trio.CapacityLimiter = field(init=False)

    @_limiter.default
    def _new_limiter(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(_MAX_REQUESTS)

    async def create_call(self, permit: DialPermit, dial: Dial) -> Placed:
        """See `Carrier`."""
        about: dict[str, Any] = {
            "to": permit.number,
            "from_": dial.from_number,
            "timeout": dial.ring_timeout_s,
            "time_limit": dial.time_limit_s,
        }
        if dial.twiml:
            about["twiml"] = dial.twiml
        else:
            about |= {"url": dial.url, "method": "POST"}
        if dial.status_url:
            about |= {"status_callback": dial.status_url, "status_callback_event": _EVENTS}
        if dial.machine_detection != "off":
            about |= {
                "machine_detection": _DETECTION[dial.machine_detection],
                "async_amd": "true",
                "async_amd_status_callback": dial.amd_url,
            }
        if dial.machine_detection == "message_end":
            about["machine_detection_timeout"] = _GREETING_S

        async def create() -> Placed:
            try:
                call = await self.calls.create_async(**about)
                return Placed(str(call.sid), _queue_s(call.queue_time))
            except CarrierError as error:
                raise _doubtful(error) from error

        return await self._within(create, once=True)

    async def end_call(self, call_sid: str) -> None:
        """See `Carrier`."""

        async def end() -> None:
            try:
                await self.calls(call_sid).update_async(status="completed")
            except CarrierError as error:
                if error.code != _NOT_IN_PROGRESS and error.kind != "not_found":
                    raise

        await self._within(end)

    async def redirect(self, call_sid: str, twiml: str, is_done: Callable[[], bool]) -> None:
        """See `Carrier`."""

        async def update() -> None:
            await self.calls(call_sid).update_async(twiml=twiml)

        await self._within(update, is_done=is_done)

    async def _within(
        self,
        work: Callable[[], Awaitable[T]],
        *,
        once: bool = False,
        is_done: Callable[[], bool] = lambda: False,
    ) -> T:
        """Do it within the deadline, again where that can help. `once`: not if it may be done;
        `is_done`: not if it is.

        Raises:
            CarrierError: it did not come about; `unknown` or `timeout` when there was no answer.
        """
        failure: CarrierError | None = CarrierError("timeout", "too many requests under way")
        with trio.move_on_after(self.timeout_s):
            for wait_s in (*_RETRIES, None):
                async with self._limiter:
                    failure = None  # from here on nobody knows what becomes of it
                    try:
                        return await _understood(work)
                    except CarrierError as error:
                        failure = error
                again = failure.retryable or (failure.kind == "unknown" and not once)
                if wait_s is None or not again:
                    break
                await trio.sleep(max(wait_s, failure.retry_after_s or 0.0))
                if is_done():
                    break
        if failure is None:
            failure = CarrierError(
                "unknown" if once else "timeout", f"no answer within {self.timeout_s:g} s"
            )
        raise failure


async def _understood(work: Callable[[], Awaitable[T]]) -> T:
    """What the package makes of an answer that is none of Twilio's is an error of ours too."""
    from twilio.base.exceptions import TwilioException

    try:
        return await work()
    except (TwilioException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CarrierError(
            "unknown", f"the answer cannot be read ({type(error).__name__})"
        ) from error


def _queue_s(queue_time_ms: object) -> float:
    """Twilio's estimate, which it gives as text; 0 if it gives none."""
    text = str(queue_time_ms)
    return int(text) / 1000 if text.isascii() and text.isdigit() and len(text) <= 9 else 0.0


def _doubtful(error: CarrierError) -> CarrierError:
    """An answer of 5xx does not say that there is no call."""
    if error.kind != "server":
        return error
    return CarrierError("unknown", error.message, code=error.code)


@asynccontextmanager
async def open_twilio(
    settings: TwilioSettings, transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[TwilioCarrier]:
    """Twilio's REST API by these settings; connections are closed at the end.

    Args:
        settings: with an account SID, and an auth token or an API key.
        transport: what requests go through instead of the network.

    Raises:
        ConfigError: the environment names something that is no HTTP proxy.
    """
    import httpx2
    from twilio.rest import Client

    base_url = _http(settings.base_url)
    timeout_s = settings.rest_timeout_ms / 1000
    key, secret = settings.api_key, settings.api_secret.reveal()
    async with httpx2.AsyncClient(
        **http_client_options(base_url, transport),
        timeout=httpx2.Timeout(None, connect=timeout_s / 2),
        limits=httpx2.Limits(max_connections=_MAX_REQUESTS),
    ) as http:
        client = Client(
            key or settings.account_sid,
            secret if key else settings.auth_token.reveal(),
            account_sid=settings.account_sid,
            http_client=TrioHttp(http),
            environment={"none": ""},  # ours is read once, by the settings
        )
        client.api.base_url = base_url
        yield TwilioCarrier(client.calls, timeout_s)


def _http(url: str) -> str:
    """The setting allows ws:// as well."""
    url = url.rstrip("/")
    return "http" + url[2:] if url.startswith("ws") else url
