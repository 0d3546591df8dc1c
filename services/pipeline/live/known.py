"""Audited rows with a known outcome, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bentos import contract
from bentos.catalogue import Entry
from bentos.contract import Columns, Floats
from bentos.serving import intervals
from services.pipeline import metrics
from services.pipeline.drift import window
from services.pipeline.job import Job

MOST_ROWS = 10_000
"""The newest of a model that figures are made of: their intervals do not get much narrower with more, and the step stays a matter of seconds."""
FEW_VALUES = 20
NAIVE = "naive"
"""The field of an answer in which a regression says what the trivial forecast would be."""


@dataclass(frozen=True)
class Known:
    """All arrays share the first axis, in the order of prediction."""

    at: Floats
    """UNIX seconds of the prediction: an outcome that is told late still counts for the day on which the answer was given."""
    version: NDArray[Any]
    prediction: Floats
    truth: Floats
    baseline: Floats
    decided: NDArray[np.bool_] | None
    """The decision that was given, by the policy of its time; None for a regression."""
    groups: NDArray[Any] | None
    columns: Columns
    bounds: Mapping[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.at)

    def take(self, index: NDArray[Any]) -> "Known":
        return Known(
            self.at[index],
            self.version[index],
            self.prediction[index],
            self.truth[index],
            self.baseline[index],
            None if self.decided is None else self.decided[index],
            None if self.groups is None else self.groups[index],
            {name: values[index] for name, values in self.columns.items()},
            {name: values[index] for name, values in self.bounds.items()},
        )


def read(job: Job, *, version: str | None = None) -> Known | None:
    """Of the last days that the policy measures; of one version where it is named. None where nothing is known."""
    since = datetime.now(UTC) - timedelta(days=job.entry.drift.performance_days)
    newest = job.control.audit(job.model, version=version, since=since.isoformat(), known=True, newest=True, limit=MOST_ROWS)
    rows = [row for row in window.readable(job.model, list(newest)[::-1]) if row["score"] is not None]
    return of_rows(job.model, job.entry, rows) if rows else None


def of_rows(model: str, entry: Entry, rows: Sequence[Mapping[str, Any]]) -> Known:
    columns = contract.columns_of_rows([row["input"] for row in rows], contract.kinds(contract.schema(model).Input))
    truth = np.array([row["outcome"] for row in rows], dtype=np.float64)
    outputs = [row["output"] for row in rows]
    naive = entry.task == "regression" and all(isinstance(one.get(NAIVE), int | float) for one in outputs)
    whole = all(isinstance(one.get(name), int | float) for one in outputs for name in intervals.NAMES)
    decisions = entry.decisions
    return Known(
        at=np.array([row["at"] for row in rows], dtype=np.float64),
        version=np.array([row["version"] for row in rows], dtype=object),
        prediction=np.array([row["score"] for row in rows], dtype=np.float64),
        truth=truth,
        baseline=np.array([one[NAIVE] for one in outputs], dtype=np.float64) if naive else np.full(len(rows), truth.mean()),
        decided=None if decisions is None else np.array([row["decision"] == decisions.positive for row in rows]),
        groups=_groups(columns),
        columns=columns,
        bounds={name: np.array([one[name] for one in outputs], dtype=np.float64) for name in intervals.NAMES} if whole else {},
    )


def measured(task: str, known: Known, policy: Mapping[str, Any] | None, resamples: int = metrics.RESAMPLES) -> dict[str, Any]:
    """As on the hold-out, with the decisions that were given."""
    return metrics.evaluate(
        task,
        known.truth,
        known.prediction,
        known.baseline,
        bounds=known.bounds,
        policy=policy,
        groups=known.groups,
        time=None if known.groups is None else known.at.astype(np.int64),
        decided=known.decided,
        by_group=False,
        resamples=resamples,
    )


def _groups(columns: Columns) -> NDArray[Any] | None:
    """What a row belongs to where it is a stretch of time, such as an asset and its interval: its short values of few kinds. None for other rows."""
    if all(values.ndim == 1 for values in columns.values()):
        return None
    few = [values.astype(str) for values in columns.values() if values.ndim == 1 and len(np.unique(values.astype(str))) <= FEW_VALUES]
    return np.array([" ".join(one) for one in zip(*few, strict=True)], dtype=object) if few else None
