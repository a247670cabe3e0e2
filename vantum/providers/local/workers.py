"""Threads for the embedded engines' computing, shared by all sessions of the process.

The event loop never computes for longer than a couple of milliseconds; the engines (which release
the GIL) compute here instead. There are about as many workers as cores, because more would only
make each other slower, and whoever asks first is served first. An engine that gives its result bit
by bit asks again for every bit, so that a session that speaks for a minute stands in the same queue
as one that wants a single word.

A worker's job cannot be abandoned: a cancelled caller leaves at the end of the running job, so
that nothing runs on behind its back. Jobs are therefore short, or call
`trio.from_thread.check_cancelled` every few milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, closing
from typing import Final, TypeVar, TypeVarTuple

import trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _End:
    """What `next` gives at the end: StopIteration cannot cross a thread's border."""


_END: Final = _End()


class Workers:
    """A fixed number of worker threads with a first-come, first-served queue before them."""

    def __init__(self, threads: int = 0) -> None:
        """`threads`: how many may compute at once; 0: as many as the machine has cores."""
        self._limiter = trio.CapacityLimiter(threads or os.cpu_count() or 1)

    @property
    def threads(self) -> int:
        """How many jobs may run at once."""
        return int(self._limiter.total_tokens)

    @property
    def idle(self) -> bool:
        """Whether a job would begin at once: a worker is free and nobody waits for one."""
        return self._limiter.available_tokens > 0

    async def run(self, job: Callable[[*Ts], T], *args: *Ts) -> T:
        """Do `job(*args)` in a worker and give what it returns; what it raises comes through.

        Cancelling takes the job out of the queue at once; a running job is waited for.
        """
        return await trio.to_thread.run_sync(job, *args, limiter=self._limiter)

    @asynccontextmanager
    async def iterate(
        self, start: Callable[[*Ts], Generator[T, None, None]], *args: *Ts
    ) -> AsyncGenerator[AsyncIterator[T], None]:
        """Run the blocking generator `start(*args)`, one worker's turn per item.

        Between items it holds no worker: a slow consumer costs the others nothing. The generator
        runs in changing threads, never in two at once. Leaving the context closes it (on the event
        loop: its `finally` must be quick) after the item that is being made.
        """
        items = start(*args)
        with closing(items):
            async with aclosing(self._pull(items)) as pulled:
                yield pulled

    async def _pull(self, items: Generator[T, None, None]) -> AsyncGenerator[T, None]:
        while not isinstance(item := await self.run(_step, items), _End):
            yield item


def _step(items: Generator[T, None, None]) -> T | _End:
    return next(items, _END)
