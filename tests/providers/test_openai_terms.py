"""Models that do not take all of a request: what is learned from it, and that it is asked again."""

from __future__ import annotations

import ssl
from typing import Any

import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.patience import HANG_S, until
from vantum.config import LlmSettings, OpenAISettings, Secret
from vantum.core.messages import ChatMessage, ChatRequest, ToolSpec
from vantum.errors import ProviderError
from vantum.providers.openai import OpenAIProvider
from vantum.providers.openai_served import ServedModel
from vantum.providers.openai_terms import LIMITS, Terms
from vantum.testing.openai import Fault, OpenAIScript, SimulatedOpenAI, simulated_openai

MODEL = "gpt-6-luna"
TLS = ssl.create_default_context()
TOOL = ToolSpec("book", "Book it.", {"type": "object", "properties": {}})
REQUEST = ChatRequest((ChatMessage("user", "Hello?"),))
BODY = {"model": "m", "messages": [], "temperature": 0.7, "top_p": 1.0, "max_tokens": 500}
FIRST = Terms("max_tokens")


def refused(param: Any, code: Any = "unsupported_value") -> dict[str, Any]:
    return {"message": "…", "type": "invalid_request_error", "param": param, "code": code}


# ---------------------------------------------------------------- pure


def test_what_a_body_is_in_some_terms() -> None:
    assert FIRST.applied(BODY) == BODY
    terms = Terms("max_completion_tokens", "none", without=frozenset({"temperature", "top_p"}))
    assert terms.applied(BODY) == {
        "model": "m",
        "messages": [],
        "max_completion_tokens": 500,
        "reasoning_effort": "none",
    }


@pytest.mark.parametrize(
    ("error", "learned"),
    [
        (refused("temperature"), Terms("max_tokens", without=frozenset({"temperature"}))),
        (
            refused("top_p", "unsupported_parameter"),
            Terms("max_tokens", without=frozenset({"top_p"})),
        ),
        (
            refused("max_tokens", "unsupported_parameter"),
            Terms("max_completion_tokens", renamed=True),
        ),
        (refused("reasoning_effort", None), Terms("max_tokens", "none")),
    ],
)
def test_what_is_learned(error: dict[str, Any], learned: Terms) -> None:
    body = FIRST.applied(BODY)
    assert FIRST.after(body, 400, error) == learned
    for status in (401, 404, 422, 429, 500):
        assert FIRST.after(body, status, error) == FIRST
    # What was learned is not learned again from the same words: the request would go for ever.
    assert learned.after(learned.applied(BODY), 400, error) == learned


@pytest.mark.parametrize(
    "error",
    [
        refused("model"),
        refused("messages"),
        refused("frequency_penalty"),  # was not sent
        refused("temperature", None),  # what is wrong with it is not that it is there
        refused("temperature", "invalid_value"),
        refused(None),
        refused(["temperature"]),
        "unsupported_value",
        None,
    ],
)
def test_what_teaches_nothing(error: Any) -> None:
    assert FIRST.after(FIRST.applied(BODY), 400, error) == FIRST


def test_the_longest_answer_has_no_third_name() -> None:
    other = FIRST.after(FIRST.applied(BODY), 400, refused("max_tokens"))
    assert other.limit == "max_completion_tokens"
    assert other.after(other.applied(BODY), 400, refused(other.limit)) == other


CODES = ["unsupported_value", "unsupported_parameter", None]
NAMES = [*LIMITS, "temperature", "top_p", "prompt_cache_key", "reasoning_effort", "model", "tools"]


@given(st.data(), st.sampled_from(LIMITS), st.sampled_from(["", "none", "low"]))
def test_it_comes_to_an_end(data: st.DataObject, limit: str, effort: str) -> None:
    terms, attempts = Terms(limit, effort), 0
    while True:
        attempts += 1
        error = refused(data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(CODES)))
        learned = terms.after(terms.applied(BODY), 400, error)
        if learned == terms:
            break
        terms = learned
    assert attempts <= len(NAMES)
    assert terms.limit in LIMITS


# ---------------------------------------------------------------- against the simulated server


def provider_for(peer: SimulatedOpenAI, **llm: Any) -> OpenAIProvider:
    settings = OpenAISettings(api_key=Secret("sk-x"), base_url=peer.base_url)
    client = httpx2.AsyncClient(verify=TLS, timeout=None)
    return OpenAIProvider(settings, LlmSettings(model=MODEL, **llm), http_client=client)


async def ask(provider: OpenAIProvider, request: ChatRequest = REQUEST) -> str:
    with trio.fail_after(HANG_S):
        async with provider.for_session().stream(request) as pieces:
            return "".join([str(piece) async for piece in pieces])


SCRIPT = OpenAIScript(
    answers=("Good morning.",), models=(MODEL, "gpt-x"), reasoning_models=(MODEL,)
)


async def test_a_model_that_reasons_is_asked_so_that_it_answers() -> None:
    with_tools = ChatRequest(REQUEST.messages, tools=(TOOL,))
    async with simulated_openai(SCRIPT) as peer:
        provider = provider_for(peer, top_p=0.9, presence_penalty=0.5)
        with capture_logs() as logs:
            assert await ask(provider, with_tools) == "Good morning."
        assert provider.health().detail == "answers"
        refusals, answered = peer.chats[:-1], peer.chats[-1]
        assert len(refusals) == 5
        assert answered.body["reasoning_effort"] == "none"
        assert answered.body["max_completion_tokens"] == 500
        assert not {"temperature", "top_p", "presence_penalty", "max_tokens"} & set(answered.body)
        said = [log for log in logs if log["event"] == "the model does not take all settings"]
        assert said[-1]["left_out"] == ["presence_penalty", "temperature", "top_p"]
        assert said[-1]["reasoning_effort"] == "none"
        # Everybody knows it from now on.
        await ask(provider, with_tools)
        await ask(provider)
        assert len(peer.chats) == 8
        await provider.aclose()


async def test_without_tools_it_reasons_as_it_likes() -> None:
    async with simulated_openai(SCRIPT) as peer:
        provider = provider_for(peer, temperature=1)
        await ask(provider)
        assert "reasoning_effort" not in peer.chats[-1].body
        await provider.aclose()


async def test_an_effort_that_is_set_is_not_taken_back() -> None:
    async with simulated_openai(SCRIPT) as peer:
        provider = provider_for(peer, temperature=1, reasoning_effort="low")
        with pytest.raises(ProviderError, match=r"HTTP 400.*about reasoning_effort") as caught:
            await ask(provider, ChatRequest(REQUEST.messages, tools=(TOOL,)))
        assert caught.value.kind == "invalid_request"
        assert len(peer.chats) == 1
        await provider.aclose()


async def test_answers_at_once_learn_from_each_other() -> None:
    async with simulated_openai(SCRIPT) as peer:
        provider = provider_for(peer)
        answers = []

        async def one() -> None:
            answers.append(await ask(provider))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(one)
        assert answers == ["Good morning."] * 5
        await provider.aclose()


async def test_another_failure_is_no_lesson() -> None:
    async with simulated_openai(SCRIPT) as peer:
        peer.faults.append(Fault("bad_request"))
        provider = provider_for(peer)
        with pytest.raises(ProviderError, match="HTTP 400"):
            await ask(provider)
        assert len(peer.chats) == 1
        await provider.aclose()


# ---------------------------------------------------------------- a model that will be no more


async def test_a_model_that_will_be_shut_down_is_told_of_once() -> None:
    script = OpenAIScript(models=(MODEL,), shutdown_dates={MODEL: "2027-01-14"})
    async with simulated_openai(script) as peer:
        with capture_logs() as logs:
            async with provider_for(peer) as provider:
                for count in (1, 2):
                    provider.for_session()
                    await until(lambda: provider._warming == 0)
                    assert len(peer.requests) == count
        (said,) = [log for log in logs if "shut down" in log["event"]]
        assert (said["on"], said["model"], said["log_level"]) == ("2027-01-14", MODEL, "warning")


@pytest.mark.parametrize("date", [None, "", "soon", 2027, "2027-01-14T00:00", "2027-01-14\n"])
def test_what_is_no_date_is_not_told(date: object) -> None:
    with capture_logs() as logs:
        ServedModel("m", FIRST).described(date)
    assert not logs
