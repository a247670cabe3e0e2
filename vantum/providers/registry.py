"""Name → provider: the only place that lists them.

Imports are inside: a server that uses Deepgram loads no weights, and one that runs on its own
machine needs no OpenAI client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from attrs import frozen

from vantum.config import Settings
from vantum.config.choices import provider_choices
from vantum.core.tokens import CountTokens, estimate_tokens
from vantum.errors import ConfigError, ModelsMissing, Role
from vantum.observe.logs import get_log
from vantum.ports import (
    Health,
    LanguageModelProvider,
    SpeechToTextProvider,
    TextToSpeechProvider,
    TurnDetectorProvider,
    VoiceActivityProvider,
)
from vantum.providers.counting import token_counter
from vantum.providers.local.workers import Workers
from vantum.proxies import proxy_to_url

_log = get_log("providers")


@frozen
class Providers:
    """The provider of each role, for the life of the process.

    `count_tokens`: what a text takes in the model's context.
    """

    stt: SpeechToTextProvider
    llm: LanguageModelProvider
    tts: TextToSpeechProvider
    activity: VoiceActivityProvider | None = None
    detector: TurnDetectorProvider | None = None
    count_tokens: CountTokens = estimate_tokens

    @property
    def names(self) -> dict[str, str]:
        """Role → name."""
        return {"stt": self.stt.name, "llm": self.llm.name, "tts": self.tts.name}

    def health(self) -> dict[Role, tuple[str, Health]]:
        """Role → name and health."""
        return {
            "stt": (self.stt.name, self.stt.health()),
            "llm": (self.llm.name, self.llm.health()),
            "tts": (self.tts.name, self.tts.health()),
        }


@asynccontextmanager
async def open_providers(settings: Settings) -> AsyncIterator[Providers]:
    """Make the provider of each role as the settings say; close on leaving what has to be closed.

    Raises:
        ConfigError: a provider is chosen whose key is missing, or the environment names something
            as its proxy that is none.
        ModelsMissing: weights or packages of an embedded provider are not on this machine.
    """
    names = {role: name for role, (name, _) in provider_choices(settings).items()}
    # One pool of threads for all embedded providers: they compete for the same cores.
    workers = Workers(settings.local.threads)
    async with AsyncExitStack() as stack:
        stt = await trio.to_thread.run_sync(_stt, names["stt"], settings, workers)
        llm = await _llm(names["llm"], settings, workers, stack)
        tts = await trio.to_thread.run_sync(_tts, names["tts"], settings, workers)
        activity = await trio.to_thread.run_sync(_activity, settings)
        detector = await trio.to_thread.run_sync(_detector, settings, workers)
        count_tokens = await trio.to_thread.run_sync(token_counter, settings)
        yield Providers(stt, llm, tts, activity, detector, count_tokens)


@asynccontextmanager
async def open_model(settings: Settings) -> AsyncIterator[LanguageModelProvider]:
    """Make the language model alone, as the settings say, for talks without audio.

    Raises:
        ConfigError: it is chosen and its key is missing.
        ModelsMissing: weights or packages of the embedded one are not on this machine.
    """
    name = provider_choices(settings)["llm"].provider
    async with AsyncExitStack() as stack:
        yield await _llm(name, settings, Workers(settings.local.threads), stack)


def _activity(settings: Settings) -> VoiceActivityProvider | None:
    if settings.turns.voice_activity == "off":
        return None
    from vantum.providers.local.activity import LocalActivityProvider

    try:
        return LocalActivityProvider(settings.local)
    except (ConfigError, ModelsMissing) as error:
        _log.info("turns are judged without voice activity", why=str(error))
        return None


def _detector(settings: Settings, workers: Workers) -> TurnDetectorProvider | None:
    if settings.turns.detector == "off":
        return None
    from vantum.providers.local.turn import LocalTurnDetector

    try:
        return LocalTurnDetector(settings.local, workers)
    except (ConfigError, ModelsMissing) as error:
        _log.info("turns are judged without the end-of-turn model", why=str(error))
        return None


def _stt(name: str, settings: Settings, workers: Workers) -> SpeechToTextProvider:
    match name:
        case "deepgram":
            from vantum.providers.deepgram.client import DeepgramProvider

            proxy_to_url(settings.deepgram.base_url)  # a wrong one is no matter for each call
            return DeepgramProvider(settings.deepgram)
        case "local":
            from vantum.providers.local.stt import LocalSttProvider

            return LocalSttProvider(settings.local, workers)
    raise ConfigError(f"stt.provider={name}: there is no such provider")


async def _llm(
    name: str, settings: Settings, workers: Workers, stack: AsyncExitStack
) -> LanguageModelProvider:
    match name:
        case "openai":
            from vantum.providers.openai import OpenAIProvider

            return await stack.enter_async_context(OpenAIProvider(settings.openai, settings.llm))
        case "local":
            from vantum.providers.local.llm import LocalLlmProvider

            return await trio.to_thread.run_sync(
                LocalLlmProvider, settings.local, settings.llm, workers
            )
    raise ConfigError(f"llm.provider={name}: there is no such provider")


def _tts(name: str, settings: Settings, workers: Workers) -> TextToSpeechProvider:
    match name:
        case "cartesia":
            from vantum.providers.cartesia.client import CartesiaProvider

            proxy_to_url(settings.cartesia.base_url)
            return CartesiaProvider(settings.cartesia)
        case "local":
            from vantum.providers.local.tts import LocalTtsProvider

            return LocalTtsProvider(settings.local, workers)
    raise ConfigError(f"tts.provider={name}: there is no such provider")
