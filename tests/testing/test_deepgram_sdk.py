"""The official deepgram-sdk against the simulated Deepgram, over real loopback sockets.

It is synchronous, so it runs in a thread. Deadlines: the SDK's `recv` has none of its own, but the
test's own scope ends the peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
import trio
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types.listen_v1configure import ListenV1Configure
from deepgram.listen.v1.types.listen_v1configure_failure import ListenV1ConfigureFailure
from deepgram.listen.v1.types.listen_v1configure_success import ListenV1ConfigureSuccess
from deepgram.listen.v1.types.listen_v1error import ListenV1Error
from deepgram.listen.v1.types.listen_v1metadata import ListenV1Metadata
from deepgram.listen.v1.types.listen_v1results import ListenV1Results
from deepgram.listen.v1.types.listen_v1speech_started import ListenV1SpeechStarted
from deepgram.listen.v1.types.listen_v1utterance_end import ListenV1UtteranceEnd

from tests.patience import HANG_S
from vantum.testing.deepgram import (
    DeepgramScript,
    Fault,
    Rejects,
    SimulatedDeepgram,
    simulated_deepgram,
    spoken_audio,
)

# The SDK still imports names that `websockets` has moved.
pytestmark = pytest.mark.filterwarnings("ignore:websockets.* deprecated:DeprecationWarning")

T = TypeVar("T")
FRAME = 640
SCRIPT = DeepgramScript(("Hello there.", "How are you?"), speech="in_audio")


async def with_sdk(
    work: Callable[[DeepgramClient], T], *, key: str = "secret", faults: tuple[Fault, ...] = ()
) -> tuple[T, SimulatedDeepgram]:
    """Run `work` with the SDK's client in a thread, against a peer that it cannot outlive."""
    script = DeepgramScript(
        SCRIPT.sentences, speech="in_audio", api_key="secret", idle_timeout_s=2 * HANG_S
    )
    with trio.fail_after(HANG_S):
        async with simulated_deepgram(script, faults=faults) as peer:
            environment = DeepgramClientEnvironment(
                base=peer.base_url, production=peer.base_url, agent="ws://-", agent_rest="http://-"
            )
            client = DeepgramClient(api_key=key, environment=environment)
            return await trio.to_thread.run_sync(work, client), peer


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]


async def test_the_sdk_hears_all_kinds_of_messages() -> None:
    def work(client: DeepgramClient) -> list[object]:
        heard: list[object] = []
        with client.listen.v1.connect(
            model="nova-2",
            encoding="linear16",
            sample_rate=16000,
            interim_results="true",
            vad_events="true",
            endpointing=300,
            utterance_end_ms=1000,
            smart_format="true",
        ) as socket:
            socket.on(EventType.MESSAGE, heard.append)
            for frame in frames(spoken_audio(SCRIPT)):
                socket.send_media(frame)
            socket.send_keep_alive()
            socket.send_finalize()
            socket.send_close_stream()
            socket.start_listening()  # until the peer closes
        return heard

    heard, peer = await with_sdk(work)

    results = [message for message in heard if isinstance(message, ListenV1Results)]
    finals = [r for r in results if r.is_final and r.channel.alternatives[0].transcript]
    assert [r.channel.alternatives[0].transcript for r in finals] == [
        "Hello there.",
        "How are you?",
    ]
    assert all(r.speech_final for r in finals)
    assert any(not r.is_final and r.channel.alternatives[0].transcript for r in results)
    first = finals[0].channel.alternatives[0].words[0]
    assert (first.word, first.punctuated_word, first.start) == ("hello", "Hello", 0.2)
    assert [m.timestamp for m in heard if isinstance(m, ListenV1SpeechStarted)] == [0.2, 2.44]
    assert [m.last_word_end for m in heard if isinstance(m, ListenV1UtteranceEnd)] == [0.74, 3.28]
    assert any(r.from_finalize for r in results)
    summary = heard[-1]
    assert isinstance(summary, ListenV1Metadata)
    assert summary.duration == pytest.approx(len(spoken_audio(SCRIPT)) / 32_000)

    (connection,) = peer.connections
    assert connection.authorization == "Token secret"
    assert connection.query["model"] == "nova-2"
    assert connection.types == ["KeepAlive", "Finalize", "CloseStream"]
    assert connection.audio_s == summary.duration
    assert connection.ended == "closed by CloseStream"


async def test_finalize_ends_a_word_in_the_middle() -> None:
    def work(client: DeepgramClient) -> ListenV1Results:
        with client.listen.v1.connect(
            model="nova-2", encoding="linear16", sample_rate=16000
        ) as socket:
            for frame in frames(spoken_audio(SCRIPT))[:16]:  # 0.32 s: half of "Hello"
                socket.send_media(frame)
            socket.send_finalize()
            answer = socket.recv()
            assert isinstance(answer, ListenV1Results)
            return answer

    answer, _ = await with_sdk(work)
    assert answer.from_finalize
    assert answer.is_final
    assert answer.channel.alternatives[0].transcript == "Hello"
    assert answer.start + answer.duration == pytest.approx(0.32)


async def test_what_is_no_message_of_theirs_is_an_error_message() -> None:
    def work(client: DeepgramClient) -> object:
        with client.listen.v1.connect(model="nova-2") as socket:
            socket._send("{}")
            return socket.recv()

    answer, _ = await with_sdk(work)
    assert isinstance(answer, ListenV1Error)
    assert answer.variant == "SchemaError"


async def test_a_stream_is_configured_in_its_middle() -> None:
    """As `/v1/listen` does it since October 2026: each message has exactly one answer."""
    numerals = {"numerals": True}

    def work(client: DeepgramClient) -> list[object]:
        heard: list[object] = []
        for model in ("nova-3-medical", "nova-2"):
            with client.listen.v1.connect(model=model) as socket:
                for terms in (["Deepgram", "customer service"], None, [], ["so"] * 501):
                    socket.send_configure(ListenV1Configure(keyterms=terms, features=numerals))
                    heard.append(socket.recv())
                socket._send('{"type": "Configure", "keyterms": "one"}')
                heard.append(socket.recv())
        return heard

    heard, _ = await with_sdk(work)
    kinds = [type(each).__name__.removeprefix("ListenV1") for each in heard]
    done, failed = "ConfigureSuccess", "ConfigureFailure"
    assert kinds == [done, done, done, failed, "Error", failed, done, failed, failed, "Error"]
    terms = [each.keyterms for each in heard if isinstance(each, ListenV1ConfigureSuccess)]
    assert terms == [["Deepgram", "customer service"], None, [], None]
    codes = [each.code for each in heard if isinstance(each, ListenV1ConfigureFailure)]
    limit, not_theirs = "CONFIGURE_KEYTERM_LIMIT_EXCEEDED", "CONFIGURE_KEYTERMS_NOT_SUPPORTED"
    assert codes == [limit, *[not_theirs] * 3]


@pytest.mark.parametrize(
    ("key", "faults", "status"),
    [
        ("wrong", (), 401),
        ("secret", (Rejects(402),), 402),
        ("secret", (Rejects(429),), 429),
        ("secret", (Rejects(503),), 503),
    ],
)
async def test_a_refusal_is_the_sdks_own_error(
    key: str, faults: tuple[Fault, ...], status: int
) -> None:
    # The SDK's asyncio client: its synchronous one lets the refusal of websockets >= 14 through.
    async def connect(environment: DeepgramClientEnvironment) -> ApiError:
        client = AsyncDeepgramClient(api_key=key, environment=environment)
        with pytest.raises(ApiError) as caught:
            async with client.listen.v1.connect(model="nova-2"):
                pass
        return caught.value

    def work(client: DeepgramClient) -> ApiError:
        return asyncio.run(connect(client._client_wrapper.get_environment()))

    error, peer = await with_sdk(work, key=key, faults=faults)
    assert error.status_code == status
    if status == 401:
        assert "invalid credentials" in str(error.body)
    assert peer.connections[0].ended == f"rejected {status}"
