"""Tools of one answer: the model asks, they run, and the model goes on with their results.

A round is one answer of the model up to its calls. Pure tools begin while the round is still being
written. The others wait for its end and for `committed`, and then run one after the other, in the
order in which they were asked for. Whatever is cut before it begins does not run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

import trio
from attrs import define, evolve, field

from vantum.actors.line import LOOK_S, AnswerLine
from vantum.actors.llm import LlmLimits, generate
from vantum.actors.toolbox import Errand, Outcome, Toolbox, failed
from vantum.channels import put
from vantum.core.events import Prospect
from vantum.core.messages import (
    ChatMessage,
    ChatRequest,
    LlmFiller,
    LlmOutput,
    ToolCall,
    ToolCallBegun,
)
from vantum.core.tools import ToolContext, error_text, parse_arguments
from vantum.ports import LanguageModel

#: More at once is a model run wild, and OpenAI refuses a context with more than 128 in a message.
_MAX_CALLS: Final = 100
_NOT_BEGUN: Final = error_text("not carried out: they interrupted before it began")
_CUT: Final = error_text("no result: they interrupted")
_RUNNING: Final = "Begun and still running; the result is not known yet."


@define(eq=False)
class ToolRound:
    """What the model asked for at the end of one round, and what came of it.

    `text`: what it wrote before. `begun` and `results` have calls' ids. `late` is told of results
    that come after the round was recorded.
    """

    text: str
    calls: tuple[ToolCall, ...]
    effects: frozenset[str]
    begun: set[str] = field(factory=set)
    results: dict[str, Outcome] = field(factory=dict)
    late: Callable[[str, str], object] | None = None

    def settle(self, call_id: str, outcome: Outcome) -> None:
        """A result has come."""
        self.results[call_id] = outcome
        if self.late is not None:
            self.late(call_id, outcome.text)

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """For the context: the calls, and for each what is known of it now."""
        asked = ChatMessage("assistant", self.text, self.calls)
        told = (ChatMessage("tool", self._told(c.id), tool_call_id=c.id) for c in self.calls)
        return (asked, *told)

    def _told(self, call_id: str) -> str:
        if (outcome := self.results.get(call_id)) is not None:
            return outcome.text
        if call_id not in self.effects:
            return _CUT
        return _RUNNING if call_id in self.begun else _NOT_BEGUN


def _as_it_is(request: ChatRequest) -> ChatRequest:
    return request


@define(eq=False)
class Errands:
    """What one answer asks of the toolbox.

    Args:
        toolbox: the call's.
        turn: number of the user's turn: of an answer that goes on, the turn that it answers.
        prospect: who is spoken with.
        committed: set when it is certain that the turn is one, and that this is its answer.
        quiet_since: since when the caller hears nothing, on trio's clock (the past, however far,
            if this answer has said nothing yet); None while something is being said.
        line: what tools can do besides giving a result; None: nothing.
        would_say: whether anything of a text of the model's is spoken.
        example: a text of the model's as it is shown what it wrote.
        fitted: a request with what must fall out of it, now that it is longer, left out.
        own_text: with which the answer begins, and which the request has already.

    `rounds` has what was asked, oldest first. `hang_up`: the reason for which the call is to end
    with this answer. `busy_until_s`: when tools came to an end last, on trio's clock; infinity
    while they are at work.
    """

    toolbox: Toolbox
    turn: int
    prospect: Prospect
    committed: trio.Event
    quiet_since: Callable[[int], float | None]
    line: AnswerLine | None = None
    would_say: Callable[[str], bool] = bool
    example: Callable[[str], str] = str
    fitted: Callable[[ChatRequest], ChatRequest] = _as_it_is
    own_text: str = ""
    rounds: list[ToolRound] = field(factory=list)
    hang_up: str | None = None
    busy_until_s: float = 0.0
    _asked: list[ToolCall] = field(factory=list)
    _early: dict[str, trio.Event] = field(factory=dict)
    _errands: dict[str, Errand] = field(factory=dict)
    _outcomes: dict[str, Outcome] = field(factory=dict)
    _nursery: trio.Nursery | None = None
    _filled: bool = False

    async def generate(
        self,
        model: LanguageModel,
        request: ChatRequest,
        event_tx: trio.MemorySendChannel[LlmOutput],
        *,
        limits: LlmLimits,
        provider: str,
    ) -> None:
        """`vantum.actors.llm.generate`, with tools."""
        request = evolve(request, tools=self.toolbox.specs)
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            await generate(model, request, event_tx, limits=limits, provider=provider, errands=self)
            # Of a round that failed, pure tools may still be running.
            nursery.cancel_scope.cancel()

    # ------------------------------------------------------------ while the model writes

    def heed(self, piece: ToolCallBegun | ToolCall) -> None:
        """The model is writing this; what is pure begins at once."""
        if isinstance(piece, ToolCallBegun) or len(self.rounds) >= self._max_rounds:
            return
        if len(self._asked) >= _MAX_CALLS:
            return
        call = self._with_own_id(piece)
        self._asked.append(call)
        errand = self._errand(call)
        if isinstance(errand, Outcome):
            self._outcomes[call.id] = errand
        elif errand.tool.effect == "pure" and not errand.tool.after_speech:
            assert self._nursery is not None
            self._errands[call.id] = errand
            done = self._early[call.id] = trio.Event()
            self._nursery.start_soon(self._run_early, errand, done)

    async def _run_early(self, errand: Errand, done: trio.Event) -> None:
        self._outcomes[errand.call.id] = await self.toolbox.carry_out(errand)
        done.set()

    def _with_own_id(self, call: ToolCall) -> ToolCall:
        """Ids tie results to calls, late ones too, so each of a whole session needs one of its own,
        which some servers do not give; and a provider may refuse a context with arguments that are
        no JSON object."""
        taken = self.toolbox.call_ids
        if not call.id or call.id in taken:
            own = (f"call_{self.turn}_{number}" for number in count(len(taken)))
            call = evolve(call, id=next(each for each in own if each not in taken))
        taken.add(call.id)
        if parse_arguments(call.arguments_json) is None:
            self._outcomes[call.id] = failed("the arguments are not a JSON object")
            call = evolve(call, arguments_json="{}")
        return call

    def _errand(self, call: ToolCall) -> Errand | Outcome:
        if (begun := self._errands.get(call.id)) is not None:
            return begun
        if (outcome := self._outcomes.get(call.id)) is not None:
            return outcome
        understood = self.toolbox.understand(call)
        if isinstance(understood, Outcome):
            return understood
        tool, arguments, digest = understood
        key = self.toolbox.key(self.turn, tool.name, digest)
        box = self.toolbox
        context = ToolContext(
            box.call_id, self.turn, key, self.prospect, box.memory, self._end_call
        )
        if self.line is not None:
            context = evolve(context, line=self.line)
        return Errand(call, tool, arguments, digest, context)

    def _end_call(self, reason: str) -> None:
        self.hang_up = reason

    # ------------------------------------------------------------ at the end of a round

    async def carry_out(
        self, request: ChatRequest, text: str, filler_tx: trio.MemorySendChannel[LlmOutput]
    ) -> ChatRequest | None:
        """See `vantum.actors.llm.Errands`."""
        calls, self._asked = tuple(self._asked), []
        if not calls:
            return None  # it was told to speak, and asked again
        errands = [self._errand(call) for call in calls]
        effects = frozenset(
            e.call.id for e in errands if isinstance(e, Errand) and e.tool.effect != "pure"
        )
        this = ToolRound(self.example(text), calls, effects)
        self.rounds.append(this)
        self.busy_until_s = float("inf")
        if self.line is not None:
            self.line.speech_tx = filler_tx
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fill, this, errands, filler_tx)
            await self._run_round(this, errands)
            nursery.cancel_scope.cancel()
        if self.line is not None:
            self.line.speech_tx = None  # who kept the line says what comes later by himself
        self.busy_until_s = trio.current_time()
        if self._is_enough(this, errands):
            return None
        following = evolve(
            request,
            messages=request.messages + self._told(this),
            tool_choice="none" if len(self.rounds) >= self._max_rounds else "auto",
        )
        return self.fitted(following)

    def _told(self, this: ToolRound) -> tuple[ChatMessage, ...]:
        """The round for the next request."""
        asked, *results = this.messages
        if this is self.rounds[0]:
            asked = evolve(asked, content=asked.content.removeprefix(self.own_text).lstrip())
        return (asked, *results)

    async def _run_round(self, this: ToolRound, errands: list[Errand | Outcome]) -> None:
        for call, errand in zip(this.calls, errands, strict=True):
            if isinstance(errand, Outcome):
                this.settle(call.id, errand)
        async with trio.open_nursery() as nursery:
            for call in this.calls:
                if (done := self._early.get(call.id)) is not None:
                    nursery.start_soon(self._await_early, this, call.id, done)
            for errand in errands:
                if isinstance(errand, Errand) and errand.call.id not in self._early:
                    await self._run_one(this, errand)

    async def _await_early(self, this: ToolRound, call_id: str, done: trio.Event) -> None:
        await done.wait()
        this.settle(call_id, self._outcomes[call_id])

    async def _run_one(self, this: ToolRound, errand: Errand) -> None:
        await self.committed.wait()
        while errand.tool.after_speech and not self.is_quiet:  # noqa: ASYNC110 (it is the clock that tells)
            await trio.sleep(LOOK_S)
        await trio.lowlevel.checkpoint_if_cancelled()
        this.begun.add(errand.call.id)
        try:
            this.settle(errand.call.id, await self.toolbox.carry_out(errand))
        except trio.Cancelled:
            self._settle_cut(this, errand)
            raise

    def _settle_cut(self, this: ToolRound, errand: Errand) -> None:
        """The answer was cut meanwhile: the deed, if there is one, has the outcome or will."""
        deed = self.toolbox.begun(errand)
        if deed is None:
            this.begun.discard(errand.call.id)
        elif deed.outcome is not None:
            this.settle(errand.call.id, deed.outcome)
        else:  # an earlier turn's, which still runs
            deed.told.append(partial(this.settle, errand.call.id))

    def _is_enough(self, this: ToolRound, errands: list[Errand | Outcome]) -> bool:
        """Whether what was said with the calls is all there is to say."""
        said = any(self.would_say(r.text) for r in self.rounds)
        said = said or (self.line is not None and self.line.has_pressed)
        unasked = all(isinstance(e, Errand) and not e.tool.needs_reply for e in errands)
        return said and unasked and all(outcome.ok for outcome in this.results.values())

    @property
    def _max_rounds(self) -> int:
        return self.toolbox.settings.max_rounds

    # ------------------------------------------------------------ silence

    @property
    def is_quiet(self) -> bool:
        """Whether the caller has heard all that this answer has said so far."""
        since_s = self.quiet_since(len(self.rounds))
        return since_s is not None and since_s <= trio.current_time()

    async def _fill(
        self,
        this: ToolRound,
        errands: list[Errand | Outcome],
        filler_tx: trio.MemorySendChannel[LlmOutput],
    ) -> None:
        """Say that it takes a moment, once in an answer, if nobody says anything."""
        await self.committed.wait()
        settings, began_s = self.toolbox.settings, trio.current_time()
        while not self._filled:
            quiet_s = self.quiet_since(len(self.rounds))
            due_s = max(began_s, quiet_s or 0.0) + settings.filler_after_ms / 1000
            if quiet_s is not None and due_s <= trio.current_time():
                break
            await trio.sleep(LOOK_S if quiet_s is None else due_s - trio.current_time())
        for errand in errands:
            if not isinstance(errand, Errand) or errand.call.id in this.results:
                continue
            filler = errand.tool.filler
            text = settings.filler if filler is None else filler
            if text.strip() and not self._filled:
                self._filled = True
                await put(filler_tx, LlmFiller(text.strip()))
