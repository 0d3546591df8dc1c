"""The report on a challenger, by hand."""

import numpy as np
import pytest

from bentos.serving.comparison import Pairs, intervals, report, scores

COSTS = {"missed_positive": 4.0, "false_alarm": 1.0}
NAN = float("nan")


def pairs(rows: int = 400, *, shift: float = 0.0, outcome: float = NAN) -> Pairs:
    """Half of the rows are of category a, whose challenger says `shift` more; decisions at 0.5."""
    champion = (np.arange(rows) + 0.5) / rows
    category = np.array(["a" if n % 2 else "b" for n in range(rows)], dtype=object)
    challenger = champion + np.where(category == "a", shift, 0.0)
    columns = {"kind": category, "size": np.where(np.arange(rows) % 10, champion, NAN)}
    known = np.full(rows, outcome)
    return Pairs(columns, champion, challenger, champion >= 0.5, challenger >= 0.5, known, np.full(rows, 20.0), np.full(rows, 30.0))


def test_the_same_version_differs_in_nothing() -> None:
    found = report(pairs(), COSTS)
    assert (found["rows"], found["errors"]["rows"], found["flips"]["flips"]) == (400, 0, 0)
    assert found["flips"]["high"] == pytest.approx(0.0095, abs=1e-4), "400 rows without one do not exclude a hundredth"
    assert (found["score"]["psi"], found["score"]["ks"], found["score"]["shift"]) == (0.0, 0.0, 0.0)
    assert found["cost"]["known"] is None
    assert (found["cost"]["expected"]["difference"], found["latency"]["ratio"]) == (0.0, 1.5)


def test_flips_are_found_where_they_are() -> None:
    found = report(pairs(shift=0.1), COSTS)
    assert (found["flips"]["flips"], found["flips"]["to_positive"], found["flips"]["to_negative"]) == (20, 20, 0)
    by_name = {(one["feature"], one["segment"]): one for one in found["segments"]}
    assert (by_name["kind", "a"]["flips"], by_name["kind", "b"]["flips"]) == (20, 0)
    assert {feature for feature, _ in by_name} == {"kind", "size"}
    assert ("size", "missing") in by_name
    assert found["segments"][0]["share"] == max(one["share"] for one in found["segments"])
    assert sum(one["rows"] for (feature, _), one in by_name.items() if feature == "size") == 400
    assert found["score"]["shift"] == pytest.approx(0.05)
    assert found["score"]["low"] <= 0.05 <= found["score"]["high"]


def test_known_costs_are_those_of_the_mistakes() -> None:
    """20 rows more are called positive, and none is: a false alarm each."""
    found = report(pairs(shift=0.1, outcome=0.0), COSTS)["cost"]["known"]
    assert (found["champion"], found["challenger"], found["rows"]) == (0.5, 0.55, 400)
    assert 0.02 < found["low"] < 0.05 < found["high"] < 0.08
    better = report(pairs(shift=0.1, outcome=1.0), COSTS)["cost"]["known"]
    assert better["difference"] == pytest.approx(-0.2)


def test_rows_that_fail_are_counted_and_left_out_of_the_rest() -> None:
    whole = pairs(100)
    broken = Pairs(
        whole.columns, whole.champion, np.where(np.arange(100) < 60, NAN, whole.challenger), whole.decided, whole.decides, *[np.full(100, NAN)] * 3, ["why"]
    )
    found = report(broken, COSTS)
    assert (found["errors"]["rows"], found["errors"]["examples"], found["flips"]["rows"], found["latency"]) == (60, ["why"], 40, None)


def test_a_regression_has_errors_instead_of_decisions() -> None:
    truth = np.linspace(1, 1000, 50)
    found = report(Pairs({}, truth * 1.1, truth * 1.05, None, None, truth, *[np.full(50, NAN)] * 2), None)
    assert (found["flips"], found["segments"], found["cost"]["expected"]) == (None, [], None)
    assert (found["cost"]["known"]["champion"], found["cost"]["known"]["challenger"]) == (pytest.approx(0.1), pytest.approx(0.05))


def test_few_rows_say_nothing_about_scores_and_costs() -> None:
    found = report(pairs(10, outcome=1.0), COSTS)
    assert (found["score"], found["cost"]["known"], found["cost"]["expected"]) == (None, None, None)


@pytest.mark.parametrize(("hits", "rows", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (1, 1000, 0.00018, 0.00564), (0, 0, 0.0, 1.0)])
def test_shares_have_wilsons_interval(hits: int, rows: int, low: float, high: float) -> None:
    assert intervals.share(hits, rows) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_intervals_of_means_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        low, high = intervals.mean(random.choice([0.0, 1.0, -4.0], size=300, p=[0.9, 0.08, 0.02]))
        held += low <= 0.0 <= high
    assert 180 <= held <= 198
    for rows in (300, 20_000):
        values = random.normal(1.0, 2.0, rows)
        low, high = intervals.mean(values)
        assert high - low == pytest.approx(2 * 1.96 * values.std() / rows**0.5, rel=0.15)


def test_distances_by_hand() -> None:
    assert scores.ks(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])) == 0.5
    p, q = np.array([10.5, 30.5]) / 41, np.array([30.5, 10.5]) / 41
    assert scores.psi(np.array([10.0, 30.0]), np.array([30.0, 10.0])) == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


def test_bounds_of_large_numbers_are_written_out() -> None:
    """As 18,450 and not as 1.845e+04."""
    small = pairs()
    large = Pairs(**{**vars(small), "columns": {"income": np.linspace(10_000, 50_000, 400)}})
    assert {one["segment"] for one in report(large, COSTS)["segments"]} == {"below 20,000", "20,000 – 30,000", "30,000 – 40,000", "from 40,000"}
