"""The OpenAI provider against the simulated server, on real loopback sockets and the real clock.

No autojump clock there: it would jump whenever everything waits for a socket. What is about time
runs in memory, in virtual time.
"""

from __future__ import annotations

import gc
import json
import logging
import math
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import trio
import trio.testing
from openai._base_client import get_platform

from tests.patience import HANG_S, until
from vantum.actors.llm import LlmLimits, generate
from vantum.config import LlmSettings, OpenAISettings, Secret
from vantum.core.backoff import Schedule
from vantum.core.history import message_tokens
from vantum.core.messages import (
    ChatMessage,
    ChatRequest,
    LlmFailed,
    LlmFinished,
    LlmOutput,
    LlmToken,
)
from vantum.core.spent import Spent
from vantum.core.tokens import estimate_tokens
from vantum.errors import ErrorKind, ProviderError
from vantum.ports import LanguageModel, LanguageModelProvider, Metered
from vantum.providers import openai as under_test
from vantum.providers.openai import OpenAIProvider
from vantum.testing.calls.wires import memory_http
from vantum.testing.openai import Fault, FaultKind, OpenAIScript, SimulatedOpenAI, simulated_openai

KEY = "sk-very-secret"
TEXT = "Good morning!||BREAK||This is Kyle, how are you?"
#: Not needed over plain HTTP, but each client would load all certificates again (50 ms).
TLS = ssl.create_default_context()
REQUEST = ChatRequest((ChatMessage("system", "Be kind."), ChatMessage("user", "Hello?")))


@pytest.fixture
async def peer() -> AsyncIterator[SimulatedOpenAI]:
    async with simulated_openai(OpenAIScript(answers=(TEXT,), api_key=KEY)) as running:
        yield running


def provider_for(peer: SimulatedOpenAI, key: str = KEY, **llm: Any) -> OpenAIProvider:
    openai = OpenAISettings(
        api_key=Secret(key), organization="org-1", base_url=peer.base_url.replace("http", "ws")
    )
    client = httpx2.AsyncClient(verify=TLS, timeout=None)
    return OpenAIProvider(openai, LlmSettings(**llm), http_client=client)


@pytest.fixture
async def provider(peer: SimulatedOpenAI) -> AsyncIterator[OpenAIProvider]:
    """Closed in the end, but not entered: it makes no connections of its own."""
    made = provider_for(peer)
    yield made
    await made.aclose()


async def ask(model: LanguageModel, request: ChatRequest = REQUEST) -> list[str]:
    with trio.fail_after(HANG_S):
        async with model.stream(request) as pieces:
            return [str(piece) async for piece in pieces]


async def test_an_answer_comes_as_tokens(peer: SimulatedOpenAI, provider: OpenAIProvider) -> None:
    pieces = await ask(provider.for_session())
    assert "".join(pieces) == TEXT
    assert len(pieces) > 5
    assert all(pieces)
    assert provider.health().detail == "answers"


async def test_the_provider_is_what_the_port_wants(provider: OpenAIProvider) -> None:
    port: LanguageModelProvider = provider
    assert port.name == "openai"
    assert port.health().ok


async def test_with_a_client_of_its_own(peer: SimulatedOpenAI) -> None:
    openai = OpenAISettings(api_key=Secret(KEY), base_url=peer.base_url)
    async with OpenAIProvider(openai, LlmSettings()) as provider:
        assert "".join(await ask(provider.for_session())) == TEXT


async def test_what_is_asked(peer: SimulatedOpenAI) -> None:
    provider = provider_for(peer, model="gpt-x", temperature=0.25, presence_penalty=0.5)
    await ask(provider.for_session())
    await provider.aclose()
    (recorded,) = peer.requests
    assert recorded.headers["authorization"] == f"Bearer {KEY}"
    assert recorded.headers["openai-organization"] == "org-1"
    assert recorded.body == {
        "model": "gpt-x",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hello?"},
        ],
        "temperature": 0.25,
        "top_p": 1.0,
        "max_tokens": 500,
        "presence_penalty": 0.5,
        "stream": True,
    }


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer's connection is given back however long the machine takes to read its end."""
    monkeypatch.setattr(under_test, "_DRAIN_S", HANG_S)


@pytest.mark.usefixtures("drained")
async def test_requests_are_gone_with_their_answers(provider: OpenAIProvider) -> None:
    """With the whole context in them: they must not wait for the garbage collector."""

    def alive() -> int:
        return sum(isinstance(thing, httpx2.Request) for thing in gc.get_objects())

    model = provider.for_session()
    await ask(model)  # whatever the first one leaves for good
    gc.collect()
    before = alive()
    gc.disable()
    logging.disable()  # what the test runner captures of the library's log would keep them
    try:
        for _ in range(5):
            await ask(model)
        assert alive() <= before
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()


@pytest.mark.usefixtures("drained")
async def test_answers_share_one_connection(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    model = provider.for_session()
    for _ in range(3):
        await ask(model)
    assert peer.connections == 1


async def test_the_end_does_not_wait_for_the_connections_end(peer: SimulatedOpenAI) -> None:
    """The finish reason ends the answer; that nothing follows it is not the caller's problem."""
    peer.faults.append(Fault("length", after_tokens=3))
    async with provider_for(peer) as provider:
        assert len(await ask(provider.for_session())) == 3


REFUSALS: list[tuple[FaultKind, ErrorKind]] = [
    ("bad_request", "invalid_request"),
    ("auth", "auth"),
    ("forbidden", "auth"),
    ("not_found", "invalid_request"),
    ("timeout", "timeout"),
    ("rate_limit", "rate_limit"),
    ("slow_down", "rate_limit"),
    ("quota", "quota"),
    ("server", "server"),
    ("overloaded", "server"),
    ("refuse", "network"),
]


@pytest.mark.parametrize(("fault", "kind"), REFUSALS)
async def test_requests_that_fail(
    peer: SimulatedOpenAI, provider: OpenAIProvider, fault: FaultKind, kind: ErrorKind
) -> None:
    peer.faults.append(Fault(fault))
    with pytest.raises(ProviderError) as caught:
        await ask(provider.for_session())
    assert caught.value.kind == kind
    assert caught.value.__cause__ is None
    assert "secret" not in str(caught.value)
    assert len(peer.chats) == 1, "our own policy tries again, not the library's"
    assert "".join(await ask(provider.for_session())) == TEXT


BREAKS: list[tuple[FaultKind, ErrorKind, str]] = [
    ("disconnect", "network", "broke off"),
    ("torn", "network", "broke off"),
    ("cut", "network", "ended before the answer did"),
    ("malformed", "network", "malformed event"),
    ("error_event", "server", "half-way"),
    ("content_filter", "invalid_request", "content filter"),
]


@pytest.mark.parametrize(("fault", "kind", "message"), BREAKS)
async def test_streams_that_break_keep_what_came_before(
    peer: SimulatedOpenAI,
    provider: OpenAIProvider,
    fault: FaultKind,
    kind: ErrorKind,
    message: str,
) -> None:
    peer.faults.append(Fault(fault, after_tokens=2))
    pieces = []
    with pytest.raises(ProviderError, match=message) as caught:  # noqa: PT012 (both are wanted)
        async with provider.for_session().stream(REQUEST) as stream:
            async for piece in stream:
                pieces.append(piece)
    assert pieces == ["Good", " morning"]
    assert caught.value.kind == kind
    assert "".join(await ask(provider.for_session())) == TEXT


async def test_an_empty_answer_is_no_text(peer: SimulatedOpenAI, provider: OpenAIProvider) -> None:
    peer.faults.append(Fault("empty"))
    assert await ask(provider.for_session()) == []


@pytest.mark.parametrize("fault", ["no_done", "refusal", "filtered"])
async def test_answers_of_another_form(
    peer: SimulatedOpenAI, provider: OpenAIProvider, fault: FaultKind
) -> None:
    peer.faults.append(Fault(fault))
    assert "".join(await ask(provider.for_session())) == TEXT


async def test_a_pause_that_is_asked_for(peer: SimulatedOpenAI, provider: OpenAIProvider) -> None:
    for asked_s in (None, 1.25):
        peer.faults.append(Fault("rate_limit", retry_after_s=asked_s))
        with pytest.raises(ProviderError) as caught:
            await ask(provider.for_session())
        assert caught.value.retry_after_s == asked_s


async def test_bytes_that_drip(peer: SimulatedOpenAI, provider: OpenAIProvider) -> None:
    peer.script = OpenAIScript(answers=("Ünïcode – ok",))
    peer.faults.append(Fault("drip"))
    assert "".join(await ask(provider.for_session())) == "Ünïcode – ok"


async def test_a_wrong_key(peer: SimulatedOpenAI) -> None:
    async with provider_for(peer, key="sk-wrong-secret") as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider.for_session())
        assert caught.value.kind == "auth"
        assert "secret" not in str(caught.value) + provider.health().detail + repr(provider)
        assert not provider.health().ok


async def test_a_server_without_keys(peer: SimulatedOpenAI) -> None:
    peer.script = OpenAIScript(answers=(TEXT,))
    async with provider_for(peer, key="") as provider:
        assert "".join(await ask(provider.for_session())) == TEXT


async def test_nobody_listens() -> None:
    async with simulated_openai() as peer:
        provider = provider_for(peer)
    with pytest.raises(ProviderError, match=r"no response from 127\.0\.0\.1 \(ConnectError\)") as e:
        await ask(provider.for_session())
    assert e.value.kind == "network"
    await provider.aclose()


async def test_a_proxy_that_the_environment_names_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        asked.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n")

    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            port = listener.socket.getsockname()[1]
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            settings = OpenAISettings(api_key=Secret(KEY), base_url="http://model.test/v1")
            provider = OpenAIProvider(settings, LlmSettings())
            with pytest.raises(ProviderError, match="HTTP 503"):
                await ask(provider.for_session())
            await provider.aclose()
            nursery.cancel_scope.cancel()
    assert asked[0].startswith(b"POST http://model.test/v1/chat/completions HTTP/1.1\r\n")


# ---------------------------------------------------------------- odd transports


def answering(respond: Callable[[httpx2.Request], httpx2.Response]) -> OpenAIProvider:
    """A provider whose HTTP client gets its responses from a function, for what no peer does."""
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(respond), verify=TLS)
    return OpenAIProvider(OpenAISettings(api_key=Secret(KEY)), LlmSettings(), http_client=client)


def event_stream(data: bytes) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _: httpx2.Response(
        200, headers={"content-type": "text/event-stream"}, content=data
    )


async def test_a_server_that_sends_done_without_a_finish_reason() -> None:
    data = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\ndata: {oops\n\n'
    async with answering(event_stream(data)) as provider:
        assert await ask(provider.for_session()) == ["Hi"]


def said(text: str) -> bytes:
    return b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % text.encode()


async def test_what_comes_together_is_one_text() -> None:
    data = said("Hi") + said("") + said(" there") + said(".") + b"data: [DONE]\n\n"
    async with answering(event_stream(data)) as provider:
        assert await ask(provider.for_session()) == ["Hi there."]


async def test_what_came_with_a_failure_stands() -> None:
    data = said("Hi") + said(" there") + b"data: {oops\n\n"
    async with (
        answering(event_stream(data)) as provider,
        provider.for_session().stream(REQUEST) as pieces,
    ):
        assert await anext(aiter(pieces)) == "Hi there"
        with pytest.raises(ProviderError, match="malformed event"):
            await anext(aiter(pieces))


async def test_a_line_without_end() -> None:
    async with answering(event_stream(b"x" * 1_100_000)) as provider:
        with pytest.raises(ProviderError, match="longer than 1 MiB") as caught:
            await ask(provider.for_session())
    assert caught.value.kind == "network"


async def test_no_connection_in_time() -> None:
    def respond(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectTimeout("", request=request)

    async with answering(respond) as provider:
        with pytest.raises(ProviderError, match="no connection within 5 s") as caught:
            await ask(provider.for_session())
    assert caught.value.kind == "timeout"


async def test_an_error_whose_body_breaks_off() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        raise httpx2.ReadError("reset")

    async with answering(lambda _: httpx2.Response(500, content=body())) as provider:
        with pytest.raises(ProviderError, match=r"broke off \(ReadError\)") as caught:
            await ask(provider.for_session())
    assert caught.value.kind == "network"


async def test_a_redirect_to_nowhere_is_not_understood() -> None:
    async with answering(lambda _: httpx2.Response(304)) as provider:
        with pytest.raises(ProviderError, match="HTTP 304") as caught:
            await ask(provider.for_session())
    assert caught.value.kind == "unknown"


async def test_openai_itself_is_asked_in_its_newer_words() -> None:
    seen: list[httpx2.Request] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return event_stream(b"data: [DONE]\n\n")(request)

    provider = answering(respond)
    await ask(provider.for_session())
    await provider.aclose()
    (request,) = seen
    assert str(request.url) == "https://api.openai.com/v1/chat/completions"
    body = json.loads(request.content)
    assert "max_completion_tokens" in body
    assert body["stream_options"] == {"include_usage": True}


# ---------------------------------------------------------------- what it has used

SAID = b'data: {"choices":[{"delta":{"content":"Hi there"}}],"usage":null}\n\n'
FINISHED = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
USED = (
    b'data: {"choices":[],"usage":{"prompt_tokens":2000,"completion_tokens":30,'
    b'"prompt_tokens_details":{"cached_tokens":1536}}}\n\ndata: [DONE]\n\n'
)


def spent_by(model: LanguageModel) -> Spent:
    assert isinstance(model, Metered)
    return model.spent


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_openai_bills_is_read_behind_the_answer(at_once: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield SAID + FINISHED + (USED if at_once else b"")
        if not at_once:
            yield USED

    def respond(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body())

    async with answering(respond) as provider:
        model = provider.for_session()
        assert await ask(model) == ["Hi there"]
        assert await ask(model) == ["Hi there"]
        assert spent_by(model) == Spent(
            requests=2, sent_tokens=4000, cached_tokens=3072, written_tokens=60
        )


async def test_of_an_answer_that_is_cut_it_is_estimated() -> None:
    async with answering(event_stream(SAID)) as provider:
        model = provider.for_session()
        async with model.stream(REQUEST) as pieces:
            assert await anext(aiter(pieces)) == "Hi there"
        spent = spent_by(model)
        assert (spent.requests, spent.estimated, spent.cached_tokens) == (1, 1, 0)
        assert spent.sent_tokens == sum(map(message_tokens, REQUEST.messages))
        assert spent.written_tokens == estimate_tokens("Hi there")


async def test_of_a_server_that_does_not_tell_it_is_estimated(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    model = provider.for_session()
    await ask(model)
    spent = spent_by(model)
    assert (spent.requests, spent.estimated) == (1, 1)
    assert spent.written_tokens == estimate_tokens(TEXT)
    peer.faults.append(Fault("server"))
    with pytest.raises(ProviderError):
        await ask(model)
    assert spent_by(model).requests == 1, "what is refused costs nothing"
    peer.faults.append(Fault("hang"))
    with trio.move_on_after(0.1):
        await ask(model)
    assert spent_by(model).requests == 2, "it was asked"


# ---------------------------------------------------------------- connections


@asynccontextmanager
async def in_memory(fault: Fault) -> AsyncIterator[tuple[SimulatedOpenAI, LanguageModel]]:
    """A peer at the other end of streams in memory, so that the clock can be virtual."""
    peer = SimulatedOpenAI(OpenAIScript(answers=(TEXT,), faults=(fault,)))
    async with trio.open_nursery() as nursery:

        async def open_stream(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(peer.serve_stream, theirs)
            return ours

        settings = OpenAISettings(api_key=Secret(KEY), base_url="http://openai.test/v1")
        provider = OpenAIProvider(settings, LlmSettings(), http_client=memory_http(open_stream))
        # The package would ask for it in a thread, and meanwhile the clock would jump.
        provider._client._platform = get_platform()
        yield peer, provider.for_session()
        await provider.aclose()
        nursery.cancel_scope.cancel()


async def test_cancelling_closes_the_stream_at_once(autojump_clock: object) -> None:
    async with in_memory(Fault("stall", after_tokens=1)) as (peer, model):
        with trio.CancelScope() as scope:
            async with model.stream(REQUEST) as pieces:
                async for _ in pieces:
                    scope.deadline = trio.current_time() + 0.01
        assert trio.current_time() == scope.deadline
        await trio.testing.wait_all_tasks_blocked()
        assert peer.abandoned == 1
        assert trio.current_time() == scope.deadline


async def test_leaving_an_answer_in_the_middle_closes_it_at_once(autojump_clock: object) -> None:
    async with in_memory(Fault("stall", after_tokens=1)) as (peer, model):
        async with model.stream(REQUEST) as pieces:
            assert await anext(aiter(pieces)) == "Good"
            left_s = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert peer.abandoned == 1
        assert trio.current_time() == left_s
        assert peer.completed == 0


async def test_leaving_an_answer_in_the_middle_closes_its_socket(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    peer.faults.append(Fault("stall", after_tokens=1))
    async with provider.for_session().stream(REQUEST) as pieces:
        assert await anext(aiter(pieces)) == "Good"
    await until(lambda: peer.abandoned)


async def test_cancelling_while_nothing_has_come(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    peer.faults.extend([Fault("hang"), Fault("hang_open")])
    await ask_and_cancel(peer, provider)
    assert peer.abandoned == 1
    await ask_and_cancel(peer, provider)
    assert peer.abandoned == 2


async def ask_and_cancel(peer: SimulatedOpenAI, provider: OpenAIProvider) -> None:
    """Cancel when the peer has the request, and wait until it has noticed."""
    asked, abandoned = len(peer.chats), peer.abandoned
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, provider.for_session())
        await until(lambda: len(peer.chats) > asked)
        nursery.cancel_scope.cancel()
    await until(lambda: peer.abandoned > abandoned)


@pytest.mark.usefixtures("drained")
async def test_a_spare_connection_is_ready_after_an_interruption(peer: SimulatedOpenAI) -> None:
    async with provider_for(peer, model=peer.script.models[0]) as provider:
        model = provider.for_session()
        await until(lambda: provider._warming == 0)
        assert [r.path for r in peer.requests] == ["/v1/models/gpt-4.1-2025-04-14"]
        await ask(model)
        assert peer.connections == 1, "the session's first answer found an open connection"

        peer.faults.append(Fault("stall"))
        async with model.stream(REQUEST) as pieces:
            await anext(aiter(pieces))
        await until(lambda: peer.connections == 2)
        await until(lambda: provider._warming == 0)
        await ask(model)
        assert peer.connections == 2, "the next answer found one too"


async def test_a_crowd_of_sessions_does_not_warm_up_all_at_once(peer: SimulatedOpenAI) -> None:
    async with provider_for(peer) as provider:
        for _ in range(50):
            provider.for_session()
        await until(lambda: provider._warming == 0)
        assert len(peer.requests) == 4


async def test_a_failing_warm_up_harms_nobody() -> None:
    async with simulated_openai() as peer:
        provider = provider_for(peer)
    async with provider:
        provider.for_session()
        await until(lambda: provider._warming == 0)
        assert provider.health().detail == "not asked yet"


@pytest.mark.usefixtures("drained")
async def test_a_kept_connection_that_was_closed_is_replaced_without_a_failure(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    model = provider.for_session()
    await ask(model)
    peer.faults.append(Fault("refuse"))  # what a server does that closes as the request arrives
    assert "".join(await ask(model)) == TEXT
    assert (len(peer.chats), peer.connections) == (3, 2)
    assert provider.health().detail == "answers"


# ---------------------------------------------------------------- health


@pytest.mark.parametrize("fault", ["hang", "hang_open"])
async def test_silence_that_was_waited_out_is_a_failure(
    peer: SimulatedOpenAI, fault: FaultKind
) -> None:
    peer.faults.append(Fault(fault))
    async with provider_for(peer, request_timeout_ms=100) as provider:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, provider.for_session())
            await until(lambda: peer.chats)
            await trio.sleep(0.1)  # at least, and it began to wait before that
            nursery.cancel_scope.cancel()
        assert provider.health().detail.startswith("timeout: silent for ")


@pytest.mark.parametrize(
    ("heard", "complete", "silent_s", "detail"),
    [
        (False, False, 0.1, "not asked yet"),  # interrupted before the first token
        (False, False, 30.0, "timeout: silent for 30.0 s (0 s ago)"),
        (True, False, 5.0, "answers"),  # interrupted while it spoke
        (True, False, 10.0, "timeout: silent for 10.0 s (0 s ago)"),
        (True, True, 60.0, "answers"),
        (False, True, 60.0, "not asked yet"),  # an empty answer
    ],
)
async def test_how_an_answer_ended_shows_in_the_health(
    provider: OpenAIProvider, heard: bool, complete: bool, silent_s: float, detail: str
) -> None:
    provider.closed(heard=heard, complete=complete, failed=False, silent_s=silent_s)
    assert provider.health().detail == detail


# ---------------------------------------------------------------- with the actor


async def generated(provider: OpenAIProvider, limits: LlmLimits) -> list[LlmOutput]:
    token_tx, token_rx = trio.open_memory_channel[LlmOutput](math.inf)
    with trio.fail_after(HANG_S):
        await generate(
            provider.for_session(), REQUEST, token_tx, limits=limits, provider=provider.name
        )
    with token_rx:
        return [message async for message in token_rx]


async def test_the_actor_retries_what_the_provider_refused(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    peer.faults.extend([Fault("overloaded"), Fault("rate_limit")])
    messages = await generated(provider, LlmLimits(retry=Schedule((0.001, 0.001))))
    assert "".join(m.text for m in messages if isinstance(m, LlmToken)) == TEXT
    assert messages[-1] == LlmFinished()
    assert len(peer.chats) == 3


async def test_the_actor_ends_a_stalled_stream(
    peer: SimulatedOpenAI, provider: OpenAIProvider
) -> None:
    peer.faults.append(Fault("stall", after_tokens=1))
    messages = await generated(provider, LlmLimits(token_s=0.03))
    assert messages == [
        LlmToken("Good"),
        LlmFailed("timeout", "no further text within 0.03 s", "openai"),
    ]
    await until(lambda: peer.abandoned)


async def test_many_sessions_at_once(peer: SimulatedOpenAI, provider: OpenAIProvider) -> None:
    peer.script = OpenAIScript(answers=lambda messages: f"You said {messages[-1]['content']}.")
    heard: dict[int, str] = {}

    async def session(number: int) -> None:
        request = ChatRequest((ChatMessage("user", f"number {number}"),))
        heard[number] = "".join(await ask(provider.for_session(), request))

    async with trio.open_nursery() as nursery:
        for number in range(30):
            nursery.start_soon(session, number)
    assert heard == {number: f"You said number {number}." for number in range(30)}
