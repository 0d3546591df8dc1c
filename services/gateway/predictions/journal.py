"""The audit's writer: natural group commit. No timer: what waits while a commit is under way goes together with the next one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import psycopg
from psycopg.errors import DataError, UniqueViolation

from services.gateway import metrics
from services.gateway.deadlines import Deadlines
from services.gateway.predictions import repository
from services.gateway.predictions.entries import Entry, KeyTaken, away, spool_full, too_late
from services.gateway.predictions.rows import identifier_of
from services.gateway.predictions.spool import Spool, SpoolBroken, SpoolFull
from services.kit.errors import Unavailable
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

MOST_ROWS = 5_000
"""Rows of one commit, unless a single entry has more."""
AT_ONCE_SECONDS = 0.25
"""A lost connection is replaced within this time, or the database counts as away."""
FIRST_DELAY, LONGEST_DELAY = 0.02, 0.5
LOST = (psycopg.OperationalError, psycopg.InterfaceError, OSError, TimeoutError)


class Journal:
    """Owns one connection."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], spool: Spool, deadlines: Deadlines, *, patience: float, capacity: int) -> None:
        """`patience`: seconds that a commit may take, and that rows which may not be spooled wait for an absent database."""
        self._connect = connect
        self._spool = spool
        self._deadlines = deadlines
        self._patience = patience
        self._capacity = capacity
        self._waiting: deque[Entry] = deque()
        self._rows_waiting = 0
        self._doubtful: list[Entry] = []
        self._undelivered: list[bytes] = []
        self._something = asyncio.Event()
        self._connection: Connection | None = None
        self._last_backend: int | None = None
        self._away_since: float | None = None
        self._return: asyncio.Task[None] | None = None
        self._closing = False

    def check(self, spools: bool) -> None:
        """Before any work is done for a request: raises Unavailable when its rows could not be stored anyway."""
        if self._closing:
            raise Unavailable("The gateway is stopping; try again.")
        if self._rows_waiting >= self._capacity:
            raise Unavailable("Too many predictions wait to be recorded; try again.")
        if self._away_since is not None:
            if spools:
                self._check_spool()
            elif time.monotonic() - self._away_since > self._patience:
                raise away()

    def _check_spool(self) -> None:
        try:
            self._spool.check()
        except SpoolFull:
            raise spool_full() from None

    def submit(self, entry: Entry) -> None:
        """`entry.done` tells the outcome; at its deadline an entry that is not yet in a commit is dropped."""
        self._deadlines.watch(entry.done, entry.deadline, too_late)
        self._waiting.append(entry)
        self._rows_waiting += len(entry.rows)
        self._something.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Journal"]:
        """Writes until the block ends, then stores what still waits."""
        writer = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._closing = True
            self._something.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience * 2):
                    await writer
            if self._return is not None:
                self._return.cancel()
            await self._disconnect()

    async def _run(self) -> None:
        await self._begin()
        while True:
            await self._something.wait()
            if not (self._waiting or self._doubtful or self._undelivered):
                if self._closing:
                    return
                self._something.clear()
            elif self._away_since is not None:
                await self._without_database()
            elif self._connection is None:
                await self._begin()
            elif self._doubtful:
                await self._settle(self._connection)
            elif self._undelivered:
                await self._tell_undelivered(self._connection)
            else:
                await self._commit(self._connection, self._take())

    def _take(self, wanted: Callable[[Entry], bool] = lambda _: True) -> list[Entry]:
        """The oldest that are wanted and whose callers still wait; the unwanted keep their places."""
        group: list[Entry] = []
        kept: list[Entry] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0].rows) <= MOST_ROWS):
            entry = self._waiting.popleft()
            if not entry.done.done() and not wanted(entry):
                kept.append(entry)
                continue
            self._rows_waiting -= len(entry.rows)
            if not entry.done.done():
                group.append(entry)
                rows += len(entry.rows)
        self._waiting.extendleft(reversed(kept))
        metrics.audit_waiting.set(self._rows_waiting)
        return group

    async def _commit(self, connection: Connection, group: list[Entry]) -> None:
        if not group:
            return
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._patience):
                taken = await self._write(connection, group)
        except LOST as error:
            await self._lost(group, error)
        except psycopg.Error as error:
            await self._refused(connection, group, error)
        else:
            metrics.audit_commit_seconds.observe(time.perf_counter() - started)
            for entry in taken:
                entry.refuse(KeyTaken())
            self._stored([entry for entry in group if entry not in taken] if taken else group)

    async def _write(self, connection: Connection, group: list[Entry]) -> list[Entry]:
        """One transaction. Those whose key somebody else has are left out and returned."""
        keyed = [entry for entry in group if entry.key is not None]
        if not keyed:
            await repository.store(connection, [row for entry in group for row in entry.rows])
            return []
        async with connection.transaction():
            claims = {entry.key: entry for entry in reversed(keyed) if entry.key is not None}
            won = await repository.claim(connection, {key: identifier_of(entry.rows[0]) for key, entry in claims.items()})
            taken = [entry for entry in keyed if entry.key not in won or claims[entry.key] is not entry]
            await repository.store(connection, [row for entry in group if entry not in taken for row in entry.rows])
        return taken

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
            unable = Unavailable("The prediction could not be recorded, so it is not given; try again.")
            group[0].refuse(error if isinstance(error, DataError) else unable)

    async def _lost(self, group: list[Entry], error: BaseException) -> None:
        """Whether the commit came through is unknown. Rows that may be spooled need not know: their ids make a second writing harmless."""
        log.warning("lost the audit's connection", extra={"rows": sum(len(entry.rows) for entry in group), "error": str(error) or type(error).__name__})
        await self._disconnect()
        spooled = [entry for entry in group if _may_spool(entry) and not entry.done.done()]
        self._doubtful += [entry for entry in group if entry not in spooled]
        await self._spool_rows(spooled)

    async def _settle(self, connection: Connection) -> None:
        """Tells those of a lost commit that came through, and writes the others again; their ids make that safe."""
        try:
            async with asyncio.timeout(self._patience):
                if self._last_backend is not None:
                    await repository.end(connection, self._last_backend)
                there = await repository.stored(connection, [identifier_of(entry.rows[0]) for entry in self._doubtful])
        except (psycopg.Error, OSError, TimeoutError) as error:
            await self._lost([], error)
            return
        group, self._doubtful, self._last_backend = self._doubtful, [], None
        self._stored([entry for entry in group if identifier_of(entry.rows[0]) in there])
        self._put_back([entry for entry in group if identifier_of(entry.rows[0]) not in there])

    async def _tell_undelivered(self, connection: Connection) -> None:
        telling = self._undelivered[:MOST_ROWS]
        try:
            async with asyncio.timeout(self._patience):
                await repository.tell_undelivered(connection, telling, "deadline")
        except (psycopg.Error, OSError, TimeoutError) as error:
            await self._lost([], error)
        else:
            del self._undelivered[: len(telling)]

    def _put_back(self, group: list[Entry]) -> None:
        self._waiting.extendleft(reversed(group))
        self._rows_waiting += sum(len(entry.rows) for entry in group)
        self._something.set()

    def _stored(self, group: Iterable[Entry], outcome: str = "stored") -> None:
        for entry in group:
            if entry.done.done():
                metrics.audit_rows.labels("late").inc(len(entry.rows))
                self._undelivered += map(identifier_of, entry.rows)
            else:
                metrics.audit_rows.labels(outcome).inc(len(entry.rows))
                entry.done.set_result(None)

    async def _without_database(self) -> None:
        """What may go to the spool goes there; the rest waits as long as the patience lasts."""
        await self._spool_rows(self._take(_may_spool))
        if self._closing or (self._away_since is not None and time.monotonic() - self._away_since > self._patience):
            for entry in [*self._take(lambda entry: not _may_spool(entry)), *self._doubtful]:
                entry.refuse(away())
            if self._closing:
                self._doubtful, self._undelivered = [], []
                return
        if not any(_may_spool(entry) for entry in self._waiting):
            self._something.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_DELAY if self._waiting else None):
                    await self._something.wait()
            self._something.set()

    async def _spool_rows(self, group: list[Entry]) -> None:
        if not group:
            return
        try:
            await self._spool.append([row for entry in group for row in entry.rows])
        except SpoolBroken:  # which the spool has logged and counted
            for entry in group:
                entry.refuse(spool_full())
        else:
            self._stored(group, "spooled")

    async def _begin(self) -> None:
        """Connects at once, or finds the database away; then the way back is looked for beside the spooling."""
        try:
            async with asyncio.timeout(AT_ONCE_SECONDS):
                self._connection = await self._connect()
        except LOST as error:
            self._away_since = time.monotonic()
            log.warning("the audit's database is away", extra={"error": str(error) or type(error).__name__})
            self._return = asyncio.create_task(self._come_back(self._away_since))

    async def _come_back(self, since: float) -> None:
        delay = FIRST_DELAY
        while self._connection is None:
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
            with suppress(*LOST):
                self._connection = await self._connect()
        log.info("the audit's database is back", extra={"seconds": round(time.monotonic() - since, 1)})
        self._away_since = None
        self._something.set()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._last_backend = connection.info.backend_pid
            await connection.close()


def _may_spool(entry: Entry) -> bool:
    """A key can only be claimed in the database, so its request has to wait for it."""
    return entry.spools and entry.key is None
