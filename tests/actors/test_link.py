"""The link: ready, lost, and tried again."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
import trio
import trio.testing

from vantum.actors.call import Inbox
from vantum.actors.link import Run, Wanted, keep_open
from vantum.core.decisions import RoleLost, RoleReady
from vantum.errors import ProviderError


class Scripted:
    """A connection that lives or dies as written: ("ready", seconds) or ("dead", seconds)."""

    def __init__(self, *lives: tuple[str, float]) -> None:
        self.lives = list(lives)
        self.at_s: list[float] = []

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.at_s.append(trio.current_time())
        how, length_s = self.lives.pop(0)
        if how == "ready":
            task_status.started()
        await trio.sleep(length_s)
        if how != "quiet end":
            raise ProviderError("them", "network", "gone")
        task_status.started()


async def news(run: Run, for_s: float) -> list[str]:
    inbox_tx, inbox_rx = trio.open_memory_channel[Inbox](50)
    with trio.move_on_after(for_s):
        async with trio.open_nursery() as nursery:
            await keep_open("stt", run, inbox_tx, nursery, ready_timeout_s=5)
    found: list[str] = []
    with suppress(trio.WouldBlock):
        while True:
            message = inbox_rx.receive_nowait()
            assert isinstance(message, RoleReady | RoleLost)
            found.append("ready" if isinstance(message, RoleReady) else message.message)
    return found


GONE = "speech recognition is unavailable (network): them: gone"


async def test_never_ready_is_given_up(autojump_clock: object) -> None:
    assert await news(Scripted(("dead", 0.1)).run, 100) == [GONE]


async def test_not_ready_in_time(autojump_clock: object) -> None:
    (said,) = await news(Scripted(("dead", 1000)).run, 100)
    assert "timeout" in said
    assert "5 s" in said


async def test_lost_in_mid_call_is_opened_again_ever_slower(autojump_clock: object) -> None:
    script = Scripted(
        ("ready", 10), ("dead", 0), ("dead", 0), ("dead", 0), ("dead", 0), ("ready", 10_000)
    )
    said = await news(script.run, 100)
    assert said == ["ready", GONE, GONE, GONE, GONE, GONE, "ready"]
    waits = [b - a for a, b in pairwise(script.at_s)]
    assert waits == pytest.approx([11, 2, 5, 10, 10])


async def test_a_connection_that_ends_without_a_reason_is_lost_too(
    autojump_clock: object,
) -> None:
    said = await news(Scripted(("quiet end", 1), ("ready", 10_000)).run, 100)
    assert said[0] == "ready"
    assert "without a reason" in said[1]
    assert said[2] == "ready"


async def test_news_that_find_no_room_are_told_later(autojump_clock: object) -> None:
    inbox_tx, inbox_rx = trio.open_memory_channel[Inbox](0)
    script = Scripted(("ready", 1), ("ready", 1000))
    async with trio.open_nursery() as nursery:

        async def keep() -> None:
            await keep_open("stt", script.run, inbox_tx, nursery, ready_timeout_s=5)

        nursery.start_soon(keep)
        await trio.sleep(3)
        assert script.at_s == [0]  # it is not opened again before the loss was told of
        kinds = [type(await inbox_rx.receive()) for _ in range(3)]
        assert kinds == [RoleReady, RoleLost, RoleReady]
        nursery.cancel_scope.cancel()


async def test_who_is_ready_too_late_is_not(autojump_clock: trio.testing.MockClock) -> None:
    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(7)
        task_status.started()
        await trio.sleep(1000)

    (said,) = await news(run, 100)
    assert "not ready within 5 s" in said


async def obeyed(wanted: Wanted[str], found: list[str], each_s: float) -> None:
    while True:
        order = await wanted.next()
        found.append(f"{order} begun")
        with wanted.until_next():
            await trio.sleep(each_s)
            found.append(f"{order} done")


async def test_the_newest_order_counts(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    wanted, found = Wanted[str](), list[str]()
    nursery.start_soon(obeyed, wanted, found, 1.0)
    await trio.sleep(1)
    wanted.order("English")
    wanted.order("French")  # the first was not begun
    await trio.sleep(0.5)
    wanted.order("German")
    await trio.sleep(5)
    assert found == ["French begun", "German begun", "German done"]
    wanted.order("English")  # nothing is obeyed at the moment
    await trio.sleep(5)
    assert found[3:] == ["English begun", "English done"]


async def test_an_order_that_waits_already_is_the_next(autojump_clock: object) -> None:
    wanted = Wanted[str]()
    wanted.order("English")
    assert await wanted.next() == "English"
    wanted.order("French")
    with wanted.until_next() as obeying:
        await trio.sleep(1)
    assert obeying.cancelled_caught
    assert await wanted.next() == "French"
