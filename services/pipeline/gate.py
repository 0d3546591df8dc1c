"""May a version serve? Pure: numbers in, verdict out, each rule with its words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bentos.catalogue import GateRules
from services.pipeline.metrics import NO_SKILL

FEWEST_PARITY_ROWS = 100_000
SYNTHETIC, RECENT = "synthetic", "recent"


@dataclass(frozen=True)
class Improvement:
    """Over the champion on the same hold-out rows; positive is better."""

    champion: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Candidate:
    metric: Mapping[str, float | None]
    """The gate's metric on the hold-out: {value, low, high}."""
    source: str
    champion_source: str | None
    """Where each one's training data came from."""
    improvement: Improvement | str | None
    """None: nothing serves yet. Text: why the champion cannot be compared."""
    engine: Mapping[str, Any]
    """The report of the engine's choice, with `artifact_bytes`."""
    golden_problem: str | None
    """Why the golden rows are not reproduced by the artifact as it was stored."""


def judge(rules: GateRules, candidate: Candidate) -> dict[str, Any]:
    """{passed, rules: [{rule, passed, value, limit, words}]}: every rule is judged, also after the first that fails."""
    found = [
        _floor(rules, candidate.metric),
        *_better_than_chance(rules, candidate.metric),
        _source(candidate.source, candidate.champion_source),
        _improvement(rules, candidate.improvement, candidate.source not in (SYNTHETIC, RECENT) and candidate.champion_source == SYNTHETIC),
        *_engine(rules, candidate.engine),
        _rule("golden_rows", candidate.golden_problem is None, None, None, candidate.golden_problem or "the stored artifact reproduces all of them"),
    ]
    return {"passed": all(rule["passed"] for rule in found), "rules": found}


def _rule(rule: str, passed: bool, value: float | None, limit: float | None, words: str) -> dict[str, Any]:
    return {"rule": rule, "passed": passed, "value": value, "limit": limit, "words": words}


def _floor(rules: GateRules, metric: Mapping[str, float | None]) -> dict[str, Any]:
    value, name = metric["value"], rules.metric
    if value is None:
        return _rule("floor", False, None, rules.floor, f"{name} is not defined on this hold-out")
    passed = value <= rules.floor if rules.lower_is_better else value >= rules.floor
    return _rule(
        "floor",
        passed,
        value,
        rules.floor,
        f"{name} {value:.4f} on the hold-out, {'at most' if rules.lower_is_better else 'at least'} {rules.floor:g} is asked",
    )


def _better_than_chance(rules: GateRules, metric: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Only where nobody would want less: a price forecast as good as the naive one is allowed, its floor says so."""
    chance, low = NO_SKILL.get(rules.metric), metric["low"]
    if rules.lower_is_better or chance is None or low is None:
        return []
    return [_rule("better_than_chance", low > chance, low, chance, f"the 95 % interval of {rules.metric} begins at {low:.4f}, chance is {chance:g}")]


def _source(source: str, champion: str | None) -> dict[str, Any]:
    """On invented rows a model of invented rows wins: that says nothing about the world that the champion learned from."""
    passed = source != SYNTHETIC or champion in (None, SYNTHETIC)
    words = f"trained on {source} data" + (f", the champion on {champion} data" if champion else "")
    return _rule("data_source", passed, None, None, words if passed else f"{words}: invented data does not replace real data")


def _improvement(rules: GateRules, found: Improvement | str | None, replaces_synthetic: bool) -> dict[str, Any]:
    """`replaces_synthetic`: the first version of real data has to reach the floor only. The difference is shown all the same.
    Not so for answered rows, which the champion was made to answer.
    """
    if found is None:
        return _rule("improvement", True, None, rules.min_improvement, "no champion yet")
    grace = "; real data replaces invented data whatever the difference" if replaces_synthetic else ""
    if isinstance(found, str):
        return _rule("improvement", replaces_synthetic, None, rules.min_improvement, f"the champion cannot be compared: {found}{grace}")
    if found.value is None or found.low is None or found.high is None:
        return _rule("improvement", replaces_synthetic, None, rules.min_improvement, f"{rules.metric} is not defined on this hold-out{grace}")
    enough, near = found.value >= rules.min_improvement, found.low >= -rules.margin
    words = (
        f"{rules.metric} {'better' if found.value >= 0 else 'worse'} than version {found.champion} by {abs(found.value):.4f} on the same rows "
        f"(95 % interval of the improvement: {found.low:+.4f} to {found.high:+.4f}); "
        f"at least {rules.min_improvement:+g} is asked, and the interval may reach {-rules.margin:+g}{grace}"
    )
    return _rule("improvement", replaces_synthetic or (enough and near), found.value, rules.min_improvement, words)


def _engine(rules: GateRules, report: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind, rows = report["engine"], report["rows"]
    chosen = next(one for one in report["candidates"] if one["kind"] == kind)
    latency, size = chosen["one_row_us"], report["artifact_bytes"] / 1e6
    exact = chosen["agrees"] and rows >= FEWEST_PARITY_ROWS
    return [
        _rule("latency", latency <= rules.max_latency_us, latency, rules.max_latency_us, f"{latency:g} µs for one row with engine {kind}"),
        _rule("size", size <= rules.max_artifact_mb, size, rules.max_artifact_mb, f"artifact of {size:.2f} MB"),
        _rule("parity", exact, rows, FEWEST_PARITY_ROWS, f"{kind} {'agrees' if chosen['agrees'] else 'differs'} with scikit-learn on {rows} rows"),
    ]
