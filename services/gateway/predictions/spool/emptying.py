"""Brings the spool's rows, and those that dead processes left, into the table as soon as the database can be reached."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import psycopg

from services.gateway.predictions.spool.spool import Spool
from services.kit.postgres import Connection

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.5


async def keep_empty(spool: Spool, connect: Callable[[], Awaitable[Connection]]) -> None:
    """Without end, on a connection of its own, so that new rows do not wait for old ones."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await spool.adopt()
            if spool.pending_rows:
                async with await connect() as connection:
                    await spool.replay(connection)
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            log.warning("the spool is not emptied yet", extra={"error": str(error), "rows": spool.pending_rows})
