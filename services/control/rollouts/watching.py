"""Whether a version that answers does harm beside another one: after a promotion, and while it is a canary."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

from bentos.catalogue import WatchRules

Z = 1.96
FEWEST_ROWS = 30
FEWEST_CALLS = 50


class Sample(NamedTuple):
    rows: int
    mean: float
    sd: float

    @property
    def error(self) -> float:
        return self.sd / sqrt(self.rows)


@dataclass(frozen=True)
class Answered:
    """What a version's answers in the audit look like. Costs in the unit of the policy; of a regression, absolute errors as a share of the truth."""

    score: Sample | None
    known: Sample | None
    expected: Sample | None


@dataclass(frozen=True)
class Counted:
    """What all replicas say of a version."""

    answered: int
    failed: int
    median: float | None
    """Seconds of a call with few rows; None when there are too few."""


def harm(rules: WatchRules, now: tuple[Answered, Counted], before: tuple[Answered, Counted], trial: Sample | None = None) -> list[str]:
    """In words, each limit that is broken beyond chance. `trial`: the version's scores in its trial, which say best what is to be expected."""
    return [
        *_errors(rules, now[1], before[1]),
        *_latency(rules, now[1], before[1]),
        *_score(rules, now[0].score, trial or before[0].score),
        *_cost(rules, now[0], before[0]),
    ]


def counted(states: Iterable[Mapping[str, Any]], version: str) -> Counted:
    """Of the replicas' own reports. What is not as a runner writes it counts nothing."""
    answered = failed = 0
    calls: list[int] = []
    bounds: Sequence[float] = ()
    for state in states:
        said = state.get("counts") or {}
        of = (said.get("versions") or {}).get(version)
        if of is None:
            continue
        answered, failed, bounds = answered + of["answered"], failed + of["failed"], said["bounds"]
        calls = [one + other for one, other in zip(calls or [0] * len(of["calls"]), of["calls"], strict=False)]
    return Counted(answered, failed, _median(calls, bounds))


def _median(calls: Sequence[int], bounds: Sequence[float]) -> float | None:
    """Between the bounds of its bucket, in proportion."""
    whole = sum(calls)
    if whole < FEWEST_CALLS:
        return None
    below = 0
    for place, count in enumerate(calls):
        if below + count >= whole / 2:
            low, high = bounds[place - 1] if place else 0.0, bounds[min(place, len(bounds) - 1)]
            return low + (high - low) * (whole / 2 - below) / count
        below += count
    return None


def _errors(rules: WatchRules, now: Counted, before: Counted) -> Iterator[str]:
    rows = now.answered + now.failed
    if not now.failed:
        return
    share, allowed = now.failed / rows, rules.max_error_rate + before.failed / max(1, before.answered + before.failed)
    low = _least_share(now.failed, rows)
    if low > allowed:
        yield f"errors: {now.failed} of {rows} rows failed ({share:.1%}, at least {low:.1%}), {allowed:.1%} is allowed"


def _least_share(hits: int, rows: int) -> float:
    """The lower end of Wilson's 95 % interval."""
    p, z2 = hits / rows, Z * Z
    return (p + z2 / (2 * rows) - Z * sqrt(p * (1 - p) / rows + z2 / (4 * rows * rows))) / (1 + z2 / rows)


def _latency(rules: WatchRules, now: Counted, before: Counted) -> Iterator[str]:
    if now.median is None or before.median is None:
        return
    if (ratio := now.median / before.median) > rules.max_latency_ratio:
        words = f"{now.median * 1e6:.0f} µs for a call in the median, {before.median * 1e6:.0f} µs with the version before"
        yield f"latency: {words} ({ratio:.1f} times, {rules.max_latency_ratio:g} is allowed)"


def _score(rules: WatchRules, now: Sample | None, usual: Sample | None) -> Iterator[str]:
    if now is None or usual is None or not usual.sd or min(now.rows, usual.rows) < FEWEST_ROWS:
        return
    least = abs(now.mean - usual.mean) - Z * sqrt(now.error**2 + usual.error**2)
    if least / usual.sd > rules.max_score_shift:
        words = f"mean {now.mean:.4g} of {now.rows} rows, expected {usual.mean:.4g} ± {usual.sd:.4g}"
        yield f"score shift: {words} (at least {least / usual.sd:.2g} standard deviations, {rules.max_score_shift:g} are allowed)"


def _cost(rules: WatchRules, now: Answered, before: Answered) -> Iterator[str]:
    for kind, after, usual in (("known", now.known, before.known), ("expected", now.expected, before.expected)):
        if after is None or usual is None or min(after.rows, usual.rows) < FEWEST_ROWS:
            continue
        least = after.mean - usual.mean - Z * sqrt(after.error**2 + usual.error**2)
        if least > rules.max_cost_increase * abs(usual.mean):
            words = f"{kind} cost of a row {after.mean:.4g} instead of {usual.mean:.4g}, at least {least:+.4g}"
            yield f"cost: {words}; {rules.max_cost_increase * abs(usual.mean):+.4g} is allowed"
        return
