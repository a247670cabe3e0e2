"""A phone call on real sockets, with clients that are not ours: httpx and trio-websocket."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import httpx
import pytest
import trio
import trio_websocket
from twilio.request_validator import RequestValidator

from tests.patience import HANG_S
from tests.test_server import get
from tests.twilio_stream import ACCOUNT, SETUP, TOKEN, TWILIO, VOICE, stream_of
from vantum.config import Secret, Settings, StorageSettings, TwilioSettings
from vantum.running import open_server
from vantum.testing.calls.call import new_call, providers_of
from vantum.websocket import BadHandshake, connect

FORM = {"CallSid": "CA1", "AccountSid": ACCOUNT, "From": "+15550100", "To": "+15550199"}


@asynccontextmanager
async def a_server(twilio: TwilioSettings) -> AsyncIterator[str]:
    """Gives the address of its HTTP side."""
    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            sim = new_call(attrs.evolve(SETUP, direct=True), nursery)
            settings = Settings(twilio=twilio, storage=StorageSettings(path=":memory:"))
            async with (
                providers_of(sim) as providers,
                open_server(settings, providers, host="127.0.0.1", port=0) as url,
            ):
                yield url.replace("ws", "http", 1).removesuffix("/ws")
            nursery.cancel_scope.cancel()


def signed(url: str) -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, FORM)}


async def test_a_number_that_points_here_holds_a_conversation() -> None:
    # No public URL: Twilio would see this very address.
    async with a_server(attrs.evolve(TWILIO, public_url="")) as base:
        url = f"{base}/twilio/voice"
        assert (await get(url, method="POST", data=FORM)).status_code == 403
        assert (await get(url)).status_code == 405
        assert (await get(f"{base}/twilio/stream")).status_code == 426
        head = b"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n"
        # It does not wait for the rest.
        assert await _status(base, head + b"x" * 66_000) == b"413"
        answer = await get(url, method="POST", data=FORM, headers=signed(url))
        assert answer.status_code == 200
        stream_url, parameters = stream_of(answer.text)
        async with _stream(stream_url) as socket:
            await socket.send_message('{"event":"connected","protocol":"Call","version":"1.0.0"}')
            start = {
                "streamSid": "MZ1",
                "accountSid": ACCOUNT,
                "callSid": "CA1",
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": parameters,
            }
            await socket.send_message(json.dumps({"event": "start", "start": start}))
            played = await _until_answered(socket)
        assert len(played) == 800
        again = await get(url, method="POST", data=FORM, headers=signed(url))
        assert "<Response><Hangup /></Response>" in again.text
        async with _stream(stream_url) as socket:
            await socket.send_message(json.dumps({"event": "start", "start": start}))
            with pytest.raises(trio_websocket.ConnectionClosed) as closed:
                await socket.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1008


@asynccontextmanager
async def _stream(url: str) -> AsyncIterator[trio_websocket.WebSocketConnection]:
    """The library leaves its socket open when the server closes first: it gets one that is ours."""
    where = httpx.URL(url)
    async with (
        await trio.open_tcp_stream(where.host, where.port or 0) as stream,
        trio.open_nursery() as nursery,
    ):
        yield await trio_websocket.wrap_client_stream(nursery, stream, where.host, where.path)
        nursery.cancel_scope.cancel()


async def _status(base: str, request: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", httpx.URL(base).port or 0) as stream:
        await stream.send_all(request)
        return bytes(await stream.receive_some(4096)).split(b" ")[1]


async def _until_answered(socket: trio_websocket.WebSocketConnection) -> bytes:
    """Speak until the first chunk of an answer has come whole; gives its mu-law."""
    async with trio.open_nursery() as nursery:

        async def speak() -> None:
            began_s = trio.current_time()
            for number in range(1, 100_000):
                payload = VOICE if number <= 40 else b"\xff" * 160
                media = {
                    "track": "inbound",
                    "chunk": str(number),
                    "timestamp": str(20 * number),
                    "payload": base64.b64encode(payload).decode(),
                }
                body = {"event": "media", "streamSid": "MZ1", "media": media}
                await socket.send_message(json.dumps(body))
                await trio.sleep_until(began_s + number * 0.02)

        nursery.start_soon(speak)
        audio = b""
        while (body := json.loads(await socket.get_message()))["event"] == "media":
            audio += base64.b64decode(body["media"]["payload"])
        assert body["event"] == "mark"
        nursery.cancel_scope.cancel()
    return audio


async def test_without_an_auth_token_there_is_no_phone() -> None:
    async with a_server(TwilioSettings()) as base:
        for path in ("voice", "status", "stream"):
            request = f"POST /twilio/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
            assert await _status(base, request.encode()) == b"404"
        async with await trio.open_tcp_stream("127.0.0.1", httpx.URL(base).port or 0) as stream:
            with pytest.raises(BadHandshake):
                await connect(stream, "x", "/twilio/stream", max_message_bytes=1000)


def test_the_settings_hold_no_secret_that_prints() -> None:
    twilio = TwilioSettings(auth_token=Secret("tok-1"), stream_secret=Secret("sec-1"))
    assert "tok-1" not in repr(twilio)
    assert "sec-1" not in repr(twilio)
