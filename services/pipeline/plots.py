"""Pictures of an evaluation. matplotlib's Figure is used by itself: importing pyplot takes twice as long."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bentos.contract import Examples, Floats
from services.pipeline import fit, metrics
from services.pipeline.threshold import cost_curve

SHOWN_FEATURES = 20
SHOWN_POINTS = 400


def classification(folder: Path, truth: Floats, probability: Floats, policy: Mapping[str, Any]) -> None:
    """ROC, precision-recall, calibration and cost by threshold."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    false_alarms, hits, _ = roc_curve(truth, probability)
    figure, axes = _figure("ROC curve", "false alarms / negatives", "found / positives")
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="chance")
    axes.plot(false_alarms, hits, label=f"AUC {metrics.roc_auc(truth, probability):.3f}")
    _save(figure, axes, folder / "roc.png")

    precision, recall, _ = precision_recall_curve(truth, probability)
    figure, axes = _figure("Precision and recall", "recall", "precision")
    axes.axhline(truth.mean(), color="0.7", linestyle="--", label="chance")
    axes.plot(recall, precision, label="hold-out")
    _save(figure, axes, folder / "precision_recall.png")

    bins = metrics.calibration(truth, probability)
    figure, axes = _figure("Calibration", "mean predicted probability", "observed share")
    axes.axline((0, 0), slope=1, color="0.7", linestyle="--", label="perfect")
    axes.plot([one["predicted"] for one in bins], [one["observed"] for one in bins], marker="o", label="tenths of the hold-out")
    _save(figure, axes, folder / "calibration.png")

    thresholds, cost = cost_curve(truth, probability, policy["costs"])
    figure, axes = _figure("Cost by threshold", "decision threshold", "cost per row")
    axes.plot(thresholds, cost, label="hold-out")
    axes.axvline(policy["threshold"], color="0.3", linestyle="--", label="chosen on the training part")
    _save(figure, axes, folder / "cost.png")


def regression(folder: Path, holdout: Examples, forecast: Floats) -> None:
    """Forecast against truth, both as change from the baseline: the levels alone always look perfect. And the errors."""
    truth, expected = fit.change(holdout.truth, holdout.baseline), fit.change(forecast, holdout.baseline)
    sample = np.random.default_rng(0).permutation(len(truth))[: 10 * SHOWN_POINTS]
    limit = float(np.quantile(np.abs(truth), 0.99)) or 1.0
    figure, axes = _figure("Forecast against truth", "true change from the baseline", "forecast change from it")
    axes.plot(truth[sample], expected[sample], ".", markersize=3, label="hold-out")
    axes.set_xlim(-limit, limit)
    axes.axline((0, 0), slope=1, color="0.7", linestyle="--", label="perfect")
    _save(figure, axes, folder / "forecast.png")

    figure, axes = _figure("Errors", "error", "hold-out rows")
    edges = np.linspace(-limit, limit, 81).tolist()
    axes.hist(-truth, bins=edges, histtype="step", color="0.5", label="baseline")
    axes.hist(expected - truth, bins=edges, histtype="step", label="model")
    _save(figure, axes, folder / "errors.png")

    order = np.arange(len(truth)) if holdout.time is None else np.argsort(holdout.time, kind="stable")
    group = holdout.groups.astype(str)
    last = order[group[order] == group[order[-1]]][-SHOWN_POINTS // 4 :]
    figure, axes = _figure(f"The last forecasts, {group[last[0]]}", "example", "value")
    for values, label in ((holdout.truth, "truth"), (forecast, "forecast"), (holdout.baseline, "baseline")):
        axes.plot(values[last], label=label, linewidth=1)
    _save(figure, axes, folder / "last_forecasts.png")


def importance(folder: Path, found: Sequence[Mapping[str, Any]]) -> None:
    shown = list(reversed(found[:SHOWN_FEATURES]))
    figure, axes = _figure("Permutation importance", "loss when the feature is shuffled", "")
    axes.barh([one["feature"] for one in shown], [one["loss"] for one in shown])
    _save(figure, axes, folder / "importance.png", legend=False)


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
    return figure, axes


def _save(figure: Figure, axes: Axes, path: Path, legend: bool = True) -> None:
    if legend:
        axes.legend()
    figure.savefig(path, dpi=90)
