"""Virtual time: sleeping by the simulator's clock is trio's sleeping, only cheaper."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from vantum.testing.calls import simulate
from vantum.testing.calls.virtual import Sleep, in_fixed_order

Events = list[tuple[float, str]]
Body = Callable[[Events], Awaitable[None]]


def note(events: Events, what: str) -> None:
    events.append((trio.current_time(), what))


async def sleepers(events: Events) -> None:
    async def sleep(name: str, seconds: float) -> None:
        await trio.sleep(seconds)
        note(events, name)
        await trio.sleep_until(5.0)
        note(events, f"{name} again")

    async with trio.open_nursery() as nursery:
        for name, seconds in (("late", 3.0), ("early", 1.0), ("as early", 1.0), ("now", 0.0)):
            nursery.start_soon(sleep, name, seconds)
    await trio.sleep_until(2.0)
    note(events, "a moment that is over")


async def cut_short(events: Events) -> None:
    with trio.move_on_after(1.0):
        await trio.sleep(7.0)
    note(events, "cut")
    await trio.sleep(2.0)
    note(events, "slept")


async def cut_as_it_wakes(events: Events) -> None:
    with trio.move_on_at(1.0):
        await trio.sleep_until(1.0)
        note(events, "nobody comes here")
    note(events, "cut")


async def shielded_as_it_wakes(events: Events) -> None:
    with trio.move_on_at(1.0):
        with trio.CancelScope(shield=True):
            await trio.sleep_until(1.0)
            note(events, "slept")
        await trio.lowlevel.checkpoint()
        note(events, "nobody comes here")


async def cut_before_it_runs(events: Events) -> None:
    async def cut(scope: trio.CancelScope) -> None:
        await trio.sleep_until(1.0)
        note(events, "cuts")
        scope.cancel()

    async def sleep(scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep_until(1.0)
            note(events, "awake")
        note(events, "over")

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            scope = trio.CancelScope()
            nursery.start_soon(sleep, scope)
            nursery.start_soon(cut, scope)


async def woken_by_another(events: Events) -> None:
    sleep = Sleep()

    async def wake(at_s: float) -> None:
        await trio.sleep_until(at_s)
        sleep.cut()
        sleep.cut()
        note(events, "wakes who sleeps")

    sleep.cut()
    async with trio.open_nursery() as nursery:
        for at_s in (1.0, 2.5, 6.0, 7.0):
            nursery.start_soon(wake, at_s)
        for until_s in (5.0, 2.0, 2.0, 4.0, 6.0, 9.0):
            await sleep.until(until_s)
            note(events, f"slept until {until_s}")
        with trio.move_on_at(8.0):
            await sleep.until(9.0)
        note(events, "cut off")
        sleep.cut()
        await trio.sleep(1.0)
        note(events, "over")


@pytest.mark.parametrize(
    "body", [sleepers, cut_short, cut_as_it_wakes, shielded_as_it_wakes, woken_by_another]
)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_happens_at_the_same_moments_in_the_same_order(body: Body, seed: int) -> None:
    ours, trios = by_both(body, seed)
    assert ours == trios


@pytest.mark.parametrize("seed", range(8))
def test_who_is_cut_off_between_waking_and_running_does_not_wake(seed: int) -> None:
    ours, trios = by_both(cut_before_it_runs, seed)
    assert sorted(ours) == sorted(trios)


def by_both(body: Body, seed: int) -> tuple[Events, Events]:
    """What happens by the simulator's clock, and by trio's own."""
    ours: Events = []
    simulate(body, ours, seed=seed)
    trios: Events = []
    with in_fixed_order(seed):
        trio.run(body, trios, clock=trio.testing.MockClock(autojump_threshold=0))
    assert ours
    return ours, trios


@given(st.lists(st.floats(0.0, 3.0), max_size=6), st.floats(0.0, 3.0))
def test_everybody_wakes_when_it_is_time_unless_he_is_cut_off(
    times: list[float], cut_s: float
) -> None:
    async def body() -> list[float]:
        woken: list[float] = []

        async def sleep(at_s: float) -> None:
            await trio.sleep_until(at_s)
            woken.append(trio.current_time())

        with trio.move_on_at(cut_s):
            async with trio.open_nursery() as nursery:
                for at_s in times:
                    nursery.start_soon(sleep, at_s)
        assert trio.current_time() == (
            cut_s if any(t >= cut_s for t in times) else max(times, default=0.0)
        )
        return woken

    assert simulate(body) == sorted(at_s for at_s in times if at_s < cut_s)


def test_a_sleep_that_was_cut_short_moves_no_clock() -> None:
    async def body() -> float:
        with trio.move_on_after(1.0):
            await trio.sleep(7.0)
        await trio.to_thread.run_sync(int)  # nothing else is to come
        return trio.current_time()

    assert simulate(body) == 1.0


def test_a_moment_that_is_none_is_refused_and_the_end_of_time_never_comes() -> None:
    async def body() -> None:
        with pytest.raises(ValueError, match="NaN"):
            await trio.sleep_until(math.nan)
        with trio.move_on_after(4.0):
            await trio.sleep_until(math.inf)
        assert trio.current_time() == 4.0

    trios = trio.sleep_until
    simulate(body)
    assert trio.sleep_until is trios
