"""A call's tools: what runs when the model asks for one, and what has been begun for good.

A result is always a text for the model; nothing that a tool does or raises reaches the caller or
the call. What has an effect runs to its end, within its deadline, even when the answer it belongs
to is cut or the call hangs up: half a booking is worse than one that nobody waits for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import define, field, frozen
from structlog.typing import FilteringBoundLogger

from vantum.actors.call import Call
from vantum.config import ToolSettings
from vantum.config.providers import is_openai
from vantum.core.builtin_tools import BUILT_IN
from vantum.core.messages import ToolCall, ToolSpec
from vantum.core.tools import (
    Memory,
    Tool,
    ToolContext,
    ToolError,
    WrongArguments,
    error_text,
    result_text,
)

#: Pauses before further attempts; the last one is for all that follow.
_PAUSES_S: Final = (0.1, 0.3, 1.0)


@frozen
class Outcome:
    """What came of a call: a text for the model, and whether it is a result or an error."""

    text: str
    ok: bool


def failed(message: str) -> Outcome:
    """An error for the model."""
    return Outcome(error_text(message), ok=False)


@define(eq=False)
class Deed:
    """Something with an effect that was begun in this call.

    `outcome` is set when `done` is; `told` are told of it who could not wait.
    """

    name: str
    digest: str
    done: trio.Event = field(factory=trio.Event)
    outcome: Outcome | None = None
    told: list[Callable[[Outcome], None]] = field(factory=list)

    def end(self, outcome: Outcome) -> None:
        """It has come to its end."""
        self.outcome = outcome
        self.done.set()
        for tell in self.told:
            tell(outcome)


@frozen
class Errand:
    """A call of the model's that makes sense: the tool, its arguments, and who it is for.

    `digest` is equal for equal arguments.
    """

    call: ToolCall
    tool: Tool
    arguments: dict[str, Any]
    digest: str
    context: ToolContext


@define(eq=False)
class Toolbox:
    """The tools of one call, its memory, and its deeds by their keys.

    Args:
        call_id: the session's id.
        settings: deadlines and limits.
        threads: for tools that block; shared by all calls of a server.
        log: of the session. Neither arguments nor results are logged: they are people's data.
        tools: by name.

    `call_ids`: of all that the model has asked for.
    """

    call_id: str
    settings: ToolSettings
    threads: trio.CapacityLimiter
    log: FilteringBoundLogger
    tools: dict[str, Tool] = field(factory=dict)
    memory: Memory = field(factory=Memory)
    deeds: dict[str, Deed] = field(factory=dict)
    call_ids: set[str] = field(factory=set)

    @classmethod
    def of(cls, call: Call) -> Toolbox:
        """The built-in tools that the settings name, and the call's own, which may replace them."""
        settings = call.settings.tools
        threads = call.tool_threads or trio.CapacityLimiter(settings.max_threads)
        box = cls(call.session_id, settings, threads, call.log)
        if call.past is not None:
            box.memory = call.past.memory
        names = settings.built_in_names
        if names is None:
            takes_tools = call.tools or is_openai(call.settings.openai.base_url)
            names = tuple(BUILT_IN) if takes_tools else ()
        for tool in (*(BUILT_IN[name] for name in names), *call.tools):
            box.add(tool)
        return box

    def add(self, tool: Tool) -> None:
        """Offer a tool from now on."""
        self.tools[tool.name] = tool

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is offered."""
        return tuple(tool.spec for tool in self.tools.values())

    def key(self, turn: int, name: str, digest: str) -> str:
        """Names a deed: the same when the same is asked again in the same turn."""
        return f"{self.call_id}/{turn}/{name}/{digest}"

    def understand(self, call: ToolCall) -> tuple[Tool, dict[str, Any], str] | Outcome:
        """The tool that is meant, its arguments and their digest; or why there is none."""
        tool = self.tools.get(call.name)
        if tool is None:
            known = ", ".join(self.tools) or "none"
            return failed(f"there is no such tool; there are: {known}")
        try:
            return (tool, *tool.take(call.arguments_json))
        except WrongArguments as wrong:
            return failed(str(wrong))

    async def carry_out(self, errand: Errand) -> Outcome:
        """Do what has an effect, once for its key, whoever waits for it; else just do it.

        Cancelling the caller of this stops a pure tool. Of one with an effect it stops only the
        beginning: what has begun goes on, and its deed has the outcome.
        """
        if errand.tool.effect == "pure":
            return await self._run(errand)
        # The last chance to be called off: whatever was cancelled before does not begin.
        await trio.lowlevel.checkpoint()
        deed = self.begun(errand)
        if deed is None:
            deed = Deed(errand.tool.name, errand.digest)
            self.deeds[errand.context.key] = deed
            outcome = failed("the tool was broken off")
            with trio.CancelScope(shield=True):  # within its deadline
                try:
                    outcome = await self._run(errand)
                finally:
                    deed.end(outcome)
        await deed.done.wait()
        assert deed.outcome is not None
        return deed.outcome

    def begun(self, errand: Errand) -> Deed | None:
        """The same deed, in this turn, or in an earlier one that has not come to its end."""
        if (deed := self.deeds.get(errand.context.key)) is not None:
            return deed
        same = (errand.tool.name, errand.digest)
        running = (d for d in self.deeds.values() if (d.name, d.digest) == same)
        return next((d for d in running if not d.done.is_set()), None)

    async def _run(self, errand: Errand) -> Outcome:
        tool, began_s = errand.tool, trio.current_time()
        timeout_s = tool.timeout_s or self.settings.timeout_ms / 1000
        outcome = failed(f"no result within {timeout_s:g} s{_in_doubt(tool)}")
        with trio.move_on_after(timeout_s):
            outcome = await self._attempts(errand)
        took_ms = round((trio.current_time() - began_s) * 1000)
        self.log.info("tool", tool=tool.name, effect=tool.effect, ok=outcome.ok, took_ms=took_ms)
        return outcome

    async def _attempts(self, errand: Errand) -> Outcome:
        tool, attempt = errand.tool, 0
        while True:
            try:
                return await self._call(errand)
            except BaseException as error:
                if _ends_more_than_the_tool(error):
                    raise
                if (told := _tool_error(error)) is not None:
                    return failed(str(told))
                self.log.warning("a tool failed", tool=tool.name, error=_where(error))
                if tool.effect != "idempotent" or attempt >= self.settings.retries:
                    return failed(f"the tool failed{_in_doubt(tool)}")
            await trio.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
            attempt += 1

    async def _call(self, errand: Errand) -> Outcome:
        tool, arguments = errand.tool, errand.arguments
        if tool.context_name is not None:
            arguments = {**arguments, tool.context_name: errand.context}
        if tool.is_async:
            result = await tool.function(**arguments)
        else:
            # A thread cannot be stopped: past its deadline it is left alone, and keeps its place
            # among `threads` until it returns.
            (result,) = await trio.to_thread.run_sync(
                lambda: (tool.function(**arguments),), limiter=self.threads, abandon_on_cancel=True
            )
        # A plain function may hand on what an async one gives, as a `lambda` does.
        if inspect.isawaitable(result):
            result = await result
        try:
            return Outcome(result_text(result), ok=True)
        except (TypeError, ValueError, RecursionError) as error:
            self.log.warning("a tool's result is not JSON", tool=tool.name, error=_where(error))
            return failed(f"the tool's result cannot be told{_in_doubt(tool, done=True)}")


def _in_doubt(tool: Tool, *, done: bool = False) -> str:
    """What else the model must know of a failure, lest it says that nothing happened."""
    if tool.effect == "pure":
        return ""
    return "; it was carried out" if done else "; it may or may not have been carried out"


def _ends_more_than_the_tool(error: BaseException) -> bool:
    """Whether it is meant for us: all else that a tool raises, be it a `SystemExit`, is a failure
    of its own."""
    kinds = (trio.Cancelled, KeyboardInterrupt, GeneratorExit)
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(kinds) is not None
    return isinstance(error, kinds)


def _tool_error(error: BaseException) -> ToolError | None:
    """The tool's own word for the model, also if it comes out of nurseries of the tool's; None if
    anything else went wrong."""
    while isinstance(error, BaseExceptionGroup) and error.split(ToolError)[1] is None:
        error = error.exceptions[0]
    return error if isinstance(error, ToolError) else None


def _where(error: BaseException) -> str:
    """Kind and place of an error, without its text, which may hold anything."""
    trace = error.__traceback__
    assert trace is not None  # it was raised
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{type(error).__name__} in {code.co_name} ({code.co_filename}:{trace.tb_lineno})"
