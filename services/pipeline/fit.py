"""Fitting and scoring with the model's own functions."""

import logging
import os
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from joblib import parallel_config  # type: ignore[import-untyped]
from numpy.typing import NDArray

from bentos import contract
from bentos.contract import Columns, Examples, Floats, IntervalFeatures, RegressionFeatures
from bentos.serving import estimators, intervals
from bentos.serving.estimators import EstimatorEngine
from bentos.serving.intervals import Shifts
from services.pipeline import metrics, split
from services.pipeline.job import Job
from services.pipeline.runs import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutOfFold:
    """What each example of the training part got from an estimator that had not learned from it."""

    prediction: Floats
    """Probability, or forecast in the answer's units. NaN where every fold learned from the example: the beginning, when folds follow time."""
    fold: NDArray[np.int64]
    """-1 where there is no prediction."""

    @property
    def known(self) -> NDArray[np.bool_]:
        return self.fold >= 0


def matrix(model: str, examples: Examples) -> Floats:
    return contract.features(model).matrix(examples.columns)


def measured(job: Job, run: Run) -> Any:
    """The estimator that learned from the training part alone, which the run's figures are of."""
    return estimators.restore(run.get(f"training/{estimators.DATA}", job.place(f"measured-{run.id}")).parent)


def fitted(model: str, seed: int, rows: Floats, target: Floats) -> Any:
    """On every core that this process may use; what is fitted predicts single-threaded."""
    estimator: Any = contract.train(model).estimator(seed)
    with parallel_config(backend="threading", n_jobs=len(os.sched_getaffinity(0))):
        return estimator.fit(rows, target)


def predictions(model: str, task: str, scores: Floats, columns: Columns) -> Floats:
    """Scores in the units of the truth."""
    if task == "classification":
        return scores
    answered = cast(RegressionFeatures, contract.features(model)).answer(scores, columns)["prediction"]
    return np.asarray(answered, dtype=np.float64)


def shifts(model: str, training: Examples, found: "OutOfFold") -> dict[str, float] | None:
    """For the bounds of intervals, where the model has them: from the errors on examples that were not learned from, of later times than those that were."""
    if not intervals.has(model):
        return None
    known = training.take(found.known)
    score_of = cast(IntervalFeatures, contract.features(model)).score_of
    return intervals.shifts(score_of(known.truth, known.columns) - score_of(found.prediction[found.known], known.columns))


def bounds(model: str, scores: Floats, columns: Columns, shifts: Shifts | None) -> dict[str, Floats]:
    """In the units of the truth; nothing without shifts."""
    if shifts is None:
        return {}
    answered = cast(IntervalFeatures, contract.features(model)).answer(scores, columns, shifts)
    return {name: answered[name] for name in shifts}


def change(values: Floats, baseline: Floats) -> Floats:
    """From the baseline; as a share of it where that makes sense, so that examples of different size can be shown together."""
    return values / baseline - 1 if bool((baseline > 0).all()) else values - baseline


def cross_validate(model: str, task: str, training: Examples, seed: int) -> OutOfFold:
    rows = matrix(model, training)
    found = OutOfFold(np.full(len(training), np.nan), np.full(len(training), -1, dtype=np.int64))
    for number, (learn, check) in enumerate(split.folds(training, seed)):
        log.info("fold %d of %d: learning from %d examples", number + 1, split.FOLDS, len(learn))
        estimator = fitted(model, seed, rows[learn], training.target[learn])
        part = training.take(check)
        found.prediction[check] = predictions(model, task, EstimatorEngine(estimator).scores(rows[check]), part.columns)
        found.fold[check] = number
    return found


def summary(task: str, training: Examples, found: OutOfFold) -> dict[str, Any]:
    """Each metric over the folds: {name: {mean, std, folds}}."""
    folds = []
    for number in range(split.FOLDS):
        members = found.fold == number
        part = training.take(members)
        folds.append(metrics.values(task, part.truth, found.prediction[members], part.baseline, part.groups))
    columns = {name: [fold[name] for fold in folds] for name in folds[0]}
    known = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {name: {"mean": float(np.mean(values)), "std": float(np.std(values)), "folds": columns[name]} for name, values in known.items() if values}
