"""Tools on OpenAI's wire: what is offered, and calls put together from the pieces of a stream."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.config import LlmSettings, OpenAISettings, Secret
from vantum.core.messages import (
    ChatMessage,
    ChatRequest,
    ModelOutput,
    ToolCall,
    ToolCallBegun,
    ToolSpec,
)
from vantum.errors import ProviderError
from vantum.ports import LanguageModel
from vantum.providers.openai import OpenAIProvider
from vantum.providers.openai_terms import Terms
from vantum.providers.openai_tools import (
    CallAssembler,
    CallDelta,
    message_body,
    read_call_deltas,
    tools_body,
)
from vantum.providers.openai_wire import chat_body
from vantum.testing import CallTool, OpenAIScript, Reply, simulated_openai

SPEC = ToolSpec("book", "Book it.", {"type": "object", "properties": {}})
CALL = ToolCall("id-1", "book", '{"what": "table"}')


def test_messages_with_calls_and_results() -> None:
    assert message_body(ChatMessage("user", "Hi.")) == {"role": "user", "content": "Hi."}
    asked = message_body(ChatMessage("assistant", "", (CALL,)))
    assert asked == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "id-1",
                "type": "function",
                "function": {"name": "book", "arguments": '{"what": "table"}'},
            }
        ],
    }
    assert message_body(ChatMessage("assistant", "Yes.", (CALL,)))["content"] == "Yes."
    result = message_body(ChatMessage("tool", "done", tool_call_id="id-1"))
    assert result == {"role": "tool", "content": "done", "tool_call_id": "id-1"}


def test_halves_of_surrogate_pairs_do_not_stop_a_request() -> None:
    calls = (ToolCall("a\udce9", "b\udce9", "{}"),)
    asked = message_body(ChatMessage("assistant", "caf\udce9 \ud83d\ude42 é", calls))
    told = message_body(ChatMessage("tool", "\ud83d", tool_call_id="a\udce9"))
    assert asked["content"] == "caf\ufffd 🙂 é"
    assert asked["tool_calls"][0]["id"] == told["tool_call_id"] == "a\ufffd"
    assert asked["tool_calls"][0]["function"]["name"] == "b\ufffd"
    assert told["content"] == "\ufffd"


def test_tools_are_offered_if_there_are_any() -> None:
    assert tools_body(ChatRequest(())) == {}
    request = ChatRequest((ChatMessage("user", "Hi."),), tools=(SPEC,), tool_choice="none")
    body = chat_body(request, LlmSettings(), Terms("max_tokens"), is_openai=True)
    assert body["tool_choice"] == "none"
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "book",
                "description": "Book it.",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]


# ---------------------------------------------------------------- calls out of pieces


def deltas(*pieces: dict[str, Any]) -> tuple[CallDelta, ...]:
    return read_call_deltas({"tool_calls": list(pieces)})


def begin(index: int | None, call_id: str, name: str, arguments: str = "") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": call_id, "type": "function", "function": function}


def more(index: int | None, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


def test_a_call_is_named_early_and_whole_at_the_end() -> None:
    assembler = CallAssembler()
    assert assembler.feed(deltas(begin(0, "a", "book"))) == [ToolCallBegun("a", "book")]
    assert assembler.feed(deltas(more(0, '{"x"'), more(0, ":1}"))) == []
    assert assembler.feed(deltas(begin(1, "b", "look", "{}"))) == [
        ToolCall("a", "book", '{"x":1}'),
        ToolCallBegun("b", "look"),
    ]
    assert assembler.finish() == [ToolCall("b", "look", "{}")]
    assert assembler.finish() == []


@pytest.mark.parametrize(
    "pieces",
    [
        # Gemini's and others: every call whole, with the same index or none.
        (begin(0, "a", "book", "{}"), begin(0, "b", "look", "{}")),
        (begin(None, "a", "book", "{}"), begin(None, "b", "look", "{}")),
        # The id and the name with every piece.
        (begin(0, "a", "book", "{"), begin(0, "a", "book", "}"), begin(1, "b", "look", "{}")),
    ],
)
def test_dialects_of_other_servers(pieces: tuple[dict[str, Any], ...]) -> None:
    assembler = CallAssembler()
    out = [x for piece in pieces for x in assembler.feed(deltas(piece))] + assembler.finish()
    calls = [x for x in out if isinstance(x, ToolCall)]
    assert calls == [ToolCall("a", "book", "{}"), ToolCall("b", "look", "{}")]


def test_what_is_not_understood_is_passed_over() -> None:
    assert read_call_deltas({"tool_calls": None}) == ()
    assert read_call_deltas({"tool_calls": ["x", {"function": "y", "id": 3, "index": "z"}]}) == (
        CallDelta(None, None, None, ""),
    )
    assembler = CallAssembler()
    assert assembler.feed(deltas(more(0, "{}"))) == []
    assert assembler.feed(deltas(begin(0, "", "book"), more(None, "{}"))) == [
        ToolCallBegun("", "book")
    ]
    assert assembler.finish() == [ToolCall("", "book", "{}")]


def test_a_call_without_an_end_is_refused() -> None:
    assembler = CallAssembler()
    assembler.feed(deltas(begin(0, "a", "book", "x" * 900_000)))
    with pytest.raises(ValueError, match="too long"):
        assembler.feed(deltas(more(0, "x" * 200_000)))


@settings(max_examples=60)
@given(
    calls=st.lists(
        st.tuples(st.sampled_from(["book", "look"]), st.lists(st.text(max_size=4), max_size=5)),
        max_size=4,
    )
)
def test_pieces_join_to_calls_however_they_are_cut(calls: list[tuple[str, list[str]]]) -> None:
    assembler, out = CallAssembler(), list[ModelOutput]()
    for index, (name, arguments) in enumerate(calls):
        out += assembler.feed(deltas(begin(index, f"id-{index}", name)))
        for text in arguments:
            out += assembler.feed(deltas(more(index, text)))
    out += assembler.finish()
    wanted: list[ModelOutput] = []
    for index, (name, arguments) in enumerate(calls):
        wanted.append(ToolCallBegun(f"id-{index}", name))
        wanted.append(ToolCall(f"id-{index}", name, "".join(arguments)))
    assert out == wanted


# ---------------------------------------------------------------- from a server

REQUEST = ChatRequest((ChatMessage("user", "A table, please."),), tools=(SPEC,))


async def ask(model: LanguageModel, request: ChatRequest = REQUEST) -> list[ModelOutput]:
    with trio.fail_after(30):
        async with model.stream(request) as pieces:
            return [piece async for piece in pieces]


def provider_for(base_url: str) -> OpenAIProvider:
    return OpenAIProvider(OpenAISettings(api_key=Secret("k"), base_url=base_url), LlmSettings())


@pytest.mark.parametrize("seed", [None, 3])
async def test_text_and_calls_of_one_answer(seed: int | None) -> None:
    reply = Reply(
        "Let me see.",
        (CallTool("book", {"what": "table"}), CallTool("book", "{oops", id="own")),
    )
    async with simulated_openai(OpenAIScript((reply,), split_seed=seed)) as peer:
        provider = provider_for(peer.base_url)
        out = await ask(provider.for_session())
        assert "".join(x for x in out if isinstance(x, str)) == "Let me see."
        assert [x for x in out if not isinstance(x, str)] == [
            ToolCallBegun("call_0_0", "book"),
            ToolCall("call_0_0", "book", '{"what": "table"}'),
            ToolCallBegun("own", "book"),
            ToolCall("own", "book", "{oops"),
        ]
        # The connection was read to its end and is used again.
        await ask(provider.for_session())
        assert peer.connections == 1
        assert provider.health().ok
        await provider.aclose()


async def test_the_results_are_sent_back() -> None:
    replies = (Reply("", (CallTool("book", id="id-1"),)), "It is booked.")
    async with simulated_openai(OpenAIScript(replies)) as peer:
        provider = provider_for(peer.base_url)
        _, call = await ask(provider.for_session())
        assert call == ToolCall("id-1", "book", "{}")
        done = (
            *REQUEST.messages,
            ChatMessage("assistant", "", (call,)),
            ChatMessage("tool", "done", tool_call_id="id-1"),
        )
        out = await ask(provider.for_session(), ChatRequest(done, tools=(SPEC,)))
        assert "".join(str(x) for x in out) == "It is booked."
        # A context whose results are missing is refused, as by the real one.
        with pytest.raises(ProviderError, match="refused"):
            await ask(provider.for_session(), ChatRequest(done[:-1], tools=(SPEC,)))
        await provider.aclose()
