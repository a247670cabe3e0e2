"""What SIGINT and SIGTERM do while nobody waits for them. Loaded before all else."""

from __future__ import annotations

# What `signal` is made of: to load that takes longer than all there is before.
import _signal as signal  # type: ignore[import-not-found]
import os

ENDING = (signal.SIGINT, signal.SIGTERM)


def end_at_once(*, also_ignored: bool = False) -> None:
    """Let the two end the process, then and there. One that is ignored stays ignored, as a script's
    background jobs are spared Ctrl-C, unless `also_ignored`.

    Python's own Ctrl-C is an exception in whatever line runs next, which may be seconds away while
    a library is loaded, and a stack if that line is in one. The system's default asks nobody.
    """
    for number in ENDING:
        if also_ignored or signal.getsignal(number) != signal.SIG_IGN:
            # The kernel spares the first process of a container what is only the default.
            signal.signal(number, _exit if os.getpid() == 1 else signal.SIG_DFL)


def _exit(number: int, _frame: object) -> None:
    os._exit(128 + number)
