"""HTTP/1.1 over trio's streams: what is kept, what is closed, and what fails how."""

from __future__ import annotations

import gzip
import ssl
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import httpx2
import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import HANG_S
from vantum.providers.dialling import CONNECTED, open_tcp
from vantum.providers.http11 import Http11Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ZIPPED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n"
URL = "http://model.test/v1/chat"


@define(eq=False)
class Server:
    """The far end: answers each request that it has heard to its end with the next of `answers`.

    An answer is sent in its pieces; None among them closes the connection.
    """

    answers: deque[Sequence[bytes | None]]
    heard: list[bytes] = field(factory=list)
    connections: list[trio.abc.Stream] = field(factory=list)
    gone: list[trio.abc.Stream] = field(factory=list)

    async def open(self, _host: str, _port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        self.connections.append(theirs)
        trio.lowlevel.spawn_system_task(self._serve, theirs)
        return ours

    async def _serve(self, stream: trio.abc.Stream) -> None:
        while data := await stream.receive_some():
            self.heard.append(bytes(data))
            for piece in self.answers.popleft():
                if piece is None:
                    await stream.aclose()
                    return
                await stream.send_all(piece)
        self.gone.append(stream)

    async def all_gone(self) -> None:
        while len(self.gone) < len(self.connections):
            await trio.lowlevel.checkpoint()


def server(*answers: bytes | Sequence[bytes | None]) -> Server:
    return Server(deque([a] if isinstance(a, bytes) else a for a in answers))


def client(
    server: Server, *, keep_idle_s: float = 300.0, max_idle: int = 10, connect_s: float | None = 5.0
) -> httpx2.AsyncClient:
    transport = Http11Transport(
        "openai", keep_idle_s=keep_idle_s, max_idle=max_idle, open_stream=server.open
    )
    timeout = httpx2.Timeout(None, connect=connect_s)
    return httpx2.AsyncClient(transport=transport, timeout=timeout)


async def test_requests_share_a_connection_and_each_is_one_write() -> None:
    peer = server(OK, OK)
    async with client(peer) as http:
        first = await http.post(URL, content=b"one", headers={"Authorization": "Bearer x"})
        again = await http.get(URL + "?a=b")
    assert (first.text, again.text, first.http_version) == ("hi", "hi", "HTTP/1.1")
    assert peer.heard[0].startswith(b"POST /v1/chat HTTP/1.1\r\nHost: model.test\r\n")
    assert b"\r\nAuthorization: Bearer x\r\n" in peer.heard[0]
    assert peer.heard[0].endswith(b"\r\n\r\none")
    assert peer.heard[1].startswith(b"GET /v1/chat?a=b HTTP/1.1\r\n")
    assert len(peer.connections) == 1
    assert first.request.extensions[CONNECTED] is True
    assert CONNECTED not in again.request.extensions


async def test_two_at_once_need_two_connections() -> None:
    peer = server(OK, OK, OK)
    async with (
        client(peer) as http,
        http.stream("GET", URL) as first,
        http.stream("GET", URL) as second,
    ):
        assert await first.aread() == await second.aread() == b"hi"
        await http.get(URL)
    assert len(peer.connections) == 2


@pytest.mark.parametrize(
    ("answer", "text", "kept"),
    [
        (OK, "hi", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "", True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "hi", True),
        (CHUNKED + b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", "hi", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "hi", False),
        (b"HTTP/1.1 200 OK\r\n\r\nhi", "hi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", False),
        (ZIPPED + gzip.compress(b"hi", mtime=0), "hi", True),
    ],
)
@pytest.mark.parametrize("pieces", [1, 1000])
async def test_responses_of_every_form(answer: bytes, text: str, kept: bool, pieces: int) -> None:
    size = -(-len(answer) // pieces)
    cut = [answer[n : n + size] for n in range(0, len(answer), size)]
    peer = server([*cut, *([] if kept else [None])], OK)
    async with client(peer) as http:
        assert (await http.get(URL)).text == text
        assert (await http.get(URL)).text == "hi"
    assert len(peer.connections) == (1 if kept else 2)


async def test_a_connection_with_words_that_nobody_asked_for_is_not_used_again() -> None:
    peer = server(OK + b"HTTP/1.1 200 OK", OK)
    async with client(peer) as http:
        await http.get(URL)
        assert (await http.get(URL)).text == "hi"
    assert len(peer.connections) == 2


@given(st.lists(st.binary(min_size=1), max_size=5), st.integers(1, 40))
def test_a_body_is_the_same_however_it_is_cut(parts: list[bytes], size: int) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    peer = server([whole[n : n + size] for n in range(0, len(whole), size)])

    async def ask() -> bytes:
        async with client(peer) as http:
            return (await http.get(URL)).content

    assert trio.run(ask) == b"".join(parts)


@pytest.mark.parametrize(
    "answer",
    [
        [None],
        [b"HTTP/1.1 2", None],
        [ENDLESS, None],
        [b"SSH-2.0-OpenSSH\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000],
        [CHUNKED + b"zz\r\n"],
    ],
)
async def test_answers_that_break_off_or_make_no_sense(answer: list[bytes | None]) -> None:
    peer = server(answer, OK)
    async with client(peer) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(URL)
        assert (await http.get(URL)).text == "hi"
    assert len(peer.connections) == 2


async def test_chunks_that_come_together_are_one_piece_and_stand_before_a_failure() -> None:
    peer = server([CHUNKED + b"1\r\nh\r\n2\r\ni!\r\nzz\r\n"])
    async with client(peer) as http, http.stream("GET", URL) as response:
        pieces = response.aiter_raw()
        assert await anext(pieces) == b"hi!"
        with pytest.raises(httpx2.RemoteProtocolError):
            await anext(pieces)
        await pieces.aclose()


async def test_a_stream_that_is_broken_is_a_read_error() -> None:
    class Broken(trio.abc.HalfCloseableStream):
        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            raise trio.BrokenResourceError

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            raise trio.BrokenResourceError

        async def wait_send_all_might_not_block(self) -> None: ...
        async def send_eof(self) -> None: ...
        async def aclose(self) -> None: ...

    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        return Broken()

    transport = Http11Transport("openai", keep_idle_s=1, max_idle=1, open_stream=open_stream)
    async with httpx2.AsyncClient(transport=transport) as http:
        with pytest.raises(httpx2.ReadError):
            await http.get(URL)


async def test_who_refuses_and_closes_is_understood() -> None:
    """A server need not read all of a request that it does not want."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"

    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(refusal)
        await theirs.send_eof()
        theirs.receive_stream.close()  # whatever we write fails
        return ours

    transport = Http11Transport("openai", keep_idle_s=1, max_idle=1, open_stream=open_stream)
    async with httpx2.AsyncClient(transport=transport) as http:
        assert (await http.post(URL, content=b"much")).status_code == 413


async def test_a_request_that_is_no_http() -> None:
    async with client(server()) as http:
        with pytest.raises(httpx2.LocalProtocolError):
            await http.get(URL, headers={"Authorization": "Bearer a\r\nb"})


async def test_nobody_is_there() -> None:
    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        raise OSError("refused")

    transport = Http11Transport("openai", keep_idle_s=1, max_idle=1, open_stream=open_stream)
    async with httpx2.AsyncClient(transport=transport) as http:
        with pytest.raises(httpx2.ConnectError, match=r"no connection to model\.test:80"):
            await http.get(URL)


@pytest.mark.parametrize("limit_s", [5.0, None])
async def test_no_connection_in_time(limit_s: float | None, autojump_clock: object) -> None:
    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        await trio.sleep(6)
        raise OSError("too late")

    transport = Http11Transport("openai", keep_idle_s=1, max_idle=1, open_stream=open_stream)
    timeout = httpx2.Timeout(None, connect=limit_s)
    async with httpx2.AsyncClient(transport=transport, timeout=timeout) as http:
        with pytest.raises(httpx2.ConnectTimeout if limit_s else httpx2.ConnectError):
            await http.get(URL)
        assert trio.current_time() == (limit_s or 6.0)


# ---------------------------------------------------------------- what is kept


async def test_a_body_that_was_read_stays_at_its_end_and_is_given_back_once() -> None:
    peer = server(OK, OK, OK)
    transport = Http11Transport("openai", keep_idle_s=60, max_idle=9, open_stream=peer.open)
    first = await transport.handle_async_request(httpx2.Request("GET", URL))
    body = first.stream
    assert isinstance(body, httpx2.AsyncByteStream)
    assert [piece async for piece in body] == [b"hi"]
    assert [piece async for piece in body] == []
    await body.aclose()
    await body.aclose()
    second = await transport.handle_async_request(httpx2.Request("GET", URL))
    await transport.handle_async_request(httpx2.Request("GET", URL))
    assert len(peer.connections) == 2
    assert second.status_code == 200


async def test_an_answer_that_is_given_up_costs_its_connection() -> None:
    peer = server([ENDLESS], OK)
    async with client(peer) as http:
        async with http.stream("GET", URL):
            pass
        await http.get(URL)
        assert len(peer.connections) == 2
        while not peer.gone:
            await trio.lowlevel.checkpoint()
        assert peer.gone == peer.connections[:1]
    await peer.all_gone()


async def test_a_request_that_is_given_up_costs_its_connection(autojump_clock: object) -> None:
    peer = server([])
    async with client(peer) as http:
        with trio.move_on_after(1) as scope:
            await http.get(URL)
        assert scope.cancelled_caught
        await peer.all_gone()


async def test_connections_are_kept_for_a_while(autojump_clock: object) -> None:
    peer = server(OK, OK, OK)
    async with client(peer, keep_idle_s=60) as http:
        for wait_s in (59, 61, 0):
            await http.get(URL)
            await trio.sleep(wait_s)
    assert len(peer.connections) == 2
    await peer.all_gone()


async def test_only_so_many_are_kept() -> None:
    peer = server(*[OK] * 6)
    async with client(peer, max_idle=2) as http:
        async with (
            http.stream("GET", URL) as a,
            http.stream("GET", URL) as b,
            http.stream("GET", URL) as c,
        ):
            for response in (a, b, c):
                await response.aread()
        while not peer.gone:
            await trio.lowlevel.checkpoint()
        assert peer.gone == peer.connections[:1]  # the one that was idle for longest


async def test_another_server_gets_a_connection_of_its_own() -> None:
    peer = server(OK, OK, OK)
    async with client(peer) as http:
        await http.get("http://one.test/")
        await http.get("http://one.test:81/")
        await http.get("http://one.test:80/")
    assert len(peer.connections) == 2


async def test_closing_closes_the_idle_and_then_the_others() -> None:
    peer = server(OK, OK)
    http = client(peer)
    request = http.build_request("GET", URL)
    used = await http.send(request, stream=True)
    await http.get(URL)
    await http.aclose()
    assert await used.aread() == b"hi"
    await peer.all_gone()
    assert len(peer.gone) == 2


async def test_a_kept_connection_that_the_server_has_closed_is_not_used() -> None:
    """On real sockets: only they know that something has come."""
    connections = 0
    closed = trio.Event()

    async def serve(stream: trio.SocketStream) -> None:
        nonlocal connections
        connections += 1
        await stream.receive_some()
        await stream.send_all(OK)
        if connections == 1:
            await stream.aclose()
            closed.set()
        else:
            await stream.receive_some()

    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
            transport = Http11Transport("openai", keep_idle_s=60, max_idle=9, open_stream=open_tcp)
            async with httpx2.AsyncClient(transport=transport) as http:
                first = await http.get(url)
                await closed.wait()
                again = await http.get(url)
            nursery.cancel_scope.cancel()
    assert (first.text, again.text, connections) == ("hi", "hi", 2)
    assert again.request.extensions[CONNECTED] is True


async def test_over_tls(certificate: Path, autojump_clock: object) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    asked: list[tuple[str, int]] = []
    async with trio.open_nursery() as nursery:

        async def serve(stream: trio.abc.Stream) -> None:
            secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            while await secured.receive_some():
                await secured.send_all(OK)

        async def open_stream(host: str, port: int) -> trio.abc.Stream:
            asked.append((host, port))
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(serve, theirs)
            return ours

        def transport(tls: ssl.SSLContext | None) -> Http11Transport:
            return Http11Transport(
                "openai", keep_idle_s=1, max_idle=1, tls=tls, open_stream=open_stream
            )

        trusting = ssl.create_default_context(cafile=certificate)
        async with httpx2.AsyncClient(transport=transport(trusting)) as http:
            for _ in range(2):
                assert (await http.get("https://localhost/")).text == "hi"
        assert asked == [("localhost", 443)]
        nursery.cancel_scope.cancel()
