"""The benchmark's processes: started here, asked here, and ended here whatever happens."""

from __future__ import annotations

import json
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from attrs import define

ROOT = Path(__file__).parent.parent
#: What is measured, and the process that stands in its place for the floor.
SERVER, BARE = "benchmarks.serving", "benchmarks.bare"
LOAD = "benchmarks.load"
_TICKS = os.sysconf("SC_CLK_TCK")


@define(eq=False)
class Process:
    """A child that takes lines and gives lines."""

    name: str
    popen: subprocess.Popen[bytes]
    errors: IO[bytes]
    _rest: bytes = b""

    @property
    def pid(self) -> int:
        """Its number."""
        return self.popen.pid

    def read_line(self, timeout_s: float) -> str:
        """The next line. RuntimeError with the end of its standard error if there is none."""
        assert self.popen.stdout is not None
        deadline_s = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.popen.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not selector.select(left_s):
                    raise RuntimeError(f"{self.name} said nothing in {timeout_s:g} s{self._why()}")
                data = os.read(self.popen.stdout.fileno(), 1 << 20)
                if not data:
                    raise RuntimeError(f"{self.name} has ended{self._why()}")
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def ask(self, timeout_s: float = 300.0, **command: Any) -> Any:
        """Send a command and wait for its answer. RuntimeError if the child reports an error."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(command).encode() + b"\n")
        self.popen.stdin.flush()
        answer = json.loads(self.read_line(timeout_s))
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(f"{self.name}: {command}: {answer['error']}")
        return answer

    def said(self) -> str:
        """What it has written to its standard error."""
        with os.fdopen(os.open(f"/proc/self/fd/{self.errors.fileno()}", os.O_RDONLY), "rb") as all_:
            return all_.read().decode(errors="replace")

    def _why(self) -> str:
        said = self.said().strip()
        return f":\n{said[-3000:]}" if said else ""

    # ------------------------------------------------------------ what the kernel says of it

    def cpu_s(self) -> float:
        """Processor time so far, of all its threads and workers, in user space and kernel."""
        return sum(map(_cpu_s, self._family()))

    def waited_s(self) -> float:
        """How long its main thread was ready to run and had no core."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    def memory_kb(self) -> tuple[int, int]:
        """RSS and PSS in KiB, with its workers'."""
        each = [_memory_kb(pid) for pid in self._family()]
        return sum(rss for rss, _ in each), sum(pss for _, pss in each)

    def _family(self) -> list[int]:
        """It and its children, which live as long as it does."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        found = [(thread / "children").read_text().split() for thread in threads]
        return [self.pid, *(int(pid) for pids in found for pid in pids)]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory_kb(pid: int) -> tuple[int, int]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rss, pss = (re.search(rf"^{name}:\s+(\d+) kB", text, re.M) for name in ("Rss", "Pss"))
    assert rss is not None
    assert pss is not None
    return int(rss[1]), int(pss[1])


@contextmanager
def running(
    name: str,
    module: str,
    arguments: Sequence[str] = (),
    env: dict[str, str] | None = None,
    cores: frozenset[int] | None = None,
) -> Iterator[Process]:
    """Run a module of this package as a child, on these cores; it is ended when the block is left.

    `cores`: None, or none at all: on any.
    """
    with tempfile.TemporaryFile() as errors:
        popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**_clean_environment(), **(env or {})},
        )
        if cores:
            os.sched_setaffinity(popen.pid, cores)  # it has no threads yet
        try:
            yield Process(name, popen, errors)
        finally:
            assert popen.stdin is not None
            assert popen.stdout is not None
            try:
                popen.stdin.close()
                popen.wait(3)
            except (OSError, subprocess.TimeoutExpired):
                popen.kill()
                popen.wait()
            popen.stdout.close()


def _clean_environment() -> dict[str, str]:
    """Ours without what would change the server: settings of the person who runs this."""
    from vantum.config.declared import declared

    ours = {row.env for row in declared().values() if row.env}
    return {name: value for name, value in os.environ.items() if name not in ours}


@contextmanager
def three(
    plan: dict[str, Any],
    settings: dict[str, str] | None = None,
    server_module: str = SERVER,
    load_module: str = LOAD,
    *,
    apart: bool = False,
) -> Iterator[tuple[Process, Process, Process]]:
    """Peers, server and load client: all on loopback, each in its own process.

    `apart`: the server has a core that the others keep away from, where there are two. Else the
    kernel often wakes it on the core on which a peer still works, and it waits there for its turn.
    """
    own, others = _shared_out() if apart else (frozenset[int](), frozenset[int]())
    with running("the peers", "benchmarks.peers", [json.dumps(plan)], cores=others) as peers:
        environment = {**json.loads(peers.read_line(120)), **(settings or {})}
        with running("the server", server_module, env=environment, cores=own) as server:
            host, port = _address(server)
            with running("the load", load_module, [host, port], cores=others) as load:
                yield peers, server, load


def _shared_out() -> tuple[frozenset[int], frozenset[int]]:
    """One core of ours, and the others; nothing where there is one only, or no choice."""
    if sys.platform != "linux" or len(ours := os.sched_getaffinity(0)) < 2:
        return frozenset(), frozenset()
    return frozenset({min(ours)}), frozenset(ours - {min(ours)})


def _address(server: Process) -> tuple[str, str]:
    where: re.Match[str] | None = None
    while True:
        line = server.read_line(120)
        where = re.search(r"ws://([\d.]+):(\d+)/ws", line) or where
        if line.startswith("Stop it"):
            break
    assert where is not None
    return where[1], where[2]
