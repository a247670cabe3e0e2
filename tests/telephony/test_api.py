"""The HTTP API: who may, what is wrong, and that a client's second try does not dial twice."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

import attrs
import pytest
import trio
import trio.testing

from tests.telephony.office import (
    API_TOKEN,
    OTHER,
    PROSPECT,
    SETTINGS,
    SETUP,
    Answer,
    Office,
    an_office,
)
from vantum.config import ComplianceSettings, Secret, ServerSettings
from vantum.telephony import api, api_answers, callbacks_api
from vantum.telephony.carrier import CarrierErrorKind
from vantum.telephony.record import CallRecord
from vantum.testing.twilio import Busy, Person, RestFault, TwilioScript
from vantum.testing.twilio.script import FROM_NUMBER

Clock = trio.testing.MockClock

STAYS = TwilioScript(answers=Person(rings_s=3))
SCRIPT = '[stages.hello]\ngoals = ["say hello"]\n'


async def test_a_call_by_http(autojump_clock: Clock) -> None:
    async with an_office(STAYS) as office:
        order = {
            "to": PROSPECT,
            "prospect": {"name": "Ada", "extra": {"city": "Troy"}},
            "greeting": "Hello {{prospect.name}} of {{prospect.extra.city}}, an AI assistant here.",
            "script": SCRIPT,
            "scriptName": "hello.toml",
            "campaignId": "spring",
        }
        placed = await office.api("POST", json=order)
        assert placed.status == 201
        call_id = placed.body["id"]
        assert placed.headers["Location"] == f"/v1/calls/{call_id}"
        assert placed.body["sid"] == office.twilio.calls[0].sid
        await trio.sleep(14)
        now = (await office.api("GET", f"/v1/calls/{call_id}")).body
        assert now["status"] == "in-progress"
        assert now["outcome"] is None
        assert now["turns"][0]["said"] == "Hello Ada of Troy, an AI assistant here."
        assert (now["stage"], now["script"], now["campaignId"]) == ("hello", "hello.toml", "spring")
        assert now["prospect"] == {"name": "Ada", "extra": {"city": "Troy"}}
        over = await office.api("DELETE", f"/v1/calls/{call_id}")
        assert over.status == 200
        assert over.body["outcome"] == "talked"
        assert over.body["cost"]["total"] > 0
        assert over.body["cost"]["isEstimate"] is True
        assert (await office.api("DELETE", f"/v1/calls/{call_id}")).body == over.body
        assert (await office.api("GET", f"/v1/calls/{call_id}")).body == over.body
        assert office.is_idle()


async def test_records_newest_first_and_page_by_page(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=Busy())) as office:
        ids = [(await office.call(to=number)).id for number in (PROSPECT, OTHER, PROSPECT)]
        live = (await office.api("POST", json={"to": OTHER})).body["id"]
        first = (await office.api("GET", "/v1/calls?limit=3")).body
        assert [call["id"] for call in first["calls"]] == [live, ids[2], ids[1]]
        assert first["next"] == ids[1]
        assert "turns" not in first["calls"][0]
        rest = (await office.api("GET", f"/v1/calls?limit=3&before={first['next']}")).body
        assert [call["id"] for call in rest["calls"]] == ids[:1]
        assert rest["next"] is None
        busy = (await office.api("GET", "/v1/calls?status=busy&limit=2")).body
        assert [call["id"] for call in busy["calls"]] == [ids[2], ids[1]]
        none = (await office.api("GET", "/v1/calls?status=in-progress")).body
        assert none == {"calls": [], "next": None}
        assert (await office.api("GET", "/v1/calls?before=w0-none")).status == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=-1",
        "status=gone",
        "page=2",
        "limit=²",
        f"limit={'9' * 5000}",
        "limit=5&limit=5",
        "status=busy&limit=2&status=completed",
    ],
)
async def test_a_query_that_is_none(autojump_clock: Clock, query: str) -> None:
    async with an_office() as office:
        answer = await office.api("GET", f"/v1/calls?{query}")
        assert (answer.status, answer.code) == (400, "wrong_query")


async def test_what_a_model_wrote_can_be_sent_whatever_it_is(autojump_clock: Clock) -> None:
    """Half of a surrogate pair is a character to JSON, and to nobody else."""
    async with an_office() as office:
        record = CallRecord("w0-1", "inbound", PROSPECT, OTHER, 0.0, facts={"likes": "\ud83d"})
        await office.calls.means.records.save(record, 0.0)
        one = await office.api("GET", "/v1/calls/w0-1")
        assert (one.status, one.body["facts"]) == (200, {"likes": "\ud83d"})
        page = await office.api("GET", "/v1/calls")
        assert (page.status, page.body["calls"][0]["facts"]) == (200, {"likes": "\ud83d"})


# ---------------------------------------------------------------- who may

REQUESTS = [
    ("POST", "/v1/calls"),
    ("GET", "/v1/calls"),
    ("GET", "/v1/calls/w0-1"),
    ("DELETE", "/v1/calls/w0-1"),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_only_with_a_token(autojump_clock: Clock, method: str, path: str) -> None:
    async with an_office() as office:
        for token in ("", "wrong", API_TOKEN + "x", "another, " + API_TOKEN):
            answer = await office.api(method, path, token=token)
            assert (answer.status, answer.code) == (401, "not_authenticated")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert API_TOKEN not in str(answer.body)
        basic = await office.api(method, path, token="", Authorization=f"Basic {API_TOKEN}")
        assert basic.status == 401
        assert (await office.api(method, path, token="another")).status in (200, 400, 404)
    server = ServerSettings(api_tokens=Secret(" , "))
    off = attrs.evolve(SETUP, settings=attrs.evolve(SETTINGS, server=server))
    async with an_office(setup=off) as office:
        answer = await office.api(method, path, token="")
        assert (answer.status, answer.code) == (403, "api_off")
        assert "API_TOKENS" in answer.body["error"]["message"]


async def test_a_refused_permit_says_why_and_when(autojump_clock: Clock) -> None:
    strict = attrs.evolve(
        SETTINGS,
        compliance=ComplianceSettings(
            countries="US", consent_required=False, hours="mon-fri 17:00-20:00"
        ),
    )
    async with an_office(setup=attrs.evolve(SETUP, settings=strict)) as office:
        answer = await office.api("POST", json={"to": PROSPECT})
        assert (answer.status, answer.code) == (403, "refused")
        (reason,) = answer.body["error"]["reasons"]
        assert reason["code"] == "outside_hours"
        # It is noon: five hours later.
        begin_s = office.calls.means.now_s() + 5 * 3600
        assert answer.body["error"]["retryAt"] == pytest.approx(begin_s, abs=1)
        assert reason["retryAt"] == answer.body["error"]["retryAt"]
        wrong = await office.api("POST", json={"to": "1234"})
        assert wrong.body["error"]["reasons"][0]["code"] == "not_a_number"
        assert wrong.body["error"]["retryAt"] is None
        assert not office.twilio.requests


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '"x"', "null", "\x00", "[" * 100_000, '{"to": "+1", "to": "+2"}']
)
async def test_a_body_that_is_no_object(autojump_clock: Clock, content: str) -> None:
    async with an_office() as office:
        answer = await office.api("POST", content=content)
        assert (answer.status, answer.code) == (400, "not_json")


@pytest.mark.parametrize(
    ("order", "field", "message"),
    [
        ({}, "to", "is missing"),
        ({"to": ""}, "to", "is missing"),
        ({"to": 1}, "to", "must be text"),
        ({"to": "1" * 50}, "to", "at most 40"),
        ({"to": PROSPECT, "greetin": "x"}, "greetin", "there are: to, from, greeting"),
        ({"to": PROSPECT, "greeting": ["x"]}, "greeting", "must be text"),
        ({"to": PROSPECT, "prospect": "Ada"}, "prospect", "must be an object"),
        ({"to": PROSPECT, "prospect": {"nmae": "Ada"}}, "prospect.nmae", "there are: name"),
        ({"to": PROSPECT, "prospect": {"name": 1}}, "prospect.name", "must be text"),
        ({"to": PROSPECT, "prospect": {"extra": 1}}, "prospect.extra", "must be an object"),
        ({"to": PROSPECT, "prospect": {"extra": {"A b": "x"}}}, "prospect.extra.A b", "its name"),
        ({"to": PROSPECT, "prospect": {"extra": {"a": 1}}}, "prospect.extra.a", "must be text"),
        (
            {"to": PROSPECT, "prospect": {"extra": {f"a{n}": "x" for n in range(40)}}},
            "prospect.extra",
            "at most 30",
        ),
        ({"to": PROSPECT, "from": "nobody"}, "from", "one of the account's numbers"),
        ({"to": PROSPECT, "campaignId": "a\ud800"}, "campaignId", "holds U+D800"),
        ({"to": PROSPECT, "greeting": "An AI\x00"}, "greeting", "holds U+0000"),
        ({"to": PROSPECT, "prospect": {"name": "\udfff"}}, "prospect.name", "holds U+DFFF"),
        ({"to": PROSPECT, "prospect": {"extra": {"a": "\x1b[1m"}}}, "prospect.extra.a", "U+001B"),
        ({"to": PROSPECT, "script": "no = toml ["}, "script", "is not TOML"),
        ({"to": PROSPECT, "script": "[stages.A]"}, "script", "stage 'A'"),
    ],
)
async def test_each_wrong_field_is_named(
    autojump_clock: Clock, order: dict[str, Any], field: str, message: str
) -> None:
    async with an_office() as office:
        answer = await office.api("POST", content=json.dumps(order))
        assert (answer.status, answer.code) == (422, "wrong_fields")
        (wrong,) = answer.body["error"]["fields"]
        assert wrong["field"] == field
        assert message in wrong["message"]
        assert not office.twilio.requests


async def test_our_number_may_be_written_for_people(autojump_clock: Clock) -> None:
    async with an_office() as office:
        written = {"to": PROSPECT, "from": "+1 (500) 555-0006", "prospect": {"name": "Ada\tB."}}
        placed = await office.api("POST", json=written)
        assert (placed.status, placed.body["from"]) == (201, FROM_NUMBER)
        assert placed.body["prospect"] == {"name": "Ada\tB."}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("PUT", "/v1/calls", 405, "wrong_method"),
        ("POST", "/v1/calls/w0-1", 405, "wrong_method"),
        ("GET", "/v1/calls/w0-1/turns", 404, "no_such_path"),
    ],
)
async def test_what_is_not_there(
    autojump_clock: Clock, method: str, path: str, status: int, code: str
) -> None:
    async with an_office() as office:
        answer = await office.api(method, path)
        assert (answer.status, answer.code) == (status, code)
        assert ("Allow" in answer.headers) == (status == 405)


async def test_a_greeting_with_an_unknown_variable(autojump_clock: Clock) -> None:
    async with an_office() as office:
        answer = await office.api("POST", json={"to": PROSPECT, "greeting": "An AI: {{x}}"})
        assert (answer.status, answer.code) == (422, "wrong_order")


async def test_no_such_call(autojump_clock: Clock) -> None:
    async with an_office() as office:
        for method in ("GET", "DELETE"):
            answer = await office.api(method, "/v1/calls/w0-none")
            assert (answer.status, answer.code) == (404, "no_such_call")
            answer = await office.api(method, f"/v1/calls/w0-%00{'x' * 900}")
            assert (answer.status, answer.code) == (404, "no_such_call")
            assert answer.body["error"]["message"] == f"there is no call w0-?{'x' * 56}"


@pytest.mark.parametrize(
    ("script", "changes", "status", "code"),
    [
        (TwilioScript(unreachable=(PROSPECT,)), {}, 422, "carrier_invalid_number"),
        (TwilioScript(faults=(RestFault("rate"),) * 9), {}, 429, "carrier_rate_limit"),
        (TwilioScript(faults=(RestFault("server"),)), {}, 503, "carrier_unknown"),
        (None, {"api_key": "SK1", "api_secret": Secret("no")}, 503, "carrier_auth"),
        (None, {"public_url": ""}, 503, "not_configured"),
    ],
)
async def test_what_twilio_refuses(
    autojump_clock: Clock, script: Any, changes: dict[str, Any], status: int, code: str
) -> None:
    async with an_office(script, **changes) as office:
        answer = await office.api("POST", json={"to": PROSPECT})
        assert (answer.status, answer.code) == (status, code)
        assert ("Retry-After" in answer.headers) == (status == 429)


async def test_all_lines_are_taken(autojump_clock: Clock) -> None:
    async with an_office(STAYS, max_lines=1) as office:
        first = (await office.api("POST", json={"to": PROSPECT})).body["id"]
        answer = await office.api("POST", json={"to": OTHER})
        assert (answer.status, answer.code) == (503, "no_line")
        assert answer.headers["Retry-After"] == "5"
        await office.calls.hang_up(first)


async def test_a_bug_of_ours_is_not_explained(autojump_clock: Clock) -> None:
    async with an_office() as office:
        office.calls.means = None  # type: ignore[assignment]
        answer = await office.api("GET", "/v1/calls")
        assert answer.status == 500
        assert answer.body == {"error": {"code": "internal_error", "message": "internal error"}}


async def test_another_processes_call_is_not_ours_to_end(autojump_clock: Clock) -> None:
    async with an_office(STAYS) as office:
        call_id = (await office.api("POST", json={"to": PROSPECT})).body["id"]
        live = office.calls.live(call_id)
        assert live is not None
        office.calls.leave(live)
        answer = await office.api("DELETE", f"/v1/calls/{call_id}")
        assert (answer.status, answer.code) == (409, "not_ours")
        office.calls.enter(live)
        await office.calls.hang_up(call_id)


# ---------------------------------------------------------------- once


async def once(office: Office, key: str, to: str = PROSPECT, token: str = API_TOKEN) -> Answer:
    return await office.api("POST", json={"to": to}, token=token, Idempotency_Key=key)


async def test_a_second_request_with_the_same_key_dials_nothing(autojump_clock: Clock) -> None:
    async with an_office(STAYS) as office:
        first = await once(office, "k-1")
        second = await once(office, "k-1")
        assert (first.status, second.status) == (201, 200)
        assert second.body["id"] == first.body["id"]
        assert second.headers["Idempotent-Replayed"] == "true"
        assert len(office.twilio.calls) == 1
        other = await once(office, "k-1", to=OTHER)
        assert (other.status, other.code) == (409, "key_reused")
        assert (await once(office, "k-2", to=OTHER)).status == 201
        # Another client's key is another one.
        assert (await once(office, "k-1", to="+12125550144", token="another")).status == 201
        assert len(office.twilio.calls) == 3


async def test_two_at_once_with_the_same_key(autojump_clock: Clock) -> None:
    script = attrs.evolve(STAYS, faults=(RestFault("rate"),))
    async with an_office(script) as office:
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await once(office, "k"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert sorted(answer.status for answer in answers) in ([200, 201], [201, 409])
        assert len(office.twilio.calls) == 1


async def test_what_dialled_nothing_may_be_tried_again_with_its_key(autojump_clock: Clock) -> None:
    async with an_office(STAYS, max_lines=1) as office:
        first = (await once(office, "a")).body["id"]
        assert (await once(office, "b", to=OTHER)).code == "no_line"
        await office.calls.hang_up(first)
        assert (await once(office, "b", to=OTHER)).status == 201


async def test_what_may_have_dialled_is_not_tried_again(autojump_clock: Clock) -> None:
    async with an_office(attrs.evolve(STAYS, faults=(RestFault("server"),))) as office:
        assert (await once(office, "k")).code == "carrier_unknown"
        again = await once(office, "k")
        assert again.status == 200
        assert again.body["outcome"] == "failed"
        assert office.twilio.calls == []


async def test_a_key_is_forgotten_after_a_day(autojump_clock: Clock) -> None:
    async with an_office(TwilioScript(answers=Busy())) as office:
        first = await once(office, "k")
        await trio.sleep(86_000)
        assert (await once(office, "k")).body["id"] == first.body["id"]
        await trio.sleep(500)
        assert (await once(office, "k")).status == 201


@pytest.mark.parametrize("key", ["x" * 201, "a\tb"])
async def test_a_key_that_is_none(autojump_clock: Clock, key: str) -> None:
    async with an_office() as office:
        answer = await once(office, key)
        assert (answer.status, answer.code) == (400, "wrong_header")


def test_every_error_is_in_the_reference() -> None:
    files = (api, api_answers, callbacks_api)
    source = "".join(inspect.getsource(file) for file in files)
    codes = set(re.findall(r'ApiError\(\s*\d+,\s*"([a-z_]+)"', source))
    codes |= {f"carrier_{kind}" for kind in get_args(CarrierErrorKind)}
    codes |= set(re.findall(r'ApiError\(error.status_code, "([a-z_]+)"', source))
    page = (Path(__file__).parents[2] / "docs/reference/http-api.md").read_text()
    assert len(codes) > 20
    assert {code for code in codes if f"`{code}`" not in page} == set()
