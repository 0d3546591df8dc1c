from typing import Any, LiteralString

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from services.control.notifications import telling
from services.control.registry.schemas import PredictionDocument, Registration
from services.kit.postgres import Pool

MODELS: LiteralString = """
SELECT m.model AS name, now.to_version AS version, put.created_at AS since, put.actor AS by, v.metrics, latest.version AS latest_version,
    p.version AS policy_version, p.threshold, p.costs, p.risk_levels, coalesce(reports.replicas, '[]') AS replicas
FROM unnest(%s::text[]) AS m(model)
LEFT JOIN LATERAL (SELECT to_version, to_policy FROM deployments d WHERE d.model = m.model ORDER BY id DESC LIMIT 1) now ON true
LEFT JOIN LATERAL (
    SELECT created_at, actor FROM deployments d WHERE d.model = m.model AND action IN ('promote', 'rollback') AND from_version IS DISTINCT FROM to_version
    ORDER BY id DESC LIMIT 1
) put ON true
LEFT JOIN model_versions v ON v.model = m.model AND v.version = now.to_version
LEFT JOIN policies p ON p.model = m.model AND p.version = now.to_policy
LEFT JOIN LATERAL (SELECT version FROM model_versions n WHERE n.model = m.model ORDER BY created_at DESC LIMIT 1) latest ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
        'replica', replica, 'version', state -> 'champion' -> 'version', 'policy_version', state -> 'policy' -> 'version',
        'engine', state -> 'champion' -> 'engine', 'reported_at', reported_at, 'refused', coalesce(state -> 'refused', '[]')
    ) ORDER BY replica) AS replicas
    FROM replicas r WHERE r.model = m.model AND reported_at > now() - interval '60 seconds'
) reports ON true
ORDER BY m.model
"""

VERSION: LiteralString = """
SELECT v.*, v.version = now.to_version IS TRUE AS champion
FROM model_versions v
LEFT JOIN LATERAL (SELECT to_version FROM deployments d WHERE d.model = v.model ORDER BY id DESC LIMIT 1) now ON true
WHERE v.model = %(model)s
"""

PAGE: LiteralString = """
AND (%(after)s::text IS NULL
    OR (v.created_at, v.version) < (SELECT created_at, version FROM model_versions WHERE model = %(model)s AND version = %(after)s))
ORDER BY v.created_at DESC, v.version DESC LIMIT %(limit)s
"""

REGISTER: LiteralString = """
INSERT INTO model_versions (model, version, run_id, artifact, sha256, source, data_hash, engine, metrics, policy)
VALUES (%(model)s, %(version)s, %(run_id)s, %(artifact)s, %(sha256)s, %(source)s, %(data_hash)s, %(engine)s, %(metrics)s, %(policy)s)
ON CONFLICT (model, version) DO NOTHING
"""

LATEST_PREDICTION: LiteralString = """
SELECT id, created_at, model, model_version, policy_version, username, request_id, batch_id, row_number, input, output, score, decision, latency_ms
FROM predictions WHERE model = %s ORDER BY id DESC LIMIT 1
"""

Row = dict[str, Any]


class RegistryRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _rows(self, query: LiteralString, values: Any) -> list[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(query, values)).fetchall()

    async def models(self, names: list[str]) -> list[Row]:
        return await self._rows(MODELS, (names,))

    async def versions(self, model: str, limit: int, after: str | None) -> list[Row]:
        """Newest first, those that come after the version `after` in this order; none when there is no such version."""
        return await self._rows(VERSION + PAGE, {"model": model, "limit": limit, "after": after})

    async def version(self, model: str, version: str) -> Row | None:
        rows = await self._rows(VERSION + " AND v.version = %(version)s", {"model": model, "version": version})
        return rows[0] if rows else None

    async def best(self, model: str, metric: str, sign: int) -> Row | None:
        """The version with the highest value of `sign` × metric on the hold-out; the newest of equals.

        Invented data is easier than the world, so its numbers count only where there are no others.
        """
        value: LiteralString = "(v.metrics #>> ARRAY['holdout', 'metrics', %(metric)s, 'value'])::float8"
        query: LiteralString = (
            VERSION + " AND " + value + " IS NOT NULL ORDER BY v.source = 'synthetic', %(sign)s * " + value + " DESC, v.created_at DESC LIMIT 1"
        )
        rows = await self._rows(query, {"model": model, "metric": metric, "sign": sign})
        return rows[0] if rows else None

    async def register(self, model: str, new: Registration) -> bool:
        """False when the version is there already, equal or not."""
        values = new.model_dump() | {"model": model, "metrics": Jsonb(new.metrics)}
        values["policy"] = None if new.policy is None else Jsonb(new.policy.model_dump())
        async with self._pool.connection() as connection:
            made = (await connection.execute(REGISTER, values)).rowcount == 1
            if made:
                await telling.registered(connection, model, new.version, new.source, new.data_hash)
        return made

    async def judge(self, model: str, version: str, verdict: dict[str, Any]) -> bool:
        """False when there is no such version."""
        query: LiteralString = "UPDATE model_versions SET verdict = %s WHERE model = %s AND version = %s"
        async with self._pool.connection() as connection:
            found = (await connection.execute(query, (Jsonb(verdict), model, version))).rowcount == 1
            if found:
                await telling.judged(connection, model, version, verdict)
        return found

    async def latest_prediction(self, model: str) -> PredictionDocument | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(PredictionDocument)) as cursor:
            return await (await cursor.execute(LATEST_PREDICTION, (model,))).fetchone()
