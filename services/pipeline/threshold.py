"""The decision threshold that a version suggests."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bentos.catalogue import PolicyDefaults
from bentos.contract import Floats

SMALLEST, LARGEST = 1e-6, 1 - 1e-6


def cost_curve(truth: Floats, probability: Floats, costs: Mapping[str, float]) -> tuple[Floats, Floats]:
    """(thresholds, cost per row): every threshold at which some decision changes, halfway between two probabilities, ends included."""
    order = np.argsort(probability, kind="stable")
    ranked, positives = probability[order], truth[order]
    # With the first k rows (by probability) decided negative: their positives are missed, the other negatives are false alarms.
    missed = np.concatenate(([0.0], np.cumsum(positives)))
    alarms = np.sum(1 - positives) - np.concatenate(([0.0], np.cumsum(1 - positives)))
    cost = (costs["missed_positive"] * missed + costs["false_alarm"] * alarms) / len(truth)
    edges = np.concatenate(([ranked[0] / 2], (ranked[1:] + ranked[:-1]) / 2, [(ranked[-1] + 1) / 2]))
    thresholds = np.unique(np.clip(edges, SMALLEST, LARGEST))
    return thresholds, cost[np.searchsorted(ranked, thresholds, side="left")]


def cheapest(truth: Floats, probability: Floats, costs: Mapping[str, float]) -> float:
    """The middle of the thresholds that cost least: chosen on rows that the estimator has not learned from, never on the hold-out."""
    thresholds, cost = cost_curve(truth, probability, costs)
    best = thresholds[cost <= cost.min() + 1e-12]
    return float(best[len(best) // 2])


def suggest(defaults: PolicyDefaults, truth: Floats, probability: Floats) -> dict[str, Any]:
    """The policy {threshold, costs, risk_levels} from the catalogue's defaults and out-of-fold probabilities."""
    costs = defaults.costs.model_dump()
    threshold = cheapest(truth, probability, costs) if defaults.threshold == "cost" else defaults.threshold
    return {"threshold": threshold, "costs": costs, "risk_levels": defaults.risk_levels.model_dump()}
