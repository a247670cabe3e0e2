"""Without file descriptors: who connects waits, and nobody else notices."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from attrs import define, field
from structlog.testing import capture_logs
from trio.testing import MockClock, memory_stream_pair

from tests.patience import HANG_S, PATIENT_ENVIRONMENT, a_port, connect, until
from tests.test_standard_streams import ENVIRONMENT, PROGRAM, answered, listening
from vantum.descriptors import LastingListener, allow_descriptors
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript, simulated_providers

resource = pytest.importorskip("resource")


@define(eq=False)
class Exhausted(trio.abc.Listener[trio.abc.Stream]):
    """Accepts nothing until a time."""

    until_s: float
    number: int = errno.EMFILE
    tries: int = field(default=0, init=False)
    is_closed: bool = field(default=False, init=False)

    async def accept(self) -> trio.abc.Stream:
        self.tries += 1
        await trio.lowlevel.checkpoint()
        if trio.current_time() < self.until_s:
            raise OSError(self.number, os.strerror(self.number))
        return memory_stream_pair()[0]

    async def aclose(self) -> None:
        self.is_closed = True
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("number", "why", "what_to_do"),
    [
        (errno.EMFILE, "this process has no file descriptor left", "ulimit -n"),
        (errno.ENFILE, "this machine has no file descriptor left", "fs.file-max"),
        (errno.ENOBUFS, "the kernel has no memory left for a socket", "memory"),
        (errno.ENOMEM, "the kernel has no memory left for a socket", "memory"),
    ],
)
async def test_it_is_said_seldom_and_accepting_goes_on(
    autojump_clock: MockClock, number: int, why: str, what_to_do: str
) -> None:
    inner = Exhausted(trio.current_time() + 70, number)
    listener = LastingListener(inner)
    with capture_logs() as logs:
        await listener.accept()
        await listener.accept()
    assert inner.tries > 600
    assert [line["event"] for line in logs] == ["no connection can be accepted"] * 3 + [
        "connections are accepted again"
    ]
    assert logs[0]["why"] == why
    assert what_to_do in logs[0]["what_to_do"]
    assert ("limit" in logs[0]) == (number == errno.EMFILE)
    await listener.aclose()
    assert inner.is_closed


async def test_who_can_and_cannot_in_turn_does_not_fill_the_log(autojump_clock: MockClock) -> None:
    inner = Exhausted(0.0)
    listener = LastingListener(inner)
    with capture_logs() as logs:
        for _ in range(20):
            inner.until_s = trio.current_time() + 1
            await listener.accept()
    assert [line["event"] for line in logs] == [
        "no connection can be accepted",
        "connections are accepted again",
    ]


async def test_another_error_is_the_listeners_end(autojump_clock: MockClock) -> None:
    listener = LastingListener(Exhausted(trio.current_time() + 1, errno.EBADF))
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        await listener.accept()


def test_the_soft_limit_is_raised_as_far_as_it_goes() -> None:
    script = (
        "import resource, sys\n"
        "from vantum.descriptors import allow_descriptors\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))\n"
        "for wanted in 50, 200, 5000:\n"
        "    allow_descriptors(wanted)\n"
        "    print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_S, check=True
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line[0].isdigit() and " 300" in line[-4:]] == [
        "100 300",
        "200 300",
        "300 300",
    ]
    assert sum("all sessions may need more file descriptors" in line for line in lines) == 1


def test_nothing_is_changed_where_it_suffices() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    allow_descriptors(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


async def test_a_server_without_descriptors(tmp_path: Path) -> None:
    """The call that goes on does, one line says why nobody else is heard, and then they are."""
    log = tmp_path / "log"
    said = DeepgramScript(("hello",), speech="on_finalize")
    with a_port() as port, trio.fail_after(HANG_S):
        async with simulated_providers(said, OpenAIScript(("Hi.",)), CartesiaScript()) as peers:
            command = f"ulimit -n 64; exec {PROGRAM} run --port {port} 2>{log}"
            process = await trio.lowlevel.open_process(
                ["bash", "-c", command],
                env=ENVIRONMENT | PATIENT_ENVIRONMENT | peers.environment(),
                cwd=tmp_path,
            )
            try:
                await listening(process, port)
                url = f"ws://127.0.0.1:{port}/ws"
                async with connect(url) as client:
                    await answered(client)
                    idle = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(64)]
                    await until(lambda: "no connection can be accepted" in log.read_text())
                    await answered(client)
                    for stream in idle:
                        await stream.aclose()
                    async with connect(url) as another:
                        await answered(another)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            finally:
                if process.poll() is None:
                    process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "no connection can be accepted"]
    assert (len(told), told[0]["limit"]) == (1, 64)
    assert "connections are accepted again" in [line["event"] for line in lines]
    assert not any("exception" in line for line in lines)
