"""What waits for the client leaves in one write, up to the first audio in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgpack
import pytest
import trio
import trio.testing
from attrs import define, evolve, field

from vantum.actors.call import Call, Goodbye, Outgoing
from vantum.actors.writer import Delivery, write
from vantum.channels import HOPS
from vantum.config import Settings
from vantum.core.events import (
    Ack,
    OutputCancelled,
    OutputChunk,
    OutputStarted,
    Request,
    ResponseCompleted,
    ResponseStarted,
    StateChanged,
    TranscriptOut,
)
from vantum.wire.codec import NativeCodec

STARTED = OutputStarted("u1", 0, 16_000)
CHANGED = StateChanged("THINKING", "RESPONDING", 0)
ANSWERED = Ack(Request("audio.input.end", "1"))
HEARD = TranscriptOut(Request(), "Hello.", True, 1.0, 0, "en")
UNIFIED = NativeCodec("unified", "s1", lambda: "id")


def chunk(utterance_id: str = "u1") -> OutputChunk:
    return OutputChunk(utterance_id, bytes(320), 16_000)


@define(eq=False)
class Client:
    """The client's socket: each write with the kinds of message in it."""

    writes: list[list[str]] = field(factory=list)
    sent: int = 0
    held: int = 0
    gone: bool = False
    goodbye: tuple[int, str] | None = None

    async def receive(self) -> bytes | str | None:
        await trio.sleep_forever()
        raise AssertionError

    async def send(self, *messages: bytes | str, within_s: float) -> None:
        await trio.lowlevel.checkpoint()
        if self.gone:
            raise trio.BrokenResourceError
        kinds = [msgpack.unpackb(m)["eventType"] for m in messages if isinstance(m, bytes)]
        self.writes.append(kinds)
        self.sent += len(messages)

    async def close(self, code: int, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        self.goodbye = code, reason


CALL = cast(Call, cast(Any, SimpleNamespace(settings=Settings(), codec=UNIFIED)))


async def written(client: Client, *messages: Outgoing) -> Delivery:
    """Have all of these wait for the writer, and then let it send them."""
    out_tx, out_rx = trio.open_memory_channel[Outgoing](len(messages))
    for message in messages:
        out_tx.send_nowait(message)
    out_tx.close()
    delivery = Delivery(client)
    await write(CALL, delivery, out_rx)
    return delivery


async def test_what_waits_leaves_in_one_write() -> None:
    client = Client()
    await written(client, CHANGED, STARTED, chunk())
    assert client.writes == [
        ["conversation.state.changed", "audio.output.start", "audio.output.chunk"]
    ]


async def written_when(client: Client, nursery: trio.Nursery, *messages: Outgoing) -> int:
    """How many turns of the event loop it took until these, handed on one a turn, had left."""
    out_tx, out_rx = trio.open_memory_channel[Outgoing](len(messages))
    nursery.start_soon(write, CALL, Delivery(client), out_rx)
    await trio.testing.wait_all_tasks_blocked()
    for turn in range(100):
        if turn < len(messages):
            out_tx.send_nowait(messages[turn])
        if client.sent == len(messages):
            nursery.cancel_scope.cancel()
            return turn
        await trio.lowlevel.checkpoint()
    raise AssertionError("it never left")


NEWS = [CHANGED, ANSWERED, ResponseStarted("u1", 0), ResponseCompleted("u1", "Hi."), HEARD]


@pytest.mark.parametrize("news", NEWS)
async def test_news_waits_until_the_turn_waits_for_others(
    news: Outgoing, nursery: trio.Nursery
) -> None:
    client = Client()
    assert await written_when(client, nursery, news, news) > HOPS
    assert [len(kinds) for kinds in client.writes] == [2]


@pytest.mark.parametrize(
    "message",
    [
        STARTED,
        chunk(),
        OutputCancelled("u1", 0, "user_interrupt", interrupted=True),
        evolve(CHANGED, new="INTERRUPTED"),
        evolve(HEARD, is_final=False),
    ],
)
async def test_sound_a_cancel_and_all_else_leave_at_once(
    message: Outgoing, nursery: trio.Nursery
) -> None:
    assert await written_when(Client(), nursery, message) <= 3


async def test_sound_takes_the_news_before_it_along(nursery: trio.Nursery) -> None:
    client = Client()
    await written_when(client, nursery, CHANGED, chunk())
    assert client.writes == [["conversation.state.changed", "audio.output.chunk"]]


async def test_a_chunk_is_the_last_of_its_write() -> None:
    """How much of it has arrived is told by the bytes up to its end."""
    client = Client()
    delivery = await written(client, STARTED, chunk(), chunk(), CHANGED)
    assert [len(kinds) for kinds in client.writes] == [2, 1, 1]
    client.held = 2
    assert delivery.arrived("u1") == 1


async def test_each_utterance_is_counted_by_itself() -> None:
    client = Client()
    delivery = await written(client, chunk("u1"), chunk("u1"), chunk("u2"))
    assert delivery.arrived("u2") == 1
    assert delivery.arrived("u1") is None, "nobody asks for it any more"


async def test_a_goodbye_goes_behind_what_waited_before_it() -> None:
    client = Client()
    await written(client, CHANGED, Goodbye(1000, "bye"), CHANGED)
    assert client.writes == [["conversation.state.changed"]]
    assert client.goodbye == (1000, "bye")


@pytest.mark.parametrize("messages", [(CHANGED, chunk()), (chunk(), CHANGED)])
async def test_nobody_is_left_to_send_to(messages: tuple[Outgoing, ...]) -> None:
    client = Client(gone=True)
    await written(client, *messages, Goodbye(1000, "bye"))
    assert client.writes == []
    assert client.goodbye is None
