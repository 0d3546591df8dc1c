"""Tests of one column against the reference that its version keeps. The distributions are scipy's; what is compared are kept figures, not rows.

`rows` need not be whole: of rows that resemble their neighbours, each counts as a part of one (`worth`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bentos.contract import Floats

LEAST_EXPECTED = 5
"""Rows that a cell of a contingency table should be expected to have for its chi² to be one: Cochran (1954), Biometrics 10, 417-451."""

FEWEST_ORDERED = 30
"""Rows from which on something can be said about how they resemble their neighbours."""


class Curve(NamedTuple):
    """Points of the reference's distribution: `cumulative` is the share of values up to each of `values`, `means` the mean of those since the value before."""

    values: Floats
    cumulative: Floats
    means: Floats


def curve(reference: Mapping[str, Any]) -> Curve | None:
    """None for a version that was registered before curves were kept."""
    kept = reference.get("curve")
    return None if not kept or not kept["values"] else Curve(*(np.array(kept[name]) for name in Curve._fields))


def kolmogorov(kept: Curve, known: Floats) -> float:
    """The largest distance of the two distribution functions at the points of the curve: never more than the whole Kolmogorov-Smirnov statistic."""
    now = np.searchsorted(np.sort(known), kept.values, side="right") / len(known)
    return float(np.abs(now - kept.cumulative).max())


def kolmogorov_p(distance: float, rows: float, reference_rows: float) -> float:
    """Of two samples, as `scipy.stats.ks_2samp` has it with method="asymp"; too large where values repeat."""
    together = max(1, round(rows * reference_rows / (rows + reference_rows)))
    return float(np.clip(stats.kstwo.sf(distance, together), 0.0, 1.0))


def wasserstein(kept: Curve, known: Floats, deviation: float) -> float | None:
    """The earth mover's distance in standard deviations of the reference; None where it has none."""
    if deviation <= 0:
        return None
    weights = np.diff(kept.cumulative, prepend=0.0)
    return float(stats.wasserstein_distance(kept.means, known, weights)) / deviation


def chi2(shares: Floats, reference_rows: float, counts: NDArray[np.int64]) -> tuple[float, float]:
    """(statistic, p) of two samples of categories; those that are too rare to be compared alone are compared together."""
    rows = counts.sum()
    rare = shares * rows < LEAST_EXPECTED
    then = np.array([*shares[~rare], shares[rare].sum()]) * reference_rows
    now = np.array([*counts[~rare], counts[rare].sum()])
    there = then + now > 0
    if there.sum() < 2 or not then.sum():
        return 0.0, 1.0
    found = stats.chi2_contingency(np.stack([then[there], now[there]]), correction=False)
    return float(found.statistic), float(found.pvalue)


def share_p(count: float, rows: float, reference_share: float, reference_rows: float) -> float:
    """Of a share in two samples, by Fisher's exact test."""
    then, now = round(reference_share * reference_rows), round(count)
    if now == then == 0:
        return 1.0
    table = [[now, max(round(rows) - now, 0)], [then, max(round(reference_rows) - then, 0)]]
    return float(stats.fisher_exact(table).pvalue)


def outside_p(count: float, rows: float, reference_rows: float) -> float:
    """That so many or more lie outside of the smallest and the largest of the reference, when all are drawn from the same.

    The share that two order statistics leave out is Beta(2, reference_rows − 1): Wilks (1941), Annals of Mathematical Statistics 12, 91-96.
    """
    return float(stats.betabinom.sf(round(count) - 1, max(round(rows), 1), 2, max(reference_rows - 1, 1))) if count >= 0.5 else 1.0


def worth(values: Floats) -> float:
    """What part of an independent row one of these is worth, which follow each other in time: by the variance of the means of runs of them.

    Flegal and Jones (2010), Annals of Statistics 38, 1034-1070: runs of √n rows, and of n^⅔ for what changes slowly; the smaller part counts. Of ranks,
    so that a few large values do not decide it.
    """
    known = values[~np.isnan(values)]
    ranks = stats.rankdata(known)
    spread = ranks.var()
    if len(known) < FEWEST_ORDERED or spread == 0:
        return 1.0
    lengths = (round(len(known) ** power) for power in (1 / 2, 2 / 3))
    times = [length * _runs(ranks, length).var(ddof=1) / spread for length in lengths]
    return float(1 / max(1.0, *times))


def _runs(ranks: Floats, length: int) -> Floats:
    means: Floats = ranks[len(ranks) % length :].reshape(-1, length).mean(axis=1)
    return means


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected so that of a whole family, if nothing has changed, with probability α at most one lies below α. Holm (1979), Scand. J. Statist. 6, 65-70."""
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values, dtype=np.float64)[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in corrected]
