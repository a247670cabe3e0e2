"""How SmolLM2-135M is made to hold a sales call: what it is shown, and what its answers must be.

The built-in prompt of 2 kB is beyond it (and takes two seconds to read). Instead it gets a prompt
of three sentences, the prospect's data, the last exchange of the call, the example nearest to what
was just said, and the first words of the example's answer as the beginning of its own: left alone
it falls into the apologies of a help desk. Those first words are spoken while it still reads.

A prompt of the user's own (LLM_SYSTEM_PROMPT) is honoured as it is, without our examples, which
would talk it into our role. Pure.

An answer that was cut by a noise and goes on is one whose last message is the model's own: what was
said of it is the beginning, and what comes now is only what follows.
"""

from __future__ import annotations

import json
import re
from typing import Final

from attrs import evolve, frozen

from vantum.config.call import LlmSettings
from vantum.core.events import Prospect
from vantum.core.messages import ChatMessage, ChatRequest
from vantum.core.prompts import build_system_prompt
from vantum.core.scripts import OUTLINE_BEGINS
from vantum.core.sendable import sendable
from vantum.providers.local.choosing import nearest
from vantum.providers.local.guard import Guard
from vantum.providers.local.llama import SLOT_TOKENS, Message, Sampling
from vantum.providers.local.playbook import Example

SYSTEM: Final = (
    "You are Alex, a friendly sales representative of Vantum, on the phone with a prospect. "
    "Vantum is software that makes phone calls for sales teams: it calls prospects, talks with "
    "them and books meetings. Answer in one or two short sentences."
)
SHORT: Final = "\n\nYou are on the phone: answer in one or two short sentences."
SENTENCES: Final = 2
#: Enough for two sentences; what is longer has lost its way.
_ANSWER_TOKENS: Final = 64
#: The usual temperature is for models that know what they are saying.
_COOLER: Final = 0.3
#: A turn or two of history is what it can follow.
_HISTORY: Final = 2
#: The share of the example's answer that begins the model's own.
_LEAD: Final = 0.45
#: History is dropped so many messages at a time: what remains keeps its place in the slot's cache.
_DROP: Final = 8

#: How the built-in prompt begins, whatever its marker.
_BUILT_IN: Final = build_system_prompt("", Prospect(), "||BREAK||").split("\n\n")[0]
_NO_EXAMPLE: Final = Example("", "")
_FACT: Final = re.compile(r'^- (Name|Company|Industry): (".*")$', re.MULTILINE)
_FACTS: Final = {
    "Name": "The prospect's name is {}.",
    "Company": "The prospect works at {}.",
    "Industry": "Their industry is {}.",
}


@frozen
class Plan:
    """One answer to be generated: the model's input, and the guard over its output."""

    messages: list[Message]
    sampling: Sampling
    guard: Guard
    opening: str = ""


def plan_answer(request: ChatRequest, settings: LlmSettings, *, small: bool) -> Plan:
    """What the model is asked for `request`. `small`: it is SmolLM2, not a model of the user's."""
    asked = tuple(evolve(each, content=sendable(each.content)) for each in request.messages)
    system, turns = _parted(asked, with_notes=not small)
    if small and system.startswith(_BUILT_IN):
        return _sales(system, turns, settings)
    if small:
        system = _without_script(system) + SHORT
    tokens = min(settings.max_tokens, _ANSWER_TOKENS if small else SLOT_TOKENS // 4)
    sampling = Sampling(
        temperature=settings.temperature * (_COOLER if small else 1),
        top_p=settings.top_p,
        frequency_penalty=settings.frequency_penalty,
        presence_penalty=settings.presence_penalty,
        max_tokens=tokens,
    )
    kept = fit(turns, SLOT_TOKENS - tokens - estimate_tokens(system))
    messages = [_message("system", system)] if system else []
    messages += [_message(turn.role, turn.content) for turn in kept]
    known = " ".join([system, *(turn.content for turn in turns)])
    _, begun = _begun(turns)
    guard = Guard(
        sentences=SENTENCES if small else tokens, strict=small, known=known, opening=begun
    )
    return Plan(messages, sampling, guard)


def _begun(turns: list[ChatMessage]) -> tuple[list[ChatMessage], str]:
    """The turns before the answer, and what was said of it already."""
    if turns and turns[-1].role == "assistant":
        return turns[:-1], turns[-1].content
    return turns, ""


def _parted(
    messages: tuple[ChatMessage, ...], *, with_notes: bool
) -> tuple[str, list[ChatMessage]]:
    """The system prompt and the turns.

    Chat templates have a place for one system message, at the beginning. A later one is a note that
    may change from turn to turn: at the beginning it would cost the slot all that it has read, so
    it joins the message before it, or is left out: SmolLM2 would take it for what was said. Behind
    an answer of the model's own there is no place: that is what it goes on with.
    """
    system = messages[0].content if messages and messages[0].role == "system" else ""
    turns: list[ChatMessage] = []
    for message in messages[1:] if system else messages:
        if message.role != "system":
            turns.append(message)
        elif with_notes and turns and turns[-1].role == "user":
            last = turns[-1]
            turns[-1] = ChatMessage(last.role, f"{last.content}\n\n({message.content})")
    return system, turns


def _without_script(system: str) -> str:
    """It takes seconds to read, and is beyond it."""
    parts = system.split("\n\n")
    return "\n\n".join(part for part in parts if not part.startswith(OUTLINE_BEGINS))


def _sales(system: str, turns: list[ChatMessage], settings: LlmSettings) -> Plan:
    turns, begun = _begun(turns)
    heard = next((turn.content for turn in reversed(turns) if turn.role == "user"), "Hello?")
    example = nearest(heard, [turn.content for turn in turns if turn.role == "assistant"])
    opening = opening_of(example)
    if begun:  # as it did, perhaps behind something that we said while it was waited for
        _, found, after = begun.partition(opening)
        example = example if found else _NO_EXAMPLE
        begun = found + after or begun
    before = turns[:-1] if turns and turns[-1].role == "user" else turns
    prompt = SYSTEM + facts_in(system)
    messages = [_message("system", prompt)]
    messages += [_message(turn.role, turn.content[-240:]) for turn in before[-_HISTORY:]]
    if example is not _NO_EXAMPLE:
        messages += [_message("user", example.said), _message("assistant", example.answer)]
    messages += [_message("user", heard[-600:]), _message("assistant", begun or opening)]
    sampling = Sampling(
        temperature=settings.temperature * _COOLER,
        top_p=min(settings.top_p, 0.9),
        min_p=0.1,
        max_tokens=min(settings.max_tokens, _ANSWER_TOKENS),
    )
    known = " ".join([prompt, *(turn.content for turn in turns), example.answer])
    guard = Guard(
        sentences=SENTENCES,
        heard=heard,
        known=known,
        opening=begun or opening,
        model=example.answer,
        closing=example.closing,
    )
    return Plan(messages, sampling, guard, "" if begun else opening)


def opening_of(example: Example) -> str:
    """The first words of the example's answer: enough to lead the model on to its point."""
    words = example.answer.split()
    return " ".join(words[: max(4, round(_LEAD * len(words)))])


def facts_in(system: str) -> str:
    """The prospect's data in the built-in prompt, as sentences with a space before each."""
    facts = ((label, json.loads(value)) for label, value in _FACT.findall(system))
    return "".join(f" {_FACTS[label].format(value)}" for label, value in facts)


def first_prompt(settings: LlmSettings, *, small: bool) -> list[Message]:
    """The beginning that all answers share, to be read before the first call."""
    # Behind the first variable each call's prompt is another.
    if shared := settings.system_prompt.strip().partition("{{")[0].removesuffix("\\"):
        return [_message("system", shared)]
    return [_message("system", SYSTEM if small else _BUILT_IN)]


def fit(turns: list[ChatMessage], budget_tokens: int) -> list[ChatMessage]:
    """The latest turns that fit, the last one always (its end, if need be)."""
    for start in range(0, len(turns), _DROP):
        if sum(estimate_tokens(turn.content) for turn in turns[start:]) <= budget_tokens:
            return turns[start:]
    if not turns:
        return []
    last = turns[-1]
    keep = max(200, (budget_tokens - 8) * 2)
    return [ChatMessage(last.role, last.content[-keep:])]


def estimate_tokens(text: str) -> int:
    """Not fewer than a message takes: English has four bytes to a token, other scripts fewer."""
    return len(text.encode()) // (3 if text.isascii() else 1) + 8


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
