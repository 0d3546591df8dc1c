"""Numbers, times, and what a threshold does."""

import pandas as pd
import pytest

from frontend import policies, words
from frontend.charts import market
from frontend.policies import Group

GROUPS = [Group(0.1, 50, 1), Group(0.3, 30, 6), Group(0.7, 20, 14)]
COSTS = {"missed_positive": 10.0, "false_alarm": 1.0}


def test_a_threshold_counts_refused_missed_and_alarms_by_hand() -> None:
    found = policies.effect(GROUPS, 0.3, COSTS)
    assert found.flagged == pytest.approx(0.5)
    assert found.missed == pytest.approx(1 / 100)
    assert found.alarms == pytest.approx((24 + 6) / 100)
    assert found.cost == pytest.approx(0.1 + 0.3)


def test_the_curve_holds_back_to_the_point_before() -> None:
    points = policies.curve(GROUPS, COSTS)
    assert [one.threshold for one in points] == [0.0, 0.1, 0.3, 0.7, 1.0]
    assert policies.effect(GROUPS, 0.2, COSTS).cost == points[2].cost
    assert points[-1].flagged == 0
    assert points[0].flagged == 1


def test_share_of_scores_that_reach_a_threshold() -> None:
    assert policies.share_at([0.1, 0.2, 0.2, 0.9], 0.2) == 0.75
    assert policies.share_at([], 0.2) == 0.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (1234567.0, "1\u202f234\u202f567"),
        (-3.0, "-3"),
        (0.0, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (90267.8599, "90\u202f268"),
    ],
)
def test_numbers_are_readable(value: float | None, text: str) -> None:
    assert words.number(value) == text


def test_times_come_as_iso_or_unix_seconds() -> None:
    assert words.time_of("2026-11-21T21:40:00Z") == words.time_of(1795297200)
    assert words.time_of("no time") is None
    assert words.span(7200) == "2 hours"
    assert words.span(59) == "59 s"


def test_rsi_is_high_when_prices_only_rise() -> None:
    rising = pd.Series([float(one) for one in range(30)])
    assert market.rsi(rising).iloc[-1] == pytest.approx(100.0)


def test_a_sampled_curve_gives_back_missed_and_alarms_for_any_costs() -> None:
    exact = [policies.effect(GROUPS, threshold, COSTS) for threshold in (0.0, 0.3, 0.7, 1.0)]
    stored = {"curves": {"threshold": [{"threshold": one.threshold, "positive": one.flagged, "cost_per_row": one.cost} for one in exact]}}
    found = policies.sampled(stored, COSTS)
    assert [(one.missed, one.alarms) for one in found] == [pytest.approx((one.missed, one.alarms)) for one in exact]
    others = {"missed_positive": 2.0, "false_alarm": 3.0}
    assert policies.weighed(found, others)[1].cost == pytest.approx(policies.effect(GROUPS, 0.3, others).cost)
    assert policies.at(found, 0.5).flagged == pytest.approx((exact[1].flagged + exact[2].flagged) / 2)
    assert policies.at(found, 2.0).cost == exact[-1].cost
    assert policies.sampled({}, COSTS) == []
