"""A version's answers in the audit, in figures."""

from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from psycopg.rows import dict_row

from services.control.rollouts.watching import Answered, Sample
from services.kit.ids import floor_of
from services.kit.postgres import Pool

MOST_ROWS = 5_000
"""The newest: bounds what a look costs the database."""

# `first`: a row that is asked again and again, as probes do, says once what clients look like; all its answers have the same score.
ANSWERED: LiteralString = """
SELECT count(*) AS rows,
    count(score) FILTER (WHERE first) AS score_rows, avg(score) FILTER (WHERE first) AS score_mean, stddev_samp(score) FILTER (WHERE first) AS score_sd,
    count(known) AS known_rows, avg(known) AS known_mean, stddev_samp(known) AS known_sd,
    count(expected) FILTER (WHERE first) AS expected_rows, avg(expected) FILTER (WHERE first) AS expected_mean,
    stddev_samp(expected) FILTER (WHERE first) AS expected_sd,
    percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE single) AS latency
FROM (
    SELECT n.score, n.latency_ms, n.batch_id IS NULL AS single, row_number() OVER (PARTITION BY n.score) = 1 AS first,
        CASE WHEN p.version IS NULL THEN abs(n.score - o.value) / nullif(abs(o.value), 0)
            WHEN o.value IS NULL THEN NULL
            WHEN n.score >= p.threshold THEN (1 - o.value) * (p.costs ->> 'false_alarm')::float8
            ELSE o.value * (p.costs ->> 'missed_positive')::float8 END AS known,
        CASE WHEN p.version IS NULL THEN NULL
            WHEN n.score >= p.threshold THEN (1 - n.score) * (p.costs ->> 'false_alarm')::float8
            ELSE n.score * (p.costs ->> 'missed_positive')::float8 END AS expected
    FROM (
        SELECT id, score, latency_ms, batch_id, policy_version FROM predictions
        WHERE model = %(model)s AND model_version = %(version)s AND id >= %(first)s AND id < %(last)s ORDER BY id DESC LIMIT %(most)s
    ) n
    LEFT JOIN policies p ON p.model = %(model)s AND p.version = n.policy_version
    LEFT JOIN LATERAL (SELECT value FROM outcomes WHERE prediction_id = n.id ORDER BY outcomes.id DESC LIMIT 1) o ON true
) one
"""

WATCHED: LiteralString = """
SELECT (SELECT max(id) FROM deployments WHERE model = %(model)s) AS entry, id, action, from_version, to_version, verdict, created_at,
    extract(epoch FROM now() - created_at)::float8 AS age
FROM deployments WHERE model = %(model)s AND action IN ('promote', 'rollback') AND from_version IS DISTINCT FROM to_version ORDER BY id DESC LIMIT 1
"""


class Looked(NamedTuple):
    answered: Answered
    rows: int
    latency: dict[str, float] | None
    """p50 and p99 in milliseconds, of single rows."""


class Changed(NamedTuple):
    """The last change of the version that serves, and `entry`, the ledger's last row."""

    entry: int
    id: int
    action: str
    from_version: str | None
    to_version: str
    verdict: dict[str, Any] | None
    created_at: datetime
    age: float


class FiguresRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def answered(self, model: str, version: str, since: datetime, until: datetime) -> Looked:
        values = {"model": model, "version": version, "first": floor_of(since), "last": floor_of(until), "most": MOST_ROWS}
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
            row = await (await cursor.execute(ANSWERED, values)).fetchone()
        assert row is not None  # noqa: S101 - an aggregate
        samples = Answered(_sample(row, "score_"), _sample(row, "known_"), _sample(row, "expected_"))
        latency = row["latency"]
        return Looked(samples, row["rows"], latency and {"p50": latency[0], "p99": latency[1]})

    async def changed(self, model: str) -> Changed | None:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(WATCHED, {"model": model})).fetchone()
        return None if row is None else Changed(*row)


def _sample(row: dict[str, Any], prefix: str) -> Sample | None:
    if row[f"{prefix}rows"] < 2 or row[f"{prefix}sd"] is None:
        return None
    return Sample(row[f"{prefix}rows"], row[f"{prefix}mean"], row[f"{prefix}sd"])
