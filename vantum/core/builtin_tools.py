"""The tools that come with the server: ending the call, remembering, booking a meeting."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

from attrs import evolve, frozen

from vantum.core.tools import Tool, ToolContext, ToolError, make_tool

#: A name and a fact, not a transcript.
MAX_KEY_CHARS: Final = 60
MAX_FACT_CHARS: Final = 500
#: With more, it is not facts any more, and the context has to hold them.
MAX_FACTS: Final = 50


async def _end_call(
    context: ToolContext, reason: Annotated[str, "Why, in a few words, for our records."] = ""
) -> str:
    """Hang up. Only when the conversation is over: they said goodbye, or asked not to be called.
    Say your goodbye in the same answer: the line closes when they have heard it."""
    context.end_call(reason)
    return "The line closes once your goodbye was heard, unless they go on speaking."


async def _remember(
    context: ToolContext,
    key: Annotated[str, "A short name, such as budget or best_time_to_call."],
    value: Annotated[str, "What they said, in a few words."],
) -> str:
    """Note a fact about the person for the rest of this call and for our records. Do not speak of
    it; go on with the conversation."""
    key, value = key.strip(), value.strip()
    if not 0 < len(key) <= MAX_KEY_CHARS or len(value) > MAX_FACT_CHARS:
        raise ToolError(
            f"key must have 1 to {MAX_KEY_CHARS} characters, value at most {MAX_FACT_CHARS}"
        )
    if key not in context.memory.facts and len(context.memory.facts) >= MAX_FACTS:
        raise ToolError(f"{MAX_FACTS} facts are noted already; replace one of them")
    context.memory.remember(key, value)
    return "Noted."


END_CALL: Final = make_tool(
    _end_call, effect="irreversible", name="end_call", filler="", needs_reply=False
)
REMEMBER: Final = make_tool(
    _remember, effect="idempotent", name="remember", filler="", needs_reply=False
)
#: By name, for the settings.
BUILT_IN: Final = {tool.name: tool for tool in (END_CALL, REMEMBER)}


@frozen
class Meeting:
    """What the caller agreed to."""

    starts_at: datetime
    duration_minutes: int
    topic: str
    name: str
    email: str | None


#: Books a meeting and says what is to be told of it; `ToolError` says why it cannot be.
BookMeeting: TypeAlias = Callable[[Meeting, ToolContext], str | Awaitable[str]]


def book_meeting(
    hook: BookMeeting, *, timeout_s: float | None = None, filler: str | None = None
) -> Tool:
    """The tool `book_meeting`, which books with `hook`: there is none without.

    Args:
        hook: plain (it then runs in a thread) or async.
        timeout_s: how long it may take; None: as the settings say.
        filler: said meanwhile; None: as the settings say.
    """

    def meeting(
        starts_at: datetime, topic: str, duration_minutes: int, name: str, email: str | None
    ) -> Meeting:
        if starts_at.tzinfo is None:
            raise ToolError("starts_at needs its offset from UTC, as in 2026-03-31T14:30:00+02:00")
        if not 5 <= duration_minutes <= 480:
            raise ToolError("duration_minutes must be 5 to 480")
        return Meeting(starts_at, duration_minutes, topic, name, email)

    def book(
        context: ToolContext,
        starts_at: Annotated[datetime, "When it begins, with the offset from UTC."],
        topic: Annotated[str, "What it is about."],
        duration_minutes: int = 30,
        name: Annotated[str, "Who comes; empty: the person you speak with."] = "",
        email: Annotated[str | None, "Where the invitation goes, if they said."] = None,
    ) -> str | Awaitable[str]:
        name = name or context.prospect.name or ""
        return hook(meeting(starts_at, topic, duration_minutes, name, email), context)

    async def book_in_the_loop(**arguments: Any) -> Any:
        booked = book(**arguments)
        assert not isinstance(booked, str)
        return await booked

    tool = make_tool(
        book,
        effect="irreversible",
        name="book_meeting",
        description="Book a meeting that the person has agreed to, with its date and time.",
        timeout_s=timeout_s,
        filler=filler,
    )
    return evolve(tool, function=book_in_the_loop) if inspect.iscoroutinefunction(hook) else tool
