"""Connections to a provider: TCP, by way of a proxy where the environment names one, and TLS where
its address wants it; every failure translated."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Final, TypeAlias

import h11
import trio

from vantum.core.proxies import Proxy, authority
from vantum.errors import ConfigError, ProviderError
from vantum.proxies import proxy_to
from vantum.tcp import quick

#: Opens the TCP stream to a host and port; TLS is put on top of it where the address wants it.
OpenStream: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

#: Among the `extensions` of an HTTP request: a connection was made for it, as against a kept one.
CONNECTED: Final = "vantum.connected"

#: What a proxy answers is a few lines.
_MAX_HEAD_BYTES: Final = 65_536


async def open_tcp(host: str, port: int) -> trio.abc.Stream:
    """TCP with happy eyeballs, no delay."""
    return quick(await trio.open_tcp_stream(host, port))


@cache
def system_authorities() -> ssl.SSLContext:
    """Whom the system trusts. Loaded once for the process: it takes 20 ms of the event loop, and
    each copy keeps all certificates in memory."""
    return ssl.create_default_context()


async def dial(
    provider: str,
    host: str,
    port: int,
    *,
    secure: bool,
    open_stream: OpenStream | None = None,
    tls: ssl.SSLContext | None = None,
) -> trio.abc.Stream:
    """Connect; the caller sets the deadline.

    Args:
        provider: its name, for the failure.
        host: a name or an address.
        port: its port.
        secure: speak TLS.
        open_stream: opens the connection under it; None: TCP, through the proxy for it if the
            environment names one (`vantum.proxies`).
        tls: whom to trust; None: the system's authorities.

    Raises:
        ProviderError: of kind "network": no such name, nobody listens, no TLS, a certificate that
            is not trusted, a proxy that does not let us through; "auth": the proxy wants other
            credentials.
    """
    proxy = None
    if open_stream is None:
        try:
            proxy = proxy_to(host, port, secure=secure)
        except ConfigError as error:
            raise ProviderError(provider, "network", str(error)) from error
    where = f"{host}:{port}"
    if proxy is None:
        stream = await _open(provider, open_stream or open_tcp, host, port, where)
    else:
        stream = await open_tunnel(provider, proxy, host, port, tls=tls)
        where = f"{where} through the proxy {proxy.where}"
    return await _secured(provider, stream, host, where, tls) if secure else stream


async def open_tunnel(
    provider: str,
    proxy: Proxy,
    host: str,
    port: int,
    *,
    open_stream: OpenStream = open_tcp,
    tls: ssl.SSLContext | None = None,
) -> trio.abc.Stream:
    """A connection to the host through the proxy (CONNECT, RFC 9110, section 9.3.6).

    Args:
        open_stream: opens the connection to the proxy.
        tls: whom to trust if the proxy is spoken to over TLS.

    Raises:
        ProviderError: see `dial`.
    """
    there = f"the proxy {proxy.where}"
    stream = await _open(provider, open_stream, proxy.host, proxy.port, there)
    if proxy.secure:
        stream = await _secured(provider, stream, proxy.host, there, tls)
    try:
        await _ask_through(provider, stream, proxy, authority(host, port))
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError | h11.RemoteProtocolError):
            # Also what is said by a server that is no proxy: there is nothing in it for us.
            text = f"{there} gave no answer that an HTTP proxy gives"
            raise ProviderError(provider, "network", text) from error
        raise
    return stream


async def _ask_through(provider: str, stream: trio.abc.Stream, proxy: Proxy, target: str) -> None:
    headers = [("Host", target)]
    if proxy.authorization:
        headers.append(("Proxy-Authorization", proxy.authorization))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
    try:
        asked = http.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b""
        asked += http.send(h11.EndOfMessage()) or b""
    except (h11.LocalProtocolError, UnicodeError) as error:  # what is no host name
        raise ProviderError(provider, "network", f"no connection to {target}") from error
    await stream.send_all(asked)
    event: object = h11.NEED_DATA
    while event is h11.NEED_DATA or isinstance(event, h11.InformationalResponse):
        if event is h11.NEED_DATA:
            http.receive_data(bytes(await stream.receive_some(_MAX_HEAD_BYTES)))
        event = http.next_event()
    if not isinstance(event, h11.Response):
        raise trio.BrokenResourceError("closed before it answered")
    if event.status_code == 407:
        lacks = "other credentials than those in" if proxy.authorization else "USER:PASSWORD@ in"
        text = f"the proxy {proxy.where} wants {lacks} its address (407)"
        raise ProviderError(provider, "auth", text)
    if not 200 <= event.status_code < 300:
        text = f"the proxy {proxy.where} does not connect to {target} (HTTP {event.status_code})"
        raise ProviderError(provider, "network", text)
    # Nobody behind it speaks before he is spoken to; what did would be taken for his answer.
    if http.trailing_data[0]:
        raise trio.BrokenResourceError("it said more than its answer")


async def _open(
    provider: str, open_stream: OpenStream, host: str, port: int, where: str
) -> trio.abc.Stream:
    try:
        return await open_stream(host, port)
    except (OSError, trio.BrokenResourceError, UnicodeError) as error:  # the last: not a host name
        raise ProviderError(provider, "network", f"no connection to {where}") from error


async def _secured(
    provider: str, stream: trio.abc.Stream, host: str, where: str, tls: ssl.SSLContext | None
) -> trio.abc.Stream:
    try:
        secured = trio.SSLStream(
            stream, tls or system_authorities(), server_hostname=host, https_compatible=True
        )
        await secured.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, OSError | trio.BrokenResourceError):
            text = f"no TLS connection to {where}{_why(error)}"
            raise ProviderError(provider, "network", text) from error
        raise
    return secured


def _why(error: BaseException) -> str:
    """A certificate that is not trusted is the one cause that somebody has to mend here."""
    cause = error.__cause__ if isinstance(error, trio.BrokenResourceError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f": {cause.verify_message.rstrip('.')}"
    return ""
