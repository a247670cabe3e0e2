"""Connections to providers through a proxy that the environment names, on real sockets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.patience import HANG_S, nobody_listening, until
from tests.proxy import set_proxies, small_proxy
from vantum.config import DeepgramSettings, LlmSettings, OpenAISettings, Secret, Settings
from vantum.core.messages import ChatMessage, ChatRequest
from vantum.errors import ConfigError, ProviderError
from vantum.providers.dialling import dial
from vantum.providers.openai import OpenAIProvider
from vantum.providers.registry import open_providers
from vantum.testing import OpenAIScript, SimulatedOpenAI

AUTHORIZATION = b"Basic bWU6Z2VoZWlt"  # me:geheim


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def greet(stream: trio.abc.Stream) -> None:
    """Says "hello" to whoever says something. Who does not trust us has gone before that."""
    with suppress(trio.BrokenResourceError):
        async with stream:
            if await stream.receive_some():
                await stream.send_all(b"hello")


@asynccontextmanager
async def a_server(
    tls: ssl.SSLContext | None = None,
    serve: Callable[[Any], Awaitable[object]] = greet,
) -> AsyncIterator[int]:
    """Its port."""
    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            (tcp,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            listener: trio.abc.Listener[Any] = tcp
            if tls is not None:
                listener = trio.SSLListener(tcp, tls, https_compatible=True)
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            yield tcp.socket.getsockname()[1]
            nursery.cancel_scope.cancel()


async def greeted(port: int, *, tls: ssl.SSLContext | None = None) -> bytes:
    """What a server that is known as peer.test says, over TLS if somebody is trusted."""
    stream = await dial("deepgram", "peer.test", port, secure=tls is not None, tls=tls)
    async with stream:
        await stream.send_all(b"?")
        return bytes(await stream.receive_some())


async def refused(port: int = 80, *, tls: ssl.SSLContext | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await greeted(port, tls=tls)
    assert "geheim" not in str(caught.value)
    assert "bWU6Z2VoZWlt" not in str(caught.value)
    return caught.value


async def test_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server() as port, small_proxy() as proxy:
        proxy.wants = AUTHORIZATION
        set_proxies(monkeypatch, http=f"http://me:geheim@127.0.0.1:{proxy.port}")
        assert await greeted(port) == b"hello"
        await until(lambda: not proxy.open)
    (head,) = proxy.heads
    asked = f"CONNECT peer.test:{port} HTTP/1.1\r\nHost: peer.test:{port}\r\n".encode()
    assert head == asked + b"Proxy-Authorization: " + AUTHORIZATION + b"\r\n\r\n"


@pytest.mark.parametrize("over", ["http", "https"])
async def test_tls_inside_it(over: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = serving(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    async with (
        a_server(context) as port,
        small_proxy(context if over == "https" else None) as proxy,
    ):
        set_proxies(monkeypatch, https=f"{over}://localhost:{proxy.port}")
        assert await greeted(port, tls=trusting) == b"hello"
        # Whoever answers there must be who was asked for, and not only whom the proxy knows.
        where = f"localhost:{proxy.port}"
        with pytest.raises(ProviderError) as caught:
            await dial("deepgram", "else.test", port, secure=True, tls=trusting)
        expected = f"no TLS connection to else.test:{port} through the proxy {where}: "
        assert caught.value.message.startswith(expected)
        assert "not valid for 'else.test'" in caught.value.message
        await until(lambda: not proxy.open)
    assert len(proxy.heads) == 2


async def test_a_proxy_whose_certificate_nobody_knows(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_proxy(serving(certificate)) as proxy:
        set_proxies(monkeypatch, all=f"https://me:geheim@localhost:{proxy.port}")
        error = await refused()
    where = f"the proxy localhost:{proxy.port}"
    assert error.message == f"no TLS connection to {where}: self-signed certificate"
    assert not proxy.heads


NO_ANSWER = "the proxy {} gave no answer that an HTTP proxy gives"


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n",
            "auth",
            "the proxy {} wants other credentials than those in its address (407)",
        ),
        (
            b"HTTP/1.1 403 geheim\r\n\r\ngeheim",
            "network",
            "the proxy {} does not connect to peer.test:80 (HTTP 403)",
        ),
        (b"HTTP/1.1 100 Wait\r\n\r\nHTTP/1.1 502 No\r\n\r\n", "network", "HTTP 502"),
        (b"SSH-2.0-geheim\r\n\r\n", "network", NO_ANSWER),
        (b"HTTP/1.1 200 geheim", "network", NO_ANSWER),
        (b"", "network", NO_ANSWER),
        (b"HTTP/1.1 200 Fine\r\n\r\nHTTP/1.1 101 Already\r\n\r\n", "network", NO_ANSWER),
    ],
)
async def test_what_a_proxy_may_say(
    answer: bytes, kind: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_proxy() as proxy:
        proxy.answer = answer
        set_proxies(monkeypatch, all=f"http://me:geheim@127.0.0.1:{proxy.port}")
        error = await refused()
    assert error.kind == kind
    assert error.retryable is (kind == "network")
    assert message.format(f"127.0.0.1:{proxy.port}") in error.message


async def test_it_wants_credentials_and_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_proxy() as proxy:
        proxy.wants = AUTHORIZATION
        set_proxies(monkeypatch, all=f"127.0.0.1:{proxy.port}")
        error = await refused()
    where = f"127.0.0.1:{proxy.port}"
    assert error.message == f"the proxy {where} wants USER:PASSWORD@ in its address (407)"
    assert error.kind == "auth"


async def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with nobody_listening() as port:
        set_proxies(monkeypatch, all=f"http://me:geheim@127.0.0.1:{port}")
        error = await refused()
    assert error.kind == "network"
    assert error.message == f"no connection to the proxy 127.0.0.1:{port}"


async def test_what_is_no_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with small_proxy() as proxy:
        set_proxies(monkeypatch, all=f"http://127.0.0.1:{proxy.port}")
        for host in ("a b", "a\r\nb", "bücher.test"):
            with pytest.raises(ProviderError, match="no connection to ") as caught:
                await dial("deepgram", host, 80, secure=False)
            assert caught.value.kind == "network"
    assert not proxy.heads


async def test_a_proxy_that_says_nothing_has_the_callers_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with small_proxy() as proxy, trio.open_nursery() as nursery:
        proxy.answer = None
        set_proxies(monkeypatch, all=f"http://127.0.0.1:{proxy.port}")
        nursery.start_soon(greeted, 80)
        await until(lambda: proxy.heads)
        nursery.cancel_scope.cancel()  # or this would never end
    assert nursery.cancel_scope.cancelled_caught


async def test_what_is_excepted_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server() as port, small_proxy() as proxy:
        set_proxies(monkeypatch, all=f"http://127.0.0.1:{proxy.port}", no="peer.test")
        error = await refused(port)  # nobody has the name
        assert error.message == f"no connection to peer.test:{port}"
        stream = await dial("deepgram", "127.0.0.1", port, secure=False)  # the machine itself
        await stream.send_all(b"?")
        assert await stream.receive_some() == b"hello"
        await stream.aclose()
    assert not proxy.heads


async def test_what_is_no_proxy_stops_the_server_at_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_proxies(monkeypatch, https="socks5://me:geheim@127.0.0.1:1080")
    error = await refused(443, tls=ssl.create_default_context())
    assert error.message.startswith("https_proxy (or HTTPS_PROXY) is no address of a proxy")
    settings = Settings(deepgram=DeepgramSettings(api_key=Secret("k")))
    with pytest.raises(ConfigError, match=r"^https_proxy \("):
        async with open_providers(settings):
            pass


async def test_the_models_requests_go_through_one(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = SimulatedOpenAI(OpenAIScript(answers=("Yes.",)))
    request = ChatRequest((ChatMessage("user", "Hello?"),))
    async with (
        a_server(serving(certificate), peer.serve_stream) as port,
        small_proxy() as proxy,
    ):
        set_proxies(monkeypatch, https=f"http://me:geheim@127.0.0.1:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        settings = OpenAISettings(api_key=Secret("k"), base_url=f"https://peer.test:{port}/v1")
        provider = OpenAIProvider(settings, LlmSettings())
        model = provider.for_session()
        proxy.wants = b"Basic other"
        with pytest.raises(ProviderError, match="wants other credentials") as caught:
            async with model.stream(request):
                pass
        assert caught.value.kind == "auth"
        proxy.wants = AUTHORIZATION
        said = []
        for _ in range(2):  # over one connection
            async with model.stream(request) as pieces:
                said.append("".join([str(piece) async for piece in pieces]))
        await provider.aclose()
        await until(lambda: not proxy.open)
    assert said == ["Yes.", "Yes."]
    heads = [head.partition(b"\r\n")[0] for head in proxy.heads]
    assert heads == [f"CONNECT peer.test:{port} HTTP/1.1".encode()] * 2
