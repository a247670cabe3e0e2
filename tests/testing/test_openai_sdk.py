"""The official openai package, as its users use it, against the simulated server.

That it works, and fails with its own classes of errors, shows that the simulation speaks OpenAI's
protocol and not our idea of it. Synchronous client in a thread, asynchronous one on trio.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, TypeVar

import httpx2
import openai
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.patience import HANG_S, until
from vantum.testing.openai import (
    CallTool,
    Fault,
    FaultKind,
    OpenAIScript,
    Reply,
    SimulatedOpenAI,
    serve_openai,
    simulated_openai,
)
from vantum.testing.openai_wire import split_tokens

T = TypeVar("T")

TEXT = "Certainly.||BREAK||It costs $99.50 a month, Ms. O’Neill."
#: Not needed over plain HTTP, but each client would load all certificates again.
TLS = ssl.create_default_context()
MODEL = "gpt-4.1-2025-04-14"


@pytest.fixture
async def peer() -> AsyncIterator[SimulatedOpenAI]:
    async with simulated_openai(OpenAIScript(answers=(TEXT,))) as running:
        yield running


async def with_client(peer: SimulatedOpenAI, use: Callable[[openai.OpenAI], T]) -> T:
    """Run `use` with the synchronous client in a thread of its own."""

    def in_thread() -> T:
        with openai.OpenAI(
            api_key="sk-test",
            base_url=peer.base_url,
            max_retries=0,
            timeout=HANG_S,
            http_client=openai.DefaultHttpx2Client(verify=TLS),
        ) as client:
            return use(client)

    with trio.fail_after(2 * HANG_S):
        return await trio.to_thread.run_sync(in_thread)


def streamed(client: openai.OpenAI) -> list[str]:
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "How much?"}], stream=True
    ) as stream:
        return [c.choices[0].delta.content or "" for c in stream]


def whole(client: openai.OpenAI) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "How much?"}]
    )


async def test_a_streamed_answer(peer: SimulatedOpenAI) -> None:
    pieces = await with_client(peer, streamed)
    assert "".join(pieces) == TEXT
    assert len(pieces) > 10
    assert peer.completed == 1


async def test_the_chunks_of_a_stream_with_usage(peer: SimulatedOpenAI) -> None:
    def use(client: openai.OpenAI) -> list[openai.types.chat.ChatCompletionChunk]:
        return list(
            client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "How much?"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )

    chunks = await with_client(peer, use)
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert {chunk.id for chunk in chunks} == {"chatcmpl-simulated0"}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(split_tokens(TEXT))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_an_answer_in_one_piece(peer: SimulatedOpenAI) -> None:
    completion = await with_client(peer, whole)
    assert completion.object == "chat.completion"
    assert completion.model == MODEL
    assert completion.choices[0].message.content == TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None


def asked(client: openai.OpenAI, **wanted: Any) -> Any:
    question: Any = [{"role": "user", "content": "How much?"}]
    return client.chat.completions.create(model=MODEL, messages=question, **wanted)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_ends_where_its_tokens_do(
    peer: SimulatedOpenAI, name: str, stream: bool
) -> None:
    def use(client: openai.OpenAI) -> tuple[str, str, int]:
        wanted = {name: 3, "stream": stream}
        if not stream:
            whole = asked(client, **wanted)
            (choice,) = whole.choices
            return choice.message.content, choice.finish_reason, whole.usage.completion_tokens
        *chunks, last = asked(client, **wanted, stream_options={"include_usage": True})
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        return text, chunks[-1].choices[0].finish_reason, last.usage.completion_tokens

    assert await with_client(peer, use) == ("".join(split_tokens(TEXT)[:3]), "length", 3)


async def test_calls_of_tools_share_the_tokens() -> None:
    reply = Reply("One moment.", (CallTool("book", {"day": "Friday"}), CallTool("book")))
    tools = [{"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}]
    spoken = len(split_tokens("One moment."))
    async with simulated_openai(OpenAIScript(answers=(reply,))) as peer:
        ask = partial(asked, tools=tools, max_tokens=spoken + 3)
        (choice,) = (await with_client(peer, ask)).choices
        assert choice.finish_reason == "length"
        (call,) = choice.message.tool_calls
        assert '{"day": "Friday"}'.startswith(call.function.arguments)
        (choice,) = (await with_client(peer, partial(asked, tools=tools, max_tokens=99))).choices
        assert (choice.finish_reason, len(choice.message.tool_calls)) == ("tool_calls", 2)


async def test_several_choices() -> None:
    reply = Reply(TEXT, (CallTool("book"),))
    tools = [{"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}]
    async with simulated_openai(OpenAIScript(answers=(reply,))) as peer:
        whole = await with_client(peer, partial(asked, tools=tools, n=3))
        assert [choice.index for choice in whole.choices] == [0, 1, 2]
        assert {choice.message.content for choice in whole.choices} == {TEXT}
        assert len({choice.message.tool_calls[0].id for choice in whole.choices}) == 3
        assert whole.usage.completion_tokens == 3 * len(split_tokens(TEXT))

        def use(client: openai.OpenAI) -> list[Any]:
            return list(asked(client, tools=tools, n=2, stream=True))

        said: list[list[str]] = [[], []]
        ends = []
        for chunk in await with_client(peer, use):
            (choice,) = chunk.choices
            said[choice.index].append(choice.delta.content or "")
            ends += [choice.finish_reason] if choice.finish_reason else []
        assert ["".join(each) for each in said] == [TEXT, TEXT]
        assert ends == ["tool_calls"] * 2


@pytest.mark.parametrize(
    ("wanted", "param", "code"),
    [
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"max_tokens": -3}, "max_tokens", "integer_below_min_value"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens", "invalid_type"),
        (
            {"max_tokens": 5, "max_completion_tokens": 5},
            "max_tokens",
            "invalid_parameter_combination",
        ),
    ],
)
async def test_sizes_that_are_none(
    peer: SimulatedOpenAI, wanted: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await with_client(peer, partial(asked, **wanted))
    assert (caught.value.param, caught.value.code) == (param, code)
    nulls: dict[str, Any] = dict.fromkeys(wanted)
    assert (await with_client(peer, partial(asked, **nulls))).choices[0].message.content == TEXT


async def test_models(peer: SimulatedOpenAI) -> None:
    names = await with_client(peer, lambda client: [m.id for m in client.models.list()])
    assert names == list(peer.script.models)
    one = await with_client(peer, lambda client: client.models.retrieve(MODEL))
    assert (one.id, one.object) == (MODEL, "model")
    with pytest.raises(openai.NotFoundError):
        await with_client(peer, lambda client: client.models.retrieve("gpt-0"))


FAILURES: list[tuple[FaultKind, type[openai.APIStatusError], str | None]] = [
    ("bad_request", openai.BadRequestError, None),
    ("auth", openai.AuthenticationError, "invalid_api_key"),
    ("forbidden", openai.PermissionDeniedError, "unsupported_country_region_territory"),
    ("not_found", openai.NotFoundError, "model_not_found"),
    ("rate_limit", openai.RateLimitError, "rate_limit_exceeded"),
    ("slow_down", openai.RateLimitError, "slow_down"),
    ("quota", openai.RateLimitError, "credit_balance_exhausted"),
    ("server", openai.InternalServerError, None),
    ("overloaded", openai.InternalServerError, "server_is_overloaded"),
]


@pytest.mark.parametrize("use", [streamed, whole])
@pytest.mark.parametrize(("fault", "kind", "code"), FAILURES)
async def test_failures_are_its_own_classes(
    peer: SimulatedOpenAI,
    fault: FaultKind,
    kind: type[openai.APIStatusError],
    code: str | None,
    use: Callable[[openai.OpenAI], object],
) -> None:
    peer.faults.append(Fault(fault))
    with pytest.raises(kind) as caught:
        await with_client(peer, use)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert caught.value.request_id == "req_simulated"


@pytest.mark.parametrize("use", [streamed, whole])
@pytest.mark.parametrize("fault", ["refuse", "disconnect", "torn"])
async def test_lost_connections(
    peer: SimulatedOpenAI, fault: FaultKind, use: Callable[[openai.OpenAI], object]
) -> None:
    peer.faults.append(Fault(fault))
    with pytest.raises(openai.APIConnectionError):
        await with_client(peer, use)


@pytest.mark.parametrize("use", [streamed, whole])
@pytest.mark.parametrize("fault", ["hang", "hang_open", "stall"])
async def test_hanging(
    peer: SimulatedOpenAI, fault: FaultKind, use: Callable[[openai.OpenAI], object]
) -> None:
    peer.faults.append(Fault(fault))
    # Of reading alone: however slow the machine is, the request has left by then.
    timeout = httpx2.Timeout(None, read=0.03)
    with pytest.raises(openai.APITimeoutError):
        await with_client(peer, lambda client: use(client.with_options(timeout=timeout)))
    await until(lambda: peer.abandoned)


async def test_a_stream_that_turns_into_an_error(peer: SimulatedOpenAI) -> None:
    peer.faults.append(Fault("error_event"))
    with pytest.raises(openai.APIError, match="had an error"):
        await with_client(peer, streamed)


@pytest.mark.parametrize("fault", ["malformed", "cut"])
async def test_bodies_that_are_not_json(peer: SimulatedOpenAI, fault: FaultKind) -> None:
    peer.faults.append(Fault("malformed"))
    with pytest.raises(ValueError, match="property name"):
        await with_client(peer, streamed)
    peer.faults.append(Fault(fault))
    with pytest.raises((ValueError, openai.APIConnectionError)):
        await with_client(peer, whole)


async def test_a_stream_without_its_end_looks_complete_to_the_package(
    peer: SimulatedOpenAI,
) -> None:
    """Which is why our provider looks for the finish reason itself."""
    peer.faults.append(Fault("cut", after_tokens=1))
    assert await with_client(peer, streamed) == ["", "Certainly"]


@pytest.mark.parametrize("fault", ["length", "content_filter"])
@pytest.mark.parametrize("use", [streamed, whole])
async def test_answers_cut_short(
    peer: SimulatedOpenAI, fault: FaultKind, use: Callable[[openai.OpenAI], object]
) -> None:
    peer.faults.append(Fault(fault, after_tokens=1))
    answer = await with_client(peer, use)
    if isinstance(answer, openai.types.chat.ChatCompletion):
        assert answer.choices[0].finish_reason == fault
        assert answer.choices[0].message.content == "Certainly"
    else:
        assert answer == ["", "Certainly", ""]


ODD: list[tuple[FaultKind, str]] = [
    ("drip", TEXT),
    ("no_done", TEXT),
    ("empty", ""),
    ("blank", " \n"),
]


@pytest.mark.parametrize(("fault", "text"), ODD)
async def test_odd_but_proper_answers(peer: SimulatedOpenAI, fault: FaultKind, text: str) -> None:
    peer.script = OpenAIScript(answers=(TEXT,), split_seed=4)
    peer.faults.append(Fault(fault))
    assert "".join(await with_client(peer, streamed)) == text


async def test_a_content_filters_chunks(peer: SimulatedOpenAI) -> None:
    """Azure's servers send a chunk without choices ahead, and choices without a delta."""
    peer.faults.append(Fault("filtered"))

    def choices(
        client: openai.OpenAI,
    ) -> list[list[openai.types.chat.chat_completion_chunk.Choice]]:
        with client.chat.completions.create(model=MODEL, messages=[], stream=True) as stream:
            return [chunk.choices for chunk in stream]

    first, *rest = await with_client(peer, choices)
    assert first == []
    deltas = [getattr(one.delta, "content", None) for (one,) in rest]
    assert "".join(text or "" for text in deltas) == TEXT
    assert None in deltas[1:-1]


async def test_a_refusal_has_a_field_of_its_own(peer: SimulatedOpenAI) -> None:
    peer.faults.extend([Fault("refusal"), Fault("refusal")])
    message = (await with_client(peer, whole)).choices[0].message
    assert (message.content, message.refusal) == (None, TEXT)

    def refused(client: openai.OpenAI) -> str:
        with client.chat.completions.create(model=MODEL, messages=[], stream=True) as stream:
            return "".join(c.choices[0].delta.refusal or "" for c in stream)

    assert await with_client(peer, refused) == TEXT


async def test_a_pause_that_is_asked_for(peer: SimulatedOpenAI) -> None:
    """The package waits for it when it tries again by itself."""
    peer.faults.append(Fault("rate_limit", retry_after_s=1.25))
    with pytest.raises(openai.RateLimitError) as caught:
        await with_client(peer, whole)
    headers = caught.value.response.headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "1250")
    assert headers["x-ratelimit-limit-requests"] == "5000"
    peer.faults.append(Fault("rate_limit", retry_after_s=0.001))
    again = await with_client(peer, lambda client: whole(client.with_options(max_retries=1)))
    assert again.choices[0].message.content == TEXT


async def test_the_key_is_checked(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript(answers=(TEXT,), api_key="sk-other")
    with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
        await with_client(peer, streamed)
    peer.script = OpenAIScript(answers=(TEXT,), api_key="sk-test")
    assert await with_client(peer, streamed)


async def test_the_model_is_checked_if_asked_for(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript(models=("gpt-x",), check_model=True)
    with pytest.raises(openai.NotFoundError) as caught:
        await with_client(peer, whole)
    assert caught.value.code == "model_not_found"


def posted(body: object, client: openai.OpenAI) -> object:
    """As ASCII: the package itself sends no half of a surrogate pair."""
    content = json.dumps(body).encode()
    return client.post("/chat/completions", content=content, cast_to=object)


async def test_unknown_addresses_and_bodies(peer: SimulatedOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        await with_client(peer, lambda c: c.embeddings.create(model="m", input="x"))
    half = [{"role": "user", "content": "half a pair: \ud83d"}]
    bodies: list[object] = [
        {"model": 3},
        {"messages": "x", "model": "m"},
        ["x"],
        {"messages": half, "model": MODEL},
    ]
    for body in bodies:
        with pytest.raises(openai.BadRequestError):
            await with_client(peer, partial(posted, body))


async def test_both_halves_of_a_pair_are_one_character(peer: SimulatedOpenAI) -> None:
    said = [{"role": "user", "content": "\U0001f600"}]
    await with_client(peer, partial(posted, {"messages": said, "model": MODEL}))
    assert peer.requests[-1].body["messages"] == said


async def test_a_scripted_answer_may_hold_half_a_pair() -> None:
    async with simulated_openai(OpenAIScript(answers=("Fine \ud83d now.",))) as peer:
        assert "".join(await with_client(peer, streamed)) == "Fine \ud83d now."
        assert peer.completed == 1


async def test_answers_come_in_order_and_the_last_one_repeats(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript(answers=("One.", "Two."))
    said = [(await with_client(peer, whole)).choices[0].message.content for _ in range(3)]
    assert said == ["One.", "Two.", "Two."]


async def test_an_answer_may_depend_on_the_question(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript(answers=lambda messages: str(messages[-1]["content"]).upper())
    assert "".join(await with_client(peer, streamed)) == "HOW MUCH?"
    assert peer.chats[0].body["messages"] == [{"role": "user", "content": "How much?"}]


async def test_pace(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript(answers=("a b c d",), first_token_s=0.03, tokens_per_s=100.0)
    begun_s = trio.current_time()
    assert len(await with_client(peer, streamed)) == 6
    assert trio.current_time() - begun_s >= 0.06
    begun_s = trio.current_time()
    await with_client(peer, whole)
    assert trio.current_time() - begun_s >= 0.06


# The package leaves its async generators unfinished at the end of every stream, which trio reports.
# Our provider does not read through them.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_the_asynchronous_client_on_trio(peer: SimulatedOpenAI) -> None:
    async with openai.AsyncOpenAI(
        api_key="sk-test", base_url=peer.base_url, max_retries=0, timeout=HANG_S
    ) as client:
        for _ in range(2):
            async with await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "How much?"}], stream=True
            ) as stream:
                pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(pieces) == TEXT
        completion = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "How much?"}]
        )
        assert completion.choices[0].message.content == TEXT
        assert [m.id async for m in client.models.list()] == list(peer.script.models)
        for fault, kind in [
            ("auth", openai.AuthenticationError),
            ("rate_limit", openai.RateLimitError),
            ("bad_request", openai.BadRequestError),
            ("server", openai.InternalServerError),
        ]:
            peer.faults.append(Fault(fault))  # type: ignore[arg-type]
            with pytest.raises(kind):
                await client.chat.completions.create(model=MODEL, messages=[], stream=True)
        assert peer.connections == 1
        peer.faults.append(Fault("refuse"))
        with pytest.raises(openai.APIConnectionError):
            await client.chat.completions.create(model=MODEL, messages=[])


async def test_it_can_be_served_in_a_nursery_of_ones_own() -> None:
    async with trio.open_nursery() as nursery:
        peer = await nursery.start(serve_openai, OpenAIScript(answers=("Yes.",)))
        assert peer.base_url.endswith("/v1")
        assert "".join(await with_client(peer, streamed)) == "Yes."
        nursery.cancel_scope.cancel()


async def test_noise_on_the_line_harms_nobody(peer: SimulatedOpenAI) -> None:
    host, port = peer.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    for noise in (b"\x16\x03\x01 hello\r\n\r\n", b"GET", b""):
        stream = await trio.open_tcp_stream(host, int(port))
        await stream.send_all(noise)
        await stream.aclose()
    assert "".join(await with_client(peer, streamed)) == TEXT


@given(text=st.text(max_size=60), seed=st.none() | st.integers(0, 50))
@settings(max_examples=100)
def test_tokens_join_to_the_text(text: str, seed: int | None) -> None:
    tokens = split_tokens(text, seed)
    assert "".join(tokens) == text
    assert all(tokens)


# ---------------------------------------------------------------- tools

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "book",
            "description": "Book it.",
            "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
        },
    }
]
ASKED = Reply(
    "Let me see.",
    (CallTool("book", {"what": "a table"}), CallTool("book", "{oops", id="own")),
)
QUESTION: list[Any] = [{"role": "user", "content": "A table, please."}]


async def test_tools_are_asked_for_in_a_stream(peer: SimulatedOpenAI) -> None:
    """Put together by the package's own helper."""
    peer.script = OpenAIScript((ASKED,))

    def use(client: openai.OpenAI) -> Any:
        with client.chat.completions.stream(model=MODEL, messages=QUESTION, tools=TOOLS) as stream:
            events = [event.type for event in stream]
            return events, stream.get_final_completion()

    events, completion = await with_client(peer, use)
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see."
    calls = [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls]
    assert calls == [("call_0_0", "book", '{"what": "a table"}'), ("own", "book", "{oops")]
    assert events.count("tool_calls.function.arguments.delta") > 4
    assert events.count("tool_calls.function.arguments.done") == 2


async def test_tools_are_asked_for_in_one_piece(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript((Reply("", (CallTool("book"),)),))

    def use(client: openai.OpenAI, **options: Any) -> Any:
        return client.chat.completions.create(model=MODEL, messages=QUESTION, **options).choices[0]

    choice = await with_client(peer, lambda client: use(client, tools=TOOLS))
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls[0].function.arguments == "{}"
    none = await with_client(peer, lambda client: use(client, tools=TOOLS, tool_choice="none"))
    assert (none.finish_reason, none.message.tool_calls) == ("stop", None)
    without = await with_client(peer, use)
    assert without.message.tool_calls is None


@pytest.mark.parametrize(("parallel", "asked"), [(True, 2), (False, 1)])
async def test_tools_at_once_only_if_they_are_wanted(
    peer: SimulatedOpenAI, parallel: bool, asked: int
) -> None:
    peer.script = OpenAIScript((ASKED,))

    def use(client: openai.OpenAI) -> Any:
        return client.chat.completions.create(
            model=MODEL, messages=QUESTION, tools=TOOLS, parallel_tool_calls=parallel
        )

    completion = await with_client(peer, use)
    assert len(completion.choices[0].message.tool_calls) == asked


WRONG: list[tuple[Any, Any, str]] = [
    ([{"type": "custom"}], QUESTION, "Expected a function"),
    ([{"type": "function", "function": {"name": "a b"}}], QUESTION, "does not match pattern"),
    ([{"type": "function", "function": {"name": "a"}}], QUESTION, "Invalid schema for function"),
    (TOOLS, [{"role": "tool", "content": "x", "tool_call_id": "1"}], "must be a response to"),
    (
        TOOLS,
        [
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "a", "arguments": ""}}
                ],
            },
            {"role": "user", "content": "Hello?"},
        ],
        "must be followed by tool messages",
    ),
]


@pytest.mark.parametrize(("tools", "messages", "why"), WRONG)
async def test_wrong_tools_and_results_are_refused(
    peer: SimulatedOpenAI, tools: Any, messages: Any, why: str
) -> None:
    def use(client: openai.OpenAI) -> object:
        return client.chat.completions.create(model=MODEL, messages=messages, tools=tools)

    with pytest.raises(openai.BadRequestError, match=why):
        await with_client(peer, use)
