"""The logs on a terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import pytest
import structlog

from vantum.observe.logs import configure_logs, get_log


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "coloured"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_colours_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_terminal: bool,
    no_color: str,
    coloured: bool,
) -> None:
    """`LOG_FORMAT=console` into a file is for people too, and they read it in an editor."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    configure_logs("info", "console")
    get_log("room").warning("something")
    assert ("\x1b[" in capsys.readouterr().err) == coloured


class Writes(io.RawIOBase):
    """A file that remembers what was written to it, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self.writes.append(bytes(data))
        return len(self.writes[-1])


def test_a_line_is_one_write_where_nothing_is_buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the lines of several workers would run into each other."""
    file = Writes()
    unbuffered = io.TextIOWrapper(file, write_through=True)  # type: ignore[type-var]
    monkeypatch.setattr(sys, "stderr", unbuffered)
    configure_logs("info", "json")
    get_log("room").info("one")
    get_log("room").info("two")
    assert [json.loads(line)["event"] for line in file.writes] == ["one", "two"]
    assert all(line.endswith(b"\n") for line in file.writes)


@pytest.mark.parametrize("level", ["info", "error"])
def test_what_a_library_says_is_a_line_like_ours(
    monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    """Such as trio, each tenth of a second, while the process has no file descriptor left."""
    stderr, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(root, "handlers", [])
    before = root.level
    try:
        configure_logs(level, "json")
        library = logging.getLogger("trio.serve_listeners")
        library.info("chatter")
        library.warning("a warning")
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            library.error("accept returned %s", "EMFILE", exc_info=True)
    finally:
        root.setLevel(before)
    lines = [json.loads(line) for line in stderr.getvalue().splitlines()]
    *warnings, error = lines
    assert [line["event"] for line in warnings] == ["a warning"] * (level == "info")
    assert error["event"] == "accept returned EMFILE"
    assert (error["room"], error["level"]) == ("trio.serve_listeners", "error")
    assert "Too many open files" in error["exception"]
    assert error["timestamp"].endswith("Z")


def test_whatever_is_installed_a_stack_shows_no_variables() -> None:
    configure_logs("info", "console")
    renderer = structlog.get_config()["processors"][-1]
    assert renderer.exception_formatter is structlog.dev.plain_traceback


def test_nobody_steers_the_operators_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a client sent as the name of an event stands in the log."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    configure_logs("info", "auto")
    try:
        raise RuntimeError("\x1b[31mred")
    except RuntimeError:
        get_log("room").exception("é 👍", event_type="\x1b[2J\x9b\u202e", two="lines\nfake")
    told = capsys.readouterr().err
    assert "é 👍" in told
    assert "event_type=\\x1b[2J\\x9b\\u202e" in told
    assert "two='lines\\nfake'" in told
    assert "RuntimeError: \\x1b[31mred\n" in told
    assert told.replace("\n", "").isprintable()
