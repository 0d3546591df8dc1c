"""Metrics as people read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.pipeline.metrics import LOWER_IS_BETTER, NO_SKILL

LABELS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "accuracy": "accuracy",
    "recall": "recall",
    "precision": "precision",
    "cost_per_row": "cost per row",
    "rmse": "RMSE",
    "mae": "MAE",
    "mse": "MSE",
    "r2": "R²",
    "rmse_ratio": "RMSE / naive RMSE",
    "mase": "MAE / naive MAE",
    "direction": "right direction",
    "coverage_80": "within the 80 % interval",
    "width_80": "width of the 80 % interval / naive RMSE",
    "coverage_95": "within the 95 % interval",
    "width_95": "width of the 95 % interval / naive RMSE",
}
WORDS = {
    "roc_auc": "no better than chance",
    "direction": "no better than a coin",
    "rmse_ratio": "no different from the naive forecast",
    "mase": "no different from the naive forecast",
}
BY_GROUP = {LABELS[name] for name in ("roc_auc", "cost_per_row", "rmse_ratio", "direction", "coverage_80", "coverage_95")}
"""What is worth a line for each group."""


@dataclass(frozen=True)
class Row:
    group: str
    """Empty for all rows together."""
    metric: str
    value: str
    interval: str
    baseline: str
    remark: str


def table(evaluation: Mapping[str, Any]) -> list[Row]:
    """The rows of what `metrics.evaluate` returned: first all examples, then each group."""
    rows = _part("", evaluation["metrics"], evaluation["baseline"])
    for label, group in evaluation["groups"].items():
        rows += _part(label, group, {})
    return rows


def remarks(evaluation: Mapping[str, Any]) -> list[str]:
    """What must be said beside the figures, one sentence each."""
    return [f"{row.group or 'all rows'}: {row.metric} {row.value} ({row.interval}): {row.remark}" for row in table(evaluation) if row.remark]


def remark(name: str, metric: Mapping[str, float | None]) -> str:
    """Says when the interval contains what an answer without any skill would reach, or lies on its wrong side."""
    low, high, chance = metric["low"], metric["high"], NO_SKILL.get(name)
    if low is None or high is None or chance is None:
        return ""
    if low <= chance <= high:
        return f"interval contains {chance:g}: {WORDS[name]}"
    worse = low > chance if name in LOWER_IS_BETTER else high < chance
    return f"interval lies on the wrong side of {chance:g}" if worse else ""


def _part(group: str, metrics: Mapping[str, Any], baseline: Mapping[str, float | None]) -> list[Row]:
    return [
        Row(group, LABELS[name], _figure(one["value"]), f"{_figure(one['low'])} to {_figure(one['high'])}", _figure(baseline.get(name), ""), remark(name, one))
        for name, one in metrics.items()
    ]


def _figure(value: float | None, absent: str = "undefined") -> str:
    return absent if value is None else f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
