"""Whether there is a phone, and what the person who starts the server is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.twilio_stream import TOKEN, TWILIO
from vantum.config import Secret, Settings, StorageSettings, TwilioSettings
from vantum.errors import ConfigError
from vantum.telephony.desk import Desk, open_desk
from vantum.telephony.phone import Phone

IN_MEMORY = StorageSettings(path=":memory:")


async def phone_of(twilio: TwilioSettings) -> Phone:
    async with open_desk(Settings(twilio=twilio, storage=IN_MEMORY)) as desk:
        return desk.phone


async def test_without_a_phone_nothing_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "data" / "vantum.sqlite3"
    async with open_desk(Settings(storage=StorageSettings(path=str(file)))) as desk:
        assert desk == Desk(Phone())
    assert not file.parent.exists()


async def test_half_a_phone_is_off_and_says_what_is_missing() -> None:
    phone = await phone_of(TwilioSettings(account_sid="AC1", stream_secret=Secret("hush")))
    assert not phone.routes
    assert not phone.doors
    assert phone.notice == (
        "  phone off: TWILIO_ACCOUNT_SID, TWILIO_STREAM_SECRET without TWILIO_AUTH_TOKEN"
    )


async def test_a_phone_says_where_it_rings() -> None:
    phone = await phone_of(TWILIO)
    assert "https://voice.example.com/twilio/voice" in phone.notice
    assert TOKEN not in phone.notice
    phone = await phone_of(TwilioSettings(auth_token=Secret("x")))
    assert "where-Twilio-reaches-this/twilio/voice" in phone.notice


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        ({"public_url": "wss://voice.example.com"}, ""),
        ({"public_url": "", "trust_proxy": True}, ""),
        ({"public_url": ""}, "so set TWILIO_PUBLIC_URL to https://…"),
        ({"public_url": "http://voice.example.com"}, "TWILIO_PUBLIC_URL is not https://"),
        ({"public_url": "ws://voice.example.com"}, "TWILIO_PUBLIC_URL is not https://"),
        ({"public_url": "https://my_voice.example.com"}, "no host with an underscore"),
        ({"public_url": "https://voice.example.com/a_path"}, ""),
        ({"public_url": "http://[::1]:3001", "base_url": "http://127.0.0.1:8081"}, ""),
        ({"public_url": "http://x", "base_url": "https://api.ashburn.us1.twilio.com"}, "not https"),
        ({"public_url": "http://x", "base_url": "https://nottwilio.com"}, ""),
    ],
)
async def test_an_address_that_twilio_would_not_take_is_told_of(
    changes: dict[str, Any], warning: str
) -> None:
    phone = await phone_of(attrs.evolve(TWILIO, **changes))
    first, *rest = phone.notice.splitlines()
    assert first.startswith("  phone rings at POST ")
    if not warning:
        assert rest == []
        return
    (said,) = rest
    assert said.startswith("  no call will work: ")
    assert warning in said


@pytest.mark.parametrize("package", ["twilio", "phonenumbers"])
async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == package else find(n))
    with pytest.raises(ConfigError, match=r"vantum\[phone\]"):
        await phone_of(TWILIO)


@pytest.mark.parametrize(
    ("half", "missing"),
    [
        (TwilioSettings(auth_token=Secret("x"), api_key="SK1"), "TWILIO_API_SECRET"),
        (TwilioSettings(auth_token=Secret("x"), api_secret=Secret("y")), "TWILIO_API_KEY"),
    ],
)
async def test_half_an_api_key_is_none(half: TwilioSettings, missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        await phone_of(attrs.evolve(half, account_sid="AC1"))
