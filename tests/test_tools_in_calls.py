"""Tools in whole calls, in virtual time: the model asks, they run, and what came of it is known."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, evolve, field

from tests.in_memory import Caller, a_call
from vantum.config import (
    LlmSettings,
    OpenAISettings,
    PlayoutSettings,
    PromptSettings,
    Settings,
    ToolSettings,
)
from vantum.core import events as e
from vantum.core.scripts import Script, Stage
from vantum.core.tools import Line
from vantum.testing import CallTool, CartesiaScript, OpenAIScript, Reply
from vantum.testing.calls import CallSetup, simulated_call
from vantum.testing.openai_script import Fault
from vantum.tools import Effect, Meeting, Tool, ToolContext, ToolError, book_meeting, tool

_SCRIPT = Script((Stage("open"), Stage("close")), "open")


def settings(**tools: Any) -> Settings:
    # With room for as many calls at once as a test likes.
    model = LlmSettings(max_tokens=4096)
    return Settings(llm=model, tools=ToolSettings(**({"built_in": ""} | tools)))


def asks(name: str, text: str = "", **arguments: Any) -> Reply:
    return Reply(text, (CallTool(name, arguments),))


BOOKED = "There is a booking for you tomorrow at noon now."


def results(call: Caller, request: int) -> list[str]:
    """What the model was told of its tools, all that is in a request."""
    return [m["content"] for m in call.call.asked[request] if m["role"] == "tool"]


def said(call: Caller) -> list[str]:
    return [done.text for done in call.messages(e.ResponseCompleted)]


async def cut_in_on_a_tool(call: Caller, desk: Desk) -> None:
    """Say something, and interrupt as soon as a tool of the answer has begun."""
    await call.speak(0.5)
    await call.end()
    await until(lambda: desk.begun)
    await call.send(e.Interrupt(call.request()))
    await call.until_state("LISTENING")


async def talk(*answers: str | Reply, tools: tuple[Tool, ...] = (), **given: Any) -> list[str]:
    """One turn; gives what the model was told of its tools in the last request."""
    async with a_call(
        openai=OpenAIScript(answers), settings=settings(**given), tools=tools
    ) as call:
        await call.start()
        await call.turn()
        assert len(call.openai.chats) == len(answers)
        return results(call, -1)


@define
class Desk:
    """What tools did: when each effect was begun and done, with its key."""

    begun: list[tuple[float, str]] = field(factory=list)
    done: list[tuple[str, str]] = field(factory=list)

    def tool(self, effect: Effect, *, takes_s: float = 0.5, **options: Any) -> Tool:
        options.setdefault("name", "book")

        @tool(effect=effect, **options)
        async def book(context: ToolContext, what: str) -> str:
            """Book something."""
            self.begun.append((trio.current_time(), context.key))
            await trio.sleep(takes_s)
            self.done.append((what, context.key))
            return f"{what} is booked"

        return book


# ---------------------------------------------------------------- rounds


async def test_a_tool_is_asked_and_the_answer_goes_on(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", "Let me see.", what="table"), "It is booked. Bye.", "?"))
    async with a_call(openai=script, settings=settings(), tools=(desk.tool("pure"),)) as call:
        await call.start()
        await call.turn()
        assert said(call) == ["Let me see. It is booked. Bye."]
        assert results(call, 1) == ["table is booked"]
        first, second = call.openai.chats
        assert first.body["tools"] == second.body["tools"]
        assert second.body["messages"][-2]["content"] == "Let me see."
        await call.turn()
        assert call.openai.chats[2].body["messages"][1:-1] == [
            {"role": "user", "content": "hello there"},
            *second.body["messages"][-2:],
            {"role": "assistant", "content": "It is booked. Bye."},
        ]
    assert len(call.messages(e.OutputStarted)) == 2


async def test_what_is_said_before_a_call_is_spoken_while_it_runs(
    autojump_clock: object,
) -> None:
    script = OpenAIScript((asks("book", "Let me see", what="x"), "Done."))
    tools = (Desk().tool("pure", takes_s=20.0, timeout_s=60.0),)
    async with a_call(openai=script, settings=settings(filler=""), tools=tools) as call:
        await call.start()
        await call.turn()
        chunks = call.when(e.OutputChunk)
        assert max(b - a for a, b in pairwise(chunks)) > 15


async def test_pure_tools_run_at_once_and_the_others_in_order(
    autojump_clock: object,
) -> None:
    desk = Desk()
    pure = desk.tool("pure", takes_s=1.0, name="look")
    book = desk.tool("irreversible", takes_s=1.0)
    reply = Reply(
        "",
        (
            CallTool("book", {"what": "a"}),
            CallTool("look", {"what": "b"}),
            CallTool("look", {"what": "c"}),
            CallTool("book", {"what": "d"}),
        ),
    )
    told = await talk(reply, "Done.", tools=(pure, book), filler="")
    assert told == ["a is booked", "b is booked", "c is booked", "d is booked"]
    began_s = [at_s - desk.begun[0][0] for at_s, _ in desk.begun]
    assert began_s == pytest.approx([0, 0, 0, 1.0], abs=0.01)
    assert sorted(what for what, _ in desk.done[:3]) == ["a", "b", "c"]


async def test_the_window_holds_within_an_answer_too(autojump_clock: object) -> None:
    desk = Desk()
    script = OpenAIScript(("One.", asks("book", what="a"), asks("book", what="b"), "Done."))
    chosen = evolve(settings(), llm=LlmSettings(max_messages=4, summary="off"))
    async with a_call(openai=script, settings=chosen, tools=(desk.tool("pure"),)) as call:
        await call.start()
        await call.turn()
        await call.turn()
        roles = [[m["role"] for m in chat.body["messages"]] for chat in call.openai.chats[1:]]
        assert roles == [
            ["system", "user", "assistant", "user"],
            ["system", "user", "assistant", "tool"],
            ["system", "user", *["assistant", "tool"] * 2],
        ]


async def test_rounds_are_bounded(autojump_clock: object) -> None:
    desk = Desk()
    script = OpenAIScript(lambda messages: asks("book", what=f"number {len(messages)}"))
    tools = (desk.tool("pure", takes_s=0.0),)
    async with a_call(openai=script, settings=settings(max_rounds=3), tools=tools) as call:
        await call.start()
        await call.turn()
        choices = [chat.body["tool_choice"] for chat in call.openai.chats]
        assert choices == ["auto", "auto", "auto", "none"]
        assert len(desk.begun) == 3
        # The model, which has nothing but tools to say, is told to speak and says nothing.
        assert call.messages(e.ResponseCompleted)[0].is_fallback


async def test_a_model_that_asks_although_it_was_told_to_speak_is_not_heeded(
    autojump_clock: object,
) -> None:
    desk = Desk()
    answers = (asks("book", "One.", what="a"), asks("book", "Two.", what="b"))
    script = OpenAIScript(answers, heeds_tool_choice=False)
    tools = (desk.tool("pure", takes_s=0.0),)
    async with a_call(openai=script, settings=settings(max_rounds=1), tools=tools) as call:
        await call.start()
        await call.turn()
        assert said(call) == ["One. Two."]
        assert [what for what, _ in desk.done] == ["a"]


@pytest.mark.parametrize(
    ("fault", "after"), [(Fault("server"), ""), (Fault("cut", after_tokens=16), BOOKED)]
)
async def test_a_round_that_fails_falls_back_unless_it_has_spoken(
    autojump_clock: object, fault: Fault, after: str
) -> None:
    """Who has heard "Let me see." is not left in silence, whatever an earlier round said."""
    script = OpenAIScript(
        (asks("book", "Let me see.", what="a"), f"{BOOKED} Is that all?"), faults=(None, fault)
    )
    desk = Desk()
    async with a_call(openai=script, settings=settings(), tools=(desk.tool("pure"),)) as call:
        await call.start()
        await call.turn()
        rest = after or settings().llm.fallback_tier1
        assert said(call) == [f"Let me see. {rest}"]
        assert results(call, 1) == ["a is booked"]
        assert [reply.case for reply in call.messages(e.ErrorReply)] == ["llm_unavailable"]
        assert call.messages(e.ResponseCompleted)[0].is_fallback == (not after)
        heard = [(x.role, x.text, x.is_fallback) for x in call.call.history[-2:]]
        assert heard == [("tool", "a is booked", False), ("assistant", rest, not after)]


async def test_an_empty_last_round_is_no_failure_if_something_was_said(
    autojump_clock: object,
) -> None:
    script = OpenAIScript((asks("book", "It is done.", what="a"), "", "Yes."))
    async with a_call(openai=script, settings=settings(), tools=(Desk().tool("pure"),)) as call:
        await call.start()
        await call.turn()
        assert said(call) == ["It is done."]
        assert not call.messages(e.ErrorReply)
        await call.turn()
        roles = [m["role"] for m in call.openai.chats[2].body["messages"]]
        assert roles == ["system", "user", "assistant", "tool", "user"]


@pytest.mark.parametrize("text", ["||BREAK||", "…", "🙂", "[[stage:close]]"])
@pytest.mark.parametrize("name", ["remember", "end_call"])
async def test_markers_and_signs_beside_a_call_are_no_words(
    autojump_clock: object, name: str, text: str
) -> None:
    called = CallTool(name, {"key": "a", "value": "b"} if name == "remember" else {})
    script = OpenAIScript((Reply(text, (called,)), "Goodbye."))
    chosen = evolve(settings(built_in=name), prompts=PromptSettings(script=_SCRIPT))
    async with a_call(openai=script, settings=chosen) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await call.until(e.OutputCompleted)
        assert said(call) == ["Goodbye."]
        assert not call.messages(e.ErrorReply)


async def test_without_tools_none_are_offered(autojump_clock: object) -> None:
    async with a_call(settings=settings()) as call:
        await call.start()
        await call.turn()
        assert "tools" not in call.openai.chats[0].body


async def test_built_in_tools_are_offered_where_tools_are_known(autojump_clock: object) -> None:
    async def offered(*tools: Tool, url: str = "http://openai.test/v1") -> list[str]:
        chosen = Settings(openai=OpenAISettings(base_url=url))
        async with a_call(settings=chosen, tools=tools) as call:
            await call.start()
            await call.turn()
            body = call.openai.chats[0].body
            return [one["function"]["name"] for one in body.get("tools", ())]

    assert await offered() == []
    assert await offered(Desk().tool("pure")) == ["end_call", "remember", "book"]
    assert await offered(url="https://api.openai.com/v1") == ["end_call", "remember"]


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("effect", ["pure", "idempotent", "irreversible"])
async def test_a_deadline(autojump_clock: object, effect: Effect) -> None:
    desk = Desk()
    (told,) = await talk(
        asks("book", what="a"), "Sorry.", tools=(desk.tool(effect, takes_s=9.0, timeout_s=2.0),)
    )
    assert told.startswith('{"error": "no result within 2 s')
    assert ("may or may not" in told) == (effect != "pure")
    assert not desk.done
    assert len(desk.begun) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "wrong"),
    [
        ("fly", "{}", "there is no such tool; there are: book"),
        ("book", "{}", "what is missing"),
        ("book", '{"what": 3}', "what must be a string"),
        ("book", '{"what": "a", "when": 1}', "must not have 'when'; known: what"),
        ("book", '{"what": ', "not a JSON object"),
        ("book", "[]", "not a JSON object"),
        ("book", '{"what": NaN}', "not a JSON object"),
    ],
)
async def test_wrong_calls_are_told_to_the_model(
    autojump_clock: object, name: str, arguments: str, wrong: str
) -> None:
    desk = Desk()
    tools = (desk.tool("irreversible"),)
    told = await talk(Reply("", (CallTool(name, arguments),)), "Sorry.", tools=tools)
    assert len(told) == 1
    assert wrong in told[0]
    assert not desk.begun


@pytest.mark.parametrize(
    ("effect", "attempts"), [("pure", 1), ("idempotent", 3), ("irreversible", 1)]
)
async def test_a_tool_that_raises_tells_nothing_of_it(
    autojump_clock: object,
    effect: Effect,
    attempts: int,
    capfd: pytest.CaptureFixture[str],
) -> None:
    keys: list[str] = []

    @tool(effect=effect)
    async def book(context: ToolContext) -> None:
        keys.append(context.key)
        raise ValueError("the password is hunter2")

    (told,) = await talk(asks("book"), "Sorry.", tools=(book,))
    assert told.startswith('{"error": "the tool failed')
    assert "hunter2" not in told
    assert len(keys) == attempts
    assert len(set(keys)) == 1
    logged = "".join(capfd.readouterr())
    assert "hunter2" not in logged


async def test_an_idempotent_tool_may_succeed_in_the_end(
    autojump_clock: object,
) -> None:
    attempts = 0

    @tool(effect="idempotent")
    async def book() -> dict[str, int]:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise OSError
        return {"attempt": attempts}

    assert await talk(asks("book"), "Done.", tools=(book,)) == ['{"attempt": 3}']


async def test_an_error_meant_for_the_model(autojump_clock: object) -> None:
    @tool(effect="idempotent")
    async def book() -> None:
        raise ToolError("fully booked on Tuesday")

    told = await talk(asks("book"), "Sorry.", tools=(book,))
    assert told == ['{"error": "fully booked on Tuesday"}']


async def test_an_error_meant_for_the_model_out_of_a_nursery(autojump_clock: object) -> None:
    async def look_up(error: Exception) -> None:
        raise error

    @tool(effect="pure")
    async def book(*, breaks: bool) -> None:
        async with trio.open_nursery() as nursery, trio.open_nursery() as inner:
            inner.start_soon(look_up, ToolError("fully booked on Tuesday"))
            if breaks:
                nursery.start_soon(look_up, ValueError("the password is hunter2"))

    told = await talk(asks("book", breaks=False), "Sorry.", tools=(book,))
    assert told == ['{"error": "fully booked on Tuesday"}']
    told = await talk(asks("book", breaks=True), "Sorry.", tools=(book,))
    assert told == ['{"error": "the tool failed"}']


async def test_an_errors_text_is_cut_and_can_be_sent(autojump_clock: object) -> None:
    @tool(effect="pure")
    async def book() -> None:
        raise ToolError("half of it: \udce9 " + "x" * 100_000)

    (told,) = await talk(asks("book"), "Sorry.", tools=(book,))
    assert told.startswith('{"error": "half of it: ? xxx')
    assert len(told) < 17_000


@pytest.mark.parametrize("effect", ["pure", "irreversible"])
@pytest.mark.parametrize("error", [SystemExit, CancelledError])
async def test_a_tool_that_would_end_more_than_itself_has_failed(
    autojump_clock: object, effect: Effect, error: type[BaseException]
) -> None:
    @tool(effect=effect)
    async def book() -> None:
        raise error

    (told,) = await talk(asks("book"), "Sorry.", tools=(book,))
    assert told.startswith('{"error": "the tool failed')


@pytest.mark.parametrize(("effect", "doubt"), [("pure", False), ("irreversible", True)])
async def test_a_result_that_is_not_json(
    autojump_clock: object, effect: Effect, doubt: bool
) -> None:
    @tool(effect=effect)
    async def book() -> object:
        return object()

    (told,) = await talk(asks("book"), "Sorry.", tools=(book,))
    assert "cannot be told" in told
    assert ("it was carried out" in told) == doubt


async def test_calls_without_ids_of_their_own_get_some(
    autojump_clock: object,
) -> None:
    desk = Desk()
    twice = (CallTool("book", {"what": "a"}, id="1"), CallTool("book", {"what": "b"}, id="1"))
    tools = (desk.tool("pure"),)
    assert await talk(Reply("", twice), "Done.", tools=tools) == ["a is booked", "b is booked"]


async def test_a_late_result_is_not_taken_for_that_of_a_later_call_of_the_same_id(
    autojump_clock: object,
) -> None:
    """Some servers number the calls of each answer from 0."""
    desk = Desk()
    slow, quick = desk.tool("irreversible", takes_s=5.0, filler=""), desk.tool("pure", name="look")
    script = OpenAIScript(
        (
            Reply("", (CallTool("book", {"what": "a"}, id="0"),)),
            Reply("", (CallTool("look", {"what": "b"}, id="0"),)),
            "It is there.",
            "Both.",
        )
    )
    async with a_call(openai=script, settings=settings(), tools=(slow, quick)) as call:
        await call.start()
        await cut_in_on_a_tool(call, desk)
        await call.turn()
        await until(lambda: len(desk.done) == 2)
        await call.turn()
        assert results(call, 3) == ["a is booked", "b is booked"]


async def test_what_a_tool_says_after_its_answer_is_an_announcement(
    autojump_clock: object,
) -> None:
    lines: list[Line] = []

    @tool(effect="pure")
    async def look(context: ToolContext) -> str:
        """Look."""
        lines.append(context.line)
        return "later"

    script = OpenAIScript((asks("look"), "I will tell you."))
    async with a_call(openai=script, settings=settings(), tools=(look,)) as call:
        await call.start()
        await call.turn()
        await lines[0].say("It is there.")
        with pytest.raises(ToolError):
            lines[0].press("1")
        await until(lambda: said(call) == ["I will tell you.", "It is there."])


# ---------------------------------------------------------------- fillers


async def test_a_filler_is_spoken_once_when_nothing_is(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", what="a"), asks("book", what="b"), "Done."))
    slow = desk.tool("irreversible", takes_s=5.0, filler="One second.")
    async with a_call(openai=script, settings=settings(filler_after_ms=600), tools=(slow,)) as call:
        await call.start()
        await call.turn()
        assert said(call) == ["One second. Done."]
        first_s = call.when(e.OutputChunk)[0]
        assert first_s - desk.begun[0][0] == pytest.approx(0.6, abs=0.1)
        await call.turn()
        # What the model remembers is what it said itself.
        last = call.openai.chats[3].body["messages"][-2]
        assert last == {"role": "assistant", "content": "Done."}


async def test_no_filler_while_something_is_being_said(
    autojump_clock: object,
) -> None:
    desk = Desk()
    text = "This takes a little while, let me have a look at the calendar and see."
    script = OpenAIScript((asks("book", text, what="a"), "Done."))
    slow = desk.tool("pure", takes_s=6.0)
    async with a_call(openai=script, settings=settings(filler="Wait."), tools=(slow,)) as call:
        await call.start()
        await call.turn()
        assert said(call) == [f"{text} Wait. Done."]
        chunks = call.when(e.OutputChunk)
        gaps = [(b - a, a) for a, b in pairwise(chunks)]
        silent_s, since_s = next(g for g in gaps if g[0] > 0.5)
        assert since_s - desk.begun[0][0] > 2
        assert silent_s == pytest.approx(0.8 + 0.2, abs=0.25)  # and what was sent ahead


@pytest.mark.parametrize("filler", ["", None])
async def test_no_filler_without_a_text_or_a_reason(
    autojump_clock: object, filler: str | None
) -> None:
    takes_s = 5.0 if filler == "" else 0.7
    tools = (Desk().tool("pure", takes_s=takes_s, filler=filler),)
    script = OpenAIScript((asks("book", what="a"), "Done."))
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.turn()
        assert said(call) == ["Done."]


async def test_a_filler_can_be_interrupted_and_a_failure_after_it_is_told(
    autojump_clock: object,
) -> None:
    script = OpenAIScript(
        (asks("book", what="a"), "never", "Hello."), faults=(None, Fault("server"))
    )
    tools = (Desk().tool("pure", takes_s=2.0, filler="Just a moment please."),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.turn()
        assert said(call)[0].startswith("Just a moment please. I apologize")
        before = len(call.messages(e.OutputStarted))
        call.openai.script = OpenAIScript(lambda _: asks("book", what="b"))
        await call.speak(0.5)
        await call.end()
        await call.until(e.OutputStarted, before + 1)
        await trio.sleep(0.1)
        await call.send(e.Interrupt(call.request()))
        await call.until(e.OutputCancelled)
        await call.until_state("LISTENING")


# ---------------------------------------------------------------- interruptions


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(100):
        while not condition():  # noqa: ASYNC110 (virtual time)
            await trio.sleep(0.01)


async def test_what_has_begun_runs_to_its_end_and_is_known_later(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", "I book it.", what="a"), "One.", "Two."))
    tools = (desk.tool("irreversible", takes_s=5.0),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await until(lambda: desk.begun)
        await trio.sleep(1.0)
        await call.send(e.Interrupt(call.request()))
        await call.until_state("LISTENING")
        assert not desk.done
        assert call.conductor is not None
        looked = call.conductor.history
        assert looked.entries[-1].text == "Begun and still running; the result is not known yet."
        cut = call.conductor.answering.cut
        assert cut is not None
        assert (errands := cut.responses[-1].errands) is not None
        assert errands.rounds[-1].late is None, "what comes later is not for who only looked"
        await call.turn()
        assert results(call, 1) == ["Begun and still running; the result is not known yet."]
        await until(lambda: desk.done)
        await call.turn()
        assert results(call, 2) == ["a is booked"]
        assert len(desk.begun) == 1


async def test_a_pure_tool_is_cancelled_and_leaves_nothing_if_nothing_was_heard(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", what="a"), "One."))
    tools = (desk.tool("pure", takes_s=5.0, filler=""),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await cut_in_on_a_tool(call, desk)
        await call.turn()
        assert results(call, 1) == []
        await trio.sleep(10)
        assert not desk.done


async def test_a_pure_tool_that_was_cut_in_mid_speech_says_so(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", "Let me have a look.", what="a"), "One."))
    tools = (desk.tool("pure", takes_s=5.0, filler=""),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await call.until(e.OutputStarted)
        await trio.sleep(0.6)
        await call.send(e.Interrupt(call.request()))
        await call.until_state("LISTENING")
        await call.turn()
        assert results(call, 1) == ['{"error": "no result: they interrupted"}']
        asked = call.openai.chats[1].body["messages"][-4:-1]
        assert [m["role"] for m in asked] == ["user", "assistant", "tool"]
        assert "Let me have a look.".startswith(asked[1]["content"])
        said, used, *_ = (entry for entry in call.call.history if entry.role == "assistant")
        assert (said.text, said.interrupted) == (asked[1]["content"], True)
        assert used.tool_calls


async def test_words_without_spaces_that_were_cut_in_front_of_a_call_say_so(
    autojump_clock: object,
) -> None:
    first = asks("book", "少々お待ちください、予定を確認します。", what="a")
    script = OpenAIScript((first, "空いています。"))
    tools = (Desk().tool("pure", takes_s=0.1, filler=""),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await call.until(e.OutputStarted)
        await trio.sleep(3.65)  # what follows is on its way to the client already
        await call.send(e.Interrupt(call.request()))
        await call.until_state("LISTENING")
        await call.hang_up()
        said = next(entry for entry in call.call.history if entry.role == "assistant")
        assert first.text.startswith(said.text)
        assert said.text != first.text
        assert said.interrupted


async def test_asked_again_while_it_runs_it_is_not_begun_again(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", what="a"), asks("book", what="a"), "Done."))
    tools = (desk.tool("irreversible", takes_s=5.0, filler=""),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await cut_in_on_a_tool(call, desk)
        await call.turn()
        assert len(desk.begun) == len(desk.done) == 1
        assert results(call, 2)[-1] == "a is booked"
        await call.turn()
        assert results(call, 3) == ["a is booked"] * 2


async def test_a_turn_that_waited_for_an_earlier_ones_deed_learns_of_it_too(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", what="a"), asks("book", what="a"), "Done.", "Done."))
    tools = (desk.tool("irreversible", takes_s=5.0, filler=""),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        for _ in range(2):
            await call.speak(0.5)
            await call.end()
            await call.until_state("THINKING")
            await trio.sleep(0.5)
            await call.send(e.Interrupt(call.request()))
            await call.until_state("LISTENING")
        assert len(desk.begun) == 1
        await call.turn()
        assert all("still running" in text for text in results(call, 2))
        assert len(results(call, 2)) == 2
        await until(lambda: desk.done)
        await call.turn()
        assert results(call, 3) == ["a is booked"] * 2


async def test_the_same_in_one_turn_is_done_once(autojump_clock: object) -> None:
    desk = Desk()
    twice = (CallTool("book", {"what": "a"}), CallTool("book", '{ "what":"a"}'))
    tools = (desk.tool("irreversible"),)
    told = await talk(Reply("", twice), asks("book", what="a"), "Done.", tools=tools)
    assert told == ["a is booked"] * 3
    assert len(desk.begun) == 1


async def test_a_hang_up_does_not_break_off_what_has_begun(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", what="a"),))
    tools = (desk.tool("irreversible", takes_s=5.0),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await until(lambda: desk.begun)
        began_s = trio.current_time()
        await call.hang_up()
        assert len(desk.done) == 1
        assert trio.current_time() - began_s == pytest.approx(5.0, abs=0.1)


#: The named test's call: something of every effect, said with words before, between and after.
_EVERY = OpenAIScript(
    (
        Reply(
            "I will look and book.",
            (
                CallTool("look", {"what": "calendar"}),
                CallTool("note", {"what": "wish"}),
                CallTool("book", {"what": "table"}),
            ),
        ),
        asks("book", "The table is there. And now the car.", what="car"),
        "Both are booked.",
        "Anything else?",
    ),
    first_token_s=0.2,
    tokens_per_s=40.0,
)


_CALM = Settings(
    tools=ToolSettings(built_in="", filler=""),
    playout=PlayoutSettings(chunk_ms=400, lead_ms=400),
)


def _every(desk: Desk) -> tuple[Tool, ...]:
    return (
        desk.tool("pure", name="look", takes_s=0.3),
        desk.tool("idempotent", name="note", takes_s=0.3),
        desk.tool("irreversible", takes_s=0.7),
    )


async def _until_message(call: Caller, count: int) -> bool:
    """Take a turn; returns at the `count`-th message after it, or at its end: whether there were so
    many."""
    came, reached, news = 0, False, trio.Event()

    def note(at_s: float, envelope: object) -> None:
        nonlocal came, reached
        came += 1
        if came == count:
            reached = True
        if reached or call.messages(e.OutputCompleted):
            news.set()

    call.call.phone.listeners.append(note)
    await call.speak(0.1)
    await call.end()
    await news.wait()
    return reached


def _is_answering(call: Caller) -> bool:
    return call.conductor is not None and call.conductor.conversation.turn is not None


def _done(desk: Desk) -> set[str]:
    """What has an effect and was done."""
    return {what for what, key in desk.done if "/look/" not in key}


def _check(desk: Desk, cut_s: float) -> None:
    effects = [(at_s, key) for at_s, key in desk.begun if "/look/" not in key]
    keys = [key for _, key in effects]
    assert len(set(keys)) == len(keys), "once for each key"
    assert all(at_s <= cut_s for at_s, _ in effects), "nothing begins after the cut"
    assert sorted(key for _, key in desk.done if "/look/" not in key) == sorted(keys)


async def _interrupted_after(count: int) -> tuple[bool, set[str]]:
    """The call, interrupted after the `count`-th message of its answer.

    Gives whether there were so many, and what was done in it.
    """
    desk = Desk()
    cartesia = CartesiaScript(first_audio_s=0.1, rate=4.0)
    async with a_call(
        openai=_EVERY, cartesia=cartesia, settings=_CALM, tools=_every(desk), direct=True
    ) as call:
        await call.start(tokens=True)
        reached = await _until_message(call, count)
        cut_s = float("inf")
        if reached and _is_answering(call):
            await call.send(e.Interrupt(call.request()))
            await trio.testing.wait_all_tasks_blocked()
            if not _is_answering(call):
                cut_s = trio.current_time()
        await trio.sleep(6)
        _check(desk, cut_s)
        # And what the model believes is what was done.
        call.call.direct_model.script = OpenAIScript(("Hello.",))
        await call.turn(0.1)
        told = results(call, -1)
        booked = {text.removesuffix(" is booked") for text in told if text.endswith(" is booked")}
        assert booked - {"calendar"} == _done(desk)
        assert not any("still running" in text for text in told)
        return reached, _done(desk)


async def test_interruptions_at_every_event_boundary(
    autojump_clock: object,
) -> None:
    """No irreversible effect from a discarded turn, exactly once per key."""
    outcomes: set[frozenset[str]] = set()
    count, reached = 1, True
    while reached:
        reached, done = await _interrupted_after(count)
        outcomes.add(frozenset(done))
        count += 1
    assert count > 30
    # Each effect was cut off at least once just before it, and allowed at least once.
    every = [frozenset(), {"wish"}, {"wish", "table"}, {"wish", "table", "car"}]
    assert outcomes == {frozenset(some) for some in every}


async def _hung_up_after(count: int) -> bool:
    """The call, whose caller is gone after the `count`-th message of its answer."""
    desk = Desk()
    cartesia = CartesiaScript(first_audio_s=0.1, rate=4.0)
    async with a_call(
        openai=_EVERY, cartesia=cartesia, settings=_CALM, tools=_every(desk), direct=True
    ) as call:
        await call.start(tokens=True)
        reached = await _until_message(call, count)
        cut_s = trio.current_time()
        await call.hang_up()
        _check(desk, cut_s)
        # The session waited for what had begun, and for nothing else.
        assert trio.current_time() - cut_s <= 0.7
        assert call.failure is None
        return reached


async def test_hang_ups_at_every_event_boundary(autojump_clock: object) -> None:
    count = 1
    while await _hung_up_after(count):
        count += 1
    assert count > 30


@define(eq=False)
class _Steps(trio.abc.Instrument):
    """Does something after so many steps of any task."""

    left: int
    then: Callable[[], object]

    def after_task_step(self, task: object) -> None:
        self.left -= 1
        if not self.left:
            self.then()


async def _interrupted_at_step(step: int) -> tuple[bool, frozenset[str]]:
    """The call, interrupted between two steps of its tasks; whether there were so many, and what
    was done."""
    desk = Desk()
    cut_s = float("inf")
    cartesia = CartesiaScript(first_audio_s=0.1)
    async with a_call(
        openai=_EVERY, cartesia=cartesia, settings=_CALM, tools=_every(desk), direct=True
    ) as call:
        await call.start()
        await call.speak(0.02)
        assert call.conductor is not None
        answering = call.conductor.answering

        def interrupt() -> None:
            nonlocal cut_s
            if (response := answering.response) is not None:
                cut_s = trio.current_time()
                # As `Answering.cancel` does, at a moment that no message could choose.
                response.cut_s = cut_s
                response.scope.cancel()

        steps = _Steps(step, interrupt)
        trio.lowlevel.add_instrument(steps)
        try:
            await call.end()
            await trio.sleep(8)
        finally:
            trio.lowlevel.remove_instrument(steps)
        _check(desk, cut_s)
        return steps.left <= 0, frozenset(_done(desk))


async def test_interruptions_between_any_two_steps(autojump_clock: object) -> None:
    outcomes: set[frozenset[str]] = set()
    step, reached = 5, True
    while reached:
        reached, done = await _interrupted_at_step(step)
        outcomes.add(done)
        step += 8
    assert step > 300
    every = [(), ("wish",), ("wish", "table"), ("wish", "table", "car")]
    assert outcomes == {frozenset(some) for some in every}


# ---------------------------------------------------------------- hanging up


async def until_over(call: Caller) -> float:
    """When the server closed, in seconds after the last audio began to be heard."""
    with trio.fail_after(60):
        await call.over.wait()
    return trio.current_time() - call.when(e.OutputStarted)[-1]


def audio_s(call: Caller) -> float:
    return sum(len(chunk.audio) for chunk in call.messages(e.OutputChunk)) / 32_000


GOODBYE = "It was nice to talk to you. Goodbye and have a good day!"


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_line_closes_when_the_goodbye_was_heard(
    autojump_clock: object, at_once: bool
) -> None:
    ends = Reply(GOODBYE if at_once else "", (CallTool("end_call", {"reason": "all said"}),))
    script = OpenAIScript((ends,) if at_once else (ends, GOODBYE))
    async with a_call(openai=script, settings=settings(built_in="end_call")) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        took_s = await until_over(call)
        assert said(call) == [GOODBYE]
        assert took_s == pytest.approx(audio_s(call), abs=0.1)
        assert audio_s(call) > 2
        assert call.socket.closed_with == (1000, "the agent ended the call")
        assert len(call.openai.chats) == len(script.answers)  # type: ignore[arg-type]


async def test_who_interrupts_the_goodbye_is_answered(
    autojump_clock: object,
) -> None:
    script = OpenAIScript((asks("end_call", GOODBYE), "Yes?"))
    async with a_call(openai=script, settings=settings(built_in="end_call")) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await call.until(e.OutputStarted)
        await trio.sleep(0.8)
        await call.send(e.Interrupt(call.request()))
        await call.until_state("LISTENING")
        await trio.sleep(20)
        await call.turn()
        assert said(call)[-1] == "Yes?"
        assert "unless they go on speaking" in results(call, 1)[0]
        assert not call.over.is_set()


async def test_who_has_spoken_during_the_goodbye_is_answered(
    autojump_clock: object,
) -> None:
    script = OpenAIScript(
        (asks("end_call", GOODBYE), "One more thing? Yes.", asks("end_call", "Bye"))
    )
    async with a_call(openai=script, settings=settings(built_in="end_call")) as call:
        await call.start()
        await call.speak(0.5)
        await call.end()
        await call.until(e.OutputStarted)
        await call.speak(0.3)
        await call.end()  # in `manual`, a turn that waits
        await call.until(e.OutputCompleted, 2)
        await call.until_state("LISTENING")
        assert not call.over.is_set()
        await call.speak(0.3)
        await call.end()
        await until_over(call)
        assert said(call)[-1] == "Bye"


async def test_a_call_does_not_end_with_a_fallback(autojump_clock: object) -> None:
    script = OpenAIScript((asks("end_call"), "never"), faults=(None, Fault("server")))
    async with a_call(openai=script, settings=settings(built_in="end_call")) as call:
        await call.start()
        await call.turn()
        await trio.sleep(5)
        assert call.messages(e.ResponseCompleted)[0].is_fallback
        assert not call.over.is_set()


async def test_a_tool_may_wait_until_what_was_said_is_heard(
    autojump_clock: object,
) -> None:
    desk = Desk()
    script = OpenAIScript((asks("book", GOODBYE, what="a"), "Still there?"))
    tools = (desk.tool("irreversible", after_speech=True),)
    async with a_call(openai=script, settings=settings(), tools=tools) as call:
        await call.start()
        await call.turn()
        starts_s = call.when(e.OutputStarted)[0]
        assert desk.begun[0][0] - starts_s > 2.5


# ---------------------------------------------------------------- built in


async def test_facts_are_remembered_without_another_round(
    autojump_clock: object,
) -> None:
    note = asks("remember", "Got it, Bob.", key="name", value="Bob")
    script = OpenAIScript((note, asks("remember", key="pet", value="cat"), "Nice.", "?"))
    async with a_call(openai=script, settings=settings(built_in="remember")) as call:
        await call.start()
        await call.turn()
        assert len(call.openai.chats) == 1
        await call.turn()
        assert said(call) == ["Got it, Bob.", "Nice."]
        assert call.conductor is not None
        assert call.conductor.facts == {"name": "Bob", "pet": "cat"}
        await call.turn()
        note = call.openai.chats[-1].body["messages"][-1]
        assert note["role"] == "system"
        assert note["content"].endswith('- "name": "Bob"\n- "pet": "cat"')


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ({"key": " ", "value": "x"}, "1 to 60 characters"),
        ({"key": "k" * 61, "value": "x"}, "1 to 60 characters"),
        ({"key": "k", "value": "x" * 501}, "at most 500"),
    ],
)
async def test_facts_are_short(
    autojump_clock: object, arguments: dict[str, str], wrong: str
) -> None:
    told = await talk(asks("remember", **arguments), "Ok.", built_in="remember")
    assert wrong in told[0]


async def test_there_is_room_for_so_many_facts(autojump_clock: object) -> None:
    notes = tuple(CallTool("remember", {"key": f"k{n}", "value": "x"}) for n in range(51))
    told = await talk(Reply("", notes), "Ok.", built_in="remember")
    assert told[:50] == ["Noted."] * 50
    assert "50 facts are noted already" in told[50]


async def test_booking_a_meeting_with_a_hook(autojump_clock: object) -> None:
    booked: list[tuple[Meeting, str]] = []

    async def book(meeting: Meeting, context: ToolContext) -> str:
        booked.append((meeting, context.key))
        await trio.sleep(0.1)
        return "Room 3"

    first = asks("book_meeting", starts_at="2026-03-31T14:30:00", topic="demo")
    second = asks("book_meeting", starts_at="2026-03-31T14:30:00+02:00", topic="demo")
    third = asks(
        "book_meeting",
        starts_at="2026-03-31T14:30:00Z",
        topic="demo",
        duration_minutes=1,
        email="bob@example.com",
    )
    told = await talk(first, second, third, "Done.", tools=(book_meeting(book),))
    assert "offset from UTC" in told[0]
    assert told[1] == "Room 3"
    assert "5 to 480" in told[2]
    ((meeting, key),) = booked
    assert meeting == Meeting(
        datetime.fromisoformat("2026-03-31T14:30:00+02:00"), 30, "demo", "", None
    )
    assert key.startswith("session/0/book_meeting/")


# ---------------------------------------------------------------- the caller's own voice


def _closing() -> CallSetup:
    ends = Reply(GOODBYE, (CallTool("end_call"),))
    script = OpenAIScript((ends, "Yes, what else?"), first_token_s=0.3, tokens_per_s=60.0)
    return CallSetup(settings=settings(built_in="end_call"), openai=script, direct=True)


async def test_a_goodbye_that_a_noise_has_stopped_goes_on_and_then_the_line_closes(
    autojump_clock: object,
) -> None:
    async with simulated_call(_closing()) as call:
        await call.caller.start()
        await call.caller.say("That is all, thank you.")
        await call.caller.hear(0.8)
        await call.caller.noise(0.8, dbfs=-10)
        with trio.fail_after(30):
            await call.over.wait()
        assert call.socket.closed_with == (1000, "the agent ended the call")
        assert " ".join(call.heard()) == GOODBYE
        assert len(call.heard()) == 2
        assert len(call.asked) == 1


async def test_a_goodbye_that_words_have_stopped_is_not_the_end(autojump_clock: object) -> None:
    async with simulated_call(_closing()) as call:
        await call.caller.start()
        await call.caller.say("That is all, thank you.")
        await call.caller.hear(0.8)
        await call.caller.say("Wait, I have got one more question.")
        await call.caller.pause(20.0)
        assert not call.over.is_set()
        assert call.heard()[-1] == "Yes, what else?"
        (told,) = [m for m in call.asked[1] if m["role"] == "tool"]
        assert "unless they go on speaking" in told["content"]


async def test_what_was_done_before_a_false_stop_is_not_done_again_behind_it(
    autojump_clock: object,
) -> None:
    """It is one turn of the caller's, whoever coughs into its answer."""
    desk = Desk()
    script = OpenAIScript(
        (
            asks("book", "I book it.", what="a"),
            "It is booked, and I will tell you about the place. It has a view of the sea, and the "
            "food is good. There is a garden too, with many old trees in it.",
            asks("book", what="a"),
            "Done.",
            "You are welcome.",
        ),
        tokens_per_s=3.0,
    )
    tools = (desk.tool("irreversible"),)
    setup = CallSetup(settings=settings(), openai=script, direct=True, tools=tools)
    async with simulated_call(setup) as call:
        await call.caller.start()
        await call.caller.say("Please book it.")
        await call.caller.hear(2.0)
        await call.caller.noise(0.8, dbfs=-10)
        await call.caller.pause(20.0)
        told = [m for m in call.asked[3] if m["role"] == "tool"]
        assert [m["content"] for m in told] == ["a is booked"] * 2
        assert str(call.asked[3]).count("I will tell you") == 1
        await call.caller.say("Thank you.")
        await call.caller.pause(5.0)
        assert "please. It is booked, and I will tell you" in str(call.asked[4]), "one sentence"
        assert " ".join(call.heard()).count("I will tell you") == 1
        assert len({m["tool_call_id"] for m in told}) == 2
        assert len(desk.begun) == 1


async def test_a_false_stop_in_front_of_a_call_leaves_each_word_there_once(
    autojump_clock: object,
) -> None:
    first = asks("book", "I book that for you now, one moment please.", what="a")
    script = OpenAIScript((first, "It is done.", "You are welcome.", "Bye."), tokens_per_s=20.0)
    tools = (Desk().tool("irreversible", takes_s=0.3),)
    setup = CallSetup(settings=settings(), openai=script, direct=True, tools=tools)
    async with simulated_call(setup) as call:
        await call.caller.start()
        await call.caller.say("Please book it.")
        await call.caller.hear(1.0)
        await call.caller.noise(0.5, dbfs=-10)
        await call.caller.pause(10.0)
        assert len(call.heard()) == 2
        await call.caller.say("Thank you.")
        await call.caller.pause(5.0)
        told = " ".join(m["content"] for m in call.asked[-1] if m["role"] == "assistant")
        assert told == " ".join(call.heard()[:2])
        assert told.startswith(first.text)
