"""What one worker tells the others: a message of some bytes, over a Unix socket of each.

For what comes to any worker and concerns only one of them, which cannot be seen from outside. One
connection brings one message; nothing comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import trio

from vantum.descriptors import LastingListener
from vantum.observe.logs import get_log
from vantum.workers.handover import listen_privately

#: Whoever does not take it in so long is not told.
_TOLD_S: Final = 1.0
#: What is told is a line or two.
MAX_BYTES: Final = 4_096

_log = get_log("workers")


async def tell(paths: Iterable[Path], message: bytes) -> None:
    """Tell all of them at once. Whoever is not there is passed over, with a line in the log.

    Raises:
        ValueError: the message is empty or longer than `MAX_BYTES`.
    """
    if not 0 < len(message) <= MAX_BYTES:
        raise ValueError(f"a message has 1 to {MAX_BYTES} bytes, not {len(message)}")
    async with trio.open_nursery() as nursery:
        for path in paths:
            nursery.start_soon(_tell_one, path, message)


async def _tell_one(path: Path, message: bytes) -> None:
    why = "no answer in time"
    with trio.move_on_after(_TOLD_S):
        try:
            async with await trio.open_unix_socket(path) as stream:
                await stream.send_all(message)
            return
        except (OSError, trio.BrokenResourceError) as error:
            why = str(error)
    _log.warning("a worker was not told", to=path.stem, why=why)


async def serve_news(
    path: Path,
    take: Callable[[bytes], object],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Give `take` what others tell at `path`, for ever. It must be quick, and raise nothing."""

    async def hear(stream: trio.SocketStream) -> None:
        message = bytearray()
        async with stream:
            with trio.move_on_after(_TOLD_S) as waiting:
                try:
                    while len(message) <= MAX_BYTES and (data := await stream.receive_some()):
                        message += data
                except trio.BrokenResourceError:
                    return
        if waiting.cancelled_caught or not 0 < len(message) <= MAX_BYTES:
            _log.warning("what a worker told was not understood", bytes=len(message))
            return
        take(bytes(message))

    async with listen_privately(path) as listener:
        task_status.started()
        await trio.serve_listeners(hear, [LastingListener(listener)])
