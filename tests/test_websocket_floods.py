"""Our WebSocket against peers that send more than a person's client would."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong

from tests.test_websocket import REQUEST, raw, said
from vantum.websocket import accept


def _masked(opcode: int) -> bytes:
    return bytes([opcode, 0x80]) + bytes(4)


_FLOODS = {
    "pings": (b"", _masked(0x89)),
    "pongs": (b"", _masked(0x8A)),
    "fragments": (_masked(0x02), _masked(0x00)),
    "messages": (b"", _masked(0x82)),
}


@pytest.mark.parametrize("kind", _FLOODS)
async def test_a_flood_of_frames_is_closed_before_all_of_it_is_looked_at(
    kind: str, autojump_clock: object
) -> None:
    first, frame = _FLOODS[kind]
    async with raw(frames_per_s=100) as (socket, protocol, stream):
        await stream.send_all(first + frame * 10_000)
        taken = 0
        while await socket.receive() is not None:
            taken += 1
        assert taken <= 200
        told = [event for event in await said(protocol, stream) if not isinstance(event, Pong)]
        closing = told[0]
        assert isinstance(closing, CloseConnection)
        assert (closing.code, closing.reason) == (4429, "too many frames")


async def test_frames_within_the_limit_go_on_for_ever(autojump_clock: object) -> None:
    async with raw(frames_per_s=100) as (socket, protocol, stream):
        for _ in range(20):
            await stream.send_all(_masked(0x89) * 99 + protocol.send(BytesMessage(data=b"a")))
            assert await socket.receive() == b"a"
            assert len(await said(protocol, stream)) == 99
            await trio.sleep(1)


async def test_a_flood_does_not_hold_up_our_goodbye(autojump_clock: object) -> None:
    """The peer says no goodbye: it sends on."""
    async with raw(frames_per_s=100) as (socket, _, stream):
        await stream.send_all(_masked(0x82) * 1000)
        await socket.close(1000, "bye")
        assert socket.over.is_set()


async def test_a_large_read_is_taken_in_whole_and_in_order() -> None:
    async with raw(limit=100_000) as (socket, protocol, stream):
        sizes = [1, 4096, 9000, 0, 50_000, 4090]
        await stream.send_all(
            b"".join(
                protocol.send(BytesMessage(data=bytes([n]) * size)) for n, size in enumerate(sizes)
            )
        )
        for number, size in enumerate(sizes):
            assert await socket.receive() == bytes([number]) * size


async def test_what_comes_with_the_request_is_read_behind_it() -> None:
    """A client may be too early; what it says is not lost."""
    ours, theirs = memory_stream_pair()
    protocol = Connection(ConnectionType.CLIENT)
    frames = protocol.send(BytesMessage(data=b"early")) + protocol.send(Ping(payload=b"p"))
    early = REQUEST + b"\r\n" + frames
    cut = len(REQUEST) + 1  # in the middle of the head's end
    await theirs.send_all(early[:cut])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, early[cut:])
        socket = await accept(ours, subprotocol=None, max_message_bytes=1000)
    assert await socket.receive() == b"early"
    await theirs.send_all(protocol.send(BytesMessage(data=b"late")))
    assert await socket.receive() == b"late"
    head, _, rest = bytes(await theirs.receive_some()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    protocol.receive_data(rest)
    assert list(protocol.events()) == [Pong(payload=b"p")]
