"""What is written in one turn of the event loop leaves as one piece, in order, and is never held back longer."""

import asyncio
from typing import Any, cast

from services.kit.corked import Corked


class Pipe:
    """Keeps what a transport is asked to do."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("close")
        self.closed = True

    def abort(self) -> None:
        self.done.append("abort")
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 100


def corked() -> tuple[Corked, Pipe]:
    pipe = Pipe()
    return Corked(cast(asyncio.Transport, pipe)), pipe


async def test_head_and_body_are_one_write() -> None:
    transport, pipe = corked()
    for part in (b"head", b" ", b"body"):
        transport.write(part)
    assert (pipe.done, transport.get_write_buffer_size()) == ([], 109)
    await asyncio.sleep(0)
    assert (pipe.done, transport.get_write_buffer_size()) == ([b"head body"], 100)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert pipe.done == [b"head body", b"next"]


async def test_closing_loses_nothing_and_aborting_all() -> None:
    transport, pipe = corked()
    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)
    assert pipe.done == [b"last words", "close"]
    transport, pipe = corked()
    transport.write(b"unheard")
    transport.abort()
    await asyncio.sleep(0)
    assert (pipe.done, transport.is_closing()) == (["abort"], True)
