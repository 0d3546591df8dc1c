"""SQL of the reports: batches as a whole, their rows, and the policy of a prediction.

The id of a batch is older than those of its rows, which spares older partitions.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from bentos.schemas import Kind
from services.kit.postgres import Connection

BINS = 20
SHOWN_POSITIONS = 50
_OF_BATCH = "FROM predictions WHERE batch_id = %(batch)s AND id > %(batch)s"
_BIN = f"least(width_bucket(score, %(low)s::float8, %(high)s::float8, {BINS}), {BINS}) - 1 AS bin"
_ALIKE = "model, model_version, policy_version, username, request_id, decision"
_PARTS = f"""
SELECT {_ALIKE}, {_BIN}, min(created_at) AS created_at, count(*) AS rows, max(row_number) AS last, min(score) AS min, sum(score) AS sum, max(score) AS max
{_OF_BATCH} GROUP BY {_ALIKE}, bin"""
_MISSING = f"""
SELECT place FROM generate_series(0, %(last)s) AS place
EXCEPT SELECT row_number {_OF_BATCH} ORDER BY place LIMIT {SHOWN_POSITIONS}"""  # noqa: S608 - constants
_HISTOGRAM = f"SELECT {_BIN}, count(*) {_OF_BATCH} AND score IS NOT NULL GROUP BY bin"
_PAGE_END = "SELECT id FROM predictions WHERE batch_id = %(batch)s AND id > %(after)s ORDER BY id LIMIT 1 OFFSET %(rows)s"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet would compute a text that begins so: it gets an apostrophe before it."""


async def parts(connection: Connection, batch_id: UUID) -> list[dict[str, Any]]:
    """The batch in groups of rows that are alike in all but their scores, which lie in the same one of BINS bins from 0 to 1.

    Empty when there is no such batch. One pass over the rows: they may be a million.
    """
    async with connection.cursor(row_factory=dict_row) as cursor:
        return await (await cursor.execute(_PARTS, {"batch": batch_id, "low": 0.0, "high": 1.0})).fetchall()


async def model_of(connection: Connection, batch_id: UUID) -> str | None:
    """None when there is no such batch."""
    row = await (await connection.execute(f"SELECT model {_OF_BATCH} LIMIT 1", {"batch": batch_id})).fetchone()
    return row[0] if row else None


async def missing(connection: Connection, batch_id: UUID, last: int) -> list[int]:
    """The first positions up to `last` that have no row."""
    return [row[0] for row in await (await connection.execute(_MISSING, {"batch": batch_id, "last": last})).fetchall()]


async def histogram(connection: Connection, batch_id: UUID, low: float, high: float) -> list[int]:
    """Rows in each of BINS equal bins."""
    counts: dict[int, int] = dict(await (await connection.execute(_HISTOGRAM, {"batch": batch_id, "low": low, "high": high})).fetchall())
    return [counts.get(place, 0) for place in range(BINS)]


async def page_end(connection: Connection, batch_id: UUID, after: UUID, rows: int) -> UUID | None:
    """The id that lies so many rows further than the first one behind `after`; None when there are not as many."""
    row = await (await connection.execute(_PAGE_END, {"batch": batch_id, "after": after, "rows": rows})).fetchone()
    return row[0] if row else None


async def csv_lines(connection: Connection, batch_id: UUID, after: UUID, end: UUID | None, inputs: Mapping[str, Kind], outputs: Mapping[str, Kind]) -> bytes:
    """Rows behind `after` and before `end`, in their order, since ids rise with positions: position, id, each field, versions.

    Lists are JSON, null is nothing.
    """
    fields = [_field(column, name, kind) for column, of in (("input", inputs), ("output", outputs)) for name, kind in of.items()]
    upper = sql.SQL("") if end is None else sql.SQL(" AND id < {}").format(end)
    statement = sql.SQL(
        "COPY (SELECT row_number, id, {}, model_version, policy_version FROM predictions WHERE batch_id = {} AND id > {}{} ORDER BY id) TO STDOUT (FORMAT csv)"
    ).format(sql.SQL(", ").join(fields), batch_id, after, upper)
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return b"".join([bytes(part) async for part in copy])


def _field(column: str, name: str, kind: Kind) -> sql.Composable:
    """A field of a JSON column as text."""
    text = sql.SQL("({} ->> {})").format(sql.Identifier(column), name)
    if kind != "text":
        return text
    return sql.SQL("CASE WHEN left({0}, 1) = ANY({1}) THEN '''' || {0} ELSE {0} END").format(text, list(FORMULA))


async def threshold(connection: Connection, model: str, policy: int) -> float | None:
    """Of a version of the policy."""
    row = await (await connection.execute("SELECT threshold FROM policies WHERE model = %s AND version = %s", [model, policy])).fetchone()
    return float(row[0]) if row else None
