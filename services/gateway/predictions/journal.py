"""The audit's writer: natural group commit. No timer: what waits while a commit is under way goes together with the next one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg.errors import DataError, UniqueViolation

from services.gateway import metrics
from services.gateway.predictions import repository
from services.gateway.predictions.repository import Row
from services.kit.errors import Unavailable
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

MOST_ROWS = 5_000
"""Rows of one commit, unless a single entry has more."""
FIRST_DELAY, LONGEST_DELAY = 0.02, 1.0


@dataclass(slots=True, eq=False)
class Entry:
    """The rows of one request: stored together or not at all."""

    rows: list[Row]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def abandoned(self) -> bool:
        """Its request was told 503 already."""
        return self.done.cancelled()


class Journal:
    """Owns one connection. `write` returns when the rows are durable, and at no other time."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, patience: float, capacity: int) -> None:
        self._connect = connect
        self._patience = patience
        self._capacity = capacity
        self._waiting: deque[Entry] = deque()
        self._rows_waiting = 0
        self._doubtful: list[Entry] = []
        self._something = asyncio.Event()
        self._connection: Connection | None = None
        self._away_since: float | None = None
        self._closing = False
        self._delay = FIRST_DELAY

    async def write(self, rows: list[Row]) -> None:
        """Raises Unavailable when that cannot be had within the patience: the rows then count as not answered."""
        self.check()
        entry = Entry(rows)
        self._waiting.append(entry)
        self._count(len(rows))
        self._something.set()
        try:
            async with asyncio.timeout(self._patience):
                await entry.done
        except TimeoutError:
            if entry.done.done() and not entry.abandoned:
                return entry.done.result()
            raise Unavailable("The prediction could not be recorded in time, so it is not given; try again.", retry_after=2) from None

    def check(self) -> None:
        """Before any work is done for a request: raises Unavailable when its rows could not be stored anyway."""
        if self._closing:
            raise Unavailable("The gateway is stopping; try again.")
        if self._away_since is not None and time.monotonic() - self._away_since > self._patience:
            raise Unavailable("The audit's database is away, so no prediction is given; try again.", retry_after=2)
        if self._rows_waiting >= self._capacity:
            raise Unavailable("Too many predictions wait to be recorded; try again.")

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Journal"]:
        """Writes until the block ends, then stores what still waits."""
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._closing = True
            self._something.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await task
            if self._connection is not None:
                await self._connection.close()

    async def _run(self) -> None:
        await self._connected()
        while True:
            await self._something.wait()
            if self._doubtful:
                await self._settle(await self._connected())
            elif self._waiting:
                await self._commit(await self._connected(), self._take())
            elif self._closing:
                return
            else:
                self._something.clear()

    def _take(self) -> list[Entry]:
        group: list[Entry] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0].rows) <= MOST_ROWS):
            entry = self._waiting.popleft()
            self._count(-len(entry.rows))
            if not entry.abandoned:
                group.append(entry)
                rows += len(entry.rows)
        return group

    async def _commit(self, connection: Connection, group: list[Entry]) -> None:
        if not group:
            return
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._patience * 2):
                await repository.store(connection, [row for entry in group for row in entry.rows])
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError) as error:
            await self._lost(group, error)
        except psycopg.Error as error:
            await self._refused(connection, group, error)
        else:
            metrics.audit_commit_seconds.observe(time.perf_counter() - started)
            self._stored(group)

    async def _refused(self, connection: Connection, group: list[Entry], error: psycopg.Error) -> None:
        """PostgreSQL refused the group and stored nothing of it: each entry is tried alone, so that one cannot spoil the others."""
        if len(group) > 1:
            for position, entry in enumerate(group):
                if self._connection is not connection:
                    self._put_back(group[position:])
                    return
                await self._commit(connection, [entry])
        elif isinstance(error, UniqueViolation):
            # Only a row written again after a lost connection is there already: the first attempt had come through.
            self._doubtful += group
        else:
            metrics.audit_rows.labels("refused").inc(len(group[0].rows))
            log.error("the audit refused rows", extra={"error": str(error), "sqlstate": error.sqlstate})
            fault = error if isinstance(error, DataError) else Unavailable("The prediction could not be recorded, so it is not given; try again.")
            if not group[0].done.done():
                group[0].done.set_exception(fault)

    async def _lost(self, group: list[Entry], error: BaseException) -> None:
        """Whether the commit came through is unknown until a new connection looks."""
        log.warning("lost the audit's connection", extra={"rows": sum(len(entry.rows) for entry in group), "error": str(error) or type(error).__name__})
        self._doubtful += group
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        await self._back_off()

    async def _settle(self, connection: Connection) -> None:
        """Tells those of a lost commit that came through, and writes the others again; their ids make that safe."""
        try:
            async with asyncio.timeout(self._patience * 2):
                there = await repository.stored(connection, [entry.rows[0].id for entry in self._doubtful])
        except (psycopg.Error, OSError, TimeoutError) as error:
            await self._lost([], error)
            return
        group, self._doubtful = self._doubtful, []
        self._stored([entry for entry in group if entry.rows[0].id in there])
        self._put_back([entry for entry in group if entry.rows[0].id not in there])

    def _put_back(self, group: list[Entry]) -> None:
        self._waiting.extendleft(reversed(group))
        self._count(sum(len(entry.rows) for entry in group))
        self._something.set()

    def _stored(self, group: list[Entry]) -> None:
        self._delay = FIRST_DELAY
        for entry in group:
            metrics.audit_rows.labels("late" if entry.abandoned else "stored").inc(len(entry.rows))
            if not entry.done.done():
                entry.done.set_result(None)

    async def _connected(self) -> Connection:
        while self._connection is None or self._connection.broken:
            try:
                self._connection = await self._connect()
            except (psycopg.OperationalError, OSError) as error:
                if self._away_since is None:
                    self._away_since = time.monotonic()
                    log.warning("the audit's database is away", extra={"error": str(error)})
                await self._back_off()
        if self._away_since is not None:
            log.info("the audit's database is back", extra={"seconds": round(time.monotonic() - self._away_since, 1)})
            self._away_since = None
        return self._connection

    async def _back_off(self) -> None:
        await asyncio.sleep(self._delay)
        self._delay = min(self._delay * 2, LONGEST_DELAY)

    def _count(self, rows: int) -> None:
        self._rows_waiting += rows
        metrics.audit_waiting.inc(rows)
