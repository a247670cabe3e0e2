"""Settings of whom we may call, and of the record of it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from vantum.config.base import Secret, setting
from vantum.core.calling_hours import CallingHours, parse_holidays, parse_hours
from vantum.core.dial_policy import DialRules, parse_caps
from vantum.core.disclosure import DEFAULT_DISCLOSURE
from vantum.core.opt_out import LANGUAGES, parse_languages


@frozen
class ComplianceSettings:
    """Whom outbound calls may reach, and when. What is in doubt is not called. The defaults follow
    rules of the United States; they are facts to begin with and no legal advice."""

    hours: str = setting(
        "mon-sun 08:00-21:00",
        "When people may be called, in their own local time; days that are not named: never.",
        env="COMPLIANCE_HOURS",
        form="hours",
    )
    holidays: str = setting(
        "",
        "Dates in the callee's local time on which nobody is called: `2026-11-26`, or `12-25` for "
        "each year; comma-separated.",
        env="COMPLIANCE_HOLIDAYS",
        form="holidays",
    )
    attempts: str = setting(
        "3/1d, 7/7d",
        "The most calls to a number in any period of so many hours (`h`) or days (`d` of 24 h); "
        "empty: no limit.",
        env="COMPLIANCE_ATTEMPTS",
        form="caps",
    )
    countries: str = setting(
        "",
        "Countries that may be called, as ISO codes such as `US, CA`; empty: that of the number "
        "that calls.",
        env="COMPLIANCE_COUNTRIES",
        form="countries",
    )
    consent_required: bool = setting(
        True,
        "Whether a consent of the callee must be on record.",
        env="COMPLIANCE_CONSENT_REQUIRED",
    )
    disclosure_required: bool = setting(
        True,
        "Whether what is spoken first (and a voicemail) must say that an artificial voice speaks.",
        env="COMPLIANCE_DISCLOSURE_REQUIRED",
    )
    disclosure: str = setting(
        DEFAULT_DISCLOSURE,
        "The words that say so: a regular expression, matched anywhere, whatever the case.",
        env="COMPLIANCE_DISCLOSURE",
        form="pattern",
    )
    opening: str = setting(
        "Hello, this is an AI assistant calling. Is now a good moment?",
        "Said first in an outbound call that has no greeting of its own.",
        env="COMPLIANCE_OPENING",
        form="spoken",
    )
    opt_out_phrases: str = setting(
        "",
        "Further phrases by which somebody asks not to be called again, comma-separated, for other "
        "languages than the built-in ones.",
        env="COMPLIANCE_OPT_OUT_PHRASES",
    )
    opt_out_languages: str = setting(
        ", ".join(LANGUAGES),
        "The languages whose built-in phrases count, comma-separated; empty: none.",
        env="COMPLIANCE_OPT_OUT_LANGUAGES",
        form="opt_out_languages",
    )
    opt_out_reply: str = setting(
        "I'm sorry for the disturbance. I have taken your number off our list, and we won't call "
        "you again. Goodbye.",
        "Said to somebody who asks not to be called again; then the call ends.",
        env="COMPLIANCE_OPT_OUT_REPLY",
        form="spoken",
    )
    colleagues: str = setting(
        "",
        "Numbers of our own people, comma-separated, in international form, besides those of "
        "`transfer.numbers`: they may be called without hours and consent.",
        env="COMPLIANCE_COLLEAGUES",
        form="numbers",
    )
    permit_lifetime_ms: int = setting(
        60_000,
        "From the permit to dial until it must have been used.",
        env="COMPLIANCE_PERMIT_LIFETIME",
        low=1_000,
        high=3_600_000,
    )
    audit_file: str = setting(
        "",
        "The audit log; empty: `audit.jsonl` beside the database.",
        env="AUDIT_FILE",
    )
    audit_key: Secret = setting(
        Secret(""),
        "Signs the audit log, so that nobody without it can write another one. Set it before the "
        "first entry.",
        env="AUDIT_KEY",
    )

    @property
    def rules(self) -> DialRules:
        """What the check goes by."""
        once, yearly = parse_holidays(self.holidays)
        return DialRules(
            hours=CallingHours(parse_hours(self.hours), once, yearly),
            caps=parse_caps(self.attempts),
            countries=frozenset(code.upper() for code in _listed(self.countries)),
            consent_required=self.consent_required,
            disclosure_required=self.disclosure_required,
            disclosure=self.disclosure,
        )

    @property
    def colleague_numbers(self) -> frozenset[str]:
        """In E.164, without what makes numbers readable."""
        return frozenset(
            "+" + "".join(filter(str.isdigit, number)) for number in _listed(self.colleagues)
        )

    @property
    def more_opt_out_phrases(self) -> tuple[str, ...]:
        """In order."""
        return _listed(self.opt_out_phrases)

    @property
    def listened_languages(self) -> tuple[str, ...]:
        """Those whose built-in phrases count."""
        return parse_languages(self.opt_out_languages)

    def audit_path(self, database: Path) -> Path:
        """The audit log's file, given the database's."""
        given = self.audit_file.strip()
        return Path(given).expanduser() if given else database.with_name("audit.jsonl")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for piece in text.split(",") if (part := piece.strip()))
