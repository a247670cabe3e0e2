"""Talk event by event, and cut the answer off: python examples/talk_by_hand.py [URL [FILE.wav]]

Start a server first: vantum-actors run
"""

import sys
from pathlib import Path

import trio

import vantum
from vantum.core import events as e
from vantum.replay import speak

RECORDING = Path(__file__).with_name("caller.wav")


async def main(url: str, recording: Path) -> None:
    wav = vantum.load_recording(recording).wav
    async with vantum.connect(url) as client:
        await client.start(
            vantum.InputOptions(sampling_rate_hz=wav.sample_rate_hz, turn_detection="manual")
        )
        await speak(client, wav)
        await client.end()
        heard_bytes = 0
        async for _arrived_s, event in client.events:
            match event:
                case e.TranscriptOut(is_final=True, transcript=text):
                    print("caller:", text)
                case e.OutputChunk(audio=audio):
                    heard_bytes += len(audio)
                    if heard_bytes > wav.sample_rate_hz:  # half a second is enough
                        await client.interrupt()
                case e.Interrupted(heard_text=text):
                    print("agent, until the caller cut in:", text)
                    break
                case e.OutputCompleted():
                    print("agent: finished before the caller could cut in")
                    break
                case e.ErrorReply(message=message):
                    print("server:", message)


if __name__ == "__main__":
    url = sys.argv[1] if sys.argv[1:] else "127.0.0.1:3001"
    file = sys.argv[2] if sys.argv[2:] else RECORDING
    try:
        trio.run(main, url, Path(file))
    except vantum.VantumError as error:
        sys.exit(str(error))
