"""Engines that walk the trees of `ensembles`: in C where the native part was built for this machine, in numpy everywhere."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats
from bentos.serving import ensembles
from bentos.serving.ensembles import Ensemble, Trees
from bentos.serving.gtil import expit

ABI = 2
"""Raised here and in walker.c whenever a library of another build could not be called as this module does."""
LIBRARY = Path(__file__).with_name("native") / "walker.so"
MOST_WALKS = 2**17
"""Rows times trees that numpy walks at a time: some megabytes."""


class Unavailable(Exception):
    """The message says why the native part cannot be used here."""


class _Ensemble(ctypes.Structure):
    _fields_ = (
        ("nodes", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("roots", ctypes.c_void_p),
        ("trees", ctypes.c_int32),
        ("features", ctypes.c_int32),
        ("float32", ctypes.c_int32),
        ("logistic", ctypes.c_int32),
        ("base", ctypes.c_double),
        ("divisor", ctypes.c_double),
    )


@cache
def library(path: Path = LIBRARY) -> ctypes.CDLL:
    """Raises Unavailable: not built, built for another machine, or from another version of the source."""
    try:
        loaded = ctypes.CDLL(str(path))
        found = loaded.modelyard_walker_abi()
    except (OSError, AttributeError) as error:
        raise Unavailable(str(error)) from None
    if found != ABI:
        raise Unavailable(f"{path.name} has ABI {found}, this runner calls {ABI}: build it again")
    loaded.modelyard_walker_scores.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    loaded.modelyard_walker_contributions.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_size_t, *[ctypes.c_void_p] * 2]
    return loaded


def described(ensemble: Ensemble) -> _Ensemble:
    """For the native part. Points into the arrays of `ensemble`, which must live on."""
    places = (part.ctypes.data for part in ensemble.trees)
    return _Ensemble(*places, len(ensemble.trees.roots), ensemble.features, ensemble.float32, ensemble.logistic, ensemble.base, ensemble.divisor)


class NativeEngine(Ensemble):
    kind = "native"

    def __init__(self, found: Trees, **settings: Any) -> None:
        """Raises Unavailable without the library."""
        super().__init__(found, **settings)
        self._ensemble = described(self)
        self._place = ctypes.addressof(self._ensemble)
        self._scores = library().modelyard_walker_scores

    def scores(self, matrix: Floats) -> Floats:
        self.check(matrix)
        rows = len(matrix)
        out = np.empty(rows)
        if rows and self._scores(self._place, address(np.ascontiguousarray(matrix, dtype=np.float64)), rows, address(out)):
            raise MemoryError
        return out


class NumpyEngine(Ensemble):
    """All rows in all trees, one step at a time. Fast for many rows only: a step of a single one costs as much as that of a hundred."""

    kind = "numpy"

    def __init__(self, found: Trees, **settings: Any) -> None:
        super().__init__(found, **settings)
        nodes = self.trees.nodes
        # Fields of a record lie apart, and numpy converts whatever it indexes with to its own integer.
        self._threshold, self._missing_right = nodes["threshold"].copy(), nodes["missing_right"].astype(np.bool_)
        self._left, self._feature, self._roots = (part.astype(np.intp) for part in (nodes["left"], nodes["feature"], self.trees.roots))

    def scores(self, matrix: Floats) -> Floats:
        self.check(matrix)
        rows = max(MOST_WALKS // len(self._roots), 1)
        if len(matrix) > rows:
            return np.concatenate([self.scores(matrix[start : start + rows]) for start in range(0, len(matrix), rows)])
        values = self.trees.values.take(self._leaves(matrix))
        values[:, 0] += self.base
        # `accumulate` adds one after the other; `sum` would add in another order.
        scores: Floats = np.add.accumulate(values, axis=1)[:, -1] / self.divisor
        return expit(scores) if self.logistic else scores

    def _leaves(self, matrix: Floats) -> NDArray[np.intp]:
        """(rows, trees)"""
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(matrix, dtype=self._threshold.dtype).ravel()
        starts = (np.arange(len(matrix)) * self.features)[:, None]
        missing = bool(np.isnan(numbers).any())
        at = np.tile(self._roots, (len(matrix), 1))
        while True:
            here = numbers.take(starts + self._feature.take(at))
            right = here > self._threshold.take(at)
            if missing:
                right |= np.isnan(here) & self._missing_right.take(at)
            after = self._left.take(at) + right
            if np.array_equal(after, at):
                return at
            at = after


def address(array: NDArray[Any]) -> Any:
    """For a void pointer of ctypes: four times as fast as `array.ctypes.data`. The array is contiguous and has an item at least."""
    return ctypes.byref(ctypes.c_char.from_buffer((array if array.flags.writeable else array.copy()).data))


def candidates(estimator: Any) -> list[NativeEngine | NumpyEngine]:
    """None of them for what `ensembles.read` does not know; without the native one where that is not here."""
    read = ensembles.read(estimator)
    if read is None:
        return []
    found, settings = read
    try:
        return [NativeEngine(found, **settings), NumpyEngine(found, **settings)]
    except Unavailable:
        return [NumpyEngine(found, **settings)]
