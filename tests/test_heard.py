"""What is recorded of an answer is what was heard: odd timestamps, texts without spaces."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vantum.core import events as e
from vantum.core.wording import words_of
from vantum.testing import CallTool, CartesiaScript, OpenAIScript, Reply
from vantum.testing.calls import (
    Answered,
    CallSetup,
    Cough,
    EndCall,
    Hear,
    Say,
    Silence,
    SimulatedCall,
    Step,
    run_call,
    turn_by_turn,
)
from vantum.testing.openai_wire import Messages
from vantum.testing.word_errors import word_errors
from vantum.tools import tool

ENGLISH = (
    "Well, our platform answers every single phone call for you within a second. ||BREAK|| "
    "It never sleeps and it never forgets what a customer has said before."
)
SENTENCES = (
    "你好，我是小明，很高兴认识你。",
    "今天天气很好，我们去公园散步吧，好吗？",
    "那里有很多花和树。",
)
CHINESE, SPOKEN = "||BREAK||".join(SENTENCES), " ".join(SENTENCES)

Stamp = Callable[[str, float, float], tuple[str, float, float] | None]
ODD: dict[str, Stamp] = {
    "none": lambda _t, _b, _e: None,
    "every third missing": lambda t, b, e: (t, b, e) if round(100 * b) % 3 else None,
    "zero": lambda t, _b, _e: (t, 0.0, 0.0),
    "milliseconds": lambda t, b, e: (t, 1000 * b, 1000 * e),
    "negative": lambda t, b, e: (t, -1 - b, -1 - e),
    "swapped": lambda t, b, e: (t, e, b),
    "one is absurd": lambda t, b, e: (t, b, e) if len(t) != 6 else (t, b + 500, e + 500),
    "other words": lambda t, b, e: (f"x{t}", b, e),
}


def cut_in(heard_s: float) -> list[Step]:
    return [Say("Hello there."), Hear(heard_s), Say("Wait, I have a question."), Answered()]


def cut_after(heard_s: float, answer: str, cartesia: CartesiaScript) -> SimulatedCall:
    """A call whose first answer is interrupted when so much of it was heard."""
    setup = CallSetup(openai=OpenAIScript(turn_by_turn(answer, "I see.")), cartesia=cartesia)
    return run_call([*cut_in(heard_s), EndCall()], setup)


def check_cut(call: SimulatedCall) -> None:
    """The client is told, and the model asked, with what the record says; and that is true."""
    assert call.failure is None
    first = next(x for x in call.history if x.role == "assistant")
    assert first.interrupted
    assert [m.heard_text for m in call.phone.messages(e.Interrupted)] == [first.text]
    assert [m["content"] for m in call.asked[-1] if m["role"] == "assistant"] == [first.text]
    assert word_errors(words_of(call.heard()[0]), words_of(first.text)) <= 1
    assert call.heard()[1:] == ["I see."]


@pytest.mark.parametrize("odd", ODD)
def test_timestamps_that_are_missing_or_absurd_cost_a_word_at_most(odd: str) -> None:
    check_cut(cut_after(2.6, ENGLISH, CartesiaScript(0.1, 3.0, stamp=ODD[odd])))


def test_absurd_timestamps_that_come_late_cost_a_word_at_most() -> None:
    cartesia = CartesiaScript(0.1, 3.0, timestamps="after", stamp=ODD["one is absurd"])
    check_cut(cut_after(3.6, ENGLISH, cartesia))


@pytest.mark.parametrize("heard_s", [0.5, 1.4, 3.0, 4.4])
@pytest.mark.parametrize("timed", [True, False])
def test_an_answer_without_spaces_is_cut_at_the_character(heard_s: float, timed: bool) -> None:
    cartesia = CartesiaScript(0.1, 3.0, stamp=None if timed else ODD["none"])
    call = cut_after(heard_s, CHINESE, cartesia)
    check_cut(call)
    assert 0 < len(call.history[1].text) < len(SPOKEN)
    assert SPOKEN.startswith(call.history[1].text)


def test_an_answer_without_spaces_goes_on_at_the_unspoken_character() -> None:
    setup = CallSetup(openai=OpenAIScript(turn_by_turn(CHINESE)), cartesia=CartesiaScript(0.1, 3.0))
    call = run_call([Say("Hello there."), Hear(1.4), Cough(), Silence(2.0), EndCall()], setup)
    (interrupted,) = call.phone.messages(e.Interrupted)
    first, rest = call.heard()
    assert interrupted.heard_text == first
    assert 0 < len(first) < 14
    assert first + rest == SPOKEN
    assert [(x.text, x.interrupted) for x in call.history[1:]] == [(SPOKEN, False)]


def test_rounds_of_tools_without_spaces_are_parted_where_they_were() -> None:
    @tool(effect="pure")
    async def look() -> str:
        return "下午三点"

    def script(messages: Messages) -> str | Reply:
        if messages[-1]["role"] == "tool":
            return "下午三点可以吗？我们在那里等你。"
        asked = sum(message["role"] == "user" for message in messages)
        return "我看一下。" if asked > 1 else Reply("我看一下日历。", (CallTool("look"),))

    setup = CallSetup(openai=OpenAIScript(script), cartesia=CartesiaScript(0.1, 3.0), tools=(look,))
    call = run_call([*cut_in(2.4), EndCall()], setup)
    said = [x for x in call.history if x.role == "assistant" and not x.tool_calls]
    assert said[0].text == "我看一下日历。"
    assert said[1].interrupted
    assert 0 < len(said[1].text) < 12
    assert "下午三点可以吗？我们在那里等你。".startswith(said[1].text)
    assert call.heard()[0] == f"{said[0].text} {said[1].text}"
    assert [m["content"] for m in call.asked[-1] if m["role"] == "assistant"] == [
        said[0].text,
        said[1].text,
    ]
