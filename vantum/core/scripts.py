"""A call's script: stages that the agent follows loosely, and where the call stands.

A script is a TOML file:

    name = "cold outreach"            # optional
    start = "intro"                   # optional: the first stage of the file

    [stages.intro]
    goals = ["find out whether it is a good moment"]
    guidance = "Say who you are in one sentence."
    next = ["qualify", "goodbye"]     # optional: any stage may follow; []: none, it is the last

The whole outline stands in the system prompt, which stays the same for the call. Where the call
stands is a short note behind the latest message, so that a move changes nothing before it and the
model's cache of the prefix holds.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from vantum.errors import ConfigError

#: The tool with which a model that has tools moves the call on.
MOVE_TOOL: Final = "move_to_stage"
MAX_STAGES: Final = 40
MAX_GOALS: Final = 20
MAX_GUIDANCE_CHARS: Final = 4_000
MAX_GOAL_CHARS: Final = 500
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_NAME_RULE: Final = "a small letter, then small letters, digits, - and _, at most 40"

#: How the outline begins; it is one paragraph, so that it can be found in a prompt.
OUTLINE_BEGINS: Final = "The script of this call."
_OUTLINE: Final = f"""\
{OUTLINE_BEGINS} Follow it loosely: what the person says comes first, and a stage may be \
over in one sentence. Never name the stages or the script.
{{stages}}
{{moving}}\
"""
_BY_TOOL: Final = (
    f"When the talk has come to another stage, call {MOVE_TOOL} with its name, at the most once in "
    "an answer, and go on speaking."
)
_BY_MARKER: Final = (
    "When the talk has come to another stage, begin your answer with [[stage:NAME]], such as "
    "[[stage:{example}]]. It is not read aloud. Write it only then."
)


@frozen
class Stage:
    """One stage: what it is for, how to go about it, and what may follow.

    `next` None: any other stage may follow.
    """

    name: str
    goals: tuple[str, ...] = ()
    guidance: str = ""
    next: tuple[str, ...] | None = None


@frozen
class Script:
    """Stages in the order of their file; the call begins with `start`.

    `parse_script` makes checked ones; whoever builds one by hand has `check` for that.
    """

    stages: tuple[Stage, ...]
    start: str
    name: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The stages' names."""
        return tuple(stage.name for stage in self.stages)

    def stage(self, name: str) -> Stage:
        """The stage of that name. KeyError if there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def after(self, name: str) -> tuple[str, ...]:
        """What may follow a stage."""
        allowed = self.stage(name).next
        return allowed if allowed is not None else tuple(n for n in self.names if n != name)

    def begin(self) -> ScriptState:
        """Where a call begins."""
        return ScriptState(self, self.start)

    def outline(self, *, by_tool: bool = False) -> str:
        """The script for the system prompt. `by_tool`: the model moves on by `move_to_stage`."""
        stages = "\n".join(_described(stage, self.after(stage.name)) for stage in self.stages)
        example = (*self.after(self.start), self.start)[0]
        moving = _BY_TOOL if by_tool else _BY_MARKER.format(example=example)
        return _OUTLINE.format(stages=stages, moving=moving)


@frozen
class Move:
    """What came of a wish to move: where the call stands then, and what to tell the model."""

    state: ScriptState
    told: str
    changed: bool = False


@frozen
class ScriptState:
    """Where a call stands in its script."""

    script: Script
    stage: str

    def move(self, wanted: str) -> Move:
        """Go on to the stage of that name, if it may follow; to the same one: nothing changes."""
        name = wanted.strip().lower()
        allowed = self.script.after(self.stage)
        if name == self.stage:
            return Move(self, f"The call is at {name} already.")
        if name not in allowed:
            may = f"it may go to: {', '.join(allowed)}" if allowed else "it is the last stage"
            return Move(self, f"Not moved. The call is at {self.stage}; {may}.")
        state = evolve(self, stage=name)
        return Move(state, f"The call is now at {name}. {_aims(self.script.stage(name))}", True)

    def note(self, *, by_tool: bool = False) -> str:
        """Where the call stands, for the end of the model's context."""
        stage, allowed = self.script.stage(self.stage), self.script.after(self.stage)
        how = f"call {MOVE_TOOL}" if by_tool else "begin with [[stage:NAME]]"
        may = f"It may go on to: {', '.join(allowed)} ({how})." if allowed else ""
        return " ".join(filter(None, (f"The call is at {stage.name}.", _aims(stage), may)))


def _aims(stage: Stage) -> str:
    return f"Goals: {'; '.join(stage.goals)}." if stage.goals else ""


def _described(stage: Stage, after: tuple[str, ...]) -> str:
    lines = [f"- {stage.name}"]
    lines += [f"  goal: {goal}" for goal in stage.goals]
    lines += [f"  {line}" for line in stage.guidance.splitlines() if line.strip()]
    lines.append(f"  then: {', '.join(after) or 'nothing, the call is over'}")
    return "\n".join(lines)


# ---------------------------------------------------------------- files


def parse_script(text: str, where: str) -> Script:
    """The script of a file's text.

    Args:
        text: TOML.
        where: the file, for error lines.

    Raises:
        ConfigError: one line that names the file, the stage and what is allowed.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: is not TOML: {error}") from None
    _known(where, "the script", content, ("name", "start", "stages"))
    tables = content.get("stages")
    if not isinstance(tables, dict) or not tables:
        raise ConfigError(f"{where}: a script needs stages, such as [stages.intro]")
    stages = tuple(_stage(where, name, values) for name, values in tables.items())
    start = content.get("start", stages[0].name)
    name = content.get("name", "")
    for key, value in (("start", start), ("name", name)):
        if not isinstance(value, str):
            raise ConfigError(f"{where}: {key} must be text")
    return check(Script(stages, start, _one_line(name)), where)


def check(script: Script, where: str) -> Script:
    """The same script, if its stages have names and fit together.

    Raises:
        ConfigError: one line that names the script (`where`), the stage and what is allowed.
    """
    names = script.names
    if not 0 < len(names) <= MAX_STAGES:
        raise ConfigError(f"{where}: a script has 1 to {MAX_STAGES} stages, this one {len(names)}")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{where}: stage {_one_line(name)!r}: its name must be {_NAME_RULE}")
        if names.count(name) > 1:
            raise ConfigError(f"{where}: stage {name} is there twice")
    there_are = f"there are: {', '.join(names)}"
    if script.start not in names:
        raise ConfigError(f"{where}: start={_one_line(script.start)!r} is no stage; {there_are}")
    for stage in script.stages:
        for follower in stage.next or ():
            if follower not in names:
                wrong = f"next has {_one_line(follower)!r}, which is no stage"
                raise ConfigError(f"{where}: stage {stage.name}: {wrong}; {there_are}")
            if follower == stage.name:
                raise ConfigError(f"{where}: stage {stage.name}: next must not have itself")
    if lost := [name for name in names if name not in _reachable(script)]:
        raise ConfigError(
            f"{where}: stage {lost[0]} cannot be reached from {script.start}: no next leads there"
        )
    return script


def _reachable(script: Script) -> set[str]:
    found: set[str] = set()
    waiting = [script.start]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += script.after(name)
    return found


def _stage(where: str, name: str, values: object) -> Stage:
    at = f"{where}: stage {_one_line(name)}"
    if not isinstance(values, dict):
        raise ConfigError(f"{at} must be a table, [stages.{_one_line(name)}]")
    _known(where, f"stage {_one_line(name)}", values, ("goals", "guidance", "next"))
    goals = values.get("goals", [])
    guidance = values.get("guidance", "")
    if not isinstance(guidance, str) or len(guidance) > MAX_GUIDANCE_CHARS:
        most = f"text of at most {MAX_GUIDANCE_CHARS} characters"
        raise ConfigError(f"{at}: guidance must be {most}")
    texts = _texts(at, "goals", [goals] if isinstance(goals, str) else goals)
    if len(texts) > MAX_GOALS or any(len(goal) > MAX_GOAL_CHARS for goal in texts):
        most = f"at most {MAX_GOALS} texts of at most {MAX_GOAL_CHARS} characters"
        raise ConfigError(f"{at}: goals must be {most}")
    followers = _texts(at, "next", values["next"]) if "next" in values else None
    return Stage(name, tuple(map(_one_line, texts)), guidance.strip(), followers)


def _texts(at: str, key: str, values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
        raise ConfigError(f'{at}: {key} must be a list of texts, such as ["close", "goodbye"]')
    return tuple(values)


def _known(where: str, what: str, values: Mapping[str, Any], allowed: Iterable[str]) -> None:
    for key in values:
        if key not in allowed:
            there_is = f"there is: {', '.join(allowed)}"
            raise ConfigError(f"{where}: {what} has no {_one_line(key)!r}; {there_is}")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_GOAL_CHARS]
