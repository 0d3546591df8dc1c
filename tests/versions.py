"""Small real versions of the catalogue's models, made as `register` makes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bentos import catalogue, contract
from bentos.contract import Examples
from bentos.serving import artifact, engines, intervals
from bentos.serving.estimators import EstimatorEngine

POLICY: dict[str, Any] = {"version": 1, "threshold": 0.2, "costs": {"missed_positive": 4, "false_alarm": 1}, "risk_levels": {"medium": 0.5, "high": 1.5}}


@dataclass(frozen=True)
class Version:
    folder: Path
    sha256: str
    estimator: Any
    engine: engines.Engine
    examples: Examples
    rows: list[dict[str, Any]]


@cache
def examples_of(model: str, rows: int = 800) -> Examples:
    return contract.train(model).examples(contract.data(model).synthetic(rows, 7, 0.0))


def build(folder: Path, model: str, *, seed: int = 1, estimator: Callable[[int], Any] | None = None, forms: Sequence[engines.Form] = ()) -> Version:
    """Different seeds learn from different halves of the rows, so their scores differ."""
    examples = examples_of(model)
    matrix = contract.features(model).matrix(examples.columns)
    half = np.random.default_rng(seed).random(len(examples)) < 0.5
    fitted = (estimator or contract.train(model).estimator)(seed).fit(matrix[half], examples.target[half])
    # Those that a runner could use without scikit-learn, if there are any.
    stored = forms or [form for form in engines.candidates(fitted) if not isinstance(form, EstimatorEngine)] or engines.candidates(fitted)
    chosen = stored[0]
    inputs = contract.schema(model).Input
    rows = contract.rows_of_columns(examples.take(np.arange(30)).columns, contract.kinds(inputs))
    columns = contract.columns_of_rows(rows, contract.kinds(inputs))
    scores = chosen.scores(contract.features(model).matrix(columns))
    shifts = None
    if intervals.has(model):
        score_of = contract.features(model).score_of  # type: ignore[attr-defined]
        shifts = intervals.shifts(score_of(examples.truth, examples.columns)[~half] - chosen.scores(matrix[~half]))
    sha256 = artifact.write(
        folder,
        model=model,
        task=catalogue.load().models[model].task,
        estimator=fitted,
        stored=engines.Stored(stored, {}),
        golden=rows,
        golden_scores=scores,
        reference={},
        run_id=f"run-{seed}",
        shifts=shifts,
    )
    return Version(folder, sha256, fitted, chosen, examples, rows)
