"""The latency ledger: where the time went between the caller's last word and our first.

While a turn is under way its actors leave *marks*: the moments at which something was reached, in
seconds on any steady clock. From the marks come the *parts*: the time from each mark that is there
to the next one, with an owner. They are whole microseconds taken from rounded marks, so that the
parts of a turn always add up to its gap, exactly.

`PATH` is the way: each row is a point, the part that ends there and who spent that time. Marks may
be missing: a greeting has no end of speech, an answer that was cut off no first sound. What was
reached before its turn on the way (a model that was asked ahead of time) costs nothing from there.
What the model waited for tools on its way to the first piece is not the model's: it is taken out of
the model's parts and is a part of its own.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import define, field, frozen

Point: TypeAlias = Literal[
    "silent",
    "decided",
    "flushed",
    "transcript",
    "freed",
    "request",
    "token",
    "words",
    "piece",
    "handover",
    "audio",
    "chunk",
    "floor",
    "wire",
    "heard",
]
PartName: TypeAlias = Literal[
    "endpointing",
    "flush",
    "transcript",
    "queue",
    "request",
    "token",
    "words",
    "tools",
    "piece",
    "handover",
    "audio",
    "chunk",
    "floor",
    "wire",
    "playback",
]
#: Who spent the time. "framework" is this process: all that is neither a provider's, nor a wait
#: that the settings ask for ("endpointing"), nor a turn behind another ("queue"), nor the client's.
Owner: TypeAlias = Literal[
    "endpointing", "framework", "stt", "queue", "llm", "tools", "tts", "client"
]
#: What became of the turn: the model's answer was spoken, or a set text in its place; a text of our
#: own (greeting, question into silence); a filler was spoken first, and what became of the answer
#: behind it is not told here; or there was no sound, because it was cut off or failed.
Outcome: TypeAlias = Literal["answered", "fallback", "own", "filler", "cancelled", "failed"]
#: How it is known when the first sound was heard: the client has said so; or nobody has, and by the
#: clock of the heard ledger it was when its chunk left, which is an estimate and too early by the
#: way to the client and its buffer.
HeardBy: TypeAlias = Literal["report", "clock"]


@frozen
class Step:
    """A point of the way, the part that ends there, whose it is, and what it means."""

    point: Point
    part: PartName
    owner: Owner
    doc: str


#: The first mark of a turn: where the caller's voice fell silent, or `audio.input.end` came.
FIRST: Final[Point] = "silent"
PATH: Final[tuple[Step, ...]] = (
    Step("decided", "endpointing", "endpointing", "Silence until the turn was judged over."),
    Step("flushed", "flush", "framework", "Until the recogniser was asked for its last words."),
    Step("transcript", "transcript", "stt", "Until it had said them."),
    Step("freed", "queue", "queue", "Until the answer before it was over."),
    Step("request", "request", "framework", "Until the model was asked."),
    Step("token", "token", "llm", "Until its first token."),
    Step("words", "words", "llm", "Until it had written the first piece."),
    Step("piece", "piece", "framework", "Until that piece was cut."),
    Step("handover", "handover", "framework", "Until the synthesiser had taken it."),
    Step("audio", "audio", "tts", "Until its first audio."),
    Step("chunk", "chunk", "tts", "Until there was enough of it for a chunk."),
    Step("floor", "floor", "endpointing", "Until the caller, who spoke again, had fallen silent."),
    Step("wire", "wire", "framework", "Until the chunk was with the client's socket."),
    Step("heard", "playback", "client", "Until it was heard, if the client reports playback."),
)
#: Not a point of the way: it lies within the model's parts, up to this one.
TOOLS: Final = Step("words", "tools", "tools", "Of this, what the model waited for tools.")
#: All parts that there may be, in their order.
PARTS: Final[tuple[Step, ...]] = tuple(
    part for step in PATH for part in ((step, TOOLS) if step.point == TOOLS.point else (step,))
)
OWNERS: Final[dict[PartName, Owner]] = {step.part: step.owner for step in PARTS}
_OPTIONAL: Final[tuple[Point, ...]] = ("flushed", "freed", "floor")


@define
class Marks:
    """The marks of one turn, as its actors leave them. Of a point's marks the first one stands.

    `tokens` and `audios`: when each token came until the first piece was cut, and each stretch of
    audio until the first chunk was full; what is behind is found by counting. `rounds`: from when
    to when the model waited for tools, until the first piece was cut; `paused_s`: since when it
    does, or has nothing more to say. `held`: the first sound was ready before the caller was
    silent.
    """

    at_s: dict[Point, float] = field(factory=dict)
    tokens: list[float] = field(factory=list)
    audios: list[float] = field(factory=list)
    rounds: list[tuple[float, float]] = field(factory=list)
    paused_s: float | None = None
    held: bool = False

    def mark(self, point: Point, now_s: float) -> None:
        """It was reached."""
        self.at_s.setdefault(point, now_s)

    def asked(self, now_s: float) -> None:
        """The model was asked: first, or again with what its tools have answered."""
        self.mark("request", now_s)
        if self.paused_s is not None:
            self.rounds.append((self.paused_s, now_s))
            self.paused_s = None

    def paused(self, now_s: float) -> None:
        """The model has asked for tools and waits for them."""
        if "piece" not in self.at_s:
            self.paused_s = now_s

    def tools_us(self, began_us: int, ended_us: int) -> int:
        """How much of this time the model waited for tools."""
        rounds = [(_us(begin_s), _us(end_s)) for begin_s, end_s in self.rounds]
        if self.paused_s is not None:
            rounds.append((_us(self.paused_s), ended_us))
        return sum(max(0, min(end, ended_us) - max(begin, began_us)) for begin, end in rounds)

    def token(self, now_s: float) -> None:
        """The model gave text."""
        if "piece" not in self.at_s:
            self.mark("token", now_s)
            self.tokens.append(now_s)

    def piece(self, tokens: int, now_s: float) -> None:
        """A piece was cut, and it took so many tokens; 0: it came without any."""
        if "piece" not in self.at_s:
            self.mark("words", _nth(self.tokens, tokens, now_s))
            self.mark("piece", now_s)

    def audio(self, now_s: float) -> None:
        """The synthesiser gave audio."""
        if "chunk" not in self.at_s:
            self.mark("audio", now_s)
            self.audios.append(now_s)

    def chunk(self, audios: int, now_s: float) -> None:
        """A chunk is full, and it took so many stretches of audio."""
        if "chunk" not in self.at_s:
            self.mark("chunk", _nth(self.audios, audios, now_s))


def _nth(times: list[float], count: int, now_s: float) -> float:
    return times[count - 1] if 0 < count <= len(times) else now_s


@frozen
class Part:
    """A part of the gap."""

    name: PartName
    owner: Owner
    duration_us: int


@frozen
class TurnLatency:
    """Where a turn's time went.

    Attributes:
        turn: the turn's number within the call, from 0.
        utterance_id: the answer's.
        parts: in the order of the way.
        ahead_us: how long before its turn on the way the model was asked; 0: in its turn.
        heard_by: how the end of the gap is known; None: there was no sound. By the clock there is
            no time between the wire and the ear, and no part for it.
    """

    turn: int
    utterance_id: str
    outcome: Outcome
    parts: tuple[Part, ...] = ()
    ahead_us: int = 0
    heard_by: HeardBy | None = None

    @property
    def gap_us(self) -> int:
        """From the caller's last word to our first, as far as it is known: the sum of the parts."""
        return sum(part.duration_us for part in self.parts)

    @property
    def framework_us(self) -> int:
        """Our own share of it."""
        return self.owned_us("framework")

    def owned_us(self, owner: Owner) -> int:
        """The share of an owner."""
        return sum(part.duration_us for part in self.parts if part.owner == owner)

    @property
    def parts_ms(self) -> dict[str, float]:
        """The parts by name, in milliseconds."""
        return {part.name: part.duration_us / 1000 for part in self.parts}


def measured(
    marks: Marks, turn: int, utterance_id: str, outcome: Outcome, ended_s: float | None = None
) -> TurnLatency:
    """The ledger of a turn.

    Args:
        ended_s: when it ended without a sound; what it was waiting for then gets the rest.
    """
    points: tuple[Point, ...] = (FIRST, *(step.point for step in PATH))
    reached = [point for point in points if point in marks.at_s]
    if not reached:
        return TurnLatency(turn, utterance_id, outcome)
    spent_us: dict[PartName, int] = {}

    def spend(step: Step, then_us: int) -> None:
        tools_us = marks.tools_us(at_us, then_us) if step.owner == "llm" else 0
        spent_us[step.part] = max(0, then_us - at_us) - tools_us
        if tools_us:
            spent_us["tools"] = spent_us.get("tools", 0) + tools_us

    at_us = _us(marks.at_s[reached[0]])
    ahead_us = 0
    for step in PATH:
        if step.point in reached[1:]:
            then_us = _us(marks.at_s[step.point])
            if step.point == "request":
                ahead_us = max(0, at_us - then_us)
            spend(step, then_us)
            at_us = max(at_us, then_us)
    if ended_s is not None:
        rest = points[points.index(reached[-1]) + 1 :]
        passed_by = [point for point in _OPTIONAL if not (point == "floor" and marks.held)]
        awaited = [step for step in PATH if step.point in rest and step.point not in passed_by]
        for step in awaited[:1]:
            spend(step, _us(ended_s))
    parts = (Part(s.part, s.owner, spent_us[s.part]) for s in PARTS if s.part in spent_us)
    return TurnLatency(turn, utterance_id, outcome, tuple(parts), ahead_us, _heard_by(marks))


def _heard_by(marks: Marks) -> HeardBy | None:
    if "heard" in marks.at_s:
        return "report"
    return "clock" if "wire" in marks.at_s else None


def _us(at_s: float) -> int:
    return round(at_s * 1_000_000)
