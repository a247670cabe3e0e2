"""Structured logs on standard error; `get_log()` is how every room gets its logger."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, TextIO, cast

import structlog

from vantum.observe.outlet import Outlet

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(level: str = "info", fmt: str = "auto") -> None:
    """Set up the process's logs.

    Args:
        level: debug, info, warning or error.
        fmt: console, json, or auto (console on a terminal).

    Lines that cannot be written are dropped and counted: a full disk must not end a call.
    """
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if fmt == "auto":
        fmt = "console" if is_terminal else "json"
    last: list[structlog.types.Processor] = [structlog.processors.JSONRenderer()]
    if fmt == "console":
        # Its own choice depends on what else is installed, and may print local variables.
        renderer = structlog.dev.ConsoleRenderer(
            colors=is_terminal and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        )
        last = [_visible, renderer]
    chain: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]

    def lost_line(count: int) -> str:
        line: Any = {"room": "logs", "event": "log lines that could not be written", "count": count}
        for step in (*chain[1:], *last):  # it belongs to no session
            line = step(None, "warning", line)
        return f"{line}\n"

    outlet = Outlet(sys.stderr, lost_line)
    structlog.configure(
        processors=[*chain, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # A line and its end in one write, also where nothing is buffered (PYTHONUNBUFFERED): the
        # lines of several workers would run into each other.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, outlet)),
        cache_logger_on_first_use=False,
    )
    # Libraries that log on their own (trio, hypercorn, httpx) only matter when they warn.
    theirs = logging.StreamHandler(cast(TextIO, outlet))
    theirs.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library, *chain],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), handlers=[theirs])


def _visible(
    _: object, _level: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """What others wrote cannot steer a terminal: what prints as nothing is written out. JSON writes
    it out anyway; what has several lines the renderer quotes, but for a stack."""
    return {k: _written_out(v) if isinstance(v, str) else v for k, v in line.items()}


def _written_out(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _library(
    _: object, _level: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A library's logger stands where our rooms do."""
    return {"room": line["_record"].name, **line}


def get_log(room: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a room; `room` stands in every line."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(room=room))
