from dataclasses import replace
from typing import Any

import pytest

from bentos.catalogue import GateRules
from services.pipeline import gate
from services.pipeline.gate import Candidate, Improvement

AUC = GateRules(metric="roc_auc", floor=0.7, min_improvement=-0.005, margin=0.05, max_latency_us=200, max_artifact_mb=32)
RATIO = GateRules(metric="rmse_ratio", floor=1.01, min_improvement=-0.002, margin=0.01, max_latency_us=200, max_artifact_mb=32)
ENGINE = {"engine": "gtil", "rows": 120_000, "artifact_bytes": 5_000_000, "candidates": [{"kind": "gtil", "agrees": True, "one_row_us": 30.0}]}
GOOD = Candidate({"value": 0.8, "low": 0.75, "high": 0.85}, "files", "files", Improvement("3", 0.01, -0.02, 0.04), ENGINE, None)


def failed(rules: GateRules, candidate: Candidate) -> dict[str, str]:
    verdict = gate.judge(rules, candidate)
    assert verdict["passed"] == all(rule["passed"] for rule in verdict["rules"])
    return {rule["rule"]: rule["words"] for rule in verdict["rules"] if not rule["passed"]}


def test_a_good_version_passes_every_rule() -> None:
    verdict = gate.judge(AUC, GOOD)
    assert verdict["passed"]
    names = [rule["rule"] for rule in verdict["rules"]]
    assert names == ["floor", "better_than_chance", "data_source", "improvement", "latency", "size", "parity", "golden_rows"]


def engine(**changes: Any) -> dict[str, Any]:
    own = {name: changes.pop(name) for name in ("agrees", "one_row_us") if name in changes}
    return {**ENGINE, **changes, "candidates": [{"kind": "gtil", "agrees": True, "one_row_us": 30.0, **own}]}


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        ({"metric": {"value": 0.69, "low": 0.65, "high": 0.72}}, "floor", "0.6900 on the hold-out, at least 0.7"),
        ({"metric": {"value": None, "low": None, "high": None}}, "floor", "not defined"),
        ({"metric": {"value": 0.71, "low": 0.49, "high": 0.9}}, "better_than_chance", "begins at 0.4900"),
        ({"improvement": Improvement("3", -0.006, -0.02, 0.01)}, "improvement", "worse than version 3 by 0.0060"),
        ({"improvement": Improvement("3", 0.01, -0.06, 0.08)}, "improvement", "may reach -0.05"),
        ({"improvement": Improvement("3", None, None, None)}, "improvement", "not defined"),
        ({"improvement": "other features"}, "improvement", "cannot be compared: other features"),
        ({"source": "synthetic"}, "data_source", "does not replace real data"),
        ({"engine": engine(one_row_us=201.0)}, "latency", "201 µs"),
        ({"engine": engine(artifact_bytes=33_000_000)}, "size", "33.00 MB"),
        ({"engine": engine(agrees=False)}, "parity", "differs"),
        ({"engine": engine(rows=99_999)}, "parity", "99999 rows"),
        ({"golden_problem": "golden.json: 1 of 32"}, "golden_rows", "1 of 32"),
    ],
)
def test_each_rule_refuses_alone_and_says_why(change: dict[str, Any], rule: str, words: str) -> None:
    found = failed(AUC, replace(GOOD, **change))
    assert list(found) == [rule]
    assert words in found[rule]


def test_the_first_version_has_nobody_to_beat() -> None:
    assert failed(AUC, replace(GOOD, champion_source=None, improvement=None)) == {}


@pytest.mark.parametrize("improvement", [Improvement("3", -0.02, -0.09, 0.03), "other features"])
def test_real_data_replaces_invented_data_when_it_reaches_the_floor(improvement: Improvement | str) -> None:
    first = replace(GOOD, champion_source="synthetic", improvement=improvement)
    assert failed(AUC, first) == {}
    assert list(failed(AUC, replace(first, metric={"value": 0.6, "low": 0.55, "high": 0.65}))) == ["floor"]


@pytest.mark.parametrize(("value", "passes"), [(0.99, True), (1.01, True), (1.011, False)])
def test_where_lower_is_better_the_floor_is_a_ceiling(value: float, passes: bool) -> None:
    candidate = replace(GOOD, metric={"value": value, "low": value - 0.01, "high": value + 0.01}, improvement=Improvement("3", 0.001, -0.001, 0.002))
    assert (failed(RATIO, candidate) == {}) == passes
