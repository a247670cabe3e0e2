"""Smart Turn v3.2: whether a turn is complete, from how its last eight seconds sound.

Whisper tiny's encoder with a small head, in int8; it hears pitch, pace and the words' own shape, in
23 languages (https://github.com/pipecat-ai/smart-turn, BSD-2-Clause). The turn's audio stands at
the end of the eight seconds, silence before it; out comes a probability, not a logit. It is a hint:
`vantum.core.endpointing` pools it with what the words say (`vantum.core.completeness.pool`), so
the text that it is given is not used here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Final

import numpy as np

from vantum.config.providers import LocalSettings
from vantum.core.audio import to_float32
from vantum.errors import ConfigError, ProviderError
from vantum.ports import Health
from vantum.providers.local.catalogue import SMART_TURN
from vantum.providers.local.mel import WINDOW_SAMPLES, log_mel
from vantum.providers.local.moonshine import open_graph
from vantum.providers.local.weights import require
from vantum.providers.local.workers import Workers

NAME: Final = "local"


class SmartTurn:
    """The loaded model; blocks, and may be called from several threads."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    @classmethod
    def load(cls, folder: Path) -> SmartTurn:
        """Load from a folder with smart-turn-v3.2-cpu.onnx. Blocks for some 200 ms."""
        return cls(open_graph(folder / "smart-turn-v3.2-cpu.onnx"))

    def probability(self, pcm: bytes) -> float:
        """That the turn in this 16 kHz PCM is complete, 0..1; its last 8 s count."""
        samples = to_float32(pcm)[-WINDOW_SAMPLES:]
        window = np.zeros(WINDOW_SAMPLES, np.float32)
        window[WINDOW_SAMPLES - len(samples) :] = samples
        (output,) = self._graph.run(None, {"input_features": log_mel(window)[None]})
        return float(output[0, 0])


class LocalTurnDetector:
    """The process's embedded turn detector (`vantum.ports.TurnDetectorProvider`).

    Constructing loads the weights: do it in a thread.

    Raises:
        ConfigError: the packages of the extra `local` are not installed.
        ModelsMissing: the weights have not been fetched.
    """

    def __init__(
        self, settings: LocalSettings, workers: Workers, *, model: SmartTurn | None = None
    ) -> None:
        """`workers`: those of the other embedded providers; `model`: one that is loaded already."""
        self._workers = workers
        self._model = model or _load(settings)
        self._health = Health(ok=True, detail="weights loaded")

    @property
    def name(self) -> str:
        """Its name in the registry."""
        return NAME

    def health(self) -> Health:
        """Whether the last answer came."""
        return self._health

    async def probability(self, pcm: bytes, text: str) -> float:
        """See `vantum.ports.TurnDetector`.

        Cancelling waits for a run that has begun; one that waits for a worker never begins.

        Raises:
            ProviderError: the model failed, or gave no probability.
        """
        try:
            probability = await self._workers.run(self._model.probability, pcm)
            if not 0 <= probability <= 1:  # a NaN, too, is not
                raise ValueError("not a probability")
        except Exception as error:
            detail = f"the turn detector failed ({type(error).__name__})"
            self._health = Health(ok=False, detail=detail)
            raise ProviderError(NAME, "server", detail) from error
        self._health = Health(ok=True, detail="last answer succeeded")
        return probability


def _load(settings: LocalSettings) -> SmartTurn:
    if importlib.util.find_spec("onnxruntime") is None:
        raise ConfigError(
            "the embedded turn detector needs packages that are not installed: "
            'pip install "vantum[local]", or set TURN_DETECTOR=off'
        )
    return SmartTurn.load(require(settings, SMART_TURN.name))
