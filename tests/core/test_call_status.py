"""A call only goes forward, whatever callbacks say and in which order they come."""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.core.call_status import (
    FINAL,
    STATUSES,
    CallStatus,
    Outcome,
    Progress,
    outcome_of,
    verdict,
)

ANSWERED: tuple[CallStatus, ...] = ("initiated", "ringing", "in-progress", "completed")
TOLD = st.lists(
    st.tuples(st.sampled_from(STATUSES), st.none() | st.integers(0, 600).map(float)), max_size=12
)


@pytest.mark.parametrize("order", list(permutations(ANSWERED)))
def test_callbacks_in_any_order_make_an_answered_call(order: tuple[CallStatus, ...]) -> None:
    progress = Progress()
    for now_s, status in enumerate(order, 100):
        progress = progress.told(status, now_s, duration_s=7 if status == "completed" else None)
    assert progress.status == "completed"
    assert progress.is_over
    assert progress.was_answered
    assert progress.duration_s == 7
    assert progress.ended_s == 100 + order.index("completed")


@given(TOLD)
def test_it_never_goes_back(told: list[tuple[CallStatus, float | None]]) -> None:
    progress, rank = Progress(), STATUSES.index
    for now_s, (status, duration_s) in enumerate(told):
        before, progress = progress, progress.told(status, float(now_s), duration_s=duration_s)
        assert progress.told(status, now_s + 1.0, duration_s=duration_s) == progress
        if before.is_over:
            assert progress.status == before.status
            assert progress.ended_s == before.ended_s
        elif not progress.is_over:
            assert rank(progress.status) >= rank(before.status)
        assert progress.is_over == (progress.status in FINAL) == (progress.ended_s is not None)
        if progress.is_over and progress.was_answered:
            assert progress.duration_s is not None
            assert progress.duration_s >= 0
        if not progress.was_answered:
            assert progress.duration_s is None
    finals = [status for status, _ in told if status in FINAL]
    assert progress.is_over == bool(finals)
    assert not finals or progress.status == finals[0]


@given(TOLD, st.booleans(), st.booleans())
def test_an_outcome_is_there_when_it_is_over(
    told: list[tuple[CallStatus, float | None]], has_spoken: bool, message_left: bool
) -> None:
    progress = Progress()
    for now_s, (status, duration_s) in enumerate(told):
        progress = progress.told(status, float(now_s), duration_s=duration_s)
    outcome = outcome_of(progress, has_spoken=has_spoken, message_left=message_left)
    assert (outcome is None) == (not progress.is_over)
    if outcome in ("talked", "hung_up"):
        assert progress.was_answered


def test_nothing_follows_the_end() -> None:
    over = Progress().told("in-progress", 10).told("completed", 20)
    assert over.duration_s == 10
    assert over.told("completed", 21, duration_s=11.0) is over
    unanswered = Progress().told("no-answer", 20)
    assert unanswered.told("completed", 21, duration_s=4.0) is unanswered


def test_a_call_of_which_only_the_end_is_told_was_answered_before() -> None:
    progress = Progress().told("completed", 100, duration_s=40)
    assert progress.answered_s == 60
    assert Progress().told("completed", 100).answered_s == 100


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("human", "human"),
        ("fax", "fax"),
        ("machine_start", "machine"),
        ("machine_end_beep", "machine"),
        ("machine_end_silence", "machine"),
        ("machine_end_other", "machine"),
        ("unknown", "unknown"),
        ("something new", "unknown"),
        ("", "unknown"),
    ],
)
def test_verdicts(told: str, meant: str) -> None:
    assert verdict(told) == meant
    judged = Progress().judged(told)
    assert judged.answered_by == meant
    assert judged.judged("human") is judged


Status = Literal["busy", "no-answer", "failed", "canceled", "completed"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("busy", "busy"), ("no-answer", "no_answer"), ("failed", "failed"), ("canceled", "canceled")],
)
def test_outcomes_of_calls_that_nobody_took(status: Status, outcome: Outcome) -> None:
    over = Progress().told("ringing", 1).told(status, 2)
    assert outcome_of(over) == outcome
    assert outcome_of(over, noted="transferred") == outcome


@pytest.mark.parametrize(
    ("answered_by", "noted", "has_spoken", "message_left", "outcome"),
    [
        ("", None, True, False, "talked"),
        ("human", None, True, False, "talked"),
        ("human", None, False, False, "hung_up"),
        ("human", "opted_out", True, False, "opted_out"),
        ("unknown", "callback", True, False, "callback"),
        ("machine_start", None, True, False, "machine"),
        ("machine_end_beep", "opted_out", True, False, "opted_out"),
        ("machine_end_beep", "callback", True, False, "machine"),
        ("machine_end_beep", None, True, True, "voicemail_left"),
        ("fax", None, False, False, "machine"),
        # A message was begun, but a person has answered after all.
        ("human", None, True, True, "talked"),
    ],
)
def test_outcomes_of_answered_calls(
    answered_by: str,
    noted: Outcome | None,
    has_spoken: bool,
    message_left: bool,
    outcome: Outcome,
) -> None:
    progress = Progress().told("in-progress", 1).told("completed", 2)
    if answered_by:
        progress = progress.judged(answered_by)
    found = outcome_of(progress, noted=noted, has_spoken=has_spoken, message_left=message_left)
    assert found == outcome


@pytest.mark.parametrize(
    ("noted", "has_spoken", "outcome"),
    [("transferred", True, "transferred"), (None, True, "talked"), (None, False, "hung_up")],
)
def test_a_verdict_is_not_believed_where_a_person_was(
    noted: Outcome | None, has_spoken: bool, outcome: Outcome
) -> None:
    progress = Progress().told("in-progress", 1).judged("machine_start").told("completed", 2)
    assert outcome_of(progress, noted=noted, has_spoken=has_spoken, is_persons=True) == outcome


def test_a_call_that_broke_off_has_failed() -> None:
    assert outcome_of(Progress().told("in-progress", 1).told("failed", 2)) == "failed"
