"""How far the scores of two versions are apart."""

from typing import Any

import numpy as np

from bentos.contract import Floats
from bentos.serving.comparison import intervals
from bentos.serving.comparison.pairs import Pairs

BINS = 10
FEWEST = 30


def shift(pairs: Pairs) -> dict[str, Any] | None:
    """Means and their difference with its interval, PSI and KS distance, and the bins that they are counted in: tenths of the champion's scores."""
    known = pairs.scored
    champion, challenger = pairs.champion[known], pairs.challenger[known]
    if len(champion) < FEWEST:
        return None
    edges = np.unique(np.quantile(champion, np.linspace(0, 1, BINS + 1)[1:-1]))
    before, after = (np.bincount(np.searchsorted(edges, scores, side="right"), minlength=len(edges) + 1) for scores in (champion, challenger))
    low, high = intervals.mean(challenger - champion)
    bounds = [None, *edges.tolist(), None]
    return {
        "rows": len(champion),
        "champion_mean": float(champion.mean()),
        "challenger_mean": float(challenger.mean()),
        "champion_sd": float(champion.std()),
        "challenger_sd": float(challenger.std()),
        "shift": float((challenger - champion).mean()),
        "low": low,
        "high": high,
        "psi": psi(before.astype(np.float64), after.astype(np.float64)),
        "ks": ks(champion, challenger),
        "bins": [{"from": bounds[i], "to": bounds[i + 1], "champion": int(before[i]), "challenger": int(after[i])} for i in range(len(before))],
    }


def psi(before: Floats, after: Floats) -> float:
    """Of counts in the same bins: the sum of (q − p) ln(q / p), with half a row more in each bin, so that an empty one is not infinitely far."""
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def ks(one: Floats, other: Floats) -> float:
    """The largest distance of the two distribution functions."""
    first, second = np.sort(one), np.sort(other)
    places = np.concatenate((first, second))
    distances = np.searchsorted(first, places, side="right") / len(first) - np.searchsorted(second, places, side="right") / len(second)
    return float(np.abs(distances).max())
