"""The credit model's own training on real rows: no leak (nobody reports more than about 0.79 on the card clients), no nonsense."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bentos.contract import Examples, Floats
from services.pipeline import fit, metrics, split, threshold


def examples(features: pd.DataFrame, target: NDArray[Any]) -> Examples:
    truth = target.astype(np.float64)
    columns = {name: features[name].to_numpy(dtype=np.float64) for name in features}
    return Examples(columns, truth, truth, np.full(len(truth), truth.mean()), None, np.ones(len(truth), dtype=bool), np.full(len(truth), "all", dtype=object))


def matrix(part: Examples) -> Floats:
    return np.column_stack(list(part.columns.values()))


def out_of_fold(training: Examples) -> Floats:
    found = np.full(len(training), np.nan)
    for learn, check in split.folds(training, 7):
        estimator = fit.fitted("credit_scoring", 7, matrix(training)[learn], training.target[learn])
        found[check] = estimator.predict_proba(matrix(training)[check])[:, 1]
    return found


def card_clients(folder: Path) -> Examples:
    frame = pd.read_csv(folder / "credit" / "uci_default_credit_card.csv.gz")
    target = frame.pop("default.payment.next.month").to_numpy()
    return examples(frame.drop(columns="ID"), target)


def german(folder: Path) -> Examples:
    frame = pd.read_csv(folder / "credit" / "german_credit.csv")
    target = (frame.pop("class") == 2).to_numpy()
    return examples(pd.get_dummies(frame.drop(columns="row_id")), target)


@pytest.mark.parametrize(("load", "missed", "low", "high"), [(card_clients, 4, 0.76, 0.80), (german, 5, 0.74, 0.82)])
def test_figures_on_real_rows_are_what_others_report(load: Any, missed: int, low: float, high: float, shared_data: Path) -> None:
    costs = {"missed_positive": missed, "false_alarm": 1}
    training, holdout = split.holdout(load(shared_data))
    predicted = out_of_fold(training)
    assert low <= metrics.roc_auc(training.truth, predicted) <= high

    chosen = threshold.cheapest(training.truth, predicted, costs)
    estimator = fit.fitted("credit_scoring", 7, matrix(training), training.target)
    probability = estimator.predict_proba(matrix(holdout))[:, 1]
    found, half, granted = (
        metrics.evaluate("classification", holdout.truth, probability, np.full(len(holdout), training.truth.mean()), policy={"threshold": at, "costs": costs})
        for at in (chosen, 0.5, 0.999)
    )
    auc = found["metrics"]["roc_auc"]
    assert auc["low"] <= metrics.roc_auc(training.truth, predicted) <= auc["high"]
    cost = found["metrics"]["cost_per_row"]["value"]
    assert cost < half["metrics"]["cost_per_row"]["value"] < granted["metrics"]["cost_per_row"]["value"]
    assert cost < found["baseline"]["cost_per_row"]
