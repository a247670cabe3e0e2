"""Tools of your own: functions that the model may call while it talks.

::

    from vantum.tools import tool

    @tool(effect="pure", timeout_s=3, filler="Let me look that up.")
    async def opening_hours(day: str) -> str:
        \"""When the shop is open.

        Args:
            day: The day of the week, such as Monday.
        \"""
        return await look_up(day)

Hand them to `vantum.open_server(..., tools=[opening_hours])`, or name them on the command line:
`vantum-actors run --tools shop:opening_hours`.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any

from vantum.core.builtin_tools import BookMeeting, Meeting, book_meeting
from vantum.core.tools import Effect, Line, Memory, Tool, ToolContext, ToolError, make_tool
from vantum.errors import ConfigError

__all__ = [
    "BookMeeting",
    "Effect",
    "Line",
    "Meeting",
    "Memory",
    "Tool",
    "ToolContext",
    "ToolError",
    "book_meeting",
    "check_tools",
    "load_tools",
    "tool",
]


def tool(
    *,
    effect: Effect,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float | None = None,
    filler: str | None = None,
    needs_reply: bool = True,
    after_speech: bool = False,
) -> Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function, plain (it runs in a thread) or async (on trio).

    The model sees its name, its docstring and its parameters; a parameter of type `ToolContext` is
    not the model's, it gets what the tool may know of the call. What the function returns is told
    to the model: text as it is, all else as JSON. A `ToolError` tells it what went wrong.

    Args:
        effect: "pure" may run at any time, even for nothing, and may be cancelled at any time;
            "idempotent" is tried again with the same key (`ToolContext.key`) after a failure;
            "irreversible" is begun once. What is not pure begins only when the user's turn is
            certain, and then runs to its end even if the user interrupts or hangs up.
        name: instead of the function's.
        description: instead of the docstring's.
        timeout_s: how long it may take, all attempts together; None: `tools.timeout_ms`.
        filler: spoken when it takes long and nothing is being said; None: `tools.filler`; empty:
            nothing.
        needs_reply: False: what the model said together with the call is enough, it is not asked
            to go on (unless it said nothing, or the tool failed).
        after_speech: it begins only when all that was said before it has been heard.

    Raises:
        TypeError: the parameters cannot be told to a model.
        ValueError: an option is not allowed.
    """

    def make(function: Callable[..., Any]) -> Tool:
        return make_tool(
            function,
            effect=effect,
            name=name,
            description=description,
            timeout_s=timeout_s,
            filler=filler,
            needs_reply=needs_reply,
            after_speech=after_speech,
        )

    return make


#: OpenAI takes 128, of which some are the server's own.
MAX_TOOLS = 100


def check_tools(tools: Sequence[Tool]) -> None:
    """Whether these can be offered together.

    Raises:
        ConfigError: two have the same name, or there are too many.
    """
    if len(tools) > MAX_TOOLS:
        raise ConfigError(f"{len(tools)} tools: there may be {MAX_TOOLS} at most")
    for name, count in Counter(one.name for one in tools).items():
        if count > 1:
            raise ConfigError(f"{count} tools have the name {name}: each needs one of its own")


def left_unused(tools: Sequence[Tool], llm: str) -> str:
    """A line for who starts a server or a talk with tools that its model calls none of; else empty.

    Args:
        tools: those that were asked for; the built-in ones are always there.
        llm: the model's provider.
    """
    if llm != "local" or not tools:
        return ""
    return f"  tools not used: {', '.join(one.name for one in tools)} (the local model calls none)"


def load_tools(paths: Iterable[str]) -> tuple[Tool, ...]:
    """Tools by where they are: `module:attribute`, the attribute a tool or several.

    Modules are looked for in the working directory too.

    Raises:
        ConfigError: there is no such thing, or it is no tool. What a module raises when it is
            imported is not caught.
    """
    found: list[Tool] = []
    for path in paths:
        module_name, _, attribute = path.partition(":")
        if not module_name or not attribute:
            raise ConfigError(f"tools.load={path}: must be module:attribute, such as shop:tools")
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        try:
            module = import_module(module_name)
        except ModuleNotFoundError as error:
            raise ConfigError(f"tools.load={path}: no module {error.name}") from None
        thing = getattr(module, attribute, None)
        several = thing if isinstance(thing, list | tuple) else [thing]
        for one in several:
            if not isinstance(one, Tool):
                what = "nothing" if one is None else f"a {type(one).__name__}"
                raise ConfigError(f"tools.load={path}: is {what}, not a tool (@vantum.tools.tool)")
            found.append(one)
    return tuple(found)
