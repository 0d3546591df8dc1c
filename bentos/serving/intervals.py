"""Intervals of a regression's answers, by split conformal prediction: the errors of forecasts on what came later say how far the truth may lie from a forecast.

An error is measured as a shift of the score, in which the model's features say that errors are alike (`score_of` of contract.py). A bound is the answer to a
shifted score. Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World (2005); Lei et al. (2018), https://arxiv.org/abs/1604.04173, section 2.2, with
both ends of the error's distribution taken apart, since markets need not fall as they rise.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from bentos import contract
from bentos.contract import Floats

LEVELS = (80, 95)
"""Percent."""
SIDES = ("lower", "upper")
NAMES = tuple(f"{side}_{level}" for level in LEVELS for side in SIDES)
"""The fields of `Output`."""
FEWEST = 100
"""Errors from which on the ends of their distribution can be told."""

Shifts = Mapping[str, float]
"""What is added to a score for each of NAMES."""

UNKNOWN: Shifts = dict.fromkeys(NAMES, float("nan"))
"""Of a version that was made before its model had intervals."""


@cache
def has(model: str) -> bool:
    return hasattr(contract.features(model), "score_of")


def shifts(errors: Floats) -> dict[str, float]:
    """From the errors (true score minus score) of rows that the estimator had not learned from. Raises ValueError when they are fewer than FEWEST."""
    if len(errors) < FEWEST:
        raise ValueError(f"{len(errors)} errors are too few for intervals, {FEWEST} is the least")
    ranked, found = np.sort(errors), {}
    for level in LEVELS:
        # One more than there are: the row that comes is as likely to be any in the order as these.
        low = max((100 - level) * (len(ranked) + 1) // 200, 1)
        found[f"lower_{level}"] = float(ranked[low - 1])
        found[f"upper_{level}"] = float(ranked[len(ranked) - low])
    return found


def problem(stored: object) -> str | None:
    """What is wrong with shifts that were read from a file."""
    if not isinstance(stored, dict) or set(stored) != set(NAMES) or not all(isinstance(shift, float) and np.isfinite(shift) for shift in stored.values()):
        return f"expected a finite number for each of {', '.join(NAMES)}"
    ordered = [stored[name] for name in ("lower_95", "lower_80", "upper_80", "upper_95")]
    return None if ordered == sorted(ordered) else "the bounds are not in order"
