from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from services.control.deployments.schemas import Desired, LedgerEntry, Policy
from services.control.notifications import telling
from services.kit.postgres import Connection, Pool

ENTRY: LiteralString = """
id, action, from_version, to_version, from_policy, to_policy, actor, reason, verdict, created_at,
challenger, challenger_policy, shadow_percent, canary_percent, encode(hash, 'hex') AS hash,
(SELECT jsonb_build_object('complete', v.complete, 'seconds', v.seconds, 'replicas', v.replicas, 'verified_at', v.verified_at)
    FROM verifications v WHERE v.deployment_id = deployments.id) AS verification
"""

DESIRED: LiteralString = """
SELECT d.id, d.shadow_percent, d.canary_percent,
    coalesce((
        SELECT greatest(0, %(watch)s * 60 - extract(epoch FROM now() - created_at)) FROM (
            SELECT action, from_version, created_at FROM deployments
            WHERE model = d.model AND action IN ('promote', 'rollback') AND from_version IS DISTINCT FROM to_version ORDER BY id DESC LIMIT 1
        ) last WHERE action = 'promote' AND from_version IS NOT NULL
    ), 0)::float8 AS watch_seconds,
    jsonb_build_object('version', v.version, 'artifact', v.artifact, 'sha256', v.sha256) AS champion,
    CASE WHEN p.version IS NOT NULL
        THEN jsonb_build_object('version', p.version, 'threshold', p.threshold, 'costs', p.costs, 'risk_levels', p.risk_levels) END AS policy,
    CASE WHEN cv.version IS NOT NULL THEN jsonb_build_object('version', cv.version, 'artifact', cv.artifact, 'sha256', cv.sha256) END AS challenger,
    CASE WHEN cp.version IS NOT NULL
        THEN jsonb_build_object('version', cp.version, 'threshold', cp.threshold, 'costs', cp.costs, 'risk_levels', cp.risk_levels) END AS challenger_policy
FROM deployments d
JOIN model_versions v ON v.model = d.model AND v.version = d.to_version
LEFT JOIN policies p ON p.model = d.model AND p.version = d.to_policy
LEFT JOIN model_versions cv ON cv.model = d.model AND cv.version = d.challenger
LEFT JOIN policies cp ON cp.model = d.model AND cp.version = d.challenger_policy
WHERE d.model = %(model)s ORDER BY d.id DESC LIMIT 1
"""

PAGE: LiteralString = f"""
SELECT {ENTRY} FROM deployments WHERE model = %s AND id < %s ORDER BY id DESC LIMIT %s
"""  # noqa: S608 - a constant

CURRENT: LiteralString = f"""
SELECT {ENTRY} FROM deployments WHERE model = %s ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - a constant

HISTORY: LiteralString = f"""
SELECT {ENTRY} FROM deployments WHERE model = %s ORDER BY id
"""  # noqa: S608 - a constant

APPEND: LiteralString = f"""
INSERT INTO deployments
    (model, action, from_version, to_version, from_policy, to_policy, actor, reason, verdict, challenger, challenger_policy, shadow_percent, canary_percent)
VALUES
    (%(model)s, %(action)s, %(from_version)s, %(to_version)s, %(from_policy)s, %(to_policy)s, %(actor)s, %(reason)s, %(verdict)s,
     %(challenger)s, %(challenger_policy)s, %(shadow_percent)s, %(canary_percent)s)
RETURNING {ENTRY}
"""  # noqa: S608 - a constant

ADD_POLICY: LiteralString = """
INSERT INTO policies (model, version, threshold, costs, risk_levels, actor, reason)
SELECT %(model)s, coalesce(max(version), 0) + 1, %(threshold)s, %(costs)s, %(risk_levels)s, %(actor)s, %(reason)s
FROM policies WHERE model = %(model)s RETURNING version
"""

SAME_POLICY: LiteralString = """
SELECT max(version) FROM policies
WHERE model = %(model)s AND threshold = %(threshold)s AND costs = %(costs)s AND risk_levels = %(risk_levels)s
"""

REPORT: LiteralString = """
INSERT INTO replicas (model, replica, state) VALUES (%s, %s, %s)
ON CONFLICT (model, replica) DO UPDATE SET state = EXCLUDED.state, reported_at = now()
"""

FORGET_REPLICAS: LiteralString = "DELETE FROM replicas WHERE model = %s AND reported_at < now() - interval '1 hour'"


@dataclass(frozen=True)
class Candidate:
    """What promotion needs to know of a version."""

    policy: Policy | None
    verdict: dict[str, Any] | None


class Challenger(NamedTuple):
    """What is tried beside the champion: `shadow_percent` of the answered rows are scored by it too, `canary_percent` of the callers are answered by it."""

    version: str
    policy: int | None
    shadow_percent: int
    canary_percent: int


class Change:
    """The ledger of one model, in a transaction that no other change of it runs beside."""

    def __init__(self, connection: Connection, model: str) -> None:
        self._connection = connection
        self._model = model

    async def current(self) -> LedgerEntry | None:
        async with self._connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
            await cursor.execute(CURRENT, (self._model,))
            return await cursor.fetchone()

    async def history(self) -> list[LedgerEntry]:
        """Oldest first."""
        async with self._connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
            await cursor.execute(HISTORY, (self._model,))
            return await cursor.fetchall()

    async def candidate(self, version: str) -> Candidate | None:
        query: LiteralString = "SELECT policy, verdict FROM model_versions WHERE model = %s AND version = %s"
        row = await (await self._connection.execute(query, (self._model, version))).fetchone()
        return None if row is None else Candidate(None if row[0] is None else Policy.model_validate(row[0]), row[1])

    async def policy(self, version: int) -> Policy:
        query: LiteralString = "SELECT threshold, costs, risk_levels FROM policies WHERE model = %s AND version = %s"
        async with self._connection.cursor(row_factory=class_row(Policy)) as cursor:
            await cursor.execute(query, (self._model, version))
            found = await cursor.fetchone()
        assert found is not None, "the ledger refers to existing policies only"  # noqa: S101 - a foreign key says so
        return found

    async def number_of(self, policy: Policy, actor: str, reason: str) -> int:
        """The policy's number: a new one, unless the model had a policy of the same content before."""
        values = {"model": self._model, "threshold": policy.threshold, "actor": actor, "reason": reason}
        values |= {"costs": Jsonb(policy.costs.model_dump()), "risk_levels": Jsonb(policy.risk_levels.model_dump())}
        row = await (await self._connection.execute(SAME_POLICY, values)).fetchone()
        if row is not None and row[0] is not None:
            return int(row[0])
        row = await (await self._connection.execute(ADD_POLICY, values)).fetchone()
        assert row is not None  # noqa: S101 - an INSERT without a condition
        return int(row[0])

    async def append(
        self,
        action: str,
        before: LedgerEntry | None,
        version: str,
        policy: int | None,
        actor: str,
        reason: str,
        verdict: dict[str, Any] | None,
        challenger: Challenger | None = None,
    ) -> LedgerEntry:
        """`challenger`: who is tried from now on; nobody, unless named again."""
        values = {
            "model": self._model,
            "action": action,
            "from_version": before and before.to_version,
            "to_version": version,
            "from_policy": before and before.to_policy,
            "to_policy": policy,
            "actor": actor,
            "reason": reason,
            "verdict": None if verdict is None else Jsonb(verdict),
            "challenger": challenger and challenger.version,
            "challenger_policy": challenger and challenger.policy,
            "shadow_percent": challenger.shadow_percent if challenger else 0,
            "canary_percent": challenger.canary_percent if challenger else 0,
        }
        async with self._connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
            await cursor.execute(APPEND, values)
            written = await cursor.fetchone()
        assert written is not None  # noqa: S101 - an INSERT without a condition
        await telling.changed(self._connection, self._model, written, before)
        return written


class DeploymentsRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def changing(self, model: str) -> AsyncIterator[Change]:
        """Waits until other changes of the model are committed, so that what is decided inside stands on the newest row. Commits at the end."""
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (model,))
            yield Change(connection, model)

    async def desired(self, model: str, watch_minutes: float = 0) -> Desired:
        async with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = await (await cursor.execute(DESIRED, {"model": model, "watch": watch_minutes})).fetchone()
        if row is None:
            return Desired(model=model)
        return Desired.model_validate({"model": model, "deployment": row.pop("id"), **row})

    async def page(self, model: str, limit: int, before: int) -> list[LedgerEntry]:
        """Newest first, those with an id below `before`."""
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(LedgerEntry)) as cursor:
            return await (await cursor.execute(PAGE, (model, before, limit))).fetchall()

    async def report(self, model: str, replica: str, state: dict[str, Any]) -> None:
        """Replaces what the replica said before, and forgets replicas that are long gone."""
        async with self._pool.connection() as connection:
            await connection.execute(REPORT, (model, replica, Jsonb(state)))
            await connection.execute(FORGET_REPLICAS, (model,))
