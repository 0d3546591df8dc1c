"""Workflows that schedules and people made: they are runs like control's own, and get a row of their own."""

import json
from typing import Any
from uuid import UUID

from services.control.workflows.argo.manifest import RUN, mark
from services.control.workflows.argo.nodes import Found
from services.control.workflows.schemas import PARAMETERS, Run, StepRecord
from services.control.workflows.steps import STEPS

CRON = "workflows.argoproj.io/cron-workflow"


def is_run(found: Found) -> bool:
    """There may be Workflows in the namespace that are none of ours."""
    return found.template in STEPS


def run_id(found: Found) -> UUID:
    """The run that control made it of, else the Workflow's own id. A copy of a Workflow has its labels, but another name."""
    try:
        labelled = UUID(found.labels.get(RUN, ""))
    except ValueError:
        labelled = None
    return labelled if labelled is not None and found.name.endswith(mark(labelled)) else UUID(found.document["metadata"]["uid"])


def adopted(found: Found) -> Run:
    """The row of a Workflow that has none."""
    given = found.parameters
    schedule = found.labels.get(CRON)
    kind = str(found.template)
    parameters = {name.replace("-", "_"): value for name, value in given.items() if value}
    return Run(
        id=run_id(found),
        kind=kind,
        model=given.get("model", ""),
        parameters={name: _typed(value) for name, value in parameters.items() if name in PARAMETERS[kind].model_fields},
        reason=given.get("reason") or (f"schedule {schedule}" if schedule else "submitted to Argo"),
        actor=given.get("actor") or ("cron" if schedule else "argo"),
        status="running",
        steps=[StepRecord(name=step.verb) for step in STEPS[kind]],
        result=None,
        error=None,
        created_at=found.created_at,
        started_at=found.created_at,
        finished_at=None,
    )


def _typed(value: str) -> Any:
    """Numbers as numbers: Argo knows only texts."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return found if isinstance(found, int | float) and not isinstance(found, bool) else value
