"""Whether this server has a phone, and what belongs to it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import frozen
from starlette.routing import BaseRoute

from vantum.config import Settings, TwilioSettings
from vantum.errors import ConfigError
from vantum.telephony.abilities import Abilities
from vantum.telephony.api import CallsApi
from vantum.telephony.callbacks_api import CallbacksApi
from vantum.telephony.calls import Calls
from vantum.telephony.invitations import STREAM_PATH, Invitations
from vantum.telephony.streams import Streams
from vantum.telephony.webhooks import VOICE_PATH, Webhooks

if TYPE_CHECKING:
    from vantum.server import Door


@frozen
class Phone:
    """What a server needs for phone calls: nothing, if it has no phone.

    `notice`: lines for who starts the server; empty if there is nothing to say.
    """

    routes: tuple[BaseRoute, ...] = ()
    doors: Mapping[str, Door] = {}
    notice: str = ""


def has_phone(settings: Settings) -> bool:
    """Whether these settings ask for a phone.

    Raises:
        ConfigError: the extra that it needs is not installed, or half of an API key is missing.
    """
    twilio = settings.twilio
    if not twilio.auth_token:
        return False
    if (
        importlib.util.find_spec("twilio") is None
        or importlib.util.find_spec("phonenumbers") is None
    ):
        raise ConfigError(
            "TWILIO_AUTH_TOKEN is set, but the phone needs packages that are not installed: "
            'pip install "vantum[phone]"'
        )
    if bool(twilio.api_key) != bool(twilio.api_secret):
        missing = "TWILIO_API_SECRET" if twilio.api_key else "TWILIO_API_KEY"
        raise ConfigError(f"{missing} is missing: an API key is used with its secret")
    return True


def no_phone(settings: Settings) -> Phone:
    """For a server without one; says so if other settings of a phone are there."""
    twilio = settings.twilio
    given = [
        name
        for name, value in (
            ("TWILIO_ACCOUNT_SID", twilio.account_sid),
            ("TWILIO_PUBLIC_URL", twilio.public_url),
            ("TWILIO_FROM_NUMBER", twilio.from_number),
            ("TWILIO_STREAM_SECRET", twilio.stream_secret),
        )
        if value
    ]
    notice = f"  phone off: {', '.join(given)} without TWILIO_AUTH_TOKEN" if given else ""
    return Phone(notice=notice)


def missing_for_rest(settings: Settings) -> str:
    """What must be set for Twilio's REST API and is not; empty: nothing."""
    return "" if settings.twilio.account_sid else "TWILIO_ACCOUNT_SID"


def new_phone(
    settings: Settings, calls: Calls, abilities: Abilities, invitations: Invitations
) -> Phone:
    """The phone of a server whose calls these are."""
    twilio = settings.twilio
    webhooks = Webhooks(twilio, invitations, calls)
    streams = Streams(twilio, invitations.tokens, calls, abilities.equip)
    wishes = CallbacksApi(abilities.callbacks, settings.server.api_tokens)
    where = twilio.public_url.rstrip("/") or "http(s)://where-Twilio-reaches-this"
    warning = _unusable(twilio)
    return Phone(
        (
            *webhooks.routes,
            *abilities.routes,
            *CallsApi(calls, abilities.callbacks).routes,
            *wishes.routes,
        ),
        {STREAM_PATH: streams.serve, invitations.stream_path: streams.serve},
        f"  phone rings at POST {where}{VOICE_PATH}" + (f"\n  {warning}" if warning else ""),
    )


def _unusable(twilio: TwilioSettings) -> str:
    """What Twilio itself would not take of the address where it is to reach us; empty: nothing.
    A simulated one takes any.

    Sources: "<Stream>" (wss only), https://www.twilio.com/docs/voice/twiml/stream; "Call Resource"
    (host names have no underscore), https://www.twilio.com/docs/voice/api/call-resource.
    """
    if not f".{urlsplit(twilio.base_url).hostname}".endswith(".twilio.com"):
        return ""
    public = urlsplit(twilio.public_url)
    if not twilio.public_url and not twilio.trust_proxy:
        return "no call will work: Twilio streams to wss:// only, so set TWILIO_PUBLIC_URL to https://…"
    if public.scheme in ("http", "ws"):
        return "no call will work: Twilio streams to wss:// only, and TWILIO_PUBLIC_URL is not https://"
    if "_" in (public.hostname or ""):
        return "no call will work: Twilio takes no host with an underscore, as in TWILIO_PUBLIC_URL"
    return ""
