"""The server, a process of its own: `vantum-actors run` with one thread more, which only waits.

A line on standard input is answered with what the process holds (a census of its objects); the end
of the input ends the server, so that it never outlives the benchmark.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
from collections import Counter
from typing import Any

from vantum.cli import main


def census() -> dict[str, Any]:
    """How many objects the collector knows, by type, after a collection."""
    gc.collect()
    counts = Counter(
        f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects()
    )
    return {"objects": sum(counts.values()), "types": dict(counts.most_common(300))}


def _answer() -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(census()) + "\n")
        sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_answer, daemon=True).start()
    main(["run", "--host", "127.0.0.1", "--port", "0"])
