"""The chunker actor: what it makes of what the model says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
import trio

from vantum.actors.chunker import Answer, Fallback, Said, chunk
from vantum.core.chunking import ChunkingOptions
from vantum.core.decisions import AnswerFailed
from vantum.core.events import ResponseCompleted, ResponseStarted
from vantum.core.messages import EndOfPieces, LlmFinished, LlmOutput, Piece, SpeechPiece


async def nothing() -> AsyncGenerator[LlmOutput, None]:
    yield LlmFinished()


@pytest.mark.parametrize("goes_on", [True, False])
async def test_only_an_answer_that_goes_on_may_have_nothing_to_say(goes_on: bool) -> None:
    """Its model was asked what comes behind the last word, and there may be no more."""
    piece_tx, piece_rx = trio.open_memory_channel[Piece](9)
    out_tx, out_rx = trio.open_memory_channel[Any](9)
    inbox_tx, inbox_rx = trio.open_memory_channel[Any](9)
    fallback = Fallback(1, "Sorry?")
    answer = Answer(0, "u", lambda: 0, fallback, ChunkingOptions(), goes_on=goes_on)
    said = Said()
    async with aclosing(nothing()) as messages:
        await chunk(answer, said, messages, piece_tx, out_tx, inbox_tx)
    assert out_rx.receive_nowait() == ResponseStarted("u", 0)
    completed, piece = out_rx.receive_nowait(), piece_rx.receive_nowait()
    if goes_on:
        assert completed == ResponseCompleted("u", "", False, None)
        assert piece == EndOfPieces()
        assert said.failure is None
        with pytest.raises(trio.WouldBlock):
            inbox_rx.receive_nowait()
    else:
        assert completed == ResponseCompleted("u", "Sorry?", True, 1)
        assert piece == SpeechPiece(0, "Sorry?")
        assert isinstance(inbox_rx.receive_nowait(), AnswerFailed)
