"""The audit log's file: whatever is changed in it is found."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.patience import HANG_S
from vantum.compliance.journal import Broken, FileJournal, Verified, head_path, verify
from vantum.core.audit_chain import new_head, read_line
from vantum.errors import AuditError

NOON_S = 1_782_921_600.0
KEY = b"a key"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "audit.jsonl"


def write(path: Path, count: int, key: bytes = b"") -> list[bytes]:
    journal = FileJournal(path, key)
    for n in range(count):
        journal.append("permit.issued", {"number": f"+1212555010{n}", "reason": "é"}, NOON_S + n)
    return path.read_bytes().splitlines(keepends=True)


def whole(path: Path, key: bytes = b"") -> Verified:
    found = verify(path, key)
    assert isinstance(found, Verified), found
    return found


def broken(path: Path, key: bytes = b"", expect: str = "") -> Broken:
    found = verify(path, key, {expect} - {""})
    assert isinstance(found, Broken), found
    return found


@pytest.mark.parametrize("key", [b"", KEY])
def test_a_log_that_is_whole(path: Path, key: bytes) -> None:
    assert FileJournal(path, key).head().count == 0
    assert whole(path, key).count == 0
    lines = write(path, 3, key)
    found = whole(path, key)
    assert (found.count, found.hash) == (3, read_line(lines[2])["hash"])
    assert found.first_at.startswith("2026-07-01T16:00:00")
    assert found.last_at.startswith("2026-07-01T16:00:02")
    assert FileJournal(path, key).head().at_s == NOON_S + 2
    assert path.stat().st_mode & 0o077 == 0
    assert head_path(path).stat().st_mode & 0o077 == 0


def test_every_changed_byte_is_found(path: Path) -> None:
    data = b"".join(write(path, 2))
    ends = [n for n, byte in enumerate(data) if byte == ord("\n")]
    for at in range(len(data)):
        for byte in (data[at] ^ 1, ord(" \n"[at % 2])):
            if byte == data[at]:
                continue
            path.write_bytes(data[:at] + bytes([byte]) + data[at + 1 :])
            line = sum(end < at for end in ends) + 1
            assert broken(path).line in (line, line + 1), at  # a new line end makes two of one
        path.write_bytes(data[:at] + data[at + 1 :])
        assert isinstance(verify(path), Broken), at
    path.write_bytes(data)
    whole(path)


def test_every_changed_byte_of_the_head_is_found(path: Path) -> None:
    write(path, 2)
    head = head_path(path)
    data = head.read_bytes()
    for at in range(len(data)):
        head.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert broken(path).line == 0, at
        with pytest.raises(AuditError, match="not as we left it: the head"):
            FileJournal(path).append("x", {}, NOON_S)
    head.unlink()
    assert "is missing" in broken(path).why
    with pytest.raises(AuditError, match="is missing"):
        FileJournal(path).append("x", {}, NOON_S)


def test_lines_removed_swapped_doubled_and_added(path: Path) -> None:
    lines = write(path, 4)
    for n in range(3):
        path.write_bytes(b"".join(lines[:n] + lines[n + 1 :]))
        assert broken(path) == Broken(
            n + 1,
            f"it is entry {n + 2} where entry {n + 1} belongs: lines were removed, added or moved",
        )
    path.write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))
    assert broken(path).line == 2
    path.write_bytes(b"".join([lines[0], lines[0], *lines[1:]]))
    assert broken(path).line == 2
    path.write_bytes(b"".join(lines) + b"\n")
    assert broken(path).line == 5
    for n in range(4):
        path.write_bytes(b"".join(lines[:n]))
        assert broken(path) == Broken(n + 1, "the log ends here; the head knows 4 entries")
        with pytest.raises(AuditError, match="its end was cut off"):
            FileJournal(path).append("x", {}, NOON_S)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_any_rearrangement_is_found(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "audit.jsonl"
    if not path.exists():
        write(path, 5)
        (tmp_path / "kept").write_bytes(path.read_bytes())
    lines = (tmp_path / "kept").read_bytes().splitlines(keepends=True)
    other = data.draw(st.lists(st.sampled_from(lines), max_size=7))
    path.write_bytes(b"".join(other))
    assert isinstance(verify(path), Verified) == (other == lines)


def test_a_line_that_somebody_added_without_the_head(path: Path, tmp_path: Path) -> None:
    lines = write(path, 2)
    longer = tmp_path / "longer" / "audit.jsonl"
    more = write(longer, 4)
    path.write_bytes(b"".join(more[:3]))
    assert "the head does not know it" in broken(path).why
    assert broken(path).line == 3
    path.write_bytes(b"".join(more))
    with pytest.raises(AuditError, match="lines behind entry 3 that we did not write"):
        FileJournal(path).append("x", {}, NOON_S)
    path.write_bytes(b"".join([*lines, b"no entry\n"]))
    with pytest.raises(AuditError, match="it is not JSON"):
        FileJournal(path).append("x", {}, NOON_S)


def test_a_log_that_was_written_anew(path: Path, tmp_path: Path) -> None:
    noted = read_line(write(path, 3)[1])["hash"]
    assert isinstance(verify(path, expect=[noted.upper()]), Verified)
    head_path(path).unlink()
    path.unlink()
    FileJournal(path).append("permit.refused", {}, NOON_S)
    whole(path)  # nothing in it is wrong
    assert "no entry has the expected hash" in broken(path, expect=noted).why


def test_a_log_that_goes_back_to_before_what_was_seen(path: Path, tmp_path: Path) -> None:
    journal = FileJournal(path)
    write(path, 2)
    log, head = path.read_bytes(), head_path(path).read_bytes()
    write(path, 2)
    seen = journal.head()
    assert journal.head(seen) == seen
    write(path, 1)
    assert journal.head(seen).count == 5
    path.write_bytes(log)
    head_path(path).write_bytes(head)
    assert journal.head().count == 2, "both files agree with each other"
    with pytest.raises(AuditError, match=r"it has 2 entries, and the database has seen 4"):
        journal.head(seen)
    for _ in range(3):  # others now, behind which the old end is hidden
        journal.append("permit.refused", {}, NOON_S)
    with pytest.raises(AuditError, match=r"entry 4: "):
        journal.head(seen)
    path.unlink()
    head_path(path).unlink()
    with pytest.raises(AuditError, match=r"it has 0 entries.*give it another name"):
        journal.head(seen)
    assert FileJournal(tmp_path / "other.jsonl").head(new_head(b"")).count == 0


def test_nobody_writes_on_without_the_key(path: Path) -> None:
    write(path, 2, KEY)
    for key, why in ((b"", "none is set"), (b"other", "the key is another one")):
        assert why in broken(path, key).why
        with pytest.raises(AuditError, match=why):
            FileJournal(path, key).append("x", {}, NOON_S)
    assert "key" not in repr(FileJournal(path, KEY)).replace("FileJournal", "")


def test_a_power_cut_in_the_middle_of_a_line(path: Path) -> None:
    lines = write(path, 2)
    torn = b'{"alg":"sha256","at":"2026-07-\xff'
    path.write_bytes(b"".join(lines) + torn)
    found = broken(path)
    assert found.line == 3
    assert "it has no end" in found.why
    FileJournal(path).append("permit.refused", {"number": "+12125550123"}, NOON_S + 9)
    assert whole(path).count == 4
    third = read_line(path.read_bytes().splitlines(keepends=True)[2])
    assert third["event"] == "audit.torn_line"
    assert third["data"]["bytes"] == len(torn)
    assert third["data"]["text"] == torn.decode("ascii", "backslashreplace")


def test_a_power_cut_between_a_line_and_the_head(path: Path) -> None:
    write(path, 2)
    kept = head_path(path).read_bytes()
    FileJournal(path).append("permit.issued", {}, NOON_S + 3)
    head_path(path).write_bytes(kept)
    assert broken(path).line == 3
    assert FileJournal(path).head().count == 3
    assert whole(path).count == 3
    head_path(path).write_bytes(kept)
    FileJournal(path).append("permit.issued", {}, NOON_S + 4)
    assert whole(path).count == 4


def test_a_last_line_that_was_changed_is_found_before_the_next(path: Path) -> None:
    lines = write(path, 2)
    for old, new in ((b"0101", b"0109"), (b'"prev":"', b'"prev":"x')):
        path.write_bytes(b"".join([lines[0], lines[1].replace(old, new)[: len(lines[1])]]))
        with pytest.raises(AuditError, match="entry 2"):
            FileJournal(path).append("x", {}, NOON_S)
    # Another log's second line is a line of ours, and still not this one.
    other = write(path.with_name("other.jsonl"), 1)
    FileJournal(path.with_name("other.jsonl")).append(
        "permit.issued", {"number": "+12125550102", "reason": "é"}, NOON_S + 1
    )
    assert other[0] == lines[0]
    path.write_bytes(path.with_name("other.jsonl").read_bytes())
    with pytest.raises(AuditError, match="not the last entry that the head knows"):
        FileJournal(path).append("x", {}, NOON_S)
    assert broken(path) == Broken(2, "it is not the last entry that the head knows")


def test_a_log_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be written"):
        FileJournal(tmp_path / "file" / "audit.jsonl").append("x", {}, NOON_S)
    with pytest.raises(AuditError, match="cannot be written: Is a directory"):
        FileJournal(tmp_path).append("x", {}, NOON_S)
    with pytest.raises(AuditError, match="cannot be read: No such file"):
        verify(tmp_path / "none.jsonl")


def test_a_lock_that_somebody_keeps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, 1)
    monkeypatch.setattr("vantum.compliance.journal._LOCK_S", 0.02)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="cannot be written: Resource temporarily unavailable"):
            FileJournal(path).append("x", {}, NOON_S)
    assert len(write(path, 1)) == 2


def test_two_processes_append_to_one_log(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from vantum.compliance.journal import FileJournal\n"
        "journal = FileJournal(Path(sys.argv[1]))\n"
        "for n in range(60): journal.append('x', {'who': sys.argv[2], 'n': n}, 1e9)\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", script, str(path), who], stderr=subprocess.PIPE)
        for who in "ab"
    ]
    for process in both:
        _, complaint = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, complaint.decode()
    assert whole(path).count == 120
    entries = [read_line(line)["data"] for line in path.read_bytes().splitlines(keepends=True)]
    for who in "ab":
        assert [each["n"] for each in entries if each["who"] == who] == list(range(60))
