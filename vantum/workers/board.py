"""What the workers tell each other all the time: how many sessions each of them holds.

A small file that all map. Each writes its own number and reads the others'; the parent strikes out
whoever has ended. A number is one aligned store of four bytes: nobody reads half of one.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import define

#: Takes nothing new: not there yet, draining, or dead.
_CLOSED: Final = -1
_SLOT_BYTES: Final = 4


@define(eq=False)
class Board:
    """The open board: sessions by label, None for who takes nothing new."""

    labels: Sequence[str]
    _slots: memoryview

    def put(self, label: str, sessions: int | None) -> None:
        """Write a worker's number."""
        self._slots[self.labels.index(label)] = _CLOSED if sessions is None else sessions

    def get(self) -> dict[str, int | None]:
        """All numbers."""
        numbers = zip(self.labels, self._slots, strict=True)
        return {label: None if number == _CLOSED else number for label, number in numbers}


def make_board(path: Path, labels: Sequence[str]) -> None:
    """A board on which nobody is there yet; only this user may read it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"\xff" * _SLOT_BYTES * len(labels))


@contextmanager
def open_board(path: Path, labels: Sequence[str]) -> Iterator[Board]:
    """Map the board. ValueError if it was made for another number of workers."""
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if size != _SLOT_BYTES * len(labels):
            raise ValueError(f"a board of {size} bytes is not one of {len(labels)} workers")
        with (
            mmap.mmap(file.fileno(), size) as shared,
            memoryview(shared) as octets,
            octets.cast("i") as slots,
        ):
            yield Board(tuple(labels), slots)
