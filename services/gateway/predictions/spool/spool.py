"""Durable answers while the database is away: rows go to files of this process, and from there into the table when it is back."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from services.gateway import metrics
from services.gateway.predictions.spool import files, records, restoring
from services.gateway.predictions.spool.answered import Answered
from services.gateway.predictions.spool.files import SpoolBroken, SpoolFull
from services.gateway.predictions.spool.records import Contents
from services.gateway.predictions.spool.segment import Sealed, Segment, broken
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

T = TypeVar("T")

SEGMENT_BYTES = 4 * 1024 * 1024
"""A segment that has grown so large is followed by the next: replay reads a segment as a whole."""
GROUP_BYTES = 4 * 1024 * 1024
FRESH_SECONDS = 0.25
"""How long the size of the folder, which other processes write to as well, counts as known."""


@dataclass(slots=True, eq=False)
class _Append:
    content: bytes
    rows: int
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Spool:
    """One for each gateway process, which alone writes its segments. All files are touched in one thread, so that the event loop never waits for a disk."""

    def __init__(self, folder: Path, node: str, limit_bytes: int, answered: Answered) -> None:
        self.answered = answered
        self.pending_rows = self.pending_bytes = 0
        """What the database has not confirmed yet, of this process and of the dead ones whose segments it took over."""
        self._folder, self._node, self._limit = folder, node, limit_bytes
        metrics.spool_limit_bytes.set(limit_bytes)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._waiting: deque[_Append] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._replaying = asyncio.Lock()
        self._measured: tuple[float, int] = (float("-inf"), 0)
        # From here on the thread's.
        self._segment: Segment | None = None
        self._number = 0
        self._sealed: list[Sealed] = []

    @classmethod
    async def open(cls, folder: Path, node: str, limit_bytes: int) -> Self:
        """Takes over what dead processes left in the folder. Raises SpoolBroken, saying why, when nothing could be kept there."""
        spool = cls(folder, node, limit_bytes, await asyncio.to_thread(Answered.open, folder, node))
        await spool.adopt()
        return spool

    async def close(self) -> None:
        """After the last append. What was not replayed stays for the next process."""
        if self._writer is not None:
            await self._writer
        async with self._replaying:
            await self._in_thread(self._seal)
            self._thread.shutdown()
            self.answered.close()

    def check(self) -> None:
        """Before any work is done for a request: raises SpoolFull when its rows could not be kept anyway."""
        if self._total(FRESH_SECONDS) >= self._limit:
            raise SpoolFull(f"{self._limit} bytes of predictions wait for the database")

    async def append(self, tuples: Sequence[bytes]) -> None:
        """Durable on return; who asks meanwhile shares the next write to the disk. Raises SpoolFull or SpoolBroken, and then none of the rows counts."""
        entry = _Append(records.encode(tuples), len(tuples))
        self._waiting.append(entry)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_what_waits())
        await entry.done

    async def adopt(self) -> None:
        """Takes over the segments of processes that are no more."""
        adopted = await self._in_thread(self._adopt)
        if adopted:
            log.warning("took over predictions of processes that ended", extra={"segments": len(adopted), "rows": sum(one.rows for one in adopted)})

    async def replay(self, connection: Connection) -> int:
        """Brings what waits into the table, and returns how many rows that was. What is there already stays as it is, so that it may be done again.

        Raises psycopg.Error when the database goes away meanwhile: a segment is removed only after all its rows are committed.
        """
        rows = 0
        async with self._replaying:
            await self.adopt()
            for one in await self._in_thread(self._seal):
                rows += await self._restore(connection, one)
        return rows

    async def _restore(self, connection: Connection, one: Sealed) -> int:
        contents = await self._in_thread(_read, one)
        refused = await restoring.restore(connection, contents.records)
        if contents.torn and one.may_be_torn:
            log.warning("the end of a segment was never finished, as its process died", extra={"file": one.path.name, "bytes": contents.torn})
        if contents.damaged or refused:
            metrics.spool_corrupt.inc()
            log.error(
                "a segment of the spool holds what cannot be stored; it is kept as .corrupt for whoever looks into it",
                extra={"file": one.path.stem, "damaged_bytes": contents.damaged, "refused_rows": refused, "stored_rows": contents.rows - refused},
            )
        await self._in_thread(self._finish, one, files.set_aside if contents.damaged or refused else files.remove)
        metrics.spool_replayed.inc(contents.rows - refused)
        return contents.rows - refused

    async def _write_what_waits(self) -> None:
        while self._waiting:
            group = [self._waiting.popleft()]
            size = len(group[0].content)
            while self._waiting and size + len(self._waiting[0].content) <= GROUP_BYTES:
                group.append(self._waiting.popleft())
                size += len(group[-1].content)
            try:
                await self._write(group)
            except Exception:  # noqa: BLE001 - each is told its own
                await self._each_alone(group)

    async def _each_alone(self, group: list[_Append]) -> None:
        """Once more: one that is too large does not spoil the others, and a new segment may lie in a better place."""
        for entry in group:
            try:
                await self._write([entry])
            except SpoolBroken as error:
                self._tell(entry, error)
            except Exception as error:
                log.exception("the spool failed")
                self._tell(entry, SpoolBroken(str(error)))

    async def _write(self, group: list[_Append]) -> None:
        content, rows = b"".join(entry.content for entry in group), sum(entry.rows for entry in group)
        await self._in_thread(self._append, content, rows)
        metrics.spool_appended.inc(rows)
        for entry in group:
            if not entry.done.done():
                entry.done.set_result(None)

    def _tell(self, entry: _Append, error: SpoolBroken) -> None:
        metrics.spool_refused.labels("full" if isinstance(error, SpoolFull) else "broken").inc(entry.rows)
        log.error("the spool does not take a prediction", extra={"error": str(error), "rows": entry.rows})
        if not entry.done.done():
            entry.done.set_exception(error)

    def _append(self, content: bytes, rows: int) -> None:
        if self._total(0) + len(content) > self._limit:
            raise SpoolFull(f"{self._limit} bytes of predictions wait for the database")
        if self._segment is not None and (self._segment.spoilt or self._segment.size >= SEGMENT_BYTES):
            self._seal()
        if self._segment is None:
            self._segment = Segment(self._next_file())
        self._segment.append(content, rows)
        self._count()

    def _seal(self) -> list[Sealed]:
        """What there is to replay, oldest first; later appends begin a new segment."""
        if self._segment is not None:
            sealed, self._segment = self._segment.seal(), None
            if sealed.rows:
                self._sealed.append(sealed)
            else:
                files.remove(sealed.path)
        return list(self._sealed)

    def _finish(self, one: Sealed, how: Callable[[Path], None]) -> None:
        how(one.path)
        self._sealed.remove(one)
        self._count()

    def _adopt(self) -> list[Sealed]:
        """Segments change their name with their owner, one after the other, so that a crash in between leaves each with somebody."""
        adopted: list[Sealed] = []
        for node in dict.fromkeys(node for node, _ in files.of_kind(self._folder, "segment") if node != self._node):
            with files.claimed(self._folder, node) as dead:
                for owner, path in files.of_kind(self._folder, "segment") if dead else ():
                    if owner == node:
                        mine = path.rename(self._next_file())
                        adopted.append(Sealed(mine, mine.stat().st_size, records.decode(mine.read_bytes()).rows, may_be_torn=True))
        if adopted:
            files.sync(self._folder)
        self._sealed += adopted
        self._count()
        return adopted

    def _next_file(self) -> Path:
        self._number += 1
        return files.segment_file(self._folder, self._node, self._number)

    def _total(self, fresh_seconds: float) -> int:
        moment, total = self._measured
        if time.monotonic() - moment > fresh_seconds:
            try:
                total = files.total_bytes(self._folder)
            except OSError as error:
                raise broken(error) from error
            self._measured = (time.monotonic(), total)
        return total

    def _count(self) -> None:
        known: list[Sealed | Segment] = [*self._sealed, *([self._segment] if self._segment else [])]
        self.pending_rows = sum(one.rows for one in known)
        self.pending_bytes = sum(one.size for one in known)
        metrics.spool_rows.set(self.pending_rows)
        metrics.spool_bytes.set(self.pending_bytes)

    def _in_thread(self, work: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _read(one: Sealed) -> Contents:
    try:
        content = one.path.read_bytes()[: one.size]
    except OSError:
        log.exception("a segment of the spool cannot be read")
        return Contents(damaged=one.size)
    contents = records.decode(content)
    if not one.may_be_torn:
        contents.damaged += contents.torn + one.size - len(content)
    return contents
