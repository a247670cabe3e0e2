"""A whole call in memory: our real session and clients, simulated providers, a caller, a network.

Under a clock that jumps (`simulate`, or `autojump_clock` of pytest-trio) it takes no time.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import trio
from attrs import define, field, frozen

from vantum.actors.conductor import Conductor
from vantum.config import Settings
from vantum.core import events as e
from vantum.core.history import Entry
from vantum.core.tools import Tool
from vantum.ports import TurnDetector
from vantum.providers.registry import Providers
from vantum.server import Server
from vantum.session import run_session
from vantum.testing.calls.caller import Caller
from vantum.testing.calls.direct import DirectModel, DirectRecogniser, DirectVoice
from vantum.testing.calls.earpiece import Earpiece, Utterance
from vantum.testing.calls.ears import Detector, Ears, LoudnessEar
from vantum.testing.calls.line import Line, MemorySocket, Network
from vantum.testing.calls.log import CallLog
from vantum.testing.calls.loudspeaker import Loudspeaker, Speakerphone
from vantum.testing.calls.microphone import Microphone
from vantum.testing.calls.phone import Phone
from vantum.testing.calls.said import Said, SaidSource
from vantum.testing.calls.wires import Wires, wired_providers
from vantum.testing.cartesia import CartesiaScript, SimulatedCartesia
from vantum.testing.deepgram import DeepgramScript, SimulatedDeepgram
from vantum.testing.deepgram_faults import Fault
from vantum.testing.openai import OpenAIScript, SimulatedOpenAI
from vantum.testing.openai_script import Reply
from vantum.testing.openai_wire import Messages
from vantum.tools import check_tools
from vantum.wire.native import Vocabulary

#: 2026-01-01T00:00:00Z: when every simulated call begins, unless it is told otherwise.
MORNING_MS = 1_767_225_600_000
#: No longer than audio is sent ahead: what a caller holds when he cuts in stays the same.
_COARSE_CHUNK_MS = 200


@frozen
class CallSetup:
    """Everything about a simulated call but what the caller does.

    Args:
        settings: the server's.
        vocabulary: the client's.
        options: fields of `InputOptions` for `audio.input.start`.
        deepgram: how the recogniser behaves. Without sentences of its own (`sentences=()`) it
            hears what the caller says.
        deepgram_faults: what goes wrong with it.
        openai: what the model answers, how fast, and what goes wrong.
        cartesia: how fast the synthesiser is, and what goes wrong.
        tools: what the model may call, besides the built-in ones.
        network: between caller and server.
        ear: makes the server's voice activity; None: it has none.
        detector: the server's turn detector; None: it has none.
        seed: of everything that is random.
        step_ms, idle_ms: steps of the caller's audio, see `vantum.testing.calls.microphone`.
        reports_ms: how often the client says how far playback has come (`audio.output.played`); 0:
            never, and then the server knows what a stall has held back only from its own end.
        direct: without the providers' wire protocols: several times faster, and nothing can go
            wrong with a connection to a provider. See `vantum.testing.calls.direct`.
        wall_ms: the time of day at which the call begins.
        window: messages to the client that fit in the buffers on the way, if it does not read.
        speakerphone: how what the agent says comes back into the caller's microphone; None: it does
            not. The simulated recogniser understands none of it.
    """

    settings: Settings = field(factory=Settings)
    vocabulary: Vocabulary = "unified"
    options: dict[str, Any] = field(factory=dict)
    deepgram: DeepgramScript = DeepgramScript((), latency_ms=80.0, interim_every_s=0.3)
    deepgram_faults: tuple[Fault, ...] = ()
    openai: OpenAIScript = OpenAIScript(first_token_s=0.35, tokens_per_s=60.0)
    cartesia: CartesiaScript = CartesiaScript(first_audio_s=0.12, rate=5.0)
    tools: tuple[Tool, ...] = ()
    network: Network = Network()
    ear: Any = LoudnessEar
    detector: TurnDetector | None = None
    seed: int = 0
    step_ms: int = 20
    idle_ms: int = 200
    reports_ms: int = 0
    direct: bool = False
    wall_ms: int = MORNING_MS
    window: int = 64
    speakerphone: Speakerphone | None = None


@define(eq=False)
class SimulatedCall:
    """A call that is going on, or is over: the caller and everything there is to look at.

    Attributes:
        caller: what the person on the phone does.
        phone: the client: every message with its time.
        log: to be read like a transcript; complete when the call is over.
        deepgram, openai, cartesia: the simulated peers with what they were asked.
        said: the caller's words.
        socket: the server's end of the line.
        over: the session has ended; `ended_s` is when, `failure` what it failed with.
    """

    setup: CallSetup
    caller: Caller
    phone: Phone
    log: CallLog
    deepgram: SimulatedDeepgram
    openai: SimulatedOpenAI
    cartesia: SimulatedCartesia
    said: Said
    direct_model: DirectModel
    direct_voice: DirectVoice
    socket: MemorySocket
    wires: Wires
    conductor: Conductor | None = None
    over: trio.Event = field(factory=trio.Event)
    ended_s: float | None = None
    failure: BaseException | None = None
    _history: tuple[Entry, ...] | None = None

    @property
    def history(self) -> tuple[Entry, ...]:
        """The server's record of what was said and heard."""
        if self._history is not None or self.conductor is None:
            return self._history or ()
        return self.conductor.history.entries

    @property
    def asked(self) -> list[list[dict[str, Any]]]:
        """The messages of each request to the model, as role and content."""
        if self.setup.direct:
            return [[attrs.asdict(m) for m in r.messages] for r in self.direct_model.requests]
        return [list(chat.body["messages"]) for chat in self.openai.chats]

    @property
    def answers(self) -> list[Utterance]:
        """What came out of the caller's earpiece, answer by answer."""
        for utterance in self.caller.earpiece.utterances:
            self.caller.earpiece.learn_words(utterance)
        return self.caller.earpiece.utterances

    def heard(self) -> list[str]:
        """The words of each answer that the caller has heard so far."""
        now_s = trio.current_time() if self.ended_s is None else self.ended_s
        return [utterance.heard_text(now_s) for utterance in self.answers]


def turn_by_turn(
    *answers: str | Reply | tuple[str | Reply, ...],
) -> Callable[[Messages], str | Reply]:
    """The first one answers the user's first message, and so on; the last one also all behind it.

    For `OpenAIScript(answers=…)`. By the number of requests instead, one that is made on a guess
    and thrown away would use an answer up.

    An answer that asks for tools is asked for again with their results. In a tuple stands what it
    says behind them, one for each time; without more, its last text is said again and no tool is
    asked for.
    """

    def answer(messages: Messages) -> str | Reply:
        roles: list[str] = [message["role"] for message in messages]
        turn = answers[min(max(roles.count("user"), 1), len(answers)) - 1]
        rounds = turn if isinstance(turn, tuple) else (turn,)
        since = itertools.takewhile("user".__ne__, reversed(roles))
        done = sum(role == "tool" for role, _ in itertools.groupby(since))
        if done < len(rounds):
            return rounds[done]
        return rounds[-1].text if isinstance(rounds[-1], Reply) else rounds[-1]

    return answer


def coarse(setup: CallSetup) -> CallSetup:
    """The same call for long runs: times are a tenth of a second less exact, and it is much faster.

    Providers behind our ports instead of on their wires, audio in steps of 100 ms, silence in
    steps of a second, each answer's tokens at once and its audio in pieces of a second, and to the
    caller in chunks of 200 ms.
    """
    playout = setup.settings.playout
    playout = attrs.evolve(playout, chunk_ms=max(playout.chunk_ms, _COARSE_CHUNK_MS))
    return attrs.evolve(
        setup,
        settings=attrs.evolve(setup.settings, playout=playout),
        direct=True,
        step_ms=100,
        idle_ms=1000,
        openai=attrs.evolve(setup.openai, tokens_per_s=0.0),
        cartesia=attrs.evolve(setup.cartesia, rate=0.0, chunk_s=1.0),
    )


@asynccontextmanager
async def simulated_call(setup: CallSetup | None = None) -> AsyncIterator[SimulatedCall]:
    """A call that has been connected and has not begun yet: see `Caller.start`.

    Leaving the block hangs up and waits for the session to end.

    Raises:
        ConfigError: the setup's tools cannot be offered together.
    """
    setup = setup or CallSetup()
    check_tools(setup.tools)
    async with trio.open_nursery() as nursery:
        call = new_call(setup, nursery)
        began_s, ids = call.log.began_s, itertools.count(1)

        def new_id() -> str:
            return f"id-{next(ids)}"

        def wall_ms() -> int:
            return setup.wall_ms + round((trio.current_time() - began_s) * 1000)

        async with providers_of(call) as providers:
            server = Server(
                setup.settings, providers, tools=setup.tools, new_id=new_id, wall_ms=wall_ms
            )
            nursery.start_soon(call.phone.listen)
            nursery.start_soon(call.caller.run)
            call.conductor = await nursery.start(_session, call, server)
            await call.phone.until(e.Welcome)
            if setup.network.reset_at_s is not None:
                nursery.start_soon(_reset, call, began_s + setup.network.reset_at_s)
            try:
                yield call
            except Exception as error:
                call.caller.finish()
                error.add_note(f"The call's log so far:\n{call.log}")
                raise
            if not call.over.is_set():
                call.phone.hang_up()
            await call.over.wait()
            call.caller.finish()
            call._history = call.history
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def providers_of(call: SimulatedCall) -> AsyncIterator[Providers]:
    """What the server of this call is given."""
    setup = call.setup
    activity = None if setup.ear is None else Ears(setup.ear)
    detector = None if setup.detector is None else Detector(setup.detector)
    if setup.direct:
        recogniser = DirectRecogniser(script=call.deepgram.script)
        yield Providers(recogniser, call.direct_model, call.direct_voice, activity, detector)
        return
    async with wired_providers(
        call.wires,
        setup.settings,
        call.deepgram,
        call.openai,
        call.cartesia,
        new_id=new_ids("context"),
        activity=activity,
        detector=detector,
    ) as providers:
        yield providers


def new_ids(kind: str) -> Callable[[], str]:
    """Gives kind-1, kind-2, …"""
    numbers = itertools.count(1)
    return lambda: f"{kind}-{next(numbers)}"


def new_call(setup: CallSetup, nursery: trio.Nursery) -> SimulatedCall:
    """Everything of a call but the server. `nursery`: where the simulated peers live."""
    options = e.InputOptions(**setup.options)
    said, log = Said(), CallLog()
    line = Line.over(setup.network, random.Random(setup.seed), window=setup.window)  # noqa: S311
    phone = Phone(line, setup.vocabulary)
    heard = setup.deepgram
    if not heard.sentences:
        heard = attrs.evolve(heard, source=partial(SaidSource, said))
    synthesiser = SimulatedCartesia(setup.cartesia)
    voice = DirectVoice(script=setup.cartesia)
    speaking = voice if setup.direct else synthesiser
    earpiece = Earpiece(lambda: speaking.transcripts)
    speakerphone = setup.speakerphone
    echo = None if speakerphone is None else Loudspeaker(earpiece, speakerphone)
    microphone = Microphone(
        phone, said, options.sampling_rate_hz, setup.step_ms, setup.idle_ms, echo
    )
    caller = Caller(phone, microphone, earpiece, log, options, setup.reports_ms)
    phone.listeners.append(caller.note)
    return SimulatedCall(
        setup,
        caller,
        phone,
        log,
        SimulatedDeepgram(heard, setup.deepgram_faults, base_url="ws://deepgram.test"),
        SimulatedOpenAI(setup.openai),
        synthesiser,
        said,
        DirectModel(script=setup.openai),
        voice,
        MemorySocket(line),
        Wires(nursery),
    )


async def _session(
    call: SimulatedCall, server: Server, *, task_status: trio.TaskStatus[Conductor]
) -> None:
    try:
        ours = server.new_call(call.setup.vocabulary, "session")
        await run_session(ours, call.socket, began=task_status.started)
    except Exception as failure:
        call.failure = failure
    finally:
        call.ended_s = trio.current_time()
        call.phone.line.down.close()
        call.phone.line.up.reset()
        call.over.set()


async def _reset(call: SimulatedCall, at_s: float) -> None:
    await trio.sleep_until(at_s)
    call.caller.lose_connection()
