"""Counting in the bins that were kept with the version: what makes a check of ten thousand rows a matter of milliseconds."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats

FLOOR = 1e-4
"""The least share of a bin: an empty one would make the index infinite."""


def numbers(values: Floats, edges: Sequence[float]) -> NDArray[np.int64]:
    """How many of the known values lie below the first edge, between the edges (the lower one included), and from the last one on.

    Compared with each edge at a time, since ten passes over a column cost less than one search for each of its values.
    """
    known = len(values) - np.count_nonzero(np.isnan(values))
    above = np.array([known, *(np.count_nonzero(values >= edge) for edge in edges), 0], dtype=np.int64)
    counts: NDArray[np.int64] = above[:-1] - above[1:]
    return counts


def categories(values: Sequence[Any] | NDArray[Any], names: Sequence[str]) -> NDArray[np.int64]:
    """How many of the known values are each of the names; the last number is of all others."""
    found = Counter(map(str, (value for value in values if value is not None)))
    named = [found.pop(name, 0) for name in names]
    return np.array([*named, sum(found.values())], dtype=np.int64)


def psi(reference: Floats, counts: NDArray[np.int64]) -> float:
    """The population stability index between shares and counts of the same bins: Σ (now − then) · ln(now / then), each share FLOOR at least.

    Siddiqi: Credit Risk Scorecards (2006), chapter 9. It is the symmetric Kullback-Leibler divergence of the two.
    """
    then, now = np.maximum(reference, FLOOR), np.maximum(counts / max(counts.sum(), 1), FLOOR)
    return float(((now - then) * np.log(now / then)).sum())
