"""Whether this server has a phone, and what belongs to it."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from attrs import frozen
from starlette.routing import BaseRoute

from vantum.config import Settings
from vantum.errors import ConfigError
from vantum.telephony.streams import Streams
from vantum.telephony.tokens import StreamTokens
from vantum.telephony.webhooks import STREAM_PATH, VOICE_PATH, Webhooks

if TYPE_CHECKING:
    from vantum.server import Door


@frozen
class Phone:
    """What a server needs for phone calls: nothing, if it has no phone.

    `notice`: one line for who starts the server; empty if there is nothing to say.
    """

    routes: tuple[BaseRoute, ...] = ()
    doors: Mapping[str, Door] = {}
    notice: str = ""


def open_phone(settings: Settings, now_s: Callable[[], float] = time.time) -> Phone:
    """The phone that these settings ask for. `now_s` is the time of day, in seconds.

    Raises:
        ConfigError: the extra that it needs is not installed.
    """
    twilio = settings.twilio
    if not twilio.auth_token:
        given = [
            name
            for name, value in (
                ("TWILIO_ACCOUNT_SID", twilio.account_sid),
                ("TWILIO_PUBLIC_URL", twilio.public_url),
                ("TWILIO_STREAM_SECRET", twilio.stream_secret),
            )
            if value
        ]
        notice = f"  phone off: {', '.join(given)} without TWILIO_AUTH_TOKEN" if given else ""
        return Phone(notice=notice)
    if importlib.util.find_spec("twilio") is None:
        raise ConfigError(
            "TWILIO_AUTH_TOKEN is set, but the phone needs a package that is not installed: "
            'pip install "vantum[phone]"'
        )
    secret = (twilio.stream_secret or twilio.auth_token).reveal()
    tokens = StreamTokens(secret, twilio.token_lifetime_ms / 1000, now_s)
    where = twilio.public_url.rstrip("/") or "http(s)://where-Twilio-reaches-this"
    return Phone(
        Webhooks(twilio, tokens).routes,
        {STREAM_PATH: Streams(twilio, tokens).serve},
        f"  phone rings at POST {where}{VOICE_PATH}",
    )
