"""Small servers for synchronous tests."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Server(Protocol):
    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *raised: object) -> None: ...


SECONDS = 10


@contextmanager
def beside(server: Server) -> Iterator[asyncio.AbstractEventLoop]:
    """The server answers on an event loop in a thread of its own; what changes it has to be called there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(SECONDS)
        yield loop
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()
