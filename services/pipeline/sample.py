"""Rows that were asked beside rows that the version was made for: two files in a run of MLflow, for whoever compares them in another way than `drift`."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from bentos.serving.estimators import EstimatorEngine
from services.pipeline import dataset, fit, versions
from services.pipeline.drift import verdicts, window
from services.pipeline.failure import Final
from services.pipeline.job import Job

log = logging.getLogger(__name__)

FOLDER = "sample"
MOST_ROWS = 10_000
"""Of the reference."""


def run(job: Job, *, version: str | None, rows: int | None, hours: int | None) -> dict[str, Any]:
    """Both files have the columns that the check for drift looks at, and the score. Raises Final where there are too few rows to compare."""
    chosen, since, until, found = window.answered(job, version, rows, hours)
    if len(found) < job.entry.drift.min_rows:
        raise Final(f"too few rows: {len(found)} in the window, {job.entry.drift.min_rows} is the least")
    asked = window.asked(job.model, found)
    current = pd.DataFrame({**asked.checked, verdicts.SCORE: window.scores(versions.loaded(job, chosen), asked.columns, len(found))})
    reference = _reference(job, chosen)
    told = {"version": chosen, "from": since.isoformat(), "to": until.isoformat()}
    started = job.runs.start(job.model, told, {"mlflow.runName": f"drift of version {chosen}"})
    folder = job.place(FOLDER)
    for name, frame in (("reference", reference), ("current", current)):
        path = folder / f"{name}.parquet"
        frame[list(current)].to_parquet(path)
        started.put(path, FOLDER)
    log.info("run %s: %d rows beside %d of the reference", started.id, len(current), len(reference))
    return {"run_id": started.id, "version": chosen, "rows": len(current), "reference_rows": len(reference)}


def _reference(job: Job, version: str) -> pd.DataFrame:
    """The rows and the scores that the profile of the version is made of: scores are of the hold-out, and stand in rows of their own."""
    learned = job.runs.look(job.model, job.control.version(job.model, version)["run_id"])
    whole = dataset.whole(job, learned)
    training, holdout = dataset.divide(job, whole)
    population = dataset.population(whole, training, holdout)
    population = population.take(_evenly(len(population)))
    scores = EstimatorEngine(fit.measured(job, learned)).scores(fit.matrix(job.model, holdout))
    described = pd.DataFrame(window.checked(job.model, population.columns, fit.matrix(job.model, population)))
    return pd.concat([described, pd.DataFrame({verdicts.SCORE: scores[_evenly(len(scores))]})], ignore_index=True)


def _evenly(rows: int) -> Any:
    """Which of so many rows are taken: all, or MOST_ROWS of them from beginning to end."""
    return np.arange(rows) if rows <= MOST_ROWS else np.linspace(0, rows - 1, MOST_ROWS).astype(np.int64)
