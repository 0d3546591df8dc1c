"""The points that a version keeps say what the metrics say."""

import numpy as np
import pytest

from bentos import catalogue, contract
from services.pipeline import card, curves
from services.pipeline.threshold import cheapest

RANDOM = np.random.default_rng(3)
TRUTH = (RANDOM.random(3000) < 0.2).astype(float)
PROBABILITY = np.clip(TRUTH * 0.2 + RANDOM.normal(0.3, 0.15, 3000), 0.001, 0.999).round(3)
POLICY = {"threshold": 0.4, "costs": {"missed_positive": 4, "false_alarm": 1}}


def test_the_roc_curve_has_the_area_of_the_metric() -> None:
    points = card.curves(TRUTH, PROBABILITY, TRUTH, POLICY)["roc"]
    assert len(points) <= card.POINTS
    assert points[0] == {"false_alarms": 0.0, "found": 0.0}
    assert points[-1] == {"false_alarms": 1.0, "found": 1.0}
    area = np.trapezoid([one["found"] for one in points], [one["false_alarms"] for one in points])
    assert area == pytest.approx(curves.roc_auc(TRUTH, PROBABILITY, np.ones((1, 3000)))[0], abs=0.002)


def test_the_curve_of_thresholds_knows_cost_and_decisions() -> None:
    points = card.curves(TRUTH, PROBABILITY, TRUTH, POLICY)["threshold"]
    assert len(points) <= card.POINTS
    assert [one["threshold"] for one in points] == sorted(one["threshold"] for one in points)
    for one in points[:: len(points) // 7]:
        positive = one["threshold"] <= PROBABILITY
        assert one["positive"] == pytest.approx(positive.mean())
        assert one["cost_per_row"] == pytest.approx(np.mean(4 * ((TRUTH == 1) & ~positive) + ((TRUTH == 0) & positive)))
    best = min(points, key=lambda one: one["cost_per_row"])
    assert best["threshold"] == pytest.approx(cheapest(TRUTH, PROBABILITY, POLICY["costs"]), abs=0.05)


def test_a_regression_keeps_its_errors_beside_the_baselines() -> None:
    truth = RANDOM.normal(100, 5, 2000)
    bins = card.curves(truth, truth + RANDOM.normal(0, 1, 2000), truth + RANDOM.normal(0, 2, 2000), None)["errors"]
    assert len(bins) == card.BINS
    assert sum(one["baseline_rows"] for one in bins) == pytest.approx(0.98 * 2000, abs=2)
    assert sum(one["rows"] for one in bins) > sum(one["baseline_rows"] for one in bins)
    assert "errors" in card.curves(np.zeros(5), np.ones(5), np.zeros(5), None)


@pytest.mark.parametrize("model", catalogue.names())
def test_importance_is_in_the_schemas_words(model: str) -> None:
    features = contract.features(model).FEATURES
    found = card.in_words(model, [{"feature": name, "loss": 0.1} for name in features])
    assert [one["feature"] for one in found] == list(features)
    assert all(one["title"] and set(one["fields"]) <= set(contract.schema(model).Input.model_fields) for one in found)
