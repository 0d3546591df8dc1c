"""What the features share."""

from services.kit.locks import AdvisoryLock
from services.kit.postgres import Connection


async def take(connection: Connection, lock: AdvisoryLock) -> bool:
    """Whether the connection has the lock now, which it keeps as long as it lives. Does not wait for it."""
    row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [lock])).fetchone()
    return row is not None and bool(row[0])
