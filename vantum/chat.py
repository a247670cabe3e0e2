"""`vantum-actors chat`: talk to the agent in text, at a terminal or through a pipe."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import frozen

from vantum.config.choices import provider_choices
from vantum.config.load import Loaded
from vantum.core.events import InputOptions, Prospect
from vantum.errors import ConfigError, VantumError
from vantum.models import prepare_models
from vantum.observe.logs import configure_logs
from vantum.providers.registry import open_model
from vantum.screen import one_line
from vantum.signals import ending_at_once
from vantum.testing.text import CallOver, Reply, TextConversation, text_conversation
from vantum.tools import left_unused, load_tools

Say = Callable[[str], Any]

_YOU: Final = "you> "
_AGENT: Final = "agent> "
_BESIDE: Final = "       "
#: A terminal that edits lines itself keeps so much of one, its end included (Linux; macOS: 1024).
_TERMINAL_LINE_BYTES: Final = 4096
#: Lines that were piped in are there at once.
_LEFT_S: Final = 0.5


@frozen
class _Line:
    """A line of the user's. `is_ahead`: it was there before it was asked for, as pasted lines are.
    `is_cut`: it has the length at which terminals drop the rest."""

    text: str
    is_ahead: bool = False
    is_cut: bool = False


@frozen
class _Printer:
    """What is printed, and how. At a terminal the user's own lines are there already."""

    say: Say
    echoes: bool

    def asked(self, line: _Line) -> None:
        """What was typed, where nobody saw it typed, or not where it belongs."""
        if self.echoes or line.is_ahead:
            self.say(_YOU + one_line(line.text))
        if line.is_cut and not self.echoes:
            self.say(f"{_BESIDE}(the terminal has cut this line: pipe in what is as long)")

    def piece(self, text: str) -> None:
        """A piece of an answer, as soon as it is complete."""
        self.say(_AGENT + one_line(text))

    def reply(self, reply: Reply) -> None:
        """What else there is to say of an answer."""
        for tool in reply.tools:
            result = "no result yet" if tool.result is None else tool.result
            # Results may have lines of their own, and a name is whatever the model has written.
            used = f"{tool.name}({tool.arguments_json}) → {result}"
            self.say(f"{_BESIDE}[tool] {one_line(used)}")
        for stage in reply.stages:
            self.say(f"{_BESIDE}[stage] {stage}")
        for error in reply.errors:
            self.say(f"{_BESIDE}[error] {one_line(error)}")
        if reply.first_s is not None:
            fallback = ", a fallback" if reply.is_fallback else ""
            self.say(
                f"{_BESIDE}(first words after {reply.first_s:.2f} s, "
                f"all after {reply.total_s:.2f} s{fallback})"
            )


async def run_chat(loaded: Loaded, *, prospect: Prospect, say: Say) -> int:
    """Read lines from standard input until its end, and have the agent answer each.

    Returns:
        0 if every line was answered by the model itself, else 1.

    Raises:
        ConfigError: a setting is wrong, or a tool cannot be loaded.
        VantumError: the agent hung up while a pipe had another line.
    """
    settings = loaded.settings
    configure_logs(settings.log.level, settings.log.format)
    tools = load_tools(settings.tools.load_paths)
    name, why = provider_choices(settings, loaded.origins)["llm"]
    at_terminal = sys.stdin.isatty()
    printer = _Printer(say, echoes=not at_terminal)
    await prepare_models(settings, say, roles=("llm",))
    async with ending_at_once(open_model(settings)) as model:
        say(f"llm thinks: {name}: {why}. End with Ctrl-D.")
        if notice := left_unused(tools, name):
            say(notice)
        async with text_conversation(
            settings,
            model=model,
            options=InputOptions(prospect=prospect),
            tools=tools,
            show=printer.piece,
        ) as talk:
            printer.reply(talk.greeting)
            return await _talk(talk, printer, prompt=_YOU if at_terminal else "")


async def _talk(talk: TextConversation, printer: _Printer, *, prompt: str) -> int:
    code = 0
    while not talk.is_over:
        line = await _read(prompt)
        if line is None:
            return code
        if not line.text:
            continue
        printer.asked(line)
        try:
            reply = await talk.say(line.text)
        except CallOver:
            break
        except trio.TooSlowError:
            raise ConfigError("no answer came within five minutes") from None
        printer.reply(reply)
        if reply.is_fallback or not reply.pieces:
            code = 1
    printer.say("The agent has hung up." if talk.failure is None else "The session has failed.")
    if talk.failure is not None:
        return 1
    if not prompt and await _more_was_said():
        raise VantumError("the agent has hung up before the last line was said")
    return code


async def _read(prompt: str) -> _Line | None:
    """The next line of standard input, asked for with `prompt` at a terminal; None at its end."""
    is_ahead = bool(prompt) and _is_typed_ahead()
    if prompt and not is_ahead:
        sys.stdout.write(prompt)
        sys.stdout.flush()
    line = None
    try:
        # A thread may go on waiting for a line when Ctrl-C ends everything else.
        line = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
    finally:
        if prompt and not line:
            # What the shell prints next begins a line.
            sys.stdout.write("\n")
            sys.stdout.flush()
    if not line:
        return None
    is_cut = len(line.encode("utf-8", "replace")) >= _TERMINAL_LINE_BYTES
    return _Line(line.strip(), is_ahead, is_cut)


def _is_typed_ahead() -> bool:
    """Whether a terminal has a whole line for us already."""
    return sys.platform != "win32" and bool(select.select([sys.stdin], [], [], 0)[0])


async def _more_was_said() -> bool:
    """Whether a pipe has another line."""
    with trio.move_on_after(_LEFT_S):
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            if line.strip():
                return True
    return False
