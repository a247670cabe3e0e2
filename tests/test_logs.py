"""The logs on a terminal."""

from __future__ import annotations

import sys

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


def test_whatever_is_installed_a_stack_shows_no_variables() -> None:
    configure_logs("info", "console")
    renderer = structlog.get_config()["processors"][-1]
    assert renderer.exception_formatter is structlog.dev.plain_traceback
