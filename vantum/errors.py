"""The exception tree.

::

    VantumError
    ├── ConfigError            a setting is wrong; the server does not start
    ├── RequestError           a client asked for something impossible; the session goes on
    ├── ModelsMissing          the embedded providers' weights are not on this machine
    ├── StorageError           the database failed, or was locked by somebody else for too long
    ├── AuditError             the audit log cannot be written, or is not what it was
    ├── PermitRefused          a permit does not hold when it is to be used (vantum.compliance)
    └── ProviderError          a provider failed; says which, how, and whether to try again
            kind: auth | quota | rate_limit | timeout | invalid_request | server | network | unknown

Providers' own exceptions are translated at the adapter and never travel further. A message
never contains a secret or a provider's raw body: it may reach a log or a client.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

E = TypeVar("E", bound=BaseException)

ErrorKind: TypeAlias = Literal[
    "auth", "quota", "rate_limit", "timeout", "invalid_request", "server", "network", "unknown"
]
Role: TypeAlias = Literal["stt", "llm", "tts"]

#: Trying again can help with these; the others stay wrong until somebody changes something.
RETRYABLE_KINDS: frozenset[ErrorKind] = frozenset(
    {"rate_limit", "timeout", "server", "network", "unknown"}
)


class VantumError(Exception):
    """Whatever this package raises on purpose."""


class ConfigError(VantumError):
    """A setting is wrong. The message names the setting, its value and what is allowed."""


class ModelsMissing(VantumError):
    """Weights are not on this machine. The message says which command fetches them."""


class StorageError(VantumError):
    """The database failed. Nothing of the transaction was kept."""


class AuditError(VantumError):
    """The audit log cannot be written, or its end is not what we left there."""


class RequestError(VantumError):
    """A client's request cannot be carried out; `category` is a row of the protocol's table."""

    def __init__(self, category: str, message: str) -> None:
        super().__init__(message)
        self.category = category
        self.message = message


class ProviderError(VantumError):
    """A provider failed.

    Args:
        provider: its name in the registry ("deepgram", "local", …).
        kind: the class of failure.
        message: one safe line, without secrets and without the provider's raw body.
        status: the HTTP status or WebSocket close code, if there was one.
        retry_after_s: how long the provider asked to be left alone, if it did.
    """

    def __init__(
        self,
        provider: str,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{provider}: {message}")
        self.provider = provider
        self.kind = kind
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def retryable(self) -> bool:
        """Whether trying the same again may help."""
        return self.kind in RETRYABLE_KINDS


def first_error(group: BaseExceptionGroup[E]) -> E:
    """The first failure in a group and the groups within it: one is enough to act on, or to say."""
    [error, *_] = group.exceptions
    return first_error(error) if isinstance(error, BaseExceptionGroup) else error
