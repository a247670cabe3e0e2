"""What was said in a call and what was heard of it: the record, and the model's context.

The record is append-only and complete: every user turn and every answer, also one that nobody
heard. The context is made from it: what the model should believe was said.

- Of an interrupted answer the context has what was heard. If nothing was, it is left out. An answer
  that was resumed after a cut reads as one.
- Neighbours of the same role become one message: after an interruption or a queued turn two user
  messages may follow each other, and some models accept only turns that alternate.
- What the model asked of tools and what came of it enter together, so that there is never a call
  without its result.
- A window slides over it when `max_messages` or `max_context_tokens` is exceeded. It then moves on
  by a quarter of the limit at once and stays there for the turns after: a prefix that stays the
  same is cached by the models, local ones above all.
- The system prompt, what is told of the tools and all from the latest user message on are never
  dropped, even if they alone exceed a limit.
- A cut window begins with a user message, so that it never begins within a tool call. A call that
  begins with our greeting keeps it.
- A summary of what fell out stands behind the system prompt. It changes when the window moves, so
  one move costs one new prefix: `due` says ahead of the move what will fall out, and the summary
  waits for it. If there is none, the window is all there is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from typing import Final, Literal, TypeAlias

from attrs import evolve, frozen

from vantum.core.context import summary_block
from vantum.core.dtmf import join_notes
from vantum.core.messages import ChatMessage, ChatRequest, ToolCall, ToolSpec
from vantum.core.tokens import MESSAGE_TOKENS, CountTokens, estimate_tokens
from vantum.core.wording import joined

__all__ = [
    "Digest",
    "Entry",
    "History",
    "estimate_tokens",
    "message_tokens",
    "request_tokens",
    "tool_tokens",
]

#: The window moves on until it is so much below its limits …
_QUARTER: Final = 4
#: … and what will fall out then is worth a summary when so much of them is left.
_SOON: Final = 8

Speaker: TypeAlias = Literal["user", "assistant", "tool"]


def message_tokens(message: ChatMessage, count: CountTokens = estimate_tokens) -> int:
    """About how many tokens a message takes in a context."""
    calls = sum(count(call.name) + count(call.arguments_json) for call in message.tool_calls)
    return count(message.content) + calls + MESSAGE_TOKENS


def tool_tokens(tool: ToolSpec, count: CountTokens = estimate_tokens) -> int:
    """About how many tokens a model is told of a tool in.

    How a provider writes it down for its model is the provider's own; as JSON it is rather too
    many, which is the side to err on.
    """
    schema = json.dumps(dict(tool.parameters), ensure_ascii=False)
    return count(tool.name) + count(tool.description) + count(schema) + MESSAGE_TOKENS


def request_tokens(request: ChatRequest, count: CountTokens = estimate_tokens) -> int:
    """About how many tokens the model reads for a request."""
    messages = sum(message_tokens(message, count) for message in request.messages)
    return messages + sum(tool_tokens(tool, count) for tool in request.tools)


@frozen
class Entry:
    """One turn of the record.

    `text` is what was said; of an answer, what was heard of it as far as that is known; of a tool,
    its result. `written` is what the model wrote, with its markers and with what nobody heard;
    empty if it is no different. `at_ms` is when it was recorded, on the caller's clock.
    `continued`: the rest of the answer before it, which had been cut. `tool_calls` are as in
    `ChatMessage`; a result has its call's id.
    """

    role: Speaker
    text: str
    at_ms: int = 0
    interrupted: bool = False
    is_fallback: bool = False
    written: str = ""
    continued: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@frozen
class Digest:
    """What is to be summarised: the summary so far and the messages that go on from it."""

    upto: int
    before: str
    messages: tuple[ChatMessage, ...]


@frozen
class _Summary:
    """A summary of the first `upto` messages; what it adds to a system prompt."""

    upto: int = 0
    text: str = ""

    @property
    def block(self) -> str:
        return f"\n\n{summary_block(self.text)}" if self.text else ""


def _no_tokens(_text: str) -> int:
    return 0


class History:
    """The record of one call and the context made from it.

    Args:
        max_messages: messages in the context besides the system prompt; 0: all.
        max_context_tokens: tokens of the context, system prompt and tools included; 0: no limit.
        count: counts them.

    Raises:
        ValueError: a limit is negative.
    """

    __slots__ = (
        "_begin",
        "_count",
        "_counted",
        "_entries",
        "_last_user",
        "_max_messages",
        "_max_tokens",
        "_messages",
        "_summary",
        "_tokens_before",
        "_waiting",
    )

    def __init__(
        self,
        *,
        max_messages: int = 50,
        max_context_tokens: int = 0,
        count: CountTokens = estimate_tokens,
    ) -> None:
        if max_messages < 0 or max_context_tokens < 0:
            raise ValueError("the limits of a context must be 0 (none) or more")
        self._max_messages = max_messages
        self._max_tokens = max_context_tokens
        # Nobody asks how many they are without a limit.
        self._count = count if max_context_tokens else _no_tokens
        # Tokens of what stood around the window at last, and what that was.
        self._counted: tuple[int, str, str, tuple[ToolSpec, ...]] = (0, "", "", ())
        self._entries: list[Entry] = []
        # The context without a window: turns merged, those that nobody heard left out …
        self._messages: list[ChatMessage] = []
        # … the estimated tokens before each of them, and at last of all of them …
        self._tokens_before: list[int] = [0]
        # … where the latest of a user's is, and where the window begins.
        self._last_user = 0
        self._begin = 0
        # The summary in use, and one that waits for the window to move.
        self._summary = _Summary()
        self._waiting = _Summary()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The whole record, oldest first."""
        return tuple(self._entries)

    @property
    def summary(self) -> str:
        """What the context has of the messages that fell out of it; empty: nothing."""
        return self._summary.text

    def __len__(self) -> int:
        return len(self._entries)

    def since(self, index: int) -> tuple[Entry, ...]:
        """The record from its `index`-th entry on: what a storage that has `index` lacks."""
        return tuple(self._entries[index:])

    # ------------------------------------------------------------ the record

    def add_user(self, text: str, *, at_ms: int = 0, continued: bool = False) -> Entry:
        """The user said `text`. `continued`: he went on with the turn before, unanswered."""
        return self._add(Entry("user", text, at_ms, continued=continued), text)

    def add_assistant(
        self,
        text: str,
        *,
        at_ms: int = 0,
        interrupted: bool = False,
        is_fallback: bool = False,
        heard_text: str | None = None,
        written: str = "",
        continued: bool = False,
    ) -> Entry:
        """We said `text`, without markers.

        Args:
            text: the answer.
            at_ms: when.
            interrupted: the user cut in.
            is_fallback: it is a fallback text and not the model's.
            heard_text: what was heard of it, if not all; may be empty.
            written: what the model wrote, if that is not `text`, that is with its markers. An
                answer that was heard in full stands so in the context, because a model that
                sees itself leave the markers out does so.
            continued: it is the rest of the answer before it, which had been cut: in the context
                they are one sentence.
        """
        text = join_notes(text)
        said = text if heard_text is None else join_notes(heard_text)
        whole = written or text
        rest = whole if whole != said else ""
        entry = Entry("assistant", said, at_ms, interrupted, is_fallback, rest, continued)
        was_heard_in_full = heard_text is None and not interrupted
        return self._add(entry, whole if was_heard_in_full else said)

    def add_tool_use(self, messages: Sequence[ChatMessage], *, at_ms: int = 0) -> tuple[Entry, ...]:
        """The model used tools: its message with the calls and the results, one for each call.

        What it said with the calls is not taken from here but from the answer that was recorded
        before, as it was heard; in the context they are one message. A call whose result nobody
        waited for needs one that says so.

        Raises:
            ValueError: there is no call, a result is missing, or one belongs to no call.
        """
        first, *results = messages or (ChatMessage("tool", ""),)
        called = sorted(call.id for call in first.tool_calls)
        answered = sorted(result.tool_call_id for result in results if result.role == "tool")
        if first.role != "assistant" or not called or called != answered:
            raise ValueError("a tool's use is one message with calls and a result for each of them")
        entries = [Entry("assistant", "", at_ms, tool_calls=first.tool_calls)]
        said = ""
        if self._messages and self._messages[-1].role == "assistant":
            said = self._messages.pop().content
            self._tokens_before.pop()
        self._put(evolve(first, content=said))
        for result in results:
            entries.append(Entry("tool", result.content, at_ms, tool_call_id=result.tool_call_id))
            self._put(result)
        self._entries += entries
        return tuple(entries)

    def tool_finished(self, call_id: str, text: str, *, at_ms: int = 0) -> Entry:
        """A tool has come to its end after its use was recorded: this is its result.

        The record gets it as one more entry; in the context it replaces what stood for it.
        """
        entry = Entry("tool", text, at_ms, tool_call_id=call_id)
        self._entries.append(entry)
        for index in reversed(range(len(self._messages))):
            message = self._messages[index]
            if message.role == "tool" and message.tool_call_id == call_id:
                self._messages[index] = evolve(message, content=text)
                more = self._count(text) - self._count(message.content)
                for after in range(index + 1, len(self._tokens_before)):
                    self._tokens_before[after] += more
                break
        return entry

    def _add(self, entry: Entry, content: str) -> Entry:
        self._entries.append(entry)
        if content := content.strip():
            # Calls have their results behind them, so what is last was said.
            if self._messages and self._messages[-1].role == entry.role:
                said = self._messages.pop().content
                content = joined(said, content) if entry.continued else f"{said}\n{content}"
                self._tokens_before.pop()
            if entry.role == "user":
                self._last_user = len(self._messages)
            self._put(ChatMessage(entry.role, content))
        return entry

    def _put(self, message: ChatMessage) -> None:
        self._messages.append(message)
        tokens = message_tokens(message, self._count)
        self._tokens_before.append(self._tokens_before[-1] + tokens)

    def copy(self) -> History:
        """Another record that so far says the same."""
        twin = copy(self)
        twin._entries = list(self._entries)
        twin._messages = list(self._messages)
        twin._tokens_before = list(self._tokens_before)
        return twin

    def imagined(self, text: str) -> History:
        """A copy in which the user has said `text`: what the model would then be asked with."""
        twin = self.copy()
        twin.add_user(text)
        return twin

    # ------------------------------------------------------------ the context

    def context(
        self, system_prompt: str, note: str = "", tools: tuple[ToolSpec, ...] = ()
    ) -> tuple[ChatMessage, ...]:
        """What the model is asked with: the system prompt, if not empty, with the summary; the
        window; and a `note` of ours, if not empty, which may change from turn to turn. `tools` are
        those that it is told of beside it: they take their share of the tokens."""
        system, late = self._framed(system_prompt, note, tools)
        self._slide()
        if self._summary.upto < self._waiting.upto <= self._begin:
            self._summary = self._waiting
            system, late = self._framed(system_prompt, note, tools)
            self._slide()  # it may be longer than the one before it
        return (*system, *self._messages[self._begin :], *late)

    def fitted(self, request: ChatRequest) -> ChatRequest:
        """A request that has grown since `context` made it, by what tools have answered: without
        what must fall out for that."""
        said = [m for m in request.messages if m.role != "system"]
        around = evolve(request, messages=tuple(m for m in request.messages if m.role == "system"))
        window = History(
            max_messages=self._max_messages, max_context_tokens=self._max_tokens, count=self._count
        )
        for message in said:
            window._put(message)
        window._last_user = max((n for n, m in enumerate(said) if m.role == "user"), default=0)
        window._counted = (request_tokens(around, self._count), "", "", ())
        window._slide()
        gone = {id(message) for message in said[: window._begin]}
        return evolve(request, messages=tuple(m for m in request.messages if id(m) not in gone))

    def _framed(
        self, system_prompt: str, note: str, tools: tuple[ToolSpec, ...]
    ) -> tuple[tuple[ChatMessage, ...], tuple[ChatMessage, ...]]:
        """What stands before and behind the window; counts it and the tools too."""
        beginning = (system_prompt + self._summary.block).strip()
        system = (ChatMessage("system", beginning),) if beginning else ()
        late = (ChatMessage("system", note),) if note else ()
        if self._counted[1:] != (beginning, note, tools):
            tokens = sum(message_tokens(m, self._count) for m in (*system, *late))
            tokens += sum(tool_tokens(tool, self._count) for tool in tools)
            self._counted = (tokens, beginning, note, tools)
        return system, late

    def _slide(self) -> None:
        if not self._exceeds(self._begin):
            return
        # Where the summary that waits ends, if that is far enough …
        self._begin = max(self._begin, self._waiting.upto)
        if self._exceeds(self._begin):
            self._begin = self._further()

    def _further(self) -> int:
        """Where the window begins when it is a quarter lower, so that it then stays for a while."""
        begin, kept = self._begin, self._last_user
        while begin < kept and self._exceeds(begin, _QUARTER):
            begin += 1
        while begin < kept and self._messages[begin].role != "user":
            begin += 1
        return begin

    def _exceeds(self, begin: int, less: int = 0) -> bool:
        """Whether a window from `begin` on is over the limits, or over them less a fraction."""
        count = len(self._messages) - begin
        # The next that comes is a message, however few there may be.
        count += less == _SOON and self._max_messages < _SOON
        tokens = self._tokens_before[-1] - self._tokens_before[begin] + self._counted[0]
        limits = ((count, self._max_messages), (tokens, self._max_tokens))
        return any(
            most and taken > (most - most // less if less else most) for taken, most in limits
        )

    # ------------------------------------------------------------ what fell out

    def due(self) -> Digest | None:
        """What should be summarised now: what has fallen out of the window, or soon will."""
        upto = self._further() if self._exceeds(self._begin, _SOON) else self._begin
        done = max(self._summary, self._waiting, key=lambda summary: summary.upto)
        if upto <= done.upto:
            return None
        return Digest(upto, done.text, tuple(self._messages[done.upto : upto]))

    def summarised(self, digest: Digest, text: str) -> None:
        """Take the summary of what was due; it is used once the window has moved past all of it."""
        self._waiting = _Summary(digest.upto, text)
