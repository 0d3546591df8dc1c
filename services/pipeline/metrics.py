"""What a model is measured by, each figure with its 95 % interval and beside the trivial answer. Needs numpy alone.

Every metric is written as a function of how often each row counts: once each gives the value, the counts of a bootstrap give the interval.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos.contract import Floats
from services.pipeline import curves

RESAMPLES = 400
CALIBRATION_BINS = 10
CHUNK = 4_000_000
"""Counts held in memory at a time."""

LOWER_IS_BETTER = frozenset({"brier", "log_loss", "cost_per_row", "rmse", "mae", "mse", "rmse_ratio", "mase"})
NO_SKILL: Mapping[str, float] = {"roc_auc": 0.5, "direction": 0.5, "rmse_ratio": 1.0, "mase": 1.0}
"""What a metric gives an answer that knows nothing."""

Values = dict[str, Floats]


@dataclass(frozen=True)
class Rows:
    task: str
    truth: Floats
    prediction: Floats
    baseline: Floats
    units: Floats
    policy: Mapping[str, Any] | None
    bounds: Mapping[str, Floats] = field(default_factory=dict)
    decided: NDArray[np.bool_] | None = None


def evaluate(
    task: str,
    truth: Floats,
    prediction: Floats,
    baseline: Floats,
    *,
    bounds: Mapping[str, Floats] | None = None,
    policy: Mapping[str, Any] | None = None,
    groups: NDArray[Any] | None = None,
    time: NDArray[np.int64] | None = None,
    seed: int = 0,
    decided: NDArray[np.bool_] | None = None,
    by_group: bool = True,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """`prediction` is the probability of class 1, or the forecast in the units of `truth`; `bounds` are those of its intervals, `lower_80` and so on;
    `policy` gives `threshold` and `costs`.

    Where `time` is given, neighbours are resampled together, since their errors resemble each other. With `groups` the ratio of all
    rows together measures each group's errors in units of that group's naive RMSE: else the dearest asset would be all that counts.
    A figure that the rows do not define (ROC AUC of one class) is None. `decided`: the decisions that were taken, where these are not the policy's
    for the prediction. Without `by_group` no group is measured apart.
    """
    if time is not None:
        order = np.argsort(time, kind="stable")
        truth, prediction, baseline = truth[order], prediction[order], baseline[order]
        bounds = {name: values[order] for name, values in (bounds or {}).items()}
        groups = None if groups is None else groups[order]
        decided = None if decided is None else decided[order]
    parts = {} if groups is None or not by_group else {str(label): groups.astype(str) == label for label in np.unique(groups.astype(str))}
    units = _units(truth, baseline, groups)

    def measured(mask: Any) -> dict[str, Any]:
        inside = {name: values[mask] for name, values in (bounds or {}).items()}
        taken = None if decided is None else decided[mask]
        return _with_intervals(Rows(task, truth[mask], prediction[mask], baseline[mask], units[mask], policy, inside, taken), time is not None, seed, resamples)

    return {
        "task": task,
        "rows": len(truth),
        "metrics": measured(slice(None)),
        "baseline": _baseline(task, truth, baseline, policy),
        "groups": {label: measured(mask) for label, mask in parts.items()} if len(parts) > 1 else {},
        "calibration": calibration(truth, prediction) if task == "classification" else None,
        "threshold": None if policy is None else policy["threshold"],
    }


def values(task: str, truth: Floats, prediction: Floats, baseline: Floats, groups: NDArray[Any] | None = None) -> dict[str, float | None]:
    """The metrics that need no policy, without intervals."""
    return _once(Rows(task, truth, prediction, baseline, _units(truth, baseline, groups), None))


def improvement(
    task: str,
    metric: str,
    truth: Floats,
    challenger: Floats,
    champion: Floats,
    baseline: Floats,
    *,
    groups: NDArray[Any] | None = None,
    time: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> dict[str, float | None]:
    """How much better the challenger is on the same rows (positive is better), with the interval of the paired bootstrap."""
    order = np.arange(len(truth)) if time is None else np.argsort(time, kind="stable")
    units = _units(truth, baseline, groups)
    new, old = (Rows(task, truth[order], scores[order], baseline[order], units[order], None) for scores in (challenger, champion))
    sign = -1 if metric in LOWER_IS_BETTER else 1

    def difference(weights: Floats) -> Floats:
        return sign * (_weighted(new, weights)[metric] - _weighted(old, weights)[metric])

    drawn = np.concatenate([difference(weights) for weights in _resamples(len(truth), time is not None, seed)])
    return _interval(_number(difference(np.ones((1, len(truth))))[0]), drawn)


def roc_auc(truth: Floats, scores: Floats) -> float:
    return float(curves.roc_auc(truth, scores, np.ones((1, len(truth))))[0])


def calibration(truth: Floats, probability: Floats) -> list[dict[str, float | int]]:
    """Equally large bins by probability: what was predicted and what was observed."""
    order = np.argsort(probability, kind="stable")
    bins = [part for part in np.array_split(order, CALIBRATION_BINS) if len(part)]
    return [{"predicted": float(probability[part].mean()), "observed": float(truth[part].mean()), "rows": len(part)} for part in bins]


def _with_intervals(rows: Rows, blocks: bool, seed: int, resamples: int) -> dict[str, Any]:
    drawn = [_weighted(rows, weights) for weights in _resamples(len(rows.truth), blocks, seed, resamples)]
    return {name: _interval(value, np.concatenate([part[name] for part in drawn])) for name, value in _once(rows).items()}


def _once(rows: Rows) -> dict[str, float | None]:
    return {name: _number(value[0]) for name, value in _weighted(rows, np.ones((1, len(rows.truth)))).items()}


def _units(truth: Floats, baseline: Floats, groups: NDArray[Any] | None) -> Floats:
    """Each row's unit of error: the naive RMSE of its group; 1 where that is 0 or there are no groups."""
    units = np.ones(len(truth))
    for label in [] if groups is None else np.unique(groups.astype(str)):
        members = groups.astype(str) == label  # type: ignore[union-attr]
        units[members] = np.sqrt(np.mean((baseline[members] - truth[members]) ** 2)) or 1.0
    return units


def _resamples(rows: int, blocks: bool, seed: int, resamples: int = RESAMPLES) -> Iterator[Floats]:
    """(some, rows): how often each row was drawn, `resamples` in all. Blocks are runs of n^(1/3) rows that wrap around at the end."""
    random = np.random.default_rng(seed)
    length = max(1, round(rows ** (1 / 3))) if blocks else 1
    most = max(1, min(resamples, CHUNK // max(rows, 1)))
    for done in range(0, resamples, most):
        count = min(most, resamples - done)
        starts = random.integers(0, rows, (count, -(-rows // length)))
        drawn = ((starts[:, :, None] + np.arange(length)) % rows).reshape(count, -1)[:, :rows]
        drawn += np.arange(count)[:, None] * rows
        yield np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def _weighted(rows: Rows, weights: Floats) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        return _classification(rows, weights) if rows.task == "classification" else _regression(rows, weights)


def _classification(rows: Rows, weights: Floats) -> Values:
    truth, probability, policy, count = rows.truth, rows.prediction, rows.policy, weights.sum(axis=1)
    bounded = np.clip(probability, 1e-15, 1 - 1e-15)
    found = {
        "roc_auc": curves.roc_auc(truth, probability, weights),
        "average_precision": curves.average_precision(truth, probability, weights),
        "brier": weights @ (probability - truth) ** 2 / count,
        "log_loss": weights @ -np.where(truth == 1, np.log(bounded), np.log1p(-bounded)) / count,
    }
    if policy is None:
        return found
    positive = probability >= policy["threshold"] if rows.decided is None else rows.decided
    missed, alarms = weights @ ((truth == 1) & ~positive), weights @ ((truth == 0) & positive)
    hits = weights @ ((truth == 1) & positive)
    return found | {
        "accuracy": 1 - (missed + alarms) / count,
        "recall": hits / (hits + missed),
        "precision": hits / (hits + alarms),
        "cost_per_row": (policy["costs"]["missed_positive"] * missed + policy["costs"]["false_alarm"] * alarms) / count,
    }


def _regression(rows: Rows, weights: Floats) -> Values:
    truth, forecast, baseline, count = rows.truth, rows.prediction, rows.baseline, weights.sum(axis=1)
    mse = weights @ (forecast - truth) ** 2 / count
    centred = truth - truth.mean()
    spread = weights @ centred**2 / count - (weights @ centred / count) ** 2
    moved = truth != baseline
    right = moved & (np.sign(forecast - baseline) == np.sign(truth - baseline))
    return {
        "rmse": np.sqrt(mse),
        "mae": weights @ np.abs(forecast - truth) / count,
        "mse": mse,
        "r2": 1 - mse / spread,
        "rmse_ratio": np.sqrt((weights @ ((forecast - truth) / rows.units) ** 2) / (weights @ ((baseline - truth) / rows.units) ** 2)),
        # Hyndman and Koehler (2006), International Journal of Forecasting 22, 679-688; scaled by the naive errors of the same rows.
        "mase": (weights @ (np.abs(forecast - truth) / rows.units)) / (weights @ (np.abs(baseline - truth) / rows.units)),
        "direction": (weights @ right) / (weights @ moved),
        **_coverage(rows, weights),
    }


def _coverage(rows: Rows, weights: Floats) -> Values:
    """How often the truth lies within each interval, and how wide this is in units of the naive error: without that, any coverage is easy."""
    found: Values = {}
    count = weights.sum(axis=1)
    for name, lower in rows.bounds.items():
        side, _, level = name.partition("_")
        if side == "lower":
            upper = rows.bounds[f"upper_{level}"]
            found[f"coverage_{level}"] = weights @ ((lower <= rows.truth) & (rows.truth <= upper)) / count
            found[f"width_{level}"] = weights @ ((upper - lower) / rows.units) / count
    return found


def _baseline(task: str, truth: Floats, baseline: Floats, policy: Mapping[str, Any] | None) -> dict[str, float | None]:
    """A classification's trivial decision is the same for every row: the cheaper one for the cost, the more frequent one for the accuracy."""
    found = values(task, truth, baseline, baseline)
    if task == "regression":
        return {name: value for name, value in found.items() if name != "direction"}
    if policy is not None:
        rate = float(truth.mean())
        costs = policy["costs"]
        found |= {"accuracy": max(rate, 1 - rate), "cost_per_row": min(costs["missed_positive"] * rate, costs["false_alarm"] * (1 - rate))}
    return found


def _interval(value: float | None, drawn: Floats) -> dict[str, float | None]:
    defined = drawn[np.isfinite(drawn)]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    return {"value": value, "low": _number(low), "high": _number(high)}


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
