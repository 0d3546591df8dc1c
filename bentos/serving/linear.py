"""Linear models as one scaling and one dot product."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from bentos.contract import Floats

DATA = "engine.npz"


@dataclass(frozen=True, eq=False)
class LinearEngine:
    mean: Floats
    scale: Floats
    coefficients: Floats
    intercept: float
    logistic: bool

    kind = "linear"

    def scores(self, matrix: Floats) -> Floats:
        """Added up row by row: BLAS adds in another order for another number of rows, and a row would have another last bit in a batch than alone."""
        raw: Floats = np.add.reduce((matrix - self.mean) / self.scale * self.coefficients, axis=1) + self.intercept
        if self.logistic:
            with np.errstate(over="ignore"):
                raw = 1 / (1 + np.exp(-raw))
        return raw

    def save(self, folder: Path) -> dict[str, Any]:
        np.savez(folder / DATA, mean=self.mean, scale=self.scale, coefficients=self.coefficients, intercept=self.intercept)
        return {"logistic": self.logistic}

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        with np.load(folder / DATA, allow_pickle=False) as stored:
            return cls(stored["mean"], stored["scale"], stored["coefficients"], float(stored["intercept"]), bool(settings["logistic"]))


def candidate(estimator: Any) -> LinearEngine | None:
    """None unless it is LogisticRegression (two classes), Ridge or LinearRegression, alone or behind one StandardScaler."""
    from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    model, before = steps[-1], steps[:-1]
    if type(model) not in (LogisticRegression, Ridge, LinearRegression) or len(before) > 1 or not all(type(step) is StandardScaler for step in before):
        return None
    logistic = isinstance(model, LogisticRegression)
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    if (logistic and len(model.classes_) != 2) or (coefficients.ndim == 2 and len(coefficients) != 1):
        return None
    coefficients = coefficients.ravel()
    mean = before[0].mean_ if before and before[0].with_mean else np.zeros_like(coefficients)
    scale = before[0].scale_ if before and before[0].with_std else np.ones_like(coefficients)
    return LinearEngine(mean, scale, coefficients, float(np.ravel(model.intercept_)[0]), logistic)
