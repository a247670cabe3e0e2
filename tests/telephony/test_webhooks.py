"""Twilio's HTTP requests: who is let in, and what a caller gets."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Literal

import attrs
import pytest
import trio.testing
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import ImmutableMultiDict
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator

from tests.twilio_stream import PUBLIC_URL, TOKEN, TWILIO, an_exchange, stream_of
from vantum.config import ServerSettings, Settings
from vantum.core.call_status import STATUSES, CallStatus
from vantum.telephony.news import StatusNews, parse_news, whole_seconds
from vantum.telephony.record import CallRecord
from vantum.testing.calls import CallSetup

Clock = trio.testing.MockClock


async def test_a_call_is_connected_with_a_stream(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form = exchange.form()
        answer = await exchange.post(form)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/xml")
        url, parameters = stream_of(answer.text)
        assert url == "wss://voice.example.com/twilio/stream/w0"
        assert set(parameters) == {"token", "call", "from", "to"}
        assert parameters["from"] == form["From"]
        assert all(len(n) + len(v) < 500 for n, v in parameters.items())
        assert exchange.sim.wires.opened == 0  # nothing of a provider yet


async def test_what_is_told_of_a_stream_comes_to_the_worker_that_has_the_call(
    autojump_clock: Clock,
) -> None:
    async with an_exchange() as exchange:
        form = exchange.form()
        answer = await exchange.post(form)
        _, parameters = stream_of(answer.text)
        assert parameters["call"].startswith("w0-")
        path = f"/twilio/calls/{parameters['call']}/stream-status"
        assert f'statusCallback="{PUBLIC_URL}{path}"' in answer.text
        told = form | {"StreamEvent": "stream-error", "StreamError": "cut"}
        assert (await exchange.post(told, path=path)).status_code == 204
        assert (await exchange.post(told, path=path, signature="forged")).status_code == 403


@pytest.mark.parametrize(
    "signature",
    ["", "forged", "bm90IGl0", RequestValidator("other").compute_signature(PUBLIC_URL, {})],
)
async def test_a_wrong_signature_is_refused(autojump_clock: Clock, signature: str) -> None:
    async with an_exchange() as exchange:
        for path in ("/twilio/voice", "/twilio/status"):
            answer = await exchange.post(exchange.form(), path=path, signature=signature)
            assert answer.status_code == 403
            assert TOKEN not in answer.text
            assert "Stream" not in answer.text


async def test_the_log_says_if_another_key_has_signed(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form, url = exchange.form(), PUBLIC_URL + "/twilio/voice"
        shared = RequestValidator("a-shared-key").compute_signature(url, form, "HMAC_SHA256")
        settings = "key=webhooks_sharedkey_01,algorithm=HMAC_SHA256"
        with capture_logs() as logs:
            answer = await exchange.post(
                form, signature=shared, X_Twilio_Webhooks_Signature_Settings=settings
            )
            assert answer.status_code == 403
            assert (await exchange.post(form, signature=shared)).status_code == 403
        assert [log["event"] for log in logs if "refused" in log["event"]] == [
            "request refused: signed with a shared key, and not with the account's auth token",
            "request refused: wrong signature",
        ]


async def test_a_signature_is_good_for_its_own_form_and_address(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form = exchange.form()
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + "/twilio/voice", form)
        changed = await exchange.post(form | {"From": "+15550666"}, signature=signature)
        assert changed.status_code == 403
        more = await exchange.post(form | {"Extra": "1"}, signature=signature)
        assert more.status_code == 403
        elsewhere = await exchange.post(form, path="/twilio/status", signature=signature)
        assert elsewhere.status_code == 403
        query = await exchange.post(form, path="/twilio/voice?a=1", signature=signature)
        assert query.status_code == 403


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/voice?campaign=7&x=%20y"])
async def test_the_query_is_signed_too(autojump_clock: Clock, path: str) -> None:
    async with an_exchange() as exchange:
        assert (await exchange.post(exchange.form(), path=path)).status_code == 200


async def test_the_default_port_may_stand_in_the_signed_address(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        url = "https://voice.example.com:443/twilio/voice"
        assert (await exchange.post(exchange.form(), signed_url=url)).status_code == 200


async def test_fields_that_come_twice_or_empty_are_signed_as_they_are(
    autojump_clock: Clock,
) -> None:
    async with an_exchange() as exchange:
        fields = list(exchange.form(CallerName="", Odd="ä & = +").items())
        form = ImmutableMultiDict([*fields, ("Odd", "second"), ("Odd", "first")])
        assert (await exchange.post(form)).status_code == 200


async def test_another_accounts_call_is_refused(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        answer = await exchange.post(exchange.form(AccountSid="AC" + "b" * 32))
        assert answer.status_code == 403
    async with an_exchange(twilio=attrs.evolve(TWILIO, account_sid="")) as exchange:
        answer = await exchange.post(exchange.form(AccountSid="AC" + "b" * 32))
        assert answer.status_code == 200


@pytest.mark.parametrize("missing", ["CallSid", "AccountSid"])
async def test_a_request_without_a_call_is_none(autojump_clock: Clock, missing: str) -> None:
    async with an_exchange(twilio=attrs.evolve(TWILIO, account_sid="")) as exchange:
        assert (await exchange.post(exchange.form(**{missing: ""}))).status_code == 400


@pytest.mark.parametrize("closing", ["", "Thank you, goodbye."])
async def test_a_call_that_comes_back_after_its_stream_is_ended(
    autojump_clock: Clock, closing: str
) -> None:
    twilio = attrs.evolve(TWILIO, closing_text=closing)
    async with an_exchange(twilio=twilio) as exchange:
        form, parameters = await exchange.ring()
        again = await exchange.post(form)  # Twilio asks again if an answer got lost
        assert again.status_code == 200
        assert len(exchange.calls.all_live) == 1
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.start()
        await trio.testing.wait_all_tasks_blocked()
        back = await exchange.post(form)
        assert back.status_code == 200
        tags = [element.tag for element in ET.fromstring(back.text)]
        assert tags == (["Say", "Hangup"] if closing else ["Hangup"])
        assert closing in back.text


async def test_a_call_that_another_process_has_had_is_ended(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        records, form = exchange.calls.means.records, exchange.form()
        elsewhere = CallRecord("w1-1", "inbound", "+1", "+2", 0.0, sid=form["CallSid"])
        await records.save(elsewhere, 0.0)  # its stream has not come
        assert "Stream" in (await exchange.post(form)).text
        (live,) = exchange.calls.all_live
        await exchange.calls.hang_up(live.id)
        await records.save(attrs.evolve(elsewhere, session_id="s-1"), 0.0)
        assert "<Response><Hangup /></Response>" in (await exchange.post(form)).text
        await exchange.calls.means.records.database.run(
            lambda c: c.execute("DROP TABLE phone_calls")
        )
        assert "Stream" in (await exchange.post(form)).text


async def test_a_form_of_too_many_fields_is_none(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        assert (await exchange.post({str(n): "" for n in range(300)})).status_code == 400


# ---------------------------------------------------------------- where Twilio sees us


async def test_without_a_public_url_the_request_says_where_it_went(autojump_clock: Clock) -> None:
    async with an_exchange(twilio=attrs.evolve(TWILIO, public_url="")) as exchange:
        seen = "http://10.0.0.7:3001/twilio/voice"
        answer = await exchange.post(exchange.form(), signed_url=seen)
        assert stream_of(answer.text)[0] == "ws://10.0.0.7:3001/twilio/stream/w0"
        # What a proxy says is not believed.
        forwarded = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "voice.example.com"}
        answer = await exchange.post(exchange.form(), **forwarded)
        assert answer.status_code == 403
        answer = await exchange.post(exchange.form(), Host="a:b:c")
        assert answer.status_code == 403


async def test_a_trusted_proxy_says_where_it_went(autojump_clock: Clock) -> None:
    twilio = attrs.evolve(TWILIO, public_url="", trust_proxy=True)
    async with an_exchange(twilio=twilio) as exchange:
        forwarded = {"X_Forwarded_Proto": "https, http", "X_Forwarded_Host": "voice.example.com, b"}
        answer = await exchange.post(exchange.form(), **forwarded)
        assert stream_of(answer.text)[0] == "wss://voice.example.com/twilio/stream/w0"
        seen = "http://10.0.0.7:3001/twilio/voice"
        assert (await exchange.post(exchange.form(), signed_url=seen)).status_code == 200


@pytest.mark.parametrize("public", ["wss://voice.example.com/v/", "https://voice.example.com/v"])
async def test_the_public_url_may_have_a_path(autojump_clock: Clock, public: str) -> None:
    async with an_exchange(twilio=attrs.evolve(TWILIO, public_url=public)) as exchange:
        seen = "https://voice.example.com/v/twilio/voice"
        answer = await exchange.post(exchange.form(), signed_url=seen)
        assert stream_of(answer.text)[0] == "wss://voice.example.com/v/twilio/stream/w0"


# ---------------------------------------------------------------- busy, status


@pytest.mark.parametrize(
    ("busy", "twiml"),
    [
        ("reject", '<Response><Reject reason="busy" /></Response>'),
        ("say", '<Response><Say language="en-US">Sorry.</Say><Hangup /></Response>'),
    ],
)
async def test_a_full_server_turns_callers_away(
    autojump_clock: Clock, busy: Literal["say", "reject"], twiml: str
) -> None:
    twilio = attrs.evolve(TWILIO, busy=busy, busy_text="Sorry.")
    setup = CallSetup(settings=Settings(server=ServerSettings(max_sessions=1)))
    async with an_exchange(setup, twilio) as exchange:
        await exchange.call()
        opened = exchange.sim.wires.opened
        answer = await exchange.post(exchange.form())
        assert answer.status_code == 200
        assert answer.text.endswith(twiml)
        assert exchange.sim.wires.opened == opened


async def test_a_server_that_goes_down_takes_no_call(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        exchange.server.draining = True
        assert "Hangup" in (await exchange.post(exchange.form())).text


async def test_a_status_is_logged(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form = exchange.form(CallStatus="completed", CallDuration="17")
        with capture_logs() as logs:
            answer = await exchange.post(form, path="/twilio/status")
        assert answer.status_code == 204
        (line,) = [x for x in logs if x["event"] == "call status"]
        assert (line["status"], line["seconds"]) == ("completed", "17")
        assert "+1555" not in str(logs)  # nobody's number


@pytest.mark.parametrize(("status", "because"), [("failed", "SIP 487"), ("completed", "")])
async def test_the_networks_answer_is_why_a_call_failed_and_not_why_one_ended(
    autojump_clock: Clock, status: str, because: str
) -> None:
    async with an_exchange() as exchange:
        form, _ = await exchange.ring()
        (live,) = exchange.calls.all_live
        told = {"CallStatus": status, "SipResponseCode": "487" if status == "failed" else "200"}
        await exchange.post(form | told, path="/twilio/status")
        assert (await exchange.calls.wait(live.id)).ended_because == because


async def test_what_is_told_of_a_call_that_is_not_here_is_told_to_the_others(
    autojump_clock: Clock,
) -> None:
    @define
    class Others:
        told: list[bytes] = field(factory=list)

        async def tell(self, message: bytes) -> None:
            self.told.append(message)

    async with an_exchange() as exchange:
        others = Others()
        exchange.desk.attach(exchange.server, others)
        form, _ = await exchange.ring()
        await exchange.post(form | {"CallStatus": "in-progress"}, path="/twilio/status")
        assert not others.told, "it is ours"
        ended = {"CallStatus": "completed", "CallDuration": "17"}
        for useless in (
            ended | {"StreamEvent": "stream-stopped"},
            {"CallStatus": "asleep"},
            {"CallStatus": ""},
        ):
            await exchange.post(exchange.form(**useless), path="/twilio/status")
        assert not others.told, "it says nothing of a call's end"
        elsewhere = exchange.form(**ended)
        await exchange.post(elsewhere, path="/twilio/status")
        (message,) = others.told
        assert parse_news(message) == StatusNews(elsewhere["CallSid"], "completed", 17.0)
        # … and this is what they do with it.
        exchange.desk.take_news(message)
        exchange.desk.take_news(b"nonsense")
        (live,) = exchange.calls.all_live
        assert live.record.status == "in-progress"
        exchange.desk.take_news(StatusNews(form["CallSid"], "completed", 17.0).packed())
        record = await exchange.calls.wait(live.id)
        assert (record.status, record.duration_s) == ("completed", 17.0)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff",
        b"17",
        b"[]",
        b'["CA1", "asleep", null, ""]',
        b'["CA1", "busy", "x", ""]',
        b'[1, "busy", null, ""]',
        b'["CA1", "busy", null, 1]',
        b"[" * 4000,
    ],
)
def test_what_is_no_news_is_none(message: bytes) -> None:
    assert parse_news(message) is None


@given(
    st.text(max_size=40),
    st.sampled_from(STATUSES),
    st.none() | st.floats(0, 1e6),
    st.text(max_size=20),
)
def test_news_are_read_as_they_were_packed(
    sid: str, status: CallStatus, duration_s: float | None, because: str
) -> None:
    news = StatusNews(sid, status, duration_s, because)
    assert parse_news(news.packed()) == news


@pytest.mark.parametrize("text", ["", "-1", "1.5", "²", "9" * 10, "1e3"])
def test_what_is_no_length_is_none(text: str) -> None:
    assert whole_seconds(text) is None
