"""The server on real sockets of the loopback interface."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import msgpack
import pytest
import trio
from attrs import define
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as other_connect

from tests.in_memory import FRAME
from tests.patience import HANG_S, connect, patient_settings, until
from tests.proxy import set_proxies, small_proxy
from vantum.client import Client, ClientError
from vantum.config import OpenAISettings, Secret
from vantum.core import events as e
from vantum.providers import openai as openai_provider
from vantum.providers.registry import open_providers
from vantum.running import listening_url, open_listeners
from vantum.server import Server
from vantum.testing import (
    CartesiaScript,
    DeepgramScript,
    OpenAIScript,
    SimulatedProviders,
    simulated_providers,
)

KEY = Secret("k-on-loopback")
#: 200 ms at 16 kHz, and no digital silence, in which nobody looks long for words.
VOICE = FRAME * 10


@define(eq=False)
class Running:
    server: Server
    url: str
    peers: SimulatedProviders
    accepting: trio.CancelScope

    async def no_sessions(self) -> None:
        """The server notices a hang-up when the operating system tells it."""
        await until(lambda: not self.server.sessions)

    @property
    def http(self) -> str:
        return self.url.replace("ws://", "http://").removesuffix("/ws")


@asynccontextmanager
async def a_server(
    routes: tuple[Route, ...] = (), reached: Callable[[str], str] = str, **server: Any
) -> AsyncIterator[Running]:
    """`reached`: the address by which the server knows a peer, from the one that it has."""
    with pytest.MonkeyPatch.context() as patch:
        # Not a setting: five seconds are enough for a network, but not for a machine at a stand.
        patch.setattr(openai_provider, "CONNECT_S", HANG_S)
        async with _a_server(routes, reached, **server) as running:
            yield running


@asynccontextmanager
async def _a_server(
    routes: tuple[Route, ...], reached: Callable[[str], str], **server: Any
) -> AsyncIterator[Running]:
    async with (
        simulated_providers(
            DeepgramScript(("hello",), speech="on_finalize"),
            OpenAIScript(("Hi. ||BREAK|| Bye.",)),
            CartesiaScript(),
        ) as peers,
        trio.open_nursery() as nursery,
    ):
        patient = patient_settings()
        settings = attrs.evolve(
            patient,
            server=attrs.evolve(patient.server, **server),
            deepgram=attrs.evolve(
                patient.deepgram, api_key=KEY, base_url=reached(peers.deepgram.base_url)
            ),
            openai=OpenAISettings(api_key=KEY, base_url=reached(peers.openai.base_url)),
            cartesia=attrs.evolve(
                patient.cartesia, api_key=KEY, base_url=reached(peers.cartesia.base_url)
            ),
        )
        async with open_providers(settings) as providers:
            running = Server(settings, providers, routes)
            listeners = await open_listeners("127.0.0.1", 0)
            accepting = await nursery.start(running.serve, listeners)
            with trio.fail_after(2 * HANG_S):
                yield Running(running, listening_url(listeners), peers, accepting)
            nursery.cancel_scope.cancel()


async def get(url: str, **kwargs: Any) -> httpx.Response:
    # No certificates: loading them takes longer than all the rest.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=HANG_S) as http:
        return await http.request(kwargs.pop("method", "GET"), url, **kwargs)


async def heard(client: Client, kind: type) -> Any:
    async for _, message in client.events:
        if isinstance(message, kind):
            return message
    raise AssertionError(f"the server hung up before {kind.__name__}")


async def a_turn(client: Client) -> None:
    await client.start(e.InputOptions(turn_detection="manual"))
    await client.send_audio(VOICE)
    await client.end()
    await heard(client, e.OutputCompleted)


async def test_a_turn_and_health() -> None:
    async with a_server() as running:
        async with connect(running.url) as client:
            await a_turn(client)
            health = await get(running.http + "/health")
            assert health.status_code == 200
            body = health.json()
            assert body["status"] == "ok"
            assert body["uptimeSeconds"] >= 0
            assert body["sessions"]["active"] == 1
            assert sum(body["sessions"]["byState"].values()) == 1
            assert body["providers"]["stt"]["name"] == "deepgram"
            assert {role: p["ok"] for role, p in body["providers"].items()} == {
                "stt": True,
                "llm": True,
                "tts": True,
            }
            assert KEY.reveal() not in health.text
        await running.no_sessions()
        assert running.peers.deepgram.connections[0].authorization == f"Token {KEY.reveal()}"


async def test_a_turn_whose_providers_are_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(url: str) -> str:
        return url if url.endswith("/v1") else url.replace("127.0.0.1", "peer.test")

    async with small_proxy() as proxy:
        proxy.wants = b"Basic bWU6Z2VoZWlt"
        set_proxies(monkeypatch, all=f"http://me:geheim@127.0.0.1:{proxy.port}")
        async with a_server(reached=elsewhere) as running:
            async with connect(running.url) as client:
                await a_turn(client)
            await until(lambda: not proxy.open)  # with the call they are over, too
            peers = running.peers
    asked = {head.split(b" ")[1].decode() for head in proxy.heads}
    urls = (peers.deepgram.base_url, peers.cartesia.base_url)
    assert asked == {elsewhere(url).partition("://")[2] for url in urls}


async def test_http_errors_and_further_routes() -> None:
    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("here")

    async def broken(request: Request) -> PlainTextResponse:
        raise RuntimeError("a stack that nobody outside may see")

    routes = (Route("/page", page), Route("/broken", broken))
    async with a_server(routes) as running:
        assert (await get(running.http + "/page")).text == "here"
        missing = await get(running.http + "/nothing")
        assert missing.status_code == 404
        assert missing.json() == {"error": "Not Found"}
        assert (await get(running.http + "/health", method="DELETE")).status_code == 405
        assert (await get(running.http + "/ws")).status_code == 426
        failed = await get(running.http + "/broken")
        assert failed.status_code == 500
        assert "stack" not in failed.text
        assert (await get(running.http + "/page")).text == "here"


async def test_a_proxy_that_keeps_connections_can_still_upgrade() -> None:
    """No connection is kept: the upgrade comes on one of its own, and is looked at."""
    async with a_server() as running:
        answer = await get(running.http + "/health")
        assert answer.headers["connection"] == "close"


async def test_bytes_that_are_no_http_and_requests_that_never_come() -> None:
    async with a_server(handshake_timeout_ms=300) as running:
        host, port = running.http.removeprefix("http://").split(":")
        stream = await trio.open_tcp_stream(host, int(port))
        await stream.send_all(b"\x16\x03\x01 not http at all\r\n\r\n")
        answer = await stream.receive_some()
        assert answer == b"" or b"400" in answer
        await stream.aclose()
        async with await trio.open_tcp_stream(host, int(port)) as silent:
            while await silent.receive_some():
                pass
        # The server goes on: whoever asks in time is answered. That may take a few attempts, for
        # it cannot be less patient with the one above than with us.
        while (status := await status_of(running.http + "/health")) is None:
            pass
        assert status == 200


async def status_of(url: str) -> int | None:
    try:
        return (await get(url)).status_code
    except httpx.TransportError:
        return None


async def test_full_server_says_so_and_takes_the_next_when_there_is_room() -> None:
    async with a_server(max_sessions=1) as running:
        async with connect(running.url):
            data, closed = await trio.to_thread.run_sync(_first_message, running.url)
            envelope = msgpack.unpackb(data)
            assert envelope["eventType"] == "system.status.busy"
            assert envelope["payload"] == {"activeSessions": 1, "maxSessions": 1}
            assert closed == 1013
        await running.no_sessions()
        async with connect(running.url) as client:
            await a_turn(client)


def _first_message(url: str, **kwargs: Any) -> tuple[bytes, int]:
    """By another WebSocket library: the server must not only understand our own."""
    with other_client(url, **kwargs) as socket:
        data = socket.recv(timeout=HANG_S)
        assert isinstance(data, bytes)
        return data, _closing_code(socket)


def other_client(url: str, **kwargs: Any) -> ClientConnection:
    patience: dict[str, Any] = {"open_timeout": HANG_S, "close_timeout": HANG_S}
    connected: ClientConnection = other_connect(url, proxy=None, **patience, **kwargs)
    return connected


def _read_to_the_end(socket: ClientConnection) -> None:
    while True:
        socket.recv(timeout=HANG_S)


def _closing_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        _read_to_the_end(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_authentication() -> None:
    async with a_server(auth_tokens=Secret("one, two")) as running:
        for url in (running.url, running.url + "?token=three"):
            data, closed = await trio.to_thread.run_sync(_first_message, url)
            envelope = msgpack.unpackb(data)
            assert envelope["eventType"] == "connection.error.auth_failed"
            assert envelope["requestType"] is None
            assert closed == 4401
        async with connect(running.url, token="two") as client:
            await a_turn(client)
        async with connect(running.url + "?token=one") as client:
            await a_turn(client)
        with pytest.raises(ClientError, match="not authenticated"):
            async with connect(running.url, token="wrong"):
                pass


async def test_both_ways_to_the_older_vocabulary() -> None:
    async with a_server() as running:

        def look(url: str, subprotocols: Any = None) -> tuple[str, str | None]:
            with other_client(url, subprotocols=subprotocols) as socket:
                data = socket.recv(timeout=HANG_S)
                assert isinstance(data, bytes)
                return msgpack.unpackb(data)["eventType"], socket.subprotocol

        run = trio.to_thread.run_sync
        assert await run(look, running.url) == ("connection.lifecycle.ack", None)
        assert await run(look, running.url + "?events=voicechat") == ("connection.ack", None)
        assert await run(look, running.url, ["vantum.voicechat"]) == (
            "connection.ack",
            "vantum.voicechat",
        )


async def test_too_large_a_message_closes_with_1009() -> None:
    async with a_server(max_message_bytes=10_000) as running:

        def send() -> int:
            with other_client(running.url) as socket:
                socket.recv(timeout=HANG_S)
                socket.send(bytes(20_000))
                return _closing_code(socket)

        assert await trio.to_thread.run_sync(send) == 1009


async def test_websocket_elsewhere_is_refused() -> None:
    async with a_server() as running:

        def dial() -> int:
            try:
                with other_client(running.url + "s"):
                    return 101
            except InvalidStatus as refused:
                return refused.response.status_code

        assert await trio.to_thread.run_sync(dial) in (403, 404)


async def test_peer_without_a_pong_is_given_up() -> None:
    async with a_server(ping_interval_ms=100, ping_timeout_ms=100) as running:
        host, port = running.http.removeprefix("http://").split(":")
        stream = await trio.open_tcp_stream(host, int(port))
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        await stream.send_all(
            f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        with trio.fail_after(HANG_S):
            while await stream.receive_some():
                pass
        await stream.aclose()
        await running.no_sessions()


async def test_a_session_that_crashes_touches_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server() as running, connect(running.url) as healthy:
        await healthy.start(e.InputOptions(turn_detection="manual"))
        llm = running.server.providers.llm

        class Broken:
            def stream(self, request: object) -> object:
                raise RuntimeError("a bug of ours")

        monkeypatch.setattr(
            running.server,
            "providers",
            attrs.evolve(running.server.providers, llm=_Models(llm, Broken())),
        )
        async with connect(running.url) as unlucky:
            await unlucky.start(e.InputOptions(turn_detection="manual"))
            await unlucky.send_audio(VOICE)
            await unlucky.end()
            async for _, message in unlucky.events:
                assert "bug" not in str(message)
        await until(lambda: len(running.server.sessions) == 1)
        await a_turn(healthy)


@define
class _Models:
    """A provider whose model raises what no provider should: a bug of ours."""

    inner: Any
    model: Any
    name: str = "broken"

    def for_session(self) -> Any:
        return self.model

    def health(self) -> Any:
        return self.inner.health()


async def test_draining() -> None:
    async with a_server() as running, connect(running.url) as client:
        await client.start(e.InputOptions(turn_detection="manual"))
        await client.send_audio(VOICE)
        await client.end()
        await heard(client, e.OutputStarted)
        running.accepting.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.server.drain)
            seen = [type(message) async for _, message in client.events]
        assert e.OutputCompleted in seen, "the answer was finished"
        assert e.Maintenance in seen
        assert not running.server.sessions
        body, ok = running.server.health()
        assert (body["status"], ok) == ("draining", False)
        with pytest.raises(ClientError):
            async with connect(running.url):
                pass


@define
class Told:
    """What the other processes are told of ours."""

    counts: list[int | None]

    async def pass_on(self, request: object, stream: object) -> bool:
        return False

    async def everybody(self, own: dict[str, Any]) -> dict[str, Any]:
        return own

    def count(self, sessions: int | None) -> None:
        self.counts.append(sessions)


async def test_a_place_that_is_given_back_counts_no_more() -> None:
    async with a_server(max_sessions=1) as running:
        told = running.server.neighbours = Told([])
        place = running.server.reserve()
        assert place is not None
        assert running.server.reserve() is None
        place.release()
        assert told.counts == [1, 0]
        assert not running.server.is_full


async def test_health_is_503_when_a_provider_is_down() -> None:
    async with a_server() as running:
        running.peers.openai.script = attrs.evolve(running.peers.openai.script, api_key="another")
        async with connect(running.url) as client:
            await a_turn(client)
        health = await get(running.http + "/health")
        assert health.status_code == 503
        assert json.loads(health.text)["providers"]["llm"]["ok"] is False


async def test_fifty_sessions_at_once() -> None:
    async with a_server() as running:

        async def one() -> None:
            async with connect(running.url) as client:
                await a_turn(client)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(one)
        await running.no_sessions()
        assert len(running.peers.openai.chats) == 50
