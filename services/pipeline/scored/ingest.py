"""The step `ingest` of an input: cut into parts, as it is, each row with its number."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from bentos import contract
from bentos.contract import BadData, Problem
from services.pipeline.job import Job
from services.pipeline.scored import plan
from services.pipeline.scored.plan import GIVEN, Input
from services.pipeline.scored.source import OPTION, Source, opened

log = logging.getLogger(__name__)

PART_BYTES = 64 * 1024 * 1024
"""A part of long rows has fewer."""
ROW, PREDICTION_ID = "row", "prediction_id"
RAGGED = b"ragged"
"""In the metadata of a part: its rows that are no rows, by number."""


def run(job: Job, *, input: str | None, resume: str | None, **_of_the_model: Any) -> dict[str, Any]:
    """Raises BadData for an input that does not have the model's columns, or no row; Final for a run that cannot be gone on with."""
    if resume is not None:
        return _resumed(job, resume)
    with opened(str(input), _fetching(job), job.tables_url) as source:
        return _taken_in(job, str(input), source)


def _taken_in(job: Job, given: str, source: Source) -> dict[str, Any]:
    _check_columns(source.schema.names, contract.schema(job.model))
    tags = {"source": "input", GIVEN: given, "modelyard.kind": "score", "mlflow.runName": f"score {source.name}"}
    run = job.runs.start(job.model, {"source": "input", "input": given}, tags)
    counts, rows = [], 0
    for number, (part, end) in enumerate(_parts(source, job.part_rows)):
        job.runs.artifacts.put(plan.input_part(run.root, number), _written(part))
        counts.append(part.num_rows)
        rows = end
        log.info("part %d: %d rows", number, part.num_rows)
    if not rows:
        raise BadData([Problem(OPTION, f"{source.name} has no rows")])
    run.put_document(plan.INPUT, asdict(Input(source.name, source.texts, rows, counts)))
    log.info("run %s: %d rows of %s in %d parts", run.id, rows, source.name, len(counts))
    return {"run_id": run.id, "rows": rows, "source": "input", "input": given}


def _resumed(job: Job, run_id: str) -> dict[str, Any]:
    run = plan.opened(job, run_id)
    found = plan.read_input(run)
    run.set("RUNNING")
    log.info("run %s goes on: %d rows of %s in %d parts", run_id, found.rows, found.name, len(found.parts))
    return {"run_id": run_id, "rows": found.rows, "source": "input", "input": run.tags[GIVEN]}


def _fetching(job: Job) -> Callable[[str, str], Path]:
    def fetch(run_id: str, path: str) -> Path:
        target = job.place("input") / Path(path).name
        job.runs.artifacts.save(f"{job.runs.run(run_id).root}/{path}", target)
        return target

    return fetch


def _check_columns(names: list[str], schema: contract.Schema) -> None:
    answer = (ROW, PREDICTION_ID, *schema.Output.model_fields)
    problems = [Problem(name, "column is missing") for name in _required(schema.Input) if name not in names]
    problems += [Problem(name, "is a column of the answer, and cannot be one of the input: rename it") for name in names if name in answer]
    problems += [Problem(name, "column is there more than once") for name in sorted({name for name in names if names.count(name) > 1})]
    if problems:
        raise BadData(problems)


def _required(model: type[BaseModel]) -> list[str]:
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _parts(source: Source, part_rows: int) -> Iterator[tuple[pa.Table, int]]:
    """Parts, and how many rows there are up to the end of each."""
    waiting: list[pa.RecordBatch] = []
    count = size = begin = seen = 0
    for batch in source.batches:
        numbers, seen = _numbers(seen, batch.num_rows, source.ragged)
        at = 0
        while at < batch.num_rows:
            piece = batch.slice(at, part_rows - count)
            waiting.append(piece.add_column(0, ROW, pa.array(numbers[at : at + piece.num_rows])))
            at, count, size = at + piece.num_rows, count + piece.num_rows, size + piece.nbytes
            if count >= part_rows or size >= PART_BYTES:
                end = int(numbers[at - 1]) + 1
                yield _part(source, waiting, begin, end), end
                waiting, count, size, begin = [], 0, 0, end
    end = max([seen - 1, *source.ragged]) + 1 if seen or source.ragged else 0
    if end > begin:
        yield _part(source, waiting, begin, end), end


def _numbers(begin: int, count: int, ragged: dict[int, str]) -> tuple[np.ndarray[Any, np.dtype[np.int64]], int]:
    """Of the next rows, and of the one after them."""
    if not ragged or max(ragged) < begin:
        return np.arange(begin, begin + count), begin + count
    gaps = np.array([number for number in sorted(ragged) if number >= begin])
    numbers = np.setdiff1d(np.arange(begin, begin + count + len(gaps)), gaps)[:count]
    return numbers, int(numbers[-1]) + 1 if count else begin


def _part(source: Source, batches: list[pa.RecordBatch], begin: int, end: int) -> pa.Table:
    schema = source.schema.insert(0, pa.field(ROW, pa.int64()))
    ragged = {number: source.ragged.pop(number) for number in sorted(source.ragged) if begin <= number < end}
    return pa.Table.from_batches(batches, schema).replace_schema_metadata({RAGGED: json.dumps(ragged)})


def _written(part: pa.Table) -> bytes:
    into = pa.BufferOutputStream()
    with pa.ipc.new_file(into, part.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(part)
    return bytes(into.getvalue())
