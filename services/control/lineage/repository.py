from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from services.control.deployments.repository import ENTRY
from services.control.deployments.schemas import LedgerEntry, Verification
from services.control.lineage.schemas import Link, PolicyRecord
from services.kit.postgres import Pool

CHAIN: LiteralString = """
SELECT id, ledger_text(deployments) AS text, encode(previous_hash, 'hex') AS previous_hash, encode(hash, 'hex') AS hash
FROM deployments WHERE model = %s ORDER BY id
"""

LAST: LiteralString = f"SELECT {ENTRY} FROM deployments WHERE model = %s AND created_at <= %s ORDER BY id DESC LIMIT 1"  # noqa: S608 - a constant

NEAREST: LiteralString = """
ORDER BY created_at > %(moment)s, CASE WHEN created_at > %(moment)s THEN id ELSE -id END LIMIT 1
"""
"""The last one until then; else, since two machines' clocks may differ a little, the first one after."""

PUT: LiteralString = f"""
SELECT {ENTRY} FROM deployments WHERE model = %(model)s AND (
    (to_version = %(version)s AND action IN ('promote', 'rollback') AND from_version IS DISTINCT FROM to_version)
    OR (challenger = %(version)s AND action = 'canary')
) {NEAREST}
"""  # noqa: S608 - a constant

SET: LiteralString = f"""
SELECT {ENTRY} FROM deployments WHERE model = %(model)s AND (
    (to_policy = %(policy)s AND action IN ('promote', 'rollback', 'policy') AND from_policy IS DISTINCT FROM to_policy)
    OR (challenger_policy = %(policy)s AND action = 'canary')
) {NEAREST}
"""  # noqa: S608 - a constant

POLICY: LiteralString = "SELECT version, threshold, costs, risk_levels, actor, reason, created_at FROM policies WHERE model = %s AND version = %s"

VERIFIED: LiteralString = """
INSERT INTO verifications (deployment_id, complete, seconds, replicas)
SELECT id, %(complete)s, %(seconds)s, %(replicas)s FROM deployments WHERE id = %(entry)s AND model = %(model)s
ON CONFLICT (deployment_id) DO NOTHING
"""

ONE: LiteralString = f"SELECT {ENTRY} FROM deployments WHERE model = %s AND id = %s"  # noqa: S608 - a constant


class LineageRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def chain(self, model: str) -> list[Link]:
        """Oldest first."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Link)) as cursor:
            return await (await cursor.execute(CHAIN, (model,))).fetchall()

    async def head(self, model: str) -> str | None:
        query: LiteralString = "SELECT encode(hash, 'hex') FROM deployments WHERE model = %s ORDER BY id DESC LIMIT 1"
        async with self._pool.connection() as connection:
            row = await (await connection.execute(query, (model,))).fetchone()
        return None if row is None else str(row[0])

    async def last(self, model: str, moment: datetime) -> LedgerEntry | None:
        """The entry that said what serves at the moment."""
        return await self._entry(LAST, (model, moment))

    async def put(self, model: str, version: str, moment: datetime) -> LedgerEntry | None:
        """The entry that let the version answer, all callers or some."""
        return await self._entry(PUT, {"model": model, "version": version, "moment": moment})

    async def set(self, model: str, policy: int, moment: datetime) -> LedgerEntry | None:
        """The entry since which was decided by the policy."""
        return await self._entry(SET, {"model": model, "policy": policy, "moment": moment})

    async def policy(self, model: str, version: int) -> PolicyRecord | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(PolicyRecord)) as cursor:
            return await (await cursor.execute(POLICY, (model, version))).fetchone()

    async def verified(self, model: str, entry: int, said: Verification) -> LedgerEntry | None:
        """The entry with its verification, which is the first that was told; None when the model has no such entry."""
        document = said.model_dump(mode="json")
        values = document | {"replicas": Jsonb(document["replicas"]), "model": model, "entry": entry}
        async with self._pool.connection() as connection:
            await connection.execute(VERIFIED, values)
        return await self._entry(ONE, (model, entry))

    async def _entry(self, query: LiteralString, values: Any) -> LedgerEntry | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
            return await (await cursor.execute(query, values)).fetchone()
