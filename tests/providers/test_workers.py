"""Worker threads: order, fairness, cancellation, nothing left running."""

import threading
import time
from collections.abc import Generator

import pytest
import trio
import trio.testing

from vantum.providers.local.workers import Workers


async def test_a_job_runs_outside_the_event_loop_and_its_result_comes_back() -> None:
    loop = threading.get_ident()
    assert await Workers(1).run(lambda a: (a, threading.get_ident() != loop), 7) == (7, True)


async def test_a_jobs_exception_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        await Workers(1).run(lambda: 1 // 0)


def test_zero_means_the_cores() -> None:
    assert Workers(0).threads >= 1
    assert Workers(3).threads == 3


async def test_no_more_jobs_at_once_than_threads_and_first_come_first_served() -> None:
    workers = Workers(2)
    running, peak, order = 0, 0, []
    lock = threading.Lock()

    def job(number: int) -> None:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
            order.append(number)
        time.sleep(0.002)
        with lock:
            running -= 1

    async def ask(number: int) -> None:
        await workers.run(job, number)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(ask, number)
            await trio.testing.wait_all_tasks_blocked()
    assert peak == 2
    assert order[0] in (0, 1)
    assert sorted(order) == list(range(8))
    assert all(abs(place - number) <= 1 for place, number in enumerate(order))


async def test_a_waiting_job_is_taken_out_of_the_queue_when_cancelled() -> None:
    workers = Workers(1)
    ran: list[int] = []
    release = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workers.run, lambda: release.wait())
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.001):
            await workers.run(ran.append, 1)
        release.set()
    await workers.run(lambda: None)
    assert ran == []


async def test_a_running_job_may_notice_that_it_is_cancelled() -> None:
    finished = []

    def job() -> None:
        for _ in range(10_000):
            trio.from_thread.check_cancelled()
            time.sleep(0.001)
        finished.append(True)

    with trio.move_on_after(0.01) as scope:
        await Workers(1).run(job)
    assert scope.cancelled_caught
    assert finished == []


def _count(made: list[int], closed: list[bool], limit: int) -> Generator[int, None, None]:
    try:
        for number in range(limit):
            made.append(number)
            yield number
    finally:
        closed.append(True)


async def test_iterating_gives_every_item_in_order_and_closes() -> None:
    made: list[int] = []
    closed: list[bool] = []
    async with Workers(1).iterate(_count, made, closed, 5) as items:
        assert [item async for item in items] == [0, 1, 2, 3, 4]
    assert closed == [True]


async def test_items_are_made_only_when_asked_for_and_leaving_ends_them() -> None:
    made: list[int] = []
    closed: list[bool] = []
    async with Workers(1).iterate(_count, made, closed, 1_000_000) as items:
        assert await anext(items) == 0
        assert await anext(items) == 1
    assert made == [0, 1]
    assert closed == [True]


async def test_cancelling_an_iteration_waits_for_the_item_and_closes() -> None:
    made: list[int] = []
    closed: list[bool] = []

    def slow() -> Generator[int, None, None]:
        for number in _count(made, closed, 1000):
            time.sleep(0.003)
            yield number

    with trio.move_on_after(0.01) as scope:
        async with Workers(1).iterate(slow) as items:
            async for _ in items:
                pass
    after = len(made)
    assert scope.cancelled_caught
    assert 0 < after < 100
    await trio.sleep(0.005)
    assert len(made) == after


async def test_a_long_iteration_and_a_short_job_take_turns() -> None:
    workers = Workers(1)
    made: list[int] = []
    seen_after: list[int] = []

    async def talk() -> None:
        async with workers.iterate(_count, made, [], 500) as items:
            async for _ in items:
                pass

    async def ask() -> None:
        before = len(made)
        await workers.run(lambda: None)
        seen_after.append(len(made) - before)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(ask)
    # The one that runs, the one that waits before it, and one while the answer is on its way.
    assert seen_after[0] <= 3


async def test_an_exception_in_the_generator_comes_through() -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise ValueError("broken")

    async with Workers(1).iterate(broken) as items:
        assert await anext(items) == 1
        with pytest.raises(ValueError, match="broken"):
            await anext(items)
