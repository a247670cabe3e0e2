"""What workers tell each other, on real Unix sockets."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from tests.patience import HANG_S
from vantum.workers.news import MAX_BYTES, serve_news, tell


async def test_all_who_listen_are_told(tmp_path: Path) -> None:
    paths = [tmp_path / f"w{number}.news" for number in range(3)]
    heard_tx, heard_rx = trio.open_memory_channel[tuple[int, bytes]](10)
    message = b"x" * MAX_BYTES
    with capture_logs() as logs, trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            for number in (0, 2):

                def take(message: bytes, number: int = number) -> None:
                    heard_tx.send_nowait((number, message))

                await nursery.start(serve_news, paths[number], take)
            await tell(paths, message)
            heard = {await heard_rx.receive() for _ in range(2)}
            nursery.cancel_scope.cancel()
    assert heard == {(0, message), (2, message)}
    (line,) = logs
    assert (line["event"], line["to"]) == ("a worker was not told", "w1")


@pytest.mark.parametrize("size", [0, MAX_BYTES + 1])
async def test_a_message_has_its_limits(tmp_path: Path, size: int) -> None:
    with pytest.raises(ValueError, match=f"1 to {MAX_BYTES} bytes, not {size}"):
        await tell([], b"x" * size)


@pytest.mark.parametrize("said", [b"", b"x" * (MAX_BYTES + 1)])
async def test_what_is_no_message_is_not_taken(tmp_path: Path, said: bytes) -> None:
    path, taken = tmp_path / "w0.news", list[bytes]()
    with trio.fail_after(HANG_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_news, path, taken.append)
            with capture_logs() as logs:
                async with await trio.open_unix_socket(path) as stream:
                    await stream.send_all(said)
                    await stream.send_eof()
                    assert await stream.receive_some(1) == b""
                await tell([path], b"and this is one")
                while not taken:  # noqa: ASYNC110 (another process would be asked the same way)
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert taken == [b"and this is one"]
    assert [line["event"] for line in logs] == ["what a worker told was not understood"]
