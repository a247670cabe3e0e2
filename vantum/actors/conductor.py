"""Conductor: feeds what happens to the conversation's table and carries out what it answers.

It decides nothing itself. Whatever a command needs of the world (ids, the time of day, the live
response, the history) is here; what follows from what is in `vantum.core.conversation`.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import attrs
import trio
from attrs import define, field, frozen
from structlog.contextvars import bound_contextvars

from vantum.actors.call import Call, Goodbye, Inbox, Outgoing
from vantum.actors.chunker import Answer, Fallback
from vantum.actors.lane import AudioLane
from vantum.actors.player import Playing
from vantum.actors.recital import Recital
from vantum.actors.resampler import Ear
from vantum.actors.response import Respond, Response
from vantum.core import conversation as table
from vantum.core.chunking import ChunkingOptions
from vantum.core.decisions import (
    AskDetector,
    CancelResponse,
    Command,
    Conversation,
    EndSession,
    FlushRecogniser,
    Limits,
    MoveState,
    OpenRecogniser,
    OpenSynthesiser,
    ResponseDone,
    Send,
    SendTranscript,
    Silence,
    StartResponse,
    Tick,
    Turn,
    TurnEnding,
)
from vantum.core.endpointing import CheckAnswered, Endpointing
from vantum.core.events import (
    InputOptions,
    Interrupted,
    OutputCancelled,
    OutputChunk,
    Played,
    StateChanged,
    StateName,
    TranscriptOut,
)
from vantum.core.fallbacks import FallbackTiers
from vantum.core.history import History
from vantum.core.messages import ChatRequest
from vantum.core.playout import Playout
from vantum.core.prompts import build_system_prompt
from vantum.errors import ProviderError

#: A client whose audio came so lately is still sending, be it silence.
_HEARING_S = 1.0


@frozen
class Orders:
    """By what the conductor has others do: links that open, the lane that carries marks to the
    recogniser, the ear that remembers what it heard."""

    language_tx: trio.MemorySendChannel[str]
    synthesiser_tx: trio.MemorySendChannel[None]
    lane: AudioLane
    ear: Ear


def new_conversation(call: Call) -> Conversation:
    """The table's state at the start of a call."""
    session, turns = call.settings.session, call.settings.turns
    return Conversation(
        Limits(
            max_queue_size=session.max_queue_size,
            flush_timeout_s=call.settings.stt.flush_timeout_ms / 1000,
            max_duration_s=session.max_duration_ms / 1000,
            grace_s=call.settings.server.grace_ms / 1000,
        ),
        trio.current_time(),
        call.provider_names,
        endpointing=Endpointing(turns.endpointing(has_detector=call.detector is not None)),
        silence=Silence(turns.reprompt_after_ms / 1000, turns.reprompt_texts, turns.goodbye),
        greeting=turns.greeting,
    )


@define
class Conductor:
    """The state of one call outside the table: the live response, the history, the failures."""

    call: Call
    inbox_rx: trio.MemoryReceiveChannel[Inbox]
    inbox_tx: trio.MemorySendChannel[Inbox]
    out_tx: trio.MemorySendChannel[Outgoing]
    out_rx: trio.MemoryReceiveChannel[Outgoing]
    orders: Orders
    nursery: trio.Nursery
    respond: Respond
    conversation: Conversation
    history: History
    response: Response | None = None
    failures: int = 0
    ended_because: str = "the connection is gone"
    speaking: trio.Lock = field(factory=trio.Lock)

    @classmethod
    def of(
        cls,
        call: Call,
        nursery: trio.Nursery,
        respond: Respond,
        inbox_tx: trio.MemorySendChannel[Inbox],
        inbox_rx: trio.MemoryReceiveChannel[Inbox],
        out_tx: trio.MemorySendChannel[Outgoing],
        out_rx: trio.MemoryReceiveChannel[Outgoing],
        orders: Orders,
    ) -> Conductor:
        """The conductor of a new call. `out_rx` only serves to take audio back from the queue."""
        llm = call.settings.llm
        return cls(
            call=call,
            inbox_rx=inbox_rx,
            inbox_tx=inbox_tx,
            out_tx=out_tx,
            out_rx=out_rx,
            orders=orders,
            nursery=nursery,
            respond=respond,
            conversation=new_conversation(call),
            history=History(
                max_messages=llm.max_messages, max_context_tokens=llm.max_context_tokens
            ),
        )

    @property
    def state(self) -> StateName:
        """Where the conversation stands."""
        return self.conversation.state

    async def run(self) -> None:
        """Until the session has ended; the writer then closes the socket."""
        while self.state != "ENDED":
            event: Inbox | None = None
            with trio.move_on_at(table.wake_at(self.conversation)):
                event = await self.inbox_rx.receive()
            await self._take(Tick(self._hearing) if event is None else event)
        await trio.sleep_forever()

    async def _take(self, event: Inbox) -> None:
        if isinstance(event, Played):
            self._played(event)
            return
        events = deque([event])
        while events:
            event = events.popleft()
            if isinstance(event, ResponseDone):
                self._record(event)
            self.conversation, commands = table.step(self.conversation, event, trio.current_time())
            for command in commands:
                if (follows := await self._carry_out(command)) is not None:
                    events.append(follows)

    def _played(self, event: Played) -> None:
        response = self.response
        if response is not None and response.answer.utterance_id == event.utterance_id:
            response.playing.playout.played(trio.current_time(), event.played_ms / 1000)

    async def _carry_out(self, command: Command) -> ResponseDone | TurnEnding | None:
        wall_ms = self.call.wall_ms
        match command:
            case Send(message=message):
                await self.out_tx.send(message)
            case SendTranscript(request=request, transcript=t):
                language = self.conversation.language or self._options.language
                await self.out_tx.send(
                    TranscriptOut(request, t.text, t.is_final, t.confidence, wall_ms(), language)
                )
            case MoveState(old=old, new=new):
                self.call.log.debug("state", old=old, new=new)
                await self.out_tx.send(StateChanged(old, new, wall_ms()))
            case OpenRecogniser(language=language):
                self.orders.language_tx.send_nowait(language)
            case OpenSynthesiser():
                # One order that waits is as good as many.
                with suppress(trio.WouldBlock):
                    self.orders.synthesiser_tx.send_nowait(None)
            case FlushRecogniser(reason=reason, waited_s=waited_s):
                self.call.log.info("turn judged over", reason=reason, waited_s=round(waited_s, 3))
                return TurnEnding(self.orders.lane.flush())
            case AskDetector(pause=pause, text=text):
                self.nursery.start_soon(self._ask_detector, pause, text)
            case StartResponse(turn=turn):
                self._start(turn)
            case CancelResponse():
                return await self._cancel(command)
            case EndSession(code=code, reason=reason):
                self.ended_because = reason
                await self.out_tx.send(Goodbye(code, reason))
        return None

    @property
    def _hearing(self) -> bool:
        return trio.current_time() - self.orders.lane.fed_s < _HEARING_S

    async def _ask_detector(self, pause: int, text: str) -> None:
        detector, recent = self.call.detector, self.orders.ear.recent
        if detector is None:
            return
        try:
            probability = await detector.probability(recent.last(recent.seconds), text)
        except ProviderError as error:
            self.call.log.warning("the turn detector failed", error=str(error))
            return
        await self.inbox_tx.send(CheckAnswered(pause, probability))

    @property
    def _options(self) -> InputOptions:
        return self.conversation.options or InputOptions()

    def _start(self, turn: Turn) -> None:
        call, options = self.call, self._options
        llm, streaming = call.settings.llm, call.settings.streaming
        if turn.text:
            self.history.add_user(turn.text, at_ms=call.wall_ms())
        prompt = build_system_prompt(llm.system_prompt, options.prospect, streaming.break_marker)
        tiers = FallbackTiers(llm.fallback_tier1, llm.fallback_tier2, llm.fallback_tier3)
        tier, text = tiers.after(self.failures + 1)
        utterance_id = call.new_id()
        playout_settings = call.settings.playout
        rate_hz = options.sampling_rate_hz
        self.response = Response(
            Answer(
                utterance_id,
                call.wall_ms(),
                Fallback(tier, text),
                ChunkingOptions(**attrs.asdict(streaming)),
                options.tokens,
            ),
            Playing(
                turn.number,
                Playout(utterance_id, rate_hz, playout_settings.lead_ms / 1000),
                call.synthesiser.sample_rate_hz,
                rate_hz,
                playout_settings.chunk_ms,
                call.wall_ms,
            ),
            options,
            is_own=bool(turn.say),
        )
        request = ChatRequest(self.history.context(prompt), call.session_id)
        if turn.say:
            call = attrs.evolve(call, model=Recital(turn.say))
        self.nursery.start_soon(self._respond, call, self.response, request)

    async def _respond(self, call: Call, response: Response, request: ChatRequest) -> None:
        with bound_contextvars(utterance=response.answer.utterance_id):
            await self.respond(call, response, request, self.speaking, self.out_tx, self.inbox_tx)
        if not response.scope.cancelled_caught:
            await self.inbox_tx.send(ResponseDone(response.playing.turn, response.failed))

    async def _cancel(self, command: CancelResponse) -> ResponseDone:
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

    def _record(self, done: ResponseDone) -> None:
        """The history gets what was heard, which is what the model will remember."""
        response = self.response
        if response is None or response.playing.turn != done.turn:
            return
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
            failed=[f"{f.role}: {f.message}" for f in done.failed],
        )
