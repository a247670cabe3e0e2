"""Answering: the live answer of a call, and what the call remembers of the ones before.

The conductor says when an answer begins and when it is cut; what that takes of the world is here.
"""

from __future__ import annotations

import trio
from attrs import asdict, define, evolve, field, frozen
from structlog.contextvars import bound_contextvars

from vantum.actors.briefing import Briefing
from vantum.actors.call import Call, Inbox, Outgoing
from vantum.actors.chunker import Answer, Fallback, Said
from vantum.actors.cut import CutAnswer
from vantum.actors.gate import Antechamber, Gate, Hold
from vantum.actors.latencies import Latencies
from vantum.actors.line import AnswerLine, Talk
from vantum.actors.player import Arrived, Playing
from vantum.actors.recital import Continuation, Recital
from vantum.actors.recording import record_answer, record_rounds
from vantum.actors.response import Respond, Response
from vantum.actors.summarising import Summarising
from vantum.actors.toolbox import Toolbox
from vantum.actors.tools import Errands
from vantum.actors.waiting import Fillers
from vantum.channels import Sender, put
from vantum.core.chunking import ChunkingOptions, strip_markers
from vantum.core.decisions import CancelResponse, ResponseDone, Turn
from vantum.core.dtmf import join_notes
from vantum.core.events import (
    InputOptions,
    Interrupted,
    LatencyMeasured,
    OutputCancelled,
    OutputChunk,
    Played,
)
from vantum.core.fallbacks import FallbackTiers
from vantum.core.floor import Floor
from vantum.core.history import History
from vantum.core.latency import Marks
from vantum.core.messages import ChatMessage, ChatRequest
from vantum.core.playout import Ledger, Playout
from vantum.core.sounding import Sounding
from vantum.core.speculation import Draft
from vantum.core.wording import words_of
from vantum.ports import LanguageModel


@frozen
class Ahead:
    """An answer that is being made in secret."""

    response: Response
    gate: Gate


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
    arrived: Arrived
    ours: Sounding | None
    ledger: Ledger = field(factory=Ledger)
    response: Response | None = None
    cut: CutAnswer | None = None
    failures: int = 0
    speaking: trio.Lock = field(factory=trio.Lock)
    over: trio.Event = field(factory=trio.Event)
    hold: Hold = field(factory=Hold)
    fillers: Fillers = field()
    toolbox: Toolbox = field()

    @fillers.default
    def _fillers(self) -> Fillers:
        return Fillers(self.call.settings.llm.filler_texts)

    @toolbox.default
    def _toolbox(self) -> Toolbox:
        toolbox = Toolbox.of(self.call)
        if (move := self.briefing.tool) is not None:
            toolbox.add(move)
        return toolbox

    def played(self, event: Played) -> None:
        """The client says how far its playback has come."""
        self.ledger.played(event.utterance_id, trio.current_time(), event.played_ms / 1000)

    def floor(self) -> Floor | None:
        """What is being said right now; None: nothing."""
        response = self.response
        if response is None or not response.playing.started:
            return None
        words = tuple(words_of(" ".join(response.said.pieces)))
        return Floor(words, len(words_of(response.heard)), bool(response.said.text))

    async def start(
        self, turn: Turn, options: InputOptions, ahead: Ahead | None = None
    ) -> ResponseDone | None:
        """Answer a turn, say what is to be said unasked, or go on with an answer that was cut.

        `ResponseDone` if nothing is left of that one. `ahead`: the turn's answer, if it was begun
        in secret; now it becomes an answer like any other.
        """
        self.summarising.turn_begins()
        cut, model = self.cut, self.call.model
        if turn.resumes:
            # What is said from here on begins where it was cut by what is known now.
            self.ledger.settle(trio.current_time())
            if cut is None or (cut.is_whole and not cut.rest):
                self.settle(interrupted=False)
                hangs_up = cut is not None and cut.responses[-1].hangs_up
                return ResponseDone(turn.number, hangs_up=hangs_up)
            model = Recital(cut.rest) if cut.is_whole else Continuation(cut.rest, model)
            self._begin(
                turn,
                options,
                model,
                cut.rest,
                cut.begun,
                is_own=cut.is_whole,
                ends_call=cut.responses[-1].hangs_up,
            )
            return None
        self.settle()
        if turn.text:
            self.history.add_user(turn.text, at_ms=self.call.wall_ms(), continued=turn.joins)
        if ahead is not None:
            ahead.response.marks.at_s |= self.latencies.start(turn).at_s
            self._context(self.history, options)  # its window moves as it did for the request
            self.response = ahead.response
            self.response.begun_s = trio.current_time()
            self.ledger.begin(self.response.playing.playout)
            await ahead.gate.open()
            return None
        if turn.say:
            model = Recital(turn.say)
        self._begin(
            turn, options, model, turn.say, (), is_own=bool(turn.say), ends_call=turn.leaves
        )
        return None

    def begin_ahead(self, number: int, text: str, options: InputOptions, *, speaks: bool) -> Ahead:
        """Begin to answer in secret what may become turn `number`; `speaks`: also synthesise."""
        self.settle()
        gate = Gate(self.out_tx, self.call.wall_ms)
        response = self._new_response(number, options, Marks(), gate.committed)
        response.speaks_ahead, response.draft = speaks, Draft()
        context = self._context(self.history.imagined(text), options)
        request = ChatRequest(context, self.call.session_id)
        self._equip(response)
        inbox_tx = Antechamber(self.inbox_tx, gate.committed)
        self.nursery.start_soon(self._respond, self.call, response, request, gate, inbox_tx)
        return Ahead(response, gate)

    def _context(self, history: History, options: InputOptions) -> tuple[ChatMessage, ...]:
        briefing = self.briefing
        note = "\n\n".join(filter(None, (briefing.note, self.toolbox.memory.note)))
        return history.context(briefing.prompt(options.prospect), note, self.toolbox.specs)

    def _begin(
        self,
        turn: Turn,
        options: InputOptions,
        model: LanguageModel,
        own_text: str,
        begun: tuple[ChatMessage, ...],
        *,
        is_own: bool,
        ends_call: bool,
    ) -> None:
        """`own_text`: what `model` will say first; `begun`: what it must know of this answer."""
        call, marks = self.call, self.latencies.start(turn)
        self.response = response = self._new_response(turn.number, options, marks)
        self.ledger.begin(response.playing.playout)
        response.is_own, response.begun_s = is_own, trio.current_time()
        response.ends_call = ends_call
        response.answer = evolve(response.answer, goes_on=turn.resumes)
        response.own_text = strip_markers(own_text, call.settings.streaming.break_marker)
        request = ChatRequest(self._context(self.history, options) + begun, call.session_id)
        call = evolve(call, model=model)
        if not is_own:
            self._equip(response)
        self.nursery.start_soon(self._respond, call, response, request, self.out_tx, self.inbox_tx)

    def _new_response(
        self, number: int, options: InputOptions, marks: Marks, committed: trio.Event | None = None
    ) -> Response:
        call = self.call
        llm, streaming = call.settings.llm, call.settings.streaming
        tiers = FallbackTiers(llm.fallback_tier1, llm.fallback_tier2, llm.fallback_tier3)
        tier, text = tiers.after(self.failures + 1)
        utterance_id = call.new_id()
        playout_settings = call.settings.playout
        rate_hz = options.sampling_rate_hz
        response = Response(
            Answer(
                number,
                utterance_id,
                call.wall_ms,
                Fallback(tier, text),
                ChunkingOptions(**asdict(streaming)),
                options.tokens,
                has_script=self.briefing.place is not None,
            ),
            Playing(
                number,
                Playout(utterance_id, rate_hz, playout_settings.lead_ms / 1000),
                call.synthesiser.rate_hz(options.line),
                rate_hz,
                playout_settings.chunk_ms,
                call.wall_ms,
                marks=marks,
                committed=committed,
                hold=self.hold,
                arrived=self.arrived,
                ours=self.ours,
            ),
            options,
            said=Said(marks=marks),
            marks=marks,
        )
        if committed is not None:
            response.committed = committed
        return response

    def _equip(self, response: Response) -> None:
        """Give the answer its tools, and what is said while it is waited for."""
        response.fillers = self.fillers
        if self.toolbox.tools:
            first = response if self.cut is None else self.cut.responses[0]
            errands = response.errands = Errands(
                self.toolbox,
                first.playing.turn,
                self.briefing.prospect(response.options.prospect),
                response.committed,
                response.quiet_since,
                would_say=response.answer.would_say,
                example=response.answer.example,
                fitted=self.history.fitted,
                own_text=response.own_text,
            )
            talk = Talk(
                lambda: response.cut_s is not None,
                lambda: errands.is_quiet,
                lambda: self.response is not None,
            )
            errands.line = AnswerLine(self.inbox_tx, self.over, talk)

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
                await put(self.out_tx, event)

    async def _respond(
        self,
        call: Call,
        response: Response,
        request: ChatRequest,
        out_tx: Sender[Outgoing],
        inbox_tx: Sender[Inbox],
    ) -> None:
        with bound_contextvars(utterance=response.answer.utterance_id):
            await self.respond(call, response, request, self.speaking, out_tx, inbox_tx)
        if not response.scope.cancelled_caught:
            done = ResponseDone(response.playing.turn, response.failed, response.hangs_up)
            await put(self.inbox_tx, done)

    async def cancel(self, command: CancelResponse) -> ResponseDone:
        """Cut the answer off, at once: no chunk of it follows what is sent here."""
        response = self.response
        assert response is not None
        wall_ms = self.call.wall_ms()
        response.cut_s, response.joins = trio.current_time(), command.joins
        response.scope.cancel()
        response.playing.look()
        if self.ours is not None:
            self.ours.cut(response.cut_s)
        utterance_id = response.answer.utterance_id
        unsent_s = await self._drop_audio(utterance_id)
        response.playing.playout.end(response.cut_s, cut=True, unsent_s=unsent_s)
        # An answer that the client knows of must not just fall silent.
        if response.playing.started or response.said.begun:
            await put(
                self.out_tx,
                OutputCancelled(utterance_id, wall_ms, command.reason, command.interrupted),
            )
        if response.playing.started and command.interrupted:
            await put(self.out_tx, Interrupted(utterance_id, join_notes(response.heard), wall_ms))
        return ResponseDone(command.turn, response.failed)

    async def _drop_audio(self, utterance_id: str) -> float:
        """Take the utterance's chunks out of what waits for the writer, and those of a sender who
        was about to put one there; all else keeps its order. Gives how long they were."""
        kept: list[Outgoing] = []
        dropped_s = 0.0
        while True:
            try:
                message = self.out_rx.receive_nowait()
            except trio.WouldBlock:
                break
            if isinstance(message, OutputChunk) and message.utterance_id == utterance_id:
                dropped_s += len(message.audio) / (2 * message.sample_rate_hz)
            else:
                kept.append(message)
        for message in kept:
            await put(self.out_tx, message)
        return dropped_s

    async def record(self, done: ResponseDone) -> None:
        """An answer is over. One that was cut may go on, and is written down when it cannot."""
        response = self.response
        if response is None or response.playing.turn != done.turn:
            return
        await self.follow_script(done.turn)
        self.response = None
        cancelled, heard = response.cut_s is not None, response.heard
        response.playing.playout.end(trio.current_time(), cut=False)
        if response.joins and not heard:
            at_ms = self.call.wall_ms()
            record_rounds(self.history, response, "", "", whole=False, at_ms=at_ms)
        else:
            before = self.cut.responses if self.cut is not None else ()
            self.cut = CutAnswer((*before, response))
            if not cancelled:
                self.settle(interrupted=False)
        if not cancelled and not response.is_own:
            self.failures = self.failures + 1 if response.said.failure is not None else 0
        self.call.log.info(
            "answered",
            turn=done.turn,
            heard_chars=len(heard),
            interrupted=cancelled,
            fallback=response.said.is_fallback,
            fillers=len(response.said.fillers),
            underruns=len(response.playing.playout.underruns),
            failed=[f"{f.role}: {f.message}" for f in done.failed],
        )
        if (latency := self.latencies.ended(response)) is not None:
            await put(self.out_tx, latency)
        self.summarising.turn_over()

    def settle(self, *, interrupted: bool = True) -> None:
        """The history gets what was heard, which is what the model will remember."""
        self.ledger.settle(trio.current_time())
        cut, self.cut = self.cut, None
        if cut is not None:
            record_answer(self.history, cut, interrupted=interrupted, at_ms=self.call.wall_ms())

    def look(self) -> History:
        """The history with the answer that was cut, if one was, as `settle` would record it now.

        Changes nothing: what it says of that answer may still become another, by a late report.
        """
        cut = self.cut
        if cut is None or self.response is not None:  # then it is going on
            return self.history
        history = self.history.copy()
        record_answer(history, cut, interrupted=True, at_ms=self.call.wall_ms(), follows=False)
        return history

    def close(self, unanswered: tuple[str, ...] = ()) -> None:
        """The call is over: what is being said was heard as far as it was, and what the user has
        said last, `unanswered`, is a part of the call."""
        self.over.set()
        now_s, response = trio.current_time(), self.response
        if response is not None:
            self.response, response.cut_s = None, now_s
            response.playing.look()
            before = self.cut.responses if self.cut is not None else ()
            self.cut = CutAnswer((*before, response))
        self.ledger.close(now_s)
        self.settle()
        for text in unanswered:
            self.history.add_user(text, at_ms=self.call.wall_ms())
