"""The simulated Deepgram, talked to directly, in virtual time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from vantum.testing.deepgram import (
    ClosesWith,
    DeepgramScript,
    Disconnects,
    IgnoresFinalize,
    Rejects,
    ScriptWord,
    SimulatedDeepgram,
    Utterance,
    spoken_audio,
)

QUERY = (
    "model=nova-2&encoding=linear16&sample_rate=16000&interim_results=true"
    "&vad_events=true&endpointing=300&utterance_end_ms=1000"
)
TOKEN = "Token key"


class Talk:
    """A bare client: sends, and collects what comes."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self.heard_at: list[float] = []
        self.closed: ConnectionClosed | None = None

    async def collect(self) -> None:
        try:
            while True:
                self.heard.append(json.loads(await self.socket.get_message()))
                self.heard_at.append(trio.current_time())
        except ConnectionClosed as closed:
            self.closed = closed

    async def audio(self, length_s: float, pcm: bytes | None = None) -> None:
        pcm = bytes(round(length_s * 16_000) * 2) if pcm is None else pcm
        for at in range(0, len(pcm), 640):
            await self.socket.send_message(pcm[at : at + 640])
        await trio.testing.wait_all_tasks_blocked()

    async def control(self, kind: str) -> None:
        await self.socket.send_message(json.dumps({"type": kind}))
        await trio.testing.wait_all_tasks_blocked()

    def finals(self) -> list[str]:
        return [
            message["channel"]["alternatives"][0]["transcript"]
            for message in self.heard
            if message["type"] == "Results" and message["is_final"]
        ]

    @property
    def reason(self) -> tuple[int, str]:
        """Code and reason of the close."""
        assert self.closed is not None
        assert self.closed.reason is not None
        return self.closed.reason.code, self.closed.reason.reason or ""

    def count(self, kind: str) -> int:
        return sum(message["type"] == kind for message in self.heard)


@asynccontextmanager
async def talk(
    peer: SimulatedDeepgram, *, query: str = QUERY, token: str = TOKEN, path: str = "/v1/listen"
) -> AsyncIterator[Talk]:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.handle, theirs)
        socket = await wrap_client_stream(
            nursery,
            ours,  # type: ignore[arg-type]
            "deepgram.test",
            f"{path}?{query}",
            extra_headers=[(b"Authorization", token.encode())] if token else [],
            message_queue_size=1000,
        )
        the_talk = Talk(socket)
        nursery.start_soon(the_talk.collect)
        yield the_talk
        nursery.cancel_scope.cancel()


async def refusal(peer: SimulatedDeepgram, **change: str) -> ConnectionRejected:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with talk(peer, **change):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ConnectionRejected)
    return error


async def test_speech_goes_by_the_audio_received(autojump_clock: trio.abc.Clock) -> None:
    async with talk(SimulatedDeepgram(DeepgramScript(("one two", "three")))) as call:
        await call.audio(0.3)
        assert [m["type"] for m in call.heard] == ["SpeechStarted"]
        await call.audio(1.0)
        assert call.finals() == ["one two"]
        assert call.heard[-1]["speech_final"]
        assert call.count("UtteranceEnd") == 0
        await call.audio(0.6)
        assert call.heard[-1] == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.74}
        await call.audio(5.0)
        texts = [text for text in call.finals() if text]
        assert texts[:3] == ["one two", "three", "one two"]  # again from the beginning


async def test_words_may_have_times_of_their_own(autojump_clock: trio.abc.Clock) -> None:
    words = (ScriptWord("Slow", 0.0, 0.5, 0.7), ScriptWord("speech.", 1.0, 1.5))
    script = DeepgramScript((Utterance(words),), repeat=False)
    async with talk(SimulatedDeepgram(script), query=QUERY.replace("300", "800")) as call:
        await call.audio(30)
        assert [text for text in call.finals() if text] == ["Slow speech."]
        best = next(
            m["channel"]["alternatives"][0]
            for m in call.heard
            if m["type"] == "Results" and m["speech_final"]
        )
        assert best["confidence"] == 0.7
        assert [(w["word"], w["start"], w["end"]) for w in best["words"]] == [
            ("slow", 0.2, 0.7),
            ("speech", 1.2, 1.7),
        ]


async def test_on_finalize_the_next_sentence_comes_at_once(autojump_clock: trio.abc.Clock) -> None:
    peer = SimulatedDeepgram(DeepgramScript(("one", "two"), speech="on_finalize"))
    async with talk(peer) as call:
        for _ in range(3):
            await call.audio(0.1)
            await call.control("Finalize")
        assert call.finals() == ["one", "two", "one"]
        assert [m["start"] for m in call.heard] == pytest.approx([0.0, 0.1, 0.2])
        await call.control("Finalize")  # of nothing
        assert len(call.heard) == 3


@pytest.mark.parametrize(("scope", "second"), [("connection", "one"), ("server", "two")])
async def test_a_script_belongs_to_a_connection_or_to_the_server(
    autojump_clock: trio.abc.Clock, scope: Any, second: str
) -> None:
    peer = SimulatedDeepgram(DeepgramScript(("one", "two"), speech="on_finalize", scope=scope))
    heard = []
    for _ in range(2):
        async with talk(peer) as call:
            await call.audio(0.1)
            await call.control("Finalize")
            heard += call.finals()
    assert heard == ["one", second]
    assert peer.audio_s == pytest.approx(0.2)


async def test_a_word_in_the_audio_needs_half_of_its_length(
    autojump_clock: trio.abc.Clock,
) -> None:
    script = DeepgramScript(("whole",), speech="in_audio", least_finalize_s=0.0)
    audio = spoken_audio(script)
    for start, end, heard in (
        (6000, 9000, []),
        (6000, 11_000, ["whole"]),
        (12_000, 40_000, []),
    ):
        async with talk(SimulatedDeepgram(script)) as call:
            await call.audio(0, audio[start:end])
            await call.control("Finalize")
            assert [text for text in call.finals() if text] == heard


async def test_too_little_to_finalize_is_answered_by_nothing(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with talk(SimulatedDeepgram()) as call:
        await call.audio(0.05)
        await call.control("Finalize")
        assert call.heard == []


async def test_latency(autojump_clock: trio.abc.Clock) -> None:
    script = DeepgramScript(("one",), speech="on_finalize", latency_ms=250)
    async with talk(SimulatedDeepgram(script)) as call:
        await call.audio(0.1)
        await call.control("Finalize")
        assert call.heard == []
        asked_at = trio.current_time()
        await trio.sleep(1)
        assert call.heard_at == [pytest.approx(asked_at + 0.25)]
        await call.control("CloseStream")
        await trio.sleep(1)
        assert call.heard[-1]["type"] == "Metadata"
        assert call.closed is not None


async def test_silence_closes_with_net_0001(autojump_clock: trio.abc.Clock) -> None:
    async with talk(SimulatedDeepgram()) as call:
        await call.audio(0.1)
        await trio.sleep(9.9)
        await call.control("KeepAlive")
        await trio.sleep(9.9)
        assert call.closed is None
        await trio.sleep(0.2)
    assert call.reason[0] == 1011
    assert "net0001" in call.reason[1]


async def test_keepalive_does_not_save_a_connection_without_audio(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with talk(SimulatedDeepgram()) as call:
        await trio.sleep(5)
        await call.control("KeepAlive")
        await trio.sleep(5.1)
        assert call.closed is not None


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": ""}, 401),
        ({"token": "Token other"}, 401),
        ({"token": "Basic key"}, 401),
        ({"path": "/v1/speak"}, 404),
        ({"query": "encoding=opus"}, 400),
        ({"query": "utterance_end_ms=500&interim_results=true"}, 400),
        ({"query": "utterance_end_ms=1000"}, 400),
    ],
)
async def test_wrong_requests_are_refused(
    autojump_clock: trio.abc.Clock, change: dict[str, str], status: int
) -> None:
    peer = SimulatedDeepgram(DeepgramScript(api_key="key"))
    rejected = await refusal(peer, **change)
    assert rejected.status_code == status
    assert dict(rejected.headers)[b"dg-error"]
    assert rejected.body is not None
    assert json.loads(rejected.body)["err_code"]
    assert peer.connections[0].ended == f"rejected {status}"


async def test_faults_belong_to_some_connections(autojump_clock: trio.abc.Clock) -> None:
    second = frozenset({1})
    peer = SimulatedDeepgram(faults=(Rejects(500, second), IgnoresFinalize(frozenset({0}))))
    async with talk(peer) as call:
        await call.audio(1)
        before = len(call.heard)
        await call.control("Finalize")
        assert len(call.heard) == before
    assert (await refusal(peer)).status_code == 500
    async with talk(peer) as call:
        await call.audio(1)
        await call.control("Finalize")
        assert call.heard[-1]["from_finalize"]


async def test_endings_in_mid_stream(autojump_clock: trio.abc.Clock) -> None:
    peer = SimulatedDeepgram(
        faults=(
            Disconnects(after_messages=3, connections=frozenset({0})),
            ClosesWith(1011, "NET-0000", 0.1, frozenset({1})),
        )
    )
    async with talk(peer) as call:
        await call.audio(0.06)
        assert call.reason == (1006, "")
    async with talk(peer) as call:
        await call.audio(0.1)
        assert call.reason == (1011, "NET-0000")
    assert [c.ended for c in peer.connections] == ["disconnected", "closed 1011"]
    assert [c.audio_messages for c in peer.connections] == [3, 5]


async def test_an_empty_message_ends_the_stream(autojump_clock: trio.abc.Clock) -> None:
    peer = SimulatedDeepgram()
    async with talk(peer) as call:
        await call.audio(0.4)
        await call.socket.send_message(b"")
        await trio.testing.wait_all_tasks_blocked()
        assert call.finals() == ["hello"]
        assert call.heard[-1]["type"] == "Metadata"
    assert peer.connections[0].ended == "closed by CloseStream"
