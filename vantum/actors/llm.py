"""The llm actor: one answer of the model, as messages. It lives as long as one response.

Deadlines are on what the caller waits for, text: an open stream that says nothing is as late as a
connection that is never made. Time during which the *receiver* is not ready does not count, or a
long answer spoken at the pace of speech would look like a slow model.

An answer is tried again only while nothing of it has left, so nothing is ever said twice.

A model that asks for tools has its answer in rounds: it is asked again with their results until it
asks for none. The deadlines are those of each round; the time that tools take is not the model's.
"""

from __future__ import annotations

import math
from typing import Protocol

import trio
from attrs import define, field, frozen

from vantum.channels import give_way, put
from vantum.core.backoff import LLM_RETRY, Schedule
from vantum.core.messages import (
    ChatRequest,
    Keys,
    LlmFailed,
    LlmFinished,
    LlmOutput,
    LlmPaused,
    LlmToken,
    ToolCall,
    ToolCallBegun,
)
from vantum.errors import ProviderError
from vantum.ports import LanguageModel


@frozen
class LlmLimits:
    """How long an answer may take, in seconds, and when to try again."""

    first_token_s: float = 30.0  # from asking to the first text, at each attempt
    token_s: float = 10.0  # from one piece of text to the next
    total_s: float = 60.0  # the whole answer, with all attempts and the pauses between them
    retry: Schedule = LLM_RETRY.first(0)  # pauses before further attempts; none by default

    def pause_s(self, attempt: int, error: ProviderError) -> float | None:
        """How long to wait after this failed attempt, counted from 0; None: give up.

        A provider that asks for a longer pause gets it; but one that is longer than a whole attempt
        may take is no use to a caller who waits.
        """
        pause_s, asked_s = self.retry.delay_s(attempt), error.retry_after_s or 0.0
        if pause_s is None or asked_s > self.first_token_s:
            return None
        return max(pause_s, asked_s)


class Errands(Protocol):
    """What becomes of the tools that one answer asks for: `vantum.actors.tools`."""

    def heed(self, piece: ToolCallBegun | ToolCall) -> None:
        """The model is writing this in the round that runs."""

    async def carry_out(
        self, request: ChatRequest, text: str, filler_tx: trio.MemorySendChannel[LlmOutput]
    ) -> ChatRequest | None:
        """The round is over and wrote `text`: do what it asked for.

        Returns the request that has the results in it; None if the answer needs no further round.
        """


@define
class _Progress:
    due_s: float  # when the round is due; moves on while the receiver is not ready
    may_be_empty: bool  # this answer has said something in an earlier round
    spoken: bool = False  # whether text has left
    called: bool = False  # whether a tool was asked for
    text: list[str] = field(factory=list)

    @property
    def begun(self) -> bool:
        """From then on, no further attempt."""
        return self.spoken or self.called


async def generate(
    model: LanguageModel,
    request: ChatRequest,
    event_tx: trio.MemorySendChannel[LlmOutput],
    *,
    limits: LlmLimits,
    provider: str = "llm",
    errands: Errands | None = None,
) -> None:
    """Send one answer as `LlmToken`s, then `LlmFinished` or `LlmFailed`; closes `event_tx`.

    Tokens before an `LlmFailed` stand. Failures that may pass (`ProviderError.retryable`) are tried
    again by `limits.retry` if nothing has left. An answer of white space
    is a failure of kind "server", a missed deadline one of kind "timeout", both in the name of
    `provider`. Between two rounds comes `LlmPaused`; without `errands`, calls are passed over.
    Raises `trio.BrokenResourceError` if the receiver has gone.
    """
    spoken = False
    with event_tx:
        while True:
            progress = _Progress(trio.current_time() + limits.total_s, may_be_empty=spoken)
            failure = await _round(model, request, event_tx, limits, progress, provider, errands)
            if failure is not None:
                await put(event_tx, failure)
                return
            spoken = spoken or progress.spoken
            if not progress.called or errands is None:
                return
            following = await errands.carry_out(request, "".join(progress.text), event_tx)
            if following is None:
                await put(event_tx, LlmFinished())
                return
            request = following


async def _round(
    model: LanguageModel,
    request: ChatRequest,
    event_tx: trio.MemorySendChannel[LlmOutput],
    limits: LlmLimits,
    progress: _Progress,
    provider: str,
    errands: Errands | None,
) -> LlmFailed | None:
    """Ask until there is an answer or no hope of one; its end is sent, its failure returned."""
    attempt = 0
    while True:
        try:
            await _attempt(model, request, event_tx, limits, progress, provider, errands)
            return None
        except ProviderError as error:
            pause_s = None if progress.begun else limits.pause_s(attempt, error)
            in_time = pause_s is not None and trio.current_time() + pause_s < progress.due_s
            if pause_s is None or not in_time or not error.retryable:
                return LlmFailed(error.kind, error.message, error.provider)
        await trio.sleep(pause_s)
        attempt += 1


async def _attempt(
    model: LanguageModel,
    request: ChatRequest,
    event_tx: trio.MemorySendChannel[LlmOutput],
    limits: LlmLimits,
    progress: _Progress,
    provider: str,
    errands: Errands | None,
) -> None:
    """Ask once. On return the round's last message is sent; a failure is a `ProviderError`."""
    held = ""  # white space is not worth sending before there is text
    with trio.CancelScope() as patience:
        patience.deadline = min(trio.current_time() + limits.first_token_s, progress.due_s)
        async with model.stream(request) as pieces:
            async for piece in pieces:
                if isinstance(piece, Keys):
                    progress.spoken = True
                    await put(event_tx, piece)
                    continue
                if not isinstance(piece, str):
                    if errands is not None:
                        progress.called = True
                        errands.heed(piece)
                        deadline_s = trio.current_time() + limits.token_s
                        patience.deadline = min(deadline_s, progress.due_s)
                    continue
                held += piece
                if not held or (not progress.spoken and held.isspace()):
                    continue  # by the same deadline
                is_first, progress.spoken = not progress.spoken, True
                patience.deadline = math.inf
                since_s = trio.current_time()
                await put(event_tx, LlmToken(held))
                if is_first:
                    # To be spoken, before what came with it is read and the stream is left.
                    await give_way()
                progress.text.append(held)
                held = ""
                progress.due_s += trio.current_time() - since_s
                patience.deadline = min(trio.current_time() + limits.token_s, progress.due_s)
            patience.deadline = math.inf
            if not progress.begun and not progress.may_be_empty:
                raise ProviderError(provider, "server", "the model's answer was empty")
            # Before the stream is left, which may take a moment: these words are waited for.
            await put(event_tx, LlmPaused() if progress.called else LlmFinished())
    if patience.cancelled_caught:
        raise ProviderError(provider, "timeout", _lateness(limits, progress))


def _lateness(limits: LlmLimits, progress: _Progress) -> str:
    if trio.current_time() >= progress.due_s:
        return f"the answer was not complete within {limits.total_s:g} s"
    if progress.begun:
        return f"no further text within {limits.token_s:g} s"
    return f"no text within {limits.first_token_s:g} s"
