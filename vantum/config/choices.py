"""Which provider serves each role, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from vantum.config import Settings
from vantum.config.base import Secret
from vantum.errors import ConfigError, Role


class Choice(NamedTuple):
    """A provider's name in the registry, and one line that says why it is this one."""

    provider: str
    reason: str


#: The provider that `auto` takes if its key is there.
_REMOTE: Final[dict[Role, str]] = {"stt": "deepgram", "llm": "openai", "tts": "cartesia"}


def provider_choices(
    settings: Settings, origins: Mapping[str, str] | None = None
) -> dict[Role, Choice]:
    """The provider of each role.

    Args:
        origins: of `Loaded`; with them, the reason says where a key or a choice comes from.

    Raises:
        ConfigError: a provider is chosen that needs a key, and there is none.
    """
    return {role: _choice(role, settings, origins or {}) for role in _REMOTE}


def _choice(role: Role, settings: Settings, origins: Mapping[str, str]) -> Choice:
    asked: str = getattr(settings, role).provider
    remote = _REMOTE[role]
    key: Secret = getattr(settings, remote).api_key
    variable = f"{remote.upper()}_API_KEY"
    if asked == "auto":
        if not key:
            return Choice("local", f"no {variable}")
        source = origins.get(f"{remote}.api_key", "")
        known = f"api_key is set in the {source}" if source.startswith("file") else None
        return Choice(remote, known or f"{variable} is set")
    if asked == remote and not key:
        raise ConfigError(
            f"{role}.provider={asked} needs a key: set {variable}, or {role}.provider=local"
        )
    source = origins.get(f"{role}.provider", "")
    return Choice(asked, f"{role}.provider = {asked}" + (f" ({source})" if source else ""))
