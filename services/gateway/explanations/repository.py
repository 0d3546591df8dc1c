"""SQL of the explanations that are kept beside their predictions."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from services.kit.postgres import Connection


async def kept(connection: Connection, prediction_id: UUID) -> dict[str, Any] | None:
    row = await (await connection.execute("SELECT document FROM explanations WHERE prediction_id = %s", [prediction_id])).fetchone()
    return row[0] if row else None


async def keep(connection: Connection, prediction_id: UUID, document: dict[str, Any]) -> None:
    """The first one stays: the same version explains the same row in the same way."""
    statement = "INSERT INTO explanations (prediction_id, document) VALUES (%s, %s) ON CONFLICT DO NOTHING"
    await connection.execute(statement, [prediction_id, Jsonb(document)])
