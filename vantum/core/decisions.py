"""What the conversation's table works on: events in, commands out, and the state between.

The table itself is `vantum.core.conversation`.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from vantum.core.bargein import BargeIn
from vantum.core.endpointing import CheckAnswered, Endpointing
from vantum.core.events import (
    EndCall,
    EndInput,
    Goodbye,
    Heartbeat,
    InputDigits,
    InputOptions,
    Interrupt,
    Prospect,
    Request,
    ServerMessage,
    StartInput,
    StateName,
)
from vantum.core.floor import Floor
from vantum.core.messages import (
    EchoHeard,
    SpeechStarted,
    SttBehind,
    SttFlushed,
    Transcript,
    UtteranceEnded,
    VoiceEdge,
)
from vantum.core.noises import Noise
from vantum.core.roles import RoleLost as RoleLost
from vantum.core.roles import RoleReady as RoleReady
from vantum.errors import Role

# ---------------------------------------------------------------- events of our own


@frozen
class InputEnding:
    """`audio.input.end` came; a flush with this id travels behind the audio.

    `at_s`: when it came, if that is known better than by when this is heard of.
    """

    message: EndInput
    flush_id: int
    at_s: float | None = None


@frozen
class FirstAudio:
    """The first audio of a turn's answer is on its way to the client."""

    turn: int


@frozen
class AnswerFailed:
    """The model failed in the middle of a turn's answer, which goes on with what there is."""

    turn: int
    lost: RoleLost


@frozen
class ResponseDone:
    """A turn's answer is over: heard to its end, failed, or cancelled.

    `failed`: the roles that failed on the way, with what may be said of it. `hangs_up`: the agent
    said goodbye with it.
    """

    turn: int
    failed: tuple[RoleLost, ...] = ()
    hangs_up: bool = False


@frozen
class CloseRequested:
    """The session is to end politely: a response in progress may finish first.

    `maintenance`: the server is going down; otherwise the session's time is up.
    """

    code: int
    reason: str
    maintenance: bool = False

    @property
    def cuts_as(self) -> str:
        """The reason by which an answer is cancelled that does not end within the grace."""
        return "shutdown" if self.maintenance else "session_ended"


@frozen
class Announce:
    """Somebody outside the conversation has it say this now, instead of what is being said.

    `then_hang_up`: they are the call's last words, which nothing that is said meanwhile interrupts;
    it ends when they have been heard, with `code`. `reason`: why it ends, for the record.
    `answers`: it is the answer to what the caller is saying, as far as he has said it.
    """

    text: str
    then_hang_up: bool = False
    reason: str = "the agent ended the call"
    answers: bool = False
    code: int = 1000


@frozen
class TurnEnding:
    """The recogniser was asked for its last words, as `FlushRecogniser` ordered."""

    flush_id: int


@frozen
class Tick:
    """Nothing but time. `hearing`: the client's audio is coming in, be it silence."""

    hearing: bool = False


Event: TypeAlias = (
    StartInput
    | InputEnding
    | Interrupt
    | EndCall
    | Goodbye
    | Heartbeat
    | InputDigits
    | Transcript
    | SpeechStarted
    | VoiceEdge
    | EchoHeard
    | CheckAnswered
    | Floor
    | TurnEnding
    | UtteranceEnded
    | SttFlushed
    | SttBehind
    | RoleReady
    | RoleLost
    | FirstAudio
    | AnswerFailed
    | ResponseDone
    | Announce
    | CloseRequested
    | Tick
)

# ---------------------------------------------------------------- commands


@frozen
class Send:
    """Send this to the client."""

    message: ServerMessage


@frozen
class SendTranscript:
    """Send a transcript that belongs to `request` (the conductor adds the wall time)."""

    request: Request
    transcript: Transcript


@frozen
class MoveState:
    """The state moved; the client is told."""

    old: StateName
    new: StateName


@frozen
class OpenRecogniser:
    """Open (or reopen, for another language) the recogniser."""

    language: str


@frozen
class OpenSynthesiser:
    """Open the synthesiser."""


@frozen
class FlushRecogniser:
    """Ask the recogniser for its last words; the conductor reports `TurnEnding` at once.

    `reason` and `waited_s` are the policy's, for the log.
    """

    reason: str
    waited_s: float


@frozen
class AskDetector:
    """Ask the detector whether the turn is complete; it answers with `CheckAnswered`, or never."""

    pause: int
    text: str


@frozen
class StartResponse:
    """The user's words go into the history and an answer to them begins."""

    turn: Turn


@frozen
class CancelResponse:
    """Stop the answer at once; the conductor reports `ResponseDone` when it has.

    `joins`: the caller goes on with the turn that it answers: unless some of it was heard, it was
    none.
    """

    turn: int
    reason: str
    interrupted: bool
    joins: bool = False


@frozen
class EndSession:
    """Close the socket with this code after all that was sent before."""

    code: int
    reason: str


Command: TypeAlias = (
    Send
    | SendTranscript
    | MoveState
    | OpenRecogniser
    | OpenSynthesiser
    | FlushRecogniser
    | AskDetector
    | StartResponse
    | CancelResponse
    | EndSession
)

# ---------------------------------------------------------------- state


@frozen
class Turn:
    """One finished turn of the user: what was said, and the request that ended or began it.

    `say`: not the model's answer to it but ours; unasked, if there is no `text`. `resumes`:
    neither's: the answer that was cut last goes on. `joins`: the text goes on with that of the turn
    before, whose answer was dropped; it may be empty. `ends`: what is said are the last words,
    behind which the call ends. `firm`: nothing that the caller says interrupts it. `leaves`: it is
    a goodbye, behind which the call ends if the caller has nothing to say to it.
    """

    number: int
    text: str
    request: Request
    say: str = ""
    resumes: bool = False
    joins: bool = False
    ends: CloseRequested | None = None
    firm: bool = False
    leaves: bool = False


@frozen
class Flush:
    """A turn that ends when the recogniser has answered, or at `deadline_s`.

    `request` ended it, `start` began it: its transcripts carry that one. `judged`: nobody said that
    it is over but our own policy, which may think better of it. `put_off`: its deadline was put
    off, and will not be again. `answered`: incompletely and without a word; one may still come.
    """

    flush_id: int
    request: Request
    deadline_s: float | None
    start: Request = Request()
    judged: bool = False
    put_off: bool = False
    answered: bool = False


@frozen
class Limits:
    """The settings that the machine needs."""

    max_queue_size: int = 10
    flush_timeout_s: float = 2.0
    max_duration_s: float = 7200.0
    grace_s: float = 10.0


@frozen
class Silence:
    """What is said in a long silence of both sides: the texts one after the other, then goodbye.

    `after_s`: how long; 0: never.
    """

    after_s: float = 0.0
    texts: tuple[str, ...] = ()
    goodbye: str = ""


@frozen
class Conversation:
    """All that the machine remembers.

    `words`: final transcripts of the turn being spoken. `interim`: the best guess of what follows;
    behind it, if `pressed_behind`, keys were pressed that are the last of the words.
    `flushes`: ended turns that wait for the recogniser. `overdue`: flushes that were given up; of
    what the recogniser says before answering them so many words as `foretold` say again what has
    been answered as interim text.
    `told_of`: the turn of whose model's failure the client knows.
    `language`: what the recogniser that was ordered last is for. `deaf_at_s`: there is none and
    will be none unless the client asks for it; when that is said, if `cannot_hear` is anything.
    `endpointing`: what is known of the turn being spoken, in `auto`. `quiet_since_s`: since when
    neither side speaks; `prompted`: how often the user was asked since he last said something, the
    goodbye counted.
    `bargein`: what is known of sounds of the user's while the agent has the floor, and `floor` what
    it was saying when he was heard last; `audible_s`: when its first audio left. `joins`: what he
    says goes on with the turn whose answer was dropped. `follows_cut`: the turn behind an answer
    that the user has cut himself. `noise`: words that were dropped before they were final.
    `greeting_is_firm`: it is said to its end, whatever he says. `prospect`: he, in our records.
    `grace_at_s`: when an answer that a polite end waits for is cut off.
    `leaving`: the agent has said goodbye, and it is not known yet whether what was heard meanwhile
    wants an answer.
    """

    limits: Limits
    started_s: float
    providers: dict[str, str]
    state: StateName = "INITIALIZING"
    options: InputOptions | None = None
    start_request: Request = Request()
    starts: tuple[StartInput, ...] = ()
    language: str | None = None
    ready: frozenset[Role] = frozenset()
    words: tuple[str, ...] = ()
    interim: str = ""
    pressed_behind: bool = False
    flushes: tuple[Flush, ...] = ()
    overdue: frozenset[int] = frozenset()
    foretold: int = 0
    queue: tuple[Turn, ...] = ()
    turn: Turn | None = None
    next_turn: int = 0
    told_of: int | None = None
    closing: CloseRequested | None = None
    grace_at_s: float | None = None
    leaving: bool = False
    endpointing: Endpointing = Endpointing()
    bargein: BargeIn = BargeIn()
    floor: Floor = Floor()
    audible_s: float = 0.0
    joins: bool = False
    follows_cut: int | None = None
    noise: Noise | None = None
    silence: Silence = Silence()
    deaf_at_s: float | None = None
    cannot_hear: str = ""
    greeting: str = ""
    greeting_is_firm: bool = False
    prospect: Prospect = Prospect()
    quiet_since_s: float = 0.0
    prompted: int = 0


Step: TypeAlias = tuple[Conversation, list[Command]]
