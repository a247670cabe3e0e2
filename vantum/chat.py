"""`vantum-actors chat`: talk to the agent in text, at a terminal or through a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import frozen

from vantum.config.choices import provider_choices
from vantum.config.load import Loaded
from vantum.core.events import InputOptions, Prospect
from vantum.errors import ConfigError
from vantum.models import prepare_models
from vantum.observe.logs import configure_logs
from vantum.providers.registry import open_model
from vantum.testing.text import CallOver, Reply, TextConversation, text_conversation
from vantum.tools import left_unused, load_tools

Say = Callable[[str], Any]

_YOU: Final = "you> "
_AGENT: Final = "agent> "
_BESIDE: Final = "       "


@frozen
class _Printer:
    """What is printed, and how. At a terminal the user's own lines are there already."""

    say: Say
    echoes: bool

    def asked(self, text: str) -> None:
        """What was typed, where nobody saw it typed."""
        if self.echoes:
            self.say(_YOU + text)

    def piece(self, text: str) -> None:
        """A piece of an answer, as soon as it is complete."""
        self.say(_AGENT + text)

    def reply(self, reply: Reply) -> None:
        """What else there is to say of an answer."""
        for tool in reply.tools:
            result = "no result yet" if tool.result is None else tool.result
            self.say(f"{_BESIDE}[tool] {tool.name}({tool.arguments_json}) → {result}")
        for stage in reply.stages:
            self.say(f"{_BESIDE}[stage] {stage}")
        for error in reply.errors:
            self.say(f"{_BESIDE}[error] {error}")
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
    """
    settings = loaded.settings
    configure_logs(settings.log.level, settings.log.format)
    tools = load_tools(settings.tools.load_paths)
    name, why = provider_choices(settings, loaded.origins)["llm"]
    at_terminal = sys.stdin.isatty()
    printer = _Printer(say, echoes=not at_terminal)
    await prepare_models(settings, say, roles=("llm",))
    async with open_model(settings) as model:
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
        if prompt:
            sys.stdout.write(prompt)
            sys.stdout.flush()
        # A thread may go on waiting for a line when Ctrl-C ends everything else.
        line = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
        if not line:
            return code
        if not (text := line.strip()):
            continue
        printer.asked(text)
        try:
            reply = await talk.say(text)
        except CallOver:
            break
        except trio.TooSlowError:
            raise ConfigError("no answer came within five minutes") from None
        printer.reply(reply)
        if reply.is_fallback or not reply.pieces:
            code = 1
    printer.say("The agent has hung up." if talk.failure is None else "The session has failed.")
    return code if talk.failure is None else 1
