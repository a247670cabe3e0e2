"""`vantum-actors call`, on real sockets: simulated providers and a simulated Twilio around it."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from click.testing import CliRunner

from tests.patience import HANG_S, a_port, nobody_listening
from vantum.cli import commands
from vantum.commands.call_run import run_call
from vantum.config.load import load_settings
from vantum.errors import ConfigError
from vantum.telephony.calls import CallRefused
from vantum.testing import DeepgramScript, simulated_providers
from vantum.testing.twilio import (
    Busy,
    Person,
    SimulatedTwilio,
    TwilioScript,
    simulated_twilio,
)
from vantum.testing.twilio.script import FROM_NUMBER

CALLEE = "+12125550142"
NOTHING: dict[str, Any] = {
    "prospect": None,
    "script": None,
    "greeting": "",
    "voicemail": "",
    "from_number": "",
    "url": "",
    "token": "",
}
LISTENER = Person(rings_s=0.1)


@define(eq=False)
class Terminal:
    """What was printed."""

    lines: list[str] = field(factory=list)
    _news: trio.Event = field(factory=trio.Event)

    def say(self, text: str) -> None:
        self.lines += text.split("\n")
        self._news.set()
        self._news = trio.Event()

    async def until(self, text: str) -> None:
        while not any(text in line for line in self.lines):
            await self._news.wait()


@asynccontextmanager
async def a_world(
    script: TwilioScript, **more: str
) -> AsyncIterator[tuple[SimulatedTwilio, Mapping[str, str]]]:
    """Gives the simulated Twilio, and the environment of a command that is to use it."""
    heard = DeepgramScript(("Hello there.",), lead_s=1.6, pause_s=60.0, repeat=False)
    with trio.fail_after(HANG_S), a_port() as port:
        async with simulated_providers(deepgram=heard) as peers, simulated_twilio(script) as twilio:
            yield (
                twilio,
                {
                    **peers.environment(),
                    **twilio.environment(),
                    "HOST": "127.0.0.1",
                    "PORT": str(port),
                    "TWILIO_PUBLIC_URL": f"http://127.0.0.1:{port}",
                    "TWILIO_FROM_NUMBER": FROM_NUMBER,
                    "VANTUM_DATABASE": ":memory:",
                    "COMPLIANCE_CONSENT_REQUIRED": "false",
                    "COMPLIANCE_HOURS": "mon-sun 00:00-24:00",
                    "COMPLIANCE_COUNTRIES": "US",
                    "COMPLIANCE_OPENING": "An AI here.",
                    "LOG_LEVEL": "error",
                    **more,
                },
            )


async def call(terminal: Terminal, env: Mapping[str, str], **options: Any) -> int:
    loaded = load_settings(env, None, {})
    return await run_call(loaded, number=CALLEE, say=terminal.say, **(NOTHING | options))


async def test_a_call_is_placed_and_shown(tmp_path: Path) -> None:
    who, script = tmp_path / "ada.json", tmp_path / "hello.toml"
    who.write_text('{"name": "Ada", "extra": {"city": "Troy"}}')
    script.write_text('[stages.hello]\ngoals = ["say hello"]\n')
    terminal = Terminal()
    async with a_world(TwilioScript(answers=LISTENER)) as (twilio, env), trio.open_nursery() as n:

        async def hang_up_when_understood() -> None:
            await terminal.until("them: Hello there.")
            twilio.calls[0].end("the person hangs up")

        n.start_soon(hang_up_when_understood)
        greeting = "An AI here, {{prospect.name}}."
        code = await call(terminal, env, prospect=who, script=script, greeting=greeting)
        assert code == 0
        assert [c.to_number for c in twilio.calls] == [CALLEE]
    assert "  us: An AI here, Ada." in terminal.lines
    assert "  them: Hello there." in terminal.lines
    assert "  in-progress" in terminal.lines
    assert terminal.lines[-1].startswith("talked (the other party hung up), ")
    assert " USD: t" in terminal.lines[-1]


async def test_a_call_that_nobody_takes_is_a_failure() -> None:
    terminal = Terminal()
    async with a_world(TwilioScript(answers=Busy(after_s=0.1))) as (_, env):
        assert await call(terminal, env) == 1
    assert terminal.lines[-1].startswith("busy")


@pytest.mark.parametrize("at", ["Calling", "us: An AI here."])
async def test_who_stops_the_command_hangs_up(at: str) -> None:
    terminal = Terminal()
    async with a_world(TwilioScript(answers=LISTENER)) as (twilio, env):
        codes: list[int] = []
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                codes.append(await call(terminal, env))

            nursery.start_soon(run)
            await terminal.until(at)
            signal.raise_signal(signal.SIGINT)
        assert codes == [130]
        await twilio.calls[0].over.wait()
    assert "Hanging up …" in terminal.lines
    assert "(hung up by request)" in terminal.lines[-1]


async def test_a_refusal_is_told() -> None:
    terminal = Terminal()
    async with a_world(TwilioScript(), COMPLIANCE_CONSENT_REQUIRED="true") as (twilio, env):
        with pytest.RaisesGroup(
            pytest.RaisesExc(CallRefused, match="consent"), flatten_subgroups=True
        ):
            await call(terminal, env)
        assert twilio.calls == []


async def test_a_server_that_is_not_there() -> None:
    expected = pytest.RaisesExc(ConfigError, match="nobody answers")
    with nobody_listening() as port, pytest.RaisesGroup(expected, flatten_subgroups=True):
        await call(Terminal(), {}, url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["nonsense", "127.0.0.1:3001", "ftp://x", "http://"])
async def test_a_url_that_is_no_address_is_named(url: str) -> None:
    wrong = pytest.RaisesExc(ConfigError, match=f"^--url {re.escape(url)}: is no address")
    with pytest.RaisesGroup(wrong, flatten_subgroups=True):
        await call(Terminal(), {}, url=url)


def test_what_is_missing_is_one_line() -> None:
    result = CliRunner().invoke(commands, ["call", CALLEE], env={"TWILIO_ACCOUNT_SID": "AC1"})
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "vantum-actors: to call from here, TWILIO_AUTH_TOKEN, TWILIO_PUBLIC_URL, "
        "TWILIO_FROM_NUMBER (or --from) must be set (or call through a running server: --url)"
    ]


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", "[]", "must be an object"),
        ("a", ' {"nmae": "Ada"}', "nmae: is not known"),
        ("a.json", '{"nmae": "Ada"}', "nmae: is not known"),
        ("a.toml", "name = ", "is not TOML"),
        ("a.toml", "name = 1", "name: must be text"),
    ],
)
def test_a_prospect_that_is_none(tmp_path: Path, name: str, text: str, wrong: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    result = CliRunner().invoke(commands, ["call", CALLEE, "--prospect", str(path)])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert str(path) in line
    assert wrong in line


def test_a_script_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text("[stages]")
    result = CliRunner().invoke(commands, ["call", CALLEE, "--script", str(path)])
    assert result.exit_code == 1
    assert "a script needs stages" in result.stderr
