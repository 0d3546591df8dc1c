"""An engine turns the feature matrix into scores as the fitted estimator would, only faster. It is chosen when a version is registered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from bentos.contract import Floats
from bentos.serving import estimators, gtil, linear

DESCRIPTION = "engine.json"


class Engine(Protocol):
    kind: str

    def scores(self, matrix: Floats) -> Floats:
        """(n,): the probability of the positive class, or a regression's raw output."""
        ...

    def save(self, folder: Path) -> dict[str, Any]:
        """Writes its data file, if it has one; returns what `load` needs besides."""
        ...

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self: ...


_KINDS: dict[str, type[Engine]] = {
    "gtil": gtil.GtilEngine,
    "linear": linear.LinearEngine,
    "trees": estimators.TreesEngine,
    "estimator": estimators.EstimatorEngine,
}


@dataclass(frozen=True)
class Choice:
    engine: Engine
    report: dict[str, Any]
    """JSON: rows compared, and of each candidate whether it is exact, the largest difference and the measured times."""


def candidates(estimator: Any) -> list[Engine]:
    """Fastest first; the last is the estimator itself."""
    possible: list[Engine | None] = [linear.candidate(estimator), gtil.candidate(estimator), estimators.trees_candidate(estimator)]
    return [*(engine for engine in possible if engine is not None), estimators.EstimatorEngine(estimator)]


def choose(estimator: Any, matrix: Floats) -> Choice:
    """The fastest engine that scores as the estimator does: on `matrix`, on its shuffled columns, and right at every split threshold.

    Tree engines must give the same bits. A linear one may differ by 1e-12, since BLAS adds in another order for another number
    of rows, as long as no decision differs.
    """
    from bentos.serving import parity

    found = candidates(estimator)
    return Choice(*parity.compare(estimator, matrix, found))


def save(engine: Engine, folder: Path) -> None:
    settings = engine.save(folder)
    (folder / DESCRIPTION).write_text(json.dumps({"kind": engine.kind, **settings}, indent=1), encoding="utf-8")


def load(folder: Path) -> Engine:
    """Raises ValueError for an unknown kind or data that cannot be read."""
    settings = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    kind = settings.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"{DESCRIPTION}: unknown kind {kind!r}, known are {', '.join(_KINDS)}")
    return _KINDS[kind].load(folder, settings)
