"""What the catalogue's rules say of a report on a challenger."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from bentos.catalogue import ShadowRules

State = Literal["passed", "waits", "harm"]
Verdict = Literal["promote", "wait", "withdraw"]

ERROR_SHARE = 0.001
"""More of them, beyond chance, are harm; fewer keep the version from being promoted."""
FEWEST_TIMED = 30


class Rule(NamedTuple):
    rule: str
    state: State
    value: float | None
    limit: float | None
    words: str


class Judgement(NamedTuple):
    verdict: Verdict
    rules: list[Rule]

    @property
    def words(self) -> str:
        chosen = [rule.words for rule in self.rules if rule.state == {"withdraw": "harm", "wait": "waits"}.get(self.verdict, "passed")]
        return "; ".join(chosen)

    def document(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "rules": [rule._asdict() for rule in self.rules]}


def judge(rules: ShadowRules, report: Mapping[str, Any], minutes: float) -> Judgement:
    """`minutes` since the trial began. Promotes what passes every rule; withdraws what does harm beyond chance, on rows enough; else waits."""
    found = [_enough("rows", report["rows"], rules.rows, "rows scored by both"), _enough("minutes", minutes, rules.minutes, "minutes tried")]
    found += [_errors(report["errors"]), *_flips(rules, report), _latency(rules, report["latency"]), _cost(rules, report["cost"])]
    if all(rule.state == "passed" for rule in found):
        return Judgement("promote", found)
    if found[0].state == "passed" and any(rule.state == "harm" for rule in found):
        return Judgement("withdraw", found)
    return Judgement("wait", found)


def _enough(name: str, value: float, least: float, what: str) -> Rule:
    return Rule(name, "passed" if value >= least else "waits", value, least, f"{_count(value)} {what}, {least:g} are asked")


def _count(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _errors(errors: Mapping[str, Any]) -> Rule:
    state: State = "passed" if errors["rows"] == 0 else "harm" if errors["low"] > ERROR_SHARE else "waits"
    return Rule("errors", state, errors["share"], 0.0, f"{errors['rows']} rows that it could not score")


def _flips(rules: ShadowRules, report: Mapping[str, Any]) -> Iterator[Rule]:
    flips, known = report["flips"], report["cost"]["known"]
    if flips is None:
        return
    words = f"{flips['share']:.1%} of the rows decided otherwise ({flips['low']:.1%} to {flips['high']:.1%}), at most {rules.max_flips:.0%} are allowed"
    pays = known is not None and known["high"] < 0
    state: State = "passed" if flips["high"] <= rules.max_flips or pays else "harm" if flips["low"] > rules.max_flips else "waits"
    yield Rule("flips", state, flips["share"], rules.max_flips, words + (" unless they pay, as they do" if pays else ""))


def _latency(rules: ShadowRules, latency: Mapping[str, Any] | None) -> Rule:
    if latency is None or latency["rows"] < FEWEST_TIMED // 3:
        return Rule("latency", "waits", None, rules.max_latency_ratio, "too few rows were timed")
    ratio = latency["ratio"]
    state: State = "passed" if ratio <= rules.max_latency_ratio else "harm" if latency["rows"] >= FEWEST_TIMED else "waits"
    return Rule("latency", state, ratio, rules.max_latency_ratio, f"{ratio:.2f} times the champion's time for a row, {rules.max_latency_ratio:g} is allowed")


def _cost(rules: ShadowRules, cost: Mapping[str, Any]) -> Rule:
    found, kind = cost["known"], "known"
    if found is None:
        found, kind = cost["expected"], "expected"
    if found is None:
        return Rule("cost", "waits", None, rules.max_cost_increase, "too few outcomes are known to tell what it costs")
    limit = rules.max_cost_increase * abs(found["champion"])
    state: State = "passed" if found["high"] <= limit else "harm" if found["low"] > limit else "waits"
    words = f"{kind} cost of a row {found['champion']:.4g} → {found['challenger']:.4g} ({found['low']:+.4g} to {found['high']:+.4g}), {limit:+.4g} is allowed"
    return Rule("cost", state, found["difference"], limit, words)
