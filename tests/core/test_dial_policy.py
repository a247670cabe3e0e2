"""The decision: what refuses, and that nothing unknown permits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.calling_hours import CallingHours, parse_hours
from vantum.core.dial_policy import (
    AttemptCap,
    Consent,
    DialFacts,
    DialRules,
    Place,
    decide,
    parse_caps,
    possible_zones,
)
from vantum.core.refusals import Reason, Refusal

NEW_YORK, LOS_ANGELES = ZoneInfo("America/New_York"), ZoneInfo("America/Los_Angeles")
HOUR_S, DAY_S = 3600.0, 86_400.0
#: A Wednesday, noon in New York and 9:00 in Los Angeles.
NOON_S = datetime(2026, 7, 1, 16, tzinfo=UTC).timestamp()
RULES = DialRules(
    CallingHours(parse_hours("mon-sun 08:00-21:00")), parse_caps("3/1d, 7/7d"), frozenset({"US"})
)
OPENING = "Hello, this is Acme's AI assistant."
FACTS = DialFacts(
    number="+12125550123",
    now_s=NOON_S,
    place=Place("US", "fixed_line_or_mobile", (NEW_YORK,)),
    blocked=False,
    consents=(Consent(1, "any", NOON_S - DAY_S),),
    spoken=(OPENING,),
)


def codes(facts: DialFacts = FACTS, rules: DialRules = RULES, **changed: Any) -> tuple[str, ...]:
    refusal = decide(evolve(facts, **changed), rules)
    return refusal.codes if refusal is not None else ()


def test_a_call_that_may_be_made() -> None:
    assert decide(FACTS, RULES) is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"blocked": True}, "do_not_call"),
        ({"consents": ()}, "no_consent"),
        ({"consents": (Consent(1, "spring", 0),)}, "no_consent"),
        ({"consents": (Consent(1, "any", 0, NOON_S),)}, "consent_expired"),
        ({"consents": (Consent(1, "any", NOON_S + 1),)}, "consent_expired"),
        ({"place": Place("US", "toll_free", (NEW_YORK,))}, "not_callable"),
        ({"place": Place("US", "premium_rate", (NEW_YORK,))}, "not_callable"),
        ({"place": Place("US", "unknown", (NEW_YORK,))}, "not_callable"),
        ({"place": Place("JM", "mobile", (NEW_YORK,))}, "country_not_allowed"),
        ({"place": Place("US", "mobile", ())}, "unknown_timezone"),
        ({"zone_name": "Mars/Olympus"}, "unknown_timezone"),
        ({"zone": LOS_ANGELES, "zone_name": "America/Los_Angeles"}, "timezone_contradicts"),
        ({"now_s": NOON_S + 9 * HOUR_S}, "outside_hours"),
        ({"attempts_s": (NOON_S - 1, NOON_S - 2, NOON_S - 3)}, "too_many_attempts"),
        ({"spoken": ("Hello, this is Ada.",)}, "no_disclosure"),
        ({"spoken": ()}, "no_disclosure"),
        ({"spoken": ("",)}, "no_disclosure"),
        ({"spoken": (OPENING, "Please call back.")}, "no_disclosure"),
    ],
)
def test_one_reason_refuses(changed: dict[str, Any], code: str) -> None:
    assert codes(**changed) == (code,)


def test_all_reasons_are_given_at_once() -> None:
    refusal = decide(
        evolve(FACTS, blocked=True, consents=(), spoken=(), now_s=NOON_S + 9 * HOUR_S), RULES
    )
    assert refusal is not None
    assert refusal.codes == ("do_not_call", "no_consent", "outside_hours", "no_disclosure")
    assert refusal.retry_at_s is None  # the do-not-call list does not pass
    assert "it is Wednesday, 21:00 in America/New_York" in refusal.text


def test_rules_that_are_switched_off() -> None:
    rules = evolve(RULES, consent_required=False, disclosure_required=False, caps=())
    many = tuple(NOON_S - n for n in range(100))
    assert codes(rules=rules, consents=(), spoken=(), attempts_s=many) == ()


def test_without_a_list_the_own_country_may_be_called() -> None:
    rules = evolve(RULES, countries=frozenset())
    assert codes(rules=rules, own_country="US") == ()
    assert codes(rules=rules, own_country="CA") == ("country_not_allowed",)
    assert codes(rules=rules) == ("country_not_allowed",)
    nowhere = evolve(FACTS, place=Place("", "mobile", (NEW_YORK,)))
    assert codes(nowhere, rules) == ("country_not_allowed",)
    # Whoever lists countries means these.
    assert codes(own_country="CA") == ()


def test_a_consent_for_one_campaign() -> None:
    consents = (Consent(1, "spring", 0), Consent(2, "summer", 0, NOON_S - 1))
    assert codes(consents=consents, campaign_id="spring") == ()
    assert codes(consents=consents, campaign_id="summer") == ("consent_expired",)
    refusal = decide(evolve(FACTS, consents=consents, campaign_id="autumn"), RULES)
    assert refusal is not None
    assert refusal.text == "no consent to this call is on record, only for spring, summer"
    assert codes(consents=(Consent(1, "", 0),)) == ("no_consent",)


def test_the_prospects_timezone_narrows() -> None:
    # 6:00 in Los Angeles, 9:00 in New York.
    early = evolve(
        FACTS,
        now_s=NOON_S - 3 * HOUR_S,
        place=Place("US", "mobile", (NEW_YORK, LOS_ANGELES)),
    )
    assert codes(early) == ("outside_hours",)
    east = evolve(early, zone=ZoneInfo("America/Detroit"), zone_name="America/Detroit")
    assert possible_zones(east) == (NEW_YORK,)
    assert codes(east) == ()
    assert codes(early, zone=LOS_ANGELES, zone_name="America/Los_Angeles") == ("outside_hours",)
    tokyo: dict[str, Any] = {"zone": ZoneInfo("Asia/Tokyo"), "zone_name": "Asia/Tokyo"}
    assert codes(early, **tokyo) == ("timezone_contradicts",)


def test_when_to_try_again() -> None:
    evening = decide(evolve(FACTS, now_s=NOON_S + 9 * HOUR_S), RULES)
    assert evening is not None
    assert evening.retry_at_s == NOON_S + 20 * HOUR_S
    # Called three times today: the first falls out of the period after a day, at noon.
    attempts = tuple(NOON_S - n * HOUR_S for n in (4, 2, 1))
    often = decide(evolve(FACTS, attempts_s=attempts), RULES)
    assert often is not None
    assert often.codes == ("too_many_attempts",)
    assert "called 3 times within 1 day, as often" in often.text
    assert often.retry_at_s == NOON_S + 20 * HOUR_S
    both = decide(evolve(FACTS, attempts_s=attempts, now_s=NOON_S + 10 * HOUR_S), RULES)
    assert both is not None
    assert both.retry_at_s == NOON_S + 20 * HOUR_S


def test_a_refusal_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Refusal("+1", ())
    known = Refusal("+1", (Reason("outside_hours", "a", 5), Reason("too_many_attempts", "b", 7)))
    assert known.retry_at_s == 7


@pytest.mark.parametrize("text", ["3", "0/1d", "3/0d", "3/1w", "-1/1d", "3/1d 7/7d", "a/1d"])
def test_caps_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="is not as in 3/1d"):
        parse_caps(text)


def test_caps_as_they_are_written() -> None:
    assert parse_caps(" 3 / 1d ,1/8H,") == (AttemptCap(3, DAY_S), AttemptCap(1, 8 * HOUR_S))
    assert parse_caps("") == ()
    told = [cap.in_words for cap in parse_caps("3/1d, 7/7d, 1/1h, 2/36h, 1/48h")]
    assert told == [
        "3 times within 1 day",
        "7 times within 7 days",
        "once within 1 hour",
        "2 times within 36 hours",
        "once within 2 days",
    ]


@given(
    st.integers(1, 5),
    st.integers(1, 40),
    st.lists(st.integers(0, 120), min_size=1, max_size=60).map(sorted),
)
def test_no_period_ever_holds_more_calls_than_the_cap(
    count: int, period_s: int, wishes: list[int]
) -> None:
    cap = AttemptCap(count, period_s)
    made: list[float] = []
    for at_s in wishes:
        free_at_s = cap.free_at_s(at_s, made)
        if free_at_s is None:
            made.append(at_s)
            continue
        assert free_at_s > at_s
        assert cap.free_at_s(free_at_s, made) is None  # it is free then
        assert cap.free_at_s(free_at_s - 0.5, made) is not None  # and not before
    for end in range(200):
        window = [at_s for at_s in made if end - period_s < at_s <= end]
        assert len(window) <= count


def test_attempts_ahead_of_the_clock_count() -> None:
    assert AttemptCap(1, 60).free_at_s(0, [10.0]) == 70


def test_a_cap_that_was_lowered_waits_for_all_but_its_last_calls() -> None:
    assert AttemptCap(1, 60).free_at_s(10, [1.0, 5.0, 3.0]) == 65
    assert AttemptCap(2, 60).free_at_s(10, [1.0, 5.0, 3.0]) == 63


@st.composite
def any_facts(draw: st.DrawFn) -> DialFacts:
    zones = st.lists(st.sampled_from([NEW_YORK, LOS_ANGELES, ZoneInfo("Asia/Tokyo")]), max_size=3)
    zone = draw(st.none() | st.sampled_from([NEW_YORK, ZoneInfo("Asia/Tokyo")]))
    times = st.floats(NOON_S - 10 * DAY_S, NOON_S + 10 * DAY_S)
    return DialFacts(
        number="+12125550123",
        now_s=draw(times),
        place=Place(
            draw(st.sampled_from(["US", "CA", ""])),
            draw(st.sampled_from(["mobile", "fixed_line", "voip", "unknown", "toll_free"])),
            tuple(draw(zones)),
        ),
        own_country=draw(st.sampled_from(["US", ""])),
        zone=zone,
        zone_name=str(zone) if zone else draw(st.sampled_from(["", "nowhere"])),
        blocked=draw(st.booleans()),
        consents=tuple(
            draw(
                st.lists(
                    st.builds(
                        Consent,
                        st.just(1),
                        st.sampled_from(["any", "a", "b"]),
                        times,
                        st.none() | times,
                    ),
                    max_size=2,
                )
            )
        ),
        attempts_s=tuple(draw(st.lists(times, max_size=8))),
        spoken=tuple(draw(st.lists(st.sampled_from([OPENING, "Hi.", ""]), max_size=2))),
        campaign_id=draw(st.sampled_from(["", "a"])),
    )


@given(any_facts(), st.sampled_from([frozenset({"US"}), frozenset()]))
def test_whoever_may_be_called_meets_every_rule(
    facts: DialFacts, countries: frozenset[str]
) -> None:
    rules = evolve(RULES, countries=countries)
    if decide(facts, rules) is not None:
        return
    assert not facts.blocked
    assert facts.place.region == "US"
    assert facts.place.kind in ("mobile", "fixed_line")
    assert any(
        each.scope in ("any", facts.campaign_id)
        and each.obtained_s <= facts.now_s < (each.expires_s or 1e18)
        for each in facts.consents
    )
    assert sum(at_s > facts.now_s - DAY_S for at_s in facts.attempts_s) < 3
    assert sum(at_s > facts.now_s - 7 * DAY_S for at_s in facts.attempts_s) < 7
    assert facts.spoken
    assert set(facts.spoken) == {OPENING}
    there = [datetime.fromtimestamp(facts.now_s, zone) for zone in facts.place.zones]
    if facts.zone is not None:
        own = datetime.fromtimestamp(facts.now_s, facts.zone)
        there = [each for each in there if each.utcoffset() == own.utcoffset()]
    assert there
    assert all(8 <= each.hour < 21 for each in there)


@given(any_facts())
def test_more_that_speaks_against_a_call_never_permits_it(facts: DialFacts) -> None:
    refusal = decide(facts, RULES)
    if refusal is None:
        return
    for worse in (
        evolve(facts, blocked=True),
        evolve(facts, consents=()),
        evolve(facts, attempts_s=(*facts.attempts_s, facts.now_s)),
        evolve(facts, place=evolve(facts.place, zones=())),
    ):
        assert decide(worse, RULES) is not None
