import numpy as np
import pytest

from bentos.catalogue import Costs, PolicyDefaults, RiskLevels
from services.pipeline import threshold

COSTS = {"missed_positive": 10, "false_alarm": 1}


def cost(truth: np.ndarray, decided: np.ndarray) -> float:
    return float(np.mean(10 * ((truth == 1) & ~decided) + ((truth == 0) & decided)))


def test_no_other_threshold_costs_less() -> None:
    random = np.random.default_rng(1)
    probability = random.beta(1, 5, 3000).round(3)
    truth = (random.random(3000) < probability).astype(np.float64)
    chosen = threshold.cheapest(truth, probability, COSTS)
    costs = [cost(truth, probability >= value) for value in np.linspace(0, 1, 2001)]
    assert cost(truth, probability >= chosen) <= min(costs)
    assert chosen == pytest.approx(1 / 11, abs=0.03)  # what theory says of calibrated probabilities
    thresholds, curve = threshold.cost_curve(truth, probability, COSTS)
    assert [cost(truth, probability >= value) for value in thresholds[::100]] == pytest.approx(curve[::100])


@pytest.mark.parametrize(("truth", "decided"), [([0, 0, 0], False), ([1, 1, 1], True)])
def test_one_class_only_is_decided_alike_and_the_threshold_stays_a_probability(truth: list[float], decided: bool) -> None:
    probability = np.array([0.0, 0.5, 1.0])
    chosen = threshold.cheapest(np.array(truth), probability, COSTS)
    assert 0 < chosen < 1
    assert (probability >= chosen)[1] == decided


def test_a_fixed_threshold_is_taken_as_it_is() -> None:
    defaults = PolicyDefaults(threshold=0.4, costs=Costs(missed_positive=2, false_alarm=1), risk_levels=RiskLevels(medium=0.5, high=1.5))
    found = threshold.suggest(defaults, np.array([0.0, 1.0]), np.array([0.1, 0.9]))
    assert found == {"threshold": 0.4, "costs": {"missed_positive": 2, "false_alarm": 1}, "risk_levels": {"medium": 0.5, "high": 1.5}}
