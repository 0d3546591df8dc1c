"""Answers to a part of the data set, by the checks and the code that a runner serves with."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from bentos.contract import BadData, Problem
from bentos.serving import answers
from bentos.serving.answers import Coded
from bentos.serving.artifact import Artifact
from services.pipeline import dataset, scoring, versions
from services.pipeline.failure import Final
from services.pipeline.job import Job
from services.pipeline.scoring import ROW, Plan, Rows

log = logging.getLogger(__name__)


def run(job: Job, *, run_id: str, partition: int | None) -> dict[str, Any]:
    """Repeated, it writes the same part again."""
    opened = job.runs.open(job.model, run_id)
    plan = scoring.plan(opened)
    numbers = range(plan.parts) if partition is None else [partition]
    if numbers[-1] >= plan.parts:
        raise Final(f"there is no partition {partition}: the data set has {plan.parts}, counted from 0")
    version = versions.verified(job, plan.version, plan.run_id, plan.sha256)
    rows = scoring.rows(job.model, dataset.frame(job, opened))
    folder, answered = job.place(scoring.PREDICTIONS), 0
    for number in numbers:
        part = slice(plan.edges[number], plan.edges[number + 1])
        frame = _answers(job.model, version, rows, part, plan)
        frame.to_parquet(folder / scoring.part_name(number), index=False)
        answered += len(frame)
        log.info("part %d: %d rows by version %s, engine %s", number, len(frame), plan.version, version.engine.kind)
    opened.put(folder, scoring.PREDICTIONS)
    return {"rows": answered, "partitions": list(numbers)}


def _answers(model: str, version: Artifact, rows: Rows, part: slice, plan: Plan) -> pd.DataFrame:
    columns, count = rows.columns_of(part), part.stop - part.start
    scores = version.score_columns(columns, count)
    if not np.isfinite(scores).all():
        wrong = (np.flatnonzero(~np.isfinite(scores)) + part.start).tolist()
        raise BadData([Problem("score", "the version gives no finite number", wrong[:20], len(wrong))])
    table = answers.in_columns(model, scores, columns, plan.policy, version.shifts)
    named = {name: _texts(values) if isinstance(values, Coded) else values for name, values in table.columns.items()}
    truth = {} if rows.examples is None else {"truth": rows.examples.truth[part], "group": rows.examples.groups[part].astype(str)}
    return pd.DataFrame({ROW: np.arange(part.start, part.stop), **named, **truth})


def _texts(coded: Coded) -> Any:
    return np.array([*coded.levels, None], dtype=object)[coded.codes]
