"""A call's tools by themselves: threads, and what is begun once. The rest is in whole calls."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio
import trio.lowlevel

from tests.patience import HANG_S
from vantum.actors.toolbox import Errand, Outcome, Toolbox
from vantum.actors.tools import Errands
from vantum.config import ToolSettings
from vantum.core.events import Prospect
from vantum.core.messages import ChatRequest, ToolCall
from vantum.core.tools import Tool, ToolContext, make_tool
from vantum.errors import ConfigError
from vantum.tools import Meeting, book_meeting, check_tools, load_tools, tool


def box_of(*tools: Tool, threads: int = 2, **settings: Any) -> Toolbox:
    box = Toolbox(
        "call", ToolSettings(**settings), trio.CapacityLimiter(threads), structlog.get_logger()
    )
    for one in tools:
        box.add(one)
    return box


def errand_of(box: Toolbox, name: str, arguments: str = "{}", *, turn: int = 0) -> Errand:
    understood = box.understand(ToolCall("id", name, arguments))
    assert not isinstance(understood, Outcome)
    found, taken, digest = understood
    key = box.key(turn, name, digest)
    context = ToolContext("call", turn, key, Prospect(), box.memory, lambda reason: None)
    return Errand(ToolCall("id", name, arguments), found, taken, digest, context)


async def test_blocking_tools_run_in_threads_of_their_own_number() -> None:
    loop = threading.get_ident()
    running, most = 0, 0
    lock, pair = threading.Lock(), threading.Barrier(2)

    @tool(effect="pure", timeout_s=HANG_S)
    def work(context: ToolContext, number: int) -> str:
        nonlocal running, most
        assert threading.get_ident() != loop
        with lock:
            running += 1
            most = max(most, running)
        pair.wait(HANG_S)  # until another one runs too
        with lock:
            running -= 1
        return f"{context.call_id} {number}"

    box, told = box_of(work), set[str]()

    async def run(number: int) -> None:
        told.add((await box.carry_out(errand_of(box, "work", f'{{"number": {number}}}'))).text)

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(run, number)
    assert told == {f"call {number}" for number in range(6)}
    assert most == 2


async def test_a_plain_function_may_hand_on_what_an_async_one_gives() -> None:
    booked: list[str] = []

    async def book(meeting: Meeting, context: ToolContext) -> str:
        await trio.lowlevel.checkpoint()
        booked.append(meeting.topic)
        return "Room 3"

    box = box_of(book_meeting(lambda *given: book(*given)))
    wanted = '{"starts_at": "2026-03-31T14:30:00Z", "topic": "demo"}'
    assert await box.carry_out(errand_of(box, "book_meeting", wanted)) == Outcome("Room 3", ok=True)
    assert booked == ["demo"]


async def test_a_thread_is_left_alone_at_its_deadline() -> None:
    go_on = threading.Event()

    @tool(effect="irreversible", timeout_s=0.02)
    def work() -> str:
        go_on.wait(HANG_S)
        return "late"

    box = box_of(work)
    outcome = await box.carry_out(errand_of(box, "work"))
    assert "no result within 0.02 s; it may or may not have been carried out" in outcome.text
    assert box.threads.borrowed_tokens == 1, "it still has its place"
    # What was begun is not begun again.
    assert await box.carry_out(errand_of(box, "work")) == outcome
    go_on.set()
    with trio.fail_after(HANG_S):
        while box.threads.borrowed_tokens:  # noqa: ASYNC110 (the thread tells nobody)
            await trio.sleep(0.001)


async def test_what_is_cancelled_before_it_begins_does_not_begin(autojump_clock: object) -> None:
    begun: list[str] = []

    @tool(effect="irreversible")
    async def work() -> None:
        begun.append("work")
        await trio.sleep(1)
        begun.append("done")

    box = box_of(work)
    with trio.CancelScope() as scope:
        scope.cancel()
        await box.carry_out(errand_of(box, "work"))
    assert begun == []
    with trio.move_on_after(0.5):
        await box.carry_out(errand_of(box, "work"))
    assert begun == ["work", "done"]
    assert (await box.carry_out(errand_of(box, "work"))).ok
    assert begun == ["work", "done"]
    # In another turn it is another deed.
    await box.carry_out(errand_of(box, "work", turn=1))
    assert begun == ["work", "done"] * 2


@pytest.mark.parametrize("effect", ["idempotent", "irreversible"])
async def test_what_has_an_effect_waits_until_the_turn_is_certain(
    autojump_clock: object, effect: Any
) -> None:
    begun: list[str] = []

    @tool(effect=effect)
    async def work() -> str:
        begun.append("work")
        return "done"

    committed = trio.Event()
    errands = Errands(box_of(work), 0, Prospect(), committed, lambda rounds: 0.0)
    filler_tx, _filler_rx = trio.open_memory_channel[Any](1)
    async with trio.open_nursery() as nursery:
        errands.heed(ToolCall("id", "work", "{}"))
        nursery.start_soon(errands.carry_out, ChatRequest(()), "", filler_tx)
        await trio.sleep(100)
        assert not begun
        nursery.cancel_scope.cancel()
    assert not begun, "a discarded turn"
    (this,) = errands.rounds
    assert "not carried out" in this.messages[1].content


async def test_a_model_run_wild_has_its_calls_counted() -> None:
    @tool(effect="irreversible")
    async def work(number: int) -> str:
        return str(number)

    committed = trio.Event()
    committed.set()
    errands = Errands(box_of(work), 0, Prospect(), committed, lambda rounds: 0.0)
    filler_tx, _filler_rx = trio.open_memory_channel[Any](1)
    for number in range(130):
        errands.heed(ToolCall(f"id-{number}", "work", f'{{"number": {number}}}'))
    request = await errands.carry_out(ChatRequest(()), "", filler_tx)
    assert request is not None
    asked, *told = request.messages
    assert len(asked.tool_calls) == len(told) == 100
    assert told[99].content == "99"


# ---------------------------------------------------------------- where tools are found


def test_tools_that_cannot_be_offered_together() -> None:
    def numbered(number: int) -> Tool:
        return make_tool(lambda: None, effect="pure", name=f"work-{number}")

    check_tools([numbered(n) for n in range(100)])
    with pytest.raises(ConfigError, match=r"^101 tools: there may be 100 at most"):
        check_tools([numbered(n) for n in range(101)])
    with pytest.raises(ConfigError, match=r"^2 tools have the name work-1"):
        check_tools([numbered(1), numbered(2), numbered(1)])


def test_tools_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_shop.py").write_text(
        "from vantum.tools import tool\n"
        "@tool(effect='pure')\n"
        "def hours() -> str: ...\n"
        "@tool(effect='pure')\n"
        "def prices() -> str: ...\n"
        "several = [hours, prices]\n"
        "number = 3\n"
        "mixed = [hours, number]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = [one.name for one in load_tools(["some_shop:hours", "some_shop:several"])]
    assert names == ["hours", "hours", "prices"]
    for path, why in {
        "some_shop": "must be module:attribute",
        ":hours": "must be module:attribute",
        "no_shop:hours": "no module no_shop",
        "some_shop:number": "is a int, not a tool",
        "some_shop:mixed": "is a int, not a tool",
        "some_shop:nothing": "is nothing, not a tool",
    }.items():
        with pytest.raises(ConfigError, match=f"^tools.load={path}: {why}"):
            load_tools([path])
