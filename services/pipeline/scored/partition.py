"""The step `partition` of an input: which version answers, and which part belongs to which partition."""

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from services.pipeline.arguments import MOST_PARTITIONS
from services.pipeline.failure import Final
from services.pipeline.job import Job
from services.pipeline.runs import Run
from services.pipeline.scored import plan as planned
from services.pipeline.scored.plan import PLANNED, Audit, Input, Plan

log = logging.getLogger(__name__)

MOST_RECORDED = 4
"""Partitions of a run that records every row: a gateway works on so many large batches at a time."""


def run(job: Job, *, run_id: str, version: str | None, partitions: int | None, audit: Audit | None) -> dict[str, Any]:
    """A run that goes on keeps its plan: all its rows are answered alike. Raises Final for other wishes than it was made with."""
    run = planned.opened(job, run_id)
    if PLANNED in run.tags:
        plan = planned.read_plan(run)
        _same(plan, version, audit)
    else:
        plan = _made(job, run, planned.read_input(run), version, partitions, audit or "summary")
        run.put_document(planned.PLAN, asdict(plan))
        run.log(params={"scored_version": plan.version, "audit": plan.audit}, tags={PLANNED: plan.created_at})
    log.info("%d rows for version %s in %d parts, audit %s", plan.rows, plan.version, plan.parts, plan.audit)
    about = {"rows": plan.rows, "version": plan.version, "policy_version": plan.policy_version, "parts": plan.parts, "audit": plan.audit}
    return {"run_id": run.id, **about, "partitions": list(range(plan.partitions))}


def _same(plan: Plan, version: str | None, audit: Audit | None) -> None:
    for name, wanted, had in (("version", version, plan.version), ("audit", audit, plan.audit)):
        if wanted is not None and wanted != had:
            raise Final(f"this run goes on with {name} {had}, as it began; {name} {wanted} needs a new one")


def _made(job: Job, run: Run, found: Input, version: str | None, partitions: int | None, audit: Audit) -> Plan:
    serving = job.control.serving(job.model)
    champion = serving["champion"] and serving["champion"]["version"]
    chosen = version or champion
    if chosen is None:
        raise Final(f"nothing serves {job.model} yet, and no --version is named: train it first")
    if audit == "rows" and chosen != champion:
        raise Final(f"audit rows is the gateway's, where version {champion} serves: version {chosen} can be asked with audit summary")
    stored = job.control.version(job.model, chosen)
    policy = serving["policy"] if chosen == champion else stored["policy"]
    most = MOST_RECORDED if audit == "rows" else MOST_PARTITIONS
    return Plan(
        run_id=run.id,
        root=run.root,
        version=chosen,
        artifact=stored["artifact"],
        sha256=stored["sha256"],
        policy=policy,
        policy_version=policy and policy.get("version"),
        audit=audit,
        texts=found.texts,
        rows=found.rows,
        parts=len(found.parts),
        partitions=min(partitions or most, len(found.parts)),
        created_at=datetime.now(UTC).isoformat(),
    )
