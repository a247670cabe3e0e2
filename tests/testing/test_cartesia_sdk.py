"""Cartesia's own Python package against the simulated peer: it is their protocol, not our idea.

Real sockets and threads, so no virtual clock; nothing here waits for anything but the loopback.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

import pytest
import trio
from attrs import evolve
from cartesia import AsyncCartesia, Cartesia
from cartesia.resources.tts import TTSResourceConnection, WebSocketContext
from cartesia.types.raw_output_format_param import RawOutputFormatParam
from cartesia.types.websocket_response import Chunk, Done, Error, FlushDone, Timestamps
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidStatus

from tests.patience import HANG_S
from vantum.core.audio import mulaw_encode
from vantum.testing.cartesia import CartesiaScript, SimulatedCartesia, simulated_cartesia
from vantum.testing.cartesia_script import Fault, speech

KEY = "sk_car_test"
VOICE = "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"
S16: RawOutputFormatParam = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000}
T = TypeVar("T")

# The package opens websockets' sync connection in a way that websockets 17.1 has deprecated.
pytestmark = pytest.mark.filterwarnings(r"ignore:connect\(\) must be used:DeprecationWarning")


def client(peer: SimulatedCartesia, key: str = KEY) -> Cartesia:
    # Its environment name is CARTESIA_BASE_URL too, but it would make wss of it.
    url = peer.base_url
    return Cartesia(api_key=key, base_url=url, websocket_base_url=url.replace("http", "ws"))


def context(connection: TTSResourceConnection, name: str, **options: Any) -> WebSocketContext:
    defaults: dict[str, Any] = {"output_format": S16, "voice": {"mode": "id", "id": VOICE}}
    options = {**defaults, "timeout": HANG_S, **options}
    return connection.context(name, model_id="sonic-3.5", language="en", **options)


async def in_thread(work: Callable[[SimulatedCartesia], T], peer: SimulatedCartesia) -> T:
    with trio.fail_after(2 * HANG_S):
        return await trio.to_thread.run_sync(partial(work, peer))


def audio(events: Iterator[Any] | list[Any]) -> bytes:
    return b"".join(e.audio or b"" for e in events if isinstance(e, Chunk))


async def test_continuations_with_word_timestamps() -> None:
    def use(peer: SimulatedCartesia) -> list[Any]:
        with client(peer) as cartesia, cartesia.tts.websocket_connect() as connection:
            ctx = context(connection, "one", add_timestamps=True)
            ctx.push("Hello there. ")
            ctx.push("How are you?")
            ctx.no_more_inputs()
            return list(ctx.receive())

    async with simulated_cartesia(CartesiaScript(api_key=KEY)) as peer:
        events = await in_thread(use, peer)
        assert peer.transcripts == {"one": ["Hello there. ", "How are you?"]}
        assert peer.handshakes[0].headers["authorization"] == f"Bearer {KEY}"
        assert peer.handshakes[0].headers["cartesia-version"] == "2026-08-14"
    assert audio(events) == speech("Hello there. How are you?", 16_000).pcm
    assert isinstance(events[-1], Done)
    stamps = [e.word_timestamps for e in events if isinstance(e, Timestamps)]
    spoken = [
        one
        for stamp in stamps
        if stamp
        for one in zip(stamp.words, stamp.start, stamp.end, strict=True)
    ]
    expected = speech("Hello there. How are you?", 16_000).words
    assert spoken == [(w.text, w.start / 16_000, w.end / 16_000) for w in expected]
    assert {type(e) for e in events} == {Chunk, Timestamps, Done}


async def test_flushes_are_numbered_and_buffered_text_is_joined() -> None:
    def use(peer: SimulatedCartesia) -> list[Any]:
        with client(peer) as cartesia, cartesia.tts.websocket_connect() as connection:
            ctx = context(connection, "one", max_buffer_delay_ms=3000)
            ctx.push("Stay ")
            ctx.push("hungry, ")
            ctx.push("", flush=True)
            ctx.push("stay foolish.")
            ctx.no_more_inputs()
            return list(ctx.receive())

    async with simulated_cartesia() as peer:
        events = await in_thread(use, peer)
    borders = [e for e in events if isinstance(e, FlushDone)]
    assert [(b.flush_id, b.flush_done) for b in borders] == [(1, True)]
    first = [e for e in events if isinstance(e, Chunk) and e.flush_id == 1]
    second = [e for e in events if isinstance(e, Chunk) and e.flush_id == 2]
    assert audio(first) == speech("Stay hungry, ", 16_000).pcm
    assert audio(second) == speech("stay foolish.", 16_000).pcm
    assert events.index(borders[0]) == len(first)


async def test_contexts_side_by_side_and_other_formats() -> None:
    f32: RawOutputFormatParam = {**S16, "encoding": "pcm_f32le", "sample_rate": 44_100}
    mulaw: RawOutputFormatParam = {**S16, "encoding": "pcm_mulaw", "sample_rate": 8_000}

    def use(peer: SimulatedCartesia) -> list[bytes]:
        with client(peer) as cartesia, cartesia.tts.websocket_connect() as connection:
            one = context(connection, "one")
            two = context(connection, "two", output_format=f32, voice=VOICE)
            three = context(connection, "three", output_format=mulaw)
            for ctx in (one, two, three):
                ctx.push("Both of us speak.")
                ctx.no_more_inputs()
            return [audio(ctx.receive()) for ctx in (one, two, three)]

    async with simulated_cartesia() as peer:
        first, second, third = await in_thread(use, peer)
    assert first == speech("Both of us speak.", 16_000).pcm
    assert len(second) == 2 * len(speech("Both of us speak.", 44_100).pcm)
    assert third == mulaw_encode(speech("Both of us speak.", 8_000).pcm)


async def test_cancelling_a_context() -> None:
    def use(peer: SimulatedCartesia) -> bytes:
        with client(peer) as cartesia, cartesia.tts.websocket_connect() as connection:
            ctx = context(connection, "one")
            ctx.push("A very long story begins here and does not end for a while.")
            next(ctx.receive())
            ctx.cancel()
            peer.script = evolve(peer.script, rate=0)
            again = context(connection, "two")
            again.push("Short.")
            again.no_more_inputs()
            return audio([e for e in again.receive() if e.context_id == "two"])

    # So slow that the story cannot end before it is cancelled: it would take minutes.
    async with simulated_cartesia(CartesiaScript(rate=0.01)) as peer:
        assert await in_thread(use, peer) == speech("Short.", 16_000).pcm
        assert list(peer.cancelled) == ["one"]
        sent = [r.message for r in peer.requests]
        assert {"context_id": "one", "cancel": True} in sent


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_refusals_at_the_handshake(status: Any) -> None:
    def use(peer: SimulatedCartesia) -> Any:
        with client(peer, "wrong" if status == 401 else KEY) as cartesia:
            with pytest.raises(InvalidStatus) as caught:
                cartesia.tts.websocket_connect().enter()
            return caught.value.response

    faults = () if status == 401 else (status,)
    async with simulated_cartesia(CartesiaScript(api_key=KEY, connect_faults=faults)) as peer:
        response = await in_thread(use, peer)
    assert response.status_code == status
    assert b'"title"' in response.body


async def test_errors_and_broken_connections() -> None:
    def use(peer: SimulatedCartesia) -> tuple[Any, Any, Any]:
        with client(peer) as cartesia:
            with pytest.raises((InvalidMessage, ConnectionClosedError)):
                cartesia.tts.websocket_connect().enter()
            with cartesia.tts.websocket_connect() as connection:
                ctx = context(connection, "one")
                ctx.push("This one fails after a while.")
                failed = list(ctx.receive())[-1]
                wrong = context(connection, "two", output_format={**S16, "container": "mp4"})
                wrong.push("Not like this.")
                refused = next(wrong.receive())
                gone = context(connection, "three")
                gone.push("The connection goes in the middle of this.")
                with pytest.raises(ConnectionClosedError):
                    list(gone.receive())
                return failed, refused, peer.connections

    faults = (Fault("error", 2, 429, "concurrency_limited"), Fault("disconnect", 1))
    script = CartesiaScript(connect_faults=("refuse",), faults=faults)
    async with simulated_cartesia(script) as peer:
        failed, refused, connections = await in_thread(use, peer)
    assert isinstance(failed, Error)
    assert (failed.context_id, failed.status_code) == ("one", 429)
    assert failed.error_code == "concurrency_limited"
    assert failed.title
    assert isinstance(refused, Error)
    assert (refused.status_code, refused.error_code) == (400, "output_format_invalid")
    assert connections == 2


async def test_an_accounts_limits() -> None:
    """Contexts over the limit are refused one by one, connections at the handshake."""

    def use(peer: SimulatedCartesia) -> tuple[Any, Any]:
        with ExitStack() as stack:
            cartesia = stack.enter_context(client(peer))
            connections = [stack.enter_context(cartesia.tts.websocket_connect()) for _ in range(10)]
            with pytest.raises(InvalidStatus) as caught:
                cartesia.tts.websocket_connect().enter()
            first, second = context(connections[0], "one"), context(connections[1], "two")
            first.push("One moment.")
            assert next(first.receive()).type != "error"
            second.push("And me?")
            return next(second.receive()), caught.value.response

    async with simulated_cartesia(CartesiaScript(concurrency=1, expiry_s=HANG_S)) as peer:
        refused, response = await in_thread(use, peer)
    assert isinstance(refused, Error)
    assert (refused.status_code, refused.error_code) == (429, "concurrency_limited")
    assert response.status_code == 429
    assert b'"concurrency_limited"' in response.body


async def test_an_expired_context_and_an_idle_connection() -> None:
    def use(peer: SimulatedCartesia) -> tuple[list[Any], list[Any]]:
        with client(peer) as cartesia, cartesia.tts.websocket_connect() as connection:
            ctx = context(connection, "one")
            ctx.push("No end in sight.")
            first = list(ctx.receive())  # ends by itself, without no_more_inputs
            peer.script = evolve(peer.script, idle_close_s=0.1)
            late = context(connection, "one")
            late.push("Too late.")
            return first, list(late.receive()) + list(connection)

    async with simulated_cartesia(CartesiaScript(expiry_s=0.05)) as peer:
        first, late = await in_thread(use, peer)
        assert peer.expired_inputs == 1
    assert isinstance(first[-1], Done)
    assert [type(e) for e in late] == [Error]


async def test_the_async_client() -> None:
    import asyncio

    async def session(url: str) -> bytes:
        async with (
            AsyncCartesia(
                api_key=KEY, base_url=url, websocket_base_url=url.replace("http", "ws")
            ) as cartesia,
            cartesia.tts.websocket_connect() as connection,
        ):
            ctx = connection.context(model_id="sonic-3.5", voice={"id": VOICE}, output_format=S16)
            await ctx.push("Hello from asyncio.")
            await ctx.no_more_inputs()
            return audio([event async for event in ctx.receive()])

    def use(peer: SimulatedCartesia) -> bytes:
        return asyncio.run(session(peer.base_url))

    async with simulated_cartesia() as peer:
        assert await in_thread(use, peer) == speech("Hello from asyncio.", 16_000).pcm
