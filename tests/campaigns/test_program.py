"""`vantum-actors campaign`: its output, its faults, and the real program with signals."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.campaigns.desk import open_desk
from tests.patience import HANG_S, PATIENT_ENVIRONMENT, a_port, until
from tests.test_cli import Running, Vantum, a_program, clean, providers, vantum_actors
from vantum.campaigns.report import CSV_COLUMNS, Report, csv_rows, read_report
from vantum.campaigns.tables import SCHEMA
from vantum.core.refusals import Reason, Refusal
from vantum.storage.database import open_database
from vantum.storage.migrations import Schema
from vantum.testing.network import Answer
from vantum.testing.twilio import (
    HangUp,
    Pause,
    Person,
    Persona,
    SimulatedTwilio,
    TwilioScript,
    simulated_twilio,
)

__all__ = ["clean", "vantum_actors"]

ANN, BOB, CAT, DAN = (f"+1212555010{n}" for n in (1, 2, 3, 4))
FILE = """
name = "spring"
prospects = "list.csv"
greeting = "Hello, this is Ada, an AI assistant."
[pace]
calls_per_minute = 6000
[retry]
interrupted = "never"
[converted]
outcomes = ["talked", "hung_up"]
"""


REPORT = """\
spring: stopped; 4 of 4 done, 0 waiting, 0 on the phone

calls        4: 2 answered, 1 converted
talk time    1 min 40 s
cost         0.03 USD (estimated)
  of USD       carrier 0.03

Prospects that are done
  busy                       1
  hung up                    1
  refused: do_not_call       1
  talked                     1

Calls by outcome
  busy          2
  hung up       1
  talked        1

Prospects by attempts
  0       1
  1       2
  2       1

Not called, by reason
  do_not_call       1

Answered by variant
              calls  answered  converted    rate
  as it was       1         1          0      0%
  brisk           1         1          1    100%

Calls by hour (America/New_York)
          calls  answered  converted    rate
  06:00       4         2          1     50%
"""


@pytest.fixture
def campaign(vantum_actors: Vantum, monkeypatch: pytest.MonkeyPatch) -> Vantum:
    """`vantum-actors campaign`, with a database in a directory of its own."""
    monkeypatch.setenv("VANTUM_DATABASE", "vantum.sqlite3")

    def call(*arguments: object) -> tuple[int, str, str]:
        return vantum_actors("campaign", *arguments)

    return call


def files(rows: str = f"number,name\n{ANN},Ann\n{BOB},Bob\n", text: str = FILE) -> None:
    Path("spring.toml").write_text(text, "utf-8")
    Path("list.csv").write_text(rows, "utf-8")


# ---------------------------------------------------------------- faults


def test_all_wrong_rows_are_lines_and_nobody_is_called(campaign: Vantum) -> None:
    files(f"number,name,timezone\n555,Ann,\n{BOB},Bob,Mars\n{ANN},Ann,\n{ANN},Ann,\n")
    code, out, err = campaign("run", "spring.toml")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "list.csv: wrong: line 2: number='555': must be a number in international form, such as "
        "+12125550123",
        "list.csv: wrong: line 3: timezone='Mars': must be an IANA name such as America/New_York, "
        "or empty",
        f"list.csv: line 5: {ANN} is on line 4 too: taken as one",
        "vantum-actors: list.csv: 2 of 4 rows are wrong; nobody was called",
    ]


def test_a_long_list_is_said_to_be_read(campaign: Vantum) -> None:
    files(f"number,name\n555,Ann\n{BOB},{'b' * 199}\n" + f"{'x' * 60_000}\n" * 20)
    code, out, err = campaign("run", "spring.toml")
    assert (code, out) == (1, "Reading list.csv (1 MB) …\n")
    assert err.splitlines()[-1].endswith("21 of 22 rows are wrong; nobody was called")


def test_all_faults_of_the_file_are_lines(campaign: Vantum) -> None:
    files(text='name = "spring"\ncolour = "red"\n')
    code, _, err = campaign("run", "spring.toml", "--max-concurrent", 0)
    assert code == 1
    lines = [line.removeprefix("vantum-actors: ") for line in err.splitlines()]
    assert lines[0] == "spring.toml: prospects is missing"
    assert lines[1] == "pace.max_concurrent=0: must be a whole number from 1 to 1000"
    assert lines[2].startswith("spring.toml: there is no colour; there are: name, ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "none.csv"], "none.csv: cannot be read: No such file or directory"),
        (["run", "spring.toml"], "a campaign needs a phone: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_T"),
        (["run", "spring.toml", "--url", "http://127.0.0.1:1"], "http://127.0.0.1:1: nobody answ"),
        (["run", "spring.toml", "--url", "x y"], "--url x y: is no address such as http"),
        (["status", "autumn"], "there is no campaign autumn in this database"),
        (["report", "autumn", "--csv"], "there is no campaign autumn in this database"),
        (["pause", "autumn"], "there is no campaign autumn in this database"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    campaign: Vantum, monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: str
) -> None:
    for key in ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY"):
        monkeypatch.setenv(key, "a-key")  # no weights are needed
    files()
    code, _, err = campaign(*arguments)
    assert code == 1
    assert err.startswith(f"vantum-actors: {line}"), err
    assert err.count("\n") == 1


def test_a_campaign_must_be_kept(campaign: Vantum, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VANTUM_DATABASE", ":memory:")
    files()
    code, _, err = campaign("run", "spring.toml")
    assert code == 1
    assert "VANTUM_DATABASE): a campaign must be kept; name a file" in err


def test_pausing_a_campaign_that_nobody_runs(campaign: Vantum) -> None:
    files()
    assert campaign("status") == (
        0,
        "There is no campaign yet: vantum-actors campaign run FILE\n",
        "",
    )
    campaign("run", "spring.toml", "--url", "http://127.0.0.1:1")
    assert campaign("pause", "spring")[1].startswith("spring: paused; nobody runs it: campaign run")
    assert campaign("status")[1] == ("spring: paused; 0 of 2 done, 2 waiting, 0 on the phone\n")
    assert "It is paused" in campaign("run", "spring.toml", "--url", "http://127.0.0.1:1")[1]
    assert campaign("resume", "spring.toml")[1].startswith("spring: resumed")
    (report,) = json.loads(campaign("status", "--json")[1])
    assert report["state"] == "stopped"
    assert report["prospects"]["waiting"] == 2


# ---------------------------------------------------------------- the report


@pytest.fixture
def done(clean: None) -> None:
    """A campaign that was run, with some of everything."""
    answers: dict[str, Answer | Refusal] = {
        ANN: Answer("talked", talk_s=90, variant="brisk", stage="close"),
        BOB: Answer("busy"),
        CAT: Refusal(CAT, (Reason("do_not_call", "On the list."),)),
        DAN: Answer("hung_up", talk_s=10, variant="as it was"),
    }

    async def run() -> None:
        async with open_desk(Path(), lambda number, attempt: answers[number]) as desk:
            rows = ["number,name", f"{ANN},=Ann", f"{BOB},Bob", f"{CAT},", f"{DAN},Dan"]
            text = '[converted]\nstages = ["close"]\n[limits]\nattempts = 2\n'
            assert await desk.run(desk.plan(f'timezone = "America/New_York"\n{text}', rows))

    trio.run(run, clock=MockClock(autojump_threshold=0))


def test_the_report_as_text(done: None, campaign: Vantum) -> None:
    assert campaign("report", "spring.toml") == (0, REPORT, "")
    assert campaign("report", "spring")[1] == REPORT


def test_the_report_for_programs(done: None, campaign: Vantum) -> None:
    report = json.loads(campaign("report", "spring", "--json")[1])
    assert report["calls"]["outcomes"] == {"busy": 2, "hung_up": 1, "talked": 1}
    assert report["calls"]["costParts"] == {
        "USD": {"carrier": 0.0333, "stt": 0, "llm": 0, "tts": 0}
    }
    assert report["prospectsByAttempts"] == {"0": 1, "1": 2, "2": 1}
    share = {"calls": 1, "answered": 1, "converted": 1, "conversionRate": 1.0}
    assert report["variants"]["brisk"] == share
    code, out, _ = campaign("report", "spring", "--csv")
    assert code == 0
    rows = {row["number"]: row for row in csv.DictReader(io.StringIO(out))}
    assert list(rows) == [ANN, BOB, CAT, DAN]
    assert rows[ANN] == {
        "number": ANN,
        "name": "'=Ann",  # no formula for a spreadsheet
        "company": "",
        "status": "done",
        "result": "talked",
        "attempts": "1",
        "calls_answered": "1",
        "talk_s": "90.0",
        "cost": "0.03",
        "converted": "1",
        "next_call": "",
    }
    assert rows[BOB]["attempts"] == "2"
    assert rows[CAT]["result"] == "refused: do_not_call"


# ---------------------------------------------------------------- the real program


@asynccontextmanager
async def phones(
    directory: Path, persona: Persona | Callable[[str], Persona]
) -> AsyncIterator[Phones]:
    """Simulated providers and a simulated Twilio on sockets, and files to run."""
    (directory / "spring.toml").write_text(FILE, "utf-8")
    (directory / "list.csv").write_text(f"number\n{ANN}\n{BOB}\n", "utf-8")
    with a_port() as port:
        async with (
            providers() as peers,
            simulated_twilio(TwilioScript(answers=persona)) as twilio,
        ):
            keys = {k: "a-key" if k.endswith("KEY") else v for k, v in peers.environment().items()}
            environment = (
                PATIENT_ENVIRONMENT
                | keys
                | twilio.environment()
                | {
                    "VANTUM_DATABASE": str(directory / "vantum.sqlite3"),
                    "PORT": str(port),
                    "TWILIO_PUBLIC_URL": f"http://127.0.0.1:{port}",
                    "COMPLIANCE_CONSENT_REQUIRED": "false",
                    "COMPLIANCE_COUNTRIES": "US",
                    "COMPLIANCE_HOURS": "mon-sun 00:00-24:00",
                    "API_TOKENS": "a-token",
                }
            )
            yield Phones(twilio, environment, directory)


class Phones:
    """What programs are run against."""

    def __init__(self, twilio: SimulatedTwilio, environment: dict[str, str], home: Path) -> None:
        self.twilio, self.environment, self.home = twilio, environment, home

    @asynccontextmanager
    async def program(self, *arguments: object) -> AsyncIterator[Running]:
        async with a_program("campaign", *arguments, **self.environment) as running:
            yield running

    async def run(self, *arguments: object) -> tuple[int, str, str]:
        async with self.program(*arguments) as running:
            code = await running.ended()
        return code, running.out, running.err

    async def report(self) -> Report:
        async with open_database(self.home / "vantum.sqlite3", [SCHEMA]) as database:
            report = await database.run(lambda c: read_report(c, "spring", time.time()))
        assert report is not None
        return report

    def has_a_session_on_record(self) -> bool:
        """Whether the record of a call says so, for whoever comes after its process."""
        with closing(sqlite3.connect(self.home / "vantum.sqlite3")) as database:
            bodies = database.execute("SELECT body FROM phone_calls").fetchall()
        return any(json.loads(body)["sessionId"] for (body,) in bodies)

    @property
    def talking(self) -> list[str]:
        """Numbers whose call is answered and has its stream."""
        return [call.to_number for call in self.twilio.calls if call.status == "in-progress"]

    @property
    def file(self) -> Path:
        return self.home / "spring.toml"


TALKER = Person((Pause(1.5), HangUp()), rings_s=0.1)


async def test_a_campaign_from_its_start_to_its_report(tmp_path: Path) -> None:
    async with phones(tmp_path, TALKER) as desk:
        code, out, err = await desk.run("run", desk.file)
        assert (code, err) == (0, "")
        first, listening, *calls, last = out.splitlines()
        assert first == f"{tmp_path / 'list.csv'}: 2 prospects"
        assert listening.startswith("Listening on ws://127.0.0.1:")
        assert [line.split()[0] for line in calls] == [ANN, BOB]
        assert last == "Everybody is done. See: vantum-actors campaign report spring"
        report = await desk.report()
        assert (report.calls, report.answered, report.converted) == (2, 2, 2)
        assert report.talk_s > 2
        assert (report.state, report.done) == ("stopped", 2)


async def test_killed_in_mid_call_it_goes_on_and_calls_nobody_twice(tmp_path: Path) -> None:
    def answers(number: str) -> Persona:
        return Person(rings_s=0.1) if number == ANN else TALKER

    async with phones(tmp_path, answers) as desk:
        async with desk.program("run", desk.file) as running:
            await until(lambda: desk.talking == [ANN])
            await until(desk.has_a_session_on_record)
            running.process.kill()
            assert await running.ended() == -signal.SIGKILL
        code, out, err = await desk.run("run", desk.file)
        assert (code, err) == (0, "")
        assert f"{ANN}  interrupted" in out
        assert [call.to_number for call in desk.twilio.calls] == [ANN, BOB]
        report = await desk.report()
        assert report.results["interrupted"] == 1
        assert (report.calls, report.done) == (2, 2)
        async with open_database(desk.home / "vantum.sqlite3", [SCHEMA]) as database:
            rows = await database.run(lambda c: csv_rows(c, "spring", (-1, "")))
        told = dict(zip(CSV_COLUMNS, rows[0][1], strict=True))
        assert (told["number"], told["result"]) == (ANN, "interrupted")
        assert isinstance(told["cost"], float)
        assert told["cost"] > 0, "what was known of it when its process died"
        assert told["talk_s"] != 0


async def test_interrupted_once_it_lets_the_call_end_and_twice_it_hangs_up(
    tmp_path: Path,
) -> None:
    async with phones(tmp_path, Person(rings_s=0.1)) as desk:
        async with desk.program("run", desk.file, "--max-concurrent", 1) as running:
            await until(lambda: desk.talking == [ANN])
            # Nobody else may run it meanwhile.
            code, _, err = await desk.run("run", desk.file)
            assert code == 1
            assert f"is being run by process {running.process.pid} on" in err
            assert (await desk.report()).state == "running"
            running.process.send_signal(signal.SIGINT)
            await running.until("Stopping: nobody is called any more; 1 call may end by itself")
            assert running.process.poll() is None
            running.process.send_signal(signal.SIGINT)
            assert await running.ended() == 130
        assert "Hanging up on 1" in running.out
        assert (
            f"Stopped; to go on: vantum-actors campaign run {desk.file} (with the same options)\n"
        ) in running.out
        assert [call.to_number for call in desk.twilio.calls] == [ANN]
        assert desk.talking == []
        report = await desk.report()
        assert (report.state, report.done, report.waiting, report.dialling) == ("stopped", 1, 1, 0)


async def test_through_a_running_server(tmp_path: Path) -> None:
    """Its calls outlive the campaign's process, and the next one takes them up."""
    async with (
        phones(tmp_path, Person((Pause(4), HangUp()), rings_s=0.1)) as desk,
        a_program("run", **desk.environment) as server,
    ):
        await server.until("Stop it: Ctrl-C")
        there = "--url", server.url, "--token", "a-token"
        async with desk.program("run", desk.file, *there) as running:
            await until(lambda: desk.talking == [ANN])
            running.process.kill()
            await running.ended()
        assert desk.talking == [ANN]
        with trio.fail_after(HANG_S):
            code, out, err = await desk.run("run", desk.file, *there)
        assert (code, err) == (0, "")
        assert "interrupted" not in out
        assert [call.to_number for call in desk.twilio.calls] == [ANN, BOB]


async def test_a_server_brings_the_campaigns_tables_up_to_date(tmp_path: Path) -> None:
    """After an update it is the first to open the file, and then nobody else may change them."""
    async with phones(tmp_path, Person((HangUp(),))) as desk:
        earlier = Schema(SCHEMA.room, SCHEMA.migrations[:1])
        async with open_database(desk.home / "vantum.sqlite3", [earlier]):
            pass
        async with a_program("run", **desk.environment) as server:
            await server.until("Stop it: Ctrl-C")
            code, out, err = await desk.run("status")
    assert (code, out, err) == (
        0,
        "There is no campaign yet: vantum-actors campaign run FILE\n",
        "",
    )
