"""The command line: what it prints, what it exits with, and signals to the real program."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio
from attrs import define, field
from click import Group

import vantum
from tests.patience import HANG_S, PATIENT_ENVIRONMENT, connect, nobody_listening
from vantum.cli import commands, main
from vantum.client import Client, ClientError
from vantum.config import LocalSettings
from vantum.core import events as e
from vantum.core.audio import read_wav, write_wav
from vantum.testing import (
    CartesiaScript,
    DeepgramScript,
    OpenAIScript,
    SimulatedProviders,
    simulated_providers,
)

SECRET = "hunter2-is-a-key"
SHORT = "Hi. ||BREAK|| Bye."
#: A minute of speech: nobody hears it to its end.
LONG = "and so on " * 60
#: 200 ms at 16 kHz, and no digital silence, in which nobody looks long for words.
VOICE = b"\x40\x00\xc0\xff" * 1600
PROGRAM = str(Path(sys.executable).parent / "vantum-actors")

Vantum: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without our settings, and a directory of its own."""
    for name in list(os.environ):
        if name.startswith(("DEEPGRAM_", "OPENAI_", "CARTESIA_", "LLM_", "STT_", "TTS_", "LOG_")):
            monkeypatch.delenv(name)
    ours = ("PORT", "HOST", "AUTH_TOKENS", "VANTUM_MODELS_DIR", "LOCAL_LLM_MODEL", "TOOLS")
    for name in ours:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def vantum_actors(clean: None, capsys: pytest.CaptureFixture[str]) -> Vantum:
    """The program in this process: its exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def caller_wav(tmp_path: Path) -> Path:
    path = tmp_path / "caller.wav"
    path.write_bytes(write_wav(b"\x00\x10" * 3200, 16_000))
    return path


def assert_one_line(err: str) -> str:
    assert err.startswith("vantum-actors: "), err
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert SECRET not in err
    return err.removeprefix("vantum-actors: ").rstrip("\n")


# ---------------------------------------------------------------- the command line itself


def test_version_and_help(vantum_actors: Vantum) -> None:
    assert vantum_actors("--version") == (0, f"vantum-actors, version {vantum.__version__}\n", "")
    code, out, _ = vantum_actors("-h")
    assert code == 0
    for command in ("run", "config", "models", "replay", "simulate"):
        assert f"  {command} " in out
        assert vantum_actors(command, "--help")[0] == 0
    code, _, err = vantum_actors()
    assert code == 2
    assert "Usage: vantum-actors" in err


def test_the_list_of_commands_cuts_no_sentence(vantum_actors: Vantum) -> None:
    """On a terminal of 80 columns, where people read it."""
    groups = [name for name, command in commands.commands.items() if isinstance(command, Group)]
    assert len(groups) >= 4
    for arguments in ([], *([name] for name in groups)):
        code, out, _ = vantum_actors(*arguments, "--help")
        listed = out.partition("Commands:\n")[2]
        assert (code, listed != "", "..." in listed) == (0, True, False), out


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_lacks_a_character(clean: None, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [PROGRAM, "config"], env=environment, capture_output=True, timeout=HANG_S, check=True
    )
    assert b"turns.backchannels" in done.stdout
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["fly"], "No such command 'fly' (see: vantum-actors --help)"),
        (["run", "--flag"], "No such option '--flag' (see: vantum-actors run --help)"),
        (["run", "--port"], "Option '--port' requires an argument (see: vantum-actors"),
        (["replay"], "Missing argument 'FILE.wav…' (see: vantum-actors replay --help)"),
        *(
            (["replay", "a.wav", "--speed", x], f"Invalid value for '--speed': {x}: must be a num")
            for x in ("0", "21", "nan", "fast")
        ),
        (["replay", "a.wav", "--events", "x"], "Invalid value for '--events': 'x' is not one of"),
        (["models", "fetch", "x"], "Got unexpected extra argument (x) (see: vantum-actors models"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(
    vantum_actors: Vantum, arguments: list[str], line: str
) -> None:
    code, out, err = vantum_actors(*arguments)
    assert (code, out) == (2, "")
    assert assert_one_line(err).startswith(line)


# ---------------------------------------------------------------- settings


def test_config_masks_secrets(vantum_actors: Vantum, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "DEEPGRAM_API_KEY", "CARTESIA_API_KEY", "AUTH_TOKENS"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("PORT", "4000")
    code, out, err = vantum_actors("config")
    assert (code, err) == (0, "")
    assert SECRET not in out
    lines = {line.split(" = ")[0].strip(): line.split(" = ")[1] for line in out.splitlines()}
    assert lines["openai.api_key"] == "***  (environment OPENAI_API_KEY)"
    assert lines["server.port"] == "4000  (environment PORT)"
    assert lines["server.host"] == "127.0.0.1  (default)"
    code, out, _ = vantum_actors("config", "--json")
    assert SECRET not in out
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["server.auth_tokens"]["value"] == "***"
    assert set(rows) == set(lines)


WRONG: list[tuple[dict[str, str], list[str], str]] = [
    ({"LLM_TEMPERATURE": "5"}, [], "LLM_TEMPERATURE=5: must be a number from 0 to 2"),
    ({}, ["--port", "abc"], "--port=abc: must be a whole number from 0 to 65535"),
    ({}, ["--port", "70000"], "--port=70000: must be a whole number from 0 to 65535"),
    ({}, ["--tts", "deepgram"], "--tts=deepgram: must be auto, cartesia or local"),
    ({}, ["--stt", "deepgram"], "stt.provider=deepgram needs a key: set DEEPGRAM_API_KEY"),
    ({}, ["--log-level", "loud"], "--log-level=loud: must be debug, info, warning or error"),
    ({}, ["--config", "none.toml"], "none.toml: cannot be read: No such file or directory"),
    ({}, ["--config", "."], ".: cannot be read: Is a directory"),
    ({}, ["--config", "bad.toml"], "bad.toml: is not TOML: "),
    ({}, ["--config", "wrong.toml"], "wrong.toml: streaming.breakMarker=BREAK: must be at most"),
    ({"DEEPGRAM_API_KEY": f"{SECRET}\x07"}, [], "DEEPGRAM_API_KEY: must be one line of printable"),
    ({"LLM_FALLBACK_TIER1": "..."}, [], "LLM_FALLBACK_TIER1=...: must be text with at least one"),
    ({"OPENAI_BASE_URL": "x"}, [], "OPENAI_BASE_URL=x: must be an address that begins with http"),
    ({}, ["--tools", "shop"], "tools.load=shop: must be module:attribute, such as shop:tools"),
    ({"TOOLS": "no_shop:tools"}, [], "tools.load=no_shop:tools: no module no_shop"),
    ({"TOOLS_BUILT_IN": "fly"}, [], "tools.built_in=fly (environment TOOLS_BUILT_IN): must be"),
    ({}, ["--host", "no-such-host.invalid"], "cannot listen on no-such-host.invalid:3001 (HOST"),
    ({}, ["--host", "a" * 70 + ".example"], "cannot listen on aaaaaaaaa"),
    ({}, ["--host", "203.0.113.1"], "cannot listen on 203.0.113.1:3001 (HOST, PORT): Cannot ass"),
]


@pytest.mark.parametrize(("env", "arguments", "line"), WRONG, ids=lambda v: str(v)[:40])
def test_a_wrong_setting_stops_the_start(
    vantum_actors: Vantum,
    monkeypatch: pytest.MonkeyPatch,
    env: dict[str, str],
    arguments: list[str],
    line: str,
) -> None:
    Path("bad.toml").write_text("[llm")
    Path("wrong.toml").write_text("[streaming]\nbreakMarker = 'BREAK'")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    code, out, err = vantum_actors("run", *arguments)
    assert (code, out) == (1, "")
    assert assert_one_line(err).startswith(line)


def test_a_port_that_is_taken(vantum_actors: Vantum) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = vantum_actors("run", "--port", port)
    assert (code, out) == (1, "")
    where = f"127.0.0.1:{port}"
    assert assert_one_line(err) == f"cannot listen on {where} (HOST, PORT): Address already in use"


def test_a_port_that_is_not_for_us(vantum_actors: Vantum, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    code, _, err = vantum_actors("run", "--port", "80")
    assert code == 1
    assert assert_one_line(err) == "cannot listen on 127.0.0.1:80 (HOST, PORT): Permission denied"


def test_a_misspelt_variable_is_pointed_out(
    vantum_actors: Vantum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_APIKEY", SECRET)
    code, _, err = vantum_actors("config")
    assert code == 0
    assert assert_one_line(err) == "OPENAI_APIKEY is not a setting; did you mean OPENAI_API_KEY?"


@pytest.mark.parametrize("command", [("replay", "no.wav"), ("call", "1"), ("campaign", "run", "x")])
def test_a_misspelt_variable_is_pointed_out_once(
    vantum_actors: Vantum, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Also where the log is quieter than a server's."""
    monkeypatch.setenv("OPENAI_APIKEY", SECRET)
    code, _, err = vantum_actors(*command)
    assert (code, len(err.splitlines()), err.count("OPENAI_APIKEY")) == (1, 2, 1)


def test_models_says_what_is_there(vantum_actors: Vantum, tmp_path: Path) -> None:
    Path("here.toml").write_text(f"[local]\nmodels_dir = '{tmp_path}'")
    code, out, err = vantum_actors("models", "--config", "here.toml")
    assert (code, err) == (0, "")
    for words in ("moonshine-tiny-en  missing", "MIT", "Apache-2.0", "silero-vad", str(tmp_path)):
        assert words in out


def test_models_fetch_takes_the_file_of_settings(vantum_actors: Vantum, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Path("here.toml").write_text(f"[local]\nmodels_dir = '{tmp_path}/file/below'")
    for arguments in (("--config", "here.toml", "fetch"), ("fetch", "--config", "here.toml")):
        code, _, err = vantum_actors("models", *arguments)
        assert code == 1
        assert f"could not be stored in {tmp_path}/file/below: " in err


@pytest.mark.parametrize(
    ("command", "role", "key"),
    [
        (["run", "--port", "0"], "stt", "DEEPGRAM"),
        (["replay", "caller.wav"], "stt", "DEEPGRAM"),
        (["chat"], "llm", "OPENAI"),
    ],
)
def test_packages_that_are_missing_are_missed_before_a_download(
    vantum_actors: Vantum,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caller_wav: Path,
    command: list[str],
    role: str,
    key: str,
) -> None:
    monkeypatch.setenv("VANTUM_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, out, err = vantum_actors(*command)
    assert (code, out) == (1, "")
    assert assert_one_line(err) == (
        f"{role}.provider=local (no {key}_API_KEY) needs packages that are not installed: "
        'pip install "vantum[local]"'
    )
    assert not (tmp_path / "models").exists()


# ---------------------------------------------------------------- replay's complaints


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.wav"], "none.wav: cannot be read: No such file or directory"),
        (["."], ".: cannot be read: Is a directory"),
        (["text.wav"], "text.wav: not a WAV file: it does not begin with RIFF … WAVE"),
        (["caller.wav", "none.wav"], "none.wav: cannot be read: No such file or directory"),
        (["caller.wav", "--out", "text.wav"], "text.wav: cannot be made: File exists"),
        (["caller.wav", "--url", "ftp://x"], "'ftp://x' is no address of a server; one is ws://"),
        (["caller.wav", "--url", f"ws://me:{SECRET}@x"], "'x' is no address of a server"),
        (["caller.wav", "--url", "x", "--token", f"{SECRET}\n"], "the token must be one line"),
        (["caller.wav", "--config", "none.toml"], "none.toml: cannot be read"),
    ],
    ids=str,
)
def test_replay_complains_in_one_line(
    vantum_actors: Vantum, caller_wav: Path, arguments: list[str], line: str
) -> None:
    Path("text.wav").write_text("no sound")
    code, out, err = vantum_actors("replay", *arguments)
    assert code == 1
    assert "Milliseconds" not in out
    assert assert_one_line(err).startswith(line)


def test_replay_where_nobody_listens(vantum_actors: Vantum, caller_wav: Path) -> None:
    with nobody_listening() as port:
        code, _, err = vantum_actors("replay", caller_wav, "--url", f"127.0.0.1:{port}")
    assert code == 1
    where = f"ws://127.0.0.1:{port}/ws"
    assert assert_one_line(err) == (
        f"cannot connect to {where}: Connection refused (is a server running there?)"
    )


# ---------------------------------------------------------------- the real program


@define(eq=False)
class Running:
    """A program that runs, and what it has printed."""

    process: trio.Process
    out: str = ""
    err: str = ""
    _news: trio.Event = field(factory=trio.Event)

    async def read(self, stream: Any, name: str) -> None:
        async for data in stream:
            setattr(self, name, getattr(self, name) + data.decode())
            self._news.set()
            self._news = trio.Event()

    async def until(self, words: str) -> None:
        with trio.fail_after(HANG_S):
            while words not in self.out:
                assert self.process.poll() is None, self.err
                await self._news.wait()

    @property
    def url(self) -> str:
        return self.out.split(" is listening on ")[1].split()[0]

    async def ended(self) -> int:
        with trio.fail_after(HANG_S):
            return await self.process.wait()


@asynccontextmanager
async def a_program(*arguments: object, **env: str) -> AsyncIterator[Running]:
    """Our program in a process of its own, ended with the body at the latest."""
    environment = {
        k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "PYTHONPATH")
    } | env
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            [PROGRAM, *map(str, arguments)],
            env=environment,
            stdin=-3,
            stdout=-1,
            stderr=-1,
        )
        running = Running(process)
        async with trio.open_nursery() as readers:
            readers.start_soon(running.read, process.stdout, "out")
            readers.start_soon(running.read, process.stderr, "err")
            try:
                yield running
            finally:
                if process.poll() is None:
                    process.kill()
                with trio.move_on_after(HANG_S, shield=True):
                    await process.wait()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def providers(answer: str = SHORT) -> AsyncIterator[SimulatedProviders]:
    async with simulated_providers(
        DeepgramScript(("hello",), speech="on_finalize"),
        OpenAIScript((answer,)),
        CartesiaScript(),
    ) as peers:
        yield peers


@asynccontextmanager
async def a_server(answer: str = SHORT, **env: str) -> AsyncIterator[Running]:
    async with providers(answer) as peers:
        keys = {k: SECRET if k.endswith("KEY") else v for k, v in peers.environment().items()}
        environment = PATIENT_ENVIRONMENT | keys | env
        async with a_program("run", "--port", "0", **environment) as running:
            await running.until("Stop it: Ctrl-C")
            yield running


async def ask(client: Client) -> None:
    await client.start(e.InputOptions(turn_detection="manual"))
    await client.send_audio(VOICE)
    await client.end()
    async for _, message in client.events:
        if isinstance(message, e.OutputChunk):
            return
    raise AssertionError(f"no answer, and the server hung up: {client.closed}")


async def test_run_tells_how_to_try_it_and_ends_politely(clean: None) -> None:
    options = {"LOG_LEVEL": "debug", "AUTH_TOKENS": SECRET, "SHUTDOWN_GRACE": "60000"}
    async with a_server(**options) as running:
        assert f"Vantum {vantum.__version__} is listening on ws://127.0.0.1:" in running.out
        for line in (
            "  stt recognises  deepgram: DEEPGRAM_API_KEY is set",
            "  llm thinks      openai: OPENAI_API_KEY is set",
            "  tts speaks      cartesia: CARTESIA_API_KEY is set",
            f"Try it:  vantum-actors replay YOUR.wav --url {running.url}",
        ):
            assert line in running.out.splitlines()
        async with connect(running.url, token=SECRET) as client:
            await ask(client)
            running.process.send_signal(signal.SIGTERM)
            await running.until("Shutting down: 1 session, answers in progress may finish within")
            with pytest.raises(ClientError, match="cannot connect"):
                async with connect(running.url, token=SECRET):
                    pass
            rest = [message async for _, message in client.events]
            kinds = [type(message) for message in rest]
            assert e.OutputCancelled not in kinds
            assert kinds.index(e.OutputCompleted) < kinds.index(e.Maintenance)
            assert client.closed is not None
            assert client.closed.startswith("1001 ")
        assert await running.ended() == 0
    assert "Traceback" not in running.err
    assert SECRET not in running.out + running.err
    assert "session opened" in running.err, "the logs were on"


SHOP = """from vantum.tools import tool

@tool(effect="pure")
def hours() -> str:
    "When we are open."
    return "9 to 5"
"""


@pytest.mark.local
@pytest.mark.parametrize(
    ("command", "key"), [(("run", "--port", "0"), ""), (("chat",), ""), (("chat",), SECRET)]
)
async def test_tools_that_the_local_model_calls_none_of_are_pointed_out(
    clean: None,
    local_settings: LocalSettings,
    tmp_path: Path,
    command: tuple[str, ...],
    key: str,
) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    env = {"PYTHONPATH": path, "OPENAI_API_KEY": key}
    async with a_program(*command, "--tools", "shop:hours", **env) as running:
        await running.until("Ctrl-")
        if command[0] == "chat":
            assert await running.ended() == 0
    told = "  tools not used: hours (the local model calls none)" in running.out.splitlines()
    assert told == (not key)


async def test_an_answer_that_outlasts_the_grace_time_is_cut(clean: None) -> None:
    async with (
        a_server(LONG, SHUTDOWN_GRACE="200") as running,
        connect(running.url) as client,
    ):
        await ask(client)
        running.process.send_signal(signal.SIGINT)
        rest = [type(message) async for _, message in client.events]
        assert rest.index(e.OutputCancelled) < rest.index(e.Maintenance)
        assert e.OutputCompleted not in rest
        assert await running.ended() == 0
        assert "Traceback" not in running.err


async def test_a_second_signal_ends_at_once(clean: None) -> None:
    # Politely it would end after a minute, with 0.
    async with (
        a_server(LONG, SHUTDOWN_GRACE="600000") as running,
        connect(running.url) as client,
    ):
        await ask(client)
        running.process.send_signal(signal.SIGTERM)
        await running.until("(again to end at once)")
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 1
        assert "Traceback" not in running.err


@pytest.fixture
def no_nohup() -> Iterator[None]:
    """Who runs these tests may ignore SIGHUP, and so would the programs that they start."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
async def test_a_terminal_that_is_closed_lets_calls_end_politely(
    clean: None, no_nohup: None
) -> None:
    """The shell sends SIGHUP, and then the kernel another one."""
    async with (
        a_server(LONG, SHUTDOWN_GRACE="200") as running,
        connect(running.url) as client,
    ):
        await ask(client)
        running.process.send_signal(signal.SIGHUP)
        await running.until("(again to end at once)")
        running.process.send_signal(signal.SIGHUP)
        rest = [type(message) async for _, message in client.events]
        assert rest.index(e.OutputCancelled) < rest.index(e.Maintenance)
        assert await running.ended() == 0
        assert "Traceback" not in running.err


async def test_run_and_replay(clean: None, caller_wav: Path) -> None:
    async with a_server() as server:
        arguments = ("--url", server.url, "--speed", "4", "--events", "unified")
        async with a_program("replay", caller_wav, caller_wav, *arguments) as replay:
            assert await replay.ended() == 0
    assert replay.err == ""
    lines = replay.out.splitlines()
    assert lines.count("caller.wav: 0.2 s at 16000 Hz") == 2
    assert lines.count("  caller: hello") == 2
    assert lines.count("  agent:  Hi. Bye.") == 2
    assert "\nThe caller waited " in replay.out
    for number in (1, 2):
        answer = Path("replay-out") / f"0{number}-caller-answer.wav"
        assert f": {answer}" in replay.out
        assert read_wav(answer.read_bytes()).duration_s > 0.3


async def test_replay_with_a_server_of_its_own(clean: None, caller_wav: Path) -> None:
    async with providers() as peers:
        # Its server asks for a token, and its own client has it.
        env = PATIENT_ENVIRONMENT | peers.environment() | {"AUTH_TOKENS": f"{SECRET}, other"}
        options = ("--events", "voicechat", "--out", "there", "--voice", "tessa")
        async with a_program("replay", caller_wav, *options, **env) as replay:
            assert await replay.ended() == 0
        assert "stt recognises  deepgram: DEEPGRAM_API_KEY is set" in replay.out
        assert "caller: hello" in replay.out
        assert replay.err == ""
        assert SECRET not in replay.out
        assert os.listdir("there") == ["01-caller-answer.wav"]
        assert peers.cartesia.requests[0].message["voice"] == {"mode": "id", "id": "tessa"}


async def test_replay_of_a_fallback_exits_with_1(clean: None, caller_wav: Path) -> None:
    async with providers() as peers:
        env = PATIENT_ENVIRONMENT | peers.environment()
        env |= {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "LLM_FALLBACK_TIER1": "Pardon?"}
        async with a_program("replay", caller_wav, **env) as replay:
            assert await replay.ended() == 1
    assert "agent:  Pardon?" in replay.out
    assert "a fallback: the model failed: replay-out" in replay.out
    assert replay.err.splitlines()[-1] == (
        "vantum-actors: no answer of the model's own to caller.wav"
    )
    assert "Traceback" not in replay.err


async def test_ctrl_c_in_a_replay(clean: None, caller_wav: Path) -> None:
    async with providers(LONG) as peers:
        env = PATIENT_ENVIRONMENT | peers.environment()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            async with a_program("replay", caller_wav, **env) as replay:
                await replay.until("caller: hello")
                replay.process.send_signal(number)
                assert await replay.ended() == code
            assert replay.err == ""


@pytest.mark.parametrize("handler", ["default_int_handler", "SIG_IGN"])
async def test_a_second_ctrl_c_waits_for_no_thread(clean: None, handler: str) -> None:
    """As long as one loads a model, the first cannot end the program. The background jobs of a
    script begin with SIGINT ignored."""
    script = f"""
import signal, threading, trio
signal.signal(signal.SIGINT, signal.{handler})
from vantum.signals import until_signal

async def load():
    print("loading", flush=True)
    try:
        await trio.to_thread.run_sync(threading.Event().wait)
    finally:
        print("never", flush=True)

async def tell():
    try:
        await trio.sleep_forever()
    finally:
        print("told", flush=True)

async def work():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        await load()

trio.run(until_signal, work)
"""
    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            command = [sys.executable, "-c", script]
            process = await nursery.start(
                partial(trio.run_process, command, stdout=-1, check=False)
            )
            lines = b""
            while True:
                lines += await process.stdout.receive_some()
                if lines == b"loading\n":
                    process.send_signal(signal.SIGINT)
                elif lines == b"loading\ntold\n":
                    process.send_signal(signal.SIGINT)
                    break
            assert await process.wait() == -signal.SIGINT


async def test_a_server_that_goes_away_in_a_replay(clean: None, caller_wav: Path) -> None:
    async with (
        a_server(LONG) as server,
        a_program("replay", caller_wav, "--url", server.url) as replay,
    ):
        await replay.until("caller: hello")
        server.process.kill()
        assert await replay.ended() == 1
    assert assert_one_line(replay.err).startswith("the server hung up: ")


async def test_a_reader_that_goes_away(clean: None, caller_wav: Path) -> None:
    async with providers(LONG) as peers:  # it still has much to write when the reader goes
        with trio.fail_after(HANG_S):
            done = await trio.run_process(
                ["bash", "-c", f"set -o pipefail; {PROGRAM} replay {caller_wav} | head -1"],
                env=dict(os.environ) | PATIENT_ENVIRONMENT | peers.environment(),
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
    assert b"is listening on" in done.stdout
    assert (done.returncode, done.stderr) == (1, b"")


async def test_simulate_prints_what_a_shell_can_read(clean: None) -> None:
    async with a_program("simulate") as running:
        await running.until("# then: vantum-actors run")
        lines = [line for line in running.out.splitlines() if not line.startswith("#")]
        settings = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        assert all(line.startswith("export ") for line in lines)
        assert len(settings) == 6
        for name, value in settings.items():
            if name.endswith("URL"):
                address = value.split("//")[1].split("/")[0]
                host, port = address.split(":")
                await (await trio.open_tcp_stream(host, int(port))).aclose()
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
    assert running.err == ""


def test_simulate_where_it_cannot_listen(vantum_actors: Vantum) -> None:
    code, _, err = vantum_actors("simulate", "--host", "203.0.113.1")
    assert code == 1
    assert assert_one_line(err).startswith("cannot listen on 203.0.113.1:0 (--host): ")
