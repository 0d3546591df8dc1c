"""What the catalogue's rules make of figures."""

from typing import Any

import pytest

from bentos.catalogue import ShadowRules, WatchRules
from services.control.rollouts.judging import judge
from services.control.rollouts.watching import Answered, Counted, Sample, counted, harm

RULES = ShadowRules(rows=100, minutes=1, max_flips=0.2, max_latency_ratio=2, max_cost_increase=0.1)
COST = {"rows": 200, "champion": 1.0, "challenger": 1.0, "difference": 0.0, "low": -0.05, "high": 0.05}


def report(**more: Any) -> dict[str, Any]:
    return {
        "rows": 200,
        "errors": {"rows": 0, "share": 0.0, "low": 0.0, "high": 0.02, "examples": []},
        "flips": {"rows": 200, "flips": 10, "share": 0.05, "low": 0.03, "high": 0.09},
        "cost": {"known": None, "expected": COST},
        "latency": {"rows": 40, "ratio": 1.1},
    } | more


def flips(low: float, high: float) -> dict[str, Any]:
    return {"rows": 200, "flips": 1, "share": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize(
    ("found", "minutes", "verdict"),
    [
        (report(), 2, "promote"),
        (report(), 0.5, "wait"),
        (report(rows=99), 2, "wait"),
        (report(flips=None), 2, "promote"),
        (report(flips=flips(0.15, 0.25)), 2, "wait"),
        (report(flips=flips(0.25, 0.35)), 2, "withdraw"),
        (report(flips=flips(0.25, 0.35), rows=50), 2, "wait"),
        (report(flips=flips(0.25, 0.35), cost={"known": COST | {"low": -0.2, "high": -0.1}, "expected": None}), 2, "promote"),
        (report(cost={"known": COST | {"low": 0.05, "high": 0.2}, "expected": COST}), 2, "wait"),
        (report(cost={"known": COST | {"low": 0.15, "high": 0.3}, "expected": COST}), 2, "withdraw"),
        (report(cost={"known": None, "expected": None}), 2, "wait"),
        (report(latency=None), 2, "wait"),
        (report(latency={"rows": 40, "ratio": 2.5}), 2, "withdraw"),
        (report(latency={"rows": 20, "ratio": 2.5}), 2, "wait"),
        (report(errors={"rows": 1, "share": 0.005, "low": 0.0005, "high": 0.02, "examples": []}), 2, "wait"),
        (report(errors={"rows": 9, "share": 0.045, "low": 0.02, "high": 0.08, "examples": []}), 2, "withdraw"),
    ],
)
def test_only_what_excludes_harm_is_promoted(found: dict[str, Any], minutes: float, verdict: str) -> None:
    judgement = judge(RULES, found, minutes)
    assert judgement.verdict == verdict
    assert judgement.words
    if verdict == "withdraw":
        assert [rule.words for rule in judgement.rules if rule.state == "harm"] == [judgement.words]


USUAL = (Answered(Sample(300, 0.2, 0.1), None, Sample(300, 0.5, 0.2)), Counted(1000, 0, 100e-6))
WATCH = WatchRules(minutes=10, max_error_rate=0.01, max_latency_ratio=3, max_score_shift=1, max_cost_increase=0.5)


@pytest.mark.parametrize(
    ("score", "expected", "said", "words"),
    [
        (Sample(100, 0.21, 0.1), Sample(100, 0.52, 0.2), Counted(100, 0, 120e-6), None),
        (Sample(100, 0.21, 0.1), None, Counted(100, 1, 120e-6), None),
        (Sample(100, 0.21, 0.1), None, Counted(95, 5, 120e-6), "errors"),
        (Sample(100, 0.21, 0.1), None, Counted(100, 0, 400e-6), "latency"),
        (Sample(100, 0.21, 0.1), None, Counted(100, 0, None), None),
        (Sample(100, 0.40, 0.1), None, Counted(100, 0, None), "score shift"),
        (Sample(10, 0.90, 0.1), None, Counted(100, 0, None), None),
        (Sample(100, 0.21, 0.1), Sample(100, 1.0, 0.2), Counted(100, 0, None), "cost"),
        (None, None, Counted(0, 0, None), None),
    ],
)
def test_the_watch_calls_harm_what_is_beyond_chance(score: Sample | None, expected: Sample | None, said: Counted, words: str | None) -> None:
    found = harm(WATCH, (Answered(score, None, expected), said), USUAL)
    assert [one.partition(":")[0] for one in found] == ([] if words is None else [words])


def test_what_a_version_said_in_its_trial_is_what_is_expected_of_it() -> None:
    now = (Answered(Sample(100, 0.6, 0.1), None, None), Counted(100, 0, None))
    assert harm(WATCH, now, USUAL)
    assert harm(WATCH, now, USUAL, trial=Sample(500, 0.61, 0.1)) == []


def test_replicas_add_up_and_nonsense_counts_nothing() -> None:
    def state(answered: int, failed: int, calls: list[int]) -> dict[str, Any]:
        return {"counts": {"bounds": [0.001, 0.002], "versions": {"2": {"answered": answered, "failed": failed, "calls": calls}}}}

    found = counted([state(60, 1, [0, 60, 0]), state(40, 0, [0, 40, 0]), {}, {"counts": {"bounds": [], "versions": {}}}], "2")
    assert found == Counted(100, 1, pytest.approx(0.0015))
    assert counted([state(10, 0, [10, 0, 0])], "2").median is None, "too few calls"


@pytest.mark.parametrize(("rows", "minutes", "words"), [(10_000, 2, "10000 rows scored by both"), (200, 1.024, "1.02 minutes tried")])
def test_counts_are_written_as_people_write_them(rows: int, minutes: float, words: str) -> None:
    assert words in judge(RULES, report(rows=rows), minutes).words
