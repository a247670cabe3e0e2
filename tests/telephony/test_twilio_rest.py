"""Twilio's REST API: what its errors mean, what is sent again, and what never is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import attrs
import httpx2
import pytest
import trio
import trio.testing

from tests.patience import HANG_S
from tests.proxy import set_proxies, small_proxy
from vantum.compliance.permit import DialPermit, seal_of
from vantum.config import Secret, TwilioSettings
from vantum.telephony import twilio_rest
from vantum.telephony.carrier import CarrierError, Dial, Placed
from vantum.telephony.twilio_rest import TwilioCarrier, error_of, open_twilio

Clock = trio.testing.MockClock

TWILIO = TwilioSettings(
    account_sid="AC1", auth_token=Secret("the-token"), base_url="https://api.test/"
)
ABOUT = ("p-1", "+12125550142", "prospect", "An AI here.", 0.0, 60.0)
PERMIT = DialPermit(
    permit_id="p-1",
    number="+12125550142",
    purpose="prospect",
    opening="An AI here.",
    issued_s=0.0,
    expires_s=60.0,
    seal=seal_of(*ABOUT),
)
DIAL = Dial(
    "+15005550006",
    url="https://server.test/voice",
    status_url="https://server.test/status",
    machine_detection="message_end",
    amd_url="https://server.test/amd",
    ring_timeout_s=25,
    time_limit_s=600,
)
CREATED = httpx2.Response(201, json={"sid": "CA1", "account_sid": "AC1"})
UPDATED = httpx2.Response(200, json={"sid": "CA1", "account_sid": "AC1"})

#: An answer, an error, or a wait (in seconds) for one that does not come.
Step = httpx2.Response | Exception | float


def error(status: int, code: int | None = None, **headers: str) -> httpx2.Response:
    body = {"status": status, "message": "To +12125550142 is bad"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(
        status, json=body if code is None else body | {"code": code}, headers=named
    )


@attrs.define
class Line:
    """Answers requests in turn, and keeps them with their times."""

    steps: Sequence[Step]
    requests: list[httpx2.Request] = attrs.field(factory=list)
    times: list[float] = attrs.field(factory=list)

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.times.append(trio.current_time())
        match self.steps[len(self.requests) - 1]:
            case httpx2.Response() as response:
                return response
            case Exception() as failure:
                raise failure
            case seconds:
                await trio.sleep(seconds)
        raise httpx2.ReadTimeout("none came")

    def form(self, index: int = 0) -> dict[str, Any]:
        return dict(parse_qsl(self.requests[index].content.decode()))


async def ask(
    line: Line, work: Callable[[TwilioCarrier], Any], settings: TwilioSettings = TWILIO
) -> Any:
    async with open_twilio(settings, httpx2.MockTransport(line.answer)) as carrier:
        return await work(carrier)


def create(carrier: TwilioCarrier) -> Any:
    return carrier.create_call(PERMIT, DIAL)


def end(carrier: TwilioCarrier) -> Any:
    return carrier.end_call("CA1")


async def test_a_call_is_made_by_one_request(autojump_clock: Clock) -> None:
    line = Line([CREATED])
    assert await ask(line, create) == Placed("CA1")
    (request,) = line.requests
    assert str(request.url) == "https://api.test/2010-04-01/Accounts/AC1/Calls.json"
    assert request.headers["Authorization"] == httpx2.BasicAuth("AC1", "the-token")._auth_header
    pairs = parse_qsl(request.content.decode())
    assert [v for k, v in pairs if k == "StatusCallbackEvent"] == [
        "initiated",
        "ringing",
        "answered",
        "completed",
    ]
    form = line.form()
    del form["StatusCallbackEvent"]
    assert form == {
        "To": "+12125550142",
        "From": "+15005550006",
        "Url": "https://server.test/voice",
        "Method": "POST",
        "StatusCallback": "https://server.test/status",
        "Timeout": "25",
        "TimeLimit": "600",
        "MachineDetection": "DetectMessageEnd",
        "MachineDetectionTimeout": "59",
        "AsyncAmd": "true",
        "AsyncAmdStatusCallback": "https://server.test/amd",
    }


async def test_an_api_key_stands_for_the_auth_token(autojump_clock: Clock) -> None:
    settings = attrs.evolve(
        TWILIO, api_key="SK1", api_secret=Secret("hush"), base_url="ws://a.test"
    )
    line = Line([CREATED])
    await ask(line, create, settings)
    (request,) = line.requests
    assert str(request.url) == "http://a.test/2010-04-01/Accounts/AC1/Calls.json"
    assert request.headers["Authorization"] == httpx2.BasicAuth("SK1", "hush")._auth_header


async def test_who_answered_is_asked_for_with_the_usual_patience(autojump_clock: Clock) -> None:
    line = Line([CREATED])
    dial = attrs.evolve(DIAL, machine_detection="start")
    await ask(line, lambda carrier: carrier.create_call(PERMIT, dial))
    assert line.form()["MachineDetection"] == "Enable"
    assert "MachineDetectionTimeout" not in line.form()


@pytest.mark.parametrize(
    ("queue_time", "queue_s"),
    [("0", 0.0), ("1500", 1.5), (1500, 1.5), (None, 0.0), ("", 0.0), ("-1", 0.0), ("9" * 10, 0.0)],
)
async def test_how_long_a_call_is_expected_to_be_queued(
    autojump_clock: Clock, queue_time: object, queue_s: float
) -> None:
    body = {"sid": "CA1", "account_sid": "AC1", "queue_time": queue_time}
    line = Line([httpx2.Response(201, json=body)])
    assert await ask(line, create) == Placed("CA1", queue_s)


async def test_twiml_may_stand_for_an_address(autojump_clock: Clock) -> None:
    line = Line([CREATED])
    dial = Dial("+15005550006", twiml="<Response/>")
    await ask(line, lambda carrier: carrier.create_call(PERMIT, dial))
    assert line.form() == {
        "To": "+12125550142",
        "From": "+15005550006",
        "Twiml": "<Response/>",
        "Timeout": "30",
        "TimeLimit": "3600",
    }


async def redirect(carrier: TwilioCarrier) -> None:
    await carrier.redirect("CA1", "<Response/>", lambda: False)


async def test_a_live_call_gets_other_twiml(autojump_clock: Clock) -> None:
    line = Line([UPDATED])
    await ask(line, redirect)
    assert line.requests[0].url.path == "/2010-04-01/Accounts/AC1/Calls/CA1.json"
    assert line.form() == {"Twiml": "<Response/>"}


# ---------------------------------------------------------------- once, and again

BROKEN = httpx2.RemoteProtocolError("gone")


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (BROKEN, "unknown"),
        (httpx2.ReadError("gone"), "unknown"),
        (httpx2.WriteError("gone"), "unknown"),
        (60.0, "unknown"),
        (error(500), "unknown"),
        (error(503, 20503), "unknown"),
        (httpx2.Response(201, text="not JSON"), "unknown"),
        (httpx2.Response(201, json=[]), "unknown"),
        (error(400, 21211), "invalid_number"),
        (error(401, 20003), "auth"),
    ],
)
async def test_what_may_have_dialled_is_not_sent_again(
    autojump_clock: Clock, step: Step, kind: str
) -> None:
    line = Line([step, CREATED])
    with pytest.raises(CarrierError) as failed:
        await ask(line, create)
    assert failed.value.kind == kind
    assert not failed.value.retryable
    assert len(line.requests) == 1
    assert trio.current_time() <= 10.1


@pytest.mark.parametrize(
    "step",
    [
        httpx2.ConnectError("refused"),
        httpx2.ConnectTimeout("late"),
        httpx2.PoolTimeout("full"),
        error(429, 20429),
        error(429),
        error(400, 10004),
    ],
)
async def test_what_has_surely_not_dialled_is_sent_again(autojump_clock: Clock, step: Step) -> None:
    line = Line([step, step, CREATED])
    assert await ask(line, create) == Placed("CA1")
    assert line.times == pytest.approx([0, 0.5, 1.5])


async def test_twilio_says_when_to_come_back(autojump_clock: Clock) -> None:
    line = Line([error(429, 20429, Retry_After="3"), CREATED])
    await ask(line, create)
    assert line.times == [0, 3]


async def test_it_is_not_tried_for_ever(autojump_clock: Clock) -> None:
    line = Line([error(429, 20429)] * 20)
    with pytest.raises(CarrierError) as failed:
        await ask(line, create)
    assert (failed.value.kind, failed.value.retryable) == ("rate_limit", True)
    assert len(line.requests) == 5
    assert trio.current_time() <= 10


@pytest.mark.parametrize("step", [BROKEN, error(500), error(429), httpx2.ConnectError("no")])
async def test_ending_may_be_asked_for_twice(autojump_clock: Clock, step: Step) -> None:
    line = Line([step, UPDATED])
    await ask(line, end)
    assert [line.form(n) for n in range(2)] == [{"Status": "completed"}] * 2


@pytest.mark.parametrize("step", [error(400, 21220), error(404, 20404)])
async def test_what_is_over_is_ended(autojump_clock: Clock, step: Step) -> None:
    line = Line([step])
    await ask(line, end)
    assert len(line.requests) == 1


async def test_what_cannot_be_ended_is_said(autojump_clock: Clock) -> None:
    with pytest.raises(CarrierError) as failed:
        await ask(Line([60.0]), end)
    assert failed.value.kind == "timeout"
    with pytest.raises(CarrierError) as failed:
        await ask(Line([error(401, 20003)]), end)
    assert failed.value.kind == "auth"
    with pytest.raises(CarrierError) as failed:  # only ending is done when nothing is there
        await ask(Line([error(404, 20404)]), redirect)
    assert failed.value.kind == "not_found"


async def test_requests_wait_for_their_turn(autojump_clock: Clock) -> None:
    line = Line([5.0] * 10 + [CREATED])
    async with (
        open_twilio(TWILIO, httpx2.MockTransport(line.answer)) as carrier,
        trio.open_nursery() as nursery,
    ):

        async def lost() -> None:
            with pytest.raises(CarrierError):
                await create(carrier)

        for _ in range(10):
            nursery.start_soon(lost)
        await trio.testing.wait_all_tasks_blocked()
        assert await create(carrier) == Placed("CA1")
    assert line.times == [0] * 10 + [5]


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 21211, "invalid_number"),
        (400, 21214, "invalid_number"),
        (400, 21217, "invalid_number"),
        (400, 21210, "invalid_request"),
        (400, 21212, "invalid_request"),
        (400, 21205, "invalid_request"),
        (400, 21215, "permission"),
        (400, 21219, "permission"),
        (401, 20003, "auth"),
        (403, 20006, "permission"),
        (403, 20005, "funds"),
        (429, 20429, "rate_limit"),
        (404, 20404, "not_found"),
        (400, 99999, "invalid_request"),
        (402, None, "funds"),
        (403, None, "permission"),
        (401, None, "auth"),
        (500, None, "server"),
        (503, 20503, "server"),
        (418, None, "invalid_request"),
    ],
)
def test_what_errors_mean(status: int, code: int | None, kind: str) -> None:
    answer = error(status, code)
    found = error_of(status, answer.text, answer.headers)
    assert (found.kind, found.code) == (kind, code)
    assert "+1212" not in str(found)
    if code == 99999:
        assert "https://www.twilio.com/docs/api/errors/99999" in str(found)


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"code": "x"}', '{"code": null}'])
def test_an_error_that_is_not_twilios(body: str) -> None:
    found = error_of(502, body, {"Retry-After": "Mon, 02 Mar 2026"})
    assert (found.kind, found.code, found.retry_after_s) == ("server", None, None)
    assert str(found) == "twilio: HTTP 502"


# ---------------------------------------------------------------- through a proxy


async def created(base_url: str) -> CarrierError:
    """Why a call could not be made."""
    settings = attrs.evolve(TWILIO, base_url=base_url, rest_timeout_ms=60_000)
    with pytest.raises(CarrierError) as caught, trio.fail_after(HANG_S):
        async with open_twilio(settings) as carrier:
            await create(carrier)
    return caught.value


async def test_a_proxy_that_does_not_let_it_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_rest, "_RETRIES", ())
    async with small_proxy() as proxy:
        proxy.wants = b"Basic other"
        set_proxies(monkeypatch, https=f"http://me:geheim@127.0.0.1:{proxy.port}")
        error = await created("https://api.test")
    assert error.kind == "network"  # and not "unknown": there is no call
    assert error.message == "the proxy does not connect to api.test (407)"
    (head,) = proxy.heads
    assert head.startswith(b"CONNECT api.test:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6Z2VoZWlt\r\n" in head


async def test_the_machine_itself_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_proxy() as proxy, small_proxy() as another:
        set_proxies(monkeypatch, all=f"http://127.0.0.1:{proxy.port}")
        error = await created(f"http://127.0.0.1:{another.port}")
    assert error.message == "HTTP 405"
    assert not proxy.heads
    assert another.heads
