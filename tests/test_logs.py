"""The logs on a terminal."""

from __future__ import annotations

import structlog

from vantum.observe.logs import configure_logs


def test_whatever_is_installed_a_stack_shows_no_variables() -> None:
    configure_logs("info", "console")
    renderer = structlog.get_config()["processors"][-1]
    assert renderer.exception_formatter is structlog.dev.plain_traceback
