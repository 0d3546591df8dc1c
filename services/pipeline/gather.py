"""After an offline scoring: is every row answered, and how good are the answers?"""

import logging
from typing import Any

import numpy as np
import pandas as pd

from services.pipeline import dataset, metrics, report, scoring
from services.pipeline.failure import Failure
from services.pipeline.job import Job
from services.pipeline.scoring import ROW, Plan

log = logging.getLogger(__name__)

METRICS = "scoring/metrics.json"
LEARNED = "this version was trained on exactly these rows: the figures flatter it, those of its hold-out do not"


def run(job: Job, *, run_id: str) -> dict[str, Any]:
    """Raises Failure when a row is missing, or answered twice."""
    opened = job.runs.open(job.model, run_id)
    plan = scoring.plan(opened)
    folder = opened.get_folder(scoring.PREDICTIONS, job.place("parts"))
    files = [folder / scoring.part_name(number) for number in range(plan.parts)]
    answered = joined([pd.read_parquet(file) for file in files if file.exists()], plan)
    found: dict[str, Any] = {"version": plan.version, "policy_version": plan.policy_version, "rows": plan.rows, "decisions": scoring.counts(job, answered)}
    examples = scoring.rows(job.model, dataset.frame(job, opened)).examples
    figures, remarks = None, [LEARNED] if plan.learned else []
    if examples is not None:
        predicted = answered["prediction" if job.entry.policy is None else "probability"].to_numpy(dtype=np.float64)
        measured = metrics.evaluate(
            job.entry.task, examples.truth, predicted, examples.baseline, policy=plan.policy, groups=examples.groups, time=examples.time
        )
        figures = {name: one["value"] for name, one in measured["metrics"].items()}
        remarks += report.remarks(measured)
        opened.put_document(METRICS, found | measured | {"remarks": remarks})
        opened.log(metrics={f"scored_{name}": value for name, value in figures.items() if value is not None})
        for row in report.table(measured):
            if not row.group:
                log.info("%s %s (%s)", row.metric, row.value, row.interval)
    opened.finish()
    log.info("%d rows answered by version %s", plan.rows, plan.version)
    return {"run_id": run_id, **found, "parts": plan.parts, "metrics": figures, "remarks": remarks}


def joined(parts: list[pd.DataFrame], plan: Plan) -> pd.DataFrame:
    """All rows in their order, each once. Raises Failure naming those that are not."""
    answered = pd.concat(parts) if parts else pd.DataFrame({ROW: pd.Series(dtype=np.int64)})
    numbers = answered[ROW].to_numpy(dtype=np.int64)
    foreign = numbers[(numbers < 0) | (numbers >= plan.rows)]
    times = np.bincount(numbers[(numbers >= 0) & (numbers < plan.rows)], minlength=plan.rows)
    wrong = {"missing": np.flatnonzero(times == 0), "answered more than once": np.flatnonzero(times > 1), "of no data set": foreign}
    said = [f"{len(rows)} rows are {how} ({', '.join(map(str, rows[:5]))}{', …' if len(rows) > 5 else ''})" for how, rows in wrong.items() if len(rows)]
    if said:
        raise Failure(f"the {plan.parts} parts do not fit together: {'; '.join(said)}")
    return answered.sort_values(ROW, ignore_index=True)
