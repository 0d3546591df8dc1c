"""Honest figures: on the hold-out, beside the baseline, with intervals; and over the folds."""

import logging
from typing import Any

import numpy as np

from bentos.contract import Examples
from bentos.serving.estimators import EstimatorEngine
from services.pipeline import card, dataset, fit, metrics, plots, report
from services.pipeline.importance import importance
from services.pipeline.job import Job
from services.pipeline.runs import Run
from services.pipeline.train import OUT_OF_FOLD, TRAINING

log = logging.getLogger(__name__)

METRICS = "evaluation/metrics.json"


def run(job: Job, *, run_id: str) -> dict[str, Any]:
    task = job.entry.task
    opened = job.runs.open(job.model, run_id)
    training, holdout = dataset.parts(job, opened)
    stored = opened.get_document(TRAINING)
    estimator = fit.measured(job, opened)
    rows = fit.matrix(job.model, holdout)
    engine = EstimatorEngine(estimator)
    scores = engine.scores(rows)
    predicted = fit.predictions(job.model, task, scores, holdout.columns)
    learnt = fit.predictions(job.model, task, engine.scores(fit.matrix(job.model, training)), training.columns)
    bounds = fit.bounds(job.model, scores, holdout.columns, stored.get("intervals"))
    log.info("%d hold-out rows, %d resamples", len(holdout), metrics.RESAMPLES)
    measured = metrics.evaluate(
        task,
        holdout.truth,
        predicted,
        holdout.baseline,
        bounds=bounds,
        policy=stored["policy"],
        groups=holdout.groups,
        time=holdout.time,
        seed=stored["seed"],
    )
    document = {
        "task": task,
        "holdout": {name: measured[name] for name in ("rows", "metrics", "baseline")},
        "training": {"rows": len(training), "metrics": metrics.values(task, training.truth, learnt, training.baseline, training.groups)},
        "cv": fit.summary(task, training, _out_of_fold(job, opened)),
        "groups": measured["groups"],
        "calibration": measured["calibration"],
        "threshold": measured["threshold"],
        "train_seconds": stored["train_seconds"],
        "remarks": report.remarks(measured),
        "curves": card.curves(holdout.truth, predicted, holdout.baseline, stored["policy"]),
    }
    log.info("importance")
    document["importance"] = card.in_words(job.model, importance(job.model, task, estimator, rows, holdout))
    for row in report.table(measured):
        if row.group and not (row.remark or row.metric in report.BY_GROUP):
            continue
        log.info(
            "%s",
            "  ".join(
                part for part in (row.group, row.metric, row.value, f"({row.interval})", row.baseline and f"baseline {row.baseline}", row.remark) if part
            ),
        )
    opened.put_document(METRICS, document)
    opened.log(metrics=_flat(document))
    _draw(job, opened, document["importance"], holdout, predicted, stored["policy"])
    return {"run_id": run_id, "holdout": {name: one["value"] for name, one in measured["metrics"].items()}, "remarks": document["remarks"]}


def _out_of_fold(job: Job, run: Run) -> fit.OutOfFold:
    with np.load(run.get(OUT_OF_FOLD, job.place("folds")), allow_pickle=False) as stored:
        return fit.OutOfFold(stored["prediction"], stored["fold"])


def _draw(job: Job, run: Run, names: list[dict[str, Any]], holdout: Examples, predicted: Any, policy: Any) -> None:
    log.info("plots")
    run.put_document("evaluation/importance.json", names)
    folder = job.place("plots")
    if policy is not None:
        plots.classification(folder, holdout.truth, predicted, policy)
    else:
        plots.regression(folder, holdout, predicted)
    plots.importance(folder, names)
    run.put(folder, "plots")


def _flat(document: dict[str, Any]) -> dict[str, float]:
    """MLflow's flat names: holdout_roc_auc, holdout_roc_auc_low, baseline_brier, cv_roc_auc …"""
    found: dict[str, float | None] = {}
    for name, one in document["holdout"]["metrics"].items():
        found |= {f"holdout_{name}": one["value"], f"holdout_{name}_low": one["low"], f"holdout_{name}_high": one["high"]}
    found |= {f"baseline_{name}": value for name, value in document["holdout"]["baseline"].items()}
    found |= {f"cv_{name}": one["mean"] for name, one in document["cv"].items()}
    return {name: value for name, value in found.items() if value is not None}
