"""The gate between a secret answer and the world."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from vantum.actors.call import Inbox, Outgoing
from vantum.actors.gate import Antechamber, Gate
from vantum.core.decisions import ResponseDone
from vantum.core.events import ResponseCompleted, ResponseStarted, ResponseToken


async def test_what_is_kept_goes_first_and_in_order() -> None:
    out_tx, out_rx = trio.open_memory_channel[Outgoing](0)
    gate = Gate(out_tx, lambda: 77)
    await gate.send(ResponseStarted("u", 5))
    await gate.send(ResponseToken("u", "Hi"))
    got: list[Outgoing] = []

    async def take() -> None:
        for _ in range(4):
            got.append(await out_rx.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.open)
        await trio.testing.wait_all_tasks_blocked()
        assert not gate.committed.is_set()
        await gate.send(ResponseToken("u", " there"))  # while it opens: behind what was kept
        nursery.start_soon(take)
        await gate.committed.wait()
        await gate.send(ResponseCompleted("u", "Hi there"))
    assert got == [
        ResponseStarted("u", 77),
        ResponseToken("u", "Hi"),
        ResponseToken("u", " there"),
        ResponseCompleted("u", "Hi there"),
    ]


async def test_an_answer_that_begins_behind_the_gate_does_not_begin_before_it_opened() -> None:
    """The model's first token came when the turn was committed: the answer is older than that."""
    out_tx, out_rx = trio.open_memory_channel[Outgoing](1)
    gate = Gate(out_tx, lambda: 77)
    await gate.open()
    await gate.send(ResponseStarted("u", 5))
    assert out_rx.receive_nowait() == ResponseStarted("u", 77)


async def test_the_conductor_hears_of_nothing_before() -> None:
    inbox_tx, inbox_rx = trio.open_memory_channel[Inbox](1)
    committed = trio.Event()
    door = Antechamber(inbox_tx, committed)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.send, ResponseDone(1))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.WouldBlock):
            inbox_rx.receive_nowait()
        committed.set()
        assert await inbox_rx.receive() == ResponseDone(1)
