"""One response: model → chunker → synthesiser → player, in one nursery.

Cancelling the nursery is how an answer is interrupted. It cannot leave anything behind, because
nothing else holds the channels.
"""

from __future__ import annotations

import trio

from vantum.actors.call import Call, Inbox, Outgoing
from vantum.actors.chunker import break_off, chunk
from vantum.actors.llm import LlmLimits, generate
from vantum.actors.player import play
from vantum.actors.response import Response
from vantum.actors.timing import Timed
from vantum.actors.tts import speak
from vantum.actors.waiting import Waiting
from vantum.channels import Sender
from vantum.config import LlmSettings
from vantum.core.backoff import LLM_RETRY
from vantum.core.messages import (
    ChatRequest,
    LlmOutput,
    Piece,
    Speech,
)


def _limits(llm: LlmSettings) -> LlmLimits:
    return LlmLimits(
        first_token_s=llm.request_timeout_ms / 1000,
        token_s=llm.token_timeout_ms / 1000,
        total_s=llm.streaming_timeout_ms / 1000,
        retry=LLM_RETRY.first(llm.max_retries),
    )


async def respond(
    call: Call,
    response: Response,
    request: ChatRequest,
    speaking: trio.Lock,
    out_tx: Sender[Outgoing],
    inbox_tx: Sender[Inbox],
) -> None:
    """Answer once; returns when the last audio was heard, or at once when it is cancelled.

    As long as `response.committed` is not set the answer is made in secret: nothing is played, and
    of synthesis there is at most the first piece, if `response.speaks_ahead`.

    `speaking` is held while the session's synthesiser is in use: an answer that was cancelled may
    need a moment to take its leave from the provider.
    """
    # Text ahead of synthesis: a few pieces, so that the next one is there when one is done.
    piece_tx, piece_rx = trio.open_memory_channel[Piece](4)
    # Synthesised audio ahead of the player: a piece's text, its words and the first of its audio
    # come together. What waits longer waits in the provider's own buffer, as small as it came.
    speech_tx, speech_rx = trio.open_memory_channel[Speech](2)
    thinking = trio.CancelScope()
    model = Timed(call.model, response.marks, response.draft)

    async def think() -> None:
        # Tokens are small and come in bursts: the model is never slowed down by the chunker.
        token_tx, token_rx = trio.open_memory_channel[LlmOutput](64)
        limits, provider = _limits(call.settings.llm), call.provider_names["llm"]
        said, errands = response.said, response.errands
        answer = generate if errands is None else errands.generate
        waiting = Waiting(
            call.settings.llm, response.fillers, said, response.silent_since, token_rx
        )
        with thinking:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    chunk, response.answer, said, waiting, piece_tx, out_tx, inbox_tx
                )
                await answer(model, request, token_tx, limits=limits, provider=provider)
        if thinking.cancelled_caught:
            await break_off(response.answer, said, out_tx)

    with response.scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(think)
            nursery.start_soon(_voice, call, response, speaking, piece_rx, speech_tx)
            await play(response.playing, speech_rx, out_tx, inbox_tx)
            # A synthesis that broke off leaves a model that still speaks to nobody.
            thinking.cancel()
        # One that was made in secret and came to nothing is still to be taken or dropped.
        await response.committed.wait()


async def _voice(
    call: Call,
    response: Response,
    speaking: trio.Lock,
    piece_rx: trio.MemoryReceiveChannel[Piece],
    speech_tx: trio.MemorySendChannel[Speech],
) -> None:
    if not response.speaks_ahead:
        await response.committed.wait()
    async with speaking:
        await speak(
            call.synthesiser,
            piece_rx,
            speech_tx,
            voice_id=response.options.voice_id,
            language=response.options.language,
            line=response.options.line,
            audio_timeout_s=call.settings.tts.audio_timeout_ms / 1000,
            marks=response.marks,
            committed=response.committed,
        )
