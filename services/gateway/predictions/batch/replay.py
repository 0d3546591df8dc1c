"""Batches with an Idempotency-Key: answered once, and told again from the audit, in whatever form is wanted this time."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from uuid import UUID

import orjson

from services.gateway.predictions import idempotency, repository
from services.gateway.predictions.batch.assembly import Asked
from services.gateway.predictions.batch.columns import Pin
from services.gateway.predictions.batch.prepared import Prepared
from services.gateway.predictions.batch.readers import SLICE_ROWS
from services.gateway.predictions.batch.service import IN_MEMORY, Answer
from services.gateway.predictions.batch.writers import About, Answered, Writer, writer
from services.gateway.predictions.repository import Kept
from services.gateway.predictions.rows import Key
from services.gateway.state import State
from services.kit.errors import Unavailable

PIECE = 256 * 1024

Row = dict[str, Any]


def key_of(username: str, value: str, file: IO[bytes], *asked: bytes) -> Key:
    """Reads the whole body, and leaves the file at its beginning."""
    body = sha256()
    while piece := file.read(PIECE):
        body.update(piece)
    file.seek(0)
    return idempotency.key_of(username, value, *asked, body.digest())


async def answer(state: State, asked: Asked, prepared: Prepared, kept: Kept | None) -> tuple[Answer, bool]:
    """The answer, and whether it was given before; `kept` is what is known of the key."""
    while kept is None:
        try:
            return await state.batches.answer(asked, state.runners[asked.contract.name], prepared), False
        except LookupError:
            if asked.key is None:
                raise
            kept = await idempotency.of_another(state, asked.key, asked.deadline)
    if kept.batch_id is None:
        raise _gone()
    return await _again(state, asked, prepared, kept.batch_id), True


async def _again(state: State, asked: Asked, prepared: Prepared, batch_id: UUID) -> Answer:
    file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the answer takes it along
    try:
        async with idempotency.looking(state, asked.deadline) as connection, aclosing(repository.of_batch(connection, batch_id)) as stored:
            count = await _write(state, asked, prepared, batch_id, _slices(stored), file)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    return Answer(batch_id, file, size, count)


async def _write(state: State, asked: Asked, prepared: Prepared, batch_id: UUID, slices: AsyncIterator[list[Row]], file: IO[bytes]) -> int:
    """The good rows from the audit, and how many; what was wrong with the others is found once more in the body, which is the same."""
    await prepared.whole()
    failed = {failure.row: failure async for chunk in prepared.chunks() for failure in chunk.failed} if prepared.failed else {}
    into: Writer | None = None
    told = count = 0
    async for rows in slices:
        await state.batches.turns.next()
        outputs = [idempotency.in_order(asked.contract, row["output"]) for row in rows]
        if into is None:
            by = Pin(rows[0]["model_version"], rows[0]["policy_version"])
            into = writer(asked.form, About(asked.contract.name, by, str(batch_id), tuple(outputs[0]), asked.skips))
            file.write(into.begin())
        numbers = range(told, rows[-1]["row_number"] + 1)
        answered = Answered([str(row["id"]) for row in rows], [*map(orjson.dumps, outputs)], [*zip(*(output.values() for output in outputs), strict=True)])
        file.write(into.part(answered, numbers, {number: failed[number] for number in numbers if number in failed} if failed else {}))
        told, count = numbers.stop, count + len(rows)
    rest = range(told, prepared.rows)
    if into is None or count != prepared.valid or not failed.keys() >= set(rest):
        raise _gone()
    file.write(into.part(Answered((), (), ()), rest, {number: failed[number] for number in rest}))
    file.write(into.end())
    return count


def _gone() -> Unavailable:
    return Unavailable("What was answered with this Idempotency-Key is not whole in the audit any more; send a new key.")


async def _slices(stored: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    rows: list[Row] = []
    async for row in stored:
        rows.append(row)
        if len(rows) == SLICE_ROWS:
            yield rows
            rows = []
    if rows:
        yield rows
