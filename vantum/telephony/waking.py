"""Two of Twilio's frames to a wake-up.

A frame of 20 ms comes alone, and to wake up for it costs the server more than to understand it.
Two of them go to the recogniser together anyway (`vantum.actors.lane`), so the kernel is told not
to wake the reader for less. What comes without audio behind it, which Twilio sends all the time,
is looked for now and then.
"""

from __future__ import annotations

from typing import Final

import trio

from vantum.backlog import unread, wake_at

#: More than one message with 20 ms of audio and less than two. It is 160 bytes of mu-law in base64
#: (216 letters), and with numbers, names and the frame around it between 330 and 430.
TWO_FRAMES: Final = 600

#: How long a message may wait that has no audio behind it.
_LOOK_S: Final = 0.25


async def wake_for_two(stream: trio.abc.Stream) -> None:
    """Have the stream's reader woken for two frames, until cancelled. Returns if that cannot be
    done with this stream."""
    while wake_at(stream, TWO_FRAMES):
        await trio.sleep(_LOOK_S)
        if unread(stream) == 0:
            continue
        # Half of the times it is the first of two frames, and nothing is lost.
        wake_at(stream, 1)
        await trio.lowlevel.checkpoint()
