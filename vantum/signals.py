"""Signals while a command works: what it is asked to end with, and how its work ends then."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

import trio

from vantum.at_once import ENDING, end_at_once
from vantum.errors import VantumError

T = TypeVar("T")

#: Of a closed terminal, from the shell and the kernel both; Windows has none.
HANG_UP: int | None = getattr(signal, "SIGHUP", None)


def end_signals() -> list[int]:
    """What a server is asked to end with. SIGHUP, when its terminal is closed, is one, unless it is
    ignored, as behind `nohup`."""
    asked: list[int] = [signal.SIGINT, signal.SIGTERM]
    if HANG_UP is not None and signal.getsignal(HANG_UP) is not signal.SIG_IGN:
        asked.append(HANG_UP)
    return asked


@asynccontextmanager
async def ending_at_once(opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """The same, but as long as it is being opened, SIGINT and SIGTERM end the process then and
    there, whoever waits for them: for what cannot be stopped and needs no end of its own, such as
    loading a model."""
    async with AsyncExitStack() as stack:
        before = {number: signal.getsignal(number) for number in ENDING}
        end_at_once()
        try:
            opened = await stack.enter_async_context(opening)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        yield opened


async def until_signal(work: Callable[[], Awaitable[int]]) -> int:
    """Do `work`; the first SIGINT or SIGTERM cancels it, the second one ends the process.

    Without this, Ctrl-C would end the process in whatever line of whichever task is running; and
    it would be an exception there if nobody has called `end_at_once`.

    Returns:
        What `work` gives, or 128 plus the signal's number, as a shell has it.
    """
    code = 0
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        async with trio.open_nursery() as nursery:

            async def watch(task_status: trio.TaskStatus[None]) -> None:
                nonlocal code
                with trio.open_signal_receiver(*ENDING) as signals:
                    task_status.started()
                    code = 128 + await anext(aiter(signals))
                # It would wait for threads, such as one that reads a line. Who has taken the first
                # takes the second.
                end_at_once(also_ignored=True)
                nursery.cancel_scope.cancel()

            await nursery.start(watch)
            code = await work()
            nursery.cancel_scope.cancel()
    except* VantumError:
        # What fails because it was stopped is of no interest.
        if not code:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code
