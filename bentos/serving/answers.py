"""Scores as the model's `Output` fields: the decision belongs to the policy, not to the model."""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from bentos import catalogue, contract
from bentos.contract import Columns, Floats


def answer(model: str, scores: Floats, columns: Columns, policy: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One dict per row. Raises ValueError when a classification has no policy: without a threshold there is no decision."""
    labels = _labels(model)
    if labels is None:
        features = cast(contract.RegressionFeatures, contract.features(model))
        named = {name: values.tolist() for name, values in features.answer(scores, columns).items()}
        return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]
    if policy is None:
        raise ValueError(f"{model} has no decision policy")
    threshold = policy["threshold"]
    medium, high = threshold * policy["risk_levels"]["medium"], threshold * policy["risk_levels"]["high"]
    return [
        {
            "prediction": int(p >= threshold),
            "probability": p,
            "decision": labels[p >= threshold],
            "risk_level": "low" if p < medium else "medium" if p < high else "high",
        }
        for p in scores.tolist()
    ]


@cache
def _labels(model: str) -> tuple[str, str] | None:
    decisions = catalogue.load().models[model].decisions
    return None if decisions is None else (decisions.negative, decisions.positive)
