"""What the simulated Cartesia does with clients that are wrong, and how it keeps its times."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from vantum.testing.cartesia import LIFELIKE, CartesiaScript, Fault, SimulatedCartesia
from vantum.testing.cartesia_script import speech

PATH = "/tts/websocket?cartesia_version=2026-08-14"
GOOD: dict[str, Any] = {
    "context_id": "c",
    "model_id": "sonic-3.5",
    "voice": {"mode": "id", "id": "v"},
    "transcript": "Hello there.",
    "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000},
}


@asynccontextmanager
async def connected(
    peer: SimulatedCartesia, path: str = PATH, headers: list[tuple[bytes, bytes]] | None = None
) -> AsyncIterator[WebSocketConnection]:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.serve_stream, theirs)
        stream: Any = ours
        yield await wrap_client_stream(nursery, stream, "peer", path, extra_headers=headers)
        nursery.cancel_scope.cancel()


async def until_end(socket: WebSocketConnection) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found or found[-1]["type"] not in ("done", "error"):
        found.append(json.loads(await socket.get_message()))
    return found


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/stt/websocket?cartesia_version=1", [], 404),
        ("/tts/websocket", [], 400),
        (PATH, [], 401),
        (PATH, [(b"Authorization", b"Bearer wrong")], 401),
        (PATH + "&api_key=wrong", [], 401),
    ],
)
async def test_wrong_handshakes(path: str, headers: Any, status: int, autojump_clock: Any) -> None:
    peer = SimulatedCartesia(CartesiaScript(api_key="right"))
    with pytest.raises(ExceptionGroup) as caught:
        async with connected(peer, path, headers):
            pass
    refusal = caught.value.exceptions[0]
    assert isinstance(refusal, ConnectionRejected)
    assert refusal.status_code == status
    assert peer.open_connections == 0


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (PATH, [(b"Authorization", b"Bearer right")]),
        (PATH, [(b"X-API-Key", b"right")]),
        (PATH + "&api_key=right", []),
        ("/tts/websocket", [(b"X-API-Key", b"right"), (b"Cartesia-Version", b"2026-08-14")]),
    ],
)
async def test_ways_to_authenticate(path: str, headers: Any, autojump_clock: Any) -> None:
    async with connected(SimulatedCartesia(CartesiaScript(api_key="right")), path, headers) as s:
        await s.send_message(json.dumps(GOOD))
        assert (await until_end(s))[-1]["type"] == "done"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"context_id": 3}, "context_id_invalid"),
        ({"model_id": ""}, "model_not_found"),
        ({"voice": {"mode": "id"}}, "voice_not_found"),
        ({"voice": ""}, "voice_not_found"),
        ({"transcript": None}, "transcript_invalid"),
        ({"transcript": " "}, "transcript_empty"),
        ({"output_format": None}, "output_format_invalid"),
        ({"output_format": GOOD["output_format"] | {"sample_rate": 1}}, "output_format_invalid"),
        ({"output_format": GOOD["output_format"] | {"encoding": "mulaw"}}, "output_format_invalid"),
    ],
)
async def test_wrong_requests(change: dict[str, Any], code: str, autojump_clock: Any) -> None:
    async with connected(SimulatedCartesia(CartesiaScript())) as socket:
        await socket.send_message(json.dumps(GOOD | change))
        (error,) = await until_end(socket)
        assert (error["status_code"], error["error_code"]) == (400, code)
        assert ("context_id" in error) == ("context_id" not in change)
        await socket.send_message(json.dumps(GOOD))
        assert (await until_end(socket))[-1]["type"] == "done"


async def test_messages_that_are_not_requests(autojump_clock: Any) -> None:
    async with connected(SimulatedCartesia(CartesiaScript())) as socket:
        for raw in ("{", "[]"):
            await socket.send_message(raw)
            assert (await until_end(socket))[0]["error_code"] == "invalid_json"
        await socket.send_message(json.dumps({"context_id": "nobody", "cancel": True}))
        await socket.send_message(json.dumps(GOOD))
        assert (await until_end(socket))[-1]["type"] == "done"


async def test_audio_comes_at_the_scripted_pace(autojump_clock: Any) -> None:
    async with connected(SimulatedCartesia(LIFELIKE)) as socket:
        start_s = trio.current_time()
        await socket.send_message(json.dumps(GOOD))
        times = []
        for _ in range(6):
            assert json.loads(await socket.get_message())["type"] == "chunk"
            times.append(round(trio.current_time() - start_s, 3))
    assert times == [0.09, 0.115, 0.14, 0.165, 0.19, 0.215]


async def test_text_waits_for_more_as_long_as_it_was_told(autojump_clock: Any) -> None:
    async with connected(SimulatedCartesia(CartesiaScript())) as socket:
        start_s = trio.current_time()
        part = {"continue": True, "max_buffer_delay_ms": 400}
        await socket.send_message(json.dumps(GOOD | part | {"transcript": "Hello "}))
        await trio.sleep(0.3)
        await socket.send_message(json.dumps(GOOD | part | {"transcript": "there."}))
        chunks = [m for m in await until_end(socket) if m["type"] == "chunk"]
        assert len(chunks) == -(-len(speech("Hello there.", 16_000).pcm) // 3200)
        assert trio.current_time() - start_s == pytest.approx(0.3 + 0.4 + 1.0)  # and expires


async def test_a_context_that_is_done_early_and_one_that_stalls(autojump_clock: Any) -> None:
    peer = SimulatedCartesia(CartesiaScript(faults=(Fault("done_early", 1), Fault("stall", 1))))
    async with connected(peer) as socket:
        await socket.send_message(json.dumps(GOOD))
        assert [m["type"] for m in await until_end(socket)] == ["chunk", "done"]
        await socket.send_message(json.dumps(GOOD | {"context_id": "d"}))
        assert json.loads(await socket.get_message())["type"] == "chunk"
        with pytest.raises(ConnectionClosed) as caught:
            await socket.get_message()  # nothing, until the connection is idle for too long
        assert caught.value.reason is not None
        assert caught.value.reason.reason == "connection idle timeout"


def test_half_a_surrogate_pair_is_a_word_like_any() -> None:
    """JSON can write it: it must not end the simulation, and every call with it."""
    assert speech("\ud800 hello", 16_000) != speech("\ud801 hello", 16_000)
