"""Audited rows as arrays: what was asked, what the version says to it, and which of it is worth a look."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bentos import contract
from bentos.contract import Columns, Floats
from bentos.serving.artifact import Artifact
from services.pipeline.failure import Final
from services.pipeline.job import Job

log = logging.getLogger(__name__)

Row = Mapping[str, Any]


class Window(NamedTuple):
    version: str
    since: datetime
    until: datetime
    rows: list[Row]
    """Oldest first."""


@dataclass(frozen=True)
class Asked:
    columns: Columns
    """As the model is given them."""
    checked: Columns
    """What its answers are made of: plain columns and, of lists of numbers, the features."""
    matrix: Floats


def answered(job: Job, version: str | None, rows: int | None, hours: int | None) -> Window:
    """The newest rows that this version answered, or the one that serves; as many and as old as the catalogue says unless given.

    No others: those before its promotion are what it may have been trained to follow. Raises Final when no version serves.
    """
    policy = job.entry.drift
    chosen = version or job.control.champion(job.model)
    if chosen is None:
        raise Final("no version serves, so there is nothing to check; --version names one")
    until = datetime.now(UTC)
    since = until - timedelta(hours=hours or policy.window_hours)
    newest = job.control.audit(job.model, version=chosen, since=since.isoformat(), newest=True, limit=rows or policy.window_rows)
    found = readable(job.model, list(newest)[::-1])
    log.info("version %s: %d rows since %s", chosen, len(found), since.isoformat(timespec="seconds"))
    return Window(chosen, since, until, found)


def readable(model: str, rows: Sequence[Row]) -> list[Row]:
    """Those that have the fields that the model has today; its schema may have changed since they were asked."""
    fields = contract.kinds(contract.schema(model).Input).keys()
    return [row for row in rows if fields <= row["input"].keys()]


def asked(model: str, rows: Sequence[Row]) -> Asked:
    """Of at least one readable row, in their order."""
    columns = contract.columns_of_rows([row["input"] for row in rows], contract.kinds(contract.schema(model).Input))
    features = contract.features(model)
    matrix = features.matrix(columns)
    return Asked(columns, checked(model, columns, matrix), matrix)


def checked(model: str, columns: Columns, matrix: Floats) -> dict[str, NDArray[Any]]:
    """A field that no feature is made of, such as a label or the moment of asking, changes nothing by changing; where that is not known, all count."""
    sources = contract.sources(model)
    used = {field for fields in sources.values() for field in fields} if all(sources.values()) else columns.keys()
    found = {name: values for name, values in columns.items() if values.ndim == 1 and name in used}
    if any(values.ndim > 1 for values in columns.values()):
        found |= {name: matrix[:, i] for i, name in enumerate(sources)}
    return found


def scores(version: Artifact, columns: Columns, rows: int) -> Floats:
    """The version's own: what the audit keeps of a regression is the answer, in units in which a dear asset hides a cheap one."""
    return np.asarray(version.score_columns(columns, rows), dtype=np.float64)
