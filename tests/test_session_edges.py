"""Whole calls at their edges: what comes at the wrong moment, and answers that are none."""

from __future__ import annotations

from tests.in_memory import a_call
from vantum.core import events as e
from vantum.testing import DeepgramScript, OpenAIScript

ANSWER = "Hi there, this is Alex from Vantum. ||BREAK|| We help teams. ||BREAK|| Shall we talk?"
THREE = OpenAIScript((ANSWER,))


# ---------------------------------------------------------------- starts at the wrong moment


async def test_another_language_right_after_a_turn(autojump_clock: object) -> None:
    """The words of the turn before are not lost, and the next turn is heard."""
    heard = DeepgramScript(("hello there", "guten Tag"), speech="on_finalize", scope="server")
    async with a_call(openai=THREE, deepgram=heard) as caller:
        first = await caller.start()
        await caller.speak(0.3)
        await caller.end()
        second = await caller.start(language="de-DE")
        await caller.until(e.OutputCompleted)
        await caller.turn()
        told = caller.messages(e.TranscriptOut)
        assert [(t.transcript, t.language) for t in told] == [
            ("hello there", "en-US"),
            ("guten Tag", "de-DE"),
        ]
        assert [t.request.event_id for t in told] == [first.event_id, second.event_id]
    assert caller.failure is None
