"""An engine turns the feature matrix into scores as the fitted estimator would, only faster. Which ones are exact and how fast they are is found out when
a version is registered; which of them scores is decided where it serves, by the number of rows."""

import json
import logging
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from bentos.contract import Floats
from bentos.serving import estimators, gtil, linear, walker

log = logging.getLogger(__name__)

DESCRIPTION = "engine.json"
SIZES = (1, 8, 64, 1024)
"""Rows in a call for which engines are measured."""


class Engine(Protocol):
    kind: str

    def scores(self, matrix: Floats) -> Floats:
        """(n,): the probability of the positive class, or a regression's raw output. The same for a row alone and among others."""
        ...


class Form(Engine, Protocol):
    """An engine that can be stored."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Writes its data file, if it has one; returns what `load` needs besides."""
        ...

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self: ...


_KINDS: dict[str, type[Form]] = {
    "native": walker.NativeEngine,
    "gtil": gtil.GtilEngine,
    "numpy": walker.NumpyEngine,
    "linear": linear.LinearEngine,
    "trees": estimators.TreesEngine,
    "estimator": estimators.EstimatorEngine,
}
_OPTIONAL = "native"
_NEED_SCIKIT_LEARN = ("trees", "estimator")
"""Two seconds more at the start and 130 MB more of memory: taken only where nothing else agrees, however fast they are for many rows."""

Measured = Mapping[str, Mapping[str, float]]
"""Microseconds per row: of each kind, for each of SIZES as text."""


class BySize:
    """The same scores from several engines: for each number of rows from the one that is the fastest."""

    def __init__(self, by_size: Sequence[Engine]) -> None:
        """One for each of SIZES."""
        self._by_size = by_size
        self.forms = list(dict.fromkeys(by_size))
        self.kind = "+".join(engine.kind for engine in self.forms)

    def scores(self, matrix: Floats) -> Floats:
        return self._by_size[max(bisect_right(SIZES, len(matrix)) - 1, 0)].scores(matrix)


def fastest(kinds: Sequence[str], us_per_row: Measured) -> list[str]:
    """For each of SIZES; the first of `kinds` for all where nothing was measured."""
    known = [kind for kind in kinds if kind in us_per_row]
    return [min(known, key=lambda kind: us_per_row[kind][str(size)]) if known else kinds[0] for size in SIZES]


def assembled(by_size: Sequence[Engine]) -> Engine:
    return by_size[0] if len(set(by_size)) == 1 else BySize(by_size)


def forms(engine: Engine) -> list[Engine]:
    """The engines that `engine` is made of: each has to show that it is right."""
    return list(engine.forms) if isinstance(engine, BySize) else [engine]


class Stored(NamedTuple):
    """What a version keeps of its engines."""

    forms: Sequence[Form]
    us_per_row: Measured


@dataclass(frozen=True)
class Choice:
    engine: Engine
    """Scores here as a runner does."""
    stored: Stored
    """The fastest for every size, and the fastest where the native part is not."""
    report: dict[str, Any]
    """JSON: rows compared, and of each candidate whether it is exact, the largest difference and the measured times."""


def candidates(estimator: Any) -> list[Form]:
    """Usually the fastest for a single row first; the last is the estimator itself."""
    possible: list[Form | None] = [linear.candidate(estimator), gtil.candidate(estimator), estimators.trees_candidate(estimator)]
    walkers: list[Form] = [*walker.candidates(estimator)]
    found = [form for form in (*walkers, *possible, estimators.EstimatorEngine(estimator)) if form is not None]
    return sorted(found, key=lambda form: list(_KINDS).index(form.kind))


def choose(estimator: Any, matrix: Floats) -> Choice:
    """The fastest engines that score as the estimator does: on `matrix`, on its shuffled columns, and right at every split threshold.

    Tree engines must give the same bits. A linear one may differ by 1e-12, since scikit-learn's own sums depend on the number of rows, as long as no
    decision differs.
    """
    from bentos.serving import parity

    agreeing, report = parity.compare(estimator, matrix, candidates(estimator))
    light = [form for form in agreeing if form.kind not in _NEED_SCIKIT_LEARN]
    by_kind = {form.kind: form for form in light or agreeing}
    us_per_row = {one["kind"]: one["us_per_row"] for one in report["candidates"] if one["agrees"]}
    best = fastest(list(by_kind), us_per_row)
    elsewhere = [kind for kind in by_kind if kind != _OPTIONAL] or [form.kind for form in agreeing if form.kind != _OPTIONAL]
    needed = {*best, *fastest(elsewhere, us_per_row)}
    stored = Stored([form for form in agreeing if form.kind in needed], {kind: us for kind, us in us_per_row.items() if kind in needed})
    return Choice(assembled([by_kind[kind] for kind in best]), stored, report | {"engine": best[0]})


def save(stored: Stored, folder: Path) -> None:
    document = {"forms": [{"kind": form.kind, **form.save(folder)} for form in stored.forms], "us_per_row": stored.us_per_row}
    (folder / DESCRIPTION).write_text(json.dumps(document, indent=1), encoding="utf-8")


def load(folder: Path, library: Path = walker.LIBRARY) -> Engine:
    """What is the fastest here, where `library` may be missing. Raises ValueError for an unknown kind or data that cannot be read."""
    document = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    described = {form.pop("kind", None): form for form in document["forms"]}
    unknown = [kind for kind in described if kind not in _KINDS]
    if unknown or not described:
        raise ValueError(f"{DESCRIPTION}: unknown kind {', '.join(map(repr, unknown)) or 'of engine'}, known are {', '.join(_KINDS)}")
    here = [kind for kind in described if kind != _OPTIONAL or _is_here(library)]
    if not here:
        raise ValueError(f"{DESCRIPTION}: there is a native form only, and the native part is not here")
    best = fastest(here, document["us_per_row"])
    loaded = {kind: _KINDS[kind].load(folder, described[kind]) for kind in dict.fromkeys(best)}
    return assembled([loaded[kind] for kind in best])


def _is_here(library: Path) -> bool:
    try:
        walker.library(library)
    except walker.Unavailable as reason:
        log.warning("the native walker cannot be used, a slower engine scores", extra={"reason": str(reason)})
        return False
    return True
