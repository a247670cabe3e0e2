"""Virtual time with everything that happens in a fixed order: the same seed gives the same run.

Trio shuffles the tasks that may run next, on purpose. Here they run in an order that follows from
the seed: `in_fixed_order` switches trio's own (private) provision for Hypothesis on and seeds the
generator that trio shuffles with. It is the only place that does so.

The clock is our own. Trio's `MockClock` notices that all tasks wait, jumps, and lets the event loop
go round once more; `JumpingClock` jumps when it is asked how long to sleep, which saves a fifth of
the rounds, and telling the time is not the sum of four things.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

import structlog
import trio
import trio._core._run as trio_run
from attrs import define

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

    def start_clock(self) -> None:
        """It begins at 0."""

    def current_time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Trio asks this when no task can run: nothing will happen before the deadline."""
        if deadline > self.now_s:
            # Who waits for all tasks to be blocked comes before the next deadline; and if there is
            # none, only the world outside can go on.
            if trio_run.GLOBAL_RUN_CONTEXT.runner.waiting_for_idle or deadline == math.inf:
                return math.inf
            self.now_s = deadline
        return 0.0


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
    with in_fixed_order(seed), _quiet():
        return trio.run(body, *args, clock=JumpingClock(), instruments=instruments)
