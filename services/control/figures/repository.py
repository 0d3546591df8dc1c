from collections.abc import Collection, Mapping
from typing import Any, LiteralString

from psycopg.rows import dict_row

from services.control.drift.schemas import Kind
from services.kit.postgres import Pool

DATABASE: LiteralString = """
SELECT pg_database_size(current_database()) AS bytes, sum(numbackends)::integer AS connections, current_setting('max_connections')::integer AS most
FROM pg_stat_database
"""

CHAMPIONS: LiteralString = """
SELECT now.model, now.to_version AS version, now.to_policy AS policy, p.threshold, v.metrics, extract(epoch FROM v.created_at)::float8 AS trained
FROM (SELECT DISTINCT ON (model) model, to_version, to_policy FROM deployments WHERE model = ANY(%(models)s) ORDER BY model, id DESC) now
JOIN model_versions v ON v.model = now.model AND v.version = now.to_version
LEFT JOIN policies p ON p.model = now.model AND p.version = now.to_policy
"""

RUNS: LiteralString = """
SELECT model, kind, status, extract(epoch FROM max(finished_at))::float8 AS ended,
    (array_agg(extract(epoch FROM finished_at - started_at)::float8 ORDER BY finished_at DESC))[1] AS seconds, count(*) AS runs
FROM workflow_runs WHERE model = ANY(%(models)s) GROUP BY model, kind, status
"""

RECENT: LiteralString = """
SELECT m.model, recent.*
FROM unnest(%(models)s::text[]) AS m(model)
CROSS JOIN LATERAL (
    SELECT count(*) AS predictions, count(DISTINCT username) AS users, avg(score) FILTER (WHERE p.version IS NOT NULL) AS probability,
        avg(CASE WHEN score >= p.threshold THEN (1 - score) * (p.costs ->> 'false_alarm')::float8
            ELSE score * (p.costs ->> 'missed_positive')::float8 END) AS cost
    FROM (
        SELECT username, score, policy_version FROM predictions
        WHERE (model, id) >= (m.model, uuid7_floor(now() - interval '1 hour')) AND (model, id) <= (m.model, %(last)s::uuid)
        ORDER BY model DESC, id DESC LIMIT %(most)s
    ) newest
    LEFT JOIN policies p ON p.model = m.model AND p.version = newest.policy_version
) recent
"""

NEW_REPORTS: dict[Kind, LiteralString] = {
    "drift": """
SELECT known.model, report.* FROM unnest(%(models)s::text[], %(ids)s::bigint[]) AS known (model, id)
CROSS JOIN LATERAL (
    SELECT id, extract(epoch FROM created_at)::float8 AS at, rows, alarm, document FROM drift_reports r
    WHERE r.model = known.model AND r.id > known.id ORDER BY id DESC LIMIT 1
) report
""",
    "performance": """
SELECT known.model, report.* FROM unnest(%(models)s::text[], %(ids)s::bigint[]) AS known (model, id)
CROSS JOIN LATERAL (
    SELECT id, extract(epoch FROM created_at)::float8 AS at, rows, alarm, document FROM performance_reports r
    WHERE r.model = known.model AND r.id > known.id ORDER BY id DESC LIMIT 1
) report
""",
}

BY_THE_INDEX: LiteralString = "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"
"""PostgreSQL knows little of the newest rows and takes them for few: it would read and sort a whole hour of them, or filter that of all models by one,
instead of reading the end of the index over (model, id). For the same reason RECENT compares both columns at once."""
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Row = dict[str, Any]


class FiguresRepository:
    def __init__(self, pool: Pool, models: Collection[str]) -> None:
        self._pool = pool
        self._models = list(models)

    async def _rows(self, query: LiteralString, **values: object) -> list[Row]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return await (await cursor.execute(query, {"models": self._models} | values)).fetchall()

    async def database(self) -> Row:
        (row,) = await self._rows(DATABASE)
        return row

    async def champions(self) -> list[Row]:
        """The version of each model that is to serve, as it was registered."""
        return await self._rows(CHAMPIONS)

    async def runs(self) -> list[Row]:
        """For each status how many runs there are, when the last of them ended, and how long that took."""
        return await self._rows(RUNS)

    async def new_reports(self, kind: Kind, known: Mapping[str, int]) -> list[Row]:
        """The newest of each model that has one newer than the one that is known: documents are large, and come once a day."""
        return await self._rows(NEW_REPORTS[kind], ids=[known.get(model, 0) for model in self._models])

    async def recent(self, most: int) -> list[Row]:
        """Of the newest predictions of the last hour, at most so many of a model: what they say on average, and what acting on them is expected to cost."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(BY_THE_INDEX)
            return await (await cursor.execute(RECENT, {"models": self._models, "most": most, "last": LAST_ID})).fetchall()
