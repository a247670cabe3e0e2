"""What only looks like Twilio, against a whole server: each attack is refused or passed over as
docs/how-to/phone.md has it, and a good call beside it sounds as if nothing had happened.

Each alone on a virtual clock, and all of them at once on real sockets.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import attrs
import pytest
import trio
import trio.testing
from attrs import define, field
from twilio.request_validator import RequestValidator

from tests.patience import HANG_S
from tests.telephony.office import SETTINGS, an_office
from tests.twilio_stream import VOICE, stream_of
from vantum.running import open_server
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript
from vantum.testing.calls import CallSetup
from vantum.testing.calls.call import new_call, providers_of
from vantum.testing.http_wire import HttpAnswer, ask
from vantum.testing.twilio import (
    Answered,
    HangUp,
    MediaStream,
    Pause,
    Person,
    PhoneCall,
    Say,
    SimulatedTwilio,
    TwilioScript,
    simulated_twilio,
)
from vantum.testing.twilio.script import ACCOUNT, AUTH_TOKEN
from vantum.testing.twilio.sound import SILENCE
from vantum.testing.twilio.webhooks import OpenStream, open_tcp
from vantum.websocket import connect

#: Whoever speaks is heard as "Hello there." and gets a long answer.
SETUP = CallSetup(
    settings=SETTINGS,
    deepgram=DeepgramScript(("Hello there.",), lead_s=0.3, pause_s=60.0, repeat=False),
    openai=OpenAIScript(lambda _: "Good morning. " * 2),
    cartesia=CartesiaScript(),
    direct=True,
)
CALLER = Person((Pause(0.3), Say("Hello there.", 0.6), Answered(), HangUp()), quiet_s=0.6)
OTHER_ACCOUNT = "AC" + "b" * 32


@define(eq=False)
class Target:
    """A server, the Twilio that it trusts, and the way to it for everybody else."""

    twilio: SimulatedTwilio
    base: str
    open_stream: OpenStream
    nursery: trio.Nursery
    _count: int = field(default=0)

    def form(self, **changes: str) -> dict[str, str]:
        self._count += 1
        return {
            "CallSid": f"CA{self._count:032x}",
            "AccountSid": ACCOUNT,
            "From": "+15550100",
            "To": "+15550199",
            "CallStatus": "ringing",
        } | changes

    async def post(
        self, form: dict[str, str], path: str = "/twilio/voice", signature: str | None = None
    ) -> HttpAnswer:
        """Signed well, unless something else is given."""
        url = self.base + path
        if signature is None:
            signature = RequestValidator(AUTH_TOKEN).compute_signature(url, form)
        body = urlencode(form).encode()
        headers = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": signature,
        }
        async with await self._open() as stream:
            return await ask(stream, "POST", path, headers, body)

    async def _open(self) -> trio.abc.Stream:
        where = urlsplit(self.base)
        assert where.hostname is not None
        return await self.open_stream(where.hostname, where.port or 443, where.scheme == "https")

    async def ring(self) -> tuple[dict[str, str], str, dict[str, str]]:
        """A call that was answered with TwiML: its form, the stream's path and parameters."""
        form = self.form()
        answer = await self.post(form)
        assert answer.status == 200
        url, parameters = stream_of(answer.body.decode())
        return form, urlsplit(url).path, parameters

    async def stream(self, call_sid: str, parameters: dict[str, str], path: str) -> MediaStream:
        """A media stream by hand, greeted and not started."""
        connection = await self._open()
        socket = await connect(connection, "server", path, max_message_bytes=2**20)
        stream = MediaStream(socket, call_sid, ACCOUNT, "MZ" + "2" * 32, parameters)

        async def listen() -> None:
            async with connection:
                await stream.listen()

        self.nursery.start_soon(listen)
        self.nursery.start_soon(stream.give_marks_back)
        await stream.connected()
        return stream

    async def refused(self, stream: MediaStream, code: int = 1008) -> None:
        with trio.fail_after(HANG_S):
            await stream.over.wait()
        assert stream.socket.close_code == code


Attack: TypeAlias = Callable[[Target, PhoneCall], Awaitable[None]]

# ---------------------------------------------------------------- requests


async def forged_signature(target: Target, good: PhoneCall) -> None:
    for signature in ("", "forged", "x" * 5000, RequestValidator("no").compute_signature("", {})):
        for path in ("/twilio/voice", "/twilio/status"):
            answer = await target.post(target.form(), path, signature)
            assert answer.status == 403
            assert AUTH_TOKEN.encode() not in answer.body


async def signature_of_something_else(target: Target, good: PhoneCall) -> None:
    """A genuine one, seen on the way, with another form or at another address."""
    form = target.form()
    signature = RequestValidator(AUTH_TOKEN).compute_signature(target.base + "/twilio/voice", form)
    for changed, path in (
        (form | {"From": "+15550666"}, "/twilio/voice"),
        (form | {"More": "1"}, "/twilio/voice"),
        (form, "/twilio/status"),
        (form, "/twilio/voice?x=1"),
        (form, f"/twilio/calls/{good.stream.parameters['call']}/status"),
    ):
        assert (await target.post(changed, path, signature)).status == 403


async def the_whole_request_again(target: Target, good: PhoneCall) -> None:
    """Twilio's own request for the good call, byte for byte: no second stream comes of it."""
    (sent,) = [
        webhook
        for webhook in target.twilio.webhooks
        if webhook.url.endswith("/voice") and webhook.fields["CallSid"] == good.sid
    ]
    answer = await target.post(dict(sent.fields))
    assert answer.status == 200
    assert b"<Stream" not in answer.body
    assert b"<Hangup" in answer.body


async def another_accounts_call(target: Target, good: PhoneCall) -> None:
    for path in ("/twilio/voice", "/twilio/status"):
        answer = await target.post(target.form(AccountSid=OTHER_ACCOUNT), path)
        assert answer.status == 403
    form, path, parameters = await target.ring()
    stream = await target.stream(form["CallSid"], parameters, path)
    stream.account_sid = OTHER_ACCOUNT
    await stream.start()
    await target.refused(stream)


async def callbacks_of_another_call(target: Target, good: PhoneCall) -> None:
    """Signed, but the address is the good call's: it is not ended by it."""
    call_id = good.stream.parameters["call"]
    form = target.form(CallStatus="completed", CallDuration="1")
    for kind in ("status", "amd"):
        answer = await target.post(form, f"/twilio/calls/{call_id}/{kind}")
        assert answer.status == 204
    assert (await target.post(form, f"/twilio/calls/{'x' * 500}/status")).status == 204
    assert (await target.post(target.form(CallStatus="juggling"), "/twilio/status")).status == 204


async def a_body_without_end(target: Target, good: PhoneCall) -> None:
    assert (await target.post(target.form(Big="x" * 70_000))).status == 413
    assert (await target.post({f"f{n}": "" for n in range(300)})).status == 400


# ---------------------------------------------------------------- streams that do not begin


async def wrong_tokens(target: Target, good: PhoneCall) -> None:
    form, path, parameters = await target.ring()
    for token in ("", "no", "1.2.3", "99999999999.n.mac", "ü.ö.ä", "1.2.\ud800", "." * 900):
        stream = await target.stream(form["CallSid"], parameters | {"token": token}, path)
        await stream.start()
        await target.refused(stream)
    stream = await target.stream(form["CallSid"], {}, path)
    await stream.start()
    await target.refused(stream)


async def another_calls_token(target: Target, good: PhoneCall) -> None:
    _, path, parameters = await target.ring()
    other, _, others = await target.ring()
    for sid, given in (
        (other["CallSid"], parameters),
        (good.sid, parameters),
        (other["CallSid"], others | {"call": str(good.stream.parameters["call"])}),
        (other["CallSid"], others | {"from": "+15550666"}),
    ):
        stream = await target.stream(sid, given, path)
        await stream.start()
        await target.refused(stream)


async def the_good_calls_token_again(target: Target, good: PhoneCall) -> None:
    _, path, _ = await target.ring()
    for stream_sid in ("MZ" + "2" * 32, good.stream.stream_sid):
        thief = await target.stream(good.sid, dict(good.stream.parameters), path)
        thief.stream_sid = stream_sid
        await thief.start()
        await target.refused(thief)


async def something_before_the_start(target: Target, good: PhoneCall) -> None:
    form, path, parameters = await target.ring()
    firsts: list[tuple[str, dict[str, Any]]] = [
        ("media", {"media": {"chunk": "1", "timestamp": "0", "payload": "AAAA"}}),
        ("mark", {"mark": {"name": "u:1"}}),
        ("dtmf", {"dtmf": {"digit": "1"}}),
        ("stop", {}),
        ("connected", {}),
        ("nonsense", {}),
    ]
    for event, body in firsts:
        stream = await target.stream(form["CallSid"], parameters, path)
        await stream.send(event, **body)
        await stream.start()
        await target.refused(stream)
    malformed: list[str | bytes] = ["", "{", "[]", b"\x00\x01", '{"event":"start","start":{}}']
    for data in malformed:
        stream = await target.stream(form["CallSid"], parameters, path)
        await stream.raw(data)
        await target.refused(stream)


async def too_much_before_the_start(target: Target, good: PhoneCall) -> None:
    form, path, parameters = await target.ring()
    stream = await target.stream(form["CallSid"], parameters | {"x": "y" * 70_000}, path)
    await stream.start()
    await target.refused(stream, 1009)


async def no_websocket_at_all(target: Target, good: PhoneCall) -> None:
    for data in (b"\x16\x03\x01\x02\x00", b"GET /twilio/stream/w0 HTTP/1.1\r\n\r\n", b""):
        async with await target._open() as stream:
            await stream.send_all(data or b"x")
            if not data:
                continue  # gone in the middle of its first line
            with trio.fail_after(HANG_S):
                await stream.receive_some()


# ---------------------------------------------------------------- calls that go wrong


@asynccontextmanager
async def a_bad_call(target: Target) -> AsyncIterator[MediaStream]:
    """One that was let in. At its end it still answers, and is hung up."""
    form, path, parameters = await target.ring()
    stream = await target.stream(form["CallSid"], parameters, path)
    await stream.start()
    yield stream
    await stream.speak(0.2)
    await stream.speak(0.6, VOICE)
    with trio.fail_after(HANG_S):
        while not stream.played:
            await stream.speak(0.1)
    await stream.stop()
    await target.refused(stream, 1000)


async def nonsense_in_a_call(target: Target, good: PhoneCall) -> None:
    async with a_bad_call(target) as stream:
        for data in ("", "[]", "null", b"\xff\x00", '{"event":"media"}', '{"event":"hello"}'):
            await stream.raw(data)
        await stream.send("media", media={"chunk": "x", "timestamp": "0", "payload": "!"})
        await stream.send("media", media={"chunk": "1", "timestamp": "0", "payload": "A" * 40_000})
        await stream.send("mark", mark={"name": "no:such"})
        await stream.send("dtmf", dtmf={"digit": "much"})


async def a_second_start(target: Target, good: PhoneCall) -> None:
    async with a_bad_call(target) as stream:
        await stream.start()
        await stream.start(callSid=good.sid, customParameters=dict(good.stream.parameters))


async def messages_for_the_good_calls_stream(target: Target, good: PhoneCall) -> None:
    async with a_bad_call(target) as stream:
        sid = good.stream.stream_sid
        for event, body in (
            ("media", {"media": {"chunk": "1", "timestamp": "0", "payload": "AAAA"}}),
            ("dtmf", {"sequenceNumber": "9999", "dtmf": {"digit": "1"}}),
            ("stop", {}),
        ):
            await stream.raw(json.dumps({"event": event, "streamSid": sid, **body}))


async def an_oversized_message(target: Target, good: PhoneCall) -> None:
    form, path, parameters = await target.ring()
    stream = await target.stream(form["CallSid"], parameters, path)
    await stream.start()
    await stream.raw(json.dumps({"event": "media", "media": {"payload": "A" * 70_000}}))
    await target.refused(stream, 1009)


async def a_flood(target: Target, good: PhoneCall) -> None:
    form, path, parameters = await target.ring()
    stream = await target.stream(form["CallSid"], parameters, path)
    await stream.start()
    while not stream.over.is_set():
        await stream.raw(*["{}"] * 500)
        await trio.lowlevel.checkpoint()
    await target.refused(stream, 4429)


ATTACKS: tuple[Attack, ...] = (
    forged_signature,
    signature_of_something_else,
    the_whole_request_again,
    another_accounts_call,
    callbacks_of_another_call,
    a_body_without_end,
    wrong_tokens,
    another_calls_token,
    the_good_calls_token_again,
    something_before_the_start,
    too_much_before_the_start,
    no_websocket_at_all,
    nonsense_in_a_call,
    a_second_start,
    messages_for_the_good_calls_stream,
    an_oversized_message,
    a_flood,
)


# ---------------------------------------------------------------- the good call beside them


async def a_good_call(target: Target, attacks: tuple[Attack, ...]) -> PhoneCall:
    """A call during whose answer the attacks come, all at once."""
    call = target.twilio.ring(f"{target.base}/twilio/voice", CALLER)
    with trio.fail_after(HANG_S):
        stream = await call.until_streaming()
        await stream.until_event("media")
        async with trio.open_nursery() as nursery:
            for attack in attacks:
                nursery.start_soon(attack, target, call)
        await call.over.wait()
    assert call.ended_because == "the person hangs up", call.problems
    assert not call.problems
    return call


def heard(call: PhoneCall) -> bytes:
    """What came out of the caller's phone."""
    return b"".join(mulaw for _, mulaw in call.stream.played).strip(SILENCE)


@asynccontextmanager
async def in_memory() -> AsyncIterator[Target]:
    async with an_office(setup=SETUP) as office, trio.open_nursery() as nursery:
        open_stream = office.twilio.exchange.webhooks.open_stream
        yield Target(office.twilio, "https://server.test", open_stream, nursery)
        nursery.cancel_scope.cancel()
        await trio.sleep(120)  # longer than anything that was let in may last
        assert office.is_idle()


@asynccontextmanager
async def on_sockets() -> AsyncIterator[Target]:
    settings = attrs.evolve(SETTINGS, twilio=attrs.evolve(SETTINGS.twilio, public_url=""))
    async with trio.open_nursery() as nursery:
        sim = new_call(SETUP, nursery)
        async with (
            simulated_twilio(TwilioScript()) as twilio,
            providers_of(sim) as providers,
            open_server(settings, providers, host="127.0.0.1", port=0) as url,
        ):
            base = url.replace("ws", "http", 1).removesuffix("/ws")
            yield Target(twilio, base, open_tcp, nursery)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_an_attack_beside_a_good_call(
    autojump_clock: trio.testing.MockClock, attack: Attack
) -> None:
    async with in_memory() as target:
        alone = await a_good_call(target, ())
        assert len(heard(alone)) > 8000
        beside = await a_good_call(target, (attack,))
        assert heard(beside) == heard(alone)


async def test_all_of_them_on_real_sockets() -> None:
    async with on_sockets() as target:
        alone = await a_good_call(target, ())
        beside = await a_good_call(target, ATTACKS)
        assert heard(beside) == heard(alone)
