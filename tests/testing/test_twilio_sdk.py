"""The official package against the simulated Twilio, on sockets: its REST API, errors and pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import httpx
import pytest
import trio
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.patience import HANG_S, until
from vantum.testing.twilio import (
    Account,
    Busy,
    HangUp,
    NoAnswer,
    Person,
    RestFault,
    SimulatedTwilio,
    TwilioScript,
    simulated_twilio,
)

T = TypeVar("T")
SCRIPT = TwilioScript(
    account=Account(api_keys={"SK" + "1" * 32: "key-secret"}, numbers=("+15005550006",)),
    others=(Account("AC" + "b" * 32, "other-token"),),
    answers=NoAnswer(),
    personas={"+15551110000": Busy(after_s=0), "+15551110001": Person((HangUp(),), rings_s=0)},
    unreachable=("+15551119999",),
)
TWIML = "<Response><Pause length='60'/></Response>"


@asynccontextmanager
async def a_twilio(script: TwilioScript = SCRIPT) -> AsyncIterator[SimulatedTwilio]:
    with trio.fail_after(HANG_S):
        async with simulated_twilio(script) as twilio:
            yield twilio


def client_of(twilio: SimulatedTwilio, user: str = "", secret: str = "") -> Client:
    account = twilio.script.account
    client = Client(
        user or account.sid,
        secret or account.auth_token,
        account.sid,
        http_client=TwilioHttpClient(pool_connections=False, timeout=HANG_S),
    )
    client.api.base_url = twilio.base_url
    return client


async def blocking(work: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(work)


async def create(client: Client, to: str = "+15552220000", **changes: Any) -> Any:
    about = {"to": to, "from_": "+15005550006", "twiml": TWIML} | changes
    return await blocking(lambda: client.calls.create(**about))


async def refused(work: Callable[[], Any]) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as caught:
        await blocking(work)
    return caught.value


async def test_a_call_is_created_looked_up_ended_and_deleted() -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio)
        call = await create(client, timeout=20)
        assert (call.status, call.direction) == ("queued", "outbound-api")
        assert (call.to_formatted, call.price) == ("(555) 222-0000", None)
        await twilio.calls[0].until("ringing")
        fetched = await blocking(client.calls(call.sid).fetch)
        assert (fetched.status, fetched.sid) == ("ringing", call.sid)
        assert fetched.date_created is not None
        error = await refused(client.calls(call.sid).delete)
        assert (error.status, error.code) == (409, 20009)
        await blocking(lambda: client.calls(call.sid).update(status="completed"))
        await twilio.calls[0].over.wait()
        fetched = await blocking(client.calls(call.sid).fetch)
        assert (fetched.status, fetched.duration) == ("canceled", "0")
        error = await refused(lambda: client.calls(call.sid).update(status="completed"))
        assert (error.status, error.code) == (400, 21220)
        assert await blocking(client.calls(call.sid).delete)
        error = await refused(client.calls(call.sid).fetch)
        assert (error.status, error.code) == (404, 20404)
        assert call.sid in error.msg


async def test_an_api_key_is_as_good_as_the_token() -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio, "SK" + "1" * 32, "key-secret")
        await create(client)
        assert len(await blocking(client.calls.list)) == 1


@pytest.mark.parametrize(
    ("user", "secret"),
    [("", "wrong"), ("SK" + "1" * 32, "wrong"), ("AC" + "b" * 32, "other-token")],
)
async def test_who_is_not_let_in(user: str, secret: str) -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio, user, secret)
        error = await refused(client.calls("CA" + "0" * 32).fetch)
        assert (error.status, error.code, error.msg) == (
            401,
            20003,
            "Unable to fetch record: Authenticate",
        )
        assert not twilio.calls


async def test_without_credentials() -> None:
    async with a_twilio() as twilio, httpx.AsyncClient() as web:
        url = f"{twilio.base_url}/2010-04-01/Accounts/{SCRIPT.account.sid}/Calls.json"
        for headers in ({}, {"Authorization": "Basic !"}, {"Authorization": "Bearer x"}):
            answer = await web.get(url, headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {
                "code": 20003,
                "message": "Authenticate",
                "more_info": "https://www.twilio.com/docs/errors/20003",
                "status": 401,
            }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": ""}, 21201),
        ({"from_": ""}, 21213),
        ({"to": "+123"}, 21211),
        ({"to": "not-a-number"}, 21211),
        ({"from_": "alice"}, 21212),
        ({"from_": "+15005550007"}, 21210),
        ({"to": "+15551119999"}, 21214),
        ({"twiml": ""}, 21205),
        ({"twiml": "", "url": "ftp://example.com"}, 21205),
        ({"twiml": "x" * 4001}, 32018),
        ({"timeout": 601}, 21200),
        ({"status_callback": "nowhere"}, 21609),
        ({"status_callback_event": ["answered", "hooray"]}, 21626),
        ({"status_callback_event": "answered completed"}, 21626),
        ({"machine_detection": "Perhaps"}, 21200),
        ({"machine_detection": "Enable", "machine_detection_speech_threshold": 1}, 21200),
        ({"send_digits": "x"}, 21206),
        ({"send_digits": "1" * 33}, 21206),
    ],
    ids=str,
)
async def test_orders_that_twilio_would_not_take(changes: dict[str, Any], code: int) -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio)
        about = {"to": "+15552220000", "from_": "+15005550006", "twiml": TWIML} | changes
        error = await refused(lambda: client.calls.create(**about))
        assert (error.status, error.code) == (400, code)
        assert not twilio.calls


async def test_numbers_may_be_written_as_americans_do() -> None:
    async with a_twilio() as twilio:
        call = await create(client_of(twilio), "(555) 222-0000")
        assert call.to == "+15552220000"


async def test_pages_and_filters() -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio)
        sids = [(await create(client, f"+1555222000{n}")).sid for n in range(5)]
        busy = await create(client, "+15551110000")
        await twilio.calls[-1].over.wait()
        listed = await blocking(lambda: client.calls.list(page_size=2))
        assert [call.sid for call in listed] == [busy.sid, *reversed(sids)]
        pages = [r.query.get("Page") for r in twilio.requests if r.method == "GET"]
        assert pages == [None, "1", "2"]
        assert len(await blocking(lambda: client.calls.list(limit=3))) == 3
        found = await blocking(lambda: client.calls.list(to="+15552220003"))
        assert [call.sid for call in found] == [sids[3]]
        found = await blocking(lambda: client.calls.list(status="busy"))
        assert [call.sid for call in found] == [busy.sid]
        today = twilio.exchange.time_of(trio.current_time()).replace(hour=0, minute=0, second=0)
        found = await blocking(lambda: client.calls.list(start_time_after=today))
        assert len(found) == 6
        assert not await blocking(lambda: client.calls.list(start_time_before=today))
        page = await blocking(lambda: client.calls.page(page_size=4, page_number=1))
        back = await blocking(page.previous_page)
        assert next(call.sid for call in back) == busy.sid


async def test_another_accounts_calls_are_not_there() -> None:
    async with a_twilio() as twilio:
        call = await create(client_of(twilio))
        other = SCRIPT.others[0]
        theirs = Client(other.sid, other.auth_token, http_client=TwilioHttpClient(timeout=HANG_S))
        theirs.api.base_url = twilio.base_url
        assert await blocking(theirs.calls.list) == []
        assert (await refused(theirs.calls(call.sid).fetch)).code == 20404
        error = await refused(lambda: theirs.calls(call.sid).update(status="completed"))
        assert error.code == 20404
        assert not twilio.calls[0].is_over


async def test_only_a_live_call_can_be_redirected() -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio)
        call = await create(client)
        error = await refused(lambda: client.calls(call.sid).update(twiml="<Response/>"))
        assert (error.code, error.msg) == (
            21220,
            "Unable to update record: Call is not in-progress. Cannot redirect.",
        )
        answered = attrs.evolve(SCRIPT, answers=Person(rings_s=0))
        twilio.script = answered
        call = await create(client)
        await twilio.calls[-1].until("in-progress")
        await until(lambda: twilio.calls[-1].program is not None)
        await blocking(
            lambda: client.calls(call.sid).update(twiml="<Response><Hangup/></Response>")
        )
        await twilio.calls[-1].over.wait()
        assert twilio.calls[-1].ended_because == "the TwiML hangs up"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("server", 500, 20500), ("unavailable", 503, 20503), ("rate", 429, 20429)],
)
async def test_faults_that_answer(kind: Any, status: int, code: int) -> None:
    async with a_twilio() as twilio:
        client = client_of(twilio)
        twilio.faults.append(RestFault(kind))
        error = await refused(client.calls("CA" + "0" * 32).fetch)
        assert (error.status, error.code) == (status, code)
        assert await blocking(client.calls.list) == []


@pytest.mark.parametrize(("kind", "calls"), [("refuse", 0), ("drop", 1)])
async def test_faults_that_do_not(kind: Any, calls: int) -> None:
    async with a_twilio() as twilio, httpx.AsyncClient() as web:
        account = twilio.script.account
        twilio.faults.append(RestFault(kind))
        url = f"{twilio.base_url}/2010-04-01/Accounts/{account.sid}/Calls.json"
        form = {"To": "+15552220000", "From": "+15005550006", "Twiml": TWIML}
        with pytest.raises(httpx.RemoteProtocolError):
            await web.post(url, data=form, auth=(account.sid, account.auth_token))
        assert len(twilio.calls) == calls
        twilio.faults.append(RestFault("hang"))
        with trio.move_on_after(0.05) as patience:
            await web.post(url, data=form, auth=(account.sid, account.auth_token))
        assert patience.cancelled_caught
        assert len(twilio.calls) == calls


async def test_addresses_that_are_none() -> None:
    async with a_twilio() as twilio, httpx.AsyncClient(base_url=twilio.base_url) as web:
        account = twilio.script.account
        auth = (account.sid, account.auth_token)
        home = f"/2010-04-01/Accounts/{account.sid}"
        assert (await web.get("/", auth=auth)).status_code == 404
        assert (await web.get(f"{home}/Messages.json", auth=auth)).status_code == 404
        assert (await web.put(f"{home}/Calls.json", auth=auth)).json()["code"] == 20004
        assert (await web.get(f"{home}.json", auth=auth)).json()["status"] == "active"
        bad = await web.get(f"{home}/Calls.json?PageSize=none", auth=auth)
        assert (bad.status_code, bad.json()["code"]) == (400, 20006)
        bad = await web.get(f"{home}/Calls.json?StartTime=never", auth=auth)
        assert bad.json()["code"] == 20006
