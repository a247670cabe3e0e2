"""What a call costs, about: from what was used in it, by a table of prices.

Everything here is an estimate. The telephone company bills by begun minutes and by route, and
streams apart from the call; that streams too are billed by begun minutes is a guess. What
providers are asked for is counted where it is asked for (`vantum.core.spent`), with what nobody
heard; of one that does not count, it is estimated from the turns that were recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, asdict, evolve, frozen

#: Stands for every number in a table of prices.
ANYWHERE: Final = "*"


@frozen
class Usage:
    """What was used.

    Attributes:
        billed_s: of the call, and `transfer_s` of those to colleagues that were made for it.
        streamed_s: how long the call's media streams were open.
        machine_detections: answered calls for which it was asked for.
        listened_s: audio that was recognised.
        spoken_characters: that were synthesised, be it in vain.
        requests: to the model; `estimated_requests` of them were cut before their tokens were told.
        input_tokens: with `cached_tokens`, which the model's provider had read before.
    """

    billed_s: float = 0.0
    streamed_s: float = 0.0
    listened_s: float = 0.0
    spoken_characters: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    requests: int = 0
    estimated_requests: int = 0
    machine_detections: int = 0
    transfer_s: float = 0.0

    def to_json(self) -> dict[str, float]:
        """For JSON."""
        return {
            name: _rounded(value) if isinstance(value := getattr(self, own), float) else value
            for own, name in _NAMES.items()
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Usage:
        """What `to_json` made; what an earlier version did not know is 0."""
        return cls(**{own: body[name] for own, name in _NAMES.items() if name in body})


_NAMES: Final = {
    "billed_s": "billedSeconds",
    "streamed_s": "streamedSeconds",
    "transfer_s": "transferSeconds",
    "machine_detections": "machineDetections",
    "listened_s": "recognisedSeconds",
    "spoken_characters": "synthesisedCharacters",
    "requests": "modelRequests",
    "estimated_requests": "estimatedModelRequests",
    "input_tokens": "inputTokens",
    "cached_tokens": "cachedInputTokens",
    "output_tokens": "outputTokens",
}


@frozen
class CostEstimate:
    """What a call costs, about, in `currency`, and what for.

    `carrier`: all that the telephone company is paid for; of that, `streams`,
    `machine_detection`, and `transfers`: the calls to colleagues that were made for it.
    """

    carrier: float = 0.0
    stt: float = 0.0
    llm: float = 0.0
    tts: float = 0.0
    currency: str = "USD"
    machine_detection: float = 0.0
    transfers: float = 0.0
    streams: float = 0.0
    usage: Usage = Usage()

    @property
    def total(self) -> float:
        """All together."""
        return self.carrier + self.stt + self.llm + self.tts

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "total": _rounded(self.total),
            **self.parts,
            "ofCarrier": {
                "call": _rounded(
                    self.carrier - self.machine_detection - self.transfers - self.streams
                ),
                "streams": self.streams,
                "machineDetection": self.machine_detection,
                "transfers": self.transfers,
            },
            "usage": self.usage.to_json(),
            "currency": self.currency,
            "isEstimate": True,
        }

    @property
    def parts(self) -> dict[str, float]:
        """By who is paid."""
        return {"carrier": self.carrier, "stt": self.stt, "llm": self.llm, "tts": self.tts}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> CostEstimate:
        """What `to_json` made, of an earlier version too."""
        of_carrier = body.get("ofCarrier", {})
        return cls(
            body["carrier"],
            body["stt"],
            body["llm"],
            body["tts"],
            body["currency"],
            of_carrier.get("machineDetection", 0.0),
            of_carrier.get("transfers", 0.0),
            of_carrier.get("streams", 0.0),
            Usage.from_json(body.get("usage", {})),
        )


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
    llm_cached_input_per_1m_tokens: float = 0.0
    llm_output_per_1m_tokens: float = 0.0
    machine_detection: float = 0.0
    stream_per_minute: float = 0.0
    currency: str = "USD"


def price_per_minute(table: Mapping[str, float], number: str) -> float:
    """What a minute costs to or from a number; 0 if the table says nothing of it."""
    fitting = [prefix for prefix in table if prefix != ANYWHERE and number.startswith(prefix)]
    return table.get(max(fitting, key=len, default=ANYWHERE), 0.0)


def estimate_cost(prices: Prices, usage: Usage, *, outbound: bool, number: str) -> CostEstimate:
    """What a call with `number` costs, about; what `usage` has of transfers is another call's."""
    table = prices.outbound if outbound else prices.inbound
    minutes = math.ceil(usage.billed_s / 60)
    streams = math.ceil(usage.streamed_s / 60) * prices.stream_per_minute
    detection = _rounded(prices.machine_detection * usage.machine_detections)
    llm = (
        (usage.input_tokens - usage.cached_tokens) * prices.llm_input_per_1m_tokens
        + usage.cached_tokens * prices.llm_cached_input_per_1m_tokens
        + usage.output_tokens * prices.llm_output_per_1m_tokens
    ) / 1e6
    return CostEstimate(
        carrier=_rounded(minutes * price_per_minute(table, number) + streams + detection),
        stt=_rounded(usage.listened_s / 60 * prices.stt_per_minute),
        llm=_rounded(llm),
        tts=_rounded(usage.spoken_characters / 1000 * prices.tts_per_1k_characters),
        currency=prices.currency,
        machine_detection=detection,
        streams=_rounded(streams),
        usage=usage,
    )


def transfer_cost(
    prices: Prices, number: str, billed_s: float, *, machine_detection: bool
) -> CostEstimate:
    """What a call to a colleague costs the call for whose sake it was made, about."""
    asked = Usage(billed_s, machine_detections=int(machine_detection))
    alone = estimate_cost(prices, asked, outbound=True, number=number)
    return evolve(
        alone,
        transfers=_rounded(alone.carrier - alone.machine_detection),
        usage=Usage(transfer_s=billed_s, machine_detections=asked.machine_detections),
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
    used = [asdict(cost.usage) for cost in costs]
    return CostEstimate(
        _rounded(sum(cost.carrier for cost in costs)),
        _rounded(sum(cost.stt for cost in costs)),
        _rounded(sum(cost.llm for cost in costs)),
        _rounded(sum(cost.tts for cost in costs)),
        costs[0].currency if costs else "USD",
        _rounded(sum(cost.machine_detection for cost in costs)),
        _rounded(sum(cost.transfers for cost in costs)),
        _rounded(sum(cost.streams for cost in costs)),
        Usage(**{name: sum(each[name] for each in used) for name in used[0]}) if used else Usage(),
    )
