"""What a call costs has all in it that was paid for, be it in vain."""

from __future__ import annotations

import gc
import weakref

import attrs
import pytest
import trio
import trio.testing

from tests.telephony.office import SETTINGS, SETUP, an_office
from vantum.config import DeepgramSettings, LlmSettings, Secret, SpeculationSettings
from vantum.core.audio import AudioFormat
from vantum.core.spent import Spent
from vantum.ports import Metered
from vantum.providers.deepgram.client import DeepgramProvider
from vantum.telephony.usage import Recognisers
from vantum.testing import DeepgramScript, OpenAIScript
from vantum.testing.openai_script import Fault
from vantum.testing.twilio import HangUp, Pause, Person, TwilioScript

Clock = trio.testing.MockClock

#: Through the providers' own protocols.
TALKER = TwilioScript(answers=Person((Pause(25), HangUp()), rings_s=3))
LONG = "Let me tell you a very long story about what we do. " * 6


async def test_attempts_that_failed_half_way_and_answers_that_were_cut_are_paid_for(
    autojump_clock: Clock,
) -> None:
    heard = DeepgramScript(("Hello there.", "What is this?"), lead_s=6.0, pause_s=5.0, repeat=False)
    openai = OpenAIScript((LONG, "That is all."), faults=(Fault("stall", after_tokens=0),))
    settings = attrs.evolve(
        SETTINGS,
        llm=LlmSettings(request_timeout_ms=1000, max_retries=2),
        speculation=SpeculationSettings(mode="off"),
    )
    setup = attrs.evolve(SETUP, direct=False, deepgram=heard, openai=openai, settings=settings)
    async with an_office(TALKER, setup=setup) as office:
        record = await office.call()
        usage = record.cost.usage
        answers = [turn for turn in record.turns if turn.role == "assistant"][1:]
        assert usage.requests == len(answers) + 1, "the one that said nothing was asked, too"
        assert usage.spoken_characters >= sum(len(turn.said) for turn in record.turns[:1])
        assert usage.listened_s == pytest.approx(record.duration_s, abs=2)
        assert usage.billed_s == record.duration_s
        assert usage.machine_detections == 1
        assert record.cost.machine_detection == 0.0075
        body = (await office.api("GET", f"/v1/calls/{record.id}")).body["cost"]
        assert body["usage"]["modelRequests"] == usage.requests
        assert body["ofCarrier"] == {
            "call": 0.014,
            "streams": 0.0044,
            "machineDetection": 0.0075,
            "transfers": 0,
        }


async def test_embedded_providers_cost_nothing(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are named; what they really are does not matter here."""
    async with an_office(TALKER) as office:
        local = dict.fromkeys(("stt", "llm", "tts"), "local")
        monkeypatch.setattr(type(office.server.providers), "names", property(lambda _: local))
        record = await office.call()
        assert record.cost.total == record.cost.carrier > 0
        assert (record.cost.usage.listened_s, record.cost.usage.requests) == (0, 0)
        assert record.cost.usage.spoken_characters == 0


async def test_providers_that_do_not_count_are_estimated_by_the_turns(
    autojump_clock: Clock,
) -> None:
    async with an_office(TALKER) as office:
        record = await office.call()
        usage = record.cost.usage
        said = [turn.said for turn in record.turns if turn.role == "assistant"]
        assert usage.spoken_characters == sum(map(len, said))
        assert usage.requests == 0
        assert usage.input_tokens > 0
        assert record.cost.llm > 0


async def test_a_recogniser_that_was_lost_is_counted_and_not_kept(autojump_clock: Clock) -> None:
    """It has the audio that nobody recognised."""
    deepgram = DeepgramProvider(DeepgramSettings(api_key=Secret("key")))
    recognisers = Recognisers(deepgram)
    line = AudioFormat(8000)
    lost = weakref.ref(recognisers.for_session(language="en-US", line=line))
    kept = recognisers.for_session(language="en-US", line=line)
    gc.collect()
    assert lost() is None
    assert isinstance(kept, Metered)
    assert recognisers.used == [Spent(), kept.spent]
