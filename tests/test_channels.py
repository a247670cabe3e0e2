"""Handing on keeps its turn while it need not wait, and is otherwise what Trio's own is."""

from __future__ import annotations

import gc

import pytest
import trio
import trio.testing

from tests.patience import HANG_S
from vantum.channels import HOPS, Each, Spill, give_way, put, take, take_before


@pytest.fixture
def beside(nursery: trio.Nursery) -> list[str]:
    """What another task has done, which does it as soon as it gets a turn."""
    done: list[str] = []

    async def other() -> None:
        done.append("ran")

    nursery.start_soon(other)
    return done


async def test_room_and_a_message_let_nobody_else_run(beside: list[str]) -> None:
    tx, rx = trio.open_memory_channel[int](2)
    await put(tx, 1)
    await put(tx, 2)
    assert [await take(rx), await take(rx)] == [1, 2]
    assert not beside


async def test_who_gives_way_lets_a_message_pass_through_many_hands(
    nursery: trio.Nursery,
) -> None:
    """In whatever order Trio lets the tasks run."""
    first_tx, rx = trio.open_memory_channel[str](1)
    for _ in range(HOPS - 1):
        tx, following = trio.open_memory_channel[str](1)

        async def hand_on(
            rx: trio.MemoryReceiveChannel[str], tx: trio.MemorySendChannel[str]
        ) -> None:
            await tx.send(await rx.receive())

        nursery.start_soon(hand_on, rx, tx)
        rx = following
    await trio.testing.wait_all_tasks_blocked()
    await put(first_tx, "sound")
    await give_way()
    assert rx.receive_nowait() == "sound"


async def test_a_full_channel_is_waited_for(nursery: trio.Nursery) -> None:
    tx, rx = trio.open_memory_channel[int](1)
    taken: list[int] = []

    async def later() -> None:
        async for message in Each(rx):
            taken.append(message)

    await put(tx, 1)
    nursery.start_soon(later)
    await put(tx, 2)
    await put(tx, 3)
    tx.close()
    await trio.testing.wait_all_tasks_blocked()
    assert taken == [1, 2, 3]


async def test_an_empty_channel_is_waited_for(nursery: trio.Nursery) -> None:
    tx, rx = trio.open_memory_channel[int](0)
    nursery.start_soon(put, tx, 7)
    assert await take(rx) == 7


async def test_what_is_there_is_taken_however_late(autojump_clock: trio.abc.Clock) -> None:
    tx, rx = trio.open_memory_channel[int](1)
    await put(tx, 7)
    assert await take_before(rx, trio.current_time() - 1) == 7
    assert await take_before(rx, trio.current_time() + 5) is None
    assert trio.current_time() == pytest.approx(5)
    tx.close()
    with pytest.raises(trio.EndOfChannel):
        await take_before(rx, float("inf"))


async def test_what_comes_in_time_is_taken(autojump_clock: trio.abc.Clock) -> None:
    tx, rx = trio.open_memory_channel[int](0)
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(1)
            await put(tx, 7)

        nursery.start_soon(later)
        assert await take_before(rx, trio.current_time() + 5) == 7
        assert trio.current_time() == pytest.approx(1)


async def test_who_waits_keeps_no_exception(nursery: trio.Nursery) -> None:
    def blocked() -> int:
        return sum(isinstance(thing, trio.WouldBlock) for thing in gc.get_objects())

    full_tx, _full_rx = trio.open_memory_channel[int](0)
    _empty_tx, empty_rx = trio.open_memory_channel[int](0)
    before = blocked()
    nursery.start_soon(put, full_tx, 1)
    nursery.start_soon(take, empty_rx)
    await trio.testing.wait_all_tasks_blocked()
    assert blocked() == before
    nursery.cancel_scope.cancel()


async def test_each_ends_with_the_senders() -> None:
    tx, rx = trio.open_memory_channel[int](2)
    await put(tx, 1)
    tx.close()
    assert [message async for message in Each(rx)] == [1]
    with pytest.raises(trio.EndOfChannel):
        await take(rx)


async def test_who_is_cancelled_hands_on_nothing() -> None:
    tx, rx = trio.open_memory_channel[int](1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await put(tx, 1)
    assert scope.cancelled_caught
    assert rx.statistics().current_buffer_used == 0


async def test_who_is_cancelled_takes_nothing() -> None:
    tx, rx = trio.open_memory_channel[int](1)
    await put(tx, 1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await take(rx)
    assert scope.cancelled_caught
    assert rx.statistics().current_buffer_used == 1


async def test_a_receiver_that_has_gone_is_told() -> None:
    tx, rx = trio.open_memory_channel[int](1)
    rx.close()
    with pytest.raises(trio.BrokenResourceError):
        await put(tx, 1)


async def test_what_spills_over_comes_later_and_in_order(nursery: trio.Nursery) -> None:
    tx, rx = trio.open_memory_channel[int](2)
    spill = Spill(tx, nursery)
    for number in range(2):
        spill.send(number)
    assert not nursery.child_tasks  # there is room
    for number in range(2, 6):
        spill.send(number)
    assert [await take(rx), await take(rx)] == [0, 1]
    spill.send(6)  # there is room again, but others have waited for it
    assert [await rx.receive() for _ in range(5)] == [2, 3, 4, 5, 6]
    await trio.testing.wait_all_tasks_blocked()
    assert not nursery.child_tasks
    spill.send(7)
    assert rx.receive_nowait() == 7


@pytest.mark.parametrize("waiting", [False, True])
async def test_a_spill_that_nobody_takes_ends_its_nursery(waiting: bool) -> None:
    tx, rx = trio.open_memory_channel[int](0)
    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            spill = Spill(tx, nursery)
            if waiting:
                spill.send(1)
                await trio.testing.wait_all_tasks_blocked()
            rx.close()
            spill.send(2)
            nursery.start_soon(trio.sleep_forever)
    assert nursery.cancel_scope.cancel_called
