"""SQL of the ledger, as far as the gateway reads it itself: which decision is to be verified."""

from typing import NamedTuple

from psycopg.rows import class_row

from services.kit.postgres import Connection


class Decision(NamedTuple):
    id: int
    version: str
    policy_version: int | None
    age: float
    """Seconds, by the database's clock, which has also set the entry's time."""


async def unverified(connection: Connection, model: str) -> Decision | None:
    """The model's last entry that changed what answers, unless its verification is there."""
    statement = """
        SELECT id, to_version AS version, to_policy AS policy_version, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
        FROM (SELECT * FROM deployments WHERE model = %s AND action IN ('promote', 'rollback', 'policy') ORDER BY id DESC LIMIT 1) last
        WHERE NOT EXISTS (SELECT FROM verifications WHERE deployment_id = last.id)"""
    async with connection.cursor(row_factory=class_row(Decision)) as cursor:
        return await (await cursor.execute(statement, [model])).fetchone()
