"""The limit on messages."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.ratelimit import RateLimit


def test_a_burst_then_a_warning_then_the_end() -> None:
    limit = RateLimit(100)
    verdicts = [limit.arrived(50.0) for _ in range(250)]
    assert verdicts[:100] == ["ok"] * 100
    assert verdicts[100:200] == ["warn"] + ["over"] * 99
    assert verdicts[200:] == ["close"] * 50


def test_at_the_limit_all_is_well_for_an_hour() -> None:
    limit = RateLimit(100)
    assert {limit.arrived(n / 100) for n in range(36_000)} == {"ok"}


def test_a_little_over_the_limit_is_warned_once_a_second_and_closed_in_the_end() -> None:
    limit = RateLimit(100)
    seen = Counter[str]()
    warned_at_s: list[float] = []
    for n in range(10_000):
        now_s = n / 110
        verdict = limit.arrived(now_s)
        seen[verdict] += 1
        if verdict == "warn":
            warned_at_s.append(now_s)
        if verdict == "close":
            # A burst in hand and a debt of the same size, filled by 10 messages a second.
            assert now_s == pytest.approx(20, abs=0.2)
            break
    assert seen["close"] == 1
    assert len(warned_at_s) == pytest.approx(10, abs=1)
    assert all(b - a >= 1 for a, b in pairwise(warned_at_s))


def test_a_rest_pays_the_debt() -> None:
    limit = RateLimit(10)
    assert [limit.arrived(0.0) for _ in range(15)][-1] == "over"
    assert limit.arrived(0.3) == "over"
    assert limit.arrived(1.0) == "ok"
    assert [limit.arrived(100.0) for _ in range(11)] == ["ok"] * 10 + ["warn"]


def test_a_flood_is_forgiven_too() -> None:
    limit = RateLimit(10)
    assert [limit.arrived(0.0) for _ in range(10_000)][-1] == "close"
    assert limit.arrived(1.3) == "ok"


@pytest.mark.parametrize("stall_s", [4.5, 10.0, 19.0])
def test_what_a_network_has_held_up_may_come_at_once(stall_s: float) -> None:
    """Frames of 20 ms for a minute, but for a tunnel."""
    limit = RateLimit(100, make_up_s=10)
    seen = Counter[str]()
    for n in range(3000):
        at_s = n / 50
        held_up = 30 <= at_s < 30 + stall_s
        seen[limit.arrived(30 + stall_s if held_up else at_s)] += 1
    assert seen["close"] == 0
    assert seen["warn"] >= 1


def test_a_flood_behind_a_rest_is_one() -> None:
    limit = RateLimit(100, make_up_s=10)
    assert limit.arrived(0.0) == "ok"
    verdicts = [limit.arrived(3600.0) for _ in range(1101)]
    assert verdicts.index("warn") == 100
    assert verdicts.index("close") == 1100


def test_who_has_not_rested_has_nothing_to_make_up_for() -> None:
    patient, strict = RateLimit(100, make_up_s=10), RateLimit(100)
    for n in range(10_000):
        assert patient.arrived(n / 150) == strict.arrived(n / 150)


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    limit = RateLimit(2)
    assert [limit.arrived(at) for at in (5.0, 5.0, 1.0, 5.0, 5.0)] == [
        *["ok", "ok"],
        *["warn", "over", "close"],
    ]


def test_less_than_one_a_second() -> None:
    limit = RateLimit(0.5)
    assert [limit.arrived(at) for at in (0.0, 1.0, 4.0, 6.0)] == ["ok", "warn", "ok", "ok"]


@pytest.mark.parametrize("limit_per_s", [0, -1, float("nan")])
def test_a_limit_that_lets_nothing_through_is_refused(limit_per_s: float) -> None:
    with pytest.raises(ValueError, match=r"limit_per_s is .*must be above 0"):
        RateLimit(limit_per_s)


@given(
    limit=st.integers(1, 200),
    gaps=st.lists(st.floats(0, 0.1), max_size=300),
    make_up_s=st.sampled_from([1, 10]),
)
def test_never_more_than_the_burst_and_the_rate(
    limit: int, gaps: list[float], make_up_s: float
) -> None:
    bucket = RateLimit(limit, make_up_s)
    now_s, allowed, warned_at_s = 0.0, 0, float("-inf")
    for gap_s in gaps:
        now_s += gap_s
        verdict = bucket.arrived(now_s)
        allowed += verdict == "ok"
        assert allowed <= limit + now_s * limit + 1e-6
        if verdict == "warn":
            assert now_s - warned_at_s >= 1
            warned_at_s = now_s
