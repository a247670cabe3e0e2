"""Whether there is a phone, and what the person who starts the server is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path

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
