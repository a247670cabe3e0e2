"""An agent with tools, and simulated providers: no key, no weights. python examples/tools.py"""

import sys
from pathlib import Path

import trio

import vantum
from vantum.testing import CallTool, DeepgramScript, OpenAIScript, Reply, simulated_providers
from vantum.tools import Meeting

RECORDING = Path(__file__).with_name("caller.wav")


@vantum.tool(effect="pure", timeout_s=3, filler="Let me look at the calendar.")
async def free_hours(day: str) -> list[str]:
    """When we have time.

    Args:
        day: The date, such as 2026-03-31.
    """
    await trio.sleep(1.2)  # a slow calendar: the filler is spoken meanwhile
    return ["14:00", "16:30"]


async def book(meeting: Meeting, context: vantum.ToolContext) -> str:
    print(f"  (booked a {meeting.topic} at {meeting.starts_at})")
    return "Booked. The invitation is on its way."


MEETING = {"starts_at": "2026-03-31T16:30:00+02:00", "topic": "demo"}
#: What the model would do; a real one decides for itself.
ANSWERS = (
    Reply("", (CallTool("free_hours", {"day": "2026-03-31"}),)),
    Reply("Four thirty it is.", (CallTool("book_meeting", MEETING),)),
    Reply("You will get an invitation. Goodbye!", (CallTool("end_call", {"reason": "booked"}),)),
)


async def main(file: Path = RECORDING) -> None:
    recording = vantum.load_recording(file)
    said = DeepgramScript(("Do you have time on Tuesday?",), speech="on_finalize")
    async with simulated_providers(said, OpenAIScript(ANSWERS)) as peers:
        settings = vantum.load_settings(peers.environment(), None).settings
        tools = [free_hours, vantum.book_meeting(book)]
        async with (
            vantum.open_providers(settings) as providers,
            vantum.open_server(settings, providers, tools=tools, port=0) as url,
            vantum.connect(url) as client,
        ):
            turn = await vantum.replay_turn(client, recording)
            print(f"caller: {turn.transcript}\nagent:  {turn.text}")


if __name__ == "__main__":
    vantum.configure_logs("warning")
    try:
        trio.run(main, Path(sys.argv[1]) if sys.argv[1:] else RECORDING)
    except vantum.VantumError as error:
        sys.exit(str(error))
