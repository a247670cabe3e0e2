"""Logs whose disk is full, or that nobody reads."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest
from attrs import define

from vantum.observe.logs import configure_logs, get_log
from vantum.observe.outlet import Outlet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its pipes and devices")

_LINE = "x" * 99 + "\n"


@define
class Pipe:
    """A pipe of one page. `reader`: its other end's descriptor."""

    reader: int
    stream: TextIO

    def read(self) -> str:
        """All that is in it."""
        return os.read(self.reader, 100_000).decode()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(writer, "w") as stream:
        yield Pipe(reader, stream)
    os.close(reader)


def lost(count: int) -> str:
    return f"{count} lost\n"


def test_who_does_not_read_holds_nobody_up(pipe: Pipe) -> None:
    outlet = Outlet(pipe.stream, lost)
    for _ in range(60):
        outlet.write(_LINE)
    read = pipe.read()
    written = len(read) // len(_LINE)
    assert read == _LINE * written, "in whole lines"
    assert 0 < written < 60
    outlet.write("again\n")
    assert pipe.read() == f"{60 - written} lost\nagain\n"
    outlet.write("and again\n")
    assert pipe.read() == "and again\n"


def test_a_line_that_was_torn_gets_its_end(pipe: Pipe) -> None:
    outlet = Outlet(pipe.stream, lost)
    outlet.write("x" * 5000 + "\n")
    assert pipe.read() == "x" * 4096
    outlet.write("next\n")
    assert pipe.read() == "\n1 lost\nnext\n"
    outlet.write("next\n")
    assert pipe.read() == "next\n"


def test_long_lines_come_whole(pipe: Pipe) -> None:
    fcntl.fcntl(pipe.stream, fcntl.F_SETPIPE_SZ, 65_536)
    outlet = Outlet(pipe.stream, lost)
    outlet.write("x" * 9000 + "é\udc80\n")
    assert pipe.read() == "x" * 9000 + "é\\udc80\n"


def test_what_cannot_be_written_is_counted(pipe: Pipe) -> None:
    with open("/dev/full", "w") as full:
        outlet = Outlet(full, lost)
        outlet.write("a\n")
        outlet.write("b\n")
        outlet.stream = pipe.stream
        outlet.write("c\n")
        assert pipe.read() == "2 lost\nc\n"
    pipe.stream.close()
    outlet.write("d\n")
    outlet.stream = None
    outlet.write("e\n")


def test_the_log_says_how_many_lines_are_lost(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", pipe.stream)
    configure_logs("info", "json")
    for _ in range(100):
        get_log("room").info("a line", filling="x" * 100)
    written = len(pipe.read().splitlines())
    get_log("room").info("the next")
    notice, line = map(json.loads, pipe.read().splitlines())
    assert notice["event"] == "log lines that could not be written"
    assert (notice["level"], notice["count"]) == ("warning", 100 - written)
    assert line["event"] == "the next"
