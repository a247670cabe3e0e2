"""One WebSocket to Cartesia: what goes where, and TLS."""

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair
from websockets.protocol import Protocol, Side

from tests.patience import HANG_S, until
from tests.providers.cartesia_call import KEY, call, check_whole, say
from vantum.config import CartesiaSettings, Secret
from vantum.errors import ProviderError
from vantum.providers.cartesia import link as link_module
from vantum.providers.cartesia import protocol
from vantum.providers.cartesia.client import CartesiaProvider
from vantum.providers.cartesia.link import Link
from vantum.testing.cartesia import CartesiaScript, SimulatedCartesia
from vantum.websocket import WebSocket, accept, connect


@pytest.fixture
async def link(nursery: trio.Nursery, autojump_clock: Any) -> Link:
    """One to a peer who reads nothing."""

    async def hold(*, task_status: trio.TaskStatus[Link]) -> None:
        async with trio.open_nursery() as own:
            stream, _ = lockstep_stream_pair()
            task_status.started(Link(WebSocket(stream, Protocol(Side.CLIENT)), own, 0.0))
            await trio.sleep_forever()

    held: Link = await nursery.start(hold)
    return held


async def test_replies_go_to_their_context_and_to_no_other(link: Link) -> None:
    one, two = link.open_context("one"), link.open_context("two")
    link.route(protocol.Chunk("one", b"11"))
    link.route(protocol.Chunk("two", b"22"))
    link.route(protocol.Chunk("nobody", b"33"))
    link.route(protocol.Unknown("news"))
    link.forget("two", cancel=False)
    link.route(protocol.Chunk("two", b"44"))
    link.route(protocol.Failure(None, 500, None))
    assert await one.receive() == protocol.Chunk("one", b"11")
    assert await one.receive() == protocol.Failure(None, 500, None)
    assert await two.receive() == protocol.Chunk("two", b"22")
    link.drop(ProviderError("cartesia", "network", "gone"))
    assert await one.receive() == "lost"
    with trio.move_on_after(0) as scope:
        await two.receive()
    assert scope.cancelled_caught


async def test_the_first_audio_of_an_answer_does_not_wait_for_what_came_with_it(
    link: Link,
) -> None:
    """What came with it is not understood, and would have ended the link before."""
    inbox = link.open_context("one")
    ours, theirs = memory_stream_pair()
    lost: list[bool] = []

    async def serve() -> None:
        socket = await accept(theirs, subprotocol=None, max_message_bytes=1000)
        chunk = {"type": "chunk", "context_id": "one", "data": "MTE=", "done": False}
        await socket.send(json.dumps(chunk), "no JSON")

    async def take() -> None:
        assert await inbox.receive() == protocol.Chunk("one", b"11")
        lost.append(link.lost.is_set())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        nursery.start_soon(take)
        socket = await connect(ours, "cartesia.test", "/", max_message_bytes=1000)
        await link_module._receive_all(link, socket)
    assert link.lost.is_set()
    assert lost == [False]


async def test_a_full_outbox_ends_the_link(link: Link) -> None:
    inbox = link.open_context("one")
    for _ in range(256):
        link.send("message")
    assert not link.lost.is_set()
    link.send("message")
    assert link.lost.is_set()
    assert link.error is not None
    assert link.error.kind == "network"
    assert await inbox.receive() == "lost"
    link.send("one more does no harm")


async def test_a_retired_link_ends_with_its_last_context(link: Link) -> None:
    link.open_context("one")
    link.open_context("two")
    link.retire()
    link.forget("one", cancel=True)
    assert link.busy
    assert not link.lost.is_set()
    link.forget("two", cancel=True)
    assert link.lost.is_set()


async def test_an_inbox_counts_what_was_not_taken(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "_MAX_INBOX_BYTES", 8)
    inbox = link.open_context("one")
    for _ in range(5):
        link.route(protocol.Chunk("one", b"12345678"))
        await inbox.receive()
    assert not link.lost.is_set()
    link.route(protocol.Chunk("one", b"12345678"))
    link.route(protocol.Chunk("one", b"9"))
    assert link.lost.is_set()


# ---------------------------------------------------------------- TLS


async def test_over_tls_with_a_certificate_that_is_checked(certificate: Path) -> None:
    peer = SimulatedCartesia(CartesiaScript(api_key=KEY))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await peer.serve_stream(stream)

    listeners = await trio.open_ssl_over_tcp_listeners(
        0, context, host="127.0.0.1", https_compatible=True
    )
    transport: Any = listeners[0].transport_listener
    port = transport.socket.getsockname()[1]

    async def open_stream(host: str, port: int) -> trio.abc.Stream:
        assert host == "localhost"
        return await trio.open_tcp_stream("127.0.0.1", port)

    settings = CartesiaSettings(api_key=Secret(KEY), base_url=f"https://localhost:{port}")
    provider = CartesiaProvider(settings, open_stream=open_stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        with trio.fail_after(HANG_S):
            async with trio.open_nursery() as trying:  # nobody has vouched for it yet
                trying.start_soon(provider.for_session().run)
                await until(lambda: not provider.health().ok)
                trying.cancel_scope.cancel()
            assert peer.handshakes == type(peer.handshakes)()
            trusted = ssl.create_default_context(cafile=certificate)
            trusting = CartesiaProvider(settings, open_stream=open_stream, tls=trusted)
            voice = trusting.for_session()
            await nursery.start(voice.run)
            check_whole(await say(voice, ["Hello there."]), ["Hello there."])
        nursery.cancel_scope.cancel()


async def test_a_link_is_shared_by_nobody(autojump_clock: Any) -> None:
    async with call() as c:
        other = c.provider.for_session()
        async with trio.open_nursery() as nursery:
            await nursery.start(other.run)
            check_whole(await say(other, ["Me."]), ["Me."])
            assert c.peer.connections == 2
            nursery.cancel_scope.cancel()
        check_whole(await say(c.voice, ["Me too."]), ["Me too."])
