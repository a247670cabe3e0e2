"""Connections to a provider, over streams in memory: what fails, and what is said of it."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from vantum.errors import ProviderError
from vantum.providers.dialling import dial, open_tcp, system_authorities


def served(certificate: Path, nursery: trio.Nursery) -> trio.abc.Stream:
    """The client's end of a connection to a server that speaks TLS and says "hello"."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    ours, theirs = trio.testing.memory_stream_pair()

    async def serve() -> None:
        stream = trio.SSLStream(theirs, context, server_side=True, https_compatible=True)
        try:
            await stream.send_all(b"hello")
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)

    nursery.start_soon(serve)
    return ours


async def refused(stream: trio.abc.Stream, host: str, tls: ssl.SSLContext | None) -> ProviderError:
    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        return stream

    with pytest.raises(ProviderError) as caught:
        await dial("deepgram", host, 443, secure=True, open_stream=open_stream, tls=tls)
    with pytest.raises(trio.ClosedResourceError):
        await stream.receive_some()
    assert (caught.value.provider, caught.value.kind) == ("deepgram", "network")
    return caught.value


async def test_a_certificate_that_is_trusted(certificate: Path, autojump_clock: object) -> None:
    trusting = ssl.create_default_context(cafile=certificate)
    async with trio.open_nursery() as nursery:

        async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
            return served(certificate, nursery)

        stream = await dial(
            "deepgram", "localhost", 443, secure=True, open_stream=open_stream, tls=trusting
        )
        assert await stream.receive_some() == b"hello"


async def test_a_certificate_that_is_not(certificate: Path, autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        error = await refused(served(certificate, nursery), "localhost", None)
        assert error.message == "no TLS connection to localhost:443: self-signed certificate"
        trusting = ssl.create_default_context(cafile=certificate)
        error = await refused(served(certificate, nursery), "elsewhere.test", trusting)
        assert "not valid for 'elsewhere.test'" in error.message


async def test_no_tls_at_the_other_end(autojump_clock: object) -> None:
    for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.send_all(answer)
        await theirs.aclose()
        error = await refused(ours, "localhost", None)
        assert error.message == "no TLS connection to localhost:443"


async def test_cancelling_closes_what_was_opened(autojump_clock: object) -> None:
    ours, _theirs = trio.testing.memory_stream_pair()

    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        return ours

    with trio.move_on_after(1):
        await dial("deepgram", "localhost", 443, secure=True, open_stream=open_stream)
    with pytest.raises(trio.ClosedResourceError):
        await ours.receive_some()


async def test_a_name_that_nobody_has(autojump_clock: object) -> None:
    async def open_stream(_host: str, _port: int) -> trio.abc.Stream:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(ProviderError, match=r"no connection to nobody\.test:80") as caught:
        await dial("deepgram", "nobody.test", 80, secure=False, open_stream=open_stream)
    assert caught.value.kind == "network"


async def test_what_is_no_host_name() -> None:
    with pytest.raises(ProviderError, match=r"no connection to a\.\.b:80") as caught:
        await dial("deepgram", "a..b", 80, secure=False, open_stream=open_tcp)
    assert caught.value.kind == "network"


def test_the_systems_authorities_are_loaded_once() -> None:
    assert system_authorities() is system_authorities()
