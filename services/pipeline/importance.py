"""Which features the estimator's quality hangs on."""

import time
from typing import Any

import numpy as np

from bentos import contract
from bentos.contract import Examples, Floats
from bentos.serving.estimators import EstimatorEngine
from services.pipeline import fit, metrics

ROWS = 1500
REPEATS = 3
SECONDS = 6.0


def importance(model: str, task: str, estimator: Any, rows: Floats, holdout: Examples) -> list[dict[str, Any]]:
    """Permutation importance on hold-out rows, largest first: the loss of ROC AUC, or the growth of RMSE / naive RMSE, when a feature is shuffled.

    As many repeats as fit into SECONDS, the first one in any case.
    """
    random = np.random.default_rng(0)
    sample = np.sort(random.permutation(len(holdout))[:ROWS])
    part, rows = holdout.take(sample), rows[sample]
    name, sign = ("roc_auc", 1) if task == "classification" else ("rmse_ratio", -1)
    engine = EstimatorEngine(estimator)

    def quality(matrix: Floats) -> float:
        predicted = fit.predictions(model, task, engine.scores(matrix), part.columns)
        return sign * (metrics.values(task, part.truth, predicted, part.baseline, part.groups)[name] or 0.0)

    whole = quality(rows)
    features = contract.features(model).FEATURES
    losses = np.zeros((0, len(features)))
    end = time.perf_counter() + SECONDS
    while len(losses) < REPEATS and (len(losses) == 0 or time.perf_counter() < end):
        loss = np.zeros(len(features))
        for column in range(len(features)):
            shuffled = rows.copy()
            shuffled[:, column] = random.permutation(rows[:, column])
            loss[column] = whole - quality(shuffled)
        losses = np.vstack([losses, loss])
    mean = losses.mean(axis=0)
    return [{"feature": features[i], "loss": float(mean[i])} for i in np.argsort(-mean, kind="stable")]
