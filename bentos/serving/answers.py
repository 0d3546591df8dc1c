"""Scores as the model's `Output` fields: the decision belongs to the policy, not to the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from bentos import catalogue, contract
from bentos.contract import Columns, Floats
from bentos.serving import intervals
from bentos.serving.intervals import Shifts

RISKS = ("low", "medium", "high")

Policy = Mapping[str, Any]


class Rows(NamedTuple):
    """One item per row in each."""

    scores: list[float]
    """What the audit keeps: the probability, or the prediction in units of the answer."""
    decisions: list[str | None]
    answers: list[dict[str, Any]]


class Coded(NamedTuple):
    """A column of text: positions in `levels`, -1 for none."""

    levels: Sequence[str]
    codes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Table:
    """The same answers as one column per field of `Output`, in its order."""

    columns: dict[str, NDArray[Any] | Coded]
    score: str
    """Which column the audit keeps as the score."""
    decision: str | None
    """Which column is the decision."""


def in_rows(model: str, scores: Floats, columns: Columns, policy: Policy | None, shifts: Shifts | None = None) -> Rows:
    """Raises ValueError when a classification has no policy: without a threshold there is no decision."""
    labels = _labels(model)
    if labels is None:
        named = {name: values.tolist() for name, values in _regression(model, scores, columns, shifts).items()}
        if shifts is None and intervals.has(model):
            named |= dict.fromkeys(intervals.NAMES, [None] * len(scores))
        return Rows(named["prediction"], [None] * len(scores), [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)])
    rule = _Rule(model, policy)
    probabilities: list[float] = scores.tolist()
    decisions: list[str | None] = []
    answers: list[dict[str, Any]] = []
    for probability in probabilities:
        positive, risk = rule(probability)
        decisions.append(labels[positive])
        answers.append({"prediction": int(positive), "probability": probability, "decision": labels[positive], "risk_level": RISKS[risk]})
    return Rows(probabilities, decisions, answers)


def in_columns(model: str, scores: Floats, columns: Columns, policy: Policy | None, shifts: Shifts | None = None) -> Table:
    """As `in_rows`, to the bit."""
    labels = _labels(model)
    if labels is None:
        found = _regression(model, scores, columns, shifts)
        return Table({name: _coded(values) if values.dtype == object else values for name, values in found.items()}, "prediction", None)
    positive, risk = _Rule(model, policy)(scores)
    answers: dict[str, NDArray[Any] | Coded] = {
        "prediction": positive.astype(np.int64),
        "probability": scores,
        "decision": Coded(labels, positive.astype(np.int32)),
        "risk_level": Coded(RISKS, risk.astype(np.int32)),
    }
    return Table(answers, "probability", "decision")


class _Rule:
    """What a policy says of a probability."""

    def __init__(self, model: str, policy: Policy | None) -> None:
        if policy is None:
            raise ValueError(f"{model} has no decision policy")
        self._threshold = policy["threshold"]
        self._medium, self._high = (self._threshold * policy["risk_levels"][name] for name in RISKS[1:])

    def __call__(self, probability: Any) -> tuple[Any, Any]:
        """Of one, or of an array of them: whether the threshold is reached, and which of RISKS it is."""
        return probability >= self._threshold, 1 * (probability >= self._medium) + (probability >= self._high)


def _regression(model: str, scores: Floats, columns: Columns, shifts: Shifts | None) -> dict[str, NDArray[Any]]:
    features = contract.features(model)
    if intervals.has(model):
        return cast(contract.IntervalFeatures, features).answer(scores, columns, intervals.UNKNOWN if shifts is None else shifts)
    return cast(contract.RegressionFeatures, features).answer(scores, columns)


def _coded(texts: NDArray[Any]) -> Coded:
    levels: dict[Any, int] = {None: -1}
    codes = [levels.setdefault(text, len(levels) - 1) for text in texts.tolist()]
    return Coded(list(levels)[1:], np.array(codes, dtype=np.int32))


@cache
def _labels(model: str) -> tuple[str, str] | None:
    decisions = catalogue.load().models[model].decisions
    return None if decisions is None else (decisions.negative, decisions.positive)
