"""The run's data set, and its division into training part and hold-out."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from bentos import contract
from bentos.contract import Examples
from services.pipeline import split
from services.pipeline.job import Job
from services.pipeline.runs import Run

AT = "answered_at"
"""Column of a data set with answered rows: see Examples.answered. No model knows it."""


def fingerprint(frame: pd.DataFrame) -> str:
    """sha256 of the columns' names and the rows in their order; line numbers do not count."""
    digest = hashlib.sha256("\0".join(map(str, frame.columns)).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def frame(job: Job, run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.get("data/dataset.parquet", job.place("data")))


def whole(job: Job, run: Run) -> Examples:
    """All that is worth learning from."""
    rows = frame(job, run)
    examples = contract.train(job.model).examples(rows)
    if AT in rows:
        examples = replace(examples, answered=rows[AT].to_numpy(dtype=np.float64))
    return examples.take(examples.learn)


def population(examples: Examples, training: Examples, holdout: Examples) -> Examples:
    """Whom a version was made for, whom drift is measured against: all answered rows of the data set where there are any, else what it learned from.

    Where time matters, the version that serves has learned from the hold-out too.
    """
    if examples.answered is not None:
        return examples.take(~np.isnan(examples.answered))
    return training if holdout.time is None else examples


def parts(job: Job, run: Run) -> tuple[Examples, Examples]:
    """(training part, hold-out); the same whenever the data set is the same."""
    return divide(job, whole(job, run))


def divide(job: Job, examples: Examples) -> tuple[Examples, Examples]:
    """A classification's baseline is the base rate of the training part, also for the hold-out: nothing else was known then."""
    training, holdout = split.holdout(examples)
    if job.entry.task == "classification":
        rate = float(training.target.mean())
        training, holdout = (replace(part, baseline=np.full(len(part), rate)) for part in (training, holdout))
    return training, holdout
