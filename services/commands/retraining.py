from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, say, table
from services.local.api import Refused
from services.local.board import Board
from services.local.failure import Failure
from services.local.steps import training

Model = Annotated[str, typer.Argument(help="Name of the model.")]
SOURCES = ("synthetic", "live", "recent")


def retrain(
    model: Model,
    source: Annotated[str | None, typer.Option(help="synthetic, live, or recent: answered rows with outcomes; the catalogue's without it.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the decision.")] = "asked for by hand",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow it to its end.")] = True,
) -> None:
    """Train a version, if the rules of retraining allow it; only the cooldown does not hold for people."""
    if source not in (None, *SOURCES):
        raise Failure(f"there is no source {source!r}", f"the sources are {', '.join(SOURCES)}", code=2)
    body = {"model": access.known_model(model), "reason": reason} | ({"source": source} if source else {})
    gateway = access.gateway()
    try:
        run: dict[str, Any] = gateway.post("/retrain", body)
    except Refused as refused:
        raise Failure(refused.message, f"`modelyard retrainings {model}` shows what was decided before") from None
    say(f"{model}: {run['retraining']['why']}")
    if not wait:
        say(f"run {run['id']} was submitted")
        return
    with Board() as board:
        (run,) = training.follow(gateway, [run], board)
    if run["status"] != "succeeded":
        raise Failure(run["error"] or f"the run {run['status']}", f"`modelyard workflows logs {run['id']}`")


def retrainings(
    model: Model,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many of the latest decisions.")] = 20,
    as_document: AsJson = False,
) -> None:
    """Show why a model was retrained, and why it was not."""
    found = access.gateway().get(f"/models/{access.known_model(model)}/retrainings?limit={limit}")
    if as_document:
        as_json(found)
        return
    rows = [
        (one["id"], moment(one["created_at"]), one["reason"], one["decision"], one["times"], one["rule"], one["why"], one["actor"])
        for one in found["retrainings"]
    ]
    table(["#id", "time", "reason", "decision", "#times", "rule", "why", "by"], rows)
