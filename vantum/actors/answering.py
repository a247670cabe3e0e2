"""Answering: the live answer of a call, and what the call remembers of the ones before.

The conductor says when an answer begins and when it is cut; what that takes of the world is here.
"""

from __future__ import annotations

import attrs
import trio
from attrs import define, field
from structlog.contextvars import bound_contextvars

from vantum.actors.briefing import Briefing
from vantum.actors.call import Call, Inbox, Outgoing
from vantum.actors.chunker import Answer, Fallback, Said
from vantum.actors.latencies import Latencies
from vantum.actors.player import Playing
from vantum.actors.recital import Recital
from vantum.actors.response import Respond, Response
from vantum.actors.summarising import Summarising
from vantum.core.chunking import ChunkingOptions
from vantum.core.decisions import CancelResponse, ResponseDone, Turn
from vantum.core.events import (
    InputOptions,
    Interrupted,
    LatencyMeasured,
    OutputCancelled,
    OutputChunk,
    Played,
)
from vantum.core.fallbacks import FallbackTiers
from vantum.core.history import History
from vantum.core.messages import ChatRequest
from vantum.core.playout import Playout


@define
class Answering:
    """At most one live response, the history, and how often the model has failed in a row.

    `out_rx` only serves to take audio back that waits for the writer. `speaking` is held while the
    session's synthesiser is in use.
    """

    call: Call
    nursery: trio.Nursery
    respond: Respond
    inbox_tx: trio.MemorySendChannel[Inbox]
    out_tx: trio.MemorySendChannel[Outgoing]
    out_rx: trio.MemoryReceiveChannel[Outgoing]
    history: History
    latencies: Latencies
    briefing: Briefing
    summarising: Summarising
    response: Response | None = None
    failures: int = 0
    speaking: trio.Lock = field(factory=trio.Lock)

    def played(self, event: Played) -> None:
        """The client says how far its playback has come."""
        response = self.response
        if response is not None and response.answer.utterance_id == event.utterance_id:
            response.playing.playout.played(trio.current_time(), event.played_ms / 1000)

    def start(self, turn: Turn, options: InputOptions) -> None:
        """Answer a turn, or say what is to be said unasked."""
        call = self.call
        llm, streaming = call.settings.llm, call.settings.streaming
        self.summarising.turn_begins()
        if turn.text:
            self.history.add_user(turn.text, at_ms=call.wall_ms())
        tiers = FallbackTiers(llm.fallback_tier1, llm.fallback_tier2, llm.fallback_tier3)
        tier, text = tiers.after(self.failures + 1)
        utterance_id = call.new_id()
        playout_settings = call.settings.playout
        rate_hz = options.sampling_rate_hz
        marks = self.latencies.start(turn)
        self.response = Response(
            Answer(
                turn.number,
                utterance_id,
                call.wall_ms(),
                Fallback(tier, text),
                ChunkingOptions(**attrs.asdict(streaming)),
                options.tokens,
                has_script=self.briefing.place is not None,
            ),
            Playing(
                turn.number,
                Playout(utterance_id, rate_hz, playout_settings.lead_ms / 1000),
                call.synthesiser.sample_rate_hz,
                rate_hz,
                playout_settings.chunk_ms,
                call.wall_ms,
                marks=marks,
            ),
            options,
            is_own=bool(turn.say),
            said=Said(marks=marks),
            marks=marks,
        )
        briefing = self.briefing
        context = self.history.context(briefing.prompt(options.prospect), briefing.note)
        request = ChatRequest(context, call.session_id)
        if turn.say:
            call = attrs.evolve(call, model=Recital(turn.say))
        self.nursery.start_soon(self._respond, call, self.response, request)

    def first_sent(self, utterance_id: str) -> LatencyMeasured | None:
        """The writer has sent an utterance's first audio; what it is to send after it."""
        response = self.response
        if response is None or response.answer.utterance_id != utterance_id:
            return None
        return self.latencies.first_sent(response)

    async def follow_script(self, turn: int) -> None:
        """Go on in the script as far as the answer of this turn did, once it is audible."""
        response = self.response
        if response is not None and response.playing.turn == turn:
            for event in self.briefing.follow(response):
                await self.out_tx.send(event)

    async def _respond(self, call: Call, response: Response, request: ChatRequest) -> None:
        with bound_contextvars(utterance=response.answer.utterance_id):
            await self.respond(call, response, request, self.speaking, self.out_tx, self.inbox_tx)
        if not response.scope.cancelled_caught:
            await self.inbox_tx.send(ResponseDone(response.playing.turn, response.failed))

    async def cancel(self, command: CancelResponse) -> ResponseDone:
        """Cut the answer off, at once: no chunk of it follows what is sent here."""
        response = self.response
        assert response is not None
        wall_ms = self.call.wall_ms()
        response.cut_s = trio.current_time()
        response.scope.cancel()
        utterance_id = response.answer.utterance_id
        await self._drop_audio(utterance_id)
        # An answer that the client knows of must not just fall silent.
        if response.playing.started or response.said.begun:
            await self.out_tx.send(
                OutputCancelled(utterance_id, wall_ms, command.reason, command.interrupted)
            )
        if response.playing.started and command.interrupted:
            heard = response.playing.playout.heard_text(response.cut_s)
            await self.out_tx.send(Interrupted(utterance_id, heard, wall_ms))
        return ResponseDone(command.turn, response.failed)

    async def _drop_audio(self, utterance_id: str) -> None:
        """Take the utterance's chunks out of what waits for the writer, and those of a sender who
        was about to put one there; all else keeps its order."""
        kept: list[Outgoing] = []
        while True:
            try:
                message = self.out_rx.receive_nowait()
            except trio.WouldBlock:
                break
            if not (isinstance(message, OutputChunk) and message.utterance_id == utterance_id):
                kept.append(message)
        for message in kept:
            await self.out_tx.send(message)

    async def record(self, done: ResponseDone) -> None:
        """The history gets what was heard, which is what the model will remember."""
        response = self.response
        if response is None or response.playing.turn != done.turn:
            return
        await self.follow_script(done.turn)
        self.response = None
        cancelled = response.cut_s is not None
        playout = response.playing.playout
        # What was heard by the cut: telling the client of it may have taken a while.
        heard_at_s = trio.current_time() if response.cut_s is None else response.cut_s
        heard = playout.heard_text(heard_at_s)
        whole = not cancelled and not response.failed
        self.history.add_assistant(
            playout.text,
            interrupted=cancelled,
            is_fallback=response.said.is_fallback,
            heard_text=None if whole else heard,
            written=response.said.written if whole else "",
            at_ms=self.call.wall_ms(),
        )
        if not cancelled and not response.is_own:
            self.failures = self.failures + 1 if response.said.failure is not None else 0
        self.call.log.info(
            "answered",
            turn=done.turn,
            heard_chars=len(heard),
            interrupted=cancelled,
            fallback=response.said.is_fallback,
            underruns=len(playout.underruns),
            failed=[f"{f.role}: {f.message}" for f in done.failed],
        )
        if (latency := self.latencies.ended(response)) is not None:
            await self.out_tx.send(latency)
        self.summarising.turn_over()
