"""The server at its edges: requests that are hardly any, and sessions that come as it stops."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio
from attrs import frozen

from tests.patience import connect
from tests.test_server import a_server
from vantum.core import events as e

UPGRADE = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def answer(url: str, request: bytes) -> bytes:
    host, port = url.removeprefix("ws://").removesuffix("/ws").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(request)
        return bytes(await stream.receive_some())


@pytest.mark.parametrize("target", [b"//[", b"http://[::1/ws", b"//[/ws?events=voicechat"])
async def test_address_that_cannot_be_read_is_a_bad_request(
    target: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with a_server() as running:
        said = await answer(running.url, b"GET " + target + b" HTTP/1.1\r\n" + UPGRADE)
        assert said.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 403"))
        assert "Traceback" not in "".join(capfd.readouterr())


@frozen
class _Hook:
    """The model's provider, which does something as a session is made."""

    provider: Any
    then: Any

    def for_session(self) -> Any:
        self.then()
        return self.provider.for_session()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)


async def test_session_that_begins_as_the_server_stops_is_asked_to_close_too() -> None:
    async with a_server() as running, trio.open_nursery() as nursery:
        server = running.server
        hook = _Hook(server.providers.llm, lambda: nursery.start_soon(server.drain))
        server.providers = attrs.evolve(server.providers, llm=hook)
        async with connect(running.url) as client:
            seen = [type(message) async for _, message in client.events]
        assert e.Maintenance in seen
        assert client.closed is not None


async def test_session_that_cannot_be_made_is_closed_with_1011() -> None:
    def fail() -> None:
        raise RuntimeError("no model today")

    async with a_server() as running:
        server = running.server
        server.providers = attrs.evolve(server.providers, llm=_Hook(server.providers.llm, fail))
        with pytest.raises(Exception, match="1011"):
            async with connect(running.url):
                pass
        await running.no_sessions()
