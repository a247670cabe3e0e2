"""The floor of (p): an echo on the same sockets, with Twilio's messages and nothing else.

A process that stands in the server's place. It answers the webhook, reads the caller's frames
(WebSocket, JSON, base64), and sends each five of them back in one write with a mark behind them, as
speech leaves the server. No states, no providers, no resampling, no pacing, no deadlines: what this
takes, any server in Python on Trio takes for a call in which it speaks all the time.
"""

from __future__ import annotations

import base64
import json
import sys

import h11
import trio
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

_FRAMES = 5


async def _voice(stream: trio.SocketStream, head: bytes) -> None:
    host = next(line[6:] for line in head.split(b"\r\n") if line.lower().startswith(b"host: "))
    url = f"ws://{host.decode()}/twilio/stream"
    twiml = f'<Response><Connect><Stream url="{url}" /></Connect></Response>'
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(twiml)}\r\nConnection: close\r\n\r\n{twiml}"
    await stream.send_all(answer.encode())
    await stream.aclose()


async def _stream(stream: trio.SocketStream, data: bytes) -> None:
    protocol, chunks, sid = ServerProtocol(), 0, ""
    held: list[bytes] = []
    while data:
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                protocol.send_response(protocol.accept(event))
            elif isinstance(event, Frame) and event.data:
                message = json.loads(bytes(event.data))
                sid = message.get("streamSid", sid)
                if message["event"] == "media":
                    held.append(base64.b64decode(message["media"]["payload"]))
        # Two to begin with, so that it is as far ahead as speech would be.
        while len(held) >= (_FRAMES if chunks else 2 * _FRAMES):
            chunks += 1
            for mulaw in held[:_FRAMES]:
                payload = base64.b64encode(mulaw).decode()
                media = {"event": "media", "streamSid": sid, "media": {"payload": payload}}
                protocol.send_text(json.dumps(media, separators=(",", ":")).encode())
            mark = {"event": "mark", "streamSid": sid, "mark": {"name": f"echo:{chunks}"}}
            protocol.send_text(json.dumps(mark).encode())
            del held[:_FRAMES]
        if out := b"".join(protocol.data_to_send()):
            await stream.send_all(out)
        data = await stream.receive_some(65_536)


async def _serve(stream: trio.SocketStream) -> None:
    parser, seen, event = h11.Connection(h11.SERVER), b"", None
    while not isinstance(event, h11.Request):
        data = await stream.receive_some(65_536)
        seen += data
        parser.receive_data(data)
        event = parser.next_event()
        if not data:
            return
    await (_voice if event.method == b"POST" else _stream)(stream, seen)


async def main() -> None:
    """Serve until standard input ends."""
    async with trio.open_nursery() as nursery:

        async def handle(stream: trio.SocketStream) -> None:
            try:
                await _serve(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            finally:
                await trio.aclose_forcefully(stream)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=1024)
        await nursery.start(trio.serve_listeners, handle, listeners)
        print(f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws\nStop it", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
