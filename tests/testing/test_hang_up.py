"""The hang-up proof on a sample; `nox -s hangup` tries every point."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable

import pytest
import trio

from tests.hang_up import HOWS, REFERENCE, SETUP
from vantum.actors.conductor import Conductor
from vantum.testing.calls import CallSetup, Hear, Say
from vantum.testing.calls.hangup import How, count_points, prove_hang_up

SHORT = (Say("Hello", 0.3), Hear(0.2))


@pytest.fixture(scope="module")
def steps() -> int:
    count = count_points(REFERENCE, SETUP)
    assert count == count_points(REFERENCE, SETUP), "the same run each time"
    return count


@pytest.mark.parametrize("how", HOWS)
def test_a_call_that_ends_anywhere_leaves_nothing(how: How, steps: int) -> None:
    assert steps > 3000
    # Among them while connections to providers are being opened.
    sample = [*range(1, 150, 12), *random.Random(1).sample(range(150, steps), 12), steps]
    report = prove_hang_up(REFERENCE, SETUP, how=how, points=sample)
    assert report.findings == ()
    assert report.tried == 26
    assert report.slowest_s <= 2.0
    print(report)  # noqa: T201 (how many points were tried is part of the proof)


# ---------------------------------------------------------------- it can find something


def _plant(monkeypatch: pytest.MonkeyPatch, plant: Callable[[], object]) -> tuple[str, ...]:
    """What is found if the conductor does this when it begins."""
    begins = Conductor.run

    async def run(conductor: Conductor) -> None:
        plant()
        await begins(conductor)

    monkeypatch.setattr(Conductor, "run", run)
    steps = count_points(SHORT, CallSetup())
    return prove_hang_up(SHORT, CallSetup(), how="disconnected", points=[steps]).findings


def test_a_file_that_stays_open_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    found = _plant(monkeypatch, lambda: kept.append(os.open(os.devnull, os.O_RDONLY)))
    assert any("more open files" in what for what in found)
    for file in kept:
        os.close(file)


def test_a_task_outside_all_nurseries_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _plant(monkeypatch, lambda: trio.lowlevel.spawn_system_task(trio.sleep_forever))
    assert any("task trio.sleep_forever" in what for what in found)


def test_a_thread_that_goes_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    over, before = threading.Event(), threading.Event()
    waiting = threading.Thread(target=before.wait, daemon=True)
    waiting.start()

    def plant() -> None:
        threading.Thread(target=over.wait, daemon=True).start()
        before.set()  # one that was there before goes meanwhile, and hides none
        waiting.join()

    found = _plant(monkeypatch, plant)
    over.set()
    assert any("more threads" in what for what in found)


def test_a_session_that_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(conductor: Conductor) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Conductor, "run", fail)
    report = prove_hang_up(SHORT, CallSetup(), how="disconnected")
    assert any("planted" in what for what in report.findings)


def test_an_end_that_takes_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    begins = Conductor.run

    async def run(conductor: Conductor) -> None:
        try:
            await begins(conductor)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    monkeypatch.setattr(Conductor, "run", run)
    steps = count_points(SHORT, CallSetup())
    report = prove_hang_up(SHORT, CallSetup(), how="cancelled", points=[steps])
    assert any("the end took 10" in what for what in report.findings)
    assert "1 findings" in str(report)
