"""From prepared rows to a durable answer."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import IO
from uuid import UUID

from services.gateway import metrics
from services.gateway.predictions.batch import scoring
from services.gateway.predictions.batch.assembly import Asked, Assembly
from services.gateway.predictions.batch.audit import Audit, Away, Write
from services.gateway.predictions.batch.columns import Pin, Scores
from services.gateway.predictions.batch.prepared import Chunk, Prepared
from services.gateway.predictions.batch.readers import SLICE_ROWS
from services.gateway.predictions.batch.turns import Turns
from services.gateway.predictions.entries import Entry
from services.gateway.predictions.hop import Moved, Runner
from services.gateway.predictions.journal import Journal
from services.kit.errors import GatewayTimeout, NotFound, Unavailable
from services.kit.ids import uuid7_bytes

PAUSES = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Seconds before each attempt to have a whole batch answered by one state of the model."""
PATIENCE = 5.0
"""Seconds that a large batch waits for those before it."""
JOURNAL_ROWS = 2048
"""A batch of so many rows shares a commit with others; a larger one has a transaction and a connection of its own."""
SPOOLED_BYTES = 8 * 1024 * 1024
"""Largest batch that is answered while the database is away."""
IN_MEMORY = 8 * 1024 * 1024
"""Bytes of an answer that wait in memory for the commit; the others wait on disk."""


@dataclass(slots=True)
class Answer:
    """Stored already, all of it."""

    batch_id: UUID
    file: IO[bytes]
    size: int
    rows: int
    """Predictions among them."""


@dataclass(slots=True)
class _Attempt:
    batch_id: bytes
    file: IO[bytes]
    decisions: Counter[str | None] = field(default_factory=Counter)


Recording = Callable[[Asked, _Attempt], AbstractAsyncContextManager[Write]]
"""How audit rows become durable: what takes them, until the end of the block."""


class Batches:
    def __init__(self, journal: Journal, audit: Audit, *, at_once: int) -> None:
        """`journal`: one that single rows do not wait in; `at_once`: large batches that are worked on at a time."""
        self._journal = journal
        self._audit = audit
        self._places = asyncio.Semaphore(at_once)
        self.turns = Turns()

    @asynccontextmanager
    async def place(self, *, large: bool, deadline: float) -> AsyncIterator[None]:
        """Bounds memory and database connections. Raises Unavailable when there is no place within PATIENCE, or before the deadline."""
        if not large:
            yield
            return
        try:
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + PATIENCE)):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("Too many large batches are worked on; try again.", retry_after=5) from None
        try:
            yield
        finally:
            self._places.release()

    async def answer(self, asked: Asked, runner: Runner, prepared: Prepared) -> Answer:
        """Raises a Problem, and then nothing is stored. Raises LookupError when the key was taken meanwhile."""
        for pause in PAUSES:
            await asyncio.sleep(pause)
            with suppress(Moved):
                return await self._settled(asked, runner, prepared)
        raise Unavailable("The model was being exchanged all the while; try again.", retry_after=2)

    async def _settled(self, asked: Asked, runner: Runner, prepared: Prepared) -> Answer:
        if asked.key is None and await prepared.has_at_most(JOURNAL_ROWS):
            return await self._attempt(asked, runner, prepared, self._together)
        try:
            return await self._attempt(asked, runner, prepared, self._alone)
        except Away:
            if not asked.contract.spools or asked.key is not None:
                raise Unavailable("The audit's database is away, so no prediction is given; try again.", retry_after=2) from None
            return await self._attempt(asked, runner, prepared, self._together)

    async def _attempt(self, asked: Asked, runner: Runner, prepared: Prepared, recording: Recording) -> Answer:
        attempt = _Attempt(uuid7_bytes(), SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - the answer takes it along
        try:
            async with recording(asked, attempt) as write:
                try:
                    async with asyncio.timeout_at(asked.deadline):
                        by = await self._write_all(asked, runner, prepared, attempt, write)
                except TimeoutError:
                    raise GatewayTimeout("The batch was not answered before its deadline; X-Request-Timeout sets another, or send fewer rows.") from None
        except BaseException:
            attempt.file.close()
            raise
        for decision, count in attempt.decisions.items():
            metrics.predicted(asked.contract.name, by.version, decision, count)
        size = attempt.file.tell()
        attempt.file.seek(0)
        return Answer(UUID(bytes=attempt.batch_id), attempt.file, size, prepared.valid)

    @asynccontextmanager
    async def _alone(self, asked: Asked, attempt: _Attempt) -> AsyncIterator[Write]:
        started = time.perf_counter()
        async with self._audit.transaction(asked.key, attempt.batch_id) as write:
            yield write
        metrics.audit_commit_seconds.observe(time.perf_counter() - started)
        metrics.audit_rows.labels("stored").inc(attempt.decisions.total())

    @asynccontextmanager
    async def _together(self, asked: Asked, _: _Attempt) -> AsyncIterator[Write]:
        """The journal takes them with what else waits, and knows what to do when the database is away."""
        self._journal.check(asked.contract.spools)
        held: list[bytes] = []
        size = 0

        async def write(tuples: list[bytes]) -> None:
            nonlocal size
            size += sum(map(len, tuples))
            if size > SPOOLED_BYTES:
                raise Unavailable("The audit's database is away, and the batch is too large to be kept until it is back; try again.", retry_after=2)
            held.extend(tuples)

        yield write
        entry = Entry(held, asked.deadline, asked.contract.spools)
        self._journal.submit(entry)
        await entry.done

    async def _write_all(self, asked: Asked, runner: Runner, prepared: Prepared, attempt: "_Attempt", write: Write) -> Pin:
        known = await scoring.first(runner, prepared, asked.deadline)
        by = known[1].by
        asked.contract.require(asked.version, by.version)
        if asked.policy_version not in (None, by.policy_version):
            raise NotFound(f"Policy {asked.policy_version} of {asked.contract.name} does not serve; policy {by.policy_version} does.")
        assembly = Assembly(asked, attempt.batch_id, known[1])
        attempt.file.write(assembly.writer.begin())
        async with aclosing(scoring.scored(runner, prepared, known, asked.deadline)) as answers:
            async for chunk, scores in answers:
                if scores is None:
                    attempt.file.write(assembly.failed(chunk))
                else:
                    attempt.decisions.update(scores.decisions)
                    await self._write_chunk(assembly, chunk, scores, attempt.file, write)
        attempt.file.write(assembly.writer.end())
        return by

    async def _write_chunk(self, assembly: Assembly, chunk: Chunk, scores: Scores, file: IO[bytes], write: Write) -> None:
        numbers = chunk.numbers()
        failed = {failure.row: failure for failure in chunk.failed}
        begin = chunk.begin
        for at in range(0, len(numbers), SLICE_ROWS):
            await self.turns.next()
            upto = at + SLICE_ROWS
            end = numbers[upto] if upto < len(numbers) else chunk.end
            tuples, part = assembly.slice(chunk, scores, numbers, at, range(begin, end), failed)
            begin = end
            file.write(part)
            await write(tuples)
