"""The hang-up proof: a call that ends anywhere leaves nothing behind.

A reference call is run through a whole server: admission, WebSocket, session, our real clients,
simulated providers. Then the same call is run again and again, with the same seed and so with the
same steps, and at step k of all its tasks either the server is cancelled or the client's connection
is gone. Each time nothing may remain: no task, no stream to a provider, no file or socket of the
process, no thread, no session's place in the server, no error in the log, and the end must come in
time.

A *point* is one step of a task, that is, every place at which anything in the process can see that
something happened. With `points=None` all of them are tried.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias, cast

import structlog
import trio
import trio.testing
from attrs import define, frozen
from structlog.typing import EventDict

from vantum import websocket
from vantum.core.events import Welcome
from vantum.server import Server
from vantum.testing.calls.call import CallSetup, SimulatedCall, new_call, new_ids, providers_of
from vantum.testing.calls.phone import CallOver
from vantum.testing.calls.script import Step, perform
from vantum.testing.calls.virtual import simulate
from vantum.testing.memory import MemoryListener

__all__ = ["HangUpReport", "How", "count_points", "prove_hang_up"]

#: Who ends the call: the server is cancelled, or the client's connection is gone.
How: TypeAlias = Literal["cancelled", "disconnected"]

_DEADLINE_S: Final = 3.0
#: The peers and the client may need a moment of virtual time to notice.
_SETTLE_S: Final = 5.0
_MAX_MESSAGE: Final = 1_048_576
_FILES: Final = "/proc/self/fd"
#: A full collection takes longer than a call.
_COLLECT_EVERY: Final = 100


@frozen
class HangUpReport:
    """What came of it.

    Attributes:
        how: who ended the call.
        steps: how many points the reference call has.
        tried: at how many of them the call was ended.
        slowest_s: the longest end, in virtual time.
        findings: what remained, with the point; empty if all is well.
    """

    how: How
    steps: int
    tried: int
    slowest_s: float
    findings: tuple[str, ...]

    def __str__(self) -> str:
        head = (
            f"{self.how}: ended at {self.tried} of {self.steps} points, "
            f"the slowest end took {self.slowest_s:.3f} s"
        )
        found = f", {len(self.findings)} findings" if self.findings else ", nothing remained"
        return "\n  ".join([head + found, *self.findings])


def count_points(script: Sequence[Step], setup: CallSetup | None = None) -> int:
    """How many points the reference call has."""
    return _run(script, setup or CallSetup(), None, "cancelled").steps


def prove_hang_up(
    script: Sequence[Step],
    setup: CallSetup | None = None,
    *,
    how: How,
    points: Iterable[int] | None = None,
    deadline_s: float = _DEADLINE_S,
    progress: Callable[[int], object] | None = None,
) -> HangUpReport:
    """End the call at each of the points, counted from 1; None: at all of them.

    Args:
        script: what the caller does in the reference call. It should be short.
        setup: of the call; faults that hang for ever would be findings.
        how: who ends it.
        points: where, in order; those behind the last one are left out.
        deadline_s: how long the end may take, in virtual time.
        progress: is told of each point that was tried.
    """
    setup = setup or CallSetup()
    steps = count_points(script, setup)
    tried, slowest_s = 0, 0.0
    findings: list[str] = []
    with _leaks() as leaks:
        for point in range(1, steps + 1) if points is None else points:
            if point > steps:
                break
            done = _run(script, setup, point, how)
            tried += 1
            slowest_s = max(slowest_s, done.took_s)
            found = [*done.left, *leaks(collect=tried % _COLLECT_EVERY == 0)]
            if done.took_s > deadline_s:
                found.append(f"the end took {done.took_s:.3f} s")
            findings += [f"point {point}: {what}" for what in found]
            if progress is not None:
                progress(point)
        findings += [f"at last: {what}" for what in leaks(collect=True)]
    return HangUpReport(how, steps, tried, slowest_s, tuple(findings))


# ---------------------------------------------------------------- what the process holds


@contextmanager
def _leaks() -> Iterator[Callable[..., list[str]]]:
    """Gives a function that tells what the process holds more than at the beginning."""
    unraisable: list[str] = []
    least, known = _files(), set(threading.enumerate())
    hook, sys.unraisablehook = sys.unraisablehook, lambda u: unraisable.append(repr(u.exc_value))

    def look(*, collect: bool) -> list[str]:
        if collect:
            gc.collect()
        found = [f"unraisable: {what}" for what in unraisable]
        unraisable.clear()
        # What others left behind before may go meanwhile.
        nonlocal least
        if (now := _files()) > least:
            found.append(f"{now - least} more open files or sockets")
        least = min(least, now)
        if threads := set(threading.enumerate()) - known:
            found.append(f"{len(threads)} more threads")
        found += [f"warning: {w.message}" for w in caught]
        caught.clear()
        return found

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        warnings.simplefilter("always", RuntimeWarning)
        try:
            yield look
        finally:
            sys.unraisablehook = hook


def _files() -> int:
    """Open files and sockets of this process, where the system tells."""
    return len(os.listdir(_FILES)) if os.path.isdir(_FILES) else 0


@contextmanager
def _errors_logged() -> Iterator[list[str]]:
    """What is logged as an error, and by which exception."""
    before, errors = structlog.get_config(), list[str]()

    def take(_logger: object, method: str, line: EventDict) -> EventDict:
        if method in ("error", "exception", "critical"):
            error = sys.exc_info()[1]
            errors.append(f"logged: {line['event']}" + (f": {_causes(error)}" if error else ""))
        raise structlog.DropEvent

    structlog.configure(processors=[take])
    try:
        yield errors
    finally:
        structlog.configure(**before)


def _causes(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(_causes(inner) for inner in error.exceptions)
    return repr(error)


# ---------------------------------------------------------------- one run


@frozen
class _Done:
    """`left`: what remained."""

    steps: int
    took_s: float
    left: tuple[str, ...]


@define(eq=False)
class _Points(trio.abc.Instrument):
    """Counts the steps of all tasks, and does something before one of them."""

    at: int | None
    steps: int = 0
    act: Callable[[], None] | None = None

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.act is None:
            return
        self.steps += 1
        if self.steps == self.at:
            act, self.act = self.act, None
            act()


def _run(script: Sequence[Step], setup: CallSetup, point: int | None, how: How) -> _Done:
    counter = _Points(point)

    async def body() -> tuple[float, list[str]]:
        before = _tasks()
        async with trio.open_nursery() as nursery:
            call = new_call(setup, nursery)
            async with providers_of(call) as providers:
                server = Server(
                    setup.settings,
                    providers,
                    tools=setup.tools,
                    new_id=new_ids("id"),
                    wall_ms=lambda: setup.wall_ms + round(trio.current_time() * 1000),
                )
                took_s = await _serve(server, call, script, counter, how)
            left = await _left(before, call, server)
            nursery.cancel_scope.cancel()
        return took_s, left

    with _errors_logged() as errors:
        took_s, left = simulate(body, seed=setup.seed, instruments=[counter])
    left += errors
    if point is not None and counter.act is not None:
        left.append("the point was never reached: the run was another one")
    return _Done(counter.steps, took_s, tuple(left))


async def _serve(
    server: Server, call: SimulatedCall, script: Sequence[Step], counter: _Points, how: How
) -> float:
    """Run the call until its end, or until it is ended; gives how long the end took."""
    listener = MemoryListener()
    ours = await listener.open_stream("call.test", 80)
    began_s, serving, calling = [0.0], trio.CancelScope(), trio.CancelScope()

    def end() -> None:
        began_s[0] = trio.current_time()
        if how == "cancelled":
            serving.cancel()
        else:
            ours.send_stream.close()
            ours.receive_stream.close()
        calling.cancel()

    async with trio.open_nursery() as nursery:
        over = trio.Event()

        async def serve(*, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
            with serving:
                await server.serve([listener], task_status=task_status)
            over.set()

        accepting = await nursery.start(serve)
        counter.act = end
        with calling:
            try:
                await _client(call, ours, script)
            except* (trio.BrokenResourceError, trio.ClosedResourceError, websocket.BadHandshake):
                pass  # the connection was taken from under it, or the server closed it
            if not calling.cancel_called:
                end()  # the reference call ends like the others, after everything
        if counter.at is None:
            counter.act = None
        accepting.cancel()
        with trio.move_on_after(60):
            await over.wait()
        took_s = trio.current_time() - began_s[0]
        nursery.cancel_scope.cancel()
    with trio.move_on_after(1, shield=True):
        await trio.aclose_forcefully(ours)
    return took_s


async def _client(call: SimulatedCall, stream: trio.abc.Stream, script: Sequence[Step]) -> None:
    """A client of a real WebSocket, around the caller's phone."""
    connection = await websocket.connect(stream, "call.test", "/ws", max_message_bytes=_MAX_MESSAGE)
    line = call.phone.line

    async def send() -> None:
        while (data := await line.up.receive()) is not None:
            await connection.send(data)

    async def receive() -> None:
        while (data := await connection.receive()) is not None:
            await line.down.send(cast(bytes, data))
        line.down.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        nursery.start_soon(receive)
        nursery.start_soon(call.phone.listen)
        nursery.start_soon(call.caller.run)
        try:
            await call.phone.until(Welcome)
            await call.caller.start()
            for step in script:
                await perform(call.caller, step)
        except CallOver:
            pass
        nursery.cancel_scope.cancel()


def _tasks() -> set[trio.lowlevel.Task]:
    """All tasks of this run, trio's own and those that belong to no nursery of ours among them."""
    root = trio.lowlevel.current_root_task()
    found: set[trio.lowlevel.Task] = set()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        found.add(task)
        waiting += (child for nursery in task.child_nurseries for child in nursery.child_tasks)
    return found


async def _left(before: set[trio.lowlevel.Task], call: SimulatedCall, server: Server) -> list[str]:
    """What of a call that has ended is still there."""
    with trio.move_on_after(_SETTLE_S):
        while _tasks() - before:  # noqa: ASYNC110 (nobody tells when a task of others ends)
            await trio.sleep(0.01)
    left = sorted(f"task {task.name}" for task in _tasks() - before)
    if call.wires.open:
        left.append(f"{call.wires.open} of {call.wires.opened} streams to providers")
    if server.sessions:
        left.append(f"places of {len(server.sessions)} sessions")
    return left
