"""Media streams that are not as they should be: refused or ignored, and no other call suffers."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.twilio_stream import SETUP, TWILIO, VOICE, Exchange, MediaStream, an_exchange
from vantum.config import ServerSettings, Settings
from vantum.core.events import Prospect

Clock = trio.testing.MockClock


async def refused(exchange: Exchange, stream: MediaStream, code: int = 1008) -> None:
    with trio.fail_after(5):
        await stream.over.wait()
    assert stream.socket.close_code == code
    await trio.testing.wait_all_tasks_blocked()
    assert not exchange.server.sessions
    assert exchange.sim.wires.opened == 0


@pytest.mark.parametrize("token", ["", "no", "1.2.3", "99999999999.n.mac", "ü.ö.ä"])
async def test_without_the_token_nothing_begins(autojump_clock: Clock, token: str) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters | {"token": token})
        await stream.start()
        await refused(exchange, stream)


async def test_no_parameters_no_call(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.open("CA1", {})
        await stream.start()
        await refused(exchange, stream)


async def test_another_calls_token_is_refused(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        _, parameters = await exchange.ring()
        form, _ = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.start()
        await refused(exchange, stream)


async def test_the_callers_number_cannot_be_changed(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters | {"from": "+15550666"})
        await stream.start()
        await refused(exchange, stream)


@pytest.mark.parametrize("configured", [True, False])
async def test_another_accounts_stream_is_refused(autojump_clock: Clock, configured: bool) -> None:
    twilio = TWILIO if configured else attrs.evolve(TWILIO, account_sid="")
    async with an_exchange(twilio=twilio) as exchange:
        form, parameters = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters, account_sid="AC" + "b" * 32)
        await stream.start()
        await refused(exchange, stream)


async def test_the_stream_of_a_call_that_is_being_ended_is_refused(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters)
        (live,) = exchange.calls.all_live
        live.hang_up("a test")
        await stream.start()
        assert not live.over.is_set()
        await refused(exchange, stream)


async def test_an_expired_token_is_refused(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        await trio.sleep(62)
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.start()
        await refused(exchange, stream)


async def test_a_replayed_token_is_refused_and_the_call_goes_on(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.start()
        await trio.testing.wait_all_tasks_blocked()
        thief = await exchange.open(form["CallSid"], parameters)
        await thief.start()
        with trio.fail_after(5):
            await thief.over.wait()
        assert thief.socket.close_code == 1008
        assert len(exchange.server.sessions) == 1
        await is_answered(stream)


async def is_answered(stream: MediaStream) -> None:
    """The call is as well as ever."""
    before = len(stream.played)
    await stream.speak(0.2)
    await stream.speak(0.6, VOICE)
    with trio.fail_after(20):
        while len(stream.played) == before:
            await stream.speak(0.1)


BEFORE_THE_START: list[tuple[str, dict[str, Any]]] = [
    ("media", {"media": {"chunk": "1", "timestamp": "0", "payload": "AAAA"}}),
    ("mark", {"mark": {"name": "u:1"}}),
    ("dtmf", {"dtmf": {"digit": "1"}}),
    ("stop", {}),
    ("connected", {}),
    ("nonsense", {}),
]


@pytest.mark.parametrize(("event", "body"), BEFORE_THE_START, ids=lambda x: str(x)[:9])
async def test_nothing_comes_before_the_start(
    autojump_clock: Clock, event: str, body: dict[str, Any]
) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.send(event, **body)
        await stream.start()
        await refused(exchange, stream)
        # The token has not been used up.
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.start()
        await is_answered(stream)


@pytest.mark.parametrize("data", ["", "{", "[]", b"\x00\x01", '{"event":"start","start":{}}'])
async def test_what_is_malformed_before_the_start_ends_the_connection(
    autojump_clock: Clock, data: str | bytes
) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.open("CA1", {})
        await stream.raw(data)
        await refused(exchange, stream)


async def test_a_stream_that_never_starts_is_given_up(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.open("CA1", {})
        began_s = trio.current_time()
        await stream.over.wait()
        assert trio.current_time() - began_s == pytest.approx(10, abs=0.1)


async def test_a_peer_that_goes_before_the_start_leaves_nothing(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.open("CA1", {})
        await stream.socket.close()
        await trio.testing.wait_all_tasks_blocked()
        assert not exchange.server.sessions


async def test_what_is_malformed_in_a_call_is_passed_over(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.call()
        other = await exchange.call()
        for data in (
            "",
            "[]",
            b"\xff\x00",
            '{"event":"media"}',
            '{"event":"hello"}',
            json.dumps({"event": "stop", "streamSid": "MZ-other"}),
        ):
            await stream.raw(data)
        await stream.start()  # a second time
        await stream.send("media", media={"chunk": "x", "timestamp": "0", "payload": "!"})
        await stream.send("mark", mark={"name": "no:such"})
        await is_answered(stream)
        await is_answered(other)
        assert len(exchange.server.sessions) == 2


async def test_an_oversized_message_ends_its_call_only(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream, other = await exchange.call(), await exchange.call()
        await stream.raw(json.dumps({"event": "media", "media": {"payload": "A" * 70_000}}))
        with trio.fail_after(5):
            await stream.over.wait()
        assert stream.socket.close_code == 1009
        await is_answered(other)
        assert len(exchange.server.sessions) == 1


async def test_a_flood_ends_its_call_only(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream, other = await exchange.call(), await exchange.call()
        for _ in range(1100):
            await stream.raw("{}")
        with trio.fail_after(5):
            await stream.over.wait()
        assert stream.socket.close_code == 4429
        await is_answered(other)


async def test_ten_seconds_that_a_network_held_back_are_no_flood(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.call()
        for _ in range(500):
            await stream.media(VOICE)
        await trio.testing.wait_all_tasks_blocked()
        assert not stream.over.is_set()
        assert len(exchange.server.sessions) == 1


async def test_the_last_place_is_kept_for_the_stream_that_is_on_its_way(
    autojump_clock: Clock,
) -> None:
    settings = Settings(server=ServerSettings(max_sessions=1))
    async with an_exchange(attrs.evolve(SETUP, settings=settings)) as exchange:
        form, parameters = await exchange.ring()
        assert exchange.server.is_full
        second = await exchange.post(exchange.form())
        assert "all our lines are busy" in second.text
        stream = await exchange.open(form["CallSid"], parameters)
        await stream.start()
        await is_answered(stream)


async def test_a_stream_that_does_not_come_gives_its_place_up(autojump_clock: Clock) -> None:
    settings = Settings(server=ServerSettings(max_sessions=1))
    async with an_exchange(attrs.evolve(SETUP, settings=settings)) as exchange:
        form, parameters = await exchange.ring()
        await trio.sleep(59)
        assert exchange.server.is_full
        await trio.sleep(10)
        assert not exchange.server.held_back
        late = await exchange.open(form["CallSid"], parameters)
        await late.start()
        with trio.fail_after(5):
            await late.over.wait()
        assert late.socket.close_code == 1008
        await is_answered(await exchange.call())


async def test_a_server_that_goes_down_before_the_stream_comes(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        form, parameters = await exchange.ring()
        await exchange.server.drain()
        late = await exchange.open(form["CallSid"], parameters)
        await late.start()
        with trio.fail_after(5):
            await late.over.wait()
        assert late.socket.close_code == 1013


async def test_the_server_is_asked_who_calls(autojump_clock: Clock) -> None:
    asked = []

    def prospect(about: Any) -> Prospect:
        asked.append(dict(about))
        return Prospect(name="Ada")

    async with an_exchange() as exchange:
        exchange.server.prospect = prospect
        stream = await exchange.call(From="+15550123")
        (live,) = exchange.calls.all_live
        assert asked == [
            {
                "callSid": stream.call_sid,
                "from": "+15550123",
                "to": "+15550199",
                "direction": "inbound",
                "callId": live.id,
            }
        ]


async def test_a_server_that_goes_down_says_goodbye_to_callers(autojump_clock: Clock) -> None:
    async with an_exchange() as exchange:
        stream = await exchange.call()
        await exchange.server.drain()
        await stream.over.wait()
        assert stream.socket.close_code == 1001
