"""Our WebSocket against trio-websocket and wsproto, which know nothing of it."""

from __future__ import annotations

import gc
import socket as stdlib_socket
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    wrap_client_stream,
    wrap_server_stream,
)
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from tests.patience import until
from vantum.tcp import TcpStream
from vantum.websocket import BadHandshake, WebSocket, accept, connect, keep_alive

Stapled = trio.StapledStream[MemorySendStream, MemoryReceiveStream]
REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


@asynccontextmanager
async def accepted(limit: int = 1000) -> AsyncIterator[tuple[WebSocket, WebSocketConnection]]:
    """Our server's side and trio-websocket's client."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        found: list[WebSocket] = []

        async def serve() -> None:
            found.append(await accept(ours, subprotocol="b", max_message_bytes=limit))

        nursery.start_soon(serve)
        any_stream = cast(trio.SocketStream, theirs)
        client = await wrap_client_stream(nursery, any_stream, "x", "/ws", subprotocols=["a", "b"])
        assert client.subprotocol == "b"
        yield found[0], client
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def raw(
    limit: int = 1000, frames_per_s: float | None = None
) -> AsyncIterator[tuple[WebSocket, Connection, Stapled]]:
    """Our server's side, and a bare stream with a protocol to make its bytes."""
    ours, theirs = memory_stream_pair()
    await theirs.send_all(REQUEST + b"\r\n")
    socket = await accept(
        ours, subprotocol=None, max_message_bytes=limit, frames_per_s=frames_per_s
    )
    head = bytes(await theirs.receive_some())
    assert head.startswith(b"HTTP/1.1 101 ")
    assert head.endswith(b"\r\n\r\n")
    yield socket, Connection(ConnectionType.CLIENT), theirs


async def said(protocol: Connection, stream: Stapled) -> list[object]:
    protocol.receive_data(bytes(await stream.receive_some()))
    return list(protocol.events())


async def test_messages_both_ways() -> None:
    async with accepted() as (socket, client):
        await client.send_message(b"\x00\xff")
        await client.send_message("ä")
        assert await socket.receive() == b"\x00\xff"
        assert await socket.receive() == "ä"
        await socket.send(b"\x01")
        await socket.send("ö")
        assert await client.get_message() == b"\x01"
        assert await client.get_message() == "ö"


async def test_several_messages_leave_in_one_write() -> None:
    async with raw() as (socket, protocol, stream):
        await socket.send(b"\x01", "ö", b"\x02")
        assert await said(protocol, stream) == [
            BytesMessage(data=bytearray(b"\x01")),
            TextMessage(data="ö"),
            BytesMessage(data=bytearray(b"\x02")),
        ]


async def test_what_came_in_one_read_is_handed_out_without_waiting() -> None:
    async with raw() as (socket, protocol, stream):
        await stream.send_all(
            b"".join(protocol.send(BytesMessage(data=bytes([n]))) for n in range(3))
        )
        assert await socket.receive() == b"\x00"
        with trio.CancelScope() as scope:
            scope.cancel()
            assert await socket.receive() == b"\x01"
            assert await socket.receive() == b"\x02"
            await socket.receive()
        assert scope.cancelled_caught


async def test_fragments_are_joined_and_pings_between_them_answered() -> None:
    async with raw() as (socket, protocol, stream):
        sent = protocol.send(TextMessage(data="hel", message_finished=False))
        sent += protocol.send(Ping(payload=b"p"))
        sent += protocol.send(TextMessage(data="lo ä", message_finished=True))
        sent += protocol.send(BytesMessage(data=b"a", message_finished=False))
        sent += protocol.send(BytesMessage(data=b"b", message_finished=True))
        for byte in sent:
            await stream.send_all(bytes([byte]))
        assert await socket.receive() == "hello ä"
        assert await socket.receive() == b"ab"
        assert await said(protocol, stream) == [Pong(payload=b"p")]


async def test_text_that_is_not_utf_8_drops_nothing() -> None:
    async with raw() as (socket, protocol, stream):
        text = bytes([0x81, 0x82]) + bytes(4) + b"\xc3("
        await stream.send_all(text + protocol.send(BytesMessage(data=b"good")))
        assert await socket.receive() == "\ufffd("
        assert await socket.receive() == b"good"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (bytes([0x82, 0xFE]) + (1001).to_bytes(2) + bytes(4 + 1001), 1009),
        (b"\x82\x01x", 1002),  # not masked
        (bytes([0x88, 0x83]) + bytes(4) + b"\x03\xe8\xff", 1007),  # a reason that is no text
        (bytes([0xC2, 0x81]) + bytes(4) + b"x", 1002),  # a reserved bit
        (bytes([0x80, 0x81]) + bytes(4) + b"x", 1002),  # continues nothing
    ],
)
async def test_a_peer_that_breaks_the_rules_is_told_and_closed(frame: bytes, code: int) -> None:
    async with raw() as (socket, protocol, stream):
        await stream.send_all(protocol.send(BytesMessage(data=b"good")) + frame)
        assert await socket.receive() == b"good"
        assert await socket.receive() is None
        closing = (await said(protocol, stream))[0]
        assert isinstance(closing, CloseConnection)
        assert closing.code == code
        with pytest.raises(trio.BrokenResourceError):
            await socket.send(b"late")


async def test_the_limit_holds_for_all_fragments_together() -> None:
    async with raw(limit=10) as (socket, protocol, stream):
        await stream.send_all(
            protocol.send(BytesMessage(data=bytes(8), message_finished=False))
            + protocol.send(BytesMessage(data=bytes(8), message_finished=True))
        )
        assert await socket.receive() is None
        closing = (await said(protocol, stream))[0]
        assert isinstance(closing, CloseConnection)
        assert closing.code == 1009
        assert socket.goodbye.startswith("ours: 1009 frame with 8 bytes")


async def test_the_peer_says_goodbye() -> None:
    async with accepted() as (socket, client):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose, 1001, "bye")
            assert await socket.receive() is None
        assert (socket.close_code, socket.close_reason) == (1001, "bye")
        assert socket.goodbye == "the peer's: 1001"
        assert socket.over.is_set()
        assert await socket.receive() is None


async def test_we_say_goodbye_while_nobody_reads() -> None:
    async with accepted() as (socket, client):
        assert socket.goodbye == "none"
        await client.send_message(b"late")
        await socket.close(4429, "too many")
        assert socket.goodbye == "ours: 4429 too many"
        assert await socket.receive() is None
        with pytest.raises(ConnectionClosed) as caught:
            await client.get_message()
        assert caught.value.reason is not None
        assert (caught.value.reason.code, caught.value.reason.reason) == (4429, "too many")
        await socket.close()  # once more is nothing


async def test_we_say_goodbye_while_somebody_reads() -> None:
    async with accepted() as (socket, _):
        found: list[object] = []

        async def read() -> None:
            found.append(await socket.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            await socket.close(1000)
        assert found == [None]


async def test_who_reads_while_we_say_goodbye_gets_nothing() -> None:
    async with raw() as (socket, protocol, stream), trio.open_nursery() as nursery:
        nursery.start_soon(socket.close)
        await trio.testing.wait_all_tasks_blocked()
        found: list[object] = []

        async def read() -> None:
            found.append(await socket.receive())

        nursery.start_soon(read)
        await stream.send_all(protocol.send(BytesMessage(data=b"late")))
        await trio.testing.wait_all_tasks_blocked()
        assert not found
        await said(protocol, stream)
        await stream.send_all(protocol.send(CloseConnection(code=1000)))
        await trio.testing.wait_all_tasks_blocked()
        assert found == [None]


async def test_a_connection_that_just_ends() -> None:
    async with raw() as (socket, _, stream):
        await stream.aclose()
        assert await socket.receive() is None
        assert socket.close_code == 1006
        assert socket.close_reason == ""
        assert socket.goodbye == "none"
        assert not socket.whole
        with pytest.raises(trio.BrokenResourceError):
            await socket.ping()
        await socket.close()


async def test_a_send_that_was_cut_short_is_the_last() -> None:
    async with raw() as (socket, protocol, stream):
        stapled = socket._stream
        assert isinstance(stapled, trio.StapledStream)

        async def stuck() -> None:
            await trio.sleep_forever()

        stapled.send_stream.send_all_hook = stuck
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.send, b"half")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(socket.send, b"waits behind it")
            await trio.testing.wait_all_tasks_blocked()
            # A ping is read in spite of it.
            await stream.send_all(protocol.send(Ping()) + protocol.send(BytesMessage(data=b"more")))
            assert await socket.receive() == b"more"
            nursery.cancel_scope.cancel()
        assert not socket.whole
        with pytest.raises(trio.BrokenResourceError):
            await socket.send(b"next")
        await socket.close()  # does not wait for anybody


async def test_a_send_is_late_if_the_peer_does_not_read(autojump_clock: trio.abc.Clock) -> None:
    async with raw() as (socket, _, _):
        stapled = socket._stream
        assert isinstance(stapled, trio.StapledStream)
        stapled.send_stream.send_all_hook = trio.sleep_forever
        began_s = trio.current_time()
        with pytest.raises(trio.TooSlowError):
            await socket.send(b"half", within_s=3)
        assert trio.current_time() == began_s + 3
        assert not socket.whole
        with pytest.raises(trio.BrokenResourceError):
            await socket.send(b"next", within_s=3)


async def test_a_send_is_late_if_others_do_not_come_to_an_end(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with raw() as (socket, protocol, stream), trio.open_nursery() as nursery:
        stapled = socket._stream
        assert isinstance(stapled, trio.StapledStream)
        nursery.start_soon(socket.receive)
        stapled.send_stream.send_all_hook = trio.sleep_forever
        await stream.send_all(protocol.send(Ping()))  # its pong waits
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.TooSlowError):
            await socket.send(b"behind it", within_s=3)
        nursery.cancel_scope.cancel()


async def test_a_send_that_is_cancelled_before_it_waits_sends_nothing() -> None:
    async with accepted() as (socket, client):
        with trio.CancelScope() as scope:
            scope.cancel()
            await socket.send(b"never")
        assert scope.cancelled_caught
        assert socket.whole
        await socket.send(b"this")
        assert await client.get_message() == b"this"


async def test_on_a_socket_a_message_leaves_without_a_wait() -> None:
    ours, theirs = stdlib_socket.socketpair()
    plain = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    peer = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    async with plain, peer:
        await peer.send_all(REQUEST + b"\r\n")
        socket = await accept(TcpStream(plain), subprotocol=None, max_message_bytes=1000)
        await peer.receive_some()
        await socket.send(b"abc", within_s=0)
        assert (await peer.receive_some()).endswith(b"abc")
        # What the kernel has no room for waits, and no longer than it may.
        with pytest.raises(trio.TooSlowError):
            await socket.send(bytes(32 << 20), within_s=0)
        assert not socket.whole


async def test_a_pong_counts_for_all_pings_before_it(autojump_clock: trio.abc.Clock) -> None:
    async with raw() as (socket, protocol, stream), trio.open_nursery() as nursery:
        nursery.start_soon(socket.receive)
        for _ in range(3):
            nursery.start_soon(socket.ping)
            await trio.testing.wait_all_tasks_blocked()
        pings = [e.payload for e in await said(protocol, stream) if isinstance(e, Ping)]
        await stream.send_all(protocol.send(Pong(payload=b"unasked")))
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 4
        await stream.send_all(protocol.send(Pong(payload=bytes(pings[1]))))
        await trio.testing.wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 2
        nursery.cancel_scope.cancel()


async def test_keep_alive_ends_when_a_pong_is_late(autojump_clock: trio.abc.Clock) -> None:
    async with accepted() as (socket, _), trio.open_nursery() as nursery:
        nursery.start_soon(socket.receive)
        with trio.move_on_after(100) as alive:
            await keep_alive(socket, interval_s=10, timeout_s=5)
        assert alive.cancelled_caught
        nursery.cancel_scope.cancel()
    async with raw() as (socket, _, _stream):
        began_s = trio.current_time()
        await keep_alive(socket, interval_s=10, timeout_s=5)
        assert trio.current_time() - began_s == pytest.approx(15)


async def test_who_pings_and_reads_nothing_is_given_up(autojump_clock: trio.abc.Clock) -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(REQUEST + b"\r\n")
    socket = await accept(ours, subprotocol=None, max_message_bytes=1000, answer_timeout_s=5)
    ours.send_stream.send_all_hook = trio.sleep_forever
    await theirs.send_all(Connection(ConnectionType.CLIENT).send(Ping(payload=b"x")))
    with trio.fail_after(100):
        assert await socket.receive() is None
    assert trio.current_time() == pytest.approx(5)
    assert not socket.whole


async def test_keep_alive_ends_with_the_connection(autojump_clock: trio.abc.Clock) -> None:
    began_s = trio.current_time()
    async with raw() as (socket, _, stream), trio.open_nursery() as nursery:
        nursery.start_soon(partial(keep_alive, socket, interval_s=1, timeout_s=1e6))
        nursery.start_soon(socket.receive)
        await trio.sleep(2)
        await stream.aclose()
    assert trio.current_time() - began_s < 10, "it does not wait for a pong that cannot come"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (REQUEST.replace(b"Version: 13", b"Version: 8") + b"\r\n", b"426"),
        (REQUEST.replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"short") + b"\r\n", b"400"),
        (REQUEST.replace(b"GET", b"PUT") + b"\r\n", b"405"),
        (REQUEST + b"Content-Length: 3\r\n\r\nabc", b"400"),
    ],
)
async def test_a_bad_request_is_answered(request_bytes: bytes, status: bytes) -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(request_bytes)
    with pytest.raises(BadHandshake):
        await accept(ours, subprotocol=None, max_message_bytes=10)
    answer = bytes(await theirs.receive_some())
    assert answer[9:12] == status
    assert (b"\r\nSec-WebSocket-Version: 13\r\n" in answer) == (status == b"426")


async def test_a_request_that_breaks_off() -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(REQUEST)
    await theirs.send_eof()
    with pytest.raises(BadHandshake):
        await accept(ours, subprotocol=None, max_message_bytes=10)


# ---------------------------------------------------------------- the client's side


async def test_connect() -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        seen: list[tuple[str, dict[bytes, bytes]]] = []

        async def serve() -> None:
            request = await wrap_server_stream(nursery, theirs)
            seen.append((request.path, dict(request.headers)))
            peer = await request.accept()
            # With the handshake's answer still unread: the first message is right behind it.
            await peer.send_message("first")
            await peer.send_message(await peer.get_message())

        nursery.start_soon(serve)
        headers = [(b"Authorization", b"Token k")]
        socket = await connect(ours, "h:1", "/p?q=1", headers=headers, max_message_bytes=100)
        assert seen[0][0] == "/p?q=1"
        assert seen[0][1][b"authorization"] == b"Token k"
        await socket.send(b"masked")
        assert await socket.receive() == "first"
        assert await socket.receive() == b"masked"
        nursery.cancel_scope.cancel()


async def test_hints_before_the_answer_are_passed_over() -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await theirs.send_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await (await wrap_server_stream(nursery, theirs)).accept()

        nursery.start_soon(serve)
        assert (await connect(ours, "h", "/", max_message_bytes=100)).whole
        nursery.cancel_scope.cancel()


async def test_connect_is_refused() -> None:
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            request = await wrap_server_stream(nursery, theirs)
            await request.reject(402)

        nursery.start_soon(serve)
        with pytest.raises(BadHandshake) as caught:
            await connect(ours, "h", "/", max_message_bytes=100)
        assert caught.value.status == 402
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 101 ",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: wrong\r\n\r\n",
    ],
)
async def test_an_answer_that_is_none(answer: bytes) -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(answer)
    await theirs.send_eof()
    with pytest.raises(BadHandshake) as caught:
        await connect(ours, "h", "/", max_message_bytes=100)
    assert caught.value.status is None
    assert ("closed" in str(caught.value)) == (answer in (b"", b"HTTP/1.1 101 ")), (
        "not what it said"
    )


# ---------------------------------------------------------------- what has arrived


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_the_kernel_says_what_has_not_arrived() -> None:
    """A peer that does not read is one whose machine sooner or later acknowledges nothing more."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:
        bound = listener.socket.getsockname()[1]
        theirs = await trio.open_tcp_stream("127.0.0.1", bound)
        ours = await listener.accept()
        async with ours, theirs:
            await theirs.send_all(REQUEST + b"\r\n")
            socket = await accept(ours, subprotocol=None, max_message_bytes=1000)
            head = await theirs.receive_some()
            assert socket.sent == 0, "the handshake is no message"
            await until(lambda: socket.held == 0)
            nursery.start_soon(socket.send, bytes(32 << 20))
            await until(lambda: socket.held)
            assert (socket.held or 0) <= socket.sent
            assert socket.sent > 32 << 20
            left = socket.sent
            while left:
                left -= len(await theirs.receive_some())
            await until(lambda: socket.held == 0)
            assert head
        assert socket.held is None, "a closed one tells nothing"


async def test_a_stream_without_a_socket_tells_nothing() -> None:
    async with raw() as (socket, _, _):
        await socket.send(b"abc")
        assert socket.sent == 5
        assert socket.held is None


async def test_a_connection_that_is_let_go_of_holds_nothing() -> None:
    """Its last message may be a megabyte, and the collector comes seldom."""
    gc.disable()
    try:
        async with raw() as (socket, protocol, stream):
            await stream.send_all(protocol.send(BytesMessage(data=b"last")))
            assert await socket.receive() == b"last"
            await stream.aclose()
            assert await socket.receive() is None
            socket.let_go()
            parts = weakref.ref(socket), weakref.ref(socket._protocol)
            del socket
        assert [part() for part in parts] == [None, None]
    finally:
        gc.enable()
