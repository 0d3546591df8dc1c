"""Before an offline scoring: which version answers, whether it can, and in how many parts."""

import logging
import math
from dataclasses import asdict
from typing import Any

from bentos import contract
from bentos.contract import BadData
from services.pipeline import dataset, rules, scoring
from services.pipeline.arguments import MOST_PARTITIONS
from services.pipeline.failure import Final
from services.pipeline.job import Job
from services.pipeline.scoring import Plan

log = logging.getLogger(__name__)

ROWS = 50_000
"""Of a part, where nobody asks for a number of parts."""


def run(job: Job, *, run_id: str, version: str | None, partitions: int | None) -> dict[str, Any]:
    """Raises BadData with every rule of the model's `Record` that a row breaks: what serving refuses is refused here, before anything is scored."""
    opened = job.runs.open(job.model, run_id)
    frame = dataset.frame(job, opened)
    problems, _ = rules.check(frame, contract.schema(job.model).Record)
    if problems:
        raise BadData(problems)
    rows = scoring.rows(job.model, frame)
    serving = job.control.serving(job.model)
    champion = serving["champion"] and serving["champion"]["version"]
    chosen = version or champion
    if chosen is None:
        raise Final(f"nothing serves {job.model} yet, and no --version is named: train it first")
    stored = job.control.version(job.model, chosen)
    policy = serving["policy"] if chosen == champion else stored["policy"]
    parts = partitions or min(MOST_PARTITIONS, math.ceil(rows.count / ROWS))
    plan = Plan(
        version=chosen,
        run_id=stored["run_id"],
        sha256=stored["sha256"],
        policy=policy,
        policy_version=policy and policy.get("version"),
        rows=rows.count,
        edges=scoring.edges(rows.count, parts),
        learned=stored["data_hash"] == opened.tags["data_hash"],
    )
    opened.put_document(scoring.PLAN, asdict(plan))
    opened.log(tags={"modelyard.kind": "score", "mlflow.runName": f"score {opened.tags['data_hash'][:8]}"}, params={"scored_version": chosen})
    log.info("%d rows for version %s in %d parts", plan.rows, chosen, plan.parts)
    return {"run_id": run_id, "rows": plan.rows, "version": chosen, "policy_version": plan.policy_version, "partitions": list(range(plan.parts))}
