"""Whole calls in which the model and the voice fail in any order: what the caller hears.

Each turn's outcome is worked out from the faults alone and compared with what was asked, said,
heard and remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import hypothesis.strategies as st
import trio
import trio.testing
from attrs import frozen
from hypothesis import Phase, example, given, settings

from tests.in_memory import Caller, a_call
from tests.providers.cartesia_call import check_words_heard
from vantum.config import LlmSettings, Settings
from vantum.core import events as e
from vantum.testing import CartesiaScript, OpenAIScript
from vantum.testing.cartesia_script import Fault as VoiceFault
from vantum.testing.openai_script import Fault
from vantum.testing.openai_wire import Messages

TURNS = 4
TIERS = ("Sorry, say that again?", "I did not get that either.", "Please call us back later.")
#: Fails before a word whatever comes after it, and may pass.
PASSING = ("rate_limit", "slow_down", "server", "overloaded", "timeout", "hang", "hang_open")
NOTHING_SAID = ("empty", "blank")
STAYING = ("bad_request", "auth", "forbidden", "not_found", "quota")
IN_THE_MIDDLE = ("stall", "disconnect", "torn", "cut", "malformed", "error_event")
HARMLESS = ("drip", "no_done", "refusal", "filtered")


def spoken(turn: int) -> str:
    """The answer of a turn, in two pieces; each word but the common ones is said once a call."""
    return f"Answer{turn} begins here and goes on{turn}. Then{turn} it ends{turn}."


def write(messages: Messages) -> str:
    turn = sum(message["role"] == "user" for message in messages)
    return spoken(turn).replace(f". Then{turn}", f". ||BREAK|| Then{turn}")


model_faults = st.one_of(
    st.none(),
    st.builds(Fault, st.sampled_from([*PASSING, *NOTHING_SAID, *STAYING, *HARMLESS])),
    st.sampled_from([0.2, 1.7]).map(lambda s: Fault("rate_limit", retry_after_s=s)),
    st.builds(
        Fault,
        st.sampled_from([*IN_THE_MIDDLE, "length", "content_filter"]),
        after_tokens=st.sampled_from([0, 1, 4, 9, 11]),
    ),
)
voice_faults = st.one_of(
    st.none(),
    st.builds(
        VoiceFault,
        st.sampled_from(["error", "disconnect", "malformed", "drip"]),
        after_chunks=st.integers(0, 12),
    ),
)


@frozen
class Outcome:
    """What becomes of a turn: how often the model is asked, and how the answer ends."""

    attempts: int
    said: Literal["all", "some", "none"]  # of the model's words
    failed: bool


def outcome(faults: Sequence[Fault | None], retries: int) -> Outcome:
    """By the first faults of those that are still to come."""
    for attempt, fault in enumerate((*faults, *[None] * (retries + 1)), 1):
        kind = fault.kind if fault is not None else None
        begun = fault is not None and fault.after_tokens > 0
        if kind is None or kind in HARMLESS:
            return Outcome(attempt, "all", failed=False)
        if kind in (*IN_THE_MIDDLE, "content_filter", "length") and begun:
            return Outcome(attempt, "some", failed=kind != "length")
        # A pause that is longer than an attempt may take is as good as a refusal.
        too_long = fault is not None and (fault.retry_after_s or 0.0) > 1.0
        if kind in (*STAYING, "content_filter") or too_long or attempt > retries:
            return Outcome(attempt, "none", failed=True)
    raise AssertionError("the last attempt returns")


def audio_of(caller: Caller, utterance_id: str) -> bytes:
    chunks = [m for m in caller.messages(e.OutputChunk) if m.utterance_id == utterance_id]
    return b"".join(chunk.audio for chunk in chunks)


def check_turn(caller: Caller, turn: int, expected: Outcome, failures: int) -> str:
    """What was said in this turn, after `failures` in a row before it."""
    done = caller.messages(e.ResponseCompleted)[turn - 1]
    if done.is_fallback:
        # Words that came too late to be a piece are none.
        assert expected.failed
        tier = min(failures + 1, 3)
        assert (done.tier, done.text) == (tier, TIERS[tier - 1])
    elif expected.said == "all":
        assert done.text == spoken(turn)
    else:
        assert expected.said == "some"
        assert spoken(turn).startswith(done.text)
    check_words_heard(audio_of(caller, done.utterance_id), [done.text])
    return done.text


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
# It reached its longest answer in the midst of a marker.
@example(faults=[Fault("length", after_tokens=9)], voices=[], retries=0)
@given(
    faults=st.lists(model_faults, min_size=1, max_size=9),
    voices=st.lists(voice_faults, max_size=TURNS),
    retries=st.integers(0, 2),
)
def test_whatever_fails_each_turn_is_answered_once(
    faults: list[Fault | None], voices: list[VoiceFault | None], retries: int
) -> None:
    chosen = LlmSettings(
        request_timeout_ms=1000,
        token_timeout_ms=1000,
        max_retries=retries,
        filler_after_ms=60_000,  # retries may take as long as a filler waits
        fallback_tier1=TIERS[0],
        fallback_tier2=TIERS[1],
        fallback_tier3=TIERS[2],
    )

    async def main() -> None:
        async with a_call(
            settings=Settings(llm=chosen),
            openai=OpenAIScript(write, faults=tuple(faults)),
            cartesia=CartesiaScript(first_audio_s=0.05, rate=5.0, faults=tuple(voices)),
        ) as caller:
            await caller.start()
            asked, failures, said = 0, 0, list[str]()
            for turn in range(1, TURNS + 1):
                await caller.turn()
                expected = outcome(faults[asked:], retries)
                asked += expected.attempts
                assert len(caller.openai.chats) == asked, "asked again where it may not, or not"
                said.append(check_turn(caller, turn, expected, failures))
                failures = failures + 1 if expected.failed else 0
            # Each answer is remembered as it was heard, the set texts too.
            sent = caller.openai.chats[-1].body["messages"]
            context = [m["content"].replace("||BREAK|| ", "") for m in sent]
            assert [text for text in context if text in said[:-1]] == said[:-1]
            assert caller.conductor is not None
            entries = [x.text for x in caller.conductor.history.entries if x.role == "assistant"]
            assert entries == said
            assert caller.failure is None

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
