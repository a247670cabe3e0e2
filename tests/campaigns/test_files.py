"""Lists of prospects: what is read, and how every fault is told."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.campaigns.desk import NUMBERS
from vantum.campaigns.files import MAX_CELL_CHARS, ProspectList, Row, both
from vantum.campaigns.texts import MAX_ROW_BYTES, ListError
from vantum.core.events import Prospect
from vantum.core.prompts import MAX_EXTRA

ANN, BOB = "+12125550101", "+13105550102"


def read(path: Path, data: str | bytes) -> tuple[list[Row], list[str], tuple[str, ...]]:
    """The rows, the faults and the further columns."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    faults: list[str] = []
    columns: list[tuple[str, ...]] = [()]
    told = ProspectList(path, NUMBERS, lambda what: faults.append(str(what)), columns.append)
    return list(told), faults, columns[-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


def test_columns_and_what_they_become(path: Path) -> None:
    rows, faults, columns = read(
        path,
        "Number,Name,Company,Industry,Timezone,Last Order\n"
        f"{ANN},Ann Óg,Acme,steel,,12 chairs\n"
        f"+1 310 555 0102,,,,America/Denver,\n",
    )
    assert not faults
    assert columns == ("last_order",)
    assert rows == [
        Row(
            2,
            ANN,
            ("America/New_York",),
            Prospect("Ann Óg", "Acme", "steel", extra={"last_order": "12 chairs"}),
        ),
        # Its own timezone counts more than its number.
        Row(3, BOB, ("America/Denver",), Prospect(timezone="America/Denver")),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_spreadsheets_variants_of_csv(path: Path, separator: str, end: str, bom: str) -> None:
    lines = [
        separator.join(["phone", "name", "note"]),
        separator.join([ANN, '"Ann, ""Annie""; O\'Neil"', '"two' + end + 'lines"']),
        "",
        separator.join([BOB, " Bob ", ""]),
    ]
    rows, faults, _ = read(path, bom + end.join(lines))
    assert not faults
    assert [(row.line, row.number, row.prospect.name) for row in rows] == [
        (2, ANN, 'Ann, "Annie"; O\'Neil'),
        (5, BOB, "Bob"),
    ]
    assert rows[0].prospect.extra["note"].split() == ["two", "lines"]


def test_every_fault_is_told_and_reading_goes_on(path: Path) -> None:
    rows, faults, _ = read(
        path,
        "number,name,timezone\n"
        "555-0101,Ann,Mars/Base\n"
        f"{ANN},Ann,\n"
        f"{ANN},Ann\n"
        f'{BOB},"Bo"b,\n'
        f"{BOB},{'x' * (MAX_CELL_CHARS + 1)},\n"
        f",Nobody,\n"
        f"{BOB},Bob,Europe/Paris\n",
    )
    assert [row.line for row in rows] == [3, 8]
    assert faults == [
        "line 2: number='555-0101': must be a number in international form, such as +12125550123",
        "line 2: timezone='Mars/Base': must be an IANA name such as America/New_York, or empty",
        "line 4: the row: must have as many cells as the header, 3, not 2",
        "line 5: the row: is not CSV: ',' expected after '\"'",
        f"line 6: name='{'x' * 59}…': must have at most 200 characters",
        "line 7: number='': must be a number in international form, such as +12125550123",
    ]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ("", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        ("name\nAnn\n", "no column is called number; there are: name"),
        ("number,phone\n", "column number is there twice"),
        ("number,a,A\n", "column a is there twice"),
        ("number,1st\n", "column '1st': its name must be a letter, then letters, digits"),
        ("number,\n", "column '': its name must be"),
        (f"{ANN}\n{BOB}\n", "at most 40 (the first line names the columns)"),
        (f"number,name\r{ANN},Ann\r", "line 1: is not CSV: a line ends with CR alone; save it wi"),
        ('number,"name"x\n', "line 1: is not CSV: "),
        ("number," + ",".join(f"c{n}" for n in range(MAX_EXTRA + 1)), "at most 30 can stand"),
        ("number\n".encode("utf-16"), "is UTF-16; save it in UTF-8"),
        (b"number\n+1\x00", "is no text; it must be CSV or JSON in UTF-8"),
        (b"number,name\n+12125550101,J\xf6rg\n", "line 2: is not UTF-8 (byte 0xf6)"),
        ("number\n" + "1" * MAX_ROW_BYTES, f"line 2: is longer than {MAX_ROW_BYTES} bytes"),
        ("[" + json.dumps({"number": ANN}), "line 1: the array is not closed with ]"),
        ('[{"number": "+1"},\n{"number" 1}]', "line 2: is not JSON: Expecting ':' delimiter"),
        ('[{"number": "+1"}\n{"number": "+1"}]', "line 2: is not JSON: a comma is missing"),
        ("[]\n[]", "line 2: something follows the array"),
        (b'[{"number": "\xf6"}]', "line 1 or behind it: is not UTF-8 (byte 0xf6)"),
        ("[" * 100_000, "is not JSON: nested too deep"),
    ],
)
def test_what_is_no_list(path: Path, data: str | bytes, fault: str) -> None:
    with pytest.raises(ListError) as error:
        read(path, data)
    assert str(error.value).startswith(f"{path}: ")
    assert fault in str(error.value)


def test_a_list_that_is_not_there(path: Path) -> None:
    with pytest.raises(ListError, match="cannot be read: No such file or directory"):
        list(ProspectList(path, NUMBERS, print))


def test_json_in_an_array_and_in_lines(path: Path) -> None:
    ann = {"number": ANN, "name": "Ann", "Last order": 12, "industry": None}
    bob = {"phone": BOB, "company": "Acme"}
    expected = [(ANN, "Ann", None, {"last_order": "12"}), (BOB, None, "Acme", {})]
    for text in (
        json.dumps([ann, bob]),
        json.dumps([ann, bob], indent=2),
        f"\ufeff{json.dumps(ann)}\n{json.dumps(bob)}\n",
    ):
        rows, faults, columns = read(path, text)
        assert not faults
        assert columns == ("last_order",)
        found = [(r.number, r.prospect.name, r.prospect.company, r.prospect.extra) for r in rows]
        assert found == expected


def test_faults_in_json(path: Path) -> None:
    rows, faults, _ = read(
        path,
        "[\n"
        '{"number": 12125550101},\n'
        '{"number": "+12125550101", "tags": ["a"]},\n'
        '{"number": "+12125550101", "!": "a"},\n'
        "7,\n"
        '{"name": "Ann"},\n'
        f'{{"number": "{ANN}"}}]',
    )
    assert [row.line for row in rows] == [7]
    assert faults == [
        "line 2: number='12125550101': must be text",
        "line 3: tags='[\"a\"]': must be text",
        "line 4: !='': its name must be a letter, then letters, digits, spaces and _, at most 40",
        "line 5: 7: must be an object",
        "line 6: number='': must be a number in international form, such as +12125550123",
    ]


def test_a_long_list_is_read_in_pieces(path: Path) -> None:
    """A list takes no more memory than a row: the file is read as the rows are asked for."""
    with path.open("w", encoding="utf-8") as file:
        file.write("number,name\n")
        file.writelines(f"+1212{n:07},Ann {n}\n" for n in range(100_000))
    asked = iter(ProspectList(path, NUMBERS, print))
    first = next(asked)
    assert first.number == "+12120000000"
    path.write_bytes(b"")  # what was not read yet is gone
    assert sum(1 for _ in asked) < 10_000


def test_two_rows_become_one() -> None:
    first = Prospect("Ann", None, extra={"a": "1"})
    second = Prospect("Anna", "Acme", extra={"a": "2", "b": "3"})
    assert both(first, second) == Prospect("Ann", "Acme", extra={"a": "1", "b": "3"})


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=40)


@settings(max_examples=80)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20),
    st.booleans(),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], as_json: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    if as_json:
        rows = [{"number": ANN, "name": a, "note": b} for a, b in cells]
        text = json.dumps(rows, ensure_ascii=len(cells) % 2 == 0)
    else:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["number", "name", "note"])
        writer.writerows([(ANN, a, b) for a, b in cells])
        text = out.getvalue()
    found, faults, _ = read(path, text)
    assert not faults
    assert [(row.prospect.name or "", row.prospect.extra.get("note", "")) for row in found] == [
        (a.strip(), b.strip()) for a, b in cells
    ]
