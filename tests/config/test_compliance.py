"""Settings of the compliance check: what can be read, and what is said of what cannot."""

from __future__ import annotations

from datetime import date

import pytest

from vantum.config import ComplianceSettings
from vantum.config.load import load_settings
from vantum.core.disclosure import discloses
from vantum.errors import ConfigError


def test_the_defaults_refuse() -> None:
    rules = ComplianceSettings().rules
    assert rules.consent_required
    assert rules.disclosure_required
    assert rules.countries == frozenset()
    assert rules.hours.week == (((480, 1260),),) * 7
    assert [(cap.count, cap.period_s / 86_400) for cap in rules.caps] == [(3, 1), (7, 7)]
    assert ComplianceSettings().colleague_numbers == frozenset()
    assert ComplianceSettings().more_opt_out_phrases == ()
    assert ComplianceSettings().listened_languages == ("en", "es", "fr", "de", "pt")
    assert discloses(ComplianceSettings().opening)


def test_what_is_set() -> None:
    env = {
        "COMPLIANCE_HOURS": "mon-fri 9:00-20:00",
        "COMPLIANCE_HOLIDAYS": "2026-11-26, 12-25",
        "COMPLIANCE_ATTEMPTS": "1/8h",
        "COMPLIANCE_COUNTRIES": "us, CA,",
        "COMPLIANCE_DISCLOSURE": "голосовой помощник",
        "COMPLIANCE_COLLEAGUES": "+1 (555) 123-4567, +442079460123",
        "COMPLIANCE_OPT_OUT_PHRASES": "nicht mehr anrufen, ne m'appelez plus",
        "COMPLIANCE_OPT_OUT_LANGUAGES": "ES, en, es,",
        "AUDIT_KEY": "hunter2",
    }
    loaded = load_settings(env, None).settings.compliance
    assert loaded.rules.hours.week[5] == ()
    assert loaded.rules.hours.holidays == {date(2026, 11, 26)}
    assert loaded.rules.hours.yearly == {(12, 25)}
    assert loaded.rules.countries == {"US", "CA"}
    assert loaded.rules.disclosure == "голосовой помощник"
    assert loaded.colleague_numbers == {"+15551234567", "+442079460123"}
    assert loaded.more_opt_out_phrases == ("nicht mehr anrufen", "ne m'appelez plus")
    assert loaded.listened_languages == ("es", "en")
    assert "hunter2" not in repr(loaded)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("COMPLIANCE_HOURS", "9-17", 'days and hours, such as "mon-fri 08:00-21:00'),
        ("COMPLIANCE_HOLIDAYS", "Christmas", "dates such as 2026-11-26"),
        ("COMPLIANCE_ATTEMPTS", "3 per day", 'numbers of calls by period, such as "3/1d'),
        ("COMPLIANCE_COUNTRIES", "USA", 'ISO codes of countries, comma-separated, such as "US'),
        ("COMPLIANCE_DISCLOSURE", "(AI", "a regular expression"),
        ("COMPLIANCE_COLLEAGUES", "Bob", "phone numbers in international form"),
        ("COMPLIANCE_COLLEAGUES", "+0123456789", "phone numbers in international form"),
        ("COMPLIANCE_OPT_OUT_LANGUAGES", "en, klingon", "languages of en, es, fr, de, pt"),
        ("COMPLIANCE_OPENING", "...", "text with at least one letter or digit"),
    ],
)
def test_what_cannot_be_read(name: str, value: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({name: value}, None)
    assert str(caught.value).startswith(f"{name}={value}: must be {allowed}")
