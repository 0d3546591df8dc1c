"""What the training data looked like: the reference that drift is measured against."""

from typing import Any

import numpy as np

from bentos.contract import Columns, Floats

BINS = 10
POINTS = 128
"""Of a distribution's curve, at most."""
MOST_CATEGORIES = 50


def profile(columns: Columns, features: tuple[str, ...], matrix: Floats, scores: Floats, *, ordered: bool) -> dict[str, Any]:
    """{rows, columns, features, score, ordered}. `columns` has one entry per plain column of the input; `features` stays empty unless
    the input has lists of numbers, which are described by the features made of them.

    `scores` are of rows that the estimator had not learned from: it is surer of those that it knows, and new ones would all seem to drift. `ordered`: rows
    follow each other in time, and resemble their neighbours.
    """
    lists = any(values.ndim > 1 for values in columns.values())
    return {
        "rows": len(matrix),
        "columns": {name: _column(values) for name, values in columns.items() if values.ndim == 1},
        "features": {name: _numbers(matrix[:, i]) for i, name in enumerate(features)} if lists else {},
        "score": _numbers(scores) | {"out_of_sample": True},
        "ordered": ordered,
    }


def _column(values: Any) -> dict[str, Any]:
    return _numbers(values) if values.dtype.kind == "f" else _categories(values)


def _numbers(values: Floats) -> dict[str, Any]:
    """Inner edges at the tenths, so a new value's bin is `searchsorted(edges, value, side="right")`; proportions of the known values."""
    known = values[~np.isnan(values)]
    found: dict[str, Any] = {"kind": "number", "rows": len(values), "missing": float(np.isnan(values).mean())}
    if not len(known):
        return found | {"edges": [], "proportions": []}
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS))
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return found | {
        "edges": edges.tolist(),
        "proportions": (counts / len(known)).tolist(),
        "min": float(known.min()),
        "max": float(known.max()),
        "mean": float(known.mean()),
        "std": float(known.std()),
        "curve": _curve(known),
    }


def _curve(known: Floats) -> dict[str, list[float]]:
    """The distribution function, exact at each of at most POINTS values.

    `cumulative` is the share up to a value, `means` the mean of those since the one before.
    """
    ranked = np.sort(known)
    values = np.unique(ranked)
    if len(values) > POINTS:
        values = np.unique(ranked[(np.arange(1, POINTS + 1) * len(ranked)) // POINTS - 1])
    ends = np.searchsorted(ranked, values, side="right")
    sums = np.diff(np.concatenate(([0.0], np.cumsum(ranked)))[ends], prepend=0.0)
    means = np.clip(sums / np.diff(ends, prepend=0), ranked[0], ranked[-1])
    return {"values": values.tolist(), "cumulative": (ends / len(ranked)).tolist(), "means": means.tolist()}


def _categories(values: Any) -> dict[str, Any]:
    """The most frequent texts with their share of the known values; `other` is the rest."""
    known = np.array([str(value) for value in values if value is not None], dtype=object)
    names, counts = np.unique(known, return_counts=True) if len(known) else (np.array([]), np.array([]))
    order = np.argsort(-counts, kind="stable")[:MOST_CATEGORIES]
    shares = {str(names[i]): float(counts[i] / len(known)) for i in order}
    other = max(0.0, 1 - sum(shares.values())) if len(names) > len(order) else 0.0
    return {"kind": "category", "rows": len(values), "missing": 1 - len(known) / len(values), "categories": shares, "other": other}
