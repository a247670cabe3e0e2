"""Connections to a provider: TCP, and TLS where its address wants it, every failure translated."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Final, TypeAlias

import trio

from vantum.errors import ProviderError

#: Opens the TCP stream to a host and port; TLS is put on top of it where the address wants it.
OpenStream: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

#: Among the `extensions` of an HTTP request: a connection was made for it, as against a kept one.
CONNECTED: Final = "vantum.connected"


async def open_tcp(host: str, port: int) -> trio.abc.Stream:
    """The usual `OpenStream`: TCP with happy eyeballs, no delay."""
    return await trio.open_tcp_stream(host, port)


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
    open_stream: OpenStream,
    tls: ssl.SSLContext | None = None,
) -> trio.abc.Stream:
    """Connect; the caller sets the deadline.

    Args:
        provider: its name, for the failure.
        host: a name or an address.
        port: its port.
        secure: speak TLS.
        open_stream: opens the connection under it.
        tls: whom to trust; None: the system's authorities.

    Raises:
        ProviderError: of kind "network": no such name, nobody listens, no TLS, a certificate that
            is not trusted.
    """
    where = f"{host}:{port}"
    try:
        stream = await open_stream(host, port)
    except (OSError, trio.BrokenResourceError, UnicodeError) as error:  # the last: not a host name
        raise ProviderError(provider, "network", f"no connection to {where}") from error
    if not secure:
        return stream
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
