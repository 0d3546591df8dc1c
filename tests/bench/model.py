"""The model that every target serves, and one of its rows in each form that a target takes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from bentos import contract
from bentos.serving import estimators

MODEL = "credit_scoring"
ROWS = 12_000
SEED = 20


@dataclass(frozen=True, eq=False)
class Model:
    file: Path
    """The estimator for joblib.load: what `register` stored, in the peers' format."""
    rows: list[dict[str, Any]]
    """As our callers send them."""
    vectors: np.ndarray
    """The same rows as the estimator takes them. The peers are sent these: they compute no features and check no fields."""
    probabilities: np.ndarray

    def features(self, count: int) -> list[list[float]]:
        """As many rows as wanted: the known ones again and again."""
        return np.resize(self.vectors, (count, self.vectors.shape[1])).tolist()


def prepare(artifact: Path, folder: Path) -> Model:
    """`artifact` is the folder of a registered version."""
    estimator = estimators.restore(artifact)
    file = folder / "model.joblib"
    joblib.dump(estimator, file)
    frame = contract.data(MODEL).synthetic(2_000, SEED, 0.0)
    fields = contract.kinds(contract.schema(MODEL).Input)
    columns = contract.columns_of_frame(frame, fields)
    vectors = contract.features(MODEL).matrix(columns)
    rows = [contract.schema(MODEL).Input.model_validate(row).model_dump() for row in contract.rows_of_columns(columns, fields)]
    return Model(file, rows, vectors, estimator.predict_proba(vectors)[:, 1])


def number_of(body: bytes, *path: str | int) -> float | None:
    """A number somewhere in a JSON body; None when it is not there."""
    found: Any = json.loads(body)
    try:
        for step in path:
            found = found[step]
        return float(found)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
