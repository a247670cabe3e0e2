"""The HTTP API of callbacks: what is told of them, and who takes them up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import trio
import trio.testing

from tests.telephony.office import API_TOKEN, OTHER, PROSPECT, Answer, Office, an_office
from vantum.core.events import Prospect
from vantum.telephony.callbacks import Callback
from vantum.testing.twilio import TwilioScript
from vantum.testing.twilio.script import RestFault

Clock = trio.testing.MockClock

PATH = "/v1/callbacks"
WHEN = datetime.fromisoformat("2026-03-03T10:00:00-05:00")


async def promised(office: Office, number: str = PROSPECT, **about: Any) -> Callback:
    assert office.desk.abilities is not None
    ada = Prospect("Ada", extra={"city": "Troy"})
    callbacks = office.desk.abilities.callbacks
    return await callbacks.add(number, WHEN, "an offer", prospect=ada, **about)


async def change(office: Office, callback: Callback, **body: Any) -> Answer:
    return await office.api("PATCH", f"{PATH}/{callback.id}", json=body)


async def test_what_is_told(autojump_clock: Clock) -> None:
    async with an_office() as office:
        made = await promised(office, call_id="w0-1", campaign_id="spring")
        one = await office.api("GET", f"{PATH}/{made.id}")
        assert one.body == {
            "id": made.id,
            "number": PROSPECT,
            "at": WHEN.timestamp(),
            "wanted": "2026-03-03T10:00:00-05:00",
            "note": "an offer",
            "prospect": {"name": "Ada", "extra": {"city": "Troy"}},
            "callId": "w0-1",
            "campaignId": "spring",
            "script": None,
            "state": "waiting",
            "takenBy": None,
            "takenUntil": None,
            "madeCallId": None,
            "createdAt": made.created_s,
        }
        assert (await office.api("GET", PATH)).body == {"callbacks": [one.body], "next": None}


async def test_some_of_them_page_by_page(autojump_clock: Clock) -> None:
    async with an_office() as office:
        mine = await promised(office, OTHER, campaign_id="spring")
        others = [await promised(office) for _ in range(3)]
        await change(office, others[2], state="taken", by="me")

        async def ids(query: str) -> tuple[list[str], str | None]:
            body = (await office.api("GET", f"{PATH}?{query}")).body
            return [each["id"] for each in body["callbacks"]], body["next"]

        # Those of the same time by their ids, the older first.
        all_ids = [callback.id for callback in (mine, *others)]
        assert await ids("limit=3") == (all_ids[:3], all_ids[2])
        assert await ids(f"limit=3&after={all_ids[2]}") == (all_ids[3:], None)
        assert await ids("state=waiting") == (all_ids[:3], None)
        assert await ids("number=%2B12125550143") == (all_ids[:1], None)
        assert await ids("campaignId=spring") == (all_ids[:1], None)
        assert await ids("takenBy=me") == (all_ids[3:], None)
        assert await ids(f"dueBy={WHEN.timestamp() - 1}") == ([], None)
        assert await ids(f"dueBy={WHEN.timestamp()}&limit=4") == (all_ids, all_ids[3])
        assert await ids(f"after={all_ids[3]}") == ([], None)


@pytest.mark.parametrize(
    "query", ["limit=0", "state=gone", "dueBy=noon", "dueBy=nan", "dueBy=inf", "page=2"]
)
async def test_a_query_that_is_none(autojump_clock: Clock, query: str) -> None:
    async with an_office() as office:
        answer = await office.api("GET", f"{PATH}?{query}")
        assert (answer.status, answer.code) == (400, "wrong_query")


async def test_it_is_taken_up_once_and_given_back(autojump_clock: Clock) -> None:
    async with an_office() as office:
        made = await promised(office)
        for _ in range(2):  # the answer may have been lost
            taken = await change(office, made, state="taken", by="me")
            assert taken.status == 200
            assert (taken.body["state"], taken.body["takenBy"]) == ("taken", "me")
        other = await change(office, made, state="taken", by="another")
        assert (other.status, other.code) == (409, "callback_state")
        assert other.body["error"]["message"] == "the callback is taken by me"
        assert (await change(office, made, state="waiting", by="another")).status == 409
        assert (await change(office, made, state="cancelled")).status == 409
        for _ in range(2):
            back = await change(office, made, state="waiting", by="me")
            assert (back.status, back.body["state"], back.body["takenBy"]) == (200, "waiting", None)
        for _ in range(2):
            off = await change(office, made, state="cancelled")
            assert (off.status, off.body["state"]) == (200, "cancelled")
        late = await change(office, made, state="taken", by="me")
        assert (late.status, late.body["error"]["message"]) == (409, "the callback is cancelled")


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "state", "must be one of waiting, taken, cancelled"),
        ({"state": "done"}, "state", "must be one of waiting, taken, cancelled"),
        ({"state": ["taken"], "by": "me"}, "state", "must be one of"),
        ({"state": "taken"}, "by", "must be a name of at most 200 printable characters"),
        ({"state": "waiting", "by": ""}, "by", "must be a name"),
        ({"state": "taken", "by": 1}, "by", "must be a name"),
        ({"state": "taken", "by": "x" * 201}, "by", "must be a name"),
        ({"state": "taken", "by": "a\nb"}, "by", "must be a name"),
        ({"state": "taken", "by": "me", "forSeconds": 0}, "forSeconds", "must be 1 to 86400"),
        ({"state": "taken", "by": "me", "forSeconds": "9"}, "forSeconds", "must be 1 to 86400"),
        ({"state": "taken", "by": "me", "forSeconds": True}, "forSeconds", "must be 1 to 86400"),
        ({"state": "waiting", "by": "me", "forSeconds": 9}, "forSeconds", "the state taken"),
        (
            {"state": "cancelled", "why\n": "x"},
            "why?",
            "there are: state, by, forSeconds",
        ),
    ],
)
async def test_each_wrong_field_is_named(
    autojump_clock: Clock, body: Any, field: str, message: str
) -> None:
    async with an_office() as office:
        made = await promised(office)
        answer = await office.api("PATCH", f"{PATH}/{made.id}", json=body)
        assert (answer.status, answer.code) == (422, "wrong_fields")
        (wrong,) = answer.body["error"]["fields"]
        assert wrong["field"] == field
        assert message in wrong["message"]
        assert (await office.api("GET", f"{PATH}/{made.id}")).body["state"] == "waiting"


async def dial(office: Office, made: Callback, by: str = "me", **headers: str) -> Answer:
    body = {"to": PROSPECT, "callback": {"id": made.id, "by": by}}
    return await office.api("POST", "/v1/calls", json=body, **headers)


async def test_who_has_it_for_a_while_only_loses_it(autojump_clock: Clock) -> None:
    async with an_office() as office:
        made = await promised(office)
        taken = await change(office, made, state="taken", by="me", forSeconds=300)
        assert taken.body["takenUntil"] == pytest.approx(office.calls.means.now_s() + 300)
        await trio.sleep(299)
        assert (await office.api("GET", f"{PATH}?state=waiting")).body["callbacks"] == []
        await trio.sleep(1)
        (again,) = (await office.api("GET", f"{PATH}?state=waiting")).body["callbacks"]
        assert (again["takenBy"], again["takenUntil"]) == (None, None)
        assert (await change(office, made, state="taken", by="another")).status == 200
        # Who comes back too late does not dial.
        late = await dial(office, made)
        assert (late.status, late.code) == (409, "callback_state")
        assert late.body["error"]["message"] == "the callback is taken by another"
        assert office.twilio.calls == []


async def test_in_the_moment_of_dialling_it_is_his_for_good(autojump_clock: Clock) -> None:
    async with an_office() as office:
        made = await promised(office)
        assert (await dial(office, made)).code == "callback_state", "nobody has taken it up"
        await change(office, made, state="taken", by="me", forSeconds=300)
        first = await dial(office, made, Idempotency_Key="a")
        assert first.status == 201
        assert (await dial(office, made, Idempotency_Key="a")).body["id"] == first.body["id"]
        assert (await dial(office, made, Idempotency_Key="b")).status == 409
        await trio.sleep(1000)
        (now,) = (await office.api("GET", PATH)).body["callbacks"]
        assert (now["state"], now["takenUntil"]) == ("taken", None)
        assert now["madeCallId"] == first.body["id"]
        for state in ("taken", "waiting"):
            answer = await change(office, made, state=state, by="me")
            assert answer.status == 409
            assert f"and called: {first.body['id']}" in answer.body["error"]["message"]
        assert len(office.twilio.calls) == 1


async def test_what_was_certainly_not_dialled_waits_again_by_itself(autojump_clock: Clock) -> None:
    async with an_office(max_lines=1) as office:
        made = await promised(office)
        await change(office, made, state="taken", by="me", forSeconds=300)
        assert (await office.api("POST", "/v1/calls", json={"to": OTHER})).status == 201
        assert (await dial(office, made, Idempotency_Key="a")).code == "no_line"
        (now,) = (await office.api("GET", PATH)).body["callbacks"]
        assert now["madeCallId"] is None
        assert now["takenUntil"] is not None
        await trio.sleep(301)
        assert (await office.api("GET", f"{PATH}?state=waiting")).body["callbacks"]


async def test_what_may_have_been_dialled_is_not_dialled_again(autojump_clock: Clock) -> None:
    script = TwilioScript(faults=(RestFault("hang"),))
    async with an_office(script) as office:
        made = await promised(office)
        await change(office, made, state="taken", by="me", forSeconds=300)
        assert (await dial(office, made)).code == "carrier_unknown"
        await trio.sleep(1000)
        assert (await office.api("GET", f"{PATH}?state=waiting")).body["callbacks"] == []


async def test_a_client_that_goes_away_while_it_is_dialled_leaves_nothing_half_done(
    autojump_clock: Clock,
) -> None:
    """At each step: it is dialled, or it waits again."""
    for steps in (0, 1, 5, 10, 20, 40):
        async with an_office() as office:
            made = await promised(office)
            await change(office, made, state="taken", by="me", forSeconds=300)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(dial, office, made)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            await trio.sleep(400)
            (now,) = (await office.api("GET", PATH)).body["callbacks"]
            done = now["state"], len(office.twilio.calls)
            assert done in {("waiting", 0), ("taken", 1)}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("c1", "callback"),
        ({"id": "c1"}, "callback"),
        ({"id": 1, "by": "me"}, "callback.id"),
        ({"id": "c1", "by": "me", "at": 1}, "callback.at"),
    ],
)
async def test_a_callback_that_is_none_is_not_dialled(
    autojump_clock: Clock, given: Any, field: str
) -> None:
    async with an_office() as office:
        answer = await office.api("POST", "/v1/calls", json={"to": PROSPECT, "callback": given})
        assert answer.code == "wrong_fields"
        assert field in [each["field"] for each in answer.body["error"]["fields"]]
        body = {"to": PROSPECT, "callback": {"id": "gone", "by": "me"}}
        answer = await office.api("POST", "/v1/calls", json=body)
        assert (answer.status, answer.code) == (404, "no_such_callback")
        assert office.twilio.calls == []


REQUESTS = (("GET", PATH), ("GET", f"{PATH}/none"), ("PATCH", f"{PATH}/none"))


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_only_with_a_token_and_what_is_not_there(
    autojump_clock: Clock, method: str, path: str
) -> None:
    async with an_office() as office:
        body = {"state": "cancelled"} if method == "PATCH" else None
        for token in ("", "wrong"):
            answer = await office.api(method, path, token=token, json=body)
            assert (answer.status, answer.code) == (401, "not_authenticated")
        answer = await office.api(method, path, token=API_TOKEN, json=body)
        assert answer.status == (200 if path == PATH else 404)
        if path != PATH:
            assert answer.code == "no_such_callback"
        assert (await office.api("GET", f"{PATH}?after=none")).code == "no_such_callback"
