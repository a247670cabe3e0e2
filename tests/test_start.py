"""The first moments of the command, until what it works with is loaded."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from tests.patience import HANG_S
from vantum.at_once import end_at_once
from vantum.core.audio import write_wav

MAIN = "from vantum.start import main; main()"
#: A signal comes while the command line is being loaded.
INTERRUPTED = """
import signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "vantum.cli":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
#: Something is being loaded that takes for ever.
LOADING = """
import sys, threading, trio
from vantum.providers import registry

def load(*_):
    print("loading", flush=True)
    threading.Event().wait()

async def load_in_thread(*_):
    await trio.to_thread.run_sync(load)

registry._stt, registry._llm = load, load_in_thread
"""
FIRST_OF_A_CONTAINER = "import os; os.getpid = lambda: 1"
KEYS = {
    "DEEPGRAM_API_KEY": "any",
    "OPENAI_API_KEY": "any",
    "CARTESIA_API_KEY": "any",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "any",
    "TWILIO_PUBLIC_URL": "https://example.com",
    "TWILIO_FROM_NUMBER": "+12125550100",
    "VANTUM_DATABASE": ":memory:",
    "PORT": "0",
}


def run(script: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_ctrl_c_while_the_rest_is_loaded_is_quiet() -> None:
    assert run(f"{INTERRUPTED}\n{MAIN}") == (-signal.SIGINT, "", "")


def test_the_first_process_of_a_container_ends_as_well() -> None:
    """The kernel lets it live if it has nothing of its own for a signal."""
    assert run(f"{FIRST_OF_A_CONTAINER}\n{INTERRUPTED}\n{MAIN}") == (130, "", "")


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    code, out, err = run(f"{ignored}\n{INTERRUPTED}\n{MAIN}", "--version")
    assert (code, err) == (0, "")
    assert out.startswith("vantum-actors, version ")


def test_the_library_leaves_signals_alone() -> None:
    ask = "import signal, vantum.start; print(signal.getsignal(signal.SIGINT).__name__)"
    assert run(ask) == (0, "default_int_handler\n", "")


def test_it_is_the_command() -> None:
    code, out, err = run(MAIN, "--version")
    assert (code, err) == (0, "")
    assert out.startswith("vantum-actors, version ")


def test_nothing_is_loaded_before_signals_are_seen_to() -> None:
    """It would take longer than all there is before, and Ctrl-C be a stack for so long."""
    loaded = "import sys; old = {*sys.modules}; import vantum.start; print({*sys.modules} - old)"
    code, out, _ = run(loaded)
    assert code == 0
    assert not {"typing", "enum", "re", "contextlib", "trio"} & set(ast.literal_eval(out))


COMMANDS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "run": lambda _: ("run",),
    "replay": lambda wav: ("replay", wav),
    "chat": lambda _: ("chat",),
    "call": lambda _: ("call", "+12125550142"),
}


@pytest.mark.parametrize(
    ("command", "number"),
    [*((command, signal.SIGINT) for command in COMMANDS), ("replay", signal.SIGTERM)],
)
async def test_no_signal_waits_for_what_is_being_loaded(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    wav = tmp_path / "caller.wav"
    wav.write_bytes(write_wav(b"\x00\x10" * 3200, 16_000))
    arguments = COMMANDS[command](str(wav))
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", f"{LOADING}\n{MAIN}", *arguments],
        env={**os.environ, **KEYS},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with trio.fail_after(HANG_S):
            seen = b""
            while b"loading\n" not in seen:
                data = await process.stdout.receive_some()
                assert data, "it has ended"
                seen += bytes(data)
            process.send_signal(number)
            assert await process.wait() == -number
            said = b"".join([bytes(data) async for data in process.stderr])
    finally:
        if process.poll() is None:
            process.kill()
        await process.stdout.aclose()
        await process.stderr.aclose()
    assert b"Traceback" not in said


def test_end_at_once_takes_both() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        end_at_once()
        assert {signal.getsignal(number) for number in before} == {signal.SIG_DFL}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
