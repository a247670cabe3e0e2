"""The server at its edges: requests that are hardly any, and sessions that come as it stops."""

from __future__ import annotations

import socket
from typing import Any, cast

import attrs
import pytest
import trio
import trio.testing
from attrs import define, field, frozen
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from tests.patience import connect
from tests.test_server import a_server
from vantum.admission import is_admitted, most_frames_per_s
from vantum.config import Secret, ServerSettings, Settings
from vantum.core import events as e
from vantum.running import listening_url, open_listeners
from vantum.server import Server
from vantum.testing.calls.call import CallSetup, new_call, providers_of
from vantum.websocket import WebSocket

UPGRADE = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def answer(url: str, request: bytes) -> bytes:
    host, port = url.removeprefix("ws://").removesuffix("/ws").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(request)
        return bytes(await stream.receive_some())


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "[::1]", "::", "localhost"])
async def test_the_printed_address_leads_to_the_server(host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    listeners = await open_listeners(host, 0)
    host, _, port = (
        listening_url(listeners).removeprefix("ws://").removesuffix("/ws").rpartition(":")
    )
    try:
        async with await trio.open_tcp_stream(host.strip("[]"), int(port)) as stream:
            assert stream.socket.getpeername()[1] == int(port)
    finally:
        for listener in listeners:
            await listener.aclose()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("target", [b"//[", b"http://[::1/ws", b"//[/ws?events=voicechat"])
async def test_address_that_cannot_be_read_is_a_bad_request(
    target: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with a_server() as running:
        said = await answer(running.url, b"GET " + target + b" HTTP/1.1\r\n" + UPGRADE)
        assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 403"))
        assert "Traceback" not in "".join(capfd.readouterr())


GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET + GET, b"200"),
        (GET + b"PO", b"200"),
        (GET + b"\0", b"200"),
        (b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab\r\n", b"405"),
        (b"HEAD" + GET[3:], b"200"),
    ],
)
async def test_what_comes_behind_a_request_does_not_cost_its_answer(
    request_bytes: bytes, status: bytes
) -> None:
    async with a_server() as running:
        # Whether the server answers first or reads on first is a matter of chance.
        for _ in range(12):
            assert (await answer(running.url, request_bytes)).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("target", "answered"),
    [
        (b"http://x/health", b"200"),
        (b"HTTPS://me:secret@x:80/health?a=http://x/health", b"200"),
        (b"http://x", b"404"),
        (b"http://x?a", b"404"),
        (b"ftp://x/health", b"404"),
        (b"/http://x/health", b"404"),
    ],
)
async def test_target_may_be_absolute(target: bytes, answered: bytes) -> None:
    """As to a proxy: RFC 9112, section 3.2.2."""
    async with a_server() as running:
        request = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (await answer(running.url, request)).startswith(b"HTTP/1.1 " + answered)


async def test_body_may_come_in_pieces() -> None:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    async with a_server((Route("/echo", echo, methods=["POST"]),)) as running:
        host, port = running.url.removeprefix("ws://").removesuffix("/ws").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
            for piece in (b"ab", b"cd", b"ef", b"gh"):
                await stream.send_all(piece)
                await trio.testing.wait_all_tasks_blocked()
            said = b"".join([part async for part in stream])
        assert said.endswith(b"\r\n\r\nabcdef")


async def test_wrong_method_is_told_the_right_one() -> None:
    async with a_server() as running:
        said = await answer(running.url, b"DELETE" + GET[3:])
        assert said.startswith(b"HTTP/1.1 405")
        assert b"\r\nallow: GET, HEAD\r\n" in said or b"\r\nallow: HEAD, GET\r\n" in said


async def test_a_flood_of_pings_is_closed_and_the_others_are_served() -> None:
    ping = b"\x89\x80\0\0\0\0"
    async with a_server(messages_per_s=100) as running, connect(running.url) as other:
        host, port = running.url.removeprefix("ws://").removesuffix("/ws").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(b"GET /ws HTTP/1.1\r\n" + UPGRADE)
            await stream.send_all(ping * 10_000)
            said = b"".join([part async for part in stream])
        assert said.endswith(b"\x11Mtoo many frames"), "a close frame of 4429"
        await other.start(e.InputOptions())


def test_messages_may_come_in_pieces_however_few_there_may_be() -> None:
    assert most_frames_per_s(10) == 1000
    assert most_frames_per_s(500) == 5000


@pytest.mark.parametrize(
    ("authorization", "target", "is_known"),
    [
        (b"Bearer one", b"/ws", True),
        (b"bearer  one", b"/ws", True),
        (b"Basic dXNlcjpwYXNz", b"/ws?token=one", True),
        (b"Bearer two", b"/ws?token=one", True),
        (b"Basic one", b"/ws", False),
        (b"one", b"/ws?token=", False),
        (b"Bearer ", b"/ws?token=one&token=two", False),
        (b"Bearer \xff", b"/ws?token=%ff%00", False),
    ],
)
async def test_tokens_and_what_is_none(authorization: bytes, target: bytes, is_known: bool) -> None:
    async with a_server(auth_tokens=Secret("one")) as running:
        host, port = running.url.removeprefix("ws://").removesuffix("/ws").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            head = b"GET " + target + b" HTTP/1.1\r\nAuthorization: " + authorization + b"\r\n"
            await stream.send_all(head + UPGRADE)
            said = b""
            while b"sessionId" not in said:
                said += await stream.receive_some()
        assert (b"connection.lifecycle.ack" in said) is is_known


def test_a_setting_without_a_token_in_it_lets_nobody_in() -> None:
    assert is_admitted(Secret(""), "", {})
    assert not is_admitted(Secret(","), "", {})
    assert not is_admitted(Secret(","), "Bearer ,", {"token": [""]})


@frozen
class _Hook:
    """The model's provider, which does something as a session is made."""

    provider: Any
    then: Any

    def for_session(self) -> Any:
        self.then()
        return self.provider.for_session()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)


async def test_session_that_begins_as_the_server_stops_is_asked_to_close_too() -> None:
    async with a_server() as running, trio.open_nursery() as nursery:
        server = running.server
        hook = _Hook(server.providers.llm, lambda: nursery.start_soon(server.drain))
        server.providers = attrs.evolve(server.providers, llm=hook)
        async with connect(running.url) as client:
            seen = [type(message) async for _, message in client.events]
        assert e.Maintenance in seen
        assert client.closed is not None


async def test_session_that_cannot_be_made_is_closed_with_1011() -> None:
    def fail() -> None:
        raise RuntimeError("no model today")

    async with a_server() as running:
        server = running.server
        server.providers = attrs.evolve(server.providers, llm=_Hook(server.providers.llm, fail))
        with pytest.raises(Exception, match="1011"):
            async with connect(running.url):
                pass
        await running.no_sessions()


@define
class _Mute:
    """A client that answers no ping and says nothing, and may take nothing of what it is sent."""

    reads: bool
    sent: int = 0
    held: int | None = None
    goodbye: str = "none"
    over: trio.Event = field(factory=trio.Event)

    async def receive(self) -> bytes | str | None:
        await trio.sleep_forever()

    async def send(self, *messages: bytes | str, within_s: float) -> None:
        with trio.fail_after(within_s):
            if not self.reads:
                await trio.sleep_forever()

    async def ping(self) -> None:
        await trio.sleep_forever()

    def let_go(self) -> None:
        pass


@pytest.mark.parametrize(
    ("reads", "why"),
    [
        (False, "a message was not read within 5 s"),
        (True, "a ping was not answered within 8 s"),
    ],
)
async def test_why_a_client_was_given_up_is_in_the_log(
    reads: bool, why: str, autojump_clock: object
) -> None:
    server_settings = ServerSettings(
        send_timeout_ms=5000, ping_interval_ms=20_000, ping_timeout_ms=8000
    )
    chosen = Settings(server=server_settings)
    setup = CallSetup(settings=chosen, direct=True)
    with capture_logs() as logs:
        async with trio.open_nursery() as nursery, providers_of(new_call(setup, nursery)) as ready:
            server = Server(chosen, ready)
            socket = cast(WebSocket, _Mute(reads))
            assert await server.hold(socket, "s-1", lambda: server.new_call("unified", "s-1"))
            nursery.cancel_scope.cancel()
    [closed] = (line for line in logs if line["event"] == "session closed")
    assert closed["reason"] == why
