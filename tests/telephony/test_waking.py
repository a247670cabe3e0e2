"""A phone call's reader is woken for several frames, and for less if nothing follows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from vantum.backlog import unacknowledged, unread, wake_at
from vantum.telephony.waking import FRAME_S, bytes_of, wake_for


@asynccontextmanager
async def a_connection() -> AsyncIterator[tuple[trio.SocketStream, trio.SocketStream]]:
    """Two ends of one connection on real sockets: what is written is there at once."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        theirs = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        ours = await listener.accept()
        async with ours, theirs:
            yield ours, theirs


@asynccontextmanager
async def read(stream: trio.SocketStream) -> AsyncIterator[list[bytes]]:
    """What each wake-up of a reader gave."""
    got: list[bytes] = []

    async def read_all() -> None:
        while data := bytes(await stream.receive_some(4096)):
            got.append(data)
        got.append(b"")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_all)
        await trio.testing.wait_all_tasks_blocked()
        yield got
        nursery.cancel_scope.cancel()


async def test_less_than_enough_wakes_nobody() -> None:
    async with a_connection() as (ours, theirs):
        assert wake_at(ours, 10)
        async with read(ours) as got:
            await theirs.send_all(b"12345")
            await trio.testing.wait_all_tasks_blocked()
            assert not got
            assert unread(ours) == 5
            await theirs.send_all(b"67890")
            await trio.testing.wait_all_tasks_blocked()
            assert got == [b"1234567890"]
            assert unread(ours) == 0


async def test_the_end_of_the_connection_wakes_at_once() -> None:
    async with a_connection() as (ours, theirs):
        assert wake_at(ours, 10)
        async with read(ours) as got:
            await theirs.send_all(b"12345")
            await theirs.send_eof()
            await trio.testing.wait_all_tasks_blocked()
            assert got == [b"12345", b""]


async def test_what_has_no_audio_behind_it_is_found(autojump_clock: trio.testing.MockClock) -> None:
    async with a_connection() as (ours, theirs), read(ours) as got, trio.open_nursery() as nursery:
        nursery.start_soon(wake_for, 0.04, ours)
        await trio.sleep(0.01)
        await theirs.send_all(b"a mark")
        await trio.sleep(0.1)
        assert not got
        await trio.sleep(0.3)
        assert got == [b"a mark"]
        await theirs.send_all(b"another")
        await trio.sleep(0.01)
        assert got == [b"a mark"]  # two frames are waited for again
        await theirs.send_all(bytes(bytes_of(0.04)))
        await trio.sleep(0.01)
        assert got[1:] == [b"another" + bytes(bytes_of(0.04))]
        nursery.cancel_scope.cancel()


async def test_a_stream_without_a_socket_is_left_as_it_is() -> None:
    ours, _ = trio.testing.memory_stream_pair()
    assert unread(ours) is unacknowledged(ours) is None
    assert not wake_at(ours, 10)
    await wake_for(0.04, ours)


async def test_nor_is_a_closed_one() -> None:
    async with a_connection() as (ours, _):
        await ours.aclose()
        assert unread(ours) is None
        assert not wake_at(ours, 10)


@pytest.mark.parametrize("digits", [1, 6])
@pytest.mark.parametrize("frames", [2, 3])
def test_the_size_is_that_of_so_many_frames(frames: int, digits: int) -> None:
    number = "9" * digits
    media = (
        f'{{"event":"media","sequenceNumber":"{number}","media":{{"track":"inbound","chunk":'
        f'"{number}","timestamp":"{number}","payload":"{"A" * 216}"}},"streamSid":"MZ{"0" * 32}"}}'
    )
    frame = len(media) + 8  # a length of 16 bits, and the mask
    assert (frames - 1) * frame < bytes_of(frames * FRAME_S) <= frames * frame
