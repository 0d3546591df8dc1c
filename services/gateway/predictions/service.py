"""From a valid row to a durable answer."""

import asyncio
import time
from typing import Any

import orjson
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from services.gateway import metrics
from services.gateway.auth.credentials import Principal
from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.journal import Journal
from services.gateway.predictions.repository import Row
from services.gateway.predictions.runners import Runner, Scored
from services.kit.errors import Invalid, Unavailable
from services.kit.ids import timestamp_of, uuid7

CHUNK = 1_000
"""Rows of a batch in one call to the runner."""
CHUNKS_AT_ONCE = 2
PAUSES = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Seconds before each attempt to have a whole batch answered by one version."""


def _as_is(encoded: bytes) -> bytes:
    return encoded


def _row(
    contract: Contract, principal: Principal, request_id: str, encoded: bytes, scored: Scored, output: dict[str, Any], started: float, **batch: Any
) -> Row:
    """The audit's row. Its time is that of its id; the latency ends here, where the commit begins."""
    identifier = uuid7()
    return Row(
        id=identifier,
        created_at=timestamp_of(identifier),
        model=contract.name,
        model_version=scored.version,
        policy_version=scored.policy,
        username=principal.username,
        request_id=request_id,
        batch_id=batch.get("batch_id"),
        row_number=batch.get("row_number"),
        input=Jsonb(encoded, _as_is),
        output=Jsonb(output, orjson.dumps),
        score=output.get("probability", output["prediction"]),
        decision=output.get("decision"),
        latency_ms=(time.perf_counter() - started) * 1000,
    )


def encode(contract: Contract, row: BaseModel) -> bytes:
    """The validated row with its defaults, as the runner gets it and the audit keeps it. Raises Invalid for what PostgreSQL cannot keep."""
    encoded = contract.row.dump_json(row)
    if b"\\u0000" in encoded:
        raise Invalid("No text may contain the character U+0000.", errors=[{"field": "body", "rule": "no character U+0000", "value": None}])
    return encoded


async def predict(contract: Contract, runner: Runner, journal: Journal, principal: Principal, request_id: str, row: BaseModel, started: float) -> bytes:
    """The answer as JSON, after its audit row is durable."""
    encoded = encode(contract, row)
    journal.check()
    scored = await runner.one(encoded)
    output = scored.answers[0]
    record = _row(contract, principal, request_id, encoded, scored, output, started)
    await journal.write([record])
    metrics.predicted(contract.name, scored.version, record.decision)
    return orjson.dumps(output | {"prediction_id": str(record.id)} | _by(contract, scored))


async def predict_batch(
    contract: Contract, runner: Runner, journal: Journal, principal: Principal, request_id: str, rows: list[BaseModel], started: float
) -> bytes:
    """All rows answered by one version of the model and stored by one COPY, or none."""
    encoded = [encode(contract, row) for row in rows]
    journal.check()
    scored = await _one_version(runner, [encoded[begin : begin + CHUNK] for begin in range(0, len(encoded), CHUNK)])
    batch_id = uuid7()
    outputs = [output for part in scored for output in part.answers]
    records = [
        _row(contract, principal, request_id, text, scored[0], output, started, batch_id=batch_id, row_number=number)
        for number, (text, output) in enumerate(zip(encoded, outputs, strict=True))
    ]
    await journal.write(records)
    for record in records:
        metrics.predicted(contract.name, record.model_version, record.decision)
    predictions = [output | {"prediction_id": str(record.id)} for output, record in zip(outputs, records, strict=True)]
    return orjson.dumps({"batch_id": str(batch_id)} | _by(contract, scored[0]) | {"predictions": predictions})


def _by(contract: Contract, scored: Scored) -> dict[str, Any]:
    return {"model": contract.name, "model_version": scored.version, "policy_version": scored.policy}


async def _one_version(runner: Runner, chunks: list[list[bytes]]) -> list[Scored]:
    """Chunks answered by an older version or policy than the newest that answered are asked for again."""
    done: dict[int, Scored] = {}
    turns = asyncio.Semaphore(CHUNKS_AT_ONCE)
    newest: list[Scored] = []

    async def score(position: int) -> None:
        async with turns:
            done[position] = await runner.many(chunks[position])
            newest[:] = [done[position]]

    odd = list(range(len(chunks)))
    for pause in PAUSES:
        await asyncio.sleep(pause)
        await asyncio.gather(*(score(position) for position in odd))
        odd = [position for position, scored in done.items() if (scored.version, scored.policy) != (newest[0].version, newest[0].policy)]
        if not odd:
            return [done[position] for position in range(len(chunks))]
    raise Unavailable("The model was being exchanged all the while; try again.", retry_after=2)
