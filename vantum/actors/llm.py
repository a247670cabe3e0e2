"""The llm actor: one answer of the model, as messages. It lives as long as one response.

Deadlines are on what the caller waits for, text: an open stream that says nothing is as late as a
connection that is never made. Time during which the *receiver* is not ready does not count, or a
long answer spoken at the pace of speech would look like a slow model.

An answer is tried again only while nothing of it has left, so nothing is ever said twice.
"""

from __future__ import annotations

import math

import trio
from attrs import define, frozen

from vantum.core.backoff import LLM_RETRY, Schedule
from vantum.core.messages import ChatRequest, LlmFailed, LlmFinished, LlmOutput, LlmToken
from vantum.errors import ProviderError
from vantum.ports import LanguageModel


@frozen
class LlmLimits:
    """How long an answer may take, in seconds, and when to try again."""

    first_token_s: float = 30.0  # from asking to the first text, at each attempt
    token_s: float = 10.0  # from one piece of text to the next
    total_s: float = 60.0  # the whole answer, with all attempts and the pauses between them
    retry: Schedule = LLM_RETRY.first(0)  # pauses before further attempts; none by default


@define
class _Progress:
    due_s: float  # when the whole answer is due; moves on while the receiver is not ready
    spoken: bool = False  # whether anything has left: from then on, no further attempt


async def generate(
    model: LanguageModel,
    request: ChatRequest,
    event_tx: trio.MemorySendChannel[LlmOutput],
    *,
    limits: LlmLimits,
    provider: str = "llm",
) -> None:
    """Send one answer as `LlmToken`s, then `LlmFinished` or `LlmFailed`; closes `event_tx`.

    Tokens before an `LlmFailed` stand. Failures that may pass (`ProviderError.retryable`) are tried
    again by `limits.retry` if nothing has left. An answer of white space
    is a failure of kind "server", a missed deadline one of kind "timeout", both in the name of
    `provider`. Raises `trio.BrokenResourceError` if the receiver has gone.
    """
    progress = _Progress(due_s=trio.current_time() + limits.total_s)
    attempt = 0
    with event_tx:
        while True:
            try:
                await _attempt(model, request, event_tx, limits, progress, provider)
                return
            except ProviderError as error:
                pause_s = None if progress.spoken else limits.retry.delay_s(attempt)
                in_time = pause_s is not None and trio.current_time() + pause_s < progress.due_s
                if pause_s is None or not in_time or not error.retryable:
                    failure = LlmFailed(error.kind, error.message, error.provider)
                    break
            await trio.sleep(pause_s)
            attempt += 1
        await event_tx.send(failure)


async def _attempt(
    model: LanguageModel,
    request: ChatRequest,
    event_tx: trio.MemorySendChannel[LlmOutput],
    limits: LlmLimits,
    progress: _Progress,
    provider: str,
) -> None:
    """Ask once. On return `LlmFinished` has been sent; a failure is a `ProviderError`."""
    held = ""  # white space is not worth sending before there is text
    with trio.CancelScope() as patience:
        patience.deadline = min(trio.current_time() + limits.first_token_s, progress.due_s)
        async with model.stream(request) as pieces:
            async for piece in pieces:
                held += piece
                if not held or (not progress.spoken and held.isspace()):
                    continue  # by the same deadline
                progress.spoken = True
                patience.deadline = math.inf
                since_s = trio.current_time()
                await event_tx.send(LlmToken(held))
                held = ""
                progress.due_s += trio.current_time() - since_s
                patience.deadline = min(trio.current_time() + limits.token_s, progress.due_s)
            patience.deadline = math.inf
            if not progress.spoken:
                raise ProviderError(provider, "server", "the model's answer was empty")
            await event_tx.send(LlmFinished())
    if patience.cancelled_caught:
        raise ProviderError(provider, "timeout", _lateness(limits, progress))


def _lateness(limits: LlmLimits, progress: _Progress) -> str:
    if trio.current_time() >= progress.due_s:
        return f"the answer was not complete within {limits.total_s:g} s"
    if progress.spoken:
        return f"no further text within {limits.token_s:g} s"
    return f"no text within {limits.first_token_s:g} s"
