"""The way into the command: while the rest is loaded, Ctrl-C is as quiet as later."""

from __future__ import annotations

import io
import os
import sys

from vantum.at_once import end_at_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run `vantum-actors`; exits with its code."""
    end_at_once()
    _prepare_streams()
    from vantum.cli import main as run

    run()


def _prepare_streams() -> None:
    _open_missing()
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            # Where an encoding lacks a character, a question mark is better than a stack.
            stream.reconfigure(errors="replace")


def _open_missing() -> None:
    """Let standard streams that are closed lead nowhere.

    Else a socket or the database would get their number, and what a library prints would go there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: SIM115 - for good
