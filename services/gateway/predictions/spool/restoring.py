"""From records into the table: small transactions with pauses, so that predictions that are being answered meanwhile hardly notice."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence

from psycopg.errors import DataError, IntegrityError

from services.gateway.predictions import repository
from services.gateway.predictions.spool.records import Record
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

MOST_ROWS = 500
MOST_BYTES = 1024 * 1024
"""Of one transaction, unless a single record has more."""


async def restore(connection: Connection, found: Sequence[Record]) -> int:
    """Returns how many rows PostgreSQL refused for what they hold, which is none unless something is very wrong."""
    refused = 0
    for group in _groups(found):
        started = time.monotonic()
        try:
            await repository.restore(connection, [one.payload for one in group])
        except (DataError, IntegrityError):
            refused += await _alone(connection, group)
        await asyncio.sleep(time.monotonic() - started)  # leaves half of the time to others
    return refused


async def _alone(connection: Connection, group: Sequence[Record]) -> int:
    refused = 0
    for one in group:
        try:
            await repository.restore(connection, [one.payload])
        except (DataError, IntegrityError) as error:
            refused += one.rows
            log.exception("PostgreSQL refuses a prediction of the spool", extra={"sqlstate": error.sqlstate, "rows": one.rows})
    return refused


def _groups(found: Sequence[Record]) -> Iterator[list[Record]]:
    group: list[Record] = []
    rows = size = 0
    for one in found:
        if group and (rows + one.rows > MOST_ROWS or size + len(one.payload) > MOST_BYTES):
            yield group
            group, rows, size = [], 0, 0
        group.append(one)
        rows, size = rows + one.rows, size + len(one.payload)
    if group:
        yield group
