"""`run --workers`: real processes on a real port."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trio
from twilio.request_validator import RequestValidator

from benchmarks.line import take_frames, upgrade
from benchmarks.phones import ACCOUNT, TOKEN, Phones, start_frames
from tests.patience import HANG_S, PATIENT_ENVIRONMENT, connect, until
from tests.test_cli import SECRET, Running, a_program, ask, assert_one_line, providers
from vantum.client import ClientError
from vantum.core import events as e


@asynccontextmanager
async def workers(count: int = 2, **env: str) -> AsyncIterator[Running]:
    async with providers() as peers:
        keys = {k: SECRET if k.endswith("KEY") else v for k, v in peers.environment().items()}
        environment = PATIENT_ENVIRONMENT | keys | env
        options = ("run", "--port", "0", "--workers", count)
        async with a_program(*options, **environment) as running:
            await running.until("Stop it: Ctrl-C")
            yield running


def http_of(running: Running) -> str:
    return running.url.replace("ws://", "http://").removesuffix("/ws")


async def health(running: Running) -> dict[str, Any]:
    async with httpx.AsyncClient() as web:
        body: dict[str, Any] = (await web.get(f"{http_of(running)}/health", timeout=HANG_S)).json()
    return body


async def until_health(
    running: Running, condition: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    with trio.fail_after(HANG_S):
        while not condition(body := await health(running)):  # noqa: ASYNC110
            await trio.sleep(0.05)
    return body


def stat(pid: int | str) -> tuple[str, int]:
    """A process's state and its parent; "Z" if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "Z", 0
    return fields[0], int(fields[1])


def children(pid: int) -> dict[str, int]:
    """The workers of a parent, by label."""
    numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    found = [number for number in numbers if stat(number)[1] == pid and is_there(number)]
    return {Path(f"/proc/{n}/cmdline").read_text().split("\0")[-2]: n for n in found}


def is_there(pid: int) -> bool:
    return stat(pid)[0] != "Z"


async def test_sessions_are_spread_and_the_last_place_is_found_wherever_it_is() -> None:
    async with workers(MAX_SESSIONS="5") as running, AsyncExitStack() as stack:
        assert running.out.count("is listening on") == 1
        assert "\n  2 workers\n" in running.out
        for held in range(1, 6):
            client = await stack.enter_async_context(connect(running.url))
            body = await health(running)
            assert body["sessions"]["active"] == held
            each = [worker["sessions"]["active"] for worker in body["workers"]]
            assert max(each) - min(each) <= 1, "each new one went to who had less to do"
        assert sorted(worker["sessions"]["max"] for worker in body["workers"]) == [2, 3]
        assert body["sessions"]["max"] == 5
        assert body["status"] == "ok"
        await ask(client)
        with pytest.raises(ClientError, match=r"takes no calls now: (2 of 2|3 of 3) sessions"):
            async with connect(running.url):
                pass
    assert running.err.count("session opened") == 5
    opened = [line for line in running.err.splitlines() if "session opened" in line]
    counted = Counter(label for label in ("w0", "w1") for line in opened if f'"{label}"' in line)
    assert sorted(counted.values()) == [2, 3]


async def closed_at(host: str, port: int, path: str, frames: bytes) -> bool:
    """Whether a stream that begins like this is closed, and not served."""
    async with await upgrade(host, port, path) as stream:
        await stream.send_all(frames)
        seen = bytearray()
        async for data in stream:
            seen += data
            if any(opcode == 8 for opcode, _ in take_frames(seen)):
                return True
    return False


async def test_each_stream_of_a_phone_call_reaches_the_worker_that_has_the_call() -> None:
    twilio = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TURN_VOICE_ACTIVITY": "off",
        "VANTUM_DATABASE": ":memory:",
    }
    async with workers(2, **twilio) as running, trio.open_nursery() as nursery:
        host, port = http_of(running).removeprefix("http://").split(":")
        phones = Phones(host, int(port), nursery)
        # Each rings and opens its stream wherever the kernel sends it.
        await phones.connect(8)
        body = await until_health(running, lambda body: body["sessions"]["active"] == 8)
        assert [worker["sessions"]["active"] for worker in body["workers"]] == [4, 4]
        assert not any(phone.gone for phone in phones.phones)
        async with httpx.AsyncClient(timeout=HANG_S) as web:
            answer = await web.get(f"{http_of(running)}/twilio/stream/w2")
        assert (answer.status_code, answer.json()) == (503, {"error": "there is no such worker"})
        call_sid = f"CA{99:032x}"
        url, parameters = await phones.twiml(call_sid)
        path = urlsplit(url).path
        other = path[:-1] + ("0" if path.endswith("1") else "1")
        begin = start_frames("MZ1", call_sid, parameters)
        assert await closed_at(host, int(port), other, begin), "the token is another worker's"
        await phones.hang_up()
        nursery.cancel_scope.cancel()
    assert "Traceback" not in running.err


async def test_an_inbound_calls_status_reaches_the_worker_that_has_the_call() -> None:
    twilio = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TURN_VOICE_ACTIVITY": "off",
        "API_TOKENS": "a-token",
        "VANTUM_DATABASE": ":memory:",
    }
    async with workers(3, **twilio) as running, trio.open_nursery() as nursery:
        base = http_of(running)
        host, port = base.removeprefix("http://").split(":")
        phones = Phones(host, int(port), nursery)
        # The number's status address says nothing of a worker: the kernel chooses, and of six
        # calls some are told of at another worker's (all but once in 700 times).
        for number in range(6):
            call_sid = f"CA{number:032x}"
            _, parameters = await phones.twiml(call_sid)
            form = {"CallSid": call_sid, "AccountSid": ACCOUNT, "CallStatus": "completed"}
            form["CallDuration"] = str(100 + number)
            signature = RequestValidator(TOKEN).compute_signature(f"{base}/twilio/status", form)
            async with httpx.AsyncClient(timeout=HANG_S, base_url=base) as web:
                told = await web.post(
                    "/twilio/status", data=form, headers={"X-Twilio-Signature": signature}
                )
                assert told.status_code == 204
                about = {"Authorization": "Bearer a-token"}
                with trio.fail_after(HANG_S):
                    while True:
                        answer = await web.get(f"/v1/calls/{parameters['call']}", headers=about)
                        if (record := answer.json())["outcome"] is not None:
                            break
            assert (record["status"], record["durationSeconds"]) == ("completed", 100 + number)
        nursery.cancel_scope.cancel()
    assert "Traceback" not in running.err


async def test_a_worker_that_dies_is_started_again_and_the_others_go_on() -> None:
    async with workers() as running, connect(running.url) as client:
        body = await health(running)
        busy = next(w["worker"] for w in body["workers"] if w["sessions"]["active"])
        pids = children(running.process.pid)
        idle = "w1" if busy == "w0" else "w0"
        os.kill(pids[idle], signal.SIGKILL)
        await until(lambda: "a worker has ended; it is started again" in running.err)
        assert f'"worker": "{idle}", "how": "killed by SIGKILL", "in_s": 0.1' in running.err
        body = await until_health(running, lambda body: body["status"] == "ok")
        assert body["sessions"]["active"] == 1
        await ask(client)
        assert len(children(running.process.pid)) == 2
        assert "Traceback" not in running.err


async def test_a_signal_drains_all_workers() -> None:
    async with workers() as running, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(running.url)) for _ in range(3)]
        pids = children(running.process.pid)
        running.process.send_signal(signal.SIGTERM)
        await running.until("Shutting down: 3 sessions, answers in progress may finish within 10 s")
        for client in clients:
            assert e.Maintenance in [type(message) async for _, message in client.events]
        assert await running.ended() == 0
        assert not any(map(is_there, pids.values()))
    assert running.out.count("Shutting down") == 1
    assert "Traceback" not in running.err


async def test_a_second_signal_ends_all_at_once() -> None:
    # Short: Unix sockets in it have their names' limit.
    with TemporaryDirectory() as temporary:
        settings = {"SHUTDOWN_GRACE": "600000", "TMPDIR": temporary}
        async with workers(2, **settings) as running, connect(running.url) as client:
            await ask(client)
            pids = children(running.process.pid)
            assert [name for name in os.listdir(temporary) if name.startswith("vantum-")]
            running.process.send_signal(signal.SIGINT)
            await running.until("(again to end at once)")
            running.process.send_signal(signal.SIGINT)
            assert await running.ended() == 1
            await until(lambda: not any(map(is_there, pids.values())))
        left = [name for name in os.listdir(temporary) if name.startswith("vantum-")]
        assert left == []


async def test_no_worker_outlives_its_parent() -> None:
    async with workers() as running:
        pids = children(running.process.pid)
        assert len(pids) == 2
        running.process.kill()
        await until(lambda: not any(map(is_there, pids.values())))


async def test_a_port_in_use_is_one_line_also_if_it_is_in_use_by_workers() -> None:
    async with workers() as first:
        port = first.url.rsplit(":", 1)[1].removesuffix("/ws")
        async with a_program("run", "--port", port, "--workers", "2") as second:
            assert await second.ended() == 1
        line = assert_one_line(second.err)
        assert line == f"cannot listen on 127.0.0.1:{port} (HOST, PORT): Address already in use"
        assert (await health(first))["status"] == "ok"


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"WORKERS": "many"}, "WORKERS=many: must be a whole number from 0 to 256"),
        (
            {"WORKERS": "4", "MAX_SESSIONS": "3"},
            "server.max_sessions=3 (MAX_SESSIONS) must be at least the number of workers, 4",
        ),
        ({"WORKERS": "2", "TOOLS": "no_such_module:tools"}, "no_such_module"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_ends_all(env: dict[str, str], line: str) -> None:
    async with a_program("run", "--port", "0", DEEPGRAM_API_KEY="x", **env) as running:
        assert await running.ended() == 1
    assert line in assert_one_line(running.err)
    assert running.out == ""
