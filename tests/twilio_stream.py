"""A phone call in memory: a scripted Twilio that signs, streams, plays and clears as the real one.

It rings by HTTP (the official package signs), opens the stream that the TwiML names, sends the
caller's audio every 20 ms and plays what it is sent, one byte every 125 µs: marks come back when
all before them was played, or at a `clear`.
"""

from __future__ import annotations

import base64
import itertools
import json
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import attrs
import httpx
import trio
import trio.testing
from attrs import define, field
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator

from vantum.actors.conductor import Conductor
from vantum.config import Secret, TwilioSettings
from vantum.core.audio import mulaw_encode
from vantum.http import build_app
from vantum.server import Server
from vantum.telephony.phone import Phone, open_phone
from vantum.testing import DeepgramScript, OpenAIScript
from vantum.testing.calls import CallSetup
from vantum.testing.calls.call import SimulatedCall, new_call, providers_of
from vantum.testing.twilio import MediaStream
from vantum.testing.twilio.sound import ROOM
from vantum.websocket import BadHandshake, connect

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
TWILIO = TwilioSettings(account_sid=ACCOUNT, auth_token=Secret(TOKEN), public_url=PUBLIC_URL)


@define(eq=False)
class Exchange:
    """The server with its phone, and what of Twilio surrounds it."""

    sim: SimulatedCall
    server: Server
    phone: Phone
    nursery: trio.Nursery
    _calls: Iterator[int] = field(factory=lambda: itertools.count(1))

    @property
    def conductor(self) -> Conductor:
        (conductor,) = self.server.sessions.values()
        assert conductor is not None
        return conductor

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
        assert url == "wss://voice.example.com/twilio/stream"
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
    setup: CallSetup | None = None, twilio: TwilioSettings = TWILIO
) -> AsyncIterator[Exchange]:
    setup = setup or SETUP
    setup = attrs.evolve(setup, settings=attrs.evolve(setup.settings, twilio=twilio))
    async with trio.open_nursery() as nursery:
        sim = new_call(setup, nursery)
        ids = itertools.count(1)
        # The time of day goes with the clock that jumps.
        phone = open_phone(setup.settings, now_s=trio.current_time)
        async with providers_of(sim) as providers:
            server = Server(
                setup.settings,
                providers,
                doors=phone.doors,
                new_id=lambda: f"id-{next(ids)}",
                wall_ms=lambda: round(trio.current_time() * 1000),
            )
            yield Exchange(sim, server, phone, nursery)
            nursery.cancel_scope.cancel()
