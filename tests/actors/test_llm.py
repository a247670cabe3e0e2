"""The llm actor, in virtual time, against models that do as they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self

import attrs
import pytest
import trio
import trio.testing
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from vantum.actors.llm import LlmLimits, generate
from vantum.core.backoff import Schedule
from vantum.core.messages import (
    ChatMessage,
    ChatRequest,
    LlmFailed,
    LlmFinished,
    LlmOutput,
    LlmPaused,
    LlmToken,
    ModelOutput,
    ToolCall,
    ToolCallBegun,
)
from vantum.errors import ErrorKind, ProviderError

REQUEST = ChatRequest((ChatMessage("user", "Hello?"),), session_id="s")
LIMITS = LlmLimits(first_token_s=2.0, token_s=1.0, total_s=10.0, retry=Schedule(()))


@frozen
class After:
    """A step of an answer: some time, then text or a failure."""

    wait_s: float
    then: ModelOutput | ProviderError


NEVER = After(float("inf"), "")


@define
class ScriptedAnswer:
    """One answer: `open_s` until it is open, then its steps."""

    steps: Sequence[ModelOutput | After | ProviderError]
    open_s: float = 0.0
    was_left: bool = False
    _next: int = field(default=0, init=False)

    async def __aenter__(self) -> Self:
        await trio.sleep(self.open_s)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.was_left = True

    def __aiter__(self) -> AsyncIterator[ModelOutput]:
        return self

    async def __anext__(self) -> ModelOutput:
        if self._next == len(self.steps):
            raise StopAsyncIteration
        step = self.steps[self._next]
        self._next += 1
        if isinstance(step, After):
            await trio.sleep(step.wait_s)
            step = step.then
        if isinstance(step, ProviderError):
            raise step
        await trio.lowlevel.checkpoint()
        return step


@define
class ScriptedModel:
    """Gives its answers one after the other and notes when each was asked for."""

    answers: list[ScriptedAnswer]
    asked_at_s: list[float] = field(factory=list)
    requests: list[ChatRequest] = field(factory=list)

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[ModelOutput]]:
        self.asked_at_s.append(trio.current_time())
        self.requests.append(request)
        return self.answers[len(self.requests) - 1]


def says(*steps: ModelOutput | After | ProviderError, open_s: float = 0.0) -> ScriptedAnswer:
    return ScriptedAnswer(steps, open_s)


def error(kind: ErrorKind) -> ProviderError:
    return ProviderError("scripted", kind, f"a {kind} failure")


async def collect(
    *answers: ScriptedAnswer,
    limits: LlmLimits = LIMITS,
    read_every_s: float = 0.0,
) -> tuple[list[LlmOutput], ScriptedModel]:
    model = ScriptedModel(list(answers))
    token_tx, token_rx = trio.open_memory_channel[LlmOutput](0)
    messages = []
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await generate(model, REQUEST, token_tx, limits=limits, provider="scripted")

        nursery.start_soon(run)
        with token_rx:
            async for message in token_rx:
                messages.append(message)
                await trio.sleep(read_every_s)
    return messages, model


def tokens(messages: list[LlmOutput]) -> list[str]:
    return [m.text for m in messages if isinstance(m, LlmToken)]


def failure(messages: list[LlmOutput]) -> LlmFailed:
    assert isinstance(messages[-1], LlmFailed)
    return messages[-1]


async def test_an_answer_is_its_tokens_then_finished(autojump_clock: trio.abc.Clock) -> None:
    answer = says("Good", " morning", ".")
    messages, model = await collect(answer)
    assert messages == [LlmToken("Good"), LlmToken(" morning"), LlmToken("."), LlmFinished()]
    assert model.requests == [REQUEST]
    assert answer.was_left


async def test_the_first_text_is_on_its_way_before_the_stream_is_left(
    nursery: trio.Nursery,
) -> None:
    """Reading what came with it and giving the connection back take time, which the synthesiser
    can use."""
    answer = says("Hello.", " Bye.")
    token_tx, token_rx = trio.open_memory_channel[LlmOutput](9)
    hand_tx, hand_rx = trio.open_memory_channel[LlmOutput](9)

    async def hand_on() -> None:
        async for message in token_rx:
            hand_tx.send_nowait(message)

    nursery.start_soon(hand_on)
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(partial(generate, ScriptedModel([answer]), REQUEST, token_tx, limits=LIMITS))
    assert await hand_rx.receive() == LlmToken("Hello.")
    assert not answer.was_left


@given(pieces=st.lists(st.text(st.sampled_from("ab \n"), max_size=3), max_size=8))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_and_nothing_added(pieces: list[str]) -> None:
    messages, _ = trio.run(
        collect, says(*pieces), clock=trio.testing.MockClock(autojump_threshold=0)
    )
    text = "".join(pieces)
    if text.strip():
        assert "".join(tokens(messages)) == text
        assert all(tokens(messages))
        assert messages[-1] == LlmFinished()
    else:
        assert [type(m) for m in messages] == [LlmFailed]


@pytest.mark.parametrize("steps", [(), ("",), (" ", "\n")])
async def test_an_answer_without_text_is_a_failure(
    autojump_clock: trio.abc.Clock, steps: tuple[str, ...]
) -> None:
    messages, _ = await collect(says(*steps))
    assert messages == [LlmFailed("server", "the model's answer was empty", "scripted")]


async def test_the_deadline_is_on_the_first_text_not_on_the_open_stream(
    autojump_clock: trio.abc.Clock,
) -> None:
    answer = says(" ", After(1.5, " "), NEVER, open_s=0.4)
    begun_s = trio.current_time()
    messages, _ = await collect(answer)
    assert messages == [LlmFailed("timeout", "no text within 2 s", "scripted")]
    assert trio.current_time() - begun_s == pytest.approx(2.0)
    assert answer.was_left


async def test_a_connection_that_never_opens_meets_the_same_deadline(
    autojump_clock: trio.abc.Clock,
) -> None:
    begun_s = trio.current_time()
    messages, _ = await collect(says("too late", open_s=100.0))
    assert failure(messages).error_kind == "timeout"
    assert trio.current_time() - begun_s == pytest.approx(2.0)


async def test_a_stall_ends_the_answer_but_not_what_was_said(
    autojump_clock: trio.abc.Clock,
) -> None:
    answer = says(After(1.9, "Well"), After(0.9, ","), NEVER)
    begun_s = trio.current_time()
    messages, _ = await collect(answer)
    assert messages == [
        LlmToken("Well"),
        LlmToken(","),
        LlmFailed("timeout", "no further text within 1 s", "scripted"),
    ]
    assert trio.current_time() - begun_s == pytest.approx(3.8)
    assert answer.was_left


async def test_the_whole_answer_has_a_deadline(autojump_clock: trio.abc.Clock) -> None:
    begun_s = trio.current_time()
    messages, _ = await collect(says(*[After(0.9, "on and ")] * 100))
    assert failure(messages).message == "the answer was not complete within 10 s"
    assert len(tokens(messages)) == 11
    assert trio.current_time() - begun_s == pytest.approx(10.0)


async def test_a_slow_listener_is_not_a_slow_model(autojump_clock: trio.abc.Clock) -> None:
    messages, _ = await collect(says(*["word "] * 20), read_every_s=7.0)
    assert len(tokens(messages)) == 20
    assert messages[-1] == LlmFinished()


async def test_a_failure_before_the_first_word_is_tried_again_on_schedule(
    autojump_clock: trio.abc.Clock,
) -> None:
    limits = LlmLimits(2.0, 1.0, 20.0, Schedule((1.0, 2.0)))
    messages, model = await collect(
        says(error("server")), says(" ", error("network")), says("At last."), limits=limits
    )
    assert messages == [LlmToken("At last."), LlmFinished()]
    first_s = model.asked_at_s[0]
    assert [at - first_s for at in model.asked_at_s] == pytest.approx([0.0, 1.0, 3.0])


async def test_each_attempt_has_its_own_first_token_deadline(
    autojump_clock: trio.abc.Clock,
) -> None:
    limits = LlmLimits(2.0, 1.0, 20.0, Schedule((1.0,)))
    messages, _ = await collect(says(NEVER), says(After(1.9, "Yes.")), limits=limits)
    assert messages == [LlmToken("Yes."), LlmFinished()]


async def test_an_empty_answer_is_tried_again(autojump_clock: trio.abc.Clock) -> None:
    limits = LlmLimits(retry=Schedule((0.0,)))
    messages, _ = await collect(says(), says("Yes."), limits=limits)
    assert messages == [LlmToken("Yes."), LlmFinished()]


async def test_after_the_last_attempt_the_last_failure_counts(
    autojump_clock: trio.abc.Clock,
) -> None:
    limits = LlmLimits(retry=Schedule((0.5,)))
    messages, model = await collect(says(error("server")), says(error("rate_limit")), limits=limits)
    assert messages == [LlmFailed("rate_limit", "a rate_limit failure", "scripted")]
    assert len(model.requests) == 2


async def test_nothing_is_tried_again_once_something_was_said(
    autojump_clock: trio.abc.Clock,
) -> None:
    limits = LlmLimits(retry=Schedule((0.0, 0.0)))
    messages, model = await collect(
        says("Half an ", error("network")), says("never"), limits=limits
    )
    assert messages == [
        LlmToken("Half an "),
        LlmFailed("network", "a network failure", "scripted"),
    ]
    assert len(model.requests) == 1


@pytest.mark.parametrize("kind", ["auth", "quota", "invalid_request"])
async def test_failures_that_stay_are_not_tried_again(
    autojump_clock: trio.abc.Clock, kind: ErrorKind
) -> None:
    limits = LlmLimits(retry=Schedule((0.0,)))
    messages, model = await collect(says(error(kind)), says("never"), limits=limits)
    assert messages == [LlmFailed(kind, f"a {kind} failure", "scripted")]
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("asked_s", "tried_after_s"),
    [(None, 1.0), (0.2, 1.0), (1.5, 1.5), (2.5, None)],  # an attempt may take 2 s
)
async def test_a_provider_that_asks_to_be_left_alone_is(
    autojump_clock: trio.abc.Clock, asked_s: float | None, tried_after_s: float | None
) -> None:
    refused = ProviderError("scripted", "rate_limit", "slow down", retry_after_s=asked_s)
    limits = LlmLimits(2.0, 1.0, 20.0, Schedule((1.0,)))
    messages, model = await collect(says(refused), says("Yes."), limits=limits)
    gaps_s = [at - model.asked_at_s[0] for at in model.asked_at_s[1:]]
    if tried_after_s is None:
        assert failure(messages).error_kind == "rate_limit"
        assert not gaps_s
    else:
        assert messages == [LlmToken("Yes."), LlmFinished()]
        assert gaps_s == pytest.approx([tried_after_s])


async def test_no_attempt_begins_after_the_whole_deadline(autojump_clock: trio.abc.Clock) -> None:
    limits = LlmLimits(2.0, 1.0, 4.0, Schedule((3.0,)))
    begun_s = trio.current_time()
    messages, model = await collect(says(After(1.5, error("server"))), says("no"), limits=limits)
    assert failure(messages).error_kind == "server"
    assert len(model.requests) == 1
    assert trio.current_time() - begun_s == pytest.approx(1.5)


async def test_the_whole_deadline_cuts_the_last_attempt_short(
    autojump_clock: trio.abc.Clock,
) -> None:
    limits = LlmLimits(2.0, 1.0, 3.5, Schedule((1.0,)))
    begun_s = trio.current_time()
    messages, _ = await collect(says(NEVER), says(NEVER), limits=limits)
    assert failure(messages).message == "the answer was not complete within 3.5 s"
    assert trio.current_time() - begun_s == pytest.approx(3.5)


async def test_cancelling_leaves_the_answer_and_closes_the_channel(
    autojump_clock: trio.abc.Clock,
) -> None:
    answer = says("One", NEVER)
    token_tx, token_rx = trio.open_memory_channel[LlmOutput](10)
    with trio.move_on_after(0.5) as scope:
        await generate(ScriptedModel([answer]), REQUEST, token_tx, limits=LIMITS)
    assert scope.cancelled_caught
    assert answer.was_left
    with token_rx:
        assert [message async for message in token_rx] == [LlmToken("One")]


async def test_a_receiver_that_has_gone_is_not_a_failure_of_the_model(
    autojump_clock: trio.abc.Clock,
) -> None:
    token_tx, token_rx = trio.open_memory_channel[LlmOutput](0)
    token_rx.close()
    with pytest.raises(trio.BrokenResourceError):
        await generate(ScriptedModel([says("One")]), REQUEST, token_tx, limits=LIMITS)


# ---------------------------------------------------------------- rounds


@define
class Clerk:
    """Goes so many rounds and notes what it heard of each."""

    rounds: int
    heeded: list[ToolCallBegun | ToolCall] = field(factory=list)
    texts: list[str] = field(factory=list)

    def heed(self, piece: ToolCallBegun | ToolCall) -> None:
        self.heeded.append(piece)

    async def carry_out(
        self, request: ChatRequest, text: str, filler_tx: trio.MemorySendChannel[LlmOutput]
    ) -> ChatRequest | None:
        self.texts.append(text)
        return request if len(self.texts) <= self.rounds else None


CALL = ToolCall("id", "book", "{}")


async def in_rounds(
    clerk: Clerk | None, *answers: ScriptedAnswer, limits: LlmLimits = LIMITS
) -> list[LlmOutput]:
    model = ScriptedModel(list(answers))
    token_tx, token_rx = trio.open_memory_channel[LlmOutput](100)
    await generate(model, REQUEST, token_tx, limits=limits, provider="scripted", errands=clerk)
    messages = [message async for message in token_rx]
    assert len(model.requests) == len(answers)
    return messages


async def test_a_model_that_calls_is_asked_again(autojump_clock: object) -> None:
    clerk = Clerk(2)
    calls: list[ModelOutput] = [ToolCallBegun("id", "book"), CALL]
    messages = await in_rounds(clerk, says(" ", "Hm, ", *calls), says(*calls), says("done."))
    assert messages == [
        LlmToken(" Hm, "),
        LlmPaused(),
        LlmPaused(),
        LlmToken("done."),
        LlmFinished(),
    ]
    assert clerk.texts == [" Hm, ", ""]
    assert clerk.heeded == calls * 2


async def test_rounds_end_when_nothing_follows(autojump_clock: object) -> None:
    assert await in_rounds(Clerk(0), says("Bye.", CALL)) == [
        LlmToken("Bye."),
        LlmPaused(),
        LlmFinished(),
    ]


async def test_an_empty_round_behind_words_is_an_end(autojump_clock: object) -> None:
    messages = await in_rounds(Clerk(1), says("Hm.", CALL), says())
    assert messages == [LlmToken("Hm."), LlmPaused(), LlmFinished()]
    messages = await in_rounds(Clerk(1), says(CALL), says())
    assert messages[0] == LlmPaused()
    assert isinstance(messages[1], LlmFailed)


async def test_without_tools_calls_are_passed_over(autojump_clock: object) -> None:
    assert await in_rounds(None, says("Hm.", CALL)) == [LlmToken("Hm."), LlmFinished()]


async def test_a_call_has_the_deadline_of_a_token_and_is_not_asked_for_twice(
    autojump_clock: object,
) -> None:
    retry = attrs.evolve(LIMITS, retry=Schedule((0.1,)))
    slow = says(ToolCallBegun("id", "book"), After(1.5, "late"))
    (failure,) = await in_rounds(Clerk(0), slow, limits=retry)
    assert isinstance(failure, LlmFailed)
    assert failure.message == "no further text within 1 s"
    quick = says(After(1.9, ToolCallBegun("id", "book")), After(0.9, CALL))
    assert await in_rounds(Clerk(0), quick) == [LlmPaused(), LlmFinished()]


async def test_each_round_has_its_own_deadlines(autojump_clock: object) -> None:
    slow = [After(1.9, "a "), *[After(0.9, "b ")] * 7]
    clerk = Clerk(1)
    messages = await in_rounds(clerk, says(*slow, CALL), says(*slow))
    assert messages[-1] == LlmFinished()
    assert trio.current_time() > LIMITS.total_s
