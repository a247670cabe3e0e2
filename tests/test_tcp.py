"""TCP streams on real sockets: as Trio's, but for the turn of the loop behind each write."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import outcome
import pytest
import trio
import trio.testing
from attrs import define, field

from vantum.tcp import TcpStream, quick

#: More than a connection holds for somebody who does not read.
_LOTS = bytes(range(256)) * 65_536


@asynccontextmanager
async def a_connection() -> AsyncIterator[tuple[TcpStream, trio.SocketStream]]:
    """Our end and the peer's."""
    ours, theirs = socket.socketpair()
    plain = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    async with (
        TcpStream(plain) as stream,
        trio.SocketStream(trio.socket.from_stdlib_socket(theirs)) as peer,
    ):
        yield stream, peer


@define
class _Collected:
    """What a reader got."""

    parts: list[bytes] = field(factory=list)
    closed: bool = False

    async def read(self, stream: TcpStream) -> None:
        """Read to the end."""
        try:
            while data := await stream.receive_some():
                self.parts.append(data)
        except trio.ClosedResourceError:
            self.closed = True


async def test_what_comes_is_read_at_once_and_no_more_than_was_asked_for() -> None:
    async with a_connection() as (ours, theirs), trio.open_nursery() as nursery:
        got = _Collected()
        nursery.start_soon(got.read, ours)
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send_all(b"hello")
        await trio.testing.wait_all_tasks_blocked()
        assert got.parts == [b"hello"]
        await theirs.send_eof()
    async with a_connection() as (ours, theirs):
        await theirs.send_all(b"hello")
        assert await ours.receive_some(4) == b"hell"
        assert await ours.receive_some() == b"o"


async def test_what_was_read_is_no_part_of_what_is_read_next() -> None:
    async with a_connection() as (ours, theirs):
        await theirs.send_all(_LOTS[:40_000])
        first = await ours.receive_some(100_000)
        kept = bytes(first)
        parts = [first]
        while len(b"".join(parts)) < 40_000:
            parts.append(await ours.receive_some(100_000))
        assert first == kept
        assert b"".join(parts) == _LOTS[:40_000]


def test_two_threads_read_beside_each_other() -> None:
    """Each with a loop of its own: what one reads is not written over by the other."""

    async def read_much(pattern: bytes) -> None:
        async with a_connection() as (ours, theirs), trio.open_nursery() as nursery:
            nursery.start_soon(theirs.send_all, pattern * 200_000)
            left = 200_000 * len(pattern)
            while left:
                data = await ours.receive_some()
                assert data.strip(pattern) == b""
                left -= len(data)

    outcomes: list[outcome.Outcome[None]] = []
    threads = [
        threading.Thread(
            target=lambda p=p: outcomes.append(outcome.capture(trio.run, read_much, p))
        )
        for p in (b"a", b"b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in outcomes:
        each.unwrap()
    assert len(outcomes) == 2


async def test_reading_is_cancelled_before_anything_is_taken() -> None:
    async with a_connection() as (ours, theirs):
        await theirs.send_all(b"kept")
        with trio.CancelScope() as scope:
            scope.cancel()
            await ours.receive_some()
        assert scope.cancelled_caught
        assert await ours.receive_some() == b"kept"


async def test_a_wake_up_for_nothing_is_no_end() -> None:
    class Thief(trio.abc.Instrument):
        """Takes what there is in the turn of the loop that wakes the reader for it."""

        stolen = b""

        def after_io_wait(self, timeout: float) -> None:
            if not self.stolen:
                with suppress(BlockingIOError):
                    self.stolen = os.read(ours.socket.fileno(), 100)

    async with a_connection() as (ours, theirs), trio.open_nursery() as nursery:
        thief, got = Thief(), _Collected()
        nursery.start_soon(got.read, ours)
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(thief)
        await theirs.send_all(b"stolen")
        await trio.testing.wait_all_tasks_blocked()
        assert (thief.stolen, got.parts) == (b"stolen", [])
        await theirs.send_all(b"ours")
        await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(thief)
        assert got.parts == [b"ours"]
        await theirs.send_eof()


async def test_a_write_that_fits_gives_up_no_turn_and_heeds_a_cancel() -> None:
    async with a_connection() as (ours, theirs):
        turns: list[None] = []

        async def somebody_else() -> None:
            turns.append(None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(somebody_else)
            await ours.send_all(b"one")
            assert not turns
        with trio.CancelScope() as scope:
            scope.cancel()
            await ours.send_all(b"two")
        assert scope.cancelled_caught
        await ours.send_all(bytearray(b"three"))
        await ours.send_all(b"")
        assert await theirs.receive_some() == b"onethree"


async def test_what_does_not_fit_is_written_as_the_peer_reads() -> None:
    async with a_connection() as (ours, theirs):
        came = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, memoryview(_LOTS))
            await trio.testing.wait_all_tasks_blocked()
            # Nobody's bytes come between: not while there is no room, and not when there is.
            with pytest.raises(trio.BusyResourceError):
                await ours.send_all(b"in between")
            while len(came) < len(_LOTS):
                came += await theirs.receive_some()
        assert came == _LOTS
        await ours.wait_send_all_might_not_block()
        await ours.send_all(b"behind")
        assert await theirs.receive_some() == b"behind"


async def test_a_write_waits_where_there_is_no_room_at_all() -> None:
    async with a_connection() as (ours, theirs):
        size = 0
        with suppress(BlockingIOError):
            while True:
                size += os.write(ours.socket.fileno(), _LOTS)
        came = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.send_all, b"last")
            await trio.testing.wait_all_tasks_blocked()
            while len(came) < size + len(b"last"):
                came += await theirs.receive_some()
        assert came.endswith(b"last")


async def test_a_peer_that_has_gone() -> None:
    async with a_connection() as (ours, theirs):
        await theirs.aclose()
        assert await ours.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError, match="Broken pipe"):
            await ours.send_all(b"anybody?")


async def test_a_peer_that_resets_the_connection() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        port = listener.socket.getsockname()[1]
        theirs = await trio.open_tcp_stream("127.0.0.1", port)
        async with TcpStream(await listener.accept()) as ours:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await theirs.aclose()
            with pytest.raises(trio.BrokenResourceError, match="reset"):
                await ours.receive_some()


async def test_a_stream_that_is_closed_meanwhile_and_one_that_was_closed() -> None:
    async with a_connection() as (ours, _):
        got = _Collected()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(got.read, ours)
            await trio.testing.wait_all_tasks_blocked()
            await ours.aclose()
        assert got.closed
        with pytest.raises(trio.ClosedResourceError):
            await ours.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(b"too late")


async def test_a_second_reader_is_refused() -> None:
    async with a_connection() as (ours, theirs), trio.open_nursery() as nursery:
        got = _Collected()
        nursery.start_soon(got.read, ours)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await ours.receive_some()
        await theirs.send_eof()


async def test_the_end_is_told() -> None:
    async with a_connection() as (ours, theirs):
        await ours.send_eof()
        assert await theirs.receive_some() == b""


async def test_what_is_no_socket_or_where_sockets_are_no_files_stays_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_connection() as (_, theirs):
        assert isinstance(quick(theirs), TcpStream)
        monkeypatch.setattr("sys.platform", "win32")
        assert quick(theirs) is theirs
    memory, _ = trio.testing.memory_stream_pair()
    monkeypatch.undo()
    assert quick(memory) is memory
