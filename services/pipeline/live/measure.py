"""Figures of what became of answers: of each version, of its days, of its segments. What has too few rows for a figure is listed without."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos import contract
from bentos.catalogue import Entry
from services.pipeline.drift import window
from services.pipeline.job import Job
from services.pipeline.live.against import compared, enough
from services.pipeline.live.known import Known, measured
from services.pipeline.metrics import RESAMPLES

MOST_VERSIONS = 4
"""The newest of those that have answered enough."""
DAY = 86_400
FEW_VALUES = 6
"""A number with so many different values at most is divided by them, and else by its quartiles."""
MOST_TEXTS = 12
SEGMENT_ROWS, SEGMENT_RESAMPLES = 4000, 200
"""Segments are measured on the newest rows, and resampled less: every row is in one of each field."""

Policy = Mapping[str, Any] | None
Mask = NDArray[np.bool_]


def versions(job: Job, known: Known, answered: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Newest first, by the last prediction of each."""
    last = {str(version): known.at[known.version == version].max() for version in np.unique(known.version.astype(str))}
    policy = job.control.serving(job.model)["policy"]
    found = []
    for version in sorted(last, key=lambda one: -last[one])[:MOST_VERSIONS]:
        holdout = job.control.version(job.model, version)["metrics"].get("holdout", {})
        counts = {str(one["day"]): one["answered"] for one in answered if one["version"] == version}
        found.append({"version": version} | of_version(job.model, job.entry, known.take(known.version == version), policy, holdout, counts))
    return found


def of_version(model: str, entry: Entry, known: Known, policy: Policy, holdout: Mapping[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """`counts` are answers by day, with and without an outcome."""
    whole = _figures(entry, known, policy)
    newest = known.take(np.arange(max(0, len(known) - SEGMENT_ROWS), len(known)))
    return {
        "from": _moment(known.at[0]),
        "to": _moment(known.at[-1]),
        "answered": sum(counts.values()),
        **whole,
        "threshold": policy and policy["threshold"],
        "days": [_day(entry, known, policy, day, counts) for day in _days(known, counts)],
        "segments": [
            {"field": name, "segment": label} | _figures(entry, newest.take(mask), policy, SEGMENT_RESAMPLES)
            for name, label, mask in segments(model, newest)
            if mask.any()
        ],
        "holdout": holdout.get("metrics", {}),
        "drift": compared(entry, holdout.get("metrics", {}), whole["metrics"] if enough(entry, known) else {}, len(known)),
    }


def _figures(entry: Entry, known: Known, policy: Policy, resamples: int = RESAMPLES) -> dict[str, Any]:
    """{rows, metrics, baseline, calibration, confusion}; nothing but counts below the policy's minimum."""
    found: dict[str, Any] = {"metrics": {}, "baseline": {}, "calibration": None}
    if len(known) >= entry.drift.segment_rows:
        found = measured(entry.task, known, policy, resamples)
    return {"rows": len(known), "confusion": confusion(known)} | {name: found[name] for name in ("metrics", "baseline", "calibration")}


def confusion(known: Known) -> dict[str, int] | None:
    """Of the decisions that were given, by the threshold that served at the time."""
    if known.decided is None:
        return None
    truth = known.truth == 1
    counts = {"hits": truth & known.decided, "missed": truth & ~known.decided, "false_alarms": ~truth & known.decided, "passed": ~truth & ~known.decided}
    return {name: int(rows.sum()) for name, rows in counts.items()}


def _days(known: Known, counts: Mapping[str, int]) -> list[str]:
    return sorted({_date(at) for at in np.unique(known.at // DAY) * DAY} | set(counts))


def _day(entry: Entry, known: Known, policy: Policy, day: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """By the day of the prediction, whenever its outcome was told."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    inside = (known.at >= begin.timestamp()) & (known.at < (begin + timedelta(days=1)).timestamp())
    part = known.take(inside)
    return {"day": day, "answered": max(counts.get(day, 0), len(part)), **_figures(entry, part, policy)}


def segments(model: str, known: Known) -> Iterator[tuple[str, str, Mask]]:
    """(field, segment, rows) of each text, by its values, and of each number that answers are made of, by its values where they are few, else by quartiles."""
    kinds = contract.kinds(contract.schema(model).Input)
    matters = window.checked(model, known.columns, np.empty((len(known), len(contract.features(model).FEATURES))))
    for name, values in known.columns.items():
        if values.ndim > 1:
            continue
        if kinds[name] == "text":
            yield from _by_value(name, values, MOST_TEXTS)
        elif name in matters:
            present = np.unique(values[~np.isnan(values)])
            yield from _by_value(name, values, FEW_VALUES) if len(present) <= FEW_VALUES else _by_quartile(name, values)


def _by_value(name: str, values: NDArray[Any], most: int) -> Iterator[tuple[str, str, Mask]]:
    labels = np.array([_label(value) for value in values], dtype=object)
    names, counts = np.unique(labels.astype(str), return_counts=True)
    for at in np.argsort(-counts, kind="stable")[:most]:
        yield name, str(names[at]), labels == names[at]


def _by_quartile(name: str, values: NDArray[np.float64]) -> Iterator[tuple[str, str, Mask]]:
    edges = np.unique(np.nanquantile(values, (0, 0.25, 0.5, 0.75, 1)))
    for low, high in pairwise(edges):
        inside = (values >= low) & (values <= high if high == edges[-1] else values < high)
        yield name, f"{low:g} to {high:g}", inside
    if np.isnan(values).any():
        yield name, "not known", np.isnan(values)


def _label(value: Any) -> str:
    if value is None or value != value:
        return "not known"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
