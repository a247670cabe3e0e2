"""The simulated providers, a process of its own, with a record of when they said what.

The plan comes as JSON in the first argument; the end of standard input ends the process. A line of
input is answered with how much audio the recogniser got so far; with the time that each turn spent
in this process, if the plan wants `spans`; and, if it wants a `timeline`, with the records since
the last one: when the model's token that begins the first marker left, when its text reached the
synthesiser, and when the first audio of it left.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import trio
from attrs import define, field

from benchmarks.arrivals import now_s
from benchmarks.loudness import Loud
from benchmarks.spans import AUDIO_BYTES, Noted, Serve, Spans, lines, numbered
from vantum.testing import CartesiaScript, DeepgramScript, OpenAIScript
from vantum.testing.cartesia import SimulatedCartesia
from vantum.testing.deepgram import SimulatedDeepgram
from vantum.testing.openai import SimulatedOpenAI
from vantum.testing.providers import KEY


@define
class Timeline:
    """(time, what): `marker`, `all_text`, `text_in`, `audio_out`."""

    records: list[tuple[float, str]] = field(factory=list)
    on: bool = False

    def note(self, what: str, at_s: float | None = None) -> None:
        if self.on:
            self.records.append((now_s() if at_s is None else at_s, what))


def _noted_model(timeline: Timeline, serve: Serve) -> Serve:
    """A model whose tokens are separate writes: notes the one that begins the first marker.

    That is where the marker can be known: two symbols are a break by themselves. To count from the
    marker's last token would flatter the server by two tokens' time.
    """

    async def served(stream: trio.abc.Stream) -> None:
        seen = [False]

        def wrote(data: bytes) -> None:
            if b"||" in data and not seen[0]:
                seen[0] = True
                timeline.note("marker")
            if b"[DONE]" in data:
                seen[0] = False
                timeline.note("all_text")

        await serve(Noted(stream, wrote, lambda data, at_s: None))

    return served


def _noted_voice(timeline: Timeline, serve: Serve) -> Serve:
    async def served(stream: trio.abc.Stream) -> None:
        def wrote(data: bytes) -> None:
            if len(data) > AUDIO_BYTES:
                timeline.note("audio_out")

        def read(data: bytes, at_s: float) -> None:
            timeline.note("text_in", at_s)

        await serve(Noted(stream, wrote, read))

    return served


async def _listen(nursery: trio.Nursery, serve: Serve) -> int:
    # A crowd of calls may connect at the same moment: room for all of them.
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
    await nursery.start(trio.serve_listeners, serve, listeners)
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def main(plan: dict[str, Any]) -> None:
    """Serve until standard input ends; the first line out is the server's environment."""
    timeline, spans = Timeline(on=plan.get("timeline", False)), Spans()
    answers: Any = tuple(plan["answers"])
    if plan.get("spans"):
        answers = numbered(plan["answers"][0])
    deepgram = SimulatedDeepgram(
        DeepgramScript(
            lines(5000) if plan.get("spans") else ("hello there my friend",),
            speech="on_finalize",
            scope="server",
            # Else an open microphone's silence is made final every 4 s, and a turn that ends just
            # then has nothing left to finalise: no words, and rightly no answer.
            final_every_s=plan.get("final_every_s", 1e9),
            interim_every_s=plan.get("interim_every_s", 0.5),
            source=Loud if plan.get("by_loudness") else None,
        )
    )
    openai = SimulatedOpenAI(OpenAIScript(answers, **plan.get("openai", {})))
    cartesia = SimulatedCartesia(CartesiaScript(**plan.get("cartesia", {})))
    recogniser: Serve = deepgram.handle
    model: Serve = openai.serve_stream
    voice: Serve = cartesia.serve_stream
    async with trio.open_nursery() as nursery:
        if timeline.on:
            model, voice = _noted_model(timeline, model), _noted_voice(timeline, voice)
        if plan.get("spans"):
            recogniser = spans.recogniser(recogniser)
            model, voice = spans.model(model), spans.voice(voice)
        environment = {
            "DEEPGRAM_API_KEY": KEY,
            "DEEPGRAM_BASE_URL": f"ws://127.0.0.1:{await _listen(nursery, recogniser)}",
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"http://127.0.0.1:{await _listen(nursery, model)}/v1",
            "CARTESIA_API_KEY": KEY,
            "CARTESIA_BASE_URL": f"http://127.0.0.1:{await _listen(nursery, voice)}",
        }
        print(json.dumps(environment), flush=True)
        while await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            answer = {
                "records": timeline.records,
                "heard_s": deepgram.audio_s,
                "spans": sorted(spans.totals().items()),
            }
            print(json.dumps(answer), flush=True)
            timeline.records.clear()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
