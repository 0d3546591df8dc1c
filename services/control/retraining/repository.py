from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from services.control.retraining.rules import Facts, Refusal
from services.control.retraining.schemas import Cause, Retraining
from services.kit.postgres import Connection, Pool

ROW: LiteralString = "id, model, reason, decision, rule, why, detail, actor, run_id, created_at, times, last_at"

FACTS: LiteralString = """
SELECT
    (SELECT id::text FROM workflow_runs WHERE model = %(model)s AND kind = 'train' AND status IN ('queued', 'running') LIMIT 1) AS under_way,
    (SELECT extract(epoch FROM clock_timestamp() - max(created_at))::float8 FROM workflow_runs run
        WHERE model = %(model)s AND kind = 'train' AND status <> 'stopped'
            AND (reason LIKE 'schedule%%' OR EXISTS (SELECT FROM retrainings WHERE run_id = run.id))) AS since_last,
    (SELECT count(*) FROM retrainings WHERE model = %(model)s AND decision = 'submitted' AND created_at > clock_timestamp() - interval '24 hours') AS today,
    (SELECT CASE WHEN EXISTS (
            SELECT FROM jsonb_array_elements(steps) step WHERE step ->> 'name' = 'validate' AND (step ->> 'exit_code')::integer = 2
        ) THEN extract(epoch FROM clock_timestamp() - finished_at)::float8 END
        FROM workflow_runs WHERE model = %(model)s AND kind = 'train' AND status IN ('succeeded', 'failed') AND finished_at IS NOT NULL
            AND NOT parameters ? 'data_dir'
        ORDER BY finished_at DESC LIMIT 1) AS bad_data,
    (SELECT count(*) FROM (
        SELECT DISTINCT o.prediction_id FROM outcomes o JOIN predictions p ON p.id = o.prediction_id
        WHERE p.model = %(model)s AND o.prediction_id > uuid7_floor(now() - make_interval(days => %(days)s)) LIMIT %(most)s
    ) known) AS labelled,
    EXISTS (SELECT FROM candles) AS candles
"""

SUBMITTED: LiteralString = f"""
INSERT INTO retrainings (model, reason, decision, why, detail, actor, run_id)
VALUES (%(model)s, %(reason)s, 'submitted', %(why)s, %(detail)s, %(actor)s, %(run)s) RETURNING {ROW}
"""  # noqa: S608 - a constant

REPEATED: LiteralString = f"""
UPDATE retrainings SET times = times + 1, last_at = clock_timestamp()
WHERE id = (SELECT max(id) FROM retrainings WHERE model = %(model)s AND reason = %(reason)s)
    AND decision = 'refused' AND rule = %(rule)s AND created_at > clock_timestamp() - interval '1 hour' RETURNING {ROW}
"""  # noqa: S608 - a constant

REFUSED: LiteralString = f"""
INSERT INTO retrainings (model, reason, decision, rule, why, detail, actor)
VALUES (%(model)s, %(reason)s, 'refused', %(rule)s, %(why)s, %(detail)s, %(actor)s) RETURNING {ROW}
"""  # noqa: S608 - a constant

PAGE: LiteralString = f"""
SELECT {ROW} FROM retrainings WHERE model = %s AND id < %s ORDER BY id DESC LIMIT %s
"""  # noqa: S608 - a constant


class Deciding:
    """The decisions about one model, in a transaction that no other decision about it, and no change of what serves, runs beside."""

    def __init__(self, connection: Connection, model: str) -> None:
        self.connection = connection
        self._model = model

    async def facts(self, recent_days: int, enough: int) -> Facts:
        """`enough` outcomes are as good as more."""
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            row = await (await cursor.execute(FACTS, {"model": self._model, "days": recent_days, "most": enough})).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without a FROM
        return Facts(**row)

    async def submitted(self, reason: Cause, why: str, detail: dict[str, Any], actor: str, run: UUID) -> Retraining:
        values = {"model": self._model, "reason": reason, "why": why, "detail": Jsonb(detail), "actor": actor, "run": run}
        return await self._row(SUBMITTED, values)

    async def refused(self, reason: Cause, refusal: Refusal, detail: dict[str, Any], actor: str) -> tuple[Retraining, bool]:
        """The row, and whether it is new: a refusal that says what the last one within the hour said is counted in that."""
        values = {"model": self._model, "reason": reason, "rule": refusal.rule, "why": refusal.why, "detail": Jsonb(detail), "actor": actor}
        async with self.connection.cursor(row_factory=class_row(Retraining)) as cursor:
            repeated = await (await cursor.execute(REPEATED, values)).fetchone()
        return (repeated, False) if repeated is not None else (await self._row(REFUSED, values), True)

    async def _row(self, query: LiteralString, values: dict[str, Any]) -> Retraining:
        async with self.connection.cursor(row_factory=class_row(Retraining)) as cursor:
            found = await (await cursor.execute(query, values)).fetchone()
        assert found is not None  # noqa: S101 - an INSERT without a condition
        return found


class RetrainingRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def deciding(self, model: str) -> AsyncIterator[Deciding]:
        """Commits at the end."""
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (model,))
            yield Deciding(connection, model)

    async def page(self, model: str, limit: int, before: int) -> list[Retraining]:
        """Newest first, those with an id below `before`."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Retraining)) as cursor:
            return await (await cursor.execute(PAGE, (model, before, limit))).fetchall()
