"""Settings of what things cost, for the estimate in each call's record.

Where the defaults come from, and how sure that is: `docs/reference/providers-facts.md`.
"""

from __future__ import annotations

from attrs import frozen

from vantum.config.base import setting
from vantum.core.cost import Prices, parse_rates


@frozen
class PriceSettings:
    """Prices for the cost estimate of phone calls. The defaults are list prices of autumn 2026 for
    the United States and the default models
    ([where they come from](providers-facts.md#prices)); put in those of your contracts. Embedded
    providers cost 0."""

    currency: str = setting("USD", "What the prices are in.", env="PRICE_CURRENCY", form="nonempty")
    outbound_per_minute: str = setting(
        "+1=0.014, *=0.1",
        "A begun minute of an outbound call by the beginning of the number called, the longest "
        "that fits; `*`: any other.",
        env="PRICE_OUTBOUND",
        form="rates",
    )
    inbound_per_minute: str = setting(
        "*=0.0085",
        "A begun minute of an inbound call, by the beginning of the caller's number.",
        env="PRICE_INBOUND",
        form="rates",
    )
    stream_per_minute: float = setting(
        0.0044,
        "A begun minute of a call's media stream, on top of the call's own.",
        env="PRICE_STREAM",
        low=0,
        high=1_000,
    )
    machine_detection: float = setting(
        0.0075,
        "Machine detection of one answered call.",
        env="PRICE_MACHINE_DETECTION",
        low=0,
        high=1_000,
    )
    stt_per_minute: float = setting(
        0.0058, "A minute of recognition.", env="PRICE_STT", low=0, high=1_000
    )
    tts_per_1k_characters: float = setting(
        0.04, "A thousand characters of speech.", env="PRICE_TTS", low=0, high=1_000
    )
    llm_input_per_1m_tokens: float = setting(
        2.0, "A million tokens that the model reads.", env="PRICE_LLM_INPUT", low=0, high=10_000
    )
    llm_cached_input_per_1m_tokens: float = setting(
        0.5,
        "A million tokens that the model reads and its provider has read before (OpenAI's prompt "
        "cache).",
        env="PRICE_LLM_CACHED_INPUT",
        low=0,
        high=10_000,
    )
    llm_output_per_1m_tokens: float = setting(
        8.0, "A million tokens that the model writes.", env="PRICE_LLM_OUTPUT", low=0, high=10_000
    )

    @property
    def prices(self) -> Prices:
        """The prices as a value."""
        return Prices(
            outbound=parse_rates(self.outbound_per_minute),
            inbound=parse_rates(self.inbound_per_minute),
            stt_per_minute=self.stt_per_minute,
            tts_per_1k_characters=self.tts_per_1k_characters,
            llm_input_per_1m_tokens=self.llm_input_per_1m_tokens,
            llm_cached_input_per_1m_tokens=self.llm_cached_input_per_1m_tokens,
            llm_output_per_1m_tokens=self.llm_output_per_1m_tokens,
            machine_detection=self.machine_detection,
            stream_per_minute=self.stream_per_minute,
            currency=self.currency,
        )
