"""Several of Twilio's frames to a wake-up.

A frame of 20 ms comes alone, and to wake up for it costs the server more than to understand it.
Two or three of them go to the recogniser together anyway (`vantum.actors.lane`), so the kernel is
told not to wake the reader for less. What comes without audio behind it, which Twilio sends all the
time, is looked for now and then.
"""

from __future__ import annotations

from typing import Final

import trio

from vantum.backlog import unread, wake_at

#: A message with 20 ms of audio: 160 bytes of mu-law in base64 (216 letters), and numbers, names
#: and the frame around it. Between 330 and 430 bytes.
_FRAME_BYTES: Final = 380
FRAME_S: Final = 0.02

#: How long a message may wait that has no audio behind it.
_LOOK_S: Final = 0.25


def bytes_of(batch_s: float) -> int:
    """How much must have come for so much audio: more than one frame less, and no more than it."""
    return round((batch_s / FRAME_S - 0.5) * _FRAME_BYTES)


async def wake_for(batch_s: float, stream: trio.abc.Stream) -> None:
    """Have the stream's reader woken for so much audio (up to 60 ms), until cancelled. Returns if
    that cannot be done with this stream."""
    while wake_at(stream, bytes_of(batch_s)):
        await trio.sleep(_LOOK_S)
        if unread(stream) == 0:
            continue
        # Mostly it is a frame that waits for the next, and nothing is lost.
        wake_at(stream, 1)
        await trio.lowlevel.checkpoint()
