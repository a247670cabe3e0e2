"""A provider of your own: a language model that says what it was told. See `vantum.ports`."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

import vantum
from vantum.core.messages import ChatRequest
from vantum.ports import Health
from vantum.testing import simulated_providers

RECORDING = Path(__file__).with_name("caller.wav")


class Echo:
    """Both `LanguageModelProvider` and, as it keeps nothing about a call, `LanguageModel`."""

    name = "echo"

    def health(self) -> Health:
        return Health(True, "always there")

    def for_session(self) -> "Echo":
        return self

    @asynccontextmanager
    async def stream(self, request: ChatRequest) -> AsyncIterator[AsyncIterator[str]]:
        yield self._words("You said: " + request.messages[-1].content)

    async def _words(self, text: str) -> AsyncIterator[str]:
        for word in text.split():
            yield word + " "
            await trio.lowlevel.checkpoint()  # a real model waits here


async def main(file: Path = RECORDING) -> None:
    recording = vantum.load_recording(file)
    async with simulated_providers() as peers:  # for recognition and speech
        settings = vantum.load_settings(peers.environment(), None).settings
        async with (
            vantum.open_providers(settings) as providers,
            vantum.open_server(settings, attrs.evolve(providers, llm=Echo()), port=0) as url,
            vantum.connect(url) as client,
        ):
            turn = await vantum.replay_turn(client, recording)
            print("caller:", turn.transcript)
            print("agent: ", turn.text)


if __name__ == "__main__":
    vantum.configure_logs("warning")
    try:
        trio.run(main, Path(sys.argv[1]) if sys.argv[1:] else RECORDING)
    except vantum.VantumError as error:
        sys.exit(str(error))
