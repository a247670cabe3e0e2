"""Structured logs on standard error; `get_log()` is how every room gets its logger."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from attrs import define

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(level: str = "info", fmt: str = "auto") -> None:
    """Set up the process's logs.

    Args:
        level: debug, info, warning or error.
        fmt: console, json, or auto (console on a terminal).
    """
    if fmt == "auto":
        fmt = "console" if sys.stderr.isatty() else "json"
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if fmt == "console":
        # Its own choice depends on what else is installed, and may print local variables.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        )
    chain: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # A line and its end in one write, also where nothing is buffered (PYTHONUNBUFFERED): the
        # lines of several workers would run into each other.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    # Libraries that log on their own (trio, hypercorn, httpx) only matter when they warn.
    theirs = logging.StreamHandler(sys.stderr)
    theirs.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library, *chain],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), handlers=[theirs])


@define(eq=False)
class _Lossy:
    """A stream on which a line that cannot be written is lost.

    The disk may be full, or whoever read the lines may be gone: no call ends by that.
    """

    _file: TextIO

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def _library(
    _: object, _level: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A library's logger stands where our rooms do."""
    return {"room": line["_record"].name, **line}


def get_log(room: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a room; `room` stands in every line."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(room=room))
