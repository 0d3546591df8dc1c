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


def fingerprint(frame: pd.DataFrame) -> str:
    """sha256 of the columns' names and the rows in their order; line numbers do not count."""
    digest = hashlib.sha256("\0".join(map(str, frame.columns)).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def frame(job: Job, run: Run) -> pd.DataFrame:
    return pd.read_parquet(run.get("data/dataset.parquet", job.place("data")))


def whole(job: Job, run: Run) -> Examples:
    """All that is worth learning from."""
    examples = contract.train(job.model).examples(frame(job, run))
    return examples.take(examples.learn)


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
