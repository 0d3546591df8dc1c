"""Is the run's data set fit to learn from? Everything that is wrong with it, at once."""

import logging
from typing import Any

import pandas as pd

from bentos import contract
from bentos.contract import BadData, Problem
from services.pipeline import dataset, rules, target
from services.pipeline.job import Job

log = logging.getLogger(__name__)

FEWEST = 100
MOST_REPEATED = 0.4
"""Rows of few coarse columns repeat each other honestly; a file that was appended to itself repeats half of them."""
SHOWN = 20


def run(job: Job, *, run_id: str) -> dict[str, Any]:
    """Raises BadData with every problem found."""
    opened = job.runs.open(job.model, run_id)
    frame = dataset.frame(job, opened)
    log.info("%d rows, %d columns", len(frame), len(frame.columns))
    found = problems(job.model, job.entry.task, frame)
    opened.put_document("data/problems.json", [str(problem) for problem in found])
    if found:
        raise BadData(found)
    log.info("no problem found")
    return {"rows": len(frame), "problems": []}


def problems(model: str, task: str, frame: pd.DataFrame) -> list[Problem]:
    schema, train = contract.schema(model), contract.train(model)
    fields = list(schema.Record.model_fields)
    spare = sorted(set(map(str, frame.columns)) - {*fields, train.TARGET})
    if spare:
        log.info("columns that the model does not know are left out: %s", ", ".join(spare))
    found, sound = rules.check(frame, schema.Record)
    found += target.problems(frame, train.TARGET, task)
    if len(frame) < FEWEST:
        found.append(Problem("rows", f"at least {FEWEST} are needed, there are {len(frame)}"))
    found += _repeated(frame)
    # Where a row is not an example by itself (candles), its columns may well predict its target: the examples are built from earlier rows.
    if schema.Record is schema.Input and train.TARGET in frame:
        found += target.leaks(frame, train.TARGET, [name for name in fields if name in frame], task)
    if sound.any() and train.TARGET in frame:
        found += train.problems(frame[sound].infer_objects())
    if not found and (usable := int(train.examples(frame).learn.sum())) < FEWEST:
        found.append(Problem("examples", f"at least {FEWEST} are needed, the {len(frame)} rows give {usable}"))
    return found


def _repeated(frame: pd.DataFrame) -> list[Problem]:
    repeated = frame.duplicated()
    rows = int(repeated.sum())
    if rows and rows <= MOST_REPEATED * len(frame):
        log.info("%d rows repeat another one; repeats stay on one side of the split", rows)
    if rows <= MOST_REPEATED * len(frame):
        return []
    lines = [int(line) for line in frame.index[repeated][:SHOWN]]
    return [Problem("rows", f"{rows} of {len(frame)} repeat an earlier row: more than {MOST_REPEATED:.0%}; was a file appended twice?", lines, rows)]
