"""What the steps of an offline scoring share: the plan that `partition` made, and the data set's rows as they are asked and measured."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bentos import contract
from bentos.contract import Columns, Examples
from services.pipeline.job import Job
from services.pipeline.runs import Run

PLAN = "scoring/plan.json"
PREDICTIONS = "predictions"
ROW = "row"
"""The column of a part that numbers the rows of the whole data set, from 0."""


@dataclass(frozen=True)
class Plan:
    """One version and one policy answer every row, whatever is promoted meanwhile."""

    version: str
    run_id: str
    """Of the version, whose artifact it is."""
    sha256: str
    policy: dict[str, Any] | None
    policy_version: int | None
    """None where the policy is the version's own suggestion, which has never served."""
    rows: int
    edges: list[int]
    """Part i is the rows from edges[i] to edges[i + 1]."""
    learned: bool
    """The version learned from this very data set."""

    @property
    def parts(self) -> int:
        return len(self.edges) - 1


@dataclass(frozen=True)
class Rows:
    columns: Columns
    count: int
    examples: Examples | None
    """The same rows with their truth; None where the data set has no target."""

    def columns_of(self, part: slice) -> dict[str, NDArray[Any]]:
        return {name: values[part] for name, values in self.columns.items()}


def rows(model: str, frame: pd.DataFrame) -> Rows:
    """Examples in their order where there is a target. Raises BadData when the frame gives no row that could be asked."""
    schema, train = contract.schema(model), contract.train(model)
    if train.TARGET in frame and frame[train.TARGET].notna().all():
        examples = train.examples(frame)
        return Rows(examples.columns, len(examples), examples)
    if schema.Record is not schema.Input:
        raise contract.BadData([contract.Problem(train.TARGET, "column is missing, or has gaps: this model's rows are made with it")])
    return Rows(contract.columns_of_frame(frame, contract.kinds(schema.Input)), len(frame), None)


def edges(count: int, parts: int) -> list[int]:
    """Of parts that differ by one row at most; never more parts than rows."""
    return [int(edge) for edge in np.linspace(0, count, min(parts, count) + 1).round()]


def plan(run: Run) -> Plan:
    return Plan(**run.get_document(PLAN))


def part_name(number: int) -> str:
    return f"part-{number:05d}.parquet"


def counts(job: Job, answered: pd.DataFrame) -> dict[str, int] | None:
    """How often each decision was taken; None for a regression."""
    decisions = job.entry.decisions
    if decisions is None:
        return None
    return {name: int((answered["decision"] == name).sum()) for name in (decisions.negative, decisions.positive)}
