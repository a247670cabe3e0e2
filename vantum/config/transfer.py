"""Settings of transfers: to whom the agent may pass a phone call, and how."""

from __future__ import annotations

import re
from typing import Literal

from attrs import frozen

from vantum.config.base import setting

_NAME = re.compile(r"[a-z0-9][a-z0-9 _-]{0,40}", re.IGNORECASE)
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


def parse_destinations(text: str) -> dict[str, str]:
    """Names with their numbers in E.164, such as "sales=+12125550123, support=+12125550124".

    Raises:
        ValueError: it is something else, or a name is there twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, _, number = (piece.strip() for piece in part.partition("="))
        number = re.sub(r"[ ().-]", "", number)
        if not _NAME.fullmatch(name) or not _NUMBER.fullmatch(number) or name in found:
            raise ValueError("must be name=number, comma-separated, each name once")
        found[name] = number
    return found


@frozen
class TransferSettings:
    """To whom the agent may pass a phone call. Without numbers there is no such tool."""

    numbers: str = setting(
        "",
        "Names that the model may ask for, with our own people's numbers: "
        "`sales=+12125550123, support=+12125550124`. It never dials a number of its own.",
        env="TRANSFER_NUMBERS",
        form="destinations",
    )
    mode: Literal["warm", "blind"] = setting(
        "warm",
        "`warm`: the colleague is called first, hears a summary and presses 1, while the caller "
        "goes on talking with the agent; `blind`: the caller is put through at once, and comes "
        "back to the agent if nobody takes the call.",
        env="TRANSFER_MODE",
        choices=("warm", "blind"),
    )
    ring_timeout_ms: int = setting(
        25_000,
        "A colleague's phone rings for so long; whole seconds.",
        env="TRANSFER_RING_TIMEOUT",
        low=5_000,
        high=120_000,
    )
    blind_needs_key: bool = setting(
        False,
        "In a blind transfer, the caller is put through only if the colleague presses 1, as in a "
        "warm one, and hears it ring until then. Without it a mailbox that takes the call counts "
        "as reached.",
        env="TRANSFER_BLIND_NEEDS_KEY",
    )
    accept_timeout_ms: int = setting(
        15_000,
        "After the summary, a colleague has so long to press 1; whole seconds.",
        env="TRANSFER_ACCEPT_TIMEOUT",
        low=2_000,
        high=60_000,
    )
    accept_text: str = setting(
        "Press 1 to take the call.",
        "Said to the colleague by Twilio's own voice, behind the summary.",
        env="TRANSFER_ACCEPT_TEXT",
        form="spoken",
    )
    waiting_text: str = setting(
        "Let me see whether somebody is free. You can go on talking with me.",
        "Said to the caller while the colleague is called, if the agent says nothing itself.",
        env="TRANSFER_WAITING_TEXT",
    )
    connect_text: str = setting(
        "I'm connecting you now.",
        "Said to the caller before he is put through.",
        env="TRANSFER_CONNECT_TEXT",
        form="spoken",
    )
    unavailable_text: str = setting(
        "I'm sorry, nobody could take your call just now. How else can I help you?",
        "Said when no colleague has taken the call: to a caller who comes back to the agent from a "
        "blind transfer, or who was talking while a colleague was asked; else the agent says it in "
        "its own words.",
        env="TRANSFER_UNAVAILABLE_TEXT",
        form="spoken",
    )

    unreached_text: str = setting(
        "I'm sorry, nobody could take your call just now. Please try again later. Goodbye.",
        "Said by Twilio's own voice when a blind transfer has reached nobody and the caller cannot "
        "come back to the agent, because the server goes down or is full; then the call ends.",
        env="TRANSFER_UNREACHED_TEXT",
        form="spoken",
    )

    @property
    def destinations(self) -> dict[str, str]:
        """Numbers in E.164 by name."""
        return parse_destinations(self.numbers)
