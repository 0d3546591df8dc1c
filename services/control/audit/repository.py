"""The audit as those read it who work on many rows of a model: drift checks, retraining, shadow scoring, replays."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Any, LiteralString
from uuid import UUID

from services.kit.postgres import connect

PIECE = 256 * 1024

ROW: LiteralString = """
jsonb_build_object('id', p.id, 'at', extract(epoch FROM p.created_at)::float8, 'version', p.model_version, 'policy', p.policy_version,
    'score', p.score, 'decision', p.decision, 'latency_ms', p.latency_ms, 'batch', p.batch_id IS NOT NULL, 'username', p.username,
    'input', p.input, 'output', p.output, 'outcome', o.value, 'outcome_at', extract(epoch FROM o.recorded_at)::float8)::text
"""

WANTED: LiteralString = """
FROM predictions p
LEFT JOIN LATERAL (SELECT value, recorded_at FROM outcomes WHERE prediction_id = p.id ORDER BY id DESC LIMIT 1) o ON true
WHERE p.model = %(model)s AND p.id > %(after)s AND p.id <= %(last)s
    AND (%(version)s::text IS NULL OR p.model_version = %(version)s) AND (NOT %(known)s OR o.value IS NOT NULL)
"""

OLDEST_FIRST: LiteralString = f"COPY (SELECT {ROW} {WANTED} ORDER BY p.id LIMIT %(limit)s) TO STDOUT"
NEWEST_FIRST: LiteralString = f"COPY (SELECT {ROW} {WANTED} ORDER BY p.id DESC LIMIT %(limit)s) TO STDOUT"

AS_IT_IS: LiteralString = " (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
"""JSON has no control characters, so that nothing of it is quoted: a row is a line."""


@dataclass(frozen=True)
class Wanted:
    model: str
    after: UUID
    last: UUID
    version: str | None
    known: bool
    limit: int


class AuditRepository:
    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, wanted: Wanted, newest: bool) -> AsyncGenerator[bytes]:
        return copied(self._url, NEWEST_FIRST if newest else OLDEST_FIRST, asdict(wanted))


async def copied(url: str, query: LiteralString, values: dict[str, Any]) -> AsyncGenerator[bytes]:
    """Pieces of lines, each line a row as JSON, on a connection of its own. `query` is a COPY of one column of JSON text."""
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(await connect(url, "control-audit", statement_timeout_ms=600_000))
        await connection.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off")
        cursor = await stack.enter_async_context(connection.cursor())
        copy = await stack.enter_async_context(cursor.copy(query + AS_IT_IS, values))
        kept, size = [], 0
        async for row in copy:
            kept.append(bytes(row))
            size += len(row)
            if size >= PIECE:
                yield b"".join(kept)
                kept, size = [], 0
        yield b"".join(kept)
