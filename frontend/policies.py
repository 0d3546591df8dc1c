"""What a threshold does: computed from groups of hold-out rows whose scores and outcomes the version's evaluation has."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Group:
    """Rows of about the same score."""

    score: float
    rows: int
    positives: float


@dataclass(frozen=True)
class Effect:
    """Of a threshold, as shares of all rows."""

    threshold: float
    flagged: float
    missed: float
    alarms: float
    cost: float
    """Per row, in the units of the costs."""


def groups(metrics: Mapping[str, Any]) -> list[Group]:
    """From the calibration of a version's evaluation: as many groups as that has, rising."""
    found = [
        Group(float(one["predicted"]), int(one["rows"]), float(one["observed"]) * int(one["rows"]))
        for one in metrics.get("calibration") or []
        if one.get("rows")
    ]
    return sorted(found, key=lambda group: group.score)


def effect(listed: Sequence[Group], threshold: float, costs: Mapping[str, float]) -> Effect:
    """A group is flagged as a whole when its score reaches the threshold."""
    rows = sum(group.rows for group in listed) or 1
    flagged = [group for group in listed if group.score >= threshold]
    missed = sum(group.positives for group in listed if group.score < threshold) / rows
    alarms = sum(group.rows - group.positives for group in flagged) / rows
    cost = costs["missed_positive"] * missed + costs["false_alarm"] * alarms
    return Effect(threshold, sum(group.rows for group in flagged) / rows, missed, alarms, cost)


def curve(listed: Sequence[Group], costs: Mapping[str, float]) -> list[Effect]:
    """A point for each score, where a group ceases to be flagged just above it, and for both ends: each effect holds back to the point before it."""
    return [effect(listed, threshold, costs) for threshold in (0.0, *(group.score for group in listed), 1.0)]


def sampled(metrics: Mapping[str, Any], costs: Mapping[str, float]) -> list[Effect]:
    """From the evaluation's own curve over thresholds, which tells share and cost: the costs that it was made with say how many were missed of whom."""
    points = sorted((metrics.get("curves") or {}).get("threshold") or [], key=lambda point: point["threshold"])
    if not points or costs["false_alarm"] <= 0:
        return []
    # At the lowest threshold all are flagged: what that costs are the negatives.
    rate = points[0]["positive"] - points[0]["cost_per_row"] / costs["false_alarm"]
    found = []
    for point in points:
        surplus = point["positive"] - rate
        missed = max(0.0, (point["cost_per_row"] - costs["false_alarm"] * surplus) / (costs["missed_positive"] + costs["false_alarm"]))
        found.append(Effect(point["threshold"], point["positive"], missed, max(0.0, surplus + missed), point["cost_per_row"]))
    return found


def weighed(listed: Sequence[Effect], costs: Mapping[str, float]) -> list[Effect]:
    """The same with other costs."""
    return [replace(one, cost=costs["missed_positive"] * one.missed + costs["false_alarm"] * one.alarms) for one in listed]


def at(listed: Sequence[Effect], threshold: float) -> Effect:
    """Between two points of a curve, on the straight line between them."""
    position = bisect_left([one.threshold for one in listed], threshold)
    if position in (0, len(listed)):
        return replace(listed[min(position, len(listed) - 1)], threshold=threshold)
    low, high = listed[position - 1], listed[position]
    part = (threshold - low.threshold) / (high.threshold - low.threshold)
    flagged, missed, alarms, cost = (a + part * (b - a) for a, b in zip(astuple(low)[1:], astuple(high)[1:], strict=True))
    return Effect(threshold, flagged, missed, alarms, cost)


def share_at(scores: Sequence[float], threshold: float) -> float:
    """Of scores in rising order, the share that reaches the threshold."""
    return (len(scores) - bisect_left(scores, threshold)) / len(scores) if scores else 0.0
