"""What a kind of run does: its steps, and how the result of one becomes an argument of a later one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.control.requests import storable
from services.control.workflows.schemas import Run


@dataclass(frozen=True)
class Step:
    """A verb of the pipeline with the names of its arguments: parameters, reason and id (`key`) of the run, or results of earlier steps."""

    verb: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    apart: bool = False
    """Needs packages that cannot be installed beside the pipeline's: it runs where Evidently is."""


INPUT = ("input", "resume")
DATA = ("source", "data_dir", "rows", "seed", "drift")
WINDOW = ("version", "rows", "hours")

STEPS: dict[str, tuple[Step, ...]] = {
    "train": (
        Step("ingest", takes=DATA),
        Step("validate", needs=("run_id",)),
        Step("train", needs=("run_id",), takes=("seed",)),
        Step("evaluate", needs=("run_id",)),
        Step("register", needs=("run_id",)),
        Step("promote", needs=("version",), takes=("reason", "rollout")),
    ),
    "score": (
        Step("ingest", takes=(*DATA, *INPUT)),
        Step("partition", needs=("run_id",), takes=("version", "partitions", "audit", *INPUT)),
        Step("score", needs=("run_id",), takes=INPUT),
        Step("gather", needs=("run_id",), takes=INPUT),
    ),
    "predict": (Step("predict", takes=(*DATA, "key")),),
    "drift": (Step("drift", takes=WINDOW), Step("performance")),
    "evidently": (Step("sample", takes=WINDOW), Step("evidently", needs=("run_id",), apart=True)),
    "generate": (Step("generate", takes=("rows", "seed", "drift")),),
    "forecast": (Step("forecast", takes=("interval", "key")),),
    "replay": (Step("replay", takes=("version", "since", "until", "limit")),),
}
HANDED_ON = ("run_id", "version")


class Incomplete(Exception):
    """An earlier step did not give what this one needs."""


def handed_on(run: Run) -> dict[str, Any]:
    """The ids that the steps have given so far."""
    results = [step.result for step in run.steps if step.result]
    return {name: result[name] for result in results for name in HANDED_ON if name in result}


def arguments(step: Step, run: Run) -> list[str]:
    """As `--name=value`, so that a value beginning with a dash stays a value. Raises Incomplete."""
    known = run.parameters | {"reason": run.reason, "key": run.id} | handed_on(run)
    missing = [name for name in step.needs if known.get(name) is None]
    if missing:
        raise Incomplete(f"{step.verb} needs {' and '.join(missing)}, which no earlier step gave")
    chosen = [name for name in step.needs + step.takes if known.get(name) is not None]
    return [step.verb, f"--model={run.model}", *(f"--{name.replace('_', '-')}={known[name]}" for name in chosen)]


def result_of(last_line: str) -> dict[str, Any] | None:
    """A step's result is the last line of its standard output: a JSON object."""
    try:
        found = storable(json.loads(last_line))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def in_words(verb: str, exit_code: int, result: Mapping[str, Any] | None, last_error: str) -> str:
    """Why the step failed: the data's problems, all of them, or the last thing it said."""
    problems = (result or {}).get("problems")
    if isinstance(problems, list) and problems:
        return f"{verb} found bad data: " + "; ".join(map(_problem, problems))
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    return f"{verb} {how}: {last_error or 'it said nothing'}"


def _problem(found: Any) -> str:
    if not isinstance(found, dict):
        return str(found)
    rows, count = found.get("rows") or [], found.get("count", 1)
    where = f" in {count} rows ({', '.join(map(str, rows))}{', …' if count > len(rows) else ''})" if rows else ""
    return f"{found.get('column')}: {found.get('rule')}{where}"
