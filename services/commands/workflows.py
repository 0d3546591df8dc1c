from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, say, table
from services.local.failure import Failure

workflows = typer.Typer(help="Runs that train, score, predict or make data sets.", no_args_is_help=True)

KINDS = ("train", "score", "predict", "generate", "drift", "evidently", "forecast", "replay")
STATUSES = ("queued", "running", "succeeded", "failed", "stopped")
STOP_SECONDS = 90
Id = Annotated[str, typer.Argument(help="Of the run, or how it begins, as `modelyard workflows list` shows it.")]


@workflows.command("list")
def list_runs(
    model: Annotated[str | None, typer.Option(help="Of this model alone.")] = None,
    kind: Annotated[str | None, typer.Option(help=", ".join(KINDS))] = None,
    status: Annotated[str | None, typer.Option(help=", ".join(STATUSES))] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many of the latest.")] = 20,
    as_document: AsJson = False,
) -> None:
    """The latest, newest first."""
    for name, given, known in (("kind", kind, KINDS), ("status", status, STATUSES)):
        if given is not None and given not in known:
            raise Failure(f"there is no {name} {given!r}", f"they are {', '.join(known)}", code=2)
    chosen = {"model": model and access.known_model(model), "kind": kind, "status": status, "limit": limit}
    found = access.gateway().get(f"/workflows?{urlencode({name: value for name, value in chosen.items() if value is not None})}")
    if as_document:
        as_json(found)
        return
    table(["id", "kind", "model", "status", "by", "submitted", "#took", "reason"], [_row(run) for run in found["workflows"]])


@workflows.command("show")
def show(run_id: Id, as_document: AsJson = False) -> None:
    """One run, step by step."""
    run = access.gateway().get(f"/workflows/{_whole(run_id)}")
    if as_document:
        as_json(run)
        return
    say(f"{run['kind']} of {run['model']}: {run['status']}" + (f", {run['error']}" if run["error"] else ""))
    say(f"asked for by {run['actor']} at {moment(run['created_at'])}: {run['reason']}")
    given = ", ".join(f"{name} {value}" for name, value in run["parameters"].items())
    if given:
        say(f"with {given}")
    table(["step", "status", "#took", "#exit code"], [(step["name"], step["status"], _took(step), step["exit_code"]) for step in run["steps"]])
    for name, value in (run["result"] or {}).items():
        if not isinstance(value, dict | list):
            say(f"{name}: {value}")


@workflows.command("logs")
def logs(run_id: Id) -> None:
    """What its steps wrote."""
    say(access.gateway().text(f"/workflows/{_whole(run_id)}/logs").rstrip("\n"))


@workflows.command("stop")
def stop(run_id: Id, as_document: AsJson = False) -> None:
    """End a run, and wait until nothing of it is left."""
    run = access.gateway().send("POST", f"/workflows/{_whole(run_id)}/stop", {}, seconds=STOP_SECONDS)
    if as_document:
        as_json(run)
    else:
        say(f"{run['id']} {run['status']}")


def _whole(given: str) -> str:
    """Ids are long: the beginning of one of the latest 500 is enough, when no other begins so. Raises Failure."""
    if len(given) >= 36:
        return quote(given, safe="")
    ids = [run["id"] for run in access.gateway().get("/workflows?limit=500")["workflows"] if run["id"].startswith(given)]
    if len(ids) != 1:
        words = f"{len(ids)} runs have an id that begins with {given!r}" if ids else f"no run has an id that begins with {given!r}"
        raise Failure(words, "`modelyard workflows list` shows the ids", code=2)
    return str(ids[0])


def _row(run: dict[str, Any]) -> tuple[object, ...]:
    return run["id"], run["kind"], run["model"], run["status"], run["actor"], moment(run["created_at"]), _took(run), run["reason"]


def _took(one: dict[str, Any]) -> str:
    from datetime import datetime

    if not one["started_at"] or not one["finished_at"]:
        return ""
    return f"{(datetime.fromisoformat(one['finished_at']) - datetime.fromisoformat(one['started_at'])).total_seconds():.1f} s"
