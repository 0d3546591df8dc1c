from datetime import datetime
from typing import Any, LiteralString

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from services.control.drift.schemas import Answered, DriftCheck, Kind, PerformanceCheck, Stored
from services.kit.postgres import Connection, Pool

ADD_DRIFT: LiteralString = """
INSERT INTO drift_reports (model, version, window_from, window_to, rows, alarm, document)
VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id, created_at
"""

ADD_PERFORMANCE: LiteralString = "INSERT INTO performance_reports (model, rows, alarm, document) VALUES (%s, %s, %s, %s) RETURNING id, created_at"

PAGES: dict[Kind, LiteralString] = {
    "drift": "SELECT id, created_at, document FROM drift_reports WHERE model = %s AND id < %s ORDER BY id DESC LIMIT %s",
    "performance": "SELECT id, created_at, document FROM performance_reports WHERE model = %s AND id < %s ORDER BY id DESC LIMIT %s",
}

FORGOTTEN: LiteralString = """
SELECT report.id, report.document
FROM (SELECT DISTINCT ON (model) * FROM drift_reports WHERE model = %s AND created_at > now() - interval '1 day' ORDER BY model, id DESC) report
WHERE alarm AND created_at < now() - make_interval(secs => %s) AND NOT EXISTS (
    SELECT FROM retrainings WHERE model = report.model AND reason IN ('drift', 'performance') AND last_at >= report.created_at
)
"""
"""A decision that was collapsed into an earlier row has moved its `last_at`."""

ANSWERED: LiteralString = """
SELECT p.version, to_char(days.day, 'YYYY-MM-DD') AS day, p.answered, p.known
FROM generate_series(date_trunc('day', %(since)s AT TIME ZONE 'UTC'), now() AT TIME ZONE 'UTC', interval '1 day') AS days (day)
CROSS JOIN LATERAL (
    SELECT greatest(uuid7_floor(days.day AT TIME ZONE 'UTC'), uuid7_floor(%(since)s)) AS first,
        uuid7_floor((days.day + interval '1 day') AT TIME ZONE 'UTC') AS last
    OFFSET 0
) bounds
CROSS JOIN LATERAL (
    SELECT model_version AS version, count(*) AS answered, count(o.prediction_id) AS known
    FROM predictions
    LEFT JOIN (SELECT DISTINCT prediction_id FROM outcomes WHERE prediction_id >= bounds.first AND prediction_id < bounds.last) o ON o.prediction_id = id
    WHERE model = %(model)s AND id >= bounds.first AND id < bounds.last GROUP BY model_version
) p
ORDER BY 1, 2
"""
"""Day by day, each a range of ids: nothing but indexes is read."""

LONG: LiteralString = "SET LOCAL statement_timeout = '120s'; SET LOCAL jit = off"
"""A million rows of a model take some seconds."""


class DriftRepository:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def page(self, kind: Kind, model: str, limit: int, before: int) -> list[dict[str, Any]]:
        """Newest first; what was told, with its id and its moment."""
        async with self.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = await (await cursor.execute(PAGES[kind], (model, before, limit))).fetchall()
        return [{"id": row["id"], "created_at": row["created_at"], **row["document"]} for row in rows]

    async def forgotten(self, model: str, seconds: float) -> tuple[int, DriftCheck] | None:
        """The newest report, if it is an alarm of the last day, older than so many seconds, after which nothing was decided about a retraining."""
        async with self.pool.connection() as connection:
            row = await (await connection.execute(FORGOTTEN, (model, seconds))).fetchone()
        return None if row is None else (int(row[0]), DriftCheck.model_validate(row[1]))

    async def answered(self, model: str, since: datetime) -> list[Answered]:
        """By version and day of the prediction."""
        async with self.pool.connection() as connection, connection.cursor(row_factory=class_row(Answered)) as cursor:
            await cursor.execute(LONG)
            return await (await cursor.execute(ANSWERED, {"model": model, "since": since})).fetchall()

    async def knows(self, model: str, version: str) -> bool:
        query: LiteralString = "SELECT FROM model_versions WHERE model = %s AND version = %s"
        async with self.pool.connection() as connection:
            return await (await connection.execute(query, (model, version))).fetchone() is not None


async def add_drift(connection: Connection, model: str, check: DriftCheck) -> Stored:
    values = (model, check.version, check.window.begin, check.window.end, check.window.rows, check.alarm, Jsonb(check.model_dump(mode="json", by_alias=True)))
    return await _added(connection, ADD_DRIFT, values)


async def add_performance(connection: Connection, model: str, check: PerformanceCheck) -> Stored:
    return await _added(connection, ADD_PERFORMANCE, (model, check.rows, check.alarm, Jsonb(check.model_dump(mode="json"))))


async def _added(connection: Connection, query: LiteralString, values: tuple[Any, ...]) -> Stored:
    async with connection.cursor(row_factory=class_row(Stored)) as cursor:
        found = await (await cursor.execute(query, values)).fetchone()
    assert found is not None  # noqa: S101 - an INSERT without a condition
    return found
