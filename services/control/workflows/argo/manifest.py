"""A run as the Workflow that Argo is given: a reference to the template of its kind, and the run's parameters."""

import hashlib
from typing import Any
from uuid import UUID

from services.control.workflows.schemas import Run

RUN, MODEL, KIND = "modelyard.dev/run", "modelyard.dev/model", "modelyard.dev/kind"


def name(run: Run) -> str:
    """The same whenever it is asked for, so that a run becomes one Workflow however often it is submitted. A label's value, 63 characters at most."""
    return f"{run.kind}-{run.model.replace('_', '-')}-{mark(run.id)}"


def mark(run_id: UUID) -> str:
    """Of all of the id: the ids of one process differ in few digits."""
    return hashlib.sha256(run_id.bytes).hexdigest()[:12]


def workflow(run: Run) -> dict[str, Any]:
    given = {"model": run.model, "run": run.id, "actor": run.actor, "reason": run.reason}
    given |= {parameter.replace("_", "-"): value for parameter, value in run.parameters.items()}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name(run), "labels": {RUN: str(run.id), MODEL: run.model, KIND: run.kind}},
        "spec": {
            "workflowTemplateRef": {"name": run.kind},
            "arguments": {"parameters": [{"name": parameter, "value": str(value)} for parameter, value in given.items()]},
        },
    }
