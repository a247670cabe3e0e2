"""May this number be called now? A decision out of facts, and nothing else.

Every rule is asked, so a refusal has all its reasons at once. What is not known refuses: a fact
that is missing is never a fact in favour.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import Final, Literal, TypeAlias

from attrs import frozen

from vantum.core.calling_hours import CallingHours, local
from vantum.core.disclosure import DEFAULT_DISCLOSURE, discloses
from vantum.core.refusals import Reason, Refusal

#: The kinds of lines of the world's numbering plans, as libphonenumber has them.
LineKind: TypeAlias = Literal[
    "fixed_line",
    "mobile",
    "fixed_line_or_mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
    "unknown",
]
#: Lines that belong to a person or a business at a place. The others are services, cost the one
#: who calls or the one who is called extra, or may be anywhere.
_CALLABLE: Final = ("fixed_line", "mobile", "fixed_line_or_mobile")
#: A consent of this scope covers every call; others cover the campaign of that name.
ANY_SCOPE: Final = "any"


@frozen
class AttemptCap:
    """At most `count` calls to a number in any period of `period_s` seconds."""

    count: int
    period_s: float

    @property
    def in_words(self) -> str:
        """Such as "3 times within 1 day"."""
        days = self.period_s % _UNITS_S["d"] == 0
        length, unit = self.period_s / _UNITS_S["d" if days else "h"], "day" if days else "hour"
        times = "once" if self.count == 1 else f"{self.count} times"
        return f"{times} within {length:g} {unit}{'' if length == 1 else 's'}"

    def free_at_s(self, now_s: float, attempts_s: Sequence[float]) -> float | None:
        """When the next call fits in; None: now.

        Args:
            attempts_s: when the number was called, in any order; seconds since 1970. What lies
                ahead of `now_s` counts as well: then it is our clock that is wrong.
        """
        recent = sorted(at_s for at_s in attempts_s if at_s + self.period_s > now_s)
        if len(recent) < self.count:
            return None
        return recent[len(recent) - self.count] + self.period_s


_CAP: Final = re.compile(r"(?P<count>[1-9]\d{0,5})\s*/\s*(?P<length>[1-9]\d{0,3})\s*(?P<unit>[hd])")
_UNITS_S: Final = {"h": 3600.0, "d": 86_400.0}


def parse_caps(text: str) -> tuple[AttemptCap, ...]:
    """Caps as people write them: "3/1d, 7/7d, 1/8h"; empty: none.

    Raises:
        ValueError: one line that says what is wrong.
    """
    caps = []
    for part in filter(None, map(str.strip, text.split(","))):
        found = _CAP.fullmatch(part.lower())
        if found is None:
            raise ValueError(f"{part!r} is not as in 3/1d")
        caps.append(AttemptCap(int(found["count"]), int(found["length"]) * _UNITS_S[found["unit"]]))
    return tuple(caps)


@frozen
class Consent:
    """What somebody has agreed to. Times are seconds since 1970; None: without an end."""

    consent_id: int
    scope: str
    obtained_s: float
    expires_s: float | None = None

    def covers(self, campaign_id: str) -> bool:
        """Whether calls of this campaign ("" for none) are meant."""
        return self.scope == ANY_SCOPE or (bool(campaign_id) and self.scope == campaign_id)

    def holds(self, now_s: float) -> bool:
        """Whether it has begun and has not ended."""
        return self.obtained_s <= now_s and (self.expires_s is None or now_s < self.expires_s)


@frozen
class Place:
    """What a number says about itself.

    Attributes:
        region: ISO 3166 code of its country; empty: none, or not known.
        kind: of the line.
        zones: the timezones in which it may be; empty: not known.
    """

    region: str
    kind: LineKind
    zones: tuple[tzinfo, ...]


@frozen
class DialRules:
    """What the settings say.

    Attributes:
        countries: ISO 3166 codes that may be called; empty: `own_country` only.
        caps: none: as often as one likes.
    """

    hours: CallingHours
    caps: tuple[AttemptCap, ...] = ()
    countries: frozenset[str] = frozenset()
    consent_required: bool = True
    disclosure_required: bool = True
    disclosure: str = DEFAULT_DISCLOSURE


@frozen(kw_only=True)
class DialFacts:
    """What is known at the moment of the decision.

    Attributes:
        number: E.164.
        now_s: seconds since 1970.
        place: of the number.
        own_country: of the number that calls; empty: not known.
        zone_name: the prospect's own timezone, as it was given; empty: it was not.
        zone: the same; None: there is none of that name.
        blocked: the number is on the do-not-call list.
        consents: all that were recorded for the number and not revoked.
        attempts_s: when the number was called, as far back as the caps reach.
        spoken: texts that could be heard first, each of which must disclose: the opening, and the
            message for a machine if there is one; none: nothing does.
        campaign_id: "" for none.
    """

    number: str
    now_s: float
    place: Place
    own_country: str = ""
    zone: tzinfo | None = None
    zone_name: str = ""
    blocked: bool
    consents: tuple[Consent, ...] = ()
    attempts_s: tuple[float, ...] = ()
    spoken: tuple[str, ...] = ()
    campaign_id: str = ""


def decide(facts: DialFacts, rules: DialRules) -> Refusal | None:
    """The refusal, with every reason; None: the call may be made."""
    reasons = (
        *_about_number(facts, rules),
        *_about_person(facts, rules),
        *_about_hours(facts, rules),
        *_about_attempts(facts, rules),
        *_about_words(facts, rules),
    )
    return Refusal(facts.number, reasons) if reasons else None


def possible_zones(facts: DialFacts) -> tuple[tzinfo, ...] | None:
    """Where the callee may be: the number's zones, narrowed to those that show the same time now
    as the prospect's own; None: the prospect's own is none of them."""
    if facts.zone is None:
        return facts.place.zones
    said = _offset(facts.now_s, facts.zone)
    narrowed = tuple(z for z in facts.place.zones if _offset(facts.now_s, z) == said)
    return narrowed or None


def _offset(now_s: float, zone: tzinfo) -> timedelta | None:
    return local(now_s, zone).utcoffset()


def _about_number(facts: DialFacts, rules: DialRules) -> Sequence[Reason]:
    reasons = []
    place = facts.place
    if place.kind not in _CALLABLE:
        kind = place.kind.replace("_", " ")
        reasons.append(Reason("not_callable", f"the number is no person's line ({kind})"))
    countries = rules.countries or {facts.own_country} - {""}
    if place.region not in countries:
        where = place.region or "no country"
        allowed = (
            ", ".join(sorted(countries)) or "none: the country of the calling number is unknown"
        )
        reasons.append(
            Reason("country_not_allowed", f"the number is of {where}; allowed are {allowed}")
        )
    return reasons


def _about_person(facts: DialFacts, rules: DialRules) -> Sequence[Reason]:
    reasons = []
    if facts.blocked:
        reasons.append(Reason("do_not_call", "the number is on the do-not-call list"))
    if rules.consent_required:
        covering = [consent for consent in facts.consents if consent.covers(facts.campaign_id)]
        if not covering:
            scopes = ", ".join(sorted({consent.scope for consent in facts.consents}))
            rest = f", only for {scopes}" if scopes else ""
            reasons.append(Reason("no_consent", f"no consent to this call is on record{rest}"))
        elif not any(consent.holds(facts.now_s) for consent in covering):
            reasons.append(Reason("consent_expired", "the consent on record does not hold now"))
    return reasons


def _about_hours(facts: DialFacts, rules: DialRules) -> Sequence[Reason]:
    if not facts.place.zones:
        return [Reason("unknown_timezone", "the number's timezone is not known")]
    if facts.zone_name and facts.zone is None:
        text = f"the prospect's timezone {facts.zone_name[:60]!r} is none that is known"
        return [Reason("unknown_timezone", text)]
    zones = possible_zones(facts)
    if zones is None:
        number = ", ".join(dict.fromkeys(map(str, facts.place.zones)))
        text = f"the prospect's timezone {facts.zone_name} is none of the number's ({number})"
        return [Reason("timezone_contradicts", text)]
    closed = rules.hours.first_closed(facts.now_s, zones)
    if closed is None:
        return []
    there = local(facts.now_s, closed)
    text = f"it is {there:%A, %H:%M} in {closed}, outside the calling hours"
    return [Reason("outside_hours", text, rules.hours.next_open_s(facts.now_s, zones))]


def _about_attempts(facts: DialFacts, rules: DialRules) -> Sequence[Reason]:
    reasons = []
    for cap in rules.caps:
        free_at_s = cap.free_at_s(facts.now_s, facts.attempts_s)
        if free_at_s is not None:
            text = f"the number was called {cap.in_words}, as often as allowed"
            reasons.append(Reason("too_many_attempts", text, free_at_s))
    return reasons


def _about_words(facts: DialFacts, rules: DialRules) -> Sequence[Reason]:
    if not rules.disclosure_required:
        return []
    if facts.spoken and all(discloses(text, rules.disclosure) for text in facts.spoken):
        return []
    text = "what is spoken first does not say that an artificial voice is speaking"
    return [Reason("no_disclosure", text)]
