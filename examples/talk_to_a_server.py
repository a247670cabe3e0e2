"""Talk to a server with a recording: python examples/talk_to_a_server.py [URL [FILE.wav]]

Start one first: vantum-actors run
"""

import sys
from pathlib import Path

import trio

import vantum

RECORDING = Path(__file__).with_name("caller.wav")


async def main(url: str, file: Path) -> None:
    recording = vantum.load_recording(file)
    async with vantum.connect(url) as client:
        turn = await vantum.replay_turn(client, recording)
    print("The caller said:     ", turn.transcript)
    print("The server answered: ", turn.text)
    if turn.speech_s is not None:
        print(f"It began to speak after {turn.speech_s * 1000:.0f} ms.")
    if turn.answer:
        print("Hear it:", vantum.save_answer(turn, Path.cwd(), 1))


if __name__ == "__main__":
    url = sys.argv[1] if sys.argv[1:] else "127.0.0.1:3001"
    file = sys.argv[2] if sys.argv[2:] else RECORDING
    try:
        trio.run(main, url, Path(file))
    except vantum.VantumError as error:
        sys.exit(str(error))
