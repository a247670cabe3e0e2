"""What was said in a call and what was heard of it: the record, and the model's context.

The record is append-only and complete: every user turn and every answer, also one that nobody
heard. The context is made from it: what the model should believe was said.

- Of an interrupted answer the context has what was heard. If nothing was, it is left out.
- Neighbours of the same role become one message: after an interruption or a queued turn two user
  messages may follow each other, and some models accept only turns that alternate.
- A window slides over it when `max_messages` or `max_context_tokens` is exceeded. It then moves on
  by a quarter of the limit at once and stays there for the turns after: a prefix that stays the
  same is cached by the models, local ones above all.
- The system prompt and all from the latest user message on are never dropped, even if they alone
  exceed a limit.
- A cut window begins with a user message. A call that begins with our greeting keeps it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import frozen

from vantum.core.messages import ChatMessage

Speaker: TypeAlias = Literal["user", "assistant"]

#: English text has about four characters to a token; other scripts have fewer, so that the
#: estimate is low for them. A limit should be set with room to spare.
CHARS_PER_TOKEN: Final = 4
#: What a chat format adds to each message (role and separators).
MESSAGE_TOKENS: Final = 4


def estimate_tokens(text: str) -> int:
    """About how many tokens a message with `text` takes in a context."""
    return -(-len(text) // CHARS_PER_TOKEN) + MESSAGE_TOKENS


@frozen
class Entry:
    """One turn of the record.

    `text` is what was said; of an answer, what was heard of it as far as that is known. `written`
    is what the model wrote, with its markers and with what nobody heard; empty if it is no
    different. `at_ms` is when it was recorded, on the caller's clock.
    """

    role: Speaker
    text: str
    at_ms: int = 0
    interrupted: bool = False
    is_fallback: bool = False
    written: str = ""


class History:
    """The record of one call and the context made from it.

    Args:
        max_messages: messages in the context besides the system prompt; 0: all.
        max_context_tokens: estimated tokens of the context, system prompt included; 0: no limit.

    Raises:
        ValueError: a limit is negative.
    """

    __slots__ = (
        "_begin",
        "_entries",
        "_max_messages",
        "_max_tokens",
        "_messages",
        "_tokens_before",
    )

    def __init__(self, *, max_messages: int = 50, max_context_tokens: int = 0) -> None:
        if max_messages < 0 or max_context_tokens < 0:
            raise ValueError("the limits of a context must be 0 (none) or more")
        self._max_messages = max_messages
        self._max_tokens = max_context_tokens
        self._entries: list[Entry] = []
        # The context without a window: turns merged, those that nobody heard left out …
        self._messages: list[ChatMessage] = []
        # … the estimated tokens before each of them, and at last of all of them …
        self._tokens_before: list[int] = [0]
        # … and where the window begins.
        self._begin = 0

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The whole record, oldest first."""
        return tuple(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def since(self, index: int) -> tuple[Entry, ...]:
        """The record from its `index`-th entry on: what a storage that has `index` lacks."""
        return tuple(self._entries[index:])

    def add_user(self, text: str, *, at_ms: int = 0) -> Entry:
        """The user said `text`."""
        return self._add(Entry("user", text, at_ms), text)

    def add_assistant(
        self,
        text: str,
        *,
        at_ms: int = 0,
        interrupted: bool = False,
        is_fallback: bool = False,
        heard_text: str | None = None,
        written: str = "",
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
        """
        said = text if heard_text is None else heard_text
        whole = written or text
        entry = Entry(
            "assistant", said, at_ms, interrupted, is_fallback, whole if whole != said else ""
        )
        was_heard_in_full = heard_text is None and not interrupted
        return self._add(entry, whole if was_heard_in_full else said)

    def context(self, system_prompt: str) -> tuple[ChatMessage, ...]:
        """What the model is asked with: the system prompt (if not empty) and the window."""
        self._slide(estimate_tokens(system_prompt) if system_prompt else 0)
        system = (ChatMessage("system", system_prompt),) if system_prompt else ()
        return system + tuple(self._messages[self._begin :])

    def _add(self, entry: Entry, content: str) -> Entry:
        self._entries.append(entry)
        if content := content.strip():
            if self._messages and self._messages[-1].role == entry.role:
                content = f"{self._messages.pop().content}\n{content}"
                self._tokens_before.pop()
            self._messages.append(ChatMessage(entry.role, content))
            self._tokens_before.append(self._tokens_before[-1] + estimate_tokens(content))
        return entry

    def _slide(self, system_tokens: int) -> None:
        if not self._exceeds(self._max_messages, self._max_tokens, system_tokens):
            return
        # A quarter lower, so that the window then stays for a while.
        few_messages = self._max_messages - self._max_messages // 4
        few_tokens = self._max_tokens - self._max_tokens // 4
        kept = self._last_turn()
        while self._begin < kept and self._exceeds(few_messages, few_tokens, system_tokens):
            self._begin += 1
        if self._begin < kept and self._messages[self._begin].role == "assistant":
            self._begin += 1

    def _exceeds(self, messages: int, tokens: int, system_tokens: int) -> bool:
        """Whether the window is over these limits (0: none)."""
        count = len(self._messages) - self._begin
        estimate = self._tokens_before[-1] - self._tokens_before[self._begin] + system_tokens
        return bool((messages and count > messages) or (tokens and estimate > tokens))

    def _last_turn(self) -> int:
        """Where the latest user message is, or the latest message if there is none."""
        last = len(self._messages) - 1
        is_answered = last > 0 and self._messages[last].role == "assistant"
        return last - 1 if is_answered else last
