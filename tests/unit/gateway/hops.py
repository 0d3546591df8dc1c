"""What the tests of the hop share."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from services.gateway.deadlines import Deadlines
from services.gateway.predictions.hop import Runner

T = TypeVar("T")


@asynccontextmanager
async def hop_to(*urls: str, model: str = "tiny", **options: Any) -> AsyncIterator[Runner]:
    """The hop to the runner of a model. Its bound on waiting is far away unless the test sets one."""
    deadlines = Deadlines()
    sweeping = asyncio.create_task(deadlines.run())
    runner = Runner(model, urls, deadlines, **({"max_wait": 60} | options))
    async with runner.watching():
        yield runner
    sweeping.cancel()
    with suppress(asyncio.CancelledError):
        await sweeping


async def begun(*calls: Coroutine[Any, Any, T]) -> list[asyncio.Task[T]]:
    """Each on its way before the next one begins: rows that come together go together."""
    tasks = []
    for call in calls:
        tasks.append(asyncio.create_task(call))
        for _ in range(6):
            await asyncio.sleep(0)
    return tasks


def within(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def row(n: int = 0) -> bytes:
    return b'{"n": %d}' % n


def answer(document: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(document), document)


GOOD = (
    b'{"model":"tiny","version":"3","policy_version":2,"engine":"linear","scores":[0.25],"decisions":["stays"],"answers":[{"prediction":0,"probability":0.25}]}'
)
