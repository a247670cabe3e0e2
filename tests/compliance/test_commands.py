"""`audit`, `do-not-call` and `consent` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from click.testing import CliRunner

from vantum.cli import main
from vantum.commands.compliance import audit
from vantum.compliance.audit import open_audit
from vantum.compliance.check import SCHEMA, open_compliance
from vantum.compliance.journal import FileJournal, head_path
from vantum.compliance.permit import DialRequest, Refusal
from vantum.config import ComplianceSettings, Secret, Settings, StorageSettings
from vantum.errors import AuditError
from vantum.storage.database import open_database

REQUEST = DialRequest(
    number="+12125550123", opening="This is an AI assistant.", from_number="+16175550100"
)
Run: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VANTUM_DATABASE", str(tmp_path / "vantum.sqlite3"))
    for name in ("AUDIT_FILE", "AUDIT_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program in this process: its exit code, standard output and standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return call


def test_the_do_not_call_list(run: Run, home: Path) -> None:
    assert run("do-not-call", "list") == (0, "", "")
    assert run("do-not-call", "add", "+1 212 555 0123", "--source", "asked\tby mail") == (
        0,
        "added\n",
        "",
    )
    assert run("do-not-call", "add", "+12125550123")[1] == "was on the list already\n"
    (home / "more.txt").write_text("+12125550124\n+12125550123\n")
    assert run("do-not-call", "import", "more.txt")[1] == "2 numbers, 1 of them new\n"
    lines = run("do-not-call", "list")[1].splitlines()
    assert lines[0].startswith("+12125550123  20")
    assert lines[0].endswith("  asked by mail")
    assert lines[1].endswith("  file more.txt")
    assert run("do-not-call", "remove", "+12125550123", "--reason", "wants")[1] == "removed\n"
    code, out, err = run("do-not-call", "remove", "+12125550123", "--reason", "wants")
    assert (code, out) == (1, "")
    assert err == "vantum-actors: +12125550123 is not on the do-not-call list\n"
    code, _, err = run("do-not-call", "add", "nobody")
    assert (code, err.count("\n")) == (1, 1)
    code, _, err = run("do-not-call", "remove", "+12125550123")
    assert code == 2
    assert "--reason" in err


def test_consents(run: Run, home: Path) -> None:
    ada = "--person", "Ada", "--how", "web form", "--obtained", "2026-05-03"
    assert run("consent", "add", "+12125550123", *ada, "--expires", "2027-05-03")[1] == "added\n"
    assert "already" in run("consent", "add", "+12125550123", *ada)[1]
    (home / "more.csv").write_text(
        "number,person,how,obtained,scope\n+12125550124,Mary,letter,2026-06-01,spring\n"
    )
    assert run("consent", "import", "more.csv")[1] == "1 consents, 1 of them new\n"
    assert run("consent", "revoke", "+12125550124", "--reason", "asked")[1] == "1 revoked\n"
    first, second = run("consent", "list")[1].splitlines()
    assert first == "+12125550123  Ada  any  2026-05-03 00:00 to 2027-05-03 00:00  web form"
    assert second.startswith("+12125550124  Mary  spring  2026-06-01 00:00 to revoked 20")
    assert run("consent", "list", "--number", "+12125550124")[1].splitlines() == [second]
    code, _, err = run("consent", "revoke", "+12125550124", "--reason", "asked")
    assert (code, err) == (
        1,
        "vantum-actors: there is no consent of +12125550124 to revoke\n",
    )


def test_verifying_the_audit_log(run: Run, home: Path) -> None:
    code, _, err = run("audit", "verify")
    assert code == 1
    assert "audit.jsonl cannot be read: No such file" in err
    assert run("do-not-call", "list")[0] == 0
    path = home / "audit.jsonl"
    assert run("audit", "verify")[1] == f"{path}: no entries\n"
    for number in ("+12125550123", "+12125550124"):
        run("do-not-call", "add", number)
    code, out, err = run("audit", "verify")
    assert (code, err) == (0, "")
    whole, head = out.splitlines()
    assert whole.startswith(f"{path}: 2 entries, 20")
    noted = head.removeprefix("head ")
    run("do-not-call", "add", "+12125550125")
    assert run("audit", "verify", "audit.jsonl", "--expect", noted)[0] == 0
    code, _, err = run("audit", "verify", "--expect", "0" * 64)
    assert code == 1
    assert "no entry has the expected hash" in err
    data = path.read_bytes()
    path.write_bytes(data.replace(b"+12125550124", b"+12125550199"))
    code, out, err = run("audit", "verify")
    assert (code, out) == (1, "")
    assert err == f"{path}: line 2: its content does not match its hash: it was changed\n"
    path.write_bytes(data[:-100])
    code, _, err = run("audit", "verify")
    assert code == 1
    assert "line 3: it has no end" in err
    code, _, err = run("do-not-call", "add", "+12125550126")
    assert (code, err.count("\n")) == (1, 1)
    assert "its end was cut off" in err
    assert "(compliance.audit_file, AUDIT_FILE)" in err


async def test_what_the_database_has_seen_must_be_there(home: Path) -> None:
    """A log that is deleted together with its head, or put back, is no new log."""

    async def ask() -> tuple[str, ...]:
        async with open_database(home / "vantum.sqlite3", [SCHEMA]) as database:
            settings = settings_of(home, consent_required=False, hours="mon-sun 0:00-24:00")
            compliance = open_compliance(settings, database, await open_audit(settings))
            answer = await compliance.permit(REQUEST)
            return answer.codes if isinstance(answer, Refusal) else ()

    def verified() -> tuple[int, str]:
        result = CliRunner().invoke(audit, ["verify"])
        return result.exit_code, result.stderr

    path = home / "audit.jsonl"
    assert await ask() == ()
    old = path.read_bytes(), head_path(path).read_bytes()
    assert await ask() == await ask() == ()
    assert (await trio.to_thread.run_sync(verified))[0] == 0
    path.write_bytes(old[0])
    head_path(path).write_bytes(old[1])
    code, err = await trio.to_thread.run_sync(verified)
    assert (code, "the log was written anew, or put back" in err) == (1, True)
    assert await ask() == ("audit_failed",)
    path.unlink()
    head_path(path).unlink()
    assert await ask() == ("audit_failed",)


def test_a_log_with_a_key(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_KEY", "hunter2")
    monkeypatch.setenv("AUDIT_FILE", str(home / "kept" / "log.jsonl"))
    assert run("do-not-call", "add", "+12125550123")[0] == 0
    assert run("audit", "verify")[0] == 0
    monkeypatch.setenv("AUDIT_KEY", "other")
    code, _, err = run("audit", "verify")
    assert code == 1
    assert "the key is another one" in err
    monkeypatch.delenv("AUDIT_KEY")
    code, _, err = run("audit", "verify")
    assert code == 1
    assert "sealed with a key, and none is set (AUDIT_KEY)" in err
    assert "hunter2" not in err


@pytest.mark.parametrize("number", ["/proc/nowhere/x.sqlite3", "."])
def test_a_database_that_cannot_be_opened(
    run: Run, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VANTUM_DATABASE", number)
    code, out, err = run("do-not-call", "list")
    assert (code, out) == (1, "")
    assert err.startswith(f"vantum-actors: storage.path={number}: the database cannot be opened:")


def settings_of(home: Path, **compliance: object) -> Settings:
    return Settings(
        storage=StorageSettings(path=str(home / "vantum.sqlite3")),
        compliance=ComplianceSettings(**compliance),  # type: ignore[arg-type]
    )


async def test_the_log_of_the_settings(tmp_path: Path) -> None:
    audit = await open_audit(settings_of(tmp_path, audit_key=Secret("hunter2")), lambda: 1e9)
    assert await audit.last_at_s() == 0
    async with trio.open_nursery() as nursery:
        for n in range(5):
            nursery.start_soon(partial(audit.append, "x", n=n))
    assert await audit.last_at_s() == 1e9
    assert FileJournal(tmp_path / "audit.jsonl", b"hunter2").head().count == 5
    with pytest.raises(AuditError, match=r"none is set .*\(compliance\.audit_file, AUDIT_FILE\)"):
        await open_audit(settings_of(tmp_path))


async def test_in_memory_nothing_is_left_unless_it_is_asked_for(tmp_path: Path) -> None:
    memory = StorageSettings(path=":memory:")
    audit = await open_audit(Settings(storage=memory))
    await audit.append("x")
    assert await audit.last_at_s() > 0
    path = tmp_path / "audit.jsonl"
    named = Settings(storage=memory, compliance=ComplianceSettings(audit_file=str(path)))
    await (await open_audit(named)).append("x")
    assert FileJournal(path).head().count == 1
