"""What a call costs, about: from its length and what was said in it, by a table of prices.

Everything here is an estimate. The telephone company bills by begun minutes and by route, and
streams apart from the call; that streams too are billed by begun minutes is a guess. Of the model's
tokens only those of answers that were recorded are counted, each with the context that it was asked
with, as if nothing were cached, answered ahead of time or tried again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, frozen

#: Stands for every number in a table of prices.
ANYWHERE: Final = "*"


@frozen
class CostEstimate:
    """What a call costs, about, in `currency`. `carrier`: with the calls to colleagues that were
    made for it."""

    carrier: float = 0.0
    stt: float = 0.0
    llm: float = 0.0
    tts: float = 0.0
    currency: str = "USD"

    @property
    def total(self) -> float:
        """All together."""
        return self.carrier + self.stt + self.llm + self.tts

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        parts = {"carrier": self.carrier, "stt": self.stt, "llm": self.llm, "tts": self.tts}
        return {
            "total": _rounded(self.total),
            **parts,
            "currency": self.currency,
            "isEstimate": True,
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> CostEstimate:
        """What `to_json` made."""
        return cls(body["carrier"], body["stt"], body["llm"], body["tts"], body["currency"])


@frozen
class Prices:
    """Prices in one currency. `outbound` and `inbound`: per begun minute, by the beginning of the
    other party's number (`+1`, `+44`; `*`: any), the longest that fits. `stream_per_minute`: per
    begun minute of media streams, on top of it."""

    outbound: Mapping[str, float] = Factory(dict)
    inbound: Mapping[str, float] = Factory(dict)
    stt_per_minute: float = 0.0
    tts_per_1k_characters: float = 0.0
    llm_input_per_1m_tokens: float = 0.0
    llm_output_per_1m_tokens: float = 0.0
    machine_detection: float = 0.0
    stream_per_minute: float = 0.0
    currency: str = "USD"


@frozen
class Usage:
    """What was used. `machine_detection`: it was asked for, and the call was answered.
    `streamed_s`: of the call, how long its media streams were open."""

    billed_s: float = 0.0
    streamed_s: float = 0.0
    listened_s: float = 0.0
    spoken_characters: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    machine_detection: bool = False


def price_per_minute(table: Mapping[str, float], number: str) -> float:
    """What a minute costs to or from a number; 0 if the table says nothing of it."""
    fitting = [prefix for prefix in table if prefix != ANYWHERE and number.startswith(prefix)]
    return table.get(max(fitting, key=len, default=ANYWHERE), 0.0)


def estimate_cost(prices: Prices, usage: Usage, *, outbound: bool, number: str) -> CostEstimate:
    """What a call with `number` costs, about."""
    table = prices.outbound if outbound else prices.inbound
    minutes = math.ceil(usage.billed_s / 60)
    streams = math.ceil(usage.streamed_s / 60) * prices.stream_per_minute
    detection = prices.machine_detection if usage.machine_detection else 0.0
    llm = (
        usage.input_tokens * prices.llm_input_per_1m_tokens
        + usage.output_tokens * prices.llm_output_per_1m_tokens
    ) / 1e6
    return CostEstimate(
        carrier=_rounded(minutes * price_per_minute(table, number) + streams + detection),
        stt=_rounded(usage.listened_s / 60 * prices.stt_per_minute),
        llm=_rounded(llm),
        tts=_rounded(usage.spoken_characters / 1000 * prices.tts_per_1k_characters),
        currency=prices.currency,
    )


def _rounded(amount: float) -> float:
    return round(amount, 6)


def model_tokens(turns: Iterable[tuple[bool, int]], *, prompt: int) -> tuple[int, int]:
    """Tokens that a model was sent and wrote: each answer was asked for with all before it.

    Args:
        turns: in order: whether the model wrote it, and its tokens.
        prompt: tokens of the system prompt.

    Returns:
        Input and output tokens.
    """
    context, sent, written = prompt, 0, 0
    for by_model, tokens in turns:
        if by_model:
            sent += context
            written += tokens
        context += tokens
    return sent, written


def parse_rates(text: str) -> dict[str, float]:
    """A table such as `+1=0.014, +44=0.02, *=0.1`.

    Raises:
        ValueError: says what is wrong.
    """
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        prefix, _, amount = (piece.strip() for piece in part.partition("="))
        digits = prefix.removeprefix("+")
        is_prefix = prefix.startswith("+") and digits.isascii() and digits.isdecimal()
        if not (is_prefix or prefix == ANYWHERE):
            raise ValueError(f"{prefix!r} is neither the beginning of a number (+44) nor *")
        try:
            price = float(amount)
        except ValueError:
            price = -1.0
        if not (math.isfinite(price) and price >= 0):
            raise ValueError(f"{amount!r} is no price")
        if prefix in found:
            raise ValueError(f"{prefix} is there twice")
        found[prefix] = price
    return found


def costs_sum(costs: Sequence[CostEstimate]) -> CostEstimate:
    """Several calls together; in the first one's currency."""
    return CostEstimate(
        _rounded(sum(cost.carrier for cost in costs)),
        _rounded(sum(cost.stt for cost in costs)),
        _rounded(sum(cost.llm for cost in costs)),
        _rounded(sum(cost.tts for cost in costs)),
        costs[0].currency if costs else "USD",
    )
