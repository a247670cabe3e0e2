"""What a worker has of its parent: a socket, on which it gets its task and says that it listens.

The task comes as 4 bytes of length, network order, and so many bytes. Reports go as one line of
JSON each. Whatever comes after the task asks for the end; so does the end of the parent itself.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import trio
from attrs import define

_LENGTH: Final = struct.Struct("!I")


def packed(task: bytes) -> bytes:
    """A task as it is sent."""
    return _LENGTH.pack(len(task)) + task


@define(eq=False)
class Parent:
    """A worker's end of the socket."""

    control: socket.socket

    def task(self) -> bytes:
        """What the parent gives a worker to do. Blocks. EOFError: the parent has ended."""
        # A process of the worker's own must not keep the socket open behind its back.
        os.set_inheritable(self.control.fileno(), False)
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size))
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            data = self.control.recv(length - len(found))
            if not data:
                raise EOFError("the parent has ended")
            found += data
        return bytes(found)

    def report(self, **report: Any) -> None:
        """Say `listens=banner` or `failed=why`. To nobody, if the parent has ended."""
        with suppress(OSError):
            self.control.sendall(json.dumps(report).encode() + b"\n")

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[trio.MemoryReceiveChannel[None]]:
        """Requests to end, of which there is one at most, whoever asks: the parent, by the socket
        or by its own end, or somebody with a signal. Who wants it at once, kills."""
        asked_tx, asked_rx = trio.open_memory_channel[None](1)

        async def by_parent() -> None:
            control = trio.socket.from_stdlib_socket(self.control.dup())
            with control, suppress(OSError):
                await control.recv(1)
            ask()

        async def by_signal(signals: AsyncIterator[int]) -> None:
            await anext(signals)
            ask()

        def ask() -> None:
            with suppress(trio.WouldBlock):  # it was asked already
                asked_tx.send_nowait(None)

        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(by_parent)
                nursery.start_soon(by_signal, aiter(signals))
                yield asked_rx
                nursery.cancel_scope.cancel()
