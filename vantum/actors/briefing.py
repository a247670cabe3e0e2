"""What the model is told besides what was said: its prompt, who is on the line, the script.

A call keeps its variant of the prompt and its place in the script here.
"""

from __future__ import annotations

from typing import Annotated, Any

from attrs import define, field

from vantum.actors.call import Call
from vantum.actors.response import Response
from vantum.core.events import Prospect, StageChanged
from vantum.core.prompts import build_system_prompt, known_of
from vantum.core.scripts import MOVE_TOOL, ScriptState
from vantum.core.tools import Tool, ToolError, make_tool, parse_arguments
from vantum.core.variants import PromptVariant, choose_variant


@define
class Briefing:
    """Of one call.

    `variant` None: there are none to choose from. `place` None: there is no script. `by_tool`: the
    model has tools, `move_to_stage` among them; else it moves on by a marker in its answers.
    """

    call: Call
    variant: PromptVariant | None
    place: ScriptState | None
    by_tool: bool = False
    # Which answer is followed, and how many of its calls and of its markers were.
    _utterance_id: str = field(default="", init=False)
    _calls: int = field(default=0, init=False)
    _marks: int = field(default=0, init=False)
    _prompt: tuple[Prospect, str] | None = field(default=None, init=False)

    @classmethod
    def of(cls, call: Call) -> Briefing:
        """At the start of a call."""
        prompts = call.settings.prompts
        variant = choose_variant(prompts.variants, call.session_id)
        if variant is not None:
            call.log.info("prompt variant", variant=variant.name)
        script, how = prompts.script, prompts.script_moves
        by_tool = how == "tool" or (how == "auto" and call.provider_names["llm"] == "openai")
        place = None if script is None else script.begin()
        return cls(call, variant, place if call.past is None else call.past.place, by_tool)

    @property
    def stage(self) -> str | None:
        """Where the call stands in its script."""
        return None if self.place is None else self.place.stage

    def prompt(self, told: Prospect) -> str:
        """The system prompt. `told`: what the client says of the person; where the server's own
        records say something (`Call.prospect`), that counts."""
        if self._prompt is None or self._prompt[0] != told:
            self._prompt = told, self._new_prompt(told)
        return self._prompt[1]

    def prospect(self, told: Prospect) -> Prospect:
        """All that is known of the person; `told`: see `prompt`."""
        return known_of(told, self.call.prospect)

    def _new_prompt(self, told: Prospect) -> str:
        settings = self.call.settings
        own = self.variant.system_prompt if self.variant is not None else ""
        place = self.place
        return build_system_prompt(
            own or settings.llm.system_prompt,
            self.prospect(told),
            settings.streaming.break_marker,
            script="" if place is None else place.script.outline(by_tool=self.by_tool),
        )

    @property
    def note(self) -> str:
        """What stands behind the latest message: where the call is in its script."""
        return "" if self.place is None else self.place.note(by_tool=self.by_tool)

    @property
    def tool(self) -> Tool | None:
        """The tool with which the model moves on; None: it has none."""
        if self.place is None or not self.by_tool:
            return None

        async def move_to_stage(
            stage: Annotated[str, "The stage's name, as the script has it."],
        ) -> str:
            """Say that the conversation has come to another stage of the script. Do not speak of
            it; go on with the conversation in the same answer."""
            assert self.place is not None
            move = self.place.move(stage)
            if not move.changed and stage.strip().lower() != self.place.stage:
                raise ToolError(move.told)
            return move.told

        return make_tool(move_to_stage, effect="pure", name=MOVE_TOOL, filler="", needs_reply=False)

    def begins(self) -> StageChanged | None:
        """What clients are told when the call begins."""
        stage = self.stage
        return None if stage is None else StageChanged(None, stage, self.call.wall_ms())

    def follow(self, response: Response) -> list[StageChanged]:
        """Carry out the moves of an answer, as far as they are new: what clients are told of them.

        Only of an answer that is audible: one that was discarded before has moved nothing.
        """
        if self.place is None or not response.playing.started:
            return []
        if response.answer.utterance_id != self._utterance_id:
            self._utterance_id, self._calls, self._marks = response.answer.utterance_id, 0, 0
        called, marked = _called(response)[self._calls :], response.said.stages[self._marks :]
        self._calls += len(called)
        self._marks += len(marked)
        told = []
        for name in (*called, *marked):
            old, move = self.place.stage, self.place.move(name)
            if move.changed:
                self.place = move.state
                told.append(StageChanged(old, self.place.stage, self.call.wall_ms()))
                self.call.log.info("stage", old=old, new=self.place.stage)
            elif name.strip().lower() != old:
                self.call.log.info("no such move in the script", at=old, wanted=name[:40])
        return told


def _called(response: Response) -> list[str]:
    """The stages that an answer went to with the tool, in order."""
    rounds = response.errands.rounds if response.errands is not None else []
    found: list[str] = []
    for this in rounds:
        for call in this.calls:
            outcome = this.results.get(call.id)
            if call.name == MOVE_TOOL and outcome is not None and outcome.ok:
                arguments: dict[str, Any] = parse_arguments(call.arguments_json) or {}
                found.append(str(arguments["stage"]))
    return found
