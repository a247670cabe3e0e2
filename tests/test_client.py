"""The client on real sockets: addresses, and servers that are none or not in the mood."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Message, Request

from tests.patience import HANG_S, connect, nobody_listening
from tests.proxy import set_proxies, small_proxy
from vantum.client import ClientError, _address
from vantum.core import events as e
from vantum.wire.native import Vocabulary, decode, encode

TOKEN = "hunter2"


@pytest.mark.parametrize(
    ("url", "host", "port", "resource", "shown"),
    [
        ("ws://127.0.0.1:3001/ws", "127.0.0.1", 3001, "/ws", "ws://127.0.0.1:3001/ws"),
        ("127.0.0.1:3001", "127.0.0.1", 3001, "/ws", "ws://127.0.0.1:3001/ws"),
        ("localhost:3001", "localhost", 3001, "/ws", "ws://localhost:3001/ws"),
        (" http://a.example/ \n", "a.example", 80, "/ws", "ws://a.example/ws"),
        ("https://a.example", "a.example", 443, "/ws", "wss://a.example/ws"),
        ("wss://a.example/calls", "a.example", 443, "/calls", "wss://a.example/calls"),
        ("ws://[::1]:80/ws", "::1", 80, "/ws", "ws://[::1]:80/ws"),
        ("a.example?token=hunter2", "a.example", 80, "/ws?token=hunter2", "ws://a.example/ws"),
    ],
)
def test_addresses_as_people_write_them(
    url: str, host: str, port: int, resource: str, shown: str
) -> None:
    there = _address(url)
    assert (there.host, there.port, there.resource) == (host, port, resource)
    assert there.shown == shown


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("ws://a.example", "a.example"),
        ("ws://a.example:443", "a.example:443"),
        ("wss://a.example:443", "a.example"),
        ("ws://[::1]:3001", "[::1]:3001"),
    ],
)
def test_host_header(url: str, header: str) -> None:
    assert _address(url).host_header == header


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ws://",
        "ftp://a.example",
        "ws://a b/ws",
        "ws://a.example:0/ws",
        "ws://a.example:99999/ws",
        "ws://a.example:port/ws",
        "ws://[::1/ws",
        "ws://é.example/ws",
        "ws://me:hunter2@a.example/ws",
        "me:hunter2@a.example",
        "ws://a.example:0/ws?token=hunter2",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ClientError, match=r"is no address of a server; one is ws://") as caught:
        _address(url)
    assert "hunter2" not in str(caught.value)
    assert ("without user name" in str(caught.value)) is ("@" in url)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.text("ws:/[]@?#.1a ", max_size=20))
def test_any_text_is_an_address_or_is_refused_in_one_line(url: str) -> None:
    try:
        there = _address(url)
    except ClientError as error:
        printed = str(error)
    else:
        printed = there.shown
        assert 0 < there.port < 65_536
    assert printed.isprintable()


# ---------------------------------------------------------------- servers that are none

Serve = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def a_peer(serve: Serve) -> AsyncIterator[str]:
    """Serve connections on loopback; its address as host and port."""
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        with trio.fail_after(HANG_S):
            yield "127.0.0.1:{1}".format(*listeners[0].socket.getsockname())
        nursery.cancel_scope.cancel()


async def refused(url: str, **options: Any) -> str:
    with pytest.raises(ClientError) as caught:
        async with connect(url, token=TOKEN, **options):
            pytest.fail("connected")
    line = str(caught.value)
    assert TOKEN not in line
    assert line.isprintable()
    return line


async def test_nobody_there() -> None:
    with nobody_listening() as port:
        assert await refused(f"127.0.0.1:{port}/ws?token={TOKEN}") == (
            f"cannot connect to ws://127.0.0.1:{port}/ws: Connection refused "
            "(is a server running there?)"
        )


async def test_a_name_that_is_none() -> None:
    line = await refused("no-such-host.invalid")
    assert line.startswith("cannot connect to ws://no-such-host.invalid/ws: ")


async def test_an_http_server() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        request = await stream.receive_some()
        assert b"Authorization: Bearer hunter2\r\n" in request
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello")
        await stream.receive_some()

    async with a_peer(serve) as where:
        wanted = f"ws://{where}/ws is no Vantum server: it answers with HTTP status 404"
        assert await refused(where) == wanted


@pytest.mark.parametrize(
    ("answer", "timeout_s", "line"),
    [
        (
            b"220 mail.example ESMTP\r\n\r\n",
            HANG_S,
            "is no Vantum server: it speaks another protocol",
        ),
        (b"", 0.1, "did not answer as a Vantum server within 0.1 s"),
    ],
)
async def test_another_protocol(answer: bytes, timeout_s: float, line: str) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    async with a_peer(serve) as where:
        assert await refused(where, timeout_s=timeout_s) == f"ws://{where}/ws {line}"


async def test_a_server_without_tls() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.aclose()

    async with a_peer(serve) as where:
        line = await refused(f"https://{where}")
        wanted = f"wss://{where}/ws is no Vantum server: TLS with it fails: wrong version number"
        assert line == wanted


async def test_a_server_that_says_nothing() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with a_peer(serve) as where:
        line = await refused(where, timeout_s=0.05)
        assert line == f"ws://{where}/ws did not answer as a Vantum server within 0.05 s"


@pytest.mark.parametrize("token", ["two\nlines", "é", "a\x00"])
async def test_a_token_that_cannot_be_sent(token: str) -> None:
    with pytest.raises(ClientError, match="the token must be one line of printable ASCII"):
        async with connect("127.0.0.1:1", token=token):
            pass


# ---------------------------------------------------------------- servers in a bad mood


@asynccontextmanager
async def a_websocket(
    behave: Callable[[WebSocketConnection], Awaitable[None]],
) -> AsyncIterator[str]:
    async def serve(request: WebSocketRequest) -> None:
        with suppress(ConnectionClosed):
            await behave(await request.accept())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, serve, "127.0.0.1", 0, None)
        with trio.fail_after(HANG_S):
            yield f"ws://127.0.0.1:{server.port}/ws"
        nursery.cancel_scope.cancel()


def said(message: e.ServerMessage, vocabulary: Vocabulary = "unified") -> bytes:
    data = encode(message, vocabulary=vocabulary, session_id="s-1", new_id=lambda: "id")
    assert data is not None
    return data


@pytest.mark.parametrize(
    ("first", "line"),
    [
        (said(e.Busy(7, 7)), "the server takes no calls now: 7 of 7 sessions"),
        (
            said(e.ErrorReply(e.Request(), "auth_failed", "not authenticated")),
            "the server refuses: not authenticated",
        ),
        (
            said(e.Maintenance("down")),
            "the server takes no calls now: 'system.status.maintenance'",
        ),
        (
            said(e.Welcome(), "voicechat"),
            "the server does not speak the vocabulary unified: it begins with 'connection.ack'",
        ),
        (b"\x93abc", "what the server says is not Vantum's protocol: "),
        ("hello", "what the server says is not Vantum's protocol: text frame"),
        (None, "the server hung up: 4000 bye"),
    ],
)
async def test_what_a_server_says_first(first: bytes | str | None, line: str) -> None:
    async def behave(connection: WebSocketConnection) -> None:
        if first is not None:
            await connection.send_message(first)
        await connection.aclose(4000, "bye")

    async with a_websocket(behave) as url:
        assert (await refused(url)).startswith(line)


# ---------------------------------------------------------------- through a proxy


async def test_a_remote_server_is_reached_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_websocket(answering) as url, small_proxy() as proxy:
        set_proxies(monkeypatch, http=f"http://127.0.0.1:{proxy.port}")
        remote = url.replace("127.0.0.1", "calls.example")
        async with connect(remote) as client:
            await client.start(e.InputOptions())
        [head] = proxy.heads
        where = remote.removeprefix("ws://").removesuffix("/ws")
        assert head.startswith(f"CONNECT {where} HTTP/1.1\r\n".encode())
        # This machine, and what NO_PROXY excepts, is reached directly.
        async with connect(url):
            pass
        monkeypatch.setenv("NO_PROXY", "calls.example")
        assert (await refused("calls.example")).startswith("cannot connect to ws://calls.example")
        assert len(proxy.heads) == 1


async def test_a_server_with_tls_is_reached_through_the_proxy_for_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_websocket(answering) as url, small_proxy() as proxy:
        set_proxies(monkeypatch, https=f"http://127.0.0.1:{proxy.port}")
        port = url.rpartition(":")[2].removesuffix("/ws")
        line = await refused(f"wss://calls.example:{port}", timeout_s=HANG_S)
        assert line.startswith(f"wss://calls.example:{port}/ws is no Vantum server: TLS with it")
        assert len(proxy.heads) == 1


async def test_a_proxy_that_does_not_let_us_through(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_proxy() as proxy:
        proxy.wants = b"Basic bWU6Z2VoZWlt"
        set_proxies(monkeypatch, all=f"http://me:wrong@127.0.0.1:{proxy.port}")
        assert await refused("calls.example") == (
            f"cannot connect to ws://calls.example/ws: the proxy 127.0.0.1:{proxy.port} wants "
            "other credentials than those in its address (407)"
        )
        set_proxies(monkeypatch, all=f"socks5://me:wrong@127.0.0.1:{proxy.port}")
        line = await refused("calls.example")
        assert line.startswith("cannot connect to ws://calls.example/ws: ")
        assert "wrong" not in line


async def test_garbage_in_mid_call() -> None:
    async def behave(connection: WebSocketConnection) -> None:
        await connection.send_message(said(e.Welcome()))
        await connection.get_message()
        await connection.send_message(b"\xc1")
        await trio.sleep_forever()

    async with a_websocket(behave) as url:
        with pytest.raises(ClientError, match="not Vantum's protocol: not one whole"):
            async with connect(url) as client:
                await client.start(e.InputOptions())


async def answering(connection: WebSocketConnection) -> None:
    """Ack what is to be acked; tell of a state at each chunk; hang up at `EndCall`."""
    await connection.send_message(said(e.Welcome()))
    while True:
        data = await connection.get_message()
        match decode(data, "unified").message:
            case e.StartInput(request=request) | e.EndInput(request=request):
                await connection.send_message(said(e.Ack(request)))
            case e.EndCall():
                await connection.aclose(1000, "call ended")
                return
            case _:
                await connection.send_message(said(e.StateChanged("LISTENING", "THINKING", 0)))


async def test_hang_up_ends_events_and_requests() -> None:
    async with a_websocket(answering) as url, connect(url) as client:
        assert client.session_id == "s-1"
        await client.start(e.InputOptions())
        await client.interrupt()
        await client.played("u", 1.0)
        await client.end_call()
        seen = [message async for _, message in client.events]
        assert [type(m) for m in seen] == [e.Ack, e.StateChanged, e.StateChanged]
        assert client.closed == "1000 call ended"
        with pytest.raises(ClientError, match=r"^the server hung up: 1000 call ended$"):
            await client.end()
        with pytest.raises(ClientError, match=r"^the server hung up: 1000 call ended$"):
            await client.send_audio(b"\0\0")


async def test_hang_up_while_somebody_waits_for_an_ack() -> None:
    async def behave(connection: WebSocketConnection) -> None:
        await connection.send_message(said(e.Welcome()))
        await connection.get_message()
        await connection.aclose(1001, "maintenance")

    async with a_websocket(behave) as url, connect(url) as client:
        with pytest.raises(ClientError, match=r"^the server hung up: 1001 maintenance$"):
            await client.start(e.InputOptions())


async def test_events_that_nobody_wants_do_not_stop_the_acks() -> None:
    async with a_websocket(answering) as url, connect(url) as client:
        client.events.close()
        for _ in range(3):
            await client.send_audio(b"\0\0")
            await client.end()
        assert client.connection.closed is None


async def test_a_ping_that_crosses_our_goodbye_harms_nobody() -> None:
    async def serve(stream: trio.SocketStream) -> None:
        protocol = WSConnection(ConnectionType.SERVER)
        while data := await stream.receive_some():
            protocol.receive_data(bytes(data))
            for event in protocol.events():
                if isinstance(event, Request):
                    answer = protocol.send(AcceptConnection())
                    await stream.send_all(answer + protocol.send(Message(said(e.Welcome()))))
                elif isinstance(event, CloseConnection):
                    empty_ping = b"\x89\x00"
                    await stream.send_all(empty_ping + protocol.send(event.response()))

    async with a_peer(serve) as where, connect(where) as client:
        assert client.session_id == "s-1"


async def test_what_the_caller_raises_comes_out_as_it_is() -> None:
    async def talk(url: str, then: Callable[[], Awaitable[None]]) -> None:
        async with connect(url):
            await then()

    async def fail(error: Exception) -> None:
        raise error

    async def fail_twice(first: Exception, second: Exception) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, first)
            nursery.start_soon(fail, second)

    async with a_websocket(answering) as url:
        with pytest.raises(KeyError, match="mine"):
            await talk(url, partial(fail, KeyError("mine")))
        with pytest.raises(trio.TooSlowError):
            await talk(url, partial(fail, trio.TooSlowError()))
        # Both halves of a call notice a hang-up: it is one.
        with pytest.raises(ClientError, match="hung up"):
            await talk(url, partial(fail_twice, ClientError("hung up"), ClientError("hung up")))
        with pytest.RaisesGroup(ClientError, KeyError, flatten_subgroups=True):
            await talk(url, partial(fail_twice, ClientError("hung up"), KeyError("mine")))
