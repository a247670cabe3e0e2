"""Virtual time with everything that happens in a fixed order: the same seed gives the same run.

Trio shuffles the tasks that may run next, on purpose. Here they run in an order that follows from
the seed: `in_fixed_order` switches trio's own (private) provision for Hypothesis on and seeds the
generator that trio shuffles with. It is the only place that does so.

The clock is our own. Trio's `MockClock` notices that all tasks wait, jumps, and lets the event loop
go round once more; `JumpingClock` jumps when it is asked how long to sleep, which saves a fifth of
the rounds, and telling the time is not the sum of four things.

So is sleeping: trio's is a cancel scope whose deadline cancels it, which costs four times what it
costs to wake a task. `sleeping_by_clock` has tasks woken by the clock itself, at the same moments
and in the same rounds (who is cancelled in the moment of waking takes one more to notice).
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from heapq import heappop, heappush
from typing import TypeVar, TypeVarTuple

import structlog
import trio
import trio._core._run as trio_run
import trio._timeouts as trio_timeouts
from attrs import define, field

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@contextmanager
def in_fixed_order(seed: int) -> Iterator[None]:
    """Every `trio.run` within schedules its tasks in an order that follows from `seed`."""
    sorts, state = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r.getstate()
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio_run._r.seed(seed)
    try:
        yield
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = sorts  # type: ignore[misc]
        trio_run._r.setstate(state)


@define(eq=False)
class JumpingClock(trio.abc.Clock):
    """Stands still while anything can run, and jumps to the next deadline when nothing can."""

    now_s: float = 0.0
    _sleeping: dict[int, trio.lowlevel.Task] = field(factory=dict, init=False)
    _due: list[tuple[float, int]] = field(factory=list, init=False)  # a heap; some sleep no more
    _numbers: Iterator[int] = field(factory=itertools.count, init=False)

    def start_clock(self) -> None:
        """It begins at 0."""

    def current_time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Trio asks this when no task can run: nothing will happen before the deadline."""
        while self._due and self._due[0][1] not in self._sleeping:
            heappop(self._due)
        if self._due:
            deadline = min(deadline, self._due[0][0])
        if deadline > self.now_s:
            # Who waits for all tasks to be blocked comes before the next deadline; and if there is
            # none, only the world outside can go on.
            if trio_run.GLOBAL_RUN_CONTEXT.runner.waiting_for_idle or deadline == math.inf:
                return math.inf
            self.now_s = deadline
        self._wake()
        return 0.0

    def _wake(self) -> None:
        while self._due and self._due[0][0] <= self.now_s:
            _, number = heappop(self._due)
            if (task := self._sleeping.pop(number, None)) is not None:
                trio.lowlevel.reschedule(task)

    async def sleep_until(self, deadline: float, sleep: Sleep | None = None) -> None:
        """Sleep until this moment, which lies ahead, or until `sleep` is cut short."""
        number = next(self._numbers)
        self._sleeping[number] = trio.lowlevel.current_task()
        if sleep is not None:
            sleep.cut = partial(self._cut, number)
        heappush(self._due, (deadline, number))

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._sleeping[number]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
        # Cancelled in the moment in which it woke: then trio's does not wake.
        await trio.lowlevel.checkpoint_if_cancelled()

    def _cut(self, number: int) -> None:
        if (task := self._sleeping.pop(number, None)) is not None:
            trio.lowlevel.reschedule(task)


def _nobody_sleeps() -> None:
    return None


@define(eq=False)
class Sleep:
    """A sleep that another task may cut short, by `cut`; under any clock."""

    cut: Callable[[], None] = _nobody_sleeps

    async def until(self, deadline: float) -> None:
        """Sleep until this moment at the latest."""
        clock = trio.lowlevel.current_clock()
        if isinstance(clock, JumpingClock) and deadline > clock.now_s:
            await clock.sleep_until(deadline, self)
            return
        woken = trio.Event()
        self.cut = woken.set
        with trio.move_on_at(deadline):
            await woken.wait()


@contextmanager
def sleeping_by_clock() -> Iterator[None]:
    """`trio.sleep` and `trio.sleep_until` under a `JumpingClock` are that clock's within."""
    trios = trio_timeouts.sleep_until

    async def sleep_until(deadline: float) -> None:
        clock = trio.lowlevel.current_clock()
        if isinstance(clock, JumpingClock) and deadline > clock.now_s:
            await clock.sleep_until(deadline)
        else:  # it has come, it is none, or the clock is another
            await trios(deadline)

    trio.sleep_until = trio_timeouts.sleep_until = sleep_until
    try:
        yield
    finally:
        trio.sleep_until = trio_timeouts.sleep_until = trios


@contextmanager
def _quiet() -> Iterator[None]:
    """Only warnings, unless the program has set up logs of its own: a call says a lot."""
    if structlog.is_configured():
        yield
        return
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(30),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()


def simulate(
    body: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    seed: int = 0,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T:
    """Run `body` on a clock that jumps whenever all tasks wait, tasks in an order given by `seed`.

    What `body` does must not wait for threads, sockets or the real clock.

    Raises:
        whatever `body` raises.
    """
    with in_fixed_order(seed), sleeping_by_clock(), _quiet():
        return trio.run(body, *args, clock=JumpingClock(), instruments=instruments)
