"""SQL of the audit: predictions are only ever added and read."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import dict_row

from services.gateway.predictions.rows import COLUMNS, HEADER, TRAILER, Key, values_of
from services.kit.direct import copy_in, execute
from services.kit.ids import floor_of
from services.kit.postgres import Connection

LISTED = ", ".join(COLUMNS)
COPY = f"COPY predictions ({LISTED}) FROM STDIN (FORMAT BINARY)"
INSERT = f"INSERT INTO predictions ({LISTED}) VALUES ({', '.join(f'${number}' for number in range(1, len(COLUMNS) + 1))})"  # noqa: S608 - constants
_COPY, _INSERT = COPY.encode(), INSERT.encode()
KEY_HOURS = 24
"""An Idempotency-Key is kept so long."""
KEYS_LOCK = 7239002
"""Seed of the advisory locks of idempotency keys."""


async def store(connection: Connection, tuples: Sequence[bytes]) -> None:
    """All or none; durable on return when the connection is in autocommit mode, else when its transaction ends. See rows.py for the tuples."""
    if len(tuples) == 1:
        await execute(connection, _INSERT, values_of(tuples[0]))
    else:
        await copy_in(connection, _COPY, b"".join((HEADER, *tuples, TRAILER)))


@asynccontextmanager
async def copying(connection: Connection, key: Key | None = None, batch_id: bytes | None = None) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """One transaction: yields what takes joined tuples, commits when the block ends, keeps nothing when it raises.

    With a key it begins by claiming it for the batch, and raises LookupError, before anything is written, when somebody else has it.
    """
    async with connection.transaction():
        if key is not None and batch_id is not None and not await claim(connection, {key: batch_id}, batch=True):
            raise LookupError(key.key)
        async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            await copy.write(HEADER)
            yield copy.write
            await copy.write(TRAILER)


async def claim(connection: Connection, wanted: Mapping[Key, bytes], *, batch: bool = False) -> set[Key]:
    """Takes each key for the prediction (or batch) of that id, and returns those that were free or older than KEY_HOURS.

    Never waits: a key that another transaction is about to take is not free. Otherwise a long batch would stop everybody's commits by its key.
    """
    keys = list(wanted)
    identifiers = [UUID(bytes=wanted[key]) for key in keys]
    columns = [[key.username for key in keys], [key.key for key in keys], [key.fingerprint for key in keys]]
    cursor = await connection.execute(
        f"""INSERT INTO idempotency_keys AS kept (username, key, fingerprint, {"batch_id" if batch else "prediction_id"})
            SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::uuid[]) AS wanted (username, key)
            WHERE pg_try_advisory_xact_lock(hashtextextended(wanted.username || E'\n' || wanted.key, {KEYS_LOCK}))
            ON CONFLICT (username, key) DO UPDATE SET
                (fingerprint, prediction_id, batch_id, created_at) = (excluded.fingerprint, excluded.prediction_id, excluded.batch_id, excluded.created_at)
                WHERE kept.created_at < now() - make_interval(hours => {KEY_HOURS})
            RETURNING username, key""",  # noqa: S608 - constants
        [*columns, identifiers],
    )
    taken = set(await cursor.fetchall())
    return {key for key in keys if (key.username, key.key) in taken}


async def stored(connection: Connection, ids: Iterable[bytes]) -> set[bytes]:
    """Which of them are there."""
    cursor = await connection.execute("SELECT id FROM predictions WHERE id = ANY(%s)", [[UUID(bytes=identifier) for identifier in ids]])
    return {row[0].bytes for row in await cursor.fetchall()}


async def restore(connection: Connection, tuples: Sequence[bytes]) -> None:
    """Rows that may be there already, which then stay as they are. One transaction; `tuples` may be joined."""
    async with connection.transaction():
        await connection.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS restored ON COMMIT DELETE ROWS AS SELECT {LISTED} FROM predictions WITH NO DATA")  # noqa: S608 - constants
        async with connection.cursor() as cursor, cursor.copy(f"COPY restored ({LISTED}) FROM STDIN (FORMAT BINARY)") as copy:
            await copy.write(b"".join((HEADER, *tuples, TRAILER)))
        await connection.execute(f"INSERT INTO predictions ({LISTED}) SELECT {LISTED} FROM restored ON CONFLICT (id) DO NOTHING")  # noqa: S608 - constants


async def tell_undelivered(connection: Connection, ids: Collection[bytes], reason: str) -> None:
    """Their rows are stored, but the callers were told that there is no answer."""
    statement = "INSERT INTO undelivered (prediction_id, reason) SELECT *, %s FROM unnest(%s::uuid[]) ON CONFLICT DO NOTHING"
    await connection.execute(statement, [reason, [UUID(bytes=identifier) for identifier in ids]])


async def end(connection: Connection, backend: int) -> None:
    """Ends a session of ours that was given up, so that what it was about to commit is either there or never will be."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE pid = %s AND application_name = current_setting('application_name')", [backend]
    )


async def tallies(connection: Connection, nodes: Collection[str], since: datetime) -> dict[str, tuple[int, int]]:
    """By node, how many rows it made since then are stored, and of how many the caller never had the answer. See kit/ids.py for the node in an id."""
    cursor = await connection.execute(
        """SELECT right(id::text, 8) AS node, count(*), count(undelivered.prediction_id)
           FROM predictions LEFT JOIN undelivered ON prediction_id = id
           WHERE id >= %s AND right(id::text, 8) = ANY(%s) GROUP BY node""",
        [floor_of(since), list(nodes)],
    )
    return {node: (rows, unheard) for node, rows, unheard in await cursor.fetchall()}


async def oldest_month(connection: Connection) -> datetime | None:
    """Where the oldest partition begins: what is older was dropped."""
    cursor = await connection.execute(
        """SELECT min(to_timestamp(substring(relname FROM '[0-9]{4}_[0-9]{2}$') || ' +00', 'YYYY_MM TZH'))
           FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'predictions'::regclass"""
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def ensure_partitions(connection: Connection, months_ahead: int) -> int:
    """How many were missing."""
    row = await (await connection.execute("SELECT ensure_prediction_partitions(%s)", [months_ahead])).fetchone()
    return int(row[0]) if row else 0


async def has_partition(connection: Connection) -> bool:
    """Whether the rows of this moment have a partition of their own."""
    statement = "SELECT to_regclass('predictions_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')) IS NOT NULL"
    row = await (await connection.execute(statement)).fetchone()
    return bool(row and row[0])


OUTCOME = """LEFT JOIN LATERAL (
    SELECT value, recorded_at, actor FROM outcomes WHERE prediction_id = predictions.id ORDER BY outcomes.id DESC LIMIT 1
) told ON true"""
"""The last one is the truth."""
_TOLD = "CASE WHEN told.value IS NOT NULL THEN jsonb_build_object('value', told.value, 'recorded_at', recorded_at, 'actor', actor) END AS outcome"
SELECT = f"SELECT {', '.join(f'predictions.{column}' for column in COLUMNS)}, {_TOLD} FROM predictions {OUTCOME}"  # noqa: S608 - constants


async def of_ids(connection: Connection, identifiers: Collection[UUID]) -> list[dict[str, Any]]:
    """Newest first, each with its outcome."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"{SELECT} WHERE predictions.id = ANY(%s) ORDER BY predictions.id DESC", [list(identifiers)])
        return await cursor.fetchall()


async def one(connection: Connection, identifier: UUID) -> dict[str, Any] | None:
    return next(iter(await of_ids(connection, [identifier])), None)


class Kept(NamedTuple):
    """What an Idempotency-Key stands for: one of the two."""

    fingerprint: bytes
    prediction_id: UUID | None
    batch_id: UUID | None


async def kept(connection: Connection, username: str, key: str) -> Kept | None:
    """Nothing once it is older than KEY_HOURS, whether it is still there or not."""
    statement = f"""SELECT fingerprint, prediction_id, batch_id FROM idempotency_keys
        WHERE username = %s AND key = %s AND created_at >= now() - make_interval(hours => {KEY_HOURS})"""  # noqa: S608 - constants
    row = await (await connection.execute(statement, [username, key])).fetchone()
    return Kept(*row) if row else None


async def forget_keys(connection: Connection) -> None:
    """Those that are too old to mean anything."""
    await connection.execute(f"DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => {KEY_HOURS})")  # noqa: S608 - constants


async def of_batch(connection: Connection, batch_id: UUID) -> AsyncGenerator[dict[str, Any]]:
    """Its rows in their order, as they arrive from the database. The id of a batch is older than those of its rows, which spares older partitions."""
    columns = "id, row_number, output, model_version, policy_version"
    statement = f"SELECT {columns} FROM predictions WHERE batch_id = %s AND id > %s ORDER BY row_number"  # noqa: S608 - constants
    async with connection.cursor(f"batch-{batch_id.hex}", row_factory=dict_row) as cursor:
        cursor.itersize = 2048
        await cursor.execute(statement, [batch_id, batch_id])
        async for row in cursor:
            yield row
