"""Settings of answering ahead of time."""

from __future__ import annotations

from attrs import frozen

from vantum.config.base import setting
from vantum.core.speculation import Mode, SpeculationOptions


@frozen
class SpeculationSettings:
    """Answering while the server still waits whether the user goes on (`turnDetection: auto`)."""

    mode: Mode = setting(
        "model",
        "`model`: the model is asked ahead of time; `speech`: the first piece of its answer is "
        "synthesised too; `off`: nothing is. What turns out wrong was for nothing, but has its "
        "price.",
        env="SPECULATION_MODE",
        choices=("off", "model", "speech"),
    )
    local: bool = setting(
        False,
        "Also with the embedded model: all sessions share it, so that one's guess is another's "
        "delay.",
        env="SPECULATION_LOCAL",
    )
    probability: float = setting(
        0.6,
        "How sure it must be that the user's sentence is complete.",
        env="SPECULATION_PROBABILITY",
        low=0.0,
        high=1.0,
    )
    confidence: float = setting(
        0.7,
        "How sure the recogniser must be of its last words.",
        env="SPECULATION_CONFIDENCE",
        low=0.0,
        high=1.0,
    )
    max_per_turn: int = setting(
        3,
        "Answers begun ahead of time in one turn of the user.",
        env="SPECULATION_MAX_PER_TURN",
        low=1,
        high=20,
    )
    max_wasted_tokens: int = setting(
        20_000,
        "Tokens wasted within a minute of a call, prompts included, from which on nothing is begun "
        "ahead of time.",
        env="SPECULATION_MAX_WASTED_TOKENS",
        low=0,
        high=10_000_000,
    )

    def options(self, *, model: str) -> SpeculationOptions:
        """For `vantum.core.speculation`; `model` is the name of the model's provider."""
        shared = model == "local" and not self.local
        return SpeculationOptions(
            mode="off" if shared else self.mode,
            probability=self.probability,
            confidence=self.confidence,
            max_per_turn=self.max_per_turn,
            max_wasted_tokens=self.max_wasted_tokens,
        )
