"""Which explainer a version has, and whether it tells the truth about the version's own scores."""

from typing import Protocol

import numpy as np

from bentos.contract import Floats
from bentos.serving import engines, shapley
from bentos.serving.artifact import Artifact, Refused
from bentos.serving.gtil import expit
from bentos.serving.linear import LinearEngine
from bentos.serving.shapley import Explained

TOLERANCE = 1e-9
"""Relative, at least absolute: of a sum of contributions, and of the score that belongs to it."""


class Explainer(Protocol):
    method: str
    base_value: float
    """The score that a row is explained from: the mean over the rows of the training."""
    logistic: bool
    """The scores are log-odds, the engine's are probabilities."""

    def explain(self, matrix: Floats) -> Explained: ...


class Unexplained(Exception):
    """The message says why this version has no exact explanations."""


class LinearExplainer:
    """Coefficient times distance from the mean: the Shapley values of a linear model whose features are independent."""

    method = "linear"

    def __init__(self, engine: LinearEngine) -> None:
        """A model without a StandardScaler is explained from zero instead of from the mean."""
        self._engine = engine
        self.base_value, self.logistic = engine.intercept, engine.logistic

    def explain(self, matrix: Floats) -> Explained:
        engine = self._engine
        contributions = (matrix - engine.mean) / engine.scale * engine.coefficients
        return Explained(contributions, np.add.reduce(contributions, axis=1) + engine.intercept)


def of(artifact: Artifact) -> Explainer:
    """Raises Unexplained."""
    try:
        found = _of(artifact)
        matrix, _ = artifact.matrix(artifact.golden_rows)
        check(found, matrix, artifact.golden_scores)
    except (OSError, ValueError, KeyError, Refused) as error:
        raise Unexplained(f"Its explanations do not agree with its scores: {error}") from error
    return found


def check(explainer: Explainer, matrix: Floats, scores: Floats) -> None:
    """Raises ValueError unless the contributions of each row add up to what an engine scores."""
    contributions, own = explainer.explain(matrix)
    for sums, wanted in ((explainer.base_value + contributions.sum(axis=1), own), (expit(own) if explainer.logistic else own, scores)):
        wrong = ~(np.abs(sums - wanted) <= TOLERANCE * np.maximum(1.0, np.abs(wanted)))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise ValueError(f"row {first}: contributions and base value give {sums[first]!r}, the model {wanted[first]!r}")


def _of(artifact: Artifact) -> Explainer:
    if (artifact.folder / shapley.DATA).exists():
        return shapley.TreeExplainer.read(artifact.folder)
    for form in engines.forms(artifact.engine):
        if isinstance(form, LinearEngine):
            return LinearExplainer(form)
    raise Unexplained(
        "Only tree ensembles and linear models have exact explanations, and tree ensembles since their versions keep what these need: train it anew."
    )
