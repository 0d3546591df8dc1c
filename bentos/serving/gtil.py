"""treelite's tree walker, called through its C interface.

The library is loaded without `import treelite`, which would bring scipy: 4 ms and 1 MB instead of 140 ms and 25 MB.
"""

import ctypes
import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np

from bentos.contract import Floats

DATA = "engine.tl"
_LOWEST = -709.782712893384
"""Below it the exponential of the opposite is infinity, and for Python an error."""


@cache
def library() -> ctypes.CDLL:
    spec = find_spec("treelite")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for folder in folders for path in Path(folder, "lib").glob("*treelite.*")]
    if not found:
        raise ImportError("treelite's native library is not installed")
    loaded = ctypes.CDLL(str(found[0]))
    loaded.TreeliteGetLastError.restype = ctypes.c_char_p
    loaded.TreeliteGTILPredict.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_void_p]
    loaded.TreeliteFreeModel.argtypes = [ctypes.c_void_p]
    loaded.TreeliteQueryNumFeature.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return loaded


def _check(status: int) -> None:
    if status != 0:
        raise ValueError(f"treelite: {library().TreeliteGetLastError().decode()}")


@cache
def _configuration(predict_type: str) -> ctypes.c_void_p:
    """One thread, kept for the life of the process."""
    handle = ctypes.c_void_p()
    _check(library().TreeliteGTILParseConfig(json.dumps({"predict_type": predict_type, "nthread": 1}).encode(), ctypes.byref(handle)))
    return handle


class GtilEngine:
    """Forests: the average that treelite makes equals scikit-learn's to the bit. Boosting: scikit-learn adds the trees to the base score
    one after the other, treelite adds the base last, so here the trees' scores are fetched and added in scikit-learn's order."""

    kind = "gtil"

    def __init__(self, model: Path | bytes, *, float32: bool, width: int, base: float | None = None, logistic: bool = False) -> None:
        """`float32`: scikit-learn rounds the matrix before it compares (forests and GradientBoosting do).

        `width`: numbers per row that treelite writes, of which the last is the score; for boosting, the number of trees.
        """
        self.settings: dict[str, Any] = {"float32": float32, "width": width, "base": base, "logistic": logistic}
        self._float32, self._width, self._base, self._logistic = float32, width, base, logistic
        self._handle = ctypes.c_void_p()
        if isinstance(model, bytes):
            _check(library().TreeliteDeserializeModelFromBytes(model, ctypes.c_size_t(len(model)), ctypes.byref(self._handle)))
        else:
            _check(library().TreeliteDeserializeModelFromFile(str(model).encode(), ctypes.byref(self._handle)))
        features = ctypes.c_int()
        _check(library().TreeliteQueryNumFeature(self._handle, ctypes.byref(features)))
        self._features = features.value
        self._predict = library().TreeliteGTILPredict
        self._configured = _configuration("default" if base is None else "score_per_tree")

    def __del__(self) -> None:
        if self._handle:
            library().TreeliteFreeModel(self._handle)

    def scores(self, matrix: Floats) -> Floats:
        if matrix.ndim != 2 or matrix.shape[1] != self._features:  # the native code reads that many, whatever there is
            raise ValueError(f"matrix has shape {matrix.shape}, the engine wants {self._features} columns")
        matrix = matrix.astype(np.float32).astype(np.float64) if self._float32 else np.ascontiguousarray(matrix, dtype=np.float64)
        rows = len(matrix)
        out = np.zeros((rows, self._width))
        if self._predict(self._handle, matrix.ctypes.data, b"float64", rows, out.ctypes.data, self._configured):
            _check(1)
        if self._base is None:
            return out[:, -1]
        out[:, 0] += self._base
        raw: Floats = np.add.accumulate(out, axis=1)[:, -1]
        return expit(raw) if self._logistic else raw

    def save(self, folder: Path) -> dict[str, Any]:
        _check(library().TreeliteSerializeModelToFile(self._handle, str(folder / DATA).encode()))
        return self.settings

    @classmethod
    def load(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        return cls(folder / DATA, **settings)


def expit(values: Floats) -> Floats:
    """With the C library's exp, as in scipy.special.expit; numpy's own differs in the last bit."""
    return np.array([1 / (1 + math.exp(-value)) if value >= _LOWEST else 0.0 for value in values.tolist()])


def candidate(estimator: Any) -> GtilEngine | None:
    """None when treelite cannot import the estimator. Imports scikit-learn."""
    from sklearn import ensemble
    from treelite import TreeliteError
    from treelite.sklearn import import_model

    forests = (ensemble.RandomForestClassifier, ensemble.RandomForestRegressor, ensemble.ExtraTreesClassifier, ensemble.ExtraTreesRegressor)
    histograms = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)
    boosted = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
    if not isinstance(estimator, forests + histograms + boosted) or len(getattr(estimator, "classes_", (0, 1))) != 2:
        return None
    try:
        model = import_model(estimator)
    except (TreeliteError, NotImplementedError, AssertionError):
        return None
    logistic = hasattr(estimator, "classes_")
    if isinstance(estimator, forests):
        return GtilEngine(model.serialize_bytes(), float32=True, width=2 if logistic else 1)
    base = float(model.get_header_accessor().get_field("base_scores")[0])
    return GtilEngine(model.serialize_bytes(), float32=isinstance(estimator, boosted), width=model.num_tree, base=base, logistic=logistic)
