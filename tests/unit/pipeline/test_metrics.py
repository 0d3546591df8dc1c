import numpy as np
import pytest
from sklearn import metrics as reference

from bentos.contract import Floats
from services.pipeline import curves, metrics

POLICY = {"threshold": 0.3, "costs": {"missed_positive": 4, "false_alarm": 1}}


def classified(rows: int = 600, seed: int = 1) -> tuple[Floats, Floats]:
    """Truth and probability, with ties."""
    random = np.random.default_rng(seed)
    probability = random.beta(1, 3, rows).round(2)
    return (random.random(rows) < probability).astype(np.float64), probability


def test_classification_figures_are_scikit_learns() -> None:
    truth, probability = classified()
    found = metrics.evaluate("classification", truth, probability, np.full(600, truth.mean()), policy=POLICY)["metrics"]
    decided = probability >= 0.3
    inside = np.clip(probability, 1e-15, 1 - 1e-15)
    expected = {
        "roc_auc": reference.roc_auc_score(truth, probability),
        "average_precision": reference.average_precision_score(truth, probability),
        "brier": reference.brier_score_loss(truth, probability),
        "log_loss": reference.log_loss(truth, inside),
        "accuracy": reference.accuracy_score(truth, decided),
        "recall": reference.recall_score(truth, decided),
        "precision": reference.precision_score(truth, decided),
        "cost_per_row": np.mean(4 * ((truth == 1) & ~decided) + ((truth == 0) & decided)),
    }
    assert {name: one["value"] for name, one in found.items()} == pytest.approx(expected)
    assert all(one["low"] < one["value"] < one["high"] for one in found.values())


def test_weighted_curves_are_scikit_learns() -> None:
    truth, probability = classified(200)
    weights = np.random.default_rng(2).integers(0, 4, (3, 200)).astype(np.float64)
    auc = [reference.roc_auc_score(truth, probability, sample_weight=row) for row in weights]
    precision = [reference.average_precision_score(truth, probability, sample_weight=row) for row in weights]
    assert curves.roc_auc(truth, probability, weights) == pytest.approx(auc)
    assert curves.average_precision(truth, probability, weights) == pytest.approx(precision)


def test_regression_figures_are_scikit_learns() -> None:
    random = np.random.default_rng(3)
    baseline = 50_000 + random.normal(size=500)
    truth = baseline + random.normal(size=500)
    forecast = baseline + 0.3 * (truth - baseline) + random.normal(size=500) / 10
    truth[:20] = baseline[:20]  # nothing moved: no direction to be right about
    found = metrics.evaluate("regression", truth, forecast, baseline)["metrics"]
    mse, naive = reference.mean_squared_error(truth, forecast), reference.mean_squared_error(truth, baseline)
    assert found["mse"]["value"] == pytest.approx(mse)
    assert found["rmse_ratio"]["value"] == pytest.approx(np.sqrt(mse / naive))
    assert found["r2"]["value"] == pytest.approx(reference.r2_score(truth, forecast))
    assert found["mae"]["value"] == pytest.approx(reference.mean_absolute_error(truth, forecast))
    assert found["direction"]["value"] == pytest.approx(np.mean(np.sign(forecast - baseline)[20:] == np.sign(truth - baseline)[20:]))


def test_the_dearest_group_does_not_rule_the_ratio_of_all() -> None:
    """Ten times as many cheap rows, all forecast perfectly; the dear ones not at all."""
    cheap, dear = np.tile([1.0, -1.0], 50), np.tile([1000.0, -1000.0], 5)
    truth, baseline = np.concatenate([cheap, dear]), np.zeros(110)
    groups = np.array(["cheap"] * 100 + ["dear"] * 10, dtype=object)
    found = metrics.evaluate("regression", truth, np.concatenate([cheap, np.zeros(10)]), baseline, groups=groups)
    assert found["metrics"]["rmse_ratio"]["value"] == pytest.approx(np.sqrt(10 / 110))
    assert found["groups"]["cheap"]["rmse_ratio"]["value"] == 0
    assert found["groups"]["dear"]["rmse_ratio"]["value"] == 1


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """AUC of two normal distributions one standard deviation apart is 0.7602."""
    covered = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        truth = np.repeat([0.0, 1.0], 100)
        auc = metrics.evaluate("classification", truth, random.normal(size=200) + truth, np.full(200, 0.5), seed=seed)["metrics"]["roc_auc"]
        covered += auc["low"] <= 0.7602 <= auc["high"]
    assert 52 <= covered <= 60


def test_blocks_widen_the_interval_where_neighbours_err_alike() -> None:
    random = np.random.default_rng(5)
    errors = np.repeat(random.normal(size=100), 10)
    truth, time = np.zeros(1000), np.arange(1000)
    alone, together = (metrics.evaluate("regression", truth, errors, truth + 1, time=order)["metrics"]["mae"] for order in (None, time))
    assert together["high"] - together["low"] > 1.5 * (alone["high"] - alone["low"])


def test_the_trivial_answer_stands_beside() -> None:
    truth, probability = classified()
    rate = truth.mean()
    found = metrics.evaluate("classification", truth, probability, np.full(600, rate), policy=POLICY)["baseline"]
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == pytest.approx(rate)
    assert found["accuracy"] == pytest.approx(1 - rate)
    assert found["cost_per_row"] == pytest.approx(min(4 * rate, 1 - rate))


def test_what_is_not_defined_is_none() -> None:
    found = metrics.evaluate("classification", np.zeros(30), np.full(30, 0.2), np.full(30, 0.2), policy=POLICY)["metrics"]
    assert found["roc_auc"] == found["recall"] == {"value": None, "low": None, "high": None}
    assert found["accuracy"]["value"] == 1


def test_improvement_is_paired_and_positive_when_better() -> None:
    truth, probability = classified()
    noise = np.random.default_rng(6).normal(size=600)
    worse = probability + 0.3 * noise
    found = metrics.improvement("classification", "roc_auc", truth, probability, worse, probability)
    auc = metrics.roc_auc(truth, probability) - metrics.roc_auc(truth, worse)
    assert found["value"] == pytest.approx(auc)
    assert 0 < found["low"] < auc < found["high"]  # type: ignore[operator]
    assert metrics.improvement("classification", "roc_auc", truth, worse, worse, probability) == {"value": 0, "low": 0, "high": 0}
    error = metrics.improvement("regression", "rmse_ratio", truth, truth + 0.1, truth + 0.2, truth + 1)
    assert error["value"] == pytest.approx(0.1)


def test_calibration_has_ten_bins_of_what_was_predicted_and_observed() -> None:
    truth, probability = classified(1000)
    bins = metrics.calibration(truth, probability)
    assert [one["rows"] for one in bins] == [100] * 10
    assert all(abs(one["predicted"] - one["observed"]) < 0.15 for one in bins)
    assert sum(one["observed"] for one in bins) / 10 == pytest.approx(truth.mean())


def test_intervals_are_measured_by_how_often_they_hold_and_how_wide_they_are() -> None:
    truth, baseline = np.arange(10.0), np.arange(10.0) - 2
    groups = np.array(["a"] * 5 + ["b"] * 5, dtype=object)
    bounds = {"lower_80": truth - 1, "upper_80": np.where(np.arange(10) < 7, truth + 3, truth - 0.5), "lower_95": truth, "upper_95": truth}
    found = metrics.evaluate("regression", truth, truth, baseline, bounds=bounds, groups=groups, time=np.arange(10)[::-1])
    assert found["metrics"]["coverage_80"]["value"] == pytest.approx(0.7)
    assert found["metrics"]["coverage_95"]["value"] == 1
    assert found["groups"]["a"]["coverage_80"]["value"] == 1
    assert found["groups"]["a"]["width_80"]["value"] == pytest.approx(4 / 2)  # the naive error is 2
    assert found["groups"]["b"]["coverage_80"]["value"] == pytest.approx(0.4)
