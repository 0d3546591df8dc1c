"""When a model may be retrained, and from what. One function decides, from facts that were read under the model's lock. docs/retraining.md explains it."""

from dataclasses import dataclass
from typing import Any

from bentos.catalogue import Entry
from services.control.retraining.schemas import Cause, Rule

HELD_BACK: frozenset[Cause] = frozenset({"drift", "performance", "data"})
"""Nobody has looked at these: they wait while the data is known to be bad, and need something new to learn from."""
BAD_DATA_HOURS = 24.0
"""So long a failed validation holds them back, unless a run has passed it since."""


@dataclass(frozen=True)
class Facts:
    under_way: str | None
    """The run of a training that has not ended."""
    since_last: float | None
    """Seconds since the last retraining: what these rules let pass, or a schedule submitted. A training that somebody gave its own data is none."""
    today: int
    """Retrainings submitted within 24 hours."""
    bad_data: float | None
    """Seconds since the last training failed in validate with exit code 2; None when the last one did not. Files that somebody named do not count."""
    labelled: int
    """Answered rows with an outcome, not older than the catalogue's `recent_days`; not counted any further than needed."""
    candles: bool
    """Whether the platform has collected any."""


@dataclass(frozen=True)
class Refusal:
    rule: Rule
    why: str


def refusal(entry: Entry, cause: Cause, facts: Facts) -> Refusal | None:
    """The first rule that speaks against it."""
    limits = entry.retraining
    if cause != "manual" and entry.pin is not None:
        return Refusal("pinned", f"the catalogue pins version {entry.pin}: a new one could not serve")
    if facts.under_way is not None:
        return Refusal("under way", f"a training is under way already: run {facts.under_way}")
    if cause in HELD_BACK and facts.bad_data is not None and facts.bad_data < BAD_DATA_HOURS * 3600:
        return Refusal(
            "bad data", f"the data failed its validation {_ago(facts.bad_data)}; a person or a schedule may try, and a run that passes it lifts this"
        )
    if cause != "manual" and facts.since_last is not None and facts.since_last < limits.cooldown_minutes * 60:
        return Refusal("cooldown", f"the last retraining began {_ago(facts.since_last)}, and there is one in {limits.cooldown_minutes:g} minutes at most")
    if facts.today >= limits.daily_limit:
        return Refusal("daily limit", f"{facts.today} retrainings were submitted within 24 hours, and {limits.daily_limit} are the most")
    if cause in HELD_BACK and entry.feed is not None and not facts.candles:
        return Refusal("outcomes", "no candles have been collected, so there is nothing new to learn from")
    if cause in HELD_BACK and entry.feed is None and facts.labelled < limits.min_outcomes:
        why = (
            f"{facts.labelled} answered rows of the last {limits.recent_days} days have an outcome, and {limits.min_outcomes} are needed to learn something new"
        )
        return Refusal("outcomes", why)
    return None


def parameters(entry: Entry, cause: Cause) -> dict[str, Any]:
    """Of the training: what was found in live traffic is learned from live traffic, anything else as the catalogue says."""
    if cause not in HELD_BACK:
        return {}
    return {"source": "recent" if entry.feed is None else "live"}


def in_favour(entry: Entry, cause: Cause, facts: Facts) -> str:
    limits = entry.retraining
    last = "it was never retrained before" if facts.since_last is None else f"the last retraining began {_ago(facts.since_last)}"
    rest = "the cooldown does not hold for people" if cause == "manual" else f"the cooldown is {limits.cooldown_minutes:g} minutes"
    learns = f"; at least {facts.labelled} recent rows have an outcome" if cause in HELD_BACK and entry.feed is None else ""
    return f"{last}, {rest}; number {facts.today + 1} of {limits.daily_limit} within 24 hours{learns}"


def _ago(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} seconds ago"
