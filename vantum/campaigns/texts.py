"""A file's text in pieces: lines for CSV, values for JSON. A list may be longer than the memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from vantum.errors import VantumError

#: A row is a few hundred bytes. What is longer is no list, or a quotation mark was never closed.
MAX_ROW_BYTES: Final = 65_536
_PIECE_BYTES: Final = 65_536
_BOM: Final = codecs.BOM_UTF8
_SPACE: Final = " \t\r\n"


class ListError(VantumError):
    """The list cannot be read at all; says why."""


def first_character(file: BinaryIO, path: Path) -> str:
    """What the text begins with. The file then stands at its beginning, behind a byte order mark.

    Raises:
        ListError: it is no text in UTF-8, or empty.
    """
    begin = file.read(_PIECE_BYTES)
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ListError(f"{path}: is UTF-16; save it in UTF-8")
    if b"\x00" in begin:
        raise ListError(f"{path}: is no text; it must be CSV or JSON in UTF-8")
    text = begin.removeprefix(_BOM)
    file.seek(len(begin) - len(text))
    if not text.strip():
        raise ListError(f"{path}: is empty")
    return chr(text.lstrip()[0])


class Lines:
    """A file's lines as text. `read`: how many were given."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._ahead: str | None = None
        self.read = 0

    def peek(self) -> str:
        """The next line, which is still to come; empty at the end."""
        if self._ahead is None:
            self._ahead = self._next()
        return self._ahead

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self.peek()
        if not line:
            raise StopIteration
        self._ahead = None
        self.read += 1
        return line

    def _next(self) -> str:
        data = self._file.readline(MAX_ROW_BYTES)
        where = f"{self._path}: line {self.read + 1}"
        if len(data) == MAX_ROW_BYTES and not data.endswith(b"\n"):
            raise ListError(f"{where}: is longer than {MAX_ROW_BYTES} bytes")
        try:
            return _checked(data.decode(), where)
        except UnicodeDecodeError as error:
            raise _not_utf8(error, where) from None


def json_values(file: BinaryIO, path: Path) -> Iterator[tuple[int, Any]]:
    """The values of an array, or of one value after the other (JSON lines), each with the line that
    it begins on.

    Raises:
        ListError: it is no such thing; says where.
    """
    text = _Window(file, path)
    is_array = text.next_character() == "["
    if is_array:
        text.move(text.at + 1)
    is_first = True
    while (character := text.next_character()) != "":
        if is_array and character == "]":
            text.move(text.at + 1)
            if text.next_character():
                raise ListError(f"{text.where}: something follows the array")
            return
        if is_array and not is_first:
            if character != ",":
                raise ListError(f"{text.where}: is not JSON: a comma is missing")
            text.move(text.at + 1)
            text.next_character()
        is_first = False
        line = text.line
        yield line, text.value()
    if is_array:
        raise ListError(f"{text.where}: the array is not closed with ]")


class _Window:
    """A part of a file's text, which moves on; the lines before it are counted."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._at_end = False
        self.at = 0
        self.line = 1

    @property
    def where(self) -> str:
        return f"{self._path}: line {self.line}"

    def move(self, end: int) -> None:
        self.line += self._text.count("\n", self.at, end)
        self.at = end

    def next_character(self) -> str:
        """The next one that is no space, not taken; empty at the end."""
        while True:
            while self.at < len(self._text):
                if self._text[self.at] not in _SPACE:
                    return self._text[self.at]
                self.move(self.at + 1)
            if not self._more():
                return ""

    def value(self) -> Any:
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self.at)
            except (ValueError, RecursionError) as error:
                # It may only be that its end has not been read yet.
                if len(self._text) - self.at <= MAX_ROW_BYTES and self._more():
                    continue
                why = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
                raise ListError(f"{self.where}: is not JSON: {why}") from None
            # A number may go on.
            if end == len(self._text) and self._more():
                continue
            self.move(end)
            return value

    def _more(self) -> bool:
        """Read on; False: there is no more."""
        if self._at_end:
            return False
        data = self._file.read(_PIECE_BYTES)
        self._at_end = not data
        try:
            piece = self._decoder.decode(data, final=self._at_end)
        except UnicodeDecodeError as error:
            raise _not_utf8(error, f"{self._path}: line {self.line} or behind it") from None
        self._text = self._text[self.at :] + _checked(piece, self.where)
        self.at = 0
        return not self._at_end


def _checked(text: str, where: str) -> str:
    if "\x00" in text:
        raise ListError(f"{where}: holds a NUL character; it must be CSV or JSON in UTF-8")
    return text


def _not_utf8(error: UnicodeDecodeError, where: str) -> ListError:
    byte = error.object[error.start]
    return ListError(f"{where}: is not UTF-8 (byte 0x{byte:02x}); save it in UTF-8")
