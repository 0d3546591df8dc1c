"""PostgreSQL through psycopg 3. Every connection names its process and has time-outs; SQL stands in repositories only."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

from psycopg import AsyncConnection, Notify, OperationalError, sql
from psycopg_pool import AsyncConnectionPool

log = logging.getLogger(__name__)

ProcessName = Literal[
    "gateway",
    "gateway-journal",
    "gateway-batch",
    "gateway-export",
    "gateway-listen",
    "control",
    "control-listen",
    "control-market",
    "control-audit",
    "control-notifications",
    "control-schedules",
    "control-alarms",
    "control-rollouts",
    "migrations",
    "cli",
]
"""Shown as `application_name` in pg_stat_activity."""

Pool = AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]
Connection = AsyncConnection[tuple[Any, ...]]


def _parameters(process: ProcessName, statement_timeout_ms: int) -> dict[str, Any]:
    options = f"-c statement_timeout={statement_timeout_ms} -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC"
    return {
        "application_name": f"modelyard-{process}",
        "options": options,
        "connect_timeout": 3,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
    }


async def connect(url: str, process: ProcessName, *, autocommit: bool = False, statement_timeout_ms: int = 10_000) -> Connection:
    """A connection outside the pool, for work that keeps one to itself. Raises psycopg.OperationalError when the database is away."""
    return await AsyncConnection.connect(url, autocommit=autocommit, **_parameters(process, statement_timeout_ms))


async def open_pool(url: str, process: ProcessName, *, min_size: int = 1, max_size: int = 8, timeout: float = 5.0) -> Pool:
    """Returns without waiting for the database, so that a process can start, and say what is missing, while it is away."""
    pool: Pool = AsyncConnectionPool(
        url,
        kwargs=_parameters(process, 10_000),
        min_size=min_size,
        max_size=max_size,
        timeout=timeout,
        reconnect_timeout=5.0,  # its pauses double: with minutes, an outage of a minute would last two; requests themselves make it try again
        check=AsyncConnectionPool.check_connection,
        name=f"modelyard-{process}",
        open=False,
    )
    await pool.open(wait=False)
    return pool


SILENT_SECONDS, ANSWER_SECONDS = 5.0, 2.0


async def listen(url: str, process: ProcessName, channels: list[str], lost: Callable[[], None] = lambda: None) -> AsyncIterator[Notify | None]:
    """Notifications of the channels, without end. Yields None after each (re)connection: what was missed is unknown, so drop what you keep.

    `lost` is called when the connection breaks; one that just fell silent is noticed within SILENT_SECONDS + ANSWER_SECONDS.
    """
    delay = 0.1
    while True:
        try:
            async with await connect(url, process, autocommit=True, statement_timeout_ms=0) as connection:
                for channel in channels:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                delay = 0.1
                yield None
                while True:
                    async for notification in connection.notifies(timeout=SILENT_SECONDS):
                        yield notification
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await connection.execute("SELECT")
        except (OperationalError, TimeoutError) as error:
            lost()
            log.warning("lost the connection that listens", extra={"channels": channels, "error": str(error) or type(error).__name__})
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        delay = min(delay * 2, 1.0)
