"""What a tool can do with the line while its answer is spoken, after it was cut, and after all."""

from __future__ import annotations

import pytest
import trio
from attrs import define, field

from vantum.actors.call import Inbox
from vantum.actors.line import AnswerLine, Talk
from vantum.core.decisions import Announce
from vantum.core.messages import Keys, LlmFiller, LlmOutput
from vantum.core.tools import ToolError


@define(eq=False)
class Answer:
    """An answer whose tools run: there is room for one message before the chunker."""

    cut: bool = False
    quiet: bool = False
    speaking: bool = True
    line: AnswerLine = field(init=False)
    inbox_rx: trio.MemoryReceiveChannel[Inbox] = field(init=False)
    speech_rx: trio.MemoryReceiveChannel[LlmOutput] = field(init=False)

    def __attrs_post_init__(self) -> None:
        inbox_tx, self.inbox_rx = trio.open_memory_channel[Inbox](4)
        speech_tx, self.speech_rx = trio.open_memory_channel[LlmOutput](1)
        talk = Talk(lambda: self.cut, lambda: self.quiet, lambda: self.speaking)
        self.line = AnswerLine(inbox_tx, trio.Event(), talk, speech_tx)


async def test_keys_go_behind_what_is_said() -> None:
    answer = Answer()
    answer.line.press("4 2#")
    assert answer.speech_rx.receive_nowait() == Keys("42#")
    assert answer.line.has_pressed


async def test_no_key_is_sent_for_an_answer_that_was_cut() -> None:
    answer = Answer(cut=True)
    with pytest.raises(ToolError, match="they interrupted"):
        answer.line.press("4")
    with pytest.raises(trio.WouldBlock):
        answer.speech_rx.receive_nowait()
    assert not answer.line.has_pressed


async def test_keys_that_find_no_room_are_told_of() -> None:
    answer = Answer()
    answer.line.press("4")
    with pytest.raises(ToolError, match="too much is waiting"):
        answer.line.press("2")


async def test_what_is_said_after_a_cut_is_an_announcement(autojump_clock: object) -> None:
    answer = Answer()
    await answer.line.say("One moment.")
    assert answer.speech_rx.receive_nowait() == LlmFiller("One moment.")
    answer.cut = True
    await answer.line.say("Done.")
    assert answer.inbox_rx.receive_nowait() == Announce("Done.")


@pytest.mark.parametrize("cut", [False, True])
async def test_it_is_heard_when_there_is_silence_or_nobody_left(
    cut: bool, autojump_clock: object
) -> None:
    answer = Answer(cut)
    heard = trio.Event()

    async def wait() -> None:
        await answer.line.heard()
        heard.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        # Of an answer that was cut it counts whether any is spoken, and else how far this one is.
        answer.quiet, answer.speaking = cut, cut
        await trio.sleep(5)
        assert not heard.is_set()
        answer.quiet, answer.speaking = not cut, not cut
        with trio.fail_after(1):
            await heard.wait()
    answer = Answer(cut)
    answer.line.ended.set()
    with trio.fail_after(1):
        await answer.line.heard()
    assert answer.line.is_over
