"""One worker's answer for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from vantum.workers.member import together

LABELS = ("w0", "w1", "w2")


def one(status: str, active: int = 1, **states: int) -> dict[str, Any]:
    return {"status": status, "sessions": {"active": active, "max": 5, "byState": states}}


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("ok", "ok", "ok"), "ok"),
        (("ok", None, "ok"), "degraded"),
        (("ok", "degraded", "ok"), "degraded"),
        (("ok", "draining", "ok"), "degraded"),
        (("draining", "draining", "draining"), "draining"),
        # One that has ended while all go down is no fault.
        (("draining", None, None), "draining"),
    ],
)
def test_all_are_as_well_as_the_worst(states: tuple[str | None, ...], status: str) -> None:
    found = {label: one(s) for label, s in zip(LABELS, states, strict=True) if s is not None}
    body = together("w0", LABELS, found)
    assert (body["status"], body["worker"]) == (status, "w0")
    assert [worker["status"] for worker in body["workers"]] == [s or "down" for s in states]


def test_sessions_are_those_of_all_who_answer() -> None:
    found = {"w0": one("ok", 3, LISTENING=2, SPEAKING=1), "w2": one("ok", 1, LISTENING=1)}
    body = together("w2", LABELS, found)
    assert body["sessions"] == {
        "active": 4,
        "max": 10,
        "byState": {"LISTENING": 3, "SPEAKING": 1},
    }
    assert [worker.get("sessions", {}).get("active") for worker in body["workers"]] == [3, None, 1]
