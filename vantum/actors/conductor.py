"""Conductor: feeds what happens to the conversation's table and carries out what it answers.

It decides nothing itself: what follows from what is in `vantum.core.conversation`.
"""

from __future__ import annotations

from collections import deque

import trio
from attrs import define, evolve, frozen

from vantum.actors.answering import Answering
from vantum.actors.briefing import Briefing
from vantum.actors.call import Call, Goodbye, Inbox, Outgoing, Past
from vantum.actors.lane import AudioLane
from vantum.actors.latencies import Latencies
from vantum.actors.link import Wanted
from vantum.actors.player import Arrived
from vantum.actors.resampler import Ear
from vantum.actors.response import Respond
from vantum.actors.speculating import Speculating
from vantum.actors.stt import Listen
from vantum.actors.summarising import Summarising
from vantum.channels import put, take
from vantum.core import conversation as table
from vantum.core.bargein import BargeIn
from vantum.core.barging import asks_sound, holds_answer, unanswered
from vantum.core.decisions import (
    Announce,
    AskDetector,
    CancelResponse,
    Command,
    Conversation,
    EndSession,
    Event,
    FirstAudio,
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
    TurnEnding,
)
from vantum.core.endpointing import CheckAnswered, Endpointing
from vantum.core.events import (
    InputOptions,
    Played,
    StateChanged,
    StateName,
    TranscriptOut,
)
from vantum.core.history import History
from vantum.core.latency import TurnLatency
from vantum.core.messages import EchoHeard, SpeechStarted, SttFlushed, Transcript, VoiceEdge
from vantum.core.playout import Ledger
from vantum.core.speculation import Speculation
from vantum.core.turn_marks import TurnMarks
from vantum.errors import ProviderError

#: Signs of the caller's: what they mean depends on what the agent is saying.
_HEARD = (VoiceEdge, EchoHeard, SpeechStarted, Transcript, SttFlushed, Tick)
#: A client whose audio came so lately is still sending, be it silence.
_HEARING_S = 1.0


@frozen
class Orders:
    """By what the conductor has others do: links that open, the lane that carries marks to the
    recogniser, the ear that remembers what it heard; and by whom it knows what has arrived."""

    recogniser: Wanted[Listen]
    synthesiser: Wanted[None]
    lane: AudioLane
    ear: Ear
    arrived: Arrived


def new_conversation(call: Call) -> Conversation:
    """The table's state at the start of a call."""
    session, turns = call.settings.session, call.settings.turns
    return Conversation(
        Limits(
            max_queue_size=session.queue_size,
            flush_timeout_s=call.settings.stt.flush_timeout_ms / 1000,
            max_duration_s=session.max_duration_ms / 1000,
            grace_s=call.settings.server.grace_ms / 1000,
        ),
        trio.current_time(),
        call.provider_names,
        endpointing=Endpointing(turns.endpointing(has_detector=call.has_detector)),
        bargein=BargeIn(turns.bargein(), eared=call.activity is not None),
        silence=Silence(turns.reprompt_after_ms / 1000, turns.reprompt_texts, turns.goodbye),
        cannot_hear=turns.cannot_hear,
        greeting=turns.greeting,
        greeting_is_firm=turns.greeting_is_firm,
        prospect=call.prospect,
    )


@define
class Conductor:
    """Between the table and the world: one inbox in, commands out."""

    call: Call
    inbox_rx: trio.MemoryReceiveChannel[Inbox]
    inbox_tx: trio.MemorySendChannel[Inbox]
    out_tx: trio.MemorySendChannel[Outgoing]
    orders: Orders
    nursery: trio.Nursery
    answering: Answering
    speculating: Speculating
    conversation: Conversation
    ended_because: str = "the connection is gone"

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
        llm, latencies = call.settings.llm, Latencies(call, turns=TurnMarks(orders.lane.handed))
        history = (
            call.past.history
            if call.past is not None
            else History(
                max_messages=llm.max_messages,
                max_context_tokens=llm.max_context_tokens,
                count=call.count_tokens,
            )
        )
        briefing, summarising = Briefing.of(call), Summarising(call, nursery, history)
        answering = Answering(
            call,
            nursery,
            respond,
            inbox_tx,
            out_tx,
            out_rx,
            history,
            latencies,
            briefing,
            summarising,
            orders.arrived,
            orders.ear.ours,
        )
        ahead = call.settings.speculation.options(model=call.provider_names["llm"])
        return cls(
            call=call,
            inbox_rx=inbox_rx,
            inbox_tx=inbox_tx,
            out_tx=out_tx,
            orders=orders,
            nursery=nursery,
            answering=answering,
            speculating=Speculating(answering, Speculation(ahead)),
            conversation=new_conversation(call),
        )

    @property
    def history(self) -> History:
        """What was said and heard so far, an answer that was just cut as far as is known.

        Reading it changes nothing. To follow a call, read `answering.history`: what is in there
        stays, and when the call is over, all is.
        """
        if self.conversation.bargein.stopped_s is not None:  # it is open what the answer will be
            return self.answering.history
        return self.answering.look()

    @property
    def ledger(self) -> Ledger:
        """What was heard, word by word."""
        return self.answering.ledger

    @property
    def facts(self) -> dict[str, str]:
        """What the agent has noted of the person on the line, by name (the tool `remember`)."""
        return dict(self.answering.toolbox.memory.facts)

    @property
    def past(self) -> Past:
        """What a further session of this call goes on with, once this one is over."""
        answering = self.answering
        return Past(answering.history, answering.briefing.place, answering.toolbox.memory)

    @property
    def variant(self) -> str | None:
        """The variant of the prompt that this call got."""
        variant = self.answering.briefing.variant
        return None if variant is None else variant.name

    @property
    def stage(self) -> str | None:
        """Where the call stands in its script."""
        return self.answering.briefing.stage

    @property
    def labels(self) -> dict[str, str]:
        """Variant and stage, as far as there are any."""
        found = {"variant": self.variant, "stage": self.stage}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def latencies(self) -> tuple[TurnLatency, ...]:
        """Where the time of the last turns went, oldest first."""
        return tuple(self.answering.latencies.recent)

    @property
    def speculation(self) -> Speculation:
        """How many answers were begun ahead of time, and what they were for."""
        return self.speculating.state

    @property
    def state(self) -> StateName:
        """Where the conversation stands."""
        return self.conversation.state

    async def say(self, text: str, *, then_hang_up: bool = False, reason: str = "") -> None:
        """Have the agent say this now, instead of what it is saying; `then_hang_up`: as the call's
        last words, heard to their end, and `reason` is why it ends. See `Announce`."""
        announcement = Announce(text, then_hang_up)
        if reason:
            announcement = evolve(announcement, reason=reason)
        if self.state != "ENDED":
            await put(self.inbox_tx, announcement)

    async def run(self) -> None:
        """Until the session has ended; the writer then closes the socket."""
        try:
            while self.state != "ENDED":
                event: Inbox | None = None
                with trio.move_on_at(table.wake_at(self.conversation)):
                    event = await take(self.inbox_rx)
                await self._take(Tick(self._hearing) if event is None else event)
            await trio.sleep_forever()
        finally:
            last = unanswered(self.conversation)
            for text in last:  # too late for an answer, and not for what it asks for
                self.call.overhear(text)
            self.answering.close(last)

    async def _take(self, event: Inbox) -> None:
        if isinstance(event, Played):
            self.answering.played(event)
            return
        events = deque((*self._sound_of(event), event))
        while events:
            event = events.popleft()
            if isinstance(event, ResponseDone):
                await self.answering.record(event)
            elif isinstance(event, FirstAudio):
                await self.answering.follow_script(event.turn)
            if isinstance(event, _HEARD) and (floor := self.answering.floor()) is not None:
                self.conversation, _ = table.step(self.conversation, floor, trio.current_time())
            before, now_s = self.conversation, trio.current_time()
            self.conversation, commands = table.step(before, event, now_s)
            self.answering.hold.hold(holds_answer(self.conversation))
            if (announcement := self._overheard(event, before, commands)) is not None:
                events.append(announcement)
            self.answering.latencies.turns.follow(before, event, self.conversation, now_s)
            for command in commands:
                if (follows := await self._carry_out(command)) is not None:
                    events.append(follows)
            self.speculating.follow(self.conversation, event)

    def _sound_of(self, event: Event) -> list[EchoHeard]:
        """What the ear has to say of words, before they count."""
        own = self.orders.ear.own
        return own.hear_words() if own is not None and asks_sound(self.conversation, event) else []

    def _overheard(
        self, event: Event, before: Conversation, commands: list[Command]
    ) -> Announce | None:
        """What is to be said to what the user has said, whatever the model would say to it."""
        texts = [c.turn.text for c in commands if isinstance(c, StartResponse)]  # interim words too
        if isinstance(event, Transcript) and event.is_final:
            texts.append(" ".join((*before.words, event.text)))
        if any(isinstance(c, EndSession) for c in commands):
            # What is being said into our last words never becomes final, nor a part of the call.
            texts.append(" ".join((*before.words, before.interim)))
        found = (self.call.overhear(text) for text in texts if text)
        return next((each for each in found if each is not None), None)

    async def _carry_out(self, command: Command) -> ResponseDone | TurnEnding | None:
        wall_ms = self.call.wall_ms
        match command:
            case Send(message=message):
                await put(self.out_tx, message)
            case SendTranscript(request=request, transcript=t):
                language = self.conversation.language or self._options.language
                await put(
                    self.out_tx,
                    TranscriptOut(request, t.text, t.is_final, t.confidence, wall_ms(), language),
                )
            case MoveState(old=old, new=new):
                self.call.log.debug("state", old=old, new=new)
                await put(self.out_tx, StateChanged(old, new, wall_ms()))
                begun = self.answering.briefing.begins() if old == "INITIALIZING" else None
                if begun is not None and new == "LISTENING":
                    await put(self.out_tx, begun)
            case OpenRecogniser(language=language):
                self.orders.recogniser.order(Listen(language, self._options.line))
            case OpenSynthesiser():
                self.orders.synthesiser.order(None)
            case FlushRecogniser(reason=reason, waited_s=waited_s):
                self.call.log.info("turn judged over", reason=reason, waited_s=round(waited_s, 3))
                return TurnEnding(self.orders.lane.flush())
            case AskDetector(pause=pause, text=text):
                self.nursery.start_soon(self._ask_detector, pause, text)
            case StartResponse(turn=turn):
                ahead = self.speculating.take(turn, self._options)
                return await self.answering.start(turn, self._options, ahead)
            case CancelResponse():
                return await self.answering.cancel(command)
            case EndSession(code=code, reason=reason):
                self.ended_because = reason
                await put(self.out_tx, Goodbye(code, reason))
        return None

    @property
    def _hearing(self) -> bool:
        return trio.current_time() - self.orders.lane.fed_s < _HEARING_S

    async def _ask_detector(self, pause: int, text: str) -> None:
        detector, recent = self.call.detector, self.orders.ear.recent
        if detector is None or recent is None:
            return  # the ear has failed since
        try:
            probability = await detector.probability(recent.last(recent.seconds), text)
        except ProviderError as error:
            self.call.log.warning("the turn detector failed", error=str(error))
            return
        await put(self.inbox_tx, CheckAnswered(pause, probability))

    @property
    def _options(self) -> InputOptions:
        return self.conversation.options or InputOptions()
