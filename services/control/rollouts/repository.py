"""Shadow scores, and how far each version has come. What is being tried is the ledger's to say."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from services.control.audit.repository import copied
from services.control.rollouts.schemas import Score
from services.kit.ids import floor_of
from services.kit.postgres import Connection, Pool

LEASE_SECONDS = 10
"""After the last sign of life, another replica may go on."""
BLOCK_ROWS = 500
SETTLED_SECONDS = 2
"""Rows are taken when they are as old: those of the same moment are stored by then."""

TRIAL: LiteralString = """
SELECT now.id AS entry, now.challenger AS version, now.to_version AS champion, now.shadow_percent, now.canary_percent, (
        SELECT min(created_at) FROM deployments d WHERE d.model = now.model AND d.id > coalesce((
            SELECT max(id) FROM deployments o WHERE o.model = now.model AND (o.challenger IS DISTINCT FROM now.challenger OR o.to_version <> now.to_version)
        ), 0)
    ) AS since, (
        SELECT min(created_at) FROM deployments d WHERE d.model = now.model AND d.id > coalesce((
            SELECT max(id) FROM deployments o WHERE o.model = now.model AND (o.challenger IS DISTINCT FROM now.challenger OR o.canary_percent = 0)
        ), 0)
    ) AS canary_since
FROM deployments now WHERE now.model = %s ORDER BY now.id DESC LIMIT 1
"""

TAKE: LiteralString = """
INSERT INTO shadow_progress AS p (model, version, last_id, holder, until)
VALUES (%(model)s, %(version)s, %(first)s, %(replica)s, now() + make_interval(secs => %(lease)s))
ON CONFLICT (model, version) DO UPDATE SET holder = EXCLUDED.holder, until = EXCLUDED.until, last_id = greatest(p.last_id, EXCLUDED.last_id)
WHERE p.holder = EXCLUDED.holder OR p.until <= now()
RETURNING last_id
"""

ROWS: LiteralString = """
SELECT jsonb_build_object('id', id, 'input', input)::text FROM predictions
WHERE model = %(model)s AND model_version = %(champion)s AND id > %(last)s AND id < uuid7_floor(now() - make_interval(secs => %(settled)s))
    AND (%(percent)s = 100 OR (hashtextextended(id::text, 0) & 2147483647) %% 100 < %(percent)s)
ORDER BY id LIMIT %(rows)s
"""

HELD: LiteralString = """
UPDATE shadow_progress SET until = now() + make_interval(secs => %(lease)s), last_id = greatest(last_id, coalesce(%(last)s, last_id)),
    report = coalesce(%(report)s, report), reported_at = CASE WHEN %(report)s::jsonb IS NULL THEN reported_at ELSE now() END
WHERE model = %(model)s AND version = %(version)s AND holder = %(replica)s RETURNING last_id
"""

STORE: LiteralString = """
INSERT INTO shadow_scores (model, version, prediction_id, score, decision, error, latency_us, champion_us)
SELECT %(model)s, %(version)s, * FROM unnest(
    %(id)s::uuid[], %(score)s::float8[], %(decision)s::text[], %(error)s::text[], %(latency_us)s::real[], %(champion_us)s::real[]
)
ON CONFLICT DO NOTHING
"""

PAIRS: LiteralString = """
COPY (SELECT jsonb_build_object('input', p.input, 'champion', p.score, 'challenger', s.score, 'decided', p.decision, 'decides', s.decision, 'error', s.error,
    'us', s.latency_us, 'champion_us', s.champion_us, 'outcome', o.value)::text
FROM (SELECT * FROM shadow_scores WHERE model = %(model)s AND version = %(version)s AND prediction_id >= %(first)s ORDER BY prediction_id DESC LIMIT %(most)s) s
JOIN predictions p ON p.id = s.prediction_id
LEFT JOIN LATERAL (SELECT value FROM outcomes WHERE prediction_id = p.id ORDER BY id DESC LIMIT 1) o ON true) TO STDOUT
"""

PROGRESS: LiteralString = """
SELECT report, reported_at, (SELECT count(*) FROM shadow_scores s WHERE (s.model, s.version) = (p.model, p.version)) AS scored,
    (SELECT count(*) FROM shadow_scores s WHERE (s.model, s.version) = (p.model, p.version) AND error IS NOT NULL) AS failed
FROM shadow_progress p WHERE model = %s AND version = %s
"""

REPLICAS: LiteralString = "SELECT state FROM replicas WHERE model = %s AND reported_at > now() - interval '30 seconds'"

LATEST: LiteralString = "SELECT version FROM shadow_progress WHERE model = %s ORDER BY until DESC LIMIT 1"


@dataclass(frozen=True)
class Trial:
    """What the ledger's last row says; `version` is None when nothing is tried."""

    entry: int
    version: str | None
    champion: str
    shadow_percent: int
    canary_percent: int
    since: datetime | None
    canary_since: datetime | None


@dataclass(frozen=True)
class Progress:
    report: dict[str, Any] | None
    reported_at: datetime | None
    scored: int
    failed: int


class RolloutsRepository:
    def __init__(self, pool: Pool, url: str) -> None:
        self._pool, self._url = pool, url

    async def trial(self, model: str) -> Trial | None:
        async with self._pool.connection() as connection:
            return await _trial(connection, model)

    async def take(self, model: str, version: str, replica: str) -> list[str] | None:
        """The next rows, each as a line of JSON; None when another replica scores for this version. Raises LookupError when it is not tried."""
        async with self._pool.connection() as connection:
            trial = await _trial(connection, model)
            if trial is None or trial.version != version or trial.since is None or not trial.shadow_percent:
                raise LookupError(version)
            values = {"model": model, "version": version, "replica": replica, "first": floor_of(trial.since), "lease": LEASE_SECONDS}
            held = await (await connection.execute(TAKE, values)).fetchone()
            if held is None:
                return None
            wanted = {"model": model, "champion": trial.champion, "last": held[0], "percent": trial.shadow_percent}
            await connection.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
            found = await connection.execute(ROWS, wanted | {"settled": SETTLED_SECONDS, "rows": BLOCK_ROWS})
            return [row[0] for row in await found.fetchall()]

    async def store(self, model: str, version: str, replica: str, scores: list[Score]) -> bool:
        """All of them and how far the version has come by them, or nothing: False when another replica has taken over."""
        columns = {name: [getattr(score, name) for score in scores] for name in Score.model_fields}
        async with self._pool.connection() as connection:
            if not await self._held(connection, model, version, replica, max(score.id for score in scores), None):
                return False
            await connection.execute(STORE, {"model": model, "version": version, **columns})
        return True

    async def report(self, model: str, version: str, replica: str, report: dict[str, Any]) -> bool:
        async with self._pool.connection() as connection:
            return await self._held(connection, model, version, replica, None, report)

    async def _held(self, connection: Connection, model: str, version: str, replica: str, last: UUID | None, report: dict[str, Any] | None) -> bool:
        values = {"model": model, "version": version, "replica": replica, "last": last, "report": None if report is None else Jsonb(report)}
        return await (await connection.execute(HELD, values | {"lease": LEASE_SECONDS})).fetchone() is not None

    def pairs(self, model: str, version: str, since: datetime, most: int) -> AsyncGenerator[bytes]:
        """The newest rows that both have scored, as pieces of JSON lines."""
        return copied(self._url, PAIRS, {"model": model, "version": version, "first": floor_of(since), "most": most})

    async def progress(self, model: str, version: str) -> Progress | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Progress)) as cursor:
            return await (await cursor.execute(PROGRESS, (model, version))).fetchone()

    async def latest(self, model: str) -> str | None:
        """The version that was scored last in the shadow."""
        async with self._pool.connection() as connection:
            row = await (await connection.execute(LATEST, (model,))).fetchone()
        return None if row is None else str(row[0])

    async def replicas(self, model: str) -> list[dict[str, Any]]:
        """What those say that live."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return [row["state"] for row in await (await cursor.execute(REPLICAS, (model,))).fetchall()]


async def _trial(connection: Connection, model: str) -> Trial | None:
    async with connection.cursor(row_factory=class_row(Trial)) as cursor:
        return await (await cursor.execute(TRIAL, (model,))).fetchone()
