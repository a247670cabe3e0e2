"""Retry schedules."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.core import backoff
from vantum.core.backoff import Schedule
from vantum.errors import ProviderError

schedules = st.lists(st.floats(0, 60), max_size=8).map(lambda d: Schedule(tuple(d)))


def test_the_schedules_are_those_of_the_specification() -> None:
    assert backoff.FIRST_CONNECT.delays_s == (0.0, 0.1, 1.0, 3.0, 5.0)
    assert backoff.MID_CALL_RECONNECT.delays_s == (0.0, 0.1, 0.5)
    assert backoff.TTS_RECONNECT.delays_s == (0.5, 1.0, 2.0)
    assert backoff.LLM_RETRY.delays_s == (1.0, 2.0, 4.0)
    assert backoff.RATE_LIMITED.delays_s != backoff.UNAVAILABLE.delays_s


def test_gives_up_after_the_last_delay() -> None:
    schedule = Schedule((0.0, 0.1))
    assert [schedule.delay_s(n) for n in range(4)] == [0.0, 0.1, None, None]
    assert schedule.attempts == 2
    assert list(schedule) == [0.0, 0.1]


def test_an_empty_schedule_allows_no_attempt() -> None:
    assert Schedule(()).delay_s(0) is None
    assert Schedule(()).first(3) == Schedule(())


@pytest.mark.parametrize("delay_s", [-0.1, math.inf, math.nan])
def test_an_impossible_delay_is_refused(delay_s: float) -> None:
    with pytest.raises(ValueError, match="finite number of seconds"):
        Schedule((0.0, delay_s))


def test_a_negative_attempt_is_refused() -> None:
    with pytest.raises(ValueError, match="counted from 0"):
        Schedule((1.0,)).delay_s(-1)


def test_a_negative_number_of_attempts_is_refused() -> None:
    with pytest.raises(ValueError, match=">= 0"):
        Schedule((1.0,)).first(-1)


def test_first_cuts_or_repeats_the_last_delay() -> None:
    assert backoff.LLM_RETRY.first(0) == Schedule(())
    assert backoff.LLM_RETRY.first(2) == Schedule((1.0, 2.0))
    assert backoff.LLM_RETRY.first(5) == Schedule((1.0, 2.0, 4.0, 4.0, 4.0))


@settings(max_examples=50)
@given(schedules, st.integers(0, 20))
def test_every_attempt_is_reached_in_order(schedule: Schedule, extra: int) -> None:
    reached = []
    attempt = 0
    while (delay_s := schedule.delay_s(attempt)) is not None:
        reached.append(delay_s)
        attempt += 1
    assert tuple(reached) == schedule.delays_s
    assert schedule.delay_s(attempt + extra) is None


NOW_S = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:20 GMT"}, 20.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry-after": "Friday, 15-Jan-27 08:00:20 GMT"}, 20.0),
        ({"retry-after": "Fri Jan 15 08:00:20 2027"}, 20.0),
        ({"retry-after-ms": "-5", "retry-after": "1"}, 1.0),
        ({"retry-after": "Fri, 99 Jan 2027 07:00:00 GMT"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_what_a_refusal_asks_for(
    headers: dict[str, str], wait_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")  # dates are GMT, wherever they are read
    time.tzset()
    assert backoff.retry_after_s(headers, NOW_S) == wait_s
    monkeypatch.undo()
    time.tzset()


@given(st.text(max_size=30))
def test_any_header_is_understood_or_passed_over(value: str) -> None:
    wait_s = backoff.retry_after_s({"retry-after": value}, NOW_S)
    assert wait_s is None or wait_s >= 0


@pytest.mark.parametrize(
    ("asked_s", "pause_s"), [(None, 1.0), (0.5, 1.0), (3.0, 3.0), (3600.0, 8.0)]
)
def test_a_provider_may_ask_for_a_longer_pause(asked_s: float | None, pause_s: float) -> None:
    error = ProviderError("any", "rate_limit", "too many", retry_after_s=asked_s)
    assert backoff.pause_s(1.0, error) == pause_s
    assert backoff.pause_s(1.0, None) == 1.0
