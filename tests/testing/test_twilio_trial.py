"""What `simulate --twilio` offers: numbers that are answered, a caller, and reports of calls."""

from __future__ import annotations

import shlex
import subprocess
import sys
import wave
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from tests.patience import HANG_S, nobody_listening
from tests.testing.test_twilio_calls import ended, place
from tests.testing.test_twilio_line import LOUD, Peer
from tests.testing.twilio_server import HOST, STREAM, a_twilio
from vantum.cli import main
from vantum.compliance.numbers import place_of, to_e164
from vantum.config import (
    LocalSettings,
    Secret,
    ServerSettings,
    Settings,
    StorageSettings,
    TwilioSettings,
)
from vantum.config.load import load_settings
from vantum.providers.registry import open_providers
from vantum.running import open_server
from vantum.testing.twilio import HangUp, Hear, Pause, Person, Play, simulated_twilio, trial
from vantum.testing.twilio.script import ACCOUNT, AUTH_TOKEN

EXAMPLE = Path(__file__).parents[2] / "examples" / "caller.wav"
SIMULATE = (str(Path(sys.executable).parent / "vantum-actors"), "simulate", "--only-twilio")


@pytest.mark.parametrize("inbound", [True, False])
async def test_a_call_ends_in_a_recording_of_both_sides(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, inbound: bool
) -> None:
    said: list[str] = []
    script = trial.trial_script([EXAMPLE])
    # An agent that greets, and answers what is said 8 s into the stream.
    peer = Peer([(0.2, "media", LOUD * 100), (7.8, "media", LOUD * 50)])
    async with a_twilio(script, voice=STREAM) as (twilio, server), trio.open_nursery() as nursery:
        server.on_stream = peer.serve
        reporter = trial.Reporter(nursery, tmp_path, said.append)
        twilio.exchange.watchers.append(reporter.watch)
        if inbound:
            call = twilio.ring(f"{HOST}/voice", trial.trial_caller([EXAMPLE]))
        else:
            call = place(twilio)
        await ended(call)
        await reporter.done.wait()
        assert call.ended_because == "the person hangs up"
        assert reporter.heard == 1
        file = tmp_path / "call-1.wav"
        assert said[-1].startswith(f"# call 1: {file}, ")
        assert "left, the other side's speech, -2" in said[-1]
        assert "right, the server's, -11.9" in said[-1]
        with wave.open(BytesIO(file.read_bytes())) as recording:
            assert recording.getnchannels() == 2
        # They heard the greeting out before they spoke.
        (utterance,) = call.leg.utterances
        assert call.answered_s is not None
        assert utterance.began_s == pytest.approx(call.answered_s + 2.2 + 1.5, abs=0.05)


async def test_what_goes_wrong_is_told(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    said: list[str] = []
    async with a_twilio(voice=403) as (twilio, _), trio.open_nursery() as nursery:
        reporter = trial.Reporter(nursery, tmp_path, said.append)
        twilio.exchange.watchers.append(reporter.watch)
        await ended(twilio.ring(f"{HOST}/voice"))
        assert said[1:] == [
            "# call 1: failed (error 11200)",
            "# call 1: Twilio would warn: 11200 HTTP retrieval failure: https://server.test/voice "
            "answered with status 403",
        ]
        assert not reporter.heard
        assert not await trio.Path(tmp_path / "call-1.wav").exists()


def test_the_numbers_can_be_called() -> None:
    script = trial.trial_script([])
    assert set(script.personas) == set(trial.NUMBERS)
    for number in trial.NUMBERS:
        assert to_e164(number) == number
        assert place_of(number).zones


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--only-twilio --voice x.wav", "--voice x.wav: not a WAV file"),
        ("--only-twilio --voice none.wav", "--voice none.wav: No such file or directory"),
        ("--twilio --server nonsense", "--server: 'nonsense' is no address such as http"),
        ("--twilio --server wss://here", "--server: 'wss://here' is no address such as http"),
        ("--twilio --server http://here:x", "--server: 'http://here:x' is no address"),
        ("--ring ftp://here/voice", "--ring: 'ftp://here/voice' is no address"),
        ("--only-twilio --ring=", "--ring: '' is no address"),
        ("--server http://here", "--server is for phone calls: it needs --twilio or --only-twilio"),
        ("--voice x.wav", "--voice is for phone calls: it needs --twilio or --only-twilio"),
        ("--out here", "--out is for phone calls: it needs --twilio or --only-twilio"),
    ],
)
def test_options_that_cannot_be_followed(
    options: str,
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.wav").write_text("no")
    with pytest.raises(SystemExit) as ended:
        main(["simulate", *options.split()])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"vantum-actors: {complaint}")
    assert said.count("\n") == 1


def test_enter_calls_the_server_and_the_environment_can_be_read(tmp_path: Path) -> None:
    with nobody_listening() as port:
        command = [*SIMULATE, "--out", str(tmp_path), "--server", f"http://127.0.0.1:{port}"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip())
                if "press Enter" in line:
                    process.stdin.write("\n")
                    process.stdin.flush()
                if "Twilio would warn: 11205" in line:
                    break
            process.terminate()
            assert process.wait(HANG_S) == 0
    exports = [line.removeprefix("export ") for line in lines if not line.startswith("#")]
    environment = dict(shlex.split(line)[0].split("=", 1) for line in exports)
    loaded = load_settings(environment, None)
    assert not loaded.warnings
    assert loaded.settings.twilio.public_url == f"http://127.0.0.1:{port}"
    assert loaded.settings.storage.file.parent == tmp_path


def test_one_call_that_does_not_come_about_fails(tmp_path: Path) -> None:
    with nobody_listening() as port:
        url = f"http://127.0.0.1:{port}/twilio/voice"
        done = subprocess.run(
            [*SIMULATE, "--out", str(tmp_path), "--ring", url],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )
    assert done.returncode == 1
    assert "# call 1: failed (error 11205)" in done.stdout
    assert done.stderr == ""


@pytest.mark.local
async def test_a_real_voice_is_understood_by_the_embedded_providers(
    local_settings: LocalSettings,
) -> None:
    """On sockets, in real time: no key, no network, no account."""
    settings = Settings(
        local=local_settings,
        twilio=TwilioSettings(account_sid=ACCOUNT, auth_token=Secret(AUTH_TOKEN)),
        storage=StorageSettings(path=":memory:"),
        server=ServerSettings(api_tokens=Secret("api")),
    )
    caller = Person((Pause(0.5), Play(EXAMPLE), Hear(0.5), HangUp()))
    with trio.fail_after(HANG_S):
        async with (
            simulated_twilio() as twilio,
            open_providers(settings) as providers,
            open_server(settings, providers, host="127.0.0.1", port=0) as url,
            httpx.AsyncClient(headers={"Authorization": "Bearer api"}) as web,
        ):
            base = url.replace("ws", "http", 1).removesuffix("/ws")
            call = twilio.ring(f"{base}/twilio/voice", caller)
            await call.over.wait()
            assert call.ended_because == "the person hangs up"
            (listed,) = (await web.get(f"{base}/v1/calls")).json()["calls"]
            record = (await web.get(f"{base}/v1/calls/{listed['id']}")).json()
    assert "amiable" in record["turns"][0]["said"]
