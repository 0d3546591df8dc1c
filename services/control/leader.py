"""Work that one control does for all: the one whose connection has the advisory lock. Another takes over when that connection is lost."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import LiteralString

from psycopg import OperationalError

from services.control.repository import take
from services.kit.locks import AdvisoryLock
from services.kit.postgres import Connection, ProcessName, connect

log = logging.getLogger(__name__)

ANOTHER_LOOK = 5.0
"""Seconds until a control that has not got the lock, or has lost the database, tries again."""


Work = Callable[[asyncio.Event], Awaitable[None]]


async def lead(url: str, process: ProcessName, lock: AdvisoryLock, work: Work, channel: LiteralString | None = None) -> None:
    """Without end. `work` goes on until it raises or the connection is lost; its event is set whenever the database notifies `channel`."""
    while True:
        try:
            async with await connect(url, process, autocommit=True) as connection:
                if await take(connection, lock):
                    await _both(connection, channel, work)
        except* OperationalError as lost:
            log.warning("nobody leads: the database is away", extra={"work": process, "error": str(lost.exceptions[0])})
        except* Exception:
            log.exception("what one control does for all has failed", extra={"work": process})
        await asyncio.sleep(ANOTHER_LOOK)


async def _both(connection: Connection, channel: LiteralString | None, work: Work) -> None:
    news = asyncio.Event()
    if channel is not None:
        await connection.execute(f"LISTEN {channel}")
    async with asyncio.TaskGroup() as group:
        group.create_task(_hear(connection, news))
        group.create_task(_raising(work, news))


async def _raising(work: Work, news: asyncio.Event) -> None:
    await work(news)
    raise RuntimeError("work that has no end has ended")


async def _hear(connection: Connection, news: asyncio.Event) -> None:
    while True:
        async for _ in connection.notifies(timeout=5.0, stop_after=1):
            news.set()
        await connection.execute("SELECT")


async def within(seconds: float, news: asyncio.Event) -> None:
    """Returns when there is news, or the time is up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0.0)):
            await news.wait()
    news.clear()
