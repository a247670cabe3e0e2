"""Talks in text: the same session as a call, without audio."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field

from tests.patience import HANG_S
from vantum.config import Settings, TurnSettings
from vantum.core.events import InputOptions, Prospect
from vantum.core.messages import ChatRequest, ModelOutput, ToolCall
from vantum.errors import ConfigError, ProviderError
from vantum.ports import Health
from vantum.testing import OpenAIScript, simulated_openai
from vantum.testing.calls import CallSetup, run_call, simulate, turn_by_turn
from vantum.testing.calls.direct import DirectModel
from vantum.testing.openai_wire import split_tokens
from vantum.testing.text import CallOver, Reply, text_conversation
from vantum.tools import tool

TALK = OpenAIScript(
    turn_by_turn("Hi, this is Alex. ||BREAK|| How are you doing today?", "Fine.", "Bye."),
    first_token_s=0.4,
    tokens_per_s=50.0,
)


def model(script: OpenAIScript = TALK) -> DirectModel:
    return DirectModel(script=script)


def test_an_answer_has_pieces_and_times() -> None:
    shown: list[str] = []

    async def body() -> list[Reply]:
        async with text_conversation(model=model(), show=shown.append) as talk:
            replies = [await talk.say("Hello"), await talk.say("And you?")]
            assert [(x.role, x.text) for x in talk.history] == [
                ("user", "Hello"),
                ("assistant", "Hi, this is Alex. How are you doing today?"),
                ("user", "And you?"),
                ("assistant", "Fine."),
            ]
            assert talk.greeting == Reply()
        return replies

    first, second = simulate(body)
    assert first.pieces == ("Hi, this is Alex.", "How are you doing today?")
    assert first.text == "Hi, this is Alex. How are you doing today?"
    assert shown == [*first.pieces, "Fine."]
    # A sentence is over when something follows it; the answer when all its tokens are there.
    tokens = split_tokens("Hi, this is Alex. ||BREAK|| How are you doing today?")
    assert first.first_s == pytest.approx(0.4 + (tokens.index(".") + 1) / 50, abs=0.021)
    assert first.total_s == pytest.approx(0.4 + len(tokens) / 50, abs=0.03)
    assert second.text == "Fine."


def test_the_prompt_knows_who_is_on_the_line_and_the_greeting_is_said() -> None:
    thinker = model()

    async def body() -> Reply:
        settings = Settings(turns=TurnSettings(greeting="Good day. This is Alex."))
        options = InputOptions(prospect=Prospect(name="Ada Lovelace"))
        async with text_conversation(settings, model=thinker, options=options) as talk:
            await talk.say("Hello")
            return talk.greeting

    assert simulate(body).text == "Good day. This is Alex."
    system, *rest = thinker.requests[0].messages
    assert "Ada Lovelace" in system.content
    assert [m.role for m in rest] == ["assistant", "user"]


@define(eq=False)
class Asking:
    """A model that uses a tool when it is first asked, and repeats the result."""

    arguments: str
    name: str = "asking"
    tool: str = "opening_hours"
    requests: list[ChatRequest] = field(factory=list)

    def health(self) -> Health:
        return Health(True, "")

    def for_session(self) -> Asking:
        return self

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        self.requests.append(request)
        yield self._pieces(request)

    async def _pieces(self, request: ChatRequest) -> AsyncIterator[ModelOutput]:
        last = request.messages[-1]
        if last.role == "tool":
            yield f"It is {last.content}."
        else:
            yield ToolCall("call-1", self.tool, self.arguments)


@tool(effect="pure")
async def opening_hours(day: str) -> str:
    """When the shop is open.

    Args:
        day: The day of the week.
    """
    return f"nine to five on {day}"


def test_tools_are_used_and_told_of() -> None:
    async def body() -> Reply:
        thinker = Asking('{"day": "Monday"}')
        async with text_conversation(model=thinker, tools=[opening_hours]) as talk:
            return await talk.say("When are you open?")

    reply = simulate(body)
    assert reply.text == "It is nine to five on Monday."
    [use] = reply.tools
    assert (use.name, use.result) == ("opening_hours", "nine to five on Monday")
    assert "Monday" in use.arguments_json


def test_two_tools_of_one_name_are_refused() -> None:
    """As a server refuses them."""
    tools = (opening_hours, opening_hours)

    async def body() -> None:
        async with text_conversation(model=Asking("{}"), tools=tools):
            raise AssertionError

    with pytest.raises(ConfigError, match="2 tools have the name opening_hours"):
        simulate(body)
    with pytest.raises(ConfigError, match="2 tools have the name opening_hours"):
        run_call([], CallSetup(tools=tools))


def test_the_agent_may_hang_up() -> None:
    async def body() -> None:
        thinker = Asking("{}", tool="end_call")
        async with text_conversation(model=thinker) as talk:
            await talk.say("Goodbye")
            await talk.phone.over.wait()
            assert talk.is_over
            assert talk.failure is None
            with pytest.raises(CallOver):
                await talk.say("Still there?")

    simulate(body)


@define(eq=False)
class Failing:
    """A model that is down."""

    name: str = "failing"

    def health(self) -> Health:
        return Health(False, "")

    def for_session(self) -> Failing:
        return self

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[ModelOutput]]:
        yield self._pieces()

    async def _pieces(self) -> AsyncIterator[ModelOutput]:
        yield ""
        raise ProviderError("failing", "auth", "the key is wrong")


def test_a_model_that_fails_is_covered_and_said_so() -> None:
    async def body() -> Reply:
        async with text_conversation(model=Failing()) as talk:
            with pytest.raises(ValueError, match="empty"):
                await talk.say("  ")
            return await talk.say("Hello")

    reply = simulate(body)
    assert reply.is_fallback
    assert reply.text == Settings().llm.fallback_tier1
    [error] = reply.errors
    assert error.startswith("llm_unavailable")
    assert "the key is wrong" in error


# ---------------------------------------------------------------- the command


async def test_the_command_works_in_a_pipe() -> None:
    """A real process, a real socket: no jumping clock."""
    talk = OpenAIScript(turn_by_turn("Alex.||BREAK||How are you doing today?", "Fine."))
    async with simulated_openai(talk) as peer:
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "any",
            "OPENAI_BASE_URL": peer.base_url,
            "TURN_GREETING": "Good day.",
        }
        program = [sys.executable, "-c", "from vantum.cli import main; main()"]
        with trio.fail_after(HANG_S):
            done = await trio.run_process(
                [*program, "chat", "--name", "Ada"],
                stdin=b"Hello\n\n  And you?\n",
                env=environment,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
    lines = done.stdout.decode().splitlines()
    said = [line for line in lines if line.startswith(("you>", "agent>"))]
    assert said == [
        "agent> Good day.",
        "you> Hello",
        "agent> Alex.",
        "agent> How are you doing today?",
        "you> And you?",
        "agent> Fine.",
    ]
    assert lines[0].startswith("llm thinks: openai: OPENAI_API_KEY is set")
    assert sum("first words after" in line for line in lines) == 3
    assert done.returncode == 0
    assert '"Ada"' in peer.chats[0].body["messages"][0]["content"]
