"""What acting on the one version costs beside acting on the other."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bentos.contract import Floats
from bentos.serving.comparison import intervals
from bentos.serving.comparison.pairs import Flags, Pairs

FEWEST = 30


def known(pairs: Pairs, costs: Mapping[str, float] | None) -> dict[str, Any] | None:
    """A row's mean cost where the truth is known. Of a regression: its absolute error as a share of the truth, so that large and small things count alike."""
    rows = pairs.scored & np.isfinite(pairs.outcome)
    if pairs.decided is None or pairs.decides is None or costs is None:
        rows &= pairs.outcome != 0
        truth = pairs.outcome[rows]
        return _compared(*(np.abs(score[rows] - truth) / np.abs(truth) for score in (pairs.champion, pairs.challenger)))
    # Outcomes of a classification are 0 and 1.
    return _compared(*(_cost(decided[rows], pairs.outcome[rows], costs) for decided in (pairs.decided, pairs.decides)))


def expected(pairs: Pairs, costs: Mapping[str, float] | None) -> dict[str, Any] | None:
    """The same of all rows, as the two versions expect it: for the truth stands the mean of their probabilities, since each believes itself."""
    if pairs.decided is None or pairs.decides is None or costs is None:
        return None
    rows = pairs.scored
    probability = (pairs.champion[rows] + pairs.challenger[rows]) / 2
    return _compared(*(_cost(decided[rows], probability, costs) for decided in (pairs.decided, pairs.decides)))


def _cost(decided: Flags, positive: Floats, costs: Mapping[str, float]) -> Floats:
    found: Floats = np.where(decided, (1 - positive) * costs["false_alarm"], positive * costs["missed_positive"])
    return found


def _compared(champion: Floats, challenger: Floats) -> dict[str, Any] | None:
    if len(champion) < FEWEST:
        return None
    low, high = intervals.mean(challenger - champion)
    before, after = float(champion.mean()), float(challenger.mean())
    return {"rows": len(champion), "champion": before, "challenger": after, "difference": after - before, "low": low, "high": high}
