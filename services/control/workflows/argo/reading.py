"""How a run stands, from what Argo says of its Workflow. Pure: the logs' last lines are given."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from services.control.workflows.argo.nodes import ENDED, Attempt, Found
from services.control.workflows.schemas import Run, Status, StepRecord, StepStatus
from services.control.workflows.steps import STEPS, handed_on, in_words, result_of

STOPPED = "stopped on request"
GONE = "its Workflow is not there any more: it was deleted, or Argo kept it for a shorter time than control was away"
SIGNAL = 128
"""A container's exit code above it is this and the signal that ended it."""

DEADLINE = "longer than the specified deadline"
"""Kubernetes says so of a pod that it ended for its time; the exit code that comes with it is not the step's."""

LastLine = Callable[[Attempt], str]
"""The last thing that a pod said, its result aside."""


def read(run: Run, found: Found, last_line: LastLine) -> None:
    """Changes the run to what the Workflow shows."""
    attempts = sorted(found.attempts(), key=lambda one: (one.item, one.number))
    ended = _ended(found)
    run.steps = [_step(step.verb, found, [one for one in attempts if one.verb == step.verb], ended) for step in STEPS[run.kind]]
    results = [step.result for step in run.steps if step.result]
    if ended is None:
        return
    run.status, run.finished_at = ended
    run.result = ((run.steps[-1].result or {}) | handed_on(run)) or None if results else None
    if run.status == "stopped":
        run.error = STOPPED
    elif run.status == "failed":
        run.error = _reason(run, found, attempts, last_line)


def _ended(found: Found) -> tuple[Status, datetime] | None:
    """The work has ended when its node has: what the exit handler still does, or fails to do, changes nothing."""
    main = found.main
    phase = main.phase if main is not None and main.phase in ENDED else found.phase
    if phase not in ENDED:
        return None
    status: Status = "succeeded" if phase == "Succeeded" else "stopped" if found.shut_down else "failed"
    return status, (main and main.finished_at) or datetime.now(UTC)


def _step(verb: str, found: Found, attempts: list[Attempt], ended: tuple[Status, datetime] | None) -> StepRecord:
    task = found.task(verb)
    if not attempts or task is None:
        return StepRecord(name=verb)
    latest = {one.item: one.node for one in attempts}.values()
    status: StepStatus = "running"
    if task.phase in ENDED:
        status = "succeeded" if task.phase == "Succeeded" else "stopped" if found.shut_down else "failed"
    elif ended is not None:
        status = "stopped" if ended[0] == "stopped" else "failed"
    codes = [node.exit_code for node in latest if node.exit_code is not None]
    return StepRecord(
        name=verb,
        status=status,
        started_at=min((one.node.started_at for one in attempts if one.node.started_at), default=None),
        finished_at=None if status == "running" else max((node.finished_at for node in latest if node.finished_at), default=task.finished_at),
        exit_code=next((code for code in codes if code), codes[0] if codes else None),
        result=_together(result_of(_last(node.result)) for node in latest),
    )


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _together(results: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Of parts that ran side by side: numbers are added, lists joined, of all else the last one counts."""
    joined: dict[str, Any] = {}
    for result in results:
        for name, value in (result or {}).items():
            before = joined.get(name)
            added = type(before) is type(value) and isinstance(value, int | float | list) and not isinstance(value, bool)
            joined[name] = before + value if added else value
    return joined or None


def _reason(run: Run, found: Found, attempts: list[Attempt], last_line: LastLine) -> str:
    failed = next((step for step in run.steps if step.status == "failed"), None)
    if failed is None:
        return f"Argo: {found.message or 'it says nothing'}"
    pods = [one for one in attempts if one.verb == failed.name and one.node.phase != "Succeeded"]
    if not pods:
        return f"{failed.name} ended without a pod: {found.message}"
    last = pods[-1]
    code, message, said = last.node.exit_code, last.node.message, last_line(last)
    if code is None or DEADLINE in message:
        return f"{failed.name} did not end by itself: {message or found.message or 'Argo says nothing'}" + (f"; {said}" if said else "")
    words = in_words(failed.name, code if code <= SIGNAL else SIGNAL - code, failed.result, said)
    return f"{words} (out of memory)" if "OOMKilled" in message else words
