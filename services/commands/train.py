from pathlib import Path
from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import say
from services.local.board import Board
from services.local.failure import Failure
from services.local.state import ADMINISTRATOR
from services.local.steps import training


def train(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    source: Annotated[str | None, typer.Option(help="synthetic, files or live (what the platform collects); the catalogue's without it.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="With --source files: the folder with the published files.", exists=True)] = None,
    rows: Annotated[int | None, typer.Option(min=500, help="How many synthetic rows.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the synthetic rows and of the training.")] = None,
    drift: Annotated[float | None, typer.Option(min=0, help="How far the synthetic population has moved, 0 to 1.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "trained by hand",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """Train a version; it serves when the gate lets it pass."""
    if source not in (None, "synthetic", "files", "live"):
        raise Failure(f"there is no source {source!r}", "the sources are synthetic, files and live", code=2)
    if source == "files" and data_dir is None:
        raise Failure("--source files needs --data-dir", "name the folder with the published files", code=2)
    given = {"source": source, "data_dir": str(data_dir.resolve()) if data_dir else None, "rows": rows, "seed": seed, "drift": drift}
    parameters = {name: value for name, value in given.items() if value is not None}
    if data_dir and source is None:
        parameters["source"] = "files"
    control = access.control()
    run = training.submit(control, access.known_model(model), parameters, reason, ADMINISTRATOR)
    if not wait:
        say(f"run {run['id']} was submitted")
        return
    with Board() as board:
        (run,) = training.follow(control, [run], board)
    if run["status"] != "succeeded":
        raise Failure(run["error"] or f"the run {run['status']}", f"its log: {control.url}/workflows/{run['id']}/logs", _problems(run))
    _report(model, run)


def _problems(run: dict[str, Any]) -> list[str]:
    """Bad data, problem by problem, unless the error itself lists them."""
    found = [problem for step in run["steps"] for problem in (step["result"] or {}).get("problems", [])]
    lines = [f"{one['column']}: {one['rule']}" + (f" (rows {', '.join(map(str, one['rows']))}; {one['count']} in all)" if one["rows"] else "") for one in found]
    return [line for line in lines if line.split(" (rows")[0] not in (run["error"] or "")]


def _report(model: str, run: dict[str, Any]) -> None:
    result = run["result"] or {}
    for rule in (result.get("verdict") or {}).get("rules", []):
        say(f"  {'✓' if rule['passed'] else '✗'} {rule['words']}")
    version = result.get("version")
    if result.get("promoted"):
        say(f"{model}: version {version} serves")
    else:
        say(f"{model}: version {version} was trained; the gate refused it, so nothing changed (`modelyard promote {model} {version} --force` overrules it)")
