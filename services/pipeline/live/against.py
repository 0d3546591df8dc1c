"""Live performance beside the hold-out of the same version: performance drift."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from bentos.catalogue import Entry
from services.pipeline.job import Job
from services.pipeline.live.known import Known, measured
from services.pipeline.report import LABELS
from services.pipeline.target import FEWEST_OF_A_CLASS

WIDTH = 2 * stats.norm.ppf(0.975)
"""Of a 95 % interval, in standard errors."""


def drift_of(job: Job, version: str, known: Known | None) -> dict[str, Any] | None:
    """The gate's metric; None where no outcome is known."""
    if known is None:
        return None
    policy = job.control.serving(job.model)["policy"]
    holdout = job.control.version(job.model, version)["metrics"].get("holdout", {}).get("metrics", {})
    live = measured(job.entry.task, known, policy)["metrics"] if enough(job.entry, known) else {}
    return compared(job.entry, holdout, live, len(known))


def enough(entry: Entry, known: Known) -> bool:
    if len(known) < entry.drift.min_outcomes:
        return False
    return entry.task == "regression" or min(known.truth.sum(), (1 - known.truth).sum()) >= FEWEST_OF_A_CLASS


def compared(entry: Entry, holdout: Mapping[str, Any], live: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """{metric, rows, live, holdout, worse_by, limit, p_value, verdict, words}: worse by more than the policy allows, and not by chance.

    Both figures are estimates with an interval, from rows of their own: the difference's standard error is the root of the sum of their squares.
    """
    name, limit = entry.gate.metric, entry.drift.performance
    then, now = holdout.get(name), live.get(name)
    found = {"metric": name, "rows": rows, "live": now, "holdout": then, "worse_by": None, "limit": limit, "p_value": None}
    if not _whole(then) or not _whole(now):
        least = f"{entry.drift.min_outcomes} outcomes" + (f", {FEWEST_OF_A_CLASS} of each kind," if entry.task == "classification" else "")
        return found | {"verdict": "too_few", "words": f"too few outcomes: {rows} are known; {least} are the least"}
    assert then is not None  # noqa: S101 - says mypy what _whole has found
    assert now is not None  # noqa: S101
    worse = (now["value"] - then["value"]) * (1 if entry.gate.lower_is_better else -1)
    error = float(np.hypot(now["high"] - now["low"], then["high"] - then["low"])) / WIDTH
    p_value = float(stats.norm.sf(worse / error)) if error > 0 else float(worse <= 0)
    words = f"{LABELS[name]} {now['value']:.3f} instead of {then['value']:.3f} on the hold-out, from {rows} outcomes"
    verdict = "drift" if worse > limit and p_value < entry.drift.significance else "ok"
    return found | {"worse_by": worse, "p_value": p_value, "verdict": verdict, "words": words}


def _whole(figure: Mapping[str, Any] | None) -> bool:
    return figure is not None and None not in (figure.get("value"), figure.get("low"), figure.get("high"))
