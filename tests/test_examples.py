"""The examples, as programs, against simulated providers; and the package's public names."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import vantum
from tests.patience import HANG_S, PATIENT_ENVIRONMENT, nobody_listening
from vantum.core.audio import write_wav
from vantum.core.events import ResponseCompleted
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript, simulated_providers
from vantum.wire.registry import ACCEPTED, SENT

EXAMPLES = Path(__file__).parents[1] / "examples"


NAMES = (
    "talk_to_a_server",
    "talk_by_hand",
    "server_in_your_program",
    "your_own_provider",
    "tools",
)


async def example(name: str, *arguments: object, cwd: Path) -> str:
    """What it prints; it has nothing to complain of."""
    code, out, err = await run(name, *arguments, cwd=cwd)
    assert (code, err) == (0, "")
    return out


async def failing(name: str, *arguments: object, cwd: Path) -> str:
    """What it complains of."""
    code, _, err = await run(name, *arguments, cwd=cwd)
    assert code == 1
    return err


async def run(name: str, *arguments: object, cwd: Path) -> tuple[int, str, str]:
    environment = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    with trio.fail_after(HANG_S):
        done = await trio.run_process(
            [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)],
            env=environment,
            cwd=cwd,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "caller.wav"
    path.write_bytes(write_wav(b"\x00\x10" * 3200, 16_000))
    return path


async def test_talking_to_a_server(tmp_path: Path, recording: Path) -> None:
    answer = "Hi. ||BREAK|| " + "And so on. " * 60  # a minute, in which the caller cuts in
    async with simulated_providers(
        DeepgramScript(("hello",), speech="on_finalize"),
        OpenAIScript(("Hi. ||BREAK|| Bye.", answer)),
        CartesiaScript(),
    ) as peers:
        settings = vantum.load_settings(PATIENT_ENVIRONMENT | peers.environment(), None).settings
        async with (
            vantum.open_providers(settings) as providers,
            vantum.open_server(settings, providers, port=0) as url,
        ):
            out = await example("talk_to_a_server", url, recording, cwd=tmp_path)
            assert "The caller said:      hello\nThe server answered:  Hi. Bye.\n" in out
            assert "It began to speak after " in out
            assert (tmp_path / "01-caller-answer.wav").exists()
            out = await example("talk_by_hand", url, recording, cwd=tmp_path)
            assert out.startswith("caller: hello\nagent, until the caller cut in: Hi.")
            assert len(out) < len(answer)


async def test_an_agent_with_tools(tmp_path: Path, recording: Path) -> None:
    out = await example("tools", recording, cwd=tmp_path)
    # On a machine that stands still for a while, the filler has no time to be said.
    assert out.replace("Let me look at the calendar. ", "") == (
        "  (booked a demo at 2026-03-31 16:30:00+02:00)\n"
        "caller: Do you have time on Tuesday?\n"
        "agent:  Four thirty it is. You will get an invitation. Goodbye!\n"
    )


@pytest.mark.parametrize("name", ["server_in_your_program", "your_own_provider"])
async def test_programs_of_ones_own(tmp_path: Path, recording: Path, name: str) -> None:
    out = await example(name, recording, cwd=tmp_path)
    if name == "server_in_your_program":
        assert out.startswith("Listening on ws://127.0.0.1:")
        assert out.endswith(
            "caller: What does it cost?\nagent:  Ten euros a month. Shall we begin?\n"
        )
    else:
        assert out == "caller: Hello, who is this?\nagent:  You said: Hello, who is this?\n"


async def test_a_program_has_the_agent_say_something() -> None:
    servers: list[vantum.Server] = []
    async with simulated_providers() as peers:
        settings = vantum.load_settings(PATIENT_ENVIRONMENT | peers.environment(), None).settings
        async with (
            vantum.open_providers(settings) as providers,
            vantum.open_server(settings, providers, port=0, began=servers.append) as url,
            vantum.connect(url) as client,
        ):
            await client.start(vantum.InputOptions(turn_detection="manual"))
            conductor = servers[0].sessions[client.session_id]
            assert conductor is not None
            await conductor.say("We have to end here.", then_hang_up=True, reason="closing time")
            with trio.fail_after(HANG_S):
                said = [x.text async for _, x in client.events if isinstance(x, ResponseCompleted)]
    assert said == ["We have to end here."]
    assert client.closed == "1000 closing time"


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_that_is_missing_is_one_line(tmp_path: Path, name: str) -> None:
    at = ["127.0.0.1:9"] if name.startswith("talk") else []
    err = await failing(name, *at, tmp_path / "none.wav", cwd=tmp_path)
    assert err == f"{tmp_path / 'none.wav'}: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("talk")])
async def test_a_server_that_is_not_there_is_one_line(
    tmp_path: Path, recording: Path, name: str
) -> None:
    with nobody_listening() as port:
        err = await failing(name, f"127.0.0.1:{port}", recording, cwd=tmp_path)
    assert (err.count("\n"), "Connection refused (is a server running there?)" in err) == (1, True)


def test_examples_are_short_and_all_are_tested() -> None:
    scripts = {path.stem: path for path in EXAMPLES.glob("*.py")}
    assert set(scripts) == set(NAMES)
    for path in scripts.values():
        assert path.read_text().count("\n") < 65, path


BROWSER = {path.name: path.read_text("utf-8") for path in (EXAMPLES / "browser").iterdir()}


def test_the_page_in_the_browser_is_whole() -> None:
    """What it loads beside itself is there, and nothing is that nobody loads."""
    loaded = {name for text in BROWSER.values() for name in re.findall(r'"\./([\w.]+)"', text)}
    assert {"index.html", *loaded} == set(BROWSER)


def test_the_page_in_the_browser_speaks_the_protocol() -> None:
    """Its events are the registry's, and it knows what a call cannot do without."""
    named = {
        name
        for text in BROWSER.values()
        for name in re.findall(r'"((?:[a-z]+\.){2}[a-z_]+)"', text)
    }
    known = {*ACCEPTED["unified"], *SENT["unified"]}
    assert named - known == set()
    assert named >= {
        "connection.lifecycle.ack",
        "audio.input.start",
        "audio.input.chunk",
        "audio.output.start",
        "audio.output.chunk",
        "audio.output.cancel",
        "audio.output.played",
        "user.action.interrupt",
        "user.action.end_call",
    }


def test_the_recording_says_where_it_is_from() -> None:
    assert "Public domain" in (EXAMPLES / "caller.wav.license").read_text()
    assert vantum.load_recording(EXAMPLES / "caller.wav").wav.duration_s > 1


def test_public_names() -> None:
    assert set(vantum.__all__) <= set(dir(vantum))
    for name in vantum.__all__:
        assert getattr(vantum, name) is not None
    for home, names in vantum._HOMES.items():
        for name in names:
            assert getattr(vantum, name) is getattr(importlib.import_module(home), name)
            assert name in vantum.__all__
    with pytest.raises(AttributeError, match="module 'vantum' has no attribute 'nothing'"):
        vantum.nothing  # noqa: B018


def test_importing_the_package_loads_nothing() -> None:
    script = (
        "import sys, vantum\n"
        "heavy = 'trio', 'numpy', 'attrs', 'click', 'starlette', 'msgpack', 'structlog'\n"
        "print([m for m in sys.modules if m in heavy or m.startswith('vantum.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_S, check=True
    )
    assert done.stdout == "[]\n"
