"""A list of prospects: CSV, JSON or JSON lines, read row by row, however long it is.

What is wrong is told row by row too, and reading goes on: whoever made the list learns all of it
at once. CSV is as RFC 4180 has it (https://www.rfc-editor.org/rfc/rfc4180), in UTF-8 with or
without a byte order mark, separated by commas, semicolons or tabs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import available_timezones

from attrs import evolve, field, frozen

from vantum.campaigns.texts import Lines, ListError, first_character, json_values
from vantum.core.events import Prospect
from vantum.core.prompts import EXTRA_NAME, MAX_EXTRA

#: Other names of the one column that must be there.
_NUMBER: Final = ("number", "phone", "phone_number", "telephone", "mobile")
_KNOWN: Final = ("name", "company", "industry", "timezone")
#: A list's cell is a name or a short note; whoever puts a letter in it has mixed something up.
MAX_CELL_CHARS: Final = 200
_SEPARATORS: Final = ",;\t"
_COLUMN: Final = "a letter, then letters, digits, spaces and _, at most 40"
_MAX_SHOWN: Final = 60
#: What the csv module says of lines as old Macs ended them, and what we say.
_SEEN_CR: Final = "new-line character seen"
_CR_ALONE: Final = "a line ends with CR alone; save it with LF or CR LF"


@frozen
class Problem:
    """What is wrong with a row. `field` is a column, or empty if it is the row. `is_further`: the
    same row has been told of already."""

    line: int
    field: str
    value: str
    allowed: str
    is_further: bool = False

    def __str__(self) -> str:
        what = f"{self.field}={self.value!r}" if self.field else self.value
        return f"line {self.line}: {what}: {self.allowed}"


@frozen
class Row:
    """One prospect. `zones`: where it may be, from its own timezone or its number."""

    line: int
    number: str
    zones: tuple[str, ...]
    prospect: Prospect


@frozen
class Numbers:
    """What is known of telephone numbers.

    `parse` gives E.164 or raises ValueError with what is allowed; `zones` the IANA time zones of
    an E.164 number.
    """

    parse: Callable[[str], str]
    zones: Callable[[str], tuple[str, ...]]


@frozen
class ProspectList:
    """A list in a file. `columns` is told the further columns once they are known.

    Iterating over it reads the file from its beginning: rows that are right are given, the others
    are told to `report`.

    Raises:
        ListError: the file cannot be read, or has no column of numbers.
    """

    path: Path
    numbers: Numbers
    report: Callable[[Problem], None]
    columns: Callable[[tuple[str, ...]], None] = field(default=lambda columns: None)

    def __iter__(self) -> Iterator[Row]:
        try:
            with self.path.open("rb") as file:
                is_json = first_character(file, self.path) in ("[", "{")
                for line, cells in self._json(file) if is_json else self._csv(file):
                    if (row := self._row(line, cells)) is not None:
                        yield row
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ListError(f"{self.path}: cannot be read: {reason}") from None

    # ------------------------------------------------------------ rows

    def _row(self, line: int, cells: Mapping[str, str]) -> Row | None:
        problems: list[Problem] = []

        def wrong(name: str, allowed: str) -> None:
            value = _shown(cells.get(name, ""))
            problems.append(Problem(line, name, value, allowed, is_further=bool(problems)))

        number = ""
        try:
            number = self.numbers.parse(cells.get("number", ""))
        except ValueError as error:
            wrong("number", str(error))
        for name, value in cells.items():
            if len(value) > MAX_CELL_CHARS:
                wrong(name, f"must have at most {MAX_CELL_CHARS} characters")
        timezone = cells.get("timezone", "")
        if timezone and timezone not in _timezones():
            wrong("timezone", "must be an IANA name such as America/New_York, or empty")
        for problem in problems:
            self.report(problem)
        if problems:
            return None
        known = {name: cells[name] for name in _KNOWN if cells.get(name)}
        extra = {k: v for k, v in cells.items() if k not in (*_KNOWN, "number") and v}
        zones = (timezone,) if timezone else self.numbers.zones(number)
        return Row(line, number, zones, Prospect(**known, extra=extra))

    # ------------------------------------------------------------ CSV

    def _csv(self, file: BinaryIO) -> Iterator[tuple[int, dict[str, str]]]:
        lines = Lines(file, self.path)
        separator = max(_SEPARATORS, key=lines.peek().count)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        columns: tuple[str, ...] | None = None
        while True:
            first = lines.read + 1
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                why = f"is not CSV: {_CR_ALONE if _SEEN_CR in str(error) else error}"
                if columns is None:
                    raise ListError(f"{self.path}: line {first}: {why}") from None
                self.report(Problem(first, "", "the row", why))
                continue
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if columns is None:
                columns = self._columns(cells)
            elif len(cells) != len(columns):
                has = f"must have as many cells as the header, {len(columns)}, not {len(cells)}"
                self.report(Problem(first, "", "the row", has))
            else:
                yield first, dict(zip(columns, cells, strict=True))
        if columns is None:
            raise ListError(f"{self.path}: is empty: the first line must name the columns")

    def _columns(self, names: Sequence[str]) -> tuple[str, ...]:
        columns = tuple(_column(name) for name in names)
        for name, column in zip(names, columns, strict=True):
            if not EXTRA_NAME.fullmatch(column):
                raise ListError(
                    f"{self.path}: column {_shown(name)!r}: its name must be {_COLUMN} "
                    "(the first line names the columns)"
                )
            if columns.count(column) > 1:
                raise ListError(f"{self.path}: column {column} is there twice")
        if "number" not in columns:
            there = ", ".join(columns)
            raise ListError(f"{self.path}: no column is called number; there are: {there}")
        extra = tuple(name for name in columns if name not in (*_KNOWN, "number"))
        if len(extra) > MAX_EXTRA:
            raise ListError(
                f"{self.path}: {len(extra)} columns besides number, {', '.join(_KNOWN)}; "
                f"at most {MAX_EXTRA} can stand in a prompt"
            )
        self.columns(extra)
        return columns

    # ------------------------------------------------------------ JSON

    def _json(self, file: BinaryIO) -> Iterator[tuple[int, dict[str, str]]]:
        seen: dict[str, None] = {}
        for line, value in json_values(file, self.path):
            if not isinstance(value, dict):
                self.report(Problem(line, "", _shown(json.dumps(value)), "must be an object"))
                continue
            cells: dict[str, str] = {}
            for name, cell in value.items():
                column = _column(name)
                if not EXTRA_NAME.fullmatch(column):
                    self.report(Problem(line, _shown(name), "", f"its name must be {_COLUMN}"))
                    break
                if isinstance(cell, bool | list | dict) or (
                    column == "number" and not isinstance(cell, str)
                ):
                    shown = _shown(json.dumps(cell))
                    self.report(Problem(line, column, shown, "must be text"))
                    break
                cells[column] = "" if cell is None else str(cell).strip()
            else:
                seen |= dict.fromkeys(k for k in cells if k not in (*_KNOWN, "number"))
                if len(seen) > MAX_EXTRA:
                    raise ListError(f"{self.path}: more than {MAX_EXTRA} further fields")
                yield line, cells
        self.columns(tuple(seen))


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _column(name: str) -> str:
    column = "_".join(name.strip().lower().split())
    return "number" if column in _NUMBER else column


def _shown(value: str) -> str:
    line = "".join(char if char.isprintable() else "?" for char in value[: _MAX_SHOWN + 1])
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"


def both(first: Prospect, second: Prospect) -> Prospect:
    """One prospect of two rows of the same number: what the first leaves open, the second says."""
    known = {name: getattr(first, name) or getattr(second, name) for name in _KNOWN}
    return evolve(first, **known, extra={**second.extra, **first.extra})
