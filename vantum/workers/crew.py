"""The parent's part: start the workers, start again who ends, and end with all of them.

Each worker has a socket to the parent, on which it is given its task, says that it listens, and is
asked to end. The socket's end is the parent's end: no worker outlives it, however it ends.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import trio
from attrs import define, field

from vantum.core.backoff import Schedule
from vantum.errors import ConfigError
from vantum.observe.logs import get_log
from vantum.workers.parent import packed

#: Between the end of a worker and its next start; one that ends again and again waits the longest.
AGAIN: Final = Schedule((0.1, 0.5, 1.0, 2.0, 5.0, 10.0))
#: Who has run for so long begins with the shortest wait again.
_STEADY_S: Final = 60.0
#: What a worker says is one line: a banner or why it cannot start.
_MAX_REPORT_BYTES: Final = 65_536

_log = get_log("workers")


@define(eq=False)
class _Worker:
    """A running worker. `banner`: what it said when it listened; `failed`: why it cannot run."""

    process: trio.Process
    control: trio.SocketStream
    banner: str | None = None
    failed: str | None = None

    async def hear(self, ready: Callable[[str], None]) -> None:
        """Read what it says until it ends."""
        rest = b""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while len(rest) <= _MAX_REPORT_BYTES and (data := await self.control.receive_some()):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    report = json.loads(line)
                    self.failed = report.get("failed", self.failed)
                    if self.banner is None and "listens" in report:
                        self.banner = report["listens"]
                        ready(report["listens"])

    async def end(self) -> None:
        """Ask it to end politely."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.control.send_all(b"\n")

    @property
    def how(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@define(eq=False)
class Crew:
    """The workers of one server.

    Args:
        command: the program of a worker; the number of its socket's descriptor and its label (for
            whoever looks at the list of processes) are appended.
        tasks: what each is given, by label.
        down: told of each that has ended.

    `ready`: all have been listening; `banners`: what each said then.
    """

    command: Sequence[str]
    tasks: dict[str, bytes]
    down: Callable[[str], None]
    ready: trio.Event = field(factory=trio.Event, init=False)
    banners: dict[str, str] = field(factory=dict, init=False)
    _running: dict[str, _Worker] = field(factory=dict, init=False)
    _stopping: trio.Event = field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Keep all workers running; returns when `stop` has ended them.

        Raises:
            ConfigError: one could not start for the first time; the others have been ended.
        """
        async with trio.open_nursery() as nursery:
            for label in self.tasks:
                nursery.start_soon(self._keep, label)

    async def stop(self, grace_s: float) -> None:
        """Ask all to end politely; who has not after `grace_s` is killed."""
        self._stopping.set()
        for label, worker in list(self._running.items()):
            if worker.banner is None:
                worker.process.terminate()
            await worker.end()
            _log.debug("asked to end", worker=label)
        await trio.sleep(grace_s)
        self.kill()

    def kill(self) -> None:
        """End all at once."""
        for label, worker in self._running.items():
            if worker.process.poll() is None:
                _log.warning("killed", worker=label)
                worker.process.kill()

    def pids(self) -> dict[str, int]:
        """The processes that run now, by label."""
        return {label: worker.process.pid for label, worker in self._running.items()}

    # ------------------------------------------------------------ one worker

    async def _keep(self, label: str) -> None:
        ends = 0
        while not self._stopping.is_set():
            began_s = trio.current_time()
            worker = await self._one(label)
            self.down(label)
            if self._stopping.is_set():
                return
            if label not in self.banners:
                why = f"worker {label} did not start: {worker.how}"
                raise ConfigError(worker.failed or why)
            ends = 0 if trio.current_time() - began_s >= _STEADY_S else ends
            wait_s = AGAIN.delays_s[min(ends, AGAIN.attempts - 1)]
            ends += 1
            _log.error(
                "a worker has ended; it is started again",
                worker=label,
                how=worker.failed or worker.how,
                in_s=wait_s,
            )
            with trio.move_on_after(wait_s):
                await self._stopping.wait()

    async def _one(self, label: str) -> _Worker:
        """Run a worker to its end."""
        worker = await self._start(label)
        self._running[label] = worker
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(worker.hear, lambda banner: self._listens(label, banner))
                # It reads its task as soon as it can; or it has ended already, which is seen below.
                with suppress(trio.BrokenResourceError):
                    await worker.control.send_all(packed(self.tasks[label]))
                if self._stopping.is_set():
                    worker.process.terminate()
                await worker.process.wait()
                # What it said last is still there to be read, up to the end that its death made.
        finally:
            del self._running[label]
            with trio.CancelScope(shield=True):
                if worker.process.poll() is None:
                    worker.process.kill()
                await worker.process.wait()
                await trio.aclose_forcefully(worker.control)
        return worker

    def _listens(self, label: str, banner: str) -> None:
        self.banners.setdefault(label, banner)
        if len(self.banners) == len(self.tasks):
            self.ready.set()

    async def _start(self, label: str) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await trio.lowlevel.open_process(
                    [*self.command, str(theirs.fileno()), label],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    # Ctrl-C in a terminal is for the parent, which asks them itself.
                    process_group=0,
                )
            except OSError as error:
                ours.close()
                raise ConfigError(f"worker {label} cannot be started: {error}") from error
        return _Worker(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
