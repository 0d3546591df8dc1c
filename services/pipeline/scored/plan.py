"""What the steps of a scoring tell each other, kept as documents beside its parts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from services.pipeline.failure import Failure
from services.pipeline.job import Job
from services.pipeline.runs import Run

GIVEN = "modelyard.input"
"""Tag of a run that scores a file or a table: which one."""
PLANNED = "modelyard.planned"
INPUT = "scoring/input.json"
PLAN = "scoring/plan.json"
REFUSED = "scoring/refused.csv"
KEY_HOURS = 23
"""The gateway knows an Idempotency-Key for 24 hours: a part that is asked for again later would be recorded twice."""

Audit = Literal["summary", "rows"]


@dataclass(frozen=True)
class Input:
    """What `ingest` found. Part i is in `input/part-<i>.arrow`."""

    name: str
    texts: bool
    """Every cell is a text, as in CSV; else values have types."""
    rows: int
    """Of the file or the table, bad ones among them."""
    parts: list[int]
    """How many rows each part has."""


@dataclass(frozen=True)
class Plan:
    """One version and one policy answer every row, whatever is promoted meanwhile."""

    run_id: str
    root: str
    """Where the run's artifacts are below MLflow's."""
    version: str
    artifact: str
    sha256: str
    policy: dict[str, Any] | None
    policy_version: int | None
    audit: Audit
    texts: bool
    rows: int
    parts: int
    partitions: int
    """Partition i has the parts i, i + partitions, i + 2 · partitions …"""
    created_at: str

    def parts_of(self, partition: int | None) -> list[int]:
        return list(range(self.parts) if partition is None else range(partition, self.parts, self.partitions))

    @property
    def hours(self) -> float:
        """Since it was made."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.created_at)).total_seconds() / 3600


def input_part(root: str, number: int) -> str:
    return f"{root}/input/part-{number:05d}.arrow"


def answered_part(root: str, number: int) -> str:
    return f"{root}/predictions/part-{number:05d}.parquet"


def refused_part(root: str, number: int) -> str:
    return f"{root}/refused/part-{number:05d}.csv"


def opened(job: Job, run_id: str) -> Run:
    """To be worked on. Raises Failure for a run that scores no file or table with this model."""
    run = job.runs.look(job.model, run_id)
    if GIVEN not in run.tags:
        raise Failure(f"run {run_id} has scored no file or table with {job.model}")
    return job.runs.work_on(run)


def read_input(run: Run) -> Input:
    return Input(**run.get_document(INPUT))


def read_plan(run: Run) -> Plan:
    return Plan(**run.get_document(PLAN))
