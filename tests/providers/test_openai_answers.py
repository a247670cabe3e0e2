"""Answers of servers that follow OpenAI's loosely, byte by byte."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing
from openai._base_client import get_platform

from vantum.config import LlmSettings, OpenAISettings, Secret
from vantum.core.messages import ChatMessage, ChatRequest
from vantum.errors import ErrorKind, ProviderError
from vantum.providers.openai import OpenAIProvider
from vantum.testing.calls.wires import memory_http

SAID = b'data: {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}\n\n'


def response(body: bytes, kind: str = "text/event-stream") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def texts(answer: bytes) -> list[str]:
    """What a server says that answers so."""

    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)

    async with trio.open_nursery() as nursery:

        async def open_stream(host: str, port: int) -> trio.abc.Stream:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(partial(serve, theirs))
            await trio.lowlevel.checkpoint()
            return ours

        settings = OpenAISettings(api_key=Secret("k"), base_url="http://openai.test/v1")
        provider = OpenAIProvider(settings, LlmSettings(), http_client=memory_http(open_stream))
        # The package would ask for it in a thread, and meanwhile the clock would jump.
        provider._client._platform = get_platform()
        request, failure, said = ChatRequest((ChatMessage("user", "Hello?"),)), None, list[str]()
        try:
            async with provider.for_session().stream(request) as pieces:
                said = [str(piece) async for piece in pieces]
        except ProviderError as error:
            failure = error
        await provider.aclose()
    if failure is not None:
        raise failure
    return said


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + SAID + b"data: [DONE]\n\n",
        (SAID + b"data: [DONE]\n\n").replace(b"\n", b"\r"),
        SAID + b"data: [DONE]\n",
        SAID + b"data: [DONE]",
        SAID + b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}',
        SAID + SAID.replace(b'"index": 0', b'"index": 1') + b"data: [DONE]\n\n",
    ],
)
async def test_an_answer_is_whole_however_loosely_it_is_framed(
    body: bytes, autojump_clock: object
) -> None:
    assert await texts(response(body)) == ["Hi"]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (response(b"<html>Log in</html>", "text/html"), "server", "check OPENAI_BASE_URL"),
        (response(b'{"choices": []}', "application/json"), "server", "check OPENAI_BASE_URL"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "server", "check OPENAI_BASE_URL"),
        (response(SAID), "network", "ended before the answer did"),
        (response(SAID + SAID[:30]), "network", "malformed event"),
    ],
)
async def test_an_answer_that_is_none_says_why(
    answer: bytes, kind: ErrorKind, message: str, autojump_clock: object
) -> None:
    with pytest.raises(ProviderError, match=message) as caught:
        await texts(answer)
    assert caught.value.kind == kind
