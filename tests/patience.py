"""Waiting on the real clock: for sockets, threads and processes, where time cannot be simulated.

Such a test waits for an event or a condition, never for a length of time that "will do", and says
nothing about how long anything takes: a shared machine may be ten times slower than this one, and
stand still for a second in the middle. What a test wants to hold is an order or a cause (the peer
would stall for ever, so that to finish at all is the proof); speed is measured by the benchmarks.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import trio

from vantum import client
from vantum.config import Settings
from vantum.config.load import load_settings

#: Only there to end a test that hangs, on the slowest machine that anybody may run it on.
HANG_S = 120.0

#: Deadlines of the server as long as its settings let them be, for tests about something else.
PATIENT_ENVIRONMENT = {
    "HANDSHAKE_TIMEOUT": "120000",
    "SEND_TIMEOUT": "120000",
    "STT_READY_TIMEOUT": "120000",
    "STT_FLUSH_TIMEOUT": "30000",
    "LLM_REQUEST_TIMEOUT": "120000",
    "LLM_TOKEN_TIMEOUT": "120000",
    "LLM_STREAMING_TIMEOUT": "120000",
    "LLM_FILLER_AFTER": "600000",
    "TTS_READY_TIMEOUT": "120000",
    "TTS_AUDIO_TIMEOUT": "120000",
    "DEEPGRAM_CONNECT_TIMEOUT": "60000",
    "DEEPGRAM_FINALIZE_TIMEOUT": "10000",
    "CARTESIA_CONNECT_TIMEOUT": "60000",
}

#: `vantum.connect`, but it does not give up before the test does.
connect = partial(client.connect, timeout_s=HANG_S)


def patient_settings() -> Settings:
    """The defaults, but for the deadlines."""
    return load_settings(PATIENT_ENVIRONMENT, None).settings


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is true; for what a socket or a thread brings about and no event tells of."""
    with trio.fail_after(HANG_S):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.002)


@contextmanager
def nobody_listening() -> Iterator[int]:
    """A port of 127.0.0.1 that refuses connections, and that nobody else can get meanwhile."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@contextmanager
def a_port() -> Iterator[int]:
    """A port of 127.0.0.1 for a server that has to be told one: nobody else is given it meanwhile,
    neither the tests beside this one nor a connection going out."""
    with socket.socket() as kept:
        # Listening where somebody is bound but does not listen is allowed if both say this.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        if sys.platform != "linux":  # elsewhere it is not
            kept.close()
        yield port
