"""A batch's audit rows: one transaction, all or nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import psycopg

from services.gateway.predictions import repository
from services.gateway.predictions.rows import Key, identifier_of
from services.kit.errors import Unavailable
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

LOST = (psycopg.OperationalError, psycopg.InterfaceError, OSError)

Write = Callable[[list[bytes]], Awaitable[None]]
"""Takes COPY tuples."""


class Away(Exception):
    """The database is away, and nothing of the batch is stored."""


class Audit:
    """Streams large batches into the database, each over a connection of its own, so that nothing of them waits in memory."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, patience: float) -> None:
        """`connect` gives a connection in autocommit mode; `patience` in seconds, for a commit."""
        self._connect = connect
        self._patience = patience

    @asynccontextmanager
    async def transaction(self, key: Key | None, batch_id: bytes) -> AsyncIterator[Write]:
        """The block's end commits. Raises Away as long as nothing can be stored, LookupError when the key is taken.

        When the connection is lost during the commit, another one ends it and looks; Unavailable then means that nothing is stored, unless it says otherwise.
        """
        try:
            connection = await self._connect()
        except LOST as error:
            raise Away from error
        first = b""
        ending = False

        async def write(tuples: list[bytes]) -> None:
            nonlocal first
            first = first or identifier_of(tuples[0])
            try:
                await copy(b"".join(tuples))
            except LOST as error:
                raise Away from error

        try:
            async with asyncio.timeout(None) as limit:
                async with repository.copying(connection, key, batch_id) as copy:
                    yield write
                    ending = True
                    limit.reschedule(asyncio.get_running_loop().time() + self._patience)
        except (*LOST, TimeoutError) as error:
            if not ending:
                raise Away from error
            backend = connection.info.backend_pid if not connection.closed else None
            await connection.close()
            await self._settle(first, backend, error)
        finally:
            await connection.close()

    async def _settle(self, first: bytes, backend: int | None, error: BaseException) -> None:
        """Returns when the batch is stored after all. All of it is, or nothing: one row tells."""
        log.warning("lost the connection during a batch's commit", extra={"error": str(error) or type(error).__name__})
        try:
            async with asyncio.timeout(self._patience), await self._connect() as connection:
                if backend is not None:
                    await repository.end(connection, backend)
                there = await repository.stored(connection, [first])
        except (*LOST, TimeoutError):
            unknown = "Whether the batch was recorded is not known, so it is not given; try again, with an Idempotency-Key to have it recorded once."
            raise Unavailable(unknown, retry_after=2) from None
        if not there:
            raise Unavailable("The batch could not be recorded, so it is not given; try again.", retry_after=2) from None
