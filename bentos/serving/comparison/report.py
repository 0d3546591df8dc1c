"""The report on a challenger: the same from live traffic in its shadow and from a replay."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bentos.contract import Floats
from bentos.serving.comparison import costs as costing
from bentos.serving.comparison import flips, intervals, scores
from bentos.serving.comparison.pairs import Pairs

MOST_SEGMENTS = 60
MOST_EXAMPLES = 3


def report(pairs: Pairs, costs: Mapping[str, float] | None) -> dict[str, Any]:
    """{rows, errors, flips, segments, score, cost: {known, expected}, latency}; what too few rows say nothing about is None.

    `costs`: those of the champion's policy, for both; None for a regression.
    """
    rows = len(pairs.champion)
    failed = int((~np.isfinite(pairs.challenger)).sum())
    low, high = intervals.share(failed, rows)
    return {
        "rows": rows,
        "errors": {"rows": failed, "share": failed / rows if rows else 0.0, "low": low, "high": high, "examples": list(pairs.errors)[:MOST_EXAMPLES]},
        "flips": flips.overall(pairs),
        "segments": flips.segments(pairs)[:MOST_SEGMENTS],
        "score": scores.shift(pairs),
        "cost": {"known": costing.known(pairs, costs), "expected": costing.expected(pairs, costs)},
        "latency": latency(pairs.champion_us, pairs.challenger_us),
    }


def latency(champion: Floats, challenger: Floats) -> dict[str, Any] | None:
    """Microseconds for one row, of rows that both were timed with, one after the other in the same process."""
    timed = np.isfinite(champion) & np.isfinite(challenger)
    if not timed.any():
        return None
    of = {name: np.quantile(times[timed], (0.5, 0.99)) for name, times in (("champion_us", champion), ("challenger_us", challenger))}
    found: dict[str, Any] = {name: {"p50": float(both[0]), "p99": float(both[1])} for name, both in of.items()}
    return found | {"rows": int(timed.sum()), "ratio": float(of["challenger_us"][0] / of["champion_us"][0])}
