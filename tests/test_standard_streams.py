"""Standard streams that are closed, full, or that nobody reads any more: what a shell can do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.patience import HANG_S, PATIENT_ENVIRONMENT, a_port, connect
from vantum.client import Client
from vantum.core import events as e
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript, simulated_providers

PROGRAM = f'"{sys.executable}" -c "from vantum.start import main; main()"'
#: 200 ms at 16 kHz, and no digital silence, in which nobody looks long for words.
VOICE = b"\x40\x00\xc0\xff" * 1600
OURS = ("DEEPGRAM_", "OPENAI_", "CARTESIA_", "LLM_", "LOG_", "PYTHONIOENCODING", "LC_", "LANG")
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}


def shell(tmp_path: Path, command: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    """The command line, as a shell runs it; `$V` is our program."""
    return subprocess.run(
        ["bash", "-c", command.replace("$V", PROGRAM)],
        env=ENVIRONMENT | env,
        cwd=tmp_path,
        capture_output=True,
        timeout=HANG_S,
        check=False,
    )


async def answered(client: Client) -> None:
    await client.start(e.InputOptions(turn_detection="manual"))
    await client.send_audio(VOICE)
    await client.end()
    async for _, message in client.events:
        if isinstance(message, e.OutputCompleted):
            return
    raise AssertionError(f"no answer, and the server hung up: {client.closed}")


@pytest.mark.parametrize(
    "streams",
    [
        ">/dev/full 2>/dev/full",  # a full disk
        "> >(true) 2> >(true)",  # `| tee FILE`, when tee has died by the Ctrl-C
        "<&- >&- 2>&-",
    ],
)
async def test_no_call_ends_because_nobody_reads_what_the_server_prints(
    tmp_path: Path, streams: str
) -> None:
    said = DeepgramScript(("hello",), speech="on_finalize")
    with a_port() as port, trio.fail_after(HANG_S):
        async with simulated_providers(said, OpenAIScript(("Hi.",)), CartesiaScript()) as peers:
            process = await trio.lowlevel.open_process(
                ["bash", "-c", f"exec {PROGRAM} run --port {port} {streams}"],
                env=ENVIRONMENT | PATIENT_ENVIRONMENT | peers.environment(),
                cwd=tmp_path,
            )
            try:
                await listening(process, port)
                async with connect(f"ws://127.0.0.1:{port}/ws") as client:
                    await answered(client)
                    await answered(client)
                    process.send_signal(signal.SIGTERM)
                    assert e.Maintenance in [type(message) async for _, message in client.events]
                    assert (client.closed or "").startswith("1001 ")
                assert await process.wait() == 0
            finally:
                if process.poll() is None:
                    process.kill()


async def listening(process: trio.Process, port: int) -> None:
    while True:
        assert process.poll() is None, "the server has ended"
        try:
            await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
        except OSError:
            await trio.sleep(0.02)
        else:
            return


@pytest.mark.parametrize("command", ["config", "simulate"])
def test_a_full_disk_is_one_line(tmp_path: Path, command: str) -> None:
    done = shell(tmp_path, f"$V {command} >/dev/full")
    line = b"vantum-actors: what is printed cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, line)
