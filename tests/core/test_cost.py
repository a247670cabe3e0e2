"""What a call costs, about."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vantum.config.call import LlmSettings
from vantum.config.prices import PriceSettings
from vantum.config.providers import DeepgramSettings
from vantum.core.cost import (
    CostEstimate,
    Prices,
    Usage,
    costs_sum,
    estimate_cost,
    model_tokens,
    parse_rates,
    price_per_minute,
    transfer_cost,
)

RATES = {"+1": 0.014, "+1876": 0.3, "+44": 0.02, "*": 0.1}


def test_the_longest_beginning_of_a_number_counts() -> None:
    assert price_per_minute(RATES, "+12125550123") == 0.014
    assert price_per_minute(RATES, "+18765550123") == 0.3
    assert price_per_minute(RATES, "+442071838750") == 0.02
    assert price_per_minute(RATES, "+4930901820") == 0.1
    assert price_per_minute(RATES, "client:somebody") == 0.1
    assert price_per_minute({"+1": 0.014}, "+44") == 0.0
    assert price_per_minute({}, "+44") == 0.0


def test_a_table_is_read_as_it_is_written() -> None:
    assert parse_rates("+1=0.014, +1876 = 0.3,+44=0.02,*=0.1,") == RATES
    assert parse_rates("") == {}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("44=1", "'44'"),
        ("+44", "''"),
        ("+=1", r"'\+'"),
        ("+4x=1", "4x"),
        ("+44=-1", "'-1'"),
        ("+44=nan", "'nan'"),
        ("+44=1,+44=2", "twice"),
    ],
)
def test_what_is_no_table_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_rates(text)


def test_each_part_of_an_estimate() -> None:
    prices = Prices(
        outbound=RATES,
        inbound={"*": 0.5},
        stt_per_minute=0.006,
        tts_per_1k_characters=0.03,
        llm_input_per_1m_tokens=2.0,
        llm_output_per_1m_tokens=8.0,
        machine_detection=0.0075,
        stream_per_minute=0.0044,
        currency="EUR",
    )
    usage = Usage(61, 59, 30, 500, 10_000, 500, machine_detections=1)
    cost = estimate_cost(prices, usage, outbound=True, number="+442071838750")
    assert cost.carrier == pytest.approx(2 * 0.02 + 0.0044 + 0.0075)  # begun minutes
    assert cost.stt == pytest.approx(0.003)
    assert cost.tts == pytest.approx(0.015)
    assert cost.llm == pytest.approx(0.024)
    assert cost.to_json()["total"] == pytest.approx(0.0939)
    assert cost.to_json()["currency"] == "EUR"
    inbound = estimate_cost(prices, Usage(60), outbound=False, number="+442071838750")
    assert inbound == CostEstimate(0.5, 0, 0, 0, "EUR", usage=Usage(60))
    assert estimate_cost(prices, Usage(), outbound=True, number="+1").total == 0
    assert CostEstimate.from_json(inbound.to_json()) == inbound


def test_what_the_provider_has_read_before_has_its_own_price() -> None:
    prices = Prices(
        llm_input_per_1m_tokens=2.0,
        llm_cached_input_per_1m_tokens=0.5,
        llm_output_per_1m_tokens=8.0,
    )
    usage = Usage(input_tokens=10_000, cached_tokens=8_000, output_tokens=500)
    cost = estimate_cost(prices, usage, outbound=True, number="+1")
    assert cost.llm == pytest.approx((2_000 * 2.0 + 8_000 * 0.5 + 500 * 8.0) / 1e6)


def test_a_call_to_a_colleague_is_shown_as_such() -> None:
    prices = Prices(outbound=RATES, machine_detection=0.0075)
    own = estimate_cost(prices, Usage(60), outbound=True, number="+12125550123")
    leg = transfer_cost(prices, "+442071838750", 90, machine_detection=True)
    assert leg.carrier == pytest.approx(2 * 0.02 + 0.0075)
    both = costs_sum([own, leg])
    assert both.to_json()["ofCarrier"] == {
        "call": pytest.approx(0.014),
        "streams": 0,
        "machineDetection": 0.0075,
        "transfers": pytest.approx(0.04),
    }
    assert both.to_json()["usage"]["transferSeconds"] == 90
    assert both.usage == Usage(60, transfer_s=90, machine_detections=1)
    assert CostEstimate.from_json(both.to_json()) == both


def test_the_record_of_an_earlier_version_is_understood() -> None:
    before = {"total": 1.0, "carrier": 0.4, "stt": 0.3, "llm": 0.2, "tts": 0.1, "currency": "EUR"}
    assert CostEstimate.from_json(before) == CostEstimate(0.4, 0.3, 0.2, 0.1, "EUR")


def test_each_answer_was_asked_for_with_all_before_it() -> None:
    turns = [(False, 10), (True, 20), (False, 5), (True, 7)]
    assert model_tokens(turns, prompt=100) == ((100 + 10) + (100 + 10 + 20 + 5), 27)
    assert model_tokens([], prompt=100) == (0, 0)


@given(st.lists(st.builds(CostEstimate, *[st.floats(0, 100)] * 4, st.just("EUR"))))
def test_the_sum_of_costs(costs: list[CostEstimate]) -> None:
    total = costs_sum(costs)
    assert total.total == pytest.approx(sum(cost.total for cost in costs))
    assert total.currency == ("EUR" if costs else "USD")


def test_the_defaults_are_prices() -> None:
    prices = PriceSettings().prices
    assert price_per_minute(prices.outbound, "+12125550123") > 0
    assert price_per_minute(prices.inbound, "+4930901820") > 0


def test_the_defaults_are_those_of_the_default_models() -> None:
    """List prices as they were looked up: docs/reference/providers-facts.md. Who changes a default
    model finds here that its price is another one."""
    models = LlmSettings().model, DeepgramSettings().model
    assert models == ("gpt-4.1-2025-04-14", "nova-2")
    prices = PriceSettings().prices
    usage = Usage(60, 60, 60, 1_000, 1_000_000, 1_000_000)
    cost = estimate_cost(prices, usage, outbound=True, number="+12125550123")
    assert cost.parts == {"carrier": 0.0184, "stt": 0.0058, "llm": 10.0, "tts": 0.04}
    assert prices.llm_cached_input_per_1m_tokens == 0.5
