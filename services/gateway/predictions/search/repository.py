# ruff: noqa: S608 - all statements are made of constants
"""SQL that finds rows of the audit by their filters, each by the end of its own index."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import sql

from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.repository import OUTCOME
from services.kit.ids import floor_of
from services.kit.postgres import Connection

Outcome = Literal["known", "unknown"]

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a page of history shows; None means any."""

    model: str | None = None
    version: str | None = None
    decision: str | None = None
    username: str | None = None
    begin: datetime | None = None
    end: datetime | None = None
    """Before this moment."""
    batch_id: UUID | None = None
    request_id: str | None = None
    outcome: Outcome | None = None

    def parameters(self, before: UUID | None = None) -> dict[str, Any]:
        """Of the statements here: times are ranges of ids, which lets PostgreSQL skip whole partitions."""
        ends = [identifier for identifier in (before, floor_of(self.end) if self.end else None) if identifier]
        named = {name: getattr(self, name) for name in ("model", "version", "decision", "username", "batch_id", "request_id")}
        return named | {"low": floor_of(self.begin) if self.begin else FIRST, "high": min(ends, default=LAST)}


TESTS = {
    "model": "model = %(model)s",
    "version": "model_version = %(version)s",
    "decision": "decision = %(decision)s",
    "username": "username = %(username)s",
    "batch_id": "batch_id = %(batch_id)s",
    "request_id": "request_id = %(request_id)s",
}
OUTCOMES = {"known": "EXISTS (SELECT FROM outcomes WHERE prediction_id = {id})", "unknown": "NOT EXISTS (SELECT FROM outcomes WHERE prediction_id = {id})"}
TESTED = ", ".join(("id", "model", "model_version", "decision", "username", "batch_id", "request_id"))
RANGE = "id >= %(low)s AND id < %(high)s"
TOLD = """SELECT DISTINCT prediction_id AS id FROM outcomes WHERE prediction_id >= %(low)s AND prediction_id < %(high)s
    ORDER BY prediction_id DESC LIMIT %(chunk)s"""

KEYS: Mapping[str, tuple[str, str, str]] = {
    "request_id": ("hashtext(request_id)", "hashtext(%(request_id)s)", ""),
    "batch_id": ("batch_id", "%(batch_id)s", " AND batch_id IS NOT NULL"),
    "version": ("model, model_version", "%(model)s, %(version)s", ""),
    "username": ("username", "%(username)s", ""),
    "decision": ("decision", "%(decision)s", " AND decision IS NOT NULL"),
    "model": ("model", "%(model)s", ""),
}
"""By filter: the columns of its index before the id, what they are compared with, and what makes PostgreSQL use an index of a part of the rows. Filters that
usually have the fewest rows come first."""

BY_INDEX = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_incremental_sort", "enable_hashjoin", "enable_mergejoin", "jit")
SETTINGS = "; ".join(f"SET LOCAL {name} = off" for name in BY_INDEX)
"""PostgreSQL knows little of the newest rows, and would now and then rather read all of them and sort. For the same reason the columns of an index are compared
all at once and sorted by all at once: no other index then gives that order."""
MODELS = """WITH RECURSIVE known AS (
    (SELECT model FROM predictions ORDER BY model LIMIT 1)
    UNION ALL SELECT (SELECT model FROM predictions WHERE model > known.model ORDER BY model LIMIT 1) FROM known WHERE known.model IS NOT NULL
) SELECT model FROM known WHERE model IS NOT NULL"""


def leading(name: str, columns: str = TESTED) -> str:
    """The rows of one filter, newest first."""
    if name == "outcome":
        return TOLD if columns == "id" else f"SELECT told.{columns} FROM ({TOLD}) told LEFT JOIN predictions ON predictions.id = told.id"
    if name == "id":
        return f"SELECT {columns} FROM predictions WHERE {RANGE} ORDER BY id DESC LIMIT %(chunk)s"
    key, value, partly = KEYS[name]
    order = ", ".join(f"{column} DESC" for column in (*key.split(", "), "id"))
    bounds = f"({key}, id) >= ({value}, %(low)s) AND ({key}, id) < ({value}, %(high)s)"
    return f"SELECT {columns} FROM predictions WHERE {bounds} AND {RANGE}{partly} ORDER BY {order} LIMIT %(chunk)s"


def held_against(name: str, wanted: Filter) -> str:
    """How many rows the leading filter gave, the last of them, and those of them that all filters let through."""
    tests = [test for field, test in TESTS.items() if getattr(wanted, field) is not None]
    if name == "outcome":
        tests.append("model IS NOT NULL")  # else its month was dropped
    elif wanted.outcome:
        tests.append(OUTCOMES[wanted.outcome].format(id="given.id"))
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    fitting = f"SELECT id FROM given{where} ORDER BY id DESC LIMIT %(most)s"
    return f"WITH given AS MATERIALIZED ({leading(name)}) SELECT (SELECT count(*) FROM given), (SELECT id FROM given ORDER BY id LIMIT 1), ARRAY({fitting})"


async def begin(connection: Connection) -> None:
    """Before all others here, in their transaction."""
    await connection.execute(SETTINGS)


async def models(connection: Connection) -> list[str]:
    """All that have ever answered."""
    return [row[0] for row in await (await connection.execute(MODELS)).fetchall()]


async def count(connection: Connection, name: str, parameters: Mapping[str, Any], most: int) -> int:
    """How many rows a filter has, as far as it matters."""
    row = await (await connection.execute(f"SELECT count(*) FROM ({leading(name, 'id')}) rows", {**parameters, "chunk": most})).fetchone()
    return int(row[0]) if row else 0


async def chunk(connection: Connection, name: str, wanted: Filter, parameters: Mapping[str, Any]) -> tuple[int, UUID, list[UUID]]:
    """What `held_against` says of `chunk` rows; at most `most` of those that fit."""
    row = await (await connection.execute(held_against(name, wanted), parameters)).fetchone()
    assert row is not None  # noqa: S101 - it has no condition
    return row


COLUMNS = (
    *("id AS prediction_id", "created_at", "model", "model_version", "policy_version", "username", "request_id", "batch_id", "row_number"),
    *("score", "decision", "latency_ms", "told.value AS outcome", "recorded_at AS outcome_at", "actor AS outcome_by"),
)


def exported(wanted: Filter, contract: Contract | None) -> sql.Composed:
    """All rows as CSV, newest first."""
    tests = [test for name, test in TESTS.items() if getattr(wanted, name) is not None]
    if wanted.outcome is not None:
        tests.append(OUTCOMES[wanted.outcome].format(id="predictions.id"))
    if wanted.begin is not None or wanted.end is not None:
        tests.append(RANGE)
    where = f"WHERE {' AND '.join(tests)}" if tests else ""
    documents = [sql.SQL("input"), sql.SQL("output")] if contract is None else [*_fields("input", contract.fields), *_fields("output", contract.answers)]
    chosen = sql.SQL(", ").join([*map(sql.SQL, COLUMNS), *documents])
    source = sql.SQL(f"FROM predictions {OUTCOME} {where} ORDER BY id DESC")
    return sql.SQL("COPY (SELECT {} {}) TO STDOUT (FORMAT csv, HEADER)").format(chosen, source)


def _fields(document: str, names: Iterable[str]) -> list[sql.Composable]:
    """A column for each, named after document and field: an output may have a field that an input has too."""
    parts = (sql.SQL(document), sql.SQL(" ->> "))
    return [sql.Composed([*parts, sql.Literal(name), sql.SQL(" AS "), sql.Identifier(f"{document}.{name}")]) for name in names]
