"""The embedded language model: SmolLM2-135M-Instruct, or a GGUF chat model of the user's own."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from vantum.config.call import LlmSettings
from vantum.config.providers import LocalSettings
from vantum.core.messages import ChatRequest
from vantum.errors import ConfigError, ProviderError
from vantum.ports import Health
from vantum.providers.local.llama import SLOTS, Llama
from vantum.providers.local.smollm import Plan, first_prompt, plan_answer
from vantum.providers.local.weights import SMOLLM2, require
from vantum.providers.local.workers import Workers

#: A beginning longer than this is read into one slot at the start instead of into all of them.
_SHORT_CHARS = 600
#: A model this small gains little from more threads than this.
_SMALL_THREADS = 2


class LocalLlmProvider:
    """An embedded model, loaded once for all sessions.

    Constructing loads it and reads the system prompt (two seconds): do it in a thread.

    Raises:
        ConfigError: the packages of the extra `local` are not installed, or LOCAL_LLM_MODEL is not
            a file that llama.cpp can load.
        ModelsMissing: the weights of SmolLM2 have not been fetched.
    """

    def __init__(self, settings: LocalSettings, llm: LlmSettings, workers: Workers) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ConfigError(
                "llm.provider=local needs packages that are not installed: "
                'pip install "vantum[local]"'
            )
        self._settings = llm
        self._small = not settings.llm_model_path
        # One core is left to hear and to speak with.
        self._llama = _load(settings, max(1, workers.threads - 1))
        self._model = "SmolLM2-135M-Instruct" if self._small else Path(settings.llm_model_path).stem
        beginning = first_prompt(llm, small=self._small)
        slots = SLOTS if len(beginning[0]["content"]) <= _SHORT_CHARS else 1
        self._llama.warm(beginning, slots)
        self._health = Health(ok=True, detail=f"{self._model} loaded")

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return "local"

    def health(self) -> Health:
        """Whether the last answer could be generated."""
        return self._health

    def for_session(self) -> LocalLlm:
        """A model for one session. The slots' caches find a session's earlier turns again."""
        return LocalLlm(self)

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[str], None]:
        """One answer; see `vantum.ports.LanguageModel`."""
        plan = plan_answer(request, self._settings, small=self._small)
        try:
            async with (
                self._llama.stream(plan.messages, plan.sampling) as tokens,
                aclosing(_watched(plan, tokens)) as pieces,
            ):
                yield pieces
        except ProviderError as error:
            self._health = Health(ok=error.kind == "invalid_request", detail=error.message)
            raise
        self._health = Health(ok=True, detail=f"{self._model}: last answer succeeded")


class LocalLlm:
    """One session's model."""

    def __init__(self, provider: LocalLlmProvider) -> None:
        self._provider = provider

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncGenerator[AsyncIterator[str], None]:
        """Generate one answer; iterating yields its text, sentence by sentence.

        Leaving stops the generation within tens of milliseconds.

        Raises:
            ProviderError: llama.cpp failed, or the prompt does not fit (`invalid_request`).
        """
        async with self._provider.stream(request) as pieces:
            yield pieces


def _load(settings: LocalSettings, threads: int) -> Llama:
    if not settings.llm_model_path:
        weights = require(settings, SMOLLM2.name)
        file = next(weights.glob("*.gguf"))
        return Llama.load(file, min(threads, _SMALL_THREADS))
    path = Path(os.path.expanduser(settings.llm_model_path))
    wrong = ConfigError(f"LOCAL_LLM_MODEL={path}: must be the path of a GGUF chat model")
    if not path.is_file():
        raise wrong
    try:
        return Llama.load(path, threads)
    except ProviderError as error:
        raise wrong from error


async def _watched(plan: Plan, tokens: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    if plan.opening:
        yield plan.opening
    elif plan.guard.done:
        return
    async for token in tokens:
        if text := plan.guard.feed(token):
            yield text
        if plan.guard.done:
            return
    if text := plan.guard.finish():
        yield text
