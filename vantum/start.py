"""The way into the command: while the rest is loaded, Ctrl-C is as quiet as later."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `vantum-actors`; exits with its code."""
    try:
        from vantum.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
