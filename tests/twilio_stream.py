"""A phone call in memory whose every step is the test's: the webhook, the stream, each message.

Twilio's end of the stream is the simulation's (`vantum.testing.twilio`), held by hand. Calls that
run by themselves, with somebody on the line, are made with the whole simulation.
"""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs
import httpx
import httpx2
import trio
import trio.testing
from attrs import define, field
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from vantum.actors.conductor import Conductor
from vantum.config import Secret, StorageSettings, TwilioSettings
from vantum.core.audio import mulaw_encode
from vantum.http import build_app
from vantum.server import Server
from vantum.telephony.calls import Calls
from vantum.telephony.desk import Desk, open_desk
from vantum.telephony.phone import Phone
from vantum.testing import DeepgramScript, OpenAIScript
from vantum.testing.calls import CallSetup
from vantum.testing.calls.call import SimulatedCall, new_call, providers_of
from vantum.testing.twilio import MediaStream
from vantum.testing.twilio.sound import ROOM
from vantum.websocket import BadHandshake, connect

__all__ = ["ROOM", "VOICE", "MediaStream"]

#: 20 ms at 8 kHz.
VOICE = mulaw_encode(b"\x00\x20\x00\xe0" * 80)

ACCOUNT = "AC" + "a" * 32
TOKEN = "the-auth-token"
PUBLIC_URL = "https://voice.example.com"
#: Whatever a caller says, it is "Hello there.", and is answered.
SETUP = CallSetup(
    deepgram=DeepgramScript(("Hello there.",), lead_s=0.2, pause_s=5.0),
    openai=OpenAIScript(lambda _: "Yes, indeed."),
)
#: A REST API that has never heard of any call.
NO_CALLS = httpx2.MockTransport(lambda _: httpx2.Response(404, json={"code": 20404}))
TWILIO = TwilioSettings(account_sid=ACCOUNT, auth_token=Secret(TOKEN), public_url=PUBLIC_URL)


@define(eq=False)
class Exchange:
    """The server with its phone, and what of Twilio surrounds it."""

    sim: SimulatedCall
    server: Server
    phone: Phone
    nursery: trio.Nursery
    desk: Desk
    _calls: Iterator[int] = field(factory=lambda: itertools.count(1))

    @property
    def conductor(self) -> Conductor:
        (conductor,) = self.server.sessions.values()
        assert conductor is not None
        return conductor

    @property
    def calls(self) -> Calls:
        assert self.desk.calls is not None
        return self.desk.calls

    def form(self, **changes: str) -> dict[str, str]:
        sid = f"CA{next(self._calls):032x}"
        return {
            "CallSid": sid,
            "AccountSid": ACCOUNT,
            "From": "+15550100",
            "To": "+15550199",
            "CallStatus": "ringing",
            "ApiVersion": "2010-04-01",
            "CallerName": "",
        } | changes

    async def post(
        self,
        form: dict[str, str] | ImmutableMultiDict[str, str],
        *,
        path: str = "/twilio/voice",
        signed_url: str = "",
        signature: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        url = signed_url or PUBLIC_URL + path
        if signature is None:
            signature = RequestValidator(TOKEN).compute_signature(url, form)
        transport = httpx.ASGITransport(build_app(self.server, self.phone.routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.7:3001") as web:
            return await web.post(
                path,
                content=urlencode(
                    form.multi_items() if isinstance(form, ImmutableMultiDict) else form
                ),
                headers={
                    "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
                    "X-Twilio-Signature": signature,
                    **{name.replace("_", "-"): value for name, value in headers.items()},
                },
            )

    async def ring(self, **changes: str) -> tuple[dict[str, str], dict[str, str]]:
        """A call comes in; gives its form and the stream's parameters."""
        form = self.form(**changes)
        answer = await self.post(form)
        assert answer.status_code == 200, answer.text
        url, parameters = stream_of(answer.text)
        assert url == "wss://voice.example.com/twilio/stream/w0"
        return form, parameters

    async def open(self, call_sid: str, parameters: dict[str, str], **changes: Any) -> MediaStream:
        """Connect a stream and greet; the start is still to be sent."""
        ours, theirs = trio.testing.memory_stream_pair()
        door = self.phone.doors["/twilio/stream"]

        async def serve() -> None:
            try:
                await door(self.server, theirs)  # type: ignore[arg-type]
            except (BadHandshake, trio.BrokenResourceError):
                pass
            finally:
                await trio.aclose_forcefully(theirs)

        self.nursery.start_soon(serve)
        socket = await connect(ours, "voice.example.com", "/twilio/stream", max_message_bytes=2**20)
        about = {"account_sid": ACCOUNT, "stream_sid": "MZ" + "1" * 32} | changes
        stream = MediaStream(socket, call_sid, parameters=parameters, **about)
        self.nursery.start_soon(stream.listen)
        self.nursery.start_soon(stream.give_marks_back)
        await stream.connected()
        return stream

    async def call(self, **changes: str) -> MediaStream:
        """A call that has been answered."""
        form, parameters = await self.ring(**changes)
        stream = await self.open(form["CallSid"], parameters)
        await stream.start()
        await trio.testing.wait_all_tasks_blocked()
        return stream


def stream_of(twiml: str) -> tuple[str, dict[str, str]]:
    """Where TwiML connects a call, and with which parameters, as Twilio reads it."""
    (connect_,) = ET.fromstring(twiml)
    assert connect_.tag == "Connect"
    (stream,) = connect_
    return stream.attrib["url"], {p.attrib["name"]: p.attrib["value"] for p in stream}


@asynccontextmanager
async def an_exchange(
    setup: CallSetup | None = None,
    twilio: TwilioSettings = TWILIO,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Exchange]:
    setup = setup or SETUP
    settings = attrs.evolve(setup.settings, twilio=twilio, storage=StorageSettings(path=":memory:"))
    setup = attrs.evolve(setup, settings=settings)
    async with trio.open_nursery() as nursery:
        sim = new_call(setup, nursery)
        ids = itertools.count(1)
        async with (
            providers_of(sim) as providers,
            # The time of day goes with the clock that jumps.
            open_desk(settings, now_s=trio.current_time, transport=transport or NO_CALLS) as desk,
        ):
            server = Server(
                settings,
                providers,
                doors=desk.phone.doors,
                new_id=lambda: f"id-{next(ids)}",
                wall_ms=lambda: round(trio.current_time() * 1000),
            )
            desk.attach(server)
            yield Exchange(sim, server, desk.phone, nursery, desk)
            nursery.cancel_scope.cancel()
