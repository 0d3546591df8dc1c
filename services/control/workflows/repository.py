from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from services.control.notifications import telling
from services.control.workflows.schemas import Kind, Run, Status, Submission
from services.kit.ids import uuid7
from services.kit.postgres import Connection, Pool

RUN: LiteralString = "id, kind, model, parameters, reason, actor, status, steps, result, error, created_at, started_at, finished_at"

CREATE: LiteralString = f"""
INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status)
VALUES (%(id)s, %(kind)s, %(model)s, %(parameters)s, %(reason)s, %(actor)s, 'queued')
RETURNING {RUN}
"""  # noqa: S608 - a constant

GET: LiteralString = f"""
SELECT {RUN} FROM workflow_runs WHERE id = %(id)s
"""  # noqa: S608 - a constant

LIST: LiteralString = f"""
SELECT {RUN} FROM workflow_runs
WHERE (%(model)s::text IS NULL OR model = %(model)s) AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(after)s::uuid IS NULL OR (created_at, id) < (SELECT created_at, id FROM workflow_runs WHERE id = %(after)s))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - a constant

RUNNING: LiteralString = f"""
SELECT {RUN} FROM workflow_runs WHERE status = 'running' ORDER BY created_at, id
"""  # noqa: S608 - a constant

KNOWN: LiteralString = "SELECT id FROM workflow_runs WHERE id = ANY(%(ids)s)"

TAKE_TURNS: LiteralString = "SELECT pg_advisory_xact_lock(hashtext('workflow_runs'))"
"""Else two controls, of which one replaces the other, could each find a free place and take both."""

CLAIM: LiteralString = f"""
UPDATE workflow_runs SET status = 'running', started_at = clock_timestamp()
WHERE status = 'queued' AND id = (
    SELECT id FROM workflow_runs AS waiting
    WHERE status = 'queued'
        AND (SELECT count(*) FROM workflow_runs WHERE status = 'running') < %(at_once)s
        AND NOT EXISTS (SELECT FROM workflow_runs AS other WHERE other.status = 'running' AND other.model = waiting.model)
    ORDER BY created_at, id LIMIT 1
)
RETURNING {RUN}
"""  # noqa: S608 - a constant

ADOPT: LiteralString = """
INSERT INTO workflow_runs (id, kind, model, parameters, reason, actor, status, created_at, started_at)
VALUES (%(id)s, %(kind)s, %(model)s, %(parameters)s, %(reason)s, %(actor)s, 'running', %(created_at)s, %(created_at)s)
ON CONFLICT (id) DO NOTHING
"""

WITHDRAW: LiteralString = f"""
UPDATE workflow_runs SET status = 'stopped', finished_at = clock_timestamp(), error = %(error)s
WHERE id = %(id)s AND status = 'queued' RETURNING {RUN}
"""  # noqa: S608 - a constant

FAIL_RUNNING: LiteralString = f"""
UPDATE workflow_runs SET status = 'failed', finished_at = clock_timestamp(), error = %(error)s,
    steps = (SELECT coalesce(jsonb_agg(CASE WHEN step ->> 'status' = 'running' THEN step || '{{"status": "failed"}}' ELSE step END ORDER BY place), '[]')
             FROM jsonb_array_elements(steps) WITH ORDINALITY AS each(step, place))
WHERE status = 'running' RETURNING {RUN}
"""  # noqa: S608 - a constant

SAVE: LiteralString = """
UPDATE workflow_runs SET status = %(status)s, steps = %(steps)s, result = %(result)s, error = %(error)s, finished_at = %(finished_at)s
WHERE id = %(id)s AND status = 'running'
"""
"""What has ended stays as it ended: another control may have seen more than this one."""


async def insert(connection: Connection, asked: Submission, run_id: UUID | None = None) -> Run:
    """Queued once the connection's transaction is committed; whatever carries runs out has to be woken then."""
    values = {"id": run_id or uuid7(), "kind": asked.kind, "model": asked.model, "reason": asked.reason, "actor": asked.actor}
    async with connection.cursor(row_factory=class_row(Run)) as cursor:
        run = await (await cursor.execute(CREATE, values | {"parameters": Jsonb(asked.parameters.model_dump(exclude_none=True))})).fetchone()
    assert run is not None  # noqa: S101 - an INSERT without a condition
    return run


class RunsRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _runs(self, query: LiteralString, **values: object) -> list[Run]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Run)) as cursor:
            return await (await cursor.execute(query, values)).fetchall()

    async def create(self, asked: Submission, run_id: UUID | None = None) -> Run:
        async with self._pool.connection() as connection:
            return await insert(connection, asked, run_id)

    async def get(self, run_id: UUID) -> Run | None:
        return next(iter(await self._runs(GET, id=run_id)), None)

    async def newest(self, limit: int, *, model: str | None, kind: Kind | None, status: Status | None, after: UUID | None) -> list[Run]:
        """Those that come after the run `after` in this order; none when there is no such run."""
        return await self._runs(LIST, model=model, kind=kind, status=status, after=after, limit=limit)

    async def running(self) -> list[Run]:
        """Oldest first."""
        return await self._runs(RUNNING)

    async def claim(self, at_once: int) -> Run | None:
        """Makes the oldest queued run a running one that may be; None when there is none: `at_once` may run, one of a model."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Run)) as cursor:
            await cursor.execute(TAKE_TURNS)
            return await (await cursor.execute(CLAIM, {"at_once": at_once})).fetchone()

    async def known(self, ids: Sequence[UUID]) -> set[UUID]:
        """Which of them are runs."""
        async with self._pool.connection() as connection:
            return {row[0] for row in await (await connection.execute(KNOWN, {"ids": list(ids)})).fetchall()}

    async def adopt(self, run: Run) -> None:
        """Makes a row of a run that somebody else began; nothing when it has one."""
        values = run.model_dump(include={"id", "kind", "model", "reason", "actor", "created_at"})
        async with self._pool.connection() as connection:
            await connection.execute(ADOPT, values | {"parameters": Jsonb(run.parameters)})

    async def withdraw(self, run_id: UUID, error: str) -> Run | None:
        """Stops a queued run; None when it is not queued any more."""
        return next(iter(await self._runs(WITHDRAW, id=run_id, error=error)), None)

    async def fail_running(self, error: str) -> list[Run]:
        """Of all that are said to be running, with the step that was."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Run)) as cursor:
            failed = await (await cursor.execute(FAIL_RUNNING, {"error": error})).fetchall()
            for run in failed:
                await telling.run_failed(connection, run)
        return failed

    async def save(self, run: Run) -> bool:
        """False when the run has ended already, and nothing was changed."""
        values = run.model_dump(include={"id", "status", "error", "finished_at"})
        values["steps"] = Jsonb([step.model_dump(mode="json") for step in run.steps])
        values["result"] = None if run.result is None else Jsonb(run.result)
        async with self._pool.connection() as connection:
            saved = (await connection.execute(SAVE, values)).rowcount == 1
            if saved and run.status == "failed":
                await telling.run_failed(connection, run)
        return saved
