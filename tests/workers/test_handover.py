"""A socket on its way to another owner, on real Unix sockets."""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import define

from tests.patience import HANG_S
from vantum.http import ReplayStream
from vantum.workers.handover import (
    BadHandover,
    HandoverListener,
    NotTaken,
    hand_over,
    listen_privately,
    take,
)


@define
class Exchange:
    """A caller's end of a TCP connection, the server's end, and where it may be handed to."""

    caller: trio.SocketStream
    served: trio.SocketStream
    listener: HandoverListener
    path: Path


@asynccontextmanager
async def an_exchange(tmp_path: Path) -> AsyncIterator[Exchange]:
    path = tmp_path / "w1.connections"
    with trio.fail_after(HANG_S):
        (tcp,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with tcp, HandoverListener(listen_privately(path)) as listener:
            host, port = tcp.socket.getsockname()
            async with await trio.open_tcp_stream(host, port) as caller, await tcp.accept() as ours:
                yield Exchange(caller, ours, listener, path)


@pytest.mark.parametrize("seen", [b"", b"GET / HTTP/1.1\r\n", os.urandom(300_000)])
async def test_a_connection_goes_with_all_that_was_read(tmp_path: Path, seen: bytes) -> None:
    async with an_exchange(tmp_path) as x, trio.open_nursery() as nursery:
        taken: list[ReplayStream] = []

        async def accept() -> None:
            taken.append(await x.listener.accept())

        nursery.start_soon(accept)
        await hand_over(x.path, ReplayStream(x.served, seen))
        await x.served.aclose()
        await x.caller.send_all(b"what came later")
        await x.caller.send_eof()
        while not taken:  # noqa: ASYNC110
            await trio.sleep(0.001)
        (mine,) = taken
        async with mine:
            assert b"".join([part async for part in mine]) == seen + b"what came later"
            await mine.send_all(b"answer")
            assert mine.socket.getpeername() == x.caller.socket.getsockname()
        assert b"".join([part async for part in x.caller]) == b"answer"


async def test_only_this_user_may_hand_anything_over(tmp_path: Path) -> None:
    async with an_exchange(tmp_path) as x:
        assert x.path.stat().st_mode & 0o777 == 0o600


async def test_a_socket_that_was_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    async with an_exchange(tmp_path):
        pass
    async with an_exchange(tmp_path) as x:
        assert x.path.exists()


@pytest.mark.parametrize("case", ["nobody", "left behind", "hangs up"])
async def test_what_nobody_takes_is_still_ours(tmp_path: Path, case: str) -> None:
    async with an_exchange(tmp_path) as x, trio.open_nursery() as nursery:
        path = tmp_path / "w2.connections"
        if case == "left behind":
            await listen_privately(path).aclose()
        if case == "hangs up":

            async def hang_up(stream: trio.SocketStream) -> None:
                await stream.receive_some(4)
                await stream.aclose()

            await nursery.start(trio.serve_listeners, hang_up, [listen_privately(path)])
        with pytest.raises(NotTaken, match=r"w2\.connections"):
            await hand_over(path, ReplayStream(x.served, b"seen"))
        await x.served.send_all(b"503")
        await x.served.aclose()
        assert b"".join([part async for part in x.caller]) == b"503"
        nursery.cancel_scope.cancel()


def ancillary(sockets: Sequence[socket.socket]) -> list[tuple[int, int, array.array[int]]]:
    numbers = array.array("i", [one.fileno() for one in sockets])
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if sockets else []


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("sockets", "head", "why"),
    [
        (0, struct.pack("!I", 0), "0 sockets came"),
        (2, struct.pack("!I", 0), "2 sockets came"),
        (1, b"\0\0", "1 sockets came with 2 bytes"),
        (1, struct.pack("!I", 2**31), "more than a request has"),
        (1, struct.pack("!I", 9) + b"four", "4 of 9 bytes came"),
    ],
)
async def test_what_is_no_connection_is_refused_and_nothing_stays_open(
    sockets: int, head: bytes, why: str
) -> None:
    giver, taker = socket.socketpair()
    given = [socket.socket() for _ in range(sockets)]
    async with trio.SocketStream(trio.socket.from_stdlib_socket(taker)) as stream:
        giver.sendmsg([head], ancillary(given))
        giver.shutdown(socket.SHUT_WR)
        before = descriptors()
        with pytest.raises(BadHandover, match=why):
            await take(stream)
        assert descriptors() == before
    for each in (giver, *given):
        each.close()


async def test_nonsense_does_not_stop_who_takes(tmp_path: Path) -> None:
    async with (
        an_exchange(tmp_path) as x,
        trio.open_nursery() as nursery,
        await trio.open_unix_socket(x.path) as nonsense,
    ):
        await nonsense.send_all(b"GET / HTTP/1.1\r\n\r\n")
        nursery.start_soon(hand_over, x.path, ReplayStream(x.served, b"seen"))
        async with await x.listener.accept() as taken:
            assert taken.seen == b"seen"
