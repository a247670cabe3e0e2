"""A server inside your own program, with a page of your own, and providers that are simulated.

No key, no weights, no network: python examples/server_in_your_program.py
"""

import sys
from pathlib import Path

import trio
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import vantum
from vantum.testing import DeepgramScript, OpenAIScript, simulated_providers

RECORDING = Path(__file__).with_name("caller.wav")


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("Hello from the same port.\n")


async def main(file: Path = RECORDING) -> None:
    recording = vantum.load_recording(file)
    said = DeepgramScript(("What does it cost?",), speech="on_finalize")
    answer = OpenAIScript(("Ten euros a month. ||BREAK|| Shall we begin?",))
    async with simulated_providers(said, answer) as peers:
        # In a real program: vantum.load_settings(os.environ, None).settings
        settings = vantum.load_settings(peers.environment(), None).settings
        async with (
            vantum.open_providers(settings) as providers,
            vantum.open_server(settings, providers, routes=[Route("/", hello)], port=0) as url,
            vantum.connect(url) as client,
        ):
            print("Listening on", url)
            turn = await vantum.replay_turn(client, recording)
            print("caller:", turn.transcript)
            print("agent: ", turn.text)


if __name__ == "__main__":
    vantum.configure_logs("warning")
    try:
        trio.run(main, Path(sys.argv[1]) if sys.argv[1:] else RECORDING)
    except vantum.VantumError as error:
        sys.exit(str(error))
