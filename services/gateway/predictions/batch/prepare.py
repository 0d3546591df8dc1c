"""From a body to valid rows, or to the list of what is wrong with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import IO, Any

from services.gateway.predictions.batch.columns import Builder
from services.gateway.predictions.batch.csv_rows import Csv
from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.media import Form
from services.gateway.predictions.batch.parquet import Parquet
from services.gateway.predictions.batch.prepared import Chunk, Prepared, RowErrors
from services.gateway.predictions.batch.readers import Json, Ndjson, Reader
from services.gateway.predictions.batch.turns import Turns
from services.gateway.predictions.contracts import Contract
from services.gateway.settings import Settings
from services.kit.errors import FieldError, Invalid, of_fields
from services.kit.http import SHOWN_ERRORS

CHUNK_ROWS = 2048
"""Rows of one call to the runner."""
CHUNK_BYTES = 4 * 1024 * 1024
LEAST_BLOCK = 64
"""A batch of fewer rows goes to the runner as JSON, which it answers sooner."""


async def opened(file: IO[bytes], form: Form, coding: str | None, contract: Contract, settings: Settings) -> Reader:
    """Raises BadRequest, Invalid or TooLarge for a body that is not of its form."""
    plain = Plain(file, coding, settings.max_batch_bytes)
    match form:
        case Form.json:
            return Json(plain, contract, settings.max_row_bytes)
        case Form.ndjson:
            return Ndjson(plain, contract, settings.max_row_bytes)
        case Form.csv:
            return Csv(plain, contract, settings.max_row_bytes)
    return await asyncio.to_thread(Parquet, plain, contract, settings.max_batch_rows, settings.max_row_bytes)


@asynccontextmanager
async def preparing(reader: Reader, contract: Contract, turns: Turns, *, skips: bool, most_rows: int) -> AsyncIterator[Prepared]:
    """Rows are checked while those before them are answered. `Prepared.whole` raises Invalid with the errors of all rows, unless failed rows are skipped;
    then only when no row is left."""
    prepared = Prepared(partial(_fill, reader=reader, contract=contract, turns=turns, skips=skips, most_rows=most_rows))
    try:
        yield prepared
    finally:
        await prepared.close()
        if isinstance(reader, Parquet):
            await asyncio.to_thread(reader.close)


async def _fill(prepared: Prepared, *, reader: Reader, contract: Contract, turns: Turns, skips: bool, most_rows: int) -> None:
    errors: list[FieldError] = []
    work = _Work(reader, contract)
    count = 0
    while True:
        await turns.next()
        raws = await asyncio.to_thread(reader.take) if reader.threaded else reader.take()
        work.add(raws)
        if work.end > most_rows:
            raise _wrong_length(f"List should have at most {most_rows} items after validation")
        if not raws or work.full:
            await turns.next()
            chunk = work.finish()
            count += sum(len(failure.errors) for failure in chunk.failed)
            errors += [error for failure in chunk.failed for error in _located(failure)][: SHOWN_ERRORS - len(errors)]
            prepared.refused = count > 0 and not skips
            prepared.add(chunk)
            if not raws or (count > SHOWN_ERRORS and not skips):
                break
    if not prepared.rows:
        raise _wrong_length("List should have at least 1 item after validation, not 0")
    if count and not (skips and prepared.valid):
        raise of_fields(errors, count, where=f" in the first {prepared.rows} rows" if raws else "")


def _wrong_length(rule: str) -> Invalid:
    return of_fields([FieldError(field="rows", rule=rule, value=None)])


def _located(failure: RowErrors) -> list[FieldError]:
    return [_at(failure, error) for error in failure.errors]


def _at(failure: RowErrors, error: FieldError) -> FieldError:
    field = f"rows.{failure.row}" if error["field"] == "body" else f"rows.{failure.row}.{error['field']}"
    found = FieldError(field=field, rule=error["rule"], value=error["value"])
    if failure.line is not None:
        found["line"] = failure.line
    return found


class _Work:
    """The chunk that is being filled."""

    def __init__(self, reader: Reader, contract: Contract) -> None:
        self._reader, self._contract = reader, contract
        self._builder = Builder(contract.fields)
        self.begin = self.end = 0
        self._clear()

    def _clear(self) -> None:
        self.begin = self.end
        self._texts: list[bytes] = []
        self._failed: list[RowErrors] = []
        self._size = 0

    @property
    def full(self) -> bool:
        return self.end - self.begin >= CHUNK_ROWS or self._size >= CHUNK_BYTES

    def add(self, raws: list[Any]) -> None:
        good: list[object] = []
        validated, encode = self._reader.row, self._contract.encode
        for at, raw in enumerate(raws):
            try:
                row = validated(raw)
                text = encode(row)
            except Invalid as invalid:
                self._failed.append(self._failure(at, invalid))
            else:
                good.append(row)
                self._texts.append(text)
                self._size += len(text)
        self._builder.add(good)
        self.end += len(raws)

    def _failure(self, at: int, invalid: Invalid) -> RowErrors:
        lines = self._reader.lines
        errors = invalid.errors or [FieldError(field="body", rule=invalid.detail, value=None)]
        self._size += 200 * len(errors)
        return RowErrors(self.end + at, errors, lines[at] if lines else None)

    def finish(self) -> Chunk:
        block = self._builder.finish()
        chunk = Chunk(self.begin, self.end, self._texts, block if self.begin or len(self._texts) >= LEAST_BLOCK else None, self._failed)
        self._clear()
        return chunk
