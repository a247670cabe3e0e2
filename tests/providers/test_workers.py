"""Worker threads: order, fairness, cancellation, nothing left running."""

import threading
from collections.abc import Generator
from contextlib import closing

import pytest
import trio
import trio.testing

from tests.patience import HANG_S, until
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
    began: list[int] = []
    may_end = [threading.Event() for _ in range(8)]

    def job(number: int) -> None:
        began.append(number)
        may_end[number].wait(HANG_S)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(workers.run, job, number)
            await trio.testing.wait_all_tasks_blocked()
        await until(lambda: len(began) == 2)
        assert sorted(began) == [0, 1]
        for number in range(6):
            may_end[number].set()
            await until(lambda number=number: len(began) == number + 3)  # type: ignore[misc]
            assert began[-1] == number + 2
        may_end[6].set()
        may_end[7].set()
    assert len(began) == 8


async def test_a_waiting_job_is_taken_out_of_the_queue_when_cancelled() -> None:
    workers = Workers(1)
    ran: list[int] = []
    release = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(workers.run, release.wait, HANG_S)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.001) as scope:
            await workers.run(ran.append, 1)
        assert scope.cancelled_caught
        release.set()
    await workers.run(lambda: None)
    assert ran == []


async def test_a_running_job_may_notice_that_it_is_cancelled() -> None:
    finished: list[bool] = []

    def job() -> None:
        trio.from_thread.check_cancelled()
        trio.from_thread.run_sync(scope.cancel)
        trio.from_thread.check_cancelled()
        finished.append(True)

    with trio.CancelScope() as scope:
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

    may_go_on = threading.Event()
    workers = Workers(1)
    left = False

    def slow() -> Generator[int, None, None]:
        with closing(_count(made, closed, 1000)) as numbers:
            for number in numbers:
                if number == 1:
                    may_go_on.wait(HANG_S)
                yield number

    async def listen() -> None:
        nonlocal left
        async with workers.iterate(slow) as items:
            try:
                async for _ in items:
                    pass
            finally:
                left = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await until(lambda: len(made) == 2)  # the second is being made
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked()
            assert not left
            assert closed == []
            may_go_on.set()
    assert left
    assert made == [0, 1]
    assert closed == [True]
    assert workers.idle


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
