"""The board on which workers see how much the others do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vantum.workers.board import make_board, open_board

LABELS = ("w0", "w1", "w2")


def test_all_see_what_each_writes(tmp_path: Path) -> None:
    path = tmp_path / "board"
    make_board(path, LABELS)
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open_board(path, LABELS) as one, open_board(path, LABELS) as other:
        assert one.get() == dict.fromkeys(LABELS)
        one.put("w1", 70_000)
        other.put("w2", 0)
        assert one.get() == other.get() == {"w0": None, "w1": 70_000, "w2": 0}
        one.put("w1", None)
        assert other.get()["w1"] is None


def test_a_board_of_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board"
    make_board(path, LABELS)
    with pytest.raises(FileExistsError):
        make_board(path, LABELS)
    refused = pytest.raises(ValueError, match="12 bytes is not one of 2 workers")
    with refused, open_board(path, LABELS[:2]):
        pass
