"""The way into the command: while the rest is loaded, Ctrl-C is as quiet as later."""

from __future__ import annotations

import io
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `vantum-actors`; exits with its code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Where a terminal's encoding lacks a character, a question mark is better than a stack.
        sys.stdout.reconfigure(errors="replace")
    try:
        from vantum.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
