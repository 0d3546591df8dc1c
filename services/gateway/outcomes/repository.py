"""SQL of outcomes: they are only ever added. The last one of a prediction is the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.kit.postgres import Connection

AT_A_TIME = 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    prediction_id: UUID
    value: float
    note: str | None


async def models_of(connection: Connection, identifiers: Sequence[UUID]) -> dict[UUID, str]:
    """By prediction, its model; those that are not in the audit are left out."""
    found: dict[UUID, str] = {}
    ordered = sorted(identifiers)
    for begin in range(0, len(ordered), AT_A_TIME):
        part = ordered[begin : begin + AT_A_TIME]
        # The bounds spare the months that have none of them.
        statement = "SELECT id, model FROM predictions WHERE id = ANY(%s) AND id >= %s AND id <= %s"
        found.update(await (await connection.execute(statement, [part, part[0], part[-1]])).fetchall())
    return found


async def record(connection: Connection, actor: str, outcomes: Sequence[Outcome]) -> tuple[datetime, set[UUID]]:
    """All or none, at one moment, which is returned with the predictions of which something was known before."""
    identifiers = [outcome.prediction_id for outcome in outcomes]
    known = "SELECT DISTINCT prediction_id FROM outcomes WHERE prediction_id = ANY(%s)"
    before = {row[0] for row in await (await connection.execute(known, [identifiers])).fetchall()}
    insert = """INSERT INTO outcomes (prediction_id, value, note, actor)
        SELECT *, %s FROM unnest(%s::uuid[], %s::float8[], %s::text[]) RETURNING recorded_at"""
    values, notes = [outcome.value for outcome in outcomes], [outcome.note for outcome in outcomes]
    row = await (await connection.execute(insert, [actor, identifiers, values, notes])).fetchone()
    assert row is not None  # noqa: S101 - there is at least one
    return row[0], before
