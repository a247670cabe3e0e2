"""The floor of (a) and (d): the same frames, requests and sockets, and nothing of a framework.

A process that stands in the server's place. It takes the callers' frames (WebSocket, MessagePack),
hands the audio to the recogniser's socket in messages of 100 ms, and answers `audio.input.end` by
asking the three providers one after the other, over open connections, and sending the voice's
audio in chunks of 100 ms at the pace of speech. No states, no interruptions, no deadlines, no
failures, no limits: what this takes, any server in Python on Trio takes.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import msgpack
import trio
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

_CHUNK_S = 0.1
_CHUNK_BYTES = 3200


class _Socket:
    """A WebSocket as plain as can be."""

    def __init__(self, stream: trio.SocketStream, protocol: Protocol) -> None:
        self.stream, self.protocol = stream, protocol

    async def flush(self) -> None:
        if data := b"".join(self.protocol.data_to_send()):
            await self.stream.send_all(data)

    async def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            self.protocol.send_text(data.encode())
        else:
            self.protocol.send_binary(data)
        await self.flush()

    async def messages(self) -> AsyncIterator[bytes]:
        while data := await self.stream.receive_some(65_536):
            self.protocol.receive_data(data)
            for event in self.protocol.events_received():
                if isinstance(event, Frame):
                    yield bytes(event.data)
            await self.flush()


async def _open(url: str, authorization: str) -> _Socket:
    uri = parse_uri(url)
    socket = _Socket(await trio.open_tcp_stream(uri.host, uri.port), ClientProtocol(uri))
    assert isinstance(socket.protocol, ClientProtocol)
    request = socket.protocol.connect()
    request.headers["Authorization"] = authorization
    socket.protocol.send_request(request)
    await socket.flush()
    while not any(isinstance(e, Response) for e in socket.protocol.events_received()):
        socket.protocol.receive_data(await socket.stream.receive_some(65_536))
    return socket


def _url(name: str, scheme: str = "ws") -> str:
    return os.environ[name].replace("http://", f"{scheme}://")


class _Session:
    def __init__(self, stream: trio.SocketStream, nursery: trio.Nursery) -> None:
        self.client, self.nursery = _Socket(stream, ServerProtocol()), nursery
        self.audio: list[bytes] = []
        self.held = 0
        self.finals_tx, self.finals_rx = trio.open_memory_channel[dict[str, Any]](10)
        self.voice_tx, self.voice_rx = trio.open_memory_channel[dict[str, Any]](1000)

    async def run(self) -> None:
        query = "encoding=linear16&sample_rate=16000&interim_results=true"
        self.heard = await _open(
            f"{_url('DEEPGRAM_BASE_URL')}/v1/listen?{query}",
            f"Token {os.environ['DEEPGRAM_API_KEY']}",
        )
        self.voice = await _open(
            f"{_url('CARTESIA_BASE_URL')}/tts/websocket?cartesia_version=2026-08-14",
            f"Bearer {os.environ['CARTESIA_API_KEY']}",
        )
        model = urlsplit(os.environ["OPENAI_BASE_URL"])
        assert model.hostname is not None
        assert model.port is not None
        self.model = await trio.open_tcp_stream(model.hostname, model.port)
        self.nursery.start_soon(self._pass_on, self.heard, self.finals_tx)
        self.nursery.start_soon(self._pass_on, self.voice, self.voice_tx)
        protocol = self.client.protocol
        assert isinstance(protocol, ServerProtocol)
        while data := await self.client.stream.receive_some(65_536):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    protocol.send_response(protocol.accept(event))
                    self._say("connection.lifecycle.ack", {"success": True})
                elif isinstance(event, Frame) and event.data:
                    await self._take(msgpack.unpackb(event.data))
            await self.client.flush()
            if self.held >= _CHUNK_BYTES:
                await self._hand_on()

    async def _pass_on(
        self, socket: _Socket, message_tx: trio.MemorySendChannel[dict[str, Any]]
    ) -> None:
        async for data in socket.messages():
            message = json.loads(data)
            if message["type"] != "Results" or message["from_finalize"]:
                await message_tx.send(message)

    async def _hand_on(self) -> None:
        pcm, self.audio, self.held = b"".join(self.audio), [], 0
        if pcm:
            await self.heard.send(pcm)

    async def _take(self, message: dict[str, Any]) -> None:
        match message["eventType"]:
            case "audio.input.chunk":
                audio = message["payload"]["audio"]
                self.audio.append(audio)
                self.held += len(audio)
            case "audio.input.start":
                self._say("audio.input.start", {"success": True})
            case "audio.input.end":
                await self._hand_on()
                self.nursery.start_soon(self._answer)

    def _say(self, event_type: str, payload: dict[str, Any]) -> None:
        envelope = {"eventType": event_type, "eventId": "0", "sessionId": "0", "payload": payload}
        self.client.protocol.send_binary(msgpack.packb(envelope))

    async def _ask_model(self, text: str) -> str:
        messages = [{"role": "user", "content": text}]
        body = json.dumps({"model": "m", "stream": True, "messages": messages}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {os.environ['OPENAI_API_KEY']}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        await self.model.send_all(head.encode() + body)
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):
            answer += await self.model.receive_some(65_536)
        events = [line[6:] for line in answer.split(b"\n") if line.startswith(b"data: {")]
        deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
        return "".join(delta.get("content") or "" for delta in deltas).replace("||BREAK||", "")

    async def _answer(self) -> None:
        await self.heard.send('{"type": "Finalize"}')
        final = await self.finals_rx.receive()
        text = final["channel"]["alternatives"][0]["transcript"]
        self._say("conversation.transcript.final", {"transcript": text})
        await self.client.flush()
        request = {
            "context_id": text,
            "model_id": "m",
            "transcript": await self._ask_model(text),
            "voice": {"mode": "id", "id": "v"},
            "language": "en",
            "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000},
            "add_timestamps": True,
            "continue": False,
        }
        await self.voice.send(json.dumps(request))
        due_s, pcm, over = 0.0, b"", False
        while not over:
            message = await self.voice_rx.receive()
            over = message["type"] == "done"
            pcm += base64.b64decode(message["data"]) if message["type"] == "chunk" else b""
            while len(pcm) >= _CHUNK_BYTES or (over and pcm):
                await trio.sleep_until(due_s)
                due_s = max(due_s, trio.current_time()) + _CHUNK_S
                payload = {"audio": pcm[:_CHUNK_BYTES], "utteranceId": "0", "sampleRate": 16_000}
                pcm = pcm[_CHUNK_BYTES:]
                self._say("audio.output.chunk", payload)
                await self.client.flush()
        await trio.sleep_until(due_s)
        self._say("audio.output.complete", {})
        self._say("conversation.state.changed", {"to": "LISTENING"})
        await self.client.flush()


async def main() -> None:
    """Serve until standard input ends."""
    async with trio.open_nursery() as nursery:

        async def handle(stream: trio.SocketStream) -> None:
            try:
                async with trio.open_nursery() as session:
                    await _Session(stream, session).run()
                    session.cancel_scope.cancel()
            except* (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        await nursery.start(trio.serve_listeners, handle, listeners)
        print(f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws\nStop it", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
