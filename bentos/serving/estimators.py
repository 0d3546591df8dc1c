"""Engines that need scikit-learn in the process: its own trees called directly, and the estimator as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from bentos.contract import Floats

DATA = "model.skops"
TRUSTED = ("sklearn.", "numpy.")


def store(estimator: Any, folder: Path) -> None:
    from skops import io

    io.dump(estimator, folder / DATA)


def restore(folder: Path) -> Any:
    """Raises ValueError when the file names a type that is neither scikit-learn's nor numpy's: nothing of it is then run."""
    from skops import io

    named = io.get_untrusted_types(file=folder / DATA)
    foreign = [name for name in named if not name.startswith(TRUSTED)]
    if foreign:
        raise ValueError(f"{DATA} contains types that are not trusted: {', '.join(sorted(foreign))}")
    return io.load(folder / DATA, trusted=named)


class EstimatorEngine:
    kind = "estimator"

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._classifies = hasattr(estimator, "predict_proba")

    def scores(self, matrix: Floats) -> Floats:
        if self._classifies:
            return np.asarray(self._estimator.predict_proba(matrix)[:, 1], dtype=np.float64)
        return np.asarray(self._estimator.predict(matrix), dtype=np.float64)

    def save(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002 - as every engine
        """Nothing of its own: the artifact has the estimator anyway."""
        return {}

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:  # noqa: ARG003 - as every engine
        return cls(restore(folder))


class TreesEngine(EstimatorEngine):
    """A forest without its wrapper: no validation, no joblib, the same sums in the same order."""

    kind = "trees"

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self._trees = [tree.tree_ for tree in estimator.estimators_]

    def scores(self, matrix: Floats) -> Floats:
        rounded = np.ascontiguousarray(matrix, dtype=np.float32)
        total = np.zeros(len(rounded))
        for tree in self._trees:
            total += tree.predict(rounded)[:, -1]
        total /= len(self._trees)
        return total


def trees_candidate(estimator: Any) -> TreesEngine | None:
    """None unless it is a forest of one output, with two classes if it classifies."""
    from sklearn import ensemble

    forests = (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor, ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor)
    if not isinstance(estimator, forests) or estimator.n_outputs_ != 1 or len(getattr(estimator, "classes_", (0, 1))) != 2:
        return None
    return TreesEngine(estimator)
