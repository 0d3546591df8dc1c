from typing import LiteralString

from psycopg.rows import class_row

from services.control.scored.schemas import Kept, Part, Totals
from services.kit.postgres import Pool

COLUMNS: LiteralString = "run_id, part, model, version, policy_version, audit, rows, refused, input_sha256, output_sha256, artifact, batch_id, created_at"

ADD: LiteralString = f"""
INSERT INTO scored_parts (run_id, part, model, version, policy_version, audit, rows, refused, input_sha256, output_sha256, artifact, batch_id)
VALUES (%(run_id)s, %(part)s, %(model)s, %(version)s, %(policy_version)s, %(audit)s, %(rows)s, %(refused)s, %(input_sha256)s, %(output_sha256)s,
    %(artifact)s, %(batch_id)s)
ON CONFLICT (run_id, part) DO NOTHING
RETURNING {COLUMNS}
"""  # noqa: S608 - a constant

ONE: LiteralString = f"SELECT {COLUMNS} FROM scored_parts WHERE model = %(model)s AND run_id = %(run_id)s AND part = %(part)s"  # noqa: S608 - a constant

PAGE: LiteralString = f"""
SELECT {COLUMNS} FROM scored_parts WHERE model = %(model)s AND run_id = %(run_id)s AND part > %(after)s ORDER BY part LIMIT %(limit)s
"""  # noqa: S608 - a constant

TOTALS: LiteralString = """
SELECT count(*) AS parts, coalesce(sum(rows), 0) AS rows, coalesce(sum(refused), 0) AS refused FROM scored_parts WHERE model = %(model)s AND run_id = %(run_id)s
"""


class ScoredRepository:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, model: str, part: Part) -> Kept | None:
        """What is kept of it: the first word counts. None when another model has such a part."""
        values = part.model_dump() | {"model": model}
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Kept)) as cursor:
            return await (await cursor.execute(ADD, values)).fetchone() or await (await cursor.execute(ONE, values)).fetchone()

    async def one(self, model: str, run_id: str, part: int) -> Kept | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Kept)) as cursor:
            return await (await cursor.execute(ONE, {"model": model, "run_id": run_id, "part": part})).fetchone()

    async def page(self, model: str, run_id: str, after: int, limit: int) -> list[Kept]:
        values = {"model": model, "run_id": run_id, "after": after, "limit": limit}
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Kept)) as cursor:
            return await (await cursor.execute(PAGE, values)).fetchall()

    async def totals(self, model: str, run_id: str) -> Totals:
        async with self._pool.connection() as connection, connection.cursor(row_factory=class_row(Totals)) as cursor:
            found = await (await cursor.execute(TOTALS, {"model": model, "run_id": run_id})).fetchone()
        assert found is not None  # noqa: S101 - an aggregate without groups
        return found
