"""What a version keeps of its evaluation for people who look at it later: curves as points, importance in the schema's words."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bentos import contract
from bentos.contract import Floats
from services.pipeline.threshold import cost_curve

POINTS = 100
BINS = 40


def curves(truth: Floats, predicted: Floats, baseline: Floats, policy: Mapping[str, Any] | None) -> dict[str, list[dict[str, float]]]:
    """At most POINTS points of each, the ends included. With a policy: `roc`, and `threshold` with what each one would cost and decide; else `errors`."""
    return _errors(truth, predicted, baseline) if policy is None else {"roc": _roc(truth, predicted), "threshold": _threshold(truth, predicted, policy)}


def _roc(truth: Floats, probability: Floats) -> list[dict[str, float]]:
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    found = np.concatenate(([0.0], np.cumsum(truth[order])[ends])) / max(truth.sum(), 1)
    alarms = np.concatenate(([0.0], np.cumsum(1 - truth[order])[ends])) / max((1 - truth).sum(), 1)
    # Equal steps along the curve: both its steep and its flat end are shown.
    way = found + alarms
    at = np.unique(np.searchsorted(way, np.linspace(0, way[-1], POINTS)).clip(0, len(way) - 1))
    return [{"false_alarms": float(alarms[i]), "found": float(found[i])} for i in at]


def _threshold(truth: Floats, probability: Floats, policy: Mapping[str, Any]) -> list[dict[str, float]]:
    thresholds, cost = cost_curve(truth, probability, policy["costs"])
    at = np.unique(np.linspace(0, len(thresholds) - 1, POINTS).round().astype(int))
    ranked = np.sort(probability)
    share = 1 - np.searchsorted(ranked, thresholds, side="left") / len(ranked)
    return [{"threshold": float(thresholds[i]), "cost_per_row": float(cost[i]), "positive": float(share[i])} for i in at]


def _errors(truth: Floats, predicted: Floats, baseline: Floats) -> dict[str, list[dict[str, float]]]:
    """Relative to the truth, of the model and of the baseline, within the range that has 98 % of the baseline's."""
    scale = np.where(truth == 0, 1.0, np.abs(truth))
    own, trivial = (predicted - truth) / scale, (baseline - truth) / scale
    limit = float(np.quantile(np.abs(trivial), 0.98)) or 1.0
    edges = np.linspace(-limit, limit, BINS + 1)
    counts = [np.histogram(errors, edges)[0] for errors in (own, trivial)]
    bins = zip(edges[:-1], edges[1:], *counts, strict=True)
    return {"errors": [{"from": float(low), "to": float(high), "rows": int(rows), "baseline_rows": int(others)} for low, high, rows, others in bins]}


def in_words(model: str, importance: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each feature with the fields that it is made of and a title: the field's own, with a level of it, or the feature's name with the fields' titles."""
    fields = contract.schema(model).Input.model_fields
    sources = contract.sources(model)

    def title(feature: str) -> str:
        titles = [fields[name].title or name for name in sources[feature]]
        if not titles:
            return feature.replace("_", " ").capitalize()
        scale, _, level = feature.partition("=")
        if level and scale in fields:
            return f"{titles[0]} = {level}"
        return titles[0] if feature in fields else f"{feature.replace('_', ' ')} ({', '.join(titles)})"

    return [{**one, "fields": list(sources[one["feature"]]), "title": title(one["feature"])} for one in importance]
