"""Standard streams that are closed, full, or that nobody reads any more: what a shell can do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define

from tests.patience import HANG_S, PATIENT_ENVIRONMENT, a_port, connect
from vantum.client import Client
from vantum.core import events as e
from vantum.testing import (
    CallTool,
    CartesiaScript,
    DeepgramScript,
    OpenAIScript,
    Reply,
    simulated_openai,
    simulated_providers,
)

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


# ---------------------------------------------------------------- chat


@pytest.fixture
async def chatting() -> AsyncIterator[dict[str, str]]:
    """The environment of a model whose answers a terminal should not get as they are."""

    def answer(messages: Sequence[Mapping[str, Any]]) -> Reply | str:
        text = str(messages[-1]["content"])
        if messages[-1]["role"] == "tool":
            return "Done."
        if "bye" in text:
            return Reply("Goodbye!", (CallTool("end_call", {"reason": "done"}),))
        if "note" in text:
            return Reply("Noted.", (CallTool("remember", {"name": "a", "fact": "b\x1b[2J\nc"}),))
        return f"\x1b[2J{len(text)}\x07 characters 👩\u200d💻."

    async with simulated_openai(OpenAIScript(answer)) as peer:
        model = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": peer.base_url}
        yield {**ENVIRONMENT, **model, "TOOLS_BUILT_IN": "end_call, remember"}


async def chat(env: dict[str, str], stdin: bytes, redirect: str = "") -> tuple[int, str, str]:
    with trio.fail_after(HANG_S):
        done = await trio.run_process(
            ["bash", "-c", f"exec {PROGRAM} chat {redirect}"],
            stdin=stdin,
            env=env,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_what_a_pipe_says_behind_the_agents_goodbye_is_missed(
    chatting: dict[str, str],
) -> None:
    code, out, err = await chat(chatting, b"hello\nbye\n\n  \n")
    assert (code, err) == (0, "")
    assert out.endswith("The agent has hung up.\n")
    code, out, err = await chat(chatting, b"bye\n\nOne more thing.\n")
    assert out.endswith("The agent has hung up.\n")
    hung_up = "vantum-actors: the agent has hung up before the last line was said\n"
    assert (code, err) == (1, hung_up)


async def test_nothing_said_is_nothing_answered(chatting: dict[str, str]) -> None:
    code, out, err = await chat(chatting, b"", "<&-")
    assert (code, len(out.splitlines()), err) == (0, 1, "")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
async def test_bytes_that_are_no_text(chatting: dict[str, str], encoding: str) -> None:
    code, out, err = await chat(chatting | {"PYTHONIOENCODING": encoding}, b"caf\xe9\n")
    assert (code, err) == (0, "")
    assert "agent> " in out
    assert "4" in out.split("agent> ")[1]


@define(eq=False)
class Terminal:
    """A terminal with our program at it. `fd`: the end of who types."""

    fd: int
    screen: bytes = b""

    async def read(self) -> bool:
        await trio.lowlevel.wait_readable(self.fd)
        try:
            self.screen += os.read(self.fd, 65536)
        except OSError:  # nobody is at it any more
            return False
        return True

    async def until(self, text: bytes, times: int) -> None:
        while self.screen.count(text) < times:
            assert await self.read(), self.screen

    def type(self, text: bytes) -> None:
        os.write(self.fd, text)


async def test_chat_at_a_terminal(chatting: dict[str, str]) -> None:
    """Lines are typed, pasted, and too long; then the user ends it."""
    ours, theirs = os.openpty()
    process = await trio.lowlevel.open_process(
        ["bash", "-c", f"exec {PROGRAM} chat"],
        env=chatting | {"PYTHONIOENCODING": "utf-8"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    terminal = Terminal(ours)
    try:
        with trio.fail_after(HANG_S):
            await terminal.until(b"you> ", 1)
            terminal.type(b"hello\n")
            await terminal.until(b"you> ", 2)
            terminal.type(b"note\nagain\n")  # one will be there before it is asked for
            await terminal.until(b"you> ", 4)
            for count in range(1000, 6000, 1000):
                terminal.type(b"x" * 1000)
                await terminal.until(b"x", min(count, 4095))
            terminal.type(b"\n")
            await terminal.until(b"you> ", 5)
            terminal.type(b"\x04")
            while await terminal.read():
                pass
            assert await process.wait() == 0
    finally:
        if process.poll() is None:
            process.kill()
        os.close(ours)
    screen = terminal.screen.decode()
    assert "\x1b" not in screen
    assert "\x07 characters" not in screen
    assert screen.endswith("you> \r\n")
    lines = screen.splitlines()
    assert "agent>  [2J5  characters 👩\u200d💻." in lines
    assert "you> again" in lines
    assert any(line.startswith('       [tool] remember({"name": "a", ') for line in lines)
    assert "       (the terminal has cut this line: pipe in what is as long)" in lines
