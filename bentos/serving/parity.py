"""Does an engine score as the estimator does? Asked where engines go wrong: at the thresholds of the trees."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats
from bentos.serving.engines import SIZES
from bentos.serving.estimators import EstimatorEngine

if TYPE_CHECKING:
    from bentos.serving.engines import Engine, Form

LEAST_ROWS = 100_000
MOST_THRESHOLD_ROWS = 400_000
CHUNK = 16_384
SAMPLED = 2000
"""Rows that are scored alone and in groups, too."""
ODD = 13
"""A group that fits nothing."""
LINEAR_TOLERANCE = 1e-12
DECISION_THRESHOLDS = np.arange(1, 100) / 100

Splits = tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64]]
"""One tree: feature (-1 at a leaf), threshold, left child, right child of each node. Left is `<=`."""


def compare(estimator: Any, matrix: Floats, engines: "list[Form]") -> "tuple[list[Form], dict[str, Any]]":
    """Those that agree, and the report. `matrix` has at least one row."""
    at_thresholds, float32, covered, total = threshold_rows(estimator, matrix)
    shuffled = _shuffled(matrix, max(LEAST_ROWS - len(matrix) - len(at_thresholds), SIZES[-1]))
    rows = np.concatenate([matrix, at_thresholds, shuffled])
    reference = EstimatorEngine(estimator)
    expected = _scores(reference, rows)
    tried = [_tried(engine, rows, expected) for engine in engines]
    report = {
        "rows": len(rows),
        "threshold_rows": len(at_thresholds),
        "splits": total,
        "splits_tried": covered,
        "ulp": ("float32" if float32 else "float64") if total else None,
        "candidates": tried,
    }
    return [engine for engine, result in zip(engines, tried, strict=True) if result["agrees"]], report


def _tried(engine: "Form", rows: Floats, expected: Floats) -> dict[str, Any]:
    found = _scores(engine, rows)
    different = int(np.count_nonzero(found != expected))
    largest = float(np.max(np.abs(found - expected)))
    flips = int(np.count_nonzero(np.searchsorted(DECISION_THRESHOLDS, found, "right") != np.searchsorted(DECISION_THRESHOLDS, expected, "right")))
    if engine.kind == "linear":
        scale = max(1.0, float(np.max(np.abs(expected))))
        agrees = largest <= LINEAR_TOLERANCE * scale and flips == 0
    else:
        agrees = different == 0
    if engine.kind != EstimatorEngine.kind:
        agrees = agrees and _same_in_any_company(engine, rows, found)
    us_per_row = {str(size): _us_per_row(engine, np.ascontiguousarray(np.resize(rows, (size, rows.shape[1])))) for size in SIZES}
    return {
        "kind": engine.kind,
        "agrees": agrees,
        "different_rows": different,
        "largest_difference": largest,
        "flipped_decisions": flips,
        "one_row_us": us_per_row["1"],
        "us_per_row": us_per_row,
    }


def _same_in_any_company(engine: "Form", rows: Floats, expected: Floats) -> bool:
    """An engine may go other ways for few rows than for many."""
    some = np.unique(np.linspace(0, len(rows) - 1, SAMPLED).astype(np.int64))
    sample, wanted = np.ascontiguousarray(rows[some]), expected[some]
    return all(
        np.array_equal(engine.scores(sample[start : start + size]), wanted[start : start + size])
        for size in (*SIZES[:-1], ODD)
        for start in range(0, len(sample), size)
    )


def _us_per_row(engine: "Form", matrix: Floats) -> float:
    return float(f"{microseconds(lambda: engine.scores(matrix)) / len(matrix):.3g}")


def _scores(engine: "Engine", rows: Floats) -> Floats:
    return np.concatenate([engine.scores(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)])


def microseconds(call: Callable[[], object], seconds: float = 0.02) -> float:
    """Median of as many calls as fit, at least seven, after one that warms up."""
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 7 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


def _shuffled(matrix: Floats, rows: int) -> Floats:
    """Each column on its own drawn from the matrix: combinations that the data does not have."""
    random = np.random.default_rng(0)
    return np.column_stack([random.choice(matrix[:, column], rows) for column in range(matrix.shape[1])])


def threshold_rows(estimator: Any, matrix: Floats) -> tuple[Floats, bool, int, int]:
    """For each split of each tree, rows that reach it and lie at its threshold and one ulp beside it.

    Returns (rows, whether scikit-learn rounds to float32, splits covered, splits there are). No tree: no rows.
    """
    trees, float32 = _trees(estimator)
    total = sum(int(np.count_nonzero(feature >= 0)) for feature, *_ in trees)
    around = _around_float32 if float32 else _around_float64
    variants = len(around(0.5))
    every = -(-total * variants // MOST_THRESHOLD_ROWS) or 1
    rows: list[Floats] = []
    covered = seen = 0
    for tree in trees:
        for feature, threshold, low, high in _reached(tree, matrix.shape[1]):
            seen += 1
            if seen % every:
                continue
            row = _within(matrix[seen % len(matrix)], low, high, float32)
            for value in filter(np.isfinite, around(threshold)):
                row[feature] = value
                rows.append(row.copy())
            covered += 1
    return np.array(rows).reshape(-1, matrix.shape[1]), float32, covered, total


def _around_float32(threshold: float) -> list[float]:
    below = np.float32(threshold)
    if float(below) > threshold:  # as numpy scalars they would be compared in float32
        below = np.nextafter(below, np.float32(-np.inf))
    return [float(below), float(np.nextafter(below, np.float32(np.inf))), threshold]


def _around_float64(threshold: float) -> list[float]:
    return [threshold, float(np.nextafter(threshold, np.inf)), float(np.nextafter(threshold, -np.inf))]


def _reached(tree: Splits, features: int) -> Iterator[tuple[int, float, Floats, Floats]]:
    """Each split with the bounds of the rows that reach it: low < x <= high."""
    feature, threshold, left, right = tree
    waiting = [(0, np.full(features, -np.inf), np.full(features, np.inf))]
    while waiting:
        node, low, high = waiting.pop()
        column = int(feature[node])
        if column < 0:
            continue
        value = float(threshold[node])
        yield column, value, low, high
        smaller, larger = high.copy(), low.copy()
        smaller[column], larger[column] = min(value, high[column]), max(value, low[column])
        waiting += [(int(left[node]), low, smaller), (int(right[node]), larger, high)]


def _within(row: Floats, low: Floats, high: Floats, float32: bool) -> Floats:
    """The row with values moved just inside the bounds where they are outside of them, or missing.

    A split at infinity parts the missing from all others, so beyond it lies NaN.
    """
    rounded = row.astype(np.float32).astype(np.float64) if float32 else row
    bounded = np.isfinite(low) | np.isfinite(high)
    outside = bounded & ~((rounded > low) & (rounded <= high))
    kind = np.dtype(np.float32 if float32 else np.float64)
    below = high.astype(kind)
    below = np.where(below > high, np.nextafter(below, kind.type(-np.inf)), below)
    above = np.nextafter(low.astype(kind), kind.type(np.inf))
    above[low == np.inf] = np.nan
    moved: Floats = np.where(outside, np.where(np.isfinite(high), below, above), row).astype(np.float64)
    return moved


def _trees(estimator: Any) -> tuple[list[Splits], bool]:
    if hasattr(estimator, "_predictors"):  # histogram boosting compares in float64
        found = []
        for predictor in (one for iteration in estimator._predictors for one in iteration):
            nodes = predictor.nodes
            feature = np.where((nodes["is_leaf"] == 1) | (nodes["is_categorical"] == 1), -1, nodes["feature_idx"].astype(np.int64))
            found.append((feature, nodes["num_threshold"], nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)))
        return found, False
    members = np.ravel(getattr(estimator, "estimators_", []))
    trees = [member.tree_ for member in members if hasattr(member, "tree_")]
    return [(np.where(tree.children_left < 0, -1, tree.feature), tree.threshold, tree.children_left, tree.children_right) for tree in trees], True
