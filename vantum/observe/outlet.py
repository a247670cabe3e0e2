"""Lines that nobody has to read: what is wrong with where they go ends no call, nor holds it up."""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable
from typing import Final, TextIO

from attrs import define, field

#: What a pipe or a terminal that can be written to takes at once, without waiting (pipe(7)).
_AT_ONCE_BYTES: Final = 4096


@define(eq=False)
class Outlet:
    """A text stream for whole lines that never fails and never waits.

    A line that cannot be written is dropped: on a full disk, into a pipe whose reader has gone or
    does not read, to a terminal that somebody has stopped (Ctrl-S). `lost_line` makes the line that
    says how many there were, which goes ahead of the first that can be written again.

    `stream`: None where the process was started without one. What has a descriptor is written to
    directly: what a buffer could not write, it would try to write again, and fail again at the end.
    """

    stream: TextIO | None
    lost_line: Callable[[int], str]
    _lost: int = field(default=0, init=False)
    _is_torn: bool = field(default=False, init=False)

    def write(self, text: str) -> int:
        """Write a line, its end included, or drop it."""
        if self.stream is None:
            return len(text)
        try:
            self._put(self.stream, (self.lost_line(self._lost) if self._lost else "") + text)
            self._lost = 0
        except (OSError, ValueError):  # ValueError: the stream is closed
            self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is kept."""

    def _put(self, stream: TextIO, text: str) -> None:
        descriptor = _descriptor(stream)
        if descriptor is None:
            stream.write(text)
            stream.flush()
            return
        if self._is_torn:
            text = "\n" + text
        data = text.encode(stream.encoding or "utf-8", "backslashreplace")
        # A file takes a line in one write, which those of other workers cannot get into.
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        size = len(data) if is_file else _AT_ONCE_BYTES
        written = 0
        while written < len(data):
            if not is_file and not _takes_more(descriptor):
                raise BlockingIOError
            written += os.write(descriptor, data[written : written + size])
            self._is_torn = written < len(data)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # in memory
        return None


def _takes_more(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))
