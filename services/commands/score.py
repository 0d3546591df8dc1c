"""Scoring of a file or a table of any size."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from services.commands import access
from services.commands.output import AsJson, as_json, say
from services.local.api import Api
from services.local.failure import Failure

LOOK_SECONDS = 0.5
UNDER_WAY = ("queued", "running")
ENDINGS = (".csv", ".parquet")
PLACES = ("table:", "runs:/")


def score(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    given: Annotated[str | None, typer.Option("--input", help="A .csv, .csv.gz or .parquet file, runs:/RUN/PATH of MLflow, or table:NAME.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the answers go, beside the input's columns: .csv or .parquet.")] = None,
    audit: Annotated[Literal["summary", "rows"] | None, typer.Option(help="Record each part (the default), or also every row as a prediction.")] = None,
    version: Annotated[str | None, typer.Option("--version", help="The one that serves without it.")] = None,
    resume: Annotated[str | None, typer.Option(help="The id of a run that did not come to its end: go on with the parts that are missing.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the run.")] = "scored by hand",
    as_document: AsJson = False,
) -> None:
    """Have a file or a table of any size answered, part by part."""
    access.known_model(model)
    if (given is None) == (resume is None):
        raise Failure("give --input, or --resume with the id of a run", code=2)
    if output is not None and output.suffix not in ENDINGS:
        raise Failure(f"--output must end with {' or '.join(ENDINGS)}", code=2)
    gateway = access.gateway()
    before = gateway.get(f"/workflows/{resume}") if resume else None
    place = {"resume": _run_id(before)} if before else {"input": _place(str(given))}
    chosen = {"model": model, **place, "audit": audit, "version": version, "reason": reason}
    run = gateway.post("/prediction/score", {name: value for name, value in chosen.items() if value is not None})
    run = _followed(gateway, model, run)
    if run["status"] != "succeeded":
        go_on = f"`modelyard score {model} --resume {run['id']}` goes on with what is missing, " if _begun(run) else ""
        raise Failure(run["error"] or f"the run {run['status']}", f"{go_on}`modelyard workflows logs {run['id']}` says more")
    result = run["result"]
    if output is not None:
        from services.commands.scored_files import download

        download(gateway, model, result, output)
    if as_document:
        as_json(run)
        return
    recorded = "every row is in the audit" if result["audit"] == "rows" else f"{result['parts']} parts are on record"
    say(f"{model}: {result['rows']} rows answered by version {result['version']}, {recorded} (MLflow run {result['run_id']})")
    if result["refused"]:
        where = f": {output}.refused.csv says why" if output else ""
        say(f"{result['refused']} rows were refused{where}")


def _place(given: str) -> str:
    """A file of this machine by its whole path; anything else is what the steps see."""
    if given.startswith(PLACES):
        return given
    path = Path(given)
    if not path.is_absolute() or path.exists():
        if not path.is_file():
            raise Failure(f"there is no file {given}", code=2)
        return str(path.resolve())
    return given


def _begun(run: dict[str, Any]) -> str | None:
    """The MLflow run, once it has all of the input."""
    first = run["steps"][0] if run["steps"] else None
    return str(first["result"]["run_id"]) if first and first["status"] == "succeeded" else None


def _run_id(run: dict[str, Any]) -> str:
    found = _begun(run)
    if found is None or run["kind"] != "score":
        raise Failure(f"run {run['id']} has not taken in its whole input, so there is nothing to go on with", "give --input again", code=2)
    return found


def _followed(gateway: Api, model: str, run: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task("waiting", total=None, said="")
        begun: tuple[float, int] | None = None
        while run["status"] in UNDER_WAY:
            time.sleep(LOOK_SECONDS)
            run = gateway.get(f"/workflows/{run['id']}")
            begun = _show(gateway, model, run, progress, bar, begun)
    return run


def _show(gateway: Api, model: str, run: dict[str, Any], progress: Progress, bar: TaskID, begun: tuple[float, int] | None) -> tuple[float, int] | None:
    """How far it is; `begun`: when the first look at its parts was, and how many rows there were."""
    step = next((one for one in run["steps"] if one["status"] == "running"), None)
    plan = next((one["result"] for one in run["steps"] if one["name"] == "partition" and one["result"]), None)
    progress.update(bar, description=step["name"] if step else run["status"])
    if plan is None or step is None or step["name"] != "score":
        return begun
    done = gateway.get(f"/models/{model}/scored/{plan['run_id']}?limit=1")["totals"]
    now = time.monotonic()
    begun = begun or (now, done["rows"])
    speed = (done["rows"] - begun[1]) / (now - begun[0]) if now > begun[0] else 0.0
    progress.update(bar, total=plan["parts"], completed=done["parts"], said=f"{done['parts']} of {plan['parts']} parts, {speed:,.0f} rows/s")
    return begun
