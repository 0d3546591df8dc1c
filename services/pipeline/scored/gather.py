"""The step `gather` of an input: every part is there, as control knows it, and no row is missing or there twice."""

import csv
import hashlib
import io
import logging
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet as pq

from services.pipeline.failure import Failure, Final
from services.pipeline.job import Job
from services.pipeline.scored import plan as planned
from services.pipeline.scored.ingest import ROW
from services.pipeline.scored.plan import Plan

log = logging.getLogger(__name__)


def run(job: Job, *, run_id: str) -> dict[str, Any]:
    """Raises Failure when a part is missing, or not what it was."""
    run = planned.opened(job, run_id)
    result = _gathered(job, planned.read_plan(run))
    run.log(metrics={"scored_rows": result["rows"], "refused_rows": result["refused"]})
    run.finish()
    return result


def _gathered(job: Job, plan: Plan) -> dict[str, Any]:
    records = {one["part"]: one for one in job.control.scored(job.model, plan.run_id)}
    if absent := [number for number in range(plan.parts) if number not in records]:
        raise Failure(f"{len(absent)} of {plan.parts} parts are missing ({', '.join(map(str, absent[:5]))}{', …' if len(absent) > 5 else ''})")
    counted = Counter[str]()
    next_row = 0
    for number in range(plan.parts):
        next_row = _check(job, plan, records[number], next_row, counted)
    answered, refused = (sum(one[name] for one in records.values()) for name in ("rows", "refused"))
    if refused:
        _join_refused(job, plan, [number for number in sorted(records) if records[number]["refused"]])
    if answered + refused != plan.rows:
        raise Failure(f"{answered} rows are answered and {refused} refused, of {plan.rows}")
    if not answered:
        raise Final(f"none of the {plan.rows} rows could be answered: {planned.REFUSED} of run {plan.run_id} says why")
    decisions = job.entry.decisions and {name: counted[name] for name in (job.entry.decisions.negative, job.entry.decisions.positive)}
    log.info("%d rows answered by version %s, %d refused", answered, plan.version, refused)
    by = {"version": plan.version, "policy_version": plan.policy_version, "audit": plan.audit}
    return {"run_id": plan.run_id, **by, "rows": answered, "refused": refused, "parts": plan.parts, "decisions": decisions}


def _check(job: Job, plan: Plan, record: dict[str, Any], least: int, counted: Counter[str]) -> int:
    """Of a part without refused rows nothing is read but two columns. Returns the number after its last row."""
    content = job.runs.artifacts.get(planned.answered_part(plan.root, record["part"]))
    if hashlib.sha256(content).hexdigest() != record["output_sha256"]:
        raise Failure(f"part {record['part']} is not the file any more that was told to control: its sha256 is another one")
    names = [ROW, *(["decision"] if job.entry.decisions else [])]
    found = pq.read_table(pa.BufferReader(content), columns=names, use_threads=False)
    numbers = found.column(ROW).to_numpy()
    if len(numbers) != record["rows"] or (len(numbers) and (numbers[0] < least or (numbers[1:] <= numbers[:-1]).any())):
        raise Failure(f"part {record['part']} has {len(numbers)} rows for {record['rows']}, or rows that are there twice")
    if job.entry.decisions:
        for one in pc.value_counts(found.column("decision")).to_pylist():
            counted[one["values"]] += one["counts"]
    return int(numbers[-1]) + 1 if len(numbers) else least


def _join_refused(job: Job, plan: Plan, numbers: list[int]) -> None:
    """One file of all parts, in the order of the rows."""
    path = job.folder / "refused.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        into = csv.writer(file)
        for at, number in enumerate(numbers):
            lines = csv.reader(io.StringIO(job.runs.artifacts.get(planned.refused_part(plan.root, number)).decode(), newline=""))
            header = next(lines)
            into.writerows([header, *lines] if at == 0 else lines)
    job.runs.artifacts.send(f"{plan.root}/{planned.REFUSED}", path)
