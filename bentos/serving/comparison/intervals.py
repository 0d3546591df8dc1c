"""95 % intervals."""

from math import sqrt

import numpy as np

from bentos.contract import Floats

Z = 1.959963984540054
REPLICATES = 1000
MOST_DISTINCT = 64
MOST_RESAMPLED = 5_000
"""Beyond, the mean's distribution is normal for all that can be seen, and resampling costs seconds."""


def share(hits: int, rows: int) -> tuple[float, float]:
    """Wilson's score interval (JASA 22, 1927), which holds for few rows and for shares near 0 too."""
    if rows == 0:
        return 0.0, 1.0
    p, z2 = hits / rows, Z * Z
    centre = (p + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z * sqrt(p * (1 - p) / rows + z2 / (4 * rows * rows)) / (1 + z2 / rows)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean(differences: Floats) -> tuple[float, float]:
    """Of paired differences: bootstrap percentiles, always with the same seed, so that the same rows have the same interval.

    Where there are few distinct values, as with costs of known mistakes, their counts are drawn instead of rows, which is the same.
    """
    rows = len(differences)
    random = np.random.default_rng(7)
    values, counts = np.unique(differences, return_counts=True)
    if len(values) <= MOST_DISTINCT:
        means = random.multinomial(rows, counts / rows, size=REPLICATES) @ values / rows
    elif rows <= MOST_RESAMPLED:
        means = np.array([differences[random.integers(0, rows, rows)].mean() for _ in range(REPLICATES)])
    else:
        centre, half = differences.mean(), Z * differences.std(ddof=1) / sqrt(rows)
        return float(centre - half), float(centre + half)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
