from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import as_json, moment, number, say, table
from services.local.failure import Failure

Model = Annotated[str, typer.Argument(help="Name of the model.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON document.")]


def models(model: Annotated[str | None, typer.Argument(help="One model, with its versions.")] = None, as_document: AsJson = False) -> None:
    """List the models, or one model's versions."""
    gateway = access.gateway()
    if model is None:
        found = gateway.get("/models")
        if as_document:
            as_json(found)
            return
        table(["model", "task", "champion", "since", "by", "policy", "latest", "replicas"], [_row(one) for one in found["models"]])
        return
    access.known_model(model)
    one, versions = gateway.get(f"/models/{model}"), gateway.get(f"/models/{model}/versions")["versions"]
    if as_document:
        as_json(one | {"versions": versions})
        return
    say(f"{one['title']}: {one['summary']} ({one['task']}, owner {one['owner']})")
    policy = one["policy"]
    if policy:
        say(f"policy {policy['version']}: threshold {number(policy['threshold'])}, costs {policy['costs']}, risk levels {policy['risk_levels']}")
    for replica in one["replicas"]:
        refused = "".join(f"; refuses version {other['version']}: {other['reason']}" for other in replica["refused"])
        say(f"replica {replica['replica']}: version {replica['version']}, engine {replica['engine']}{refused}")
    table(["version", "", "made", "source", "engine", "gate", "hold-out"], [_version(version) for version in versions])


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    champion, policy = one["champion"] or {}, one["policy"]
    threshold = f"{policy['version']} (threshold {number(policy['threshold'])})" if policy else ""
    serving = ", ".join(f"v{replica['version']}" if replica["version"] else "none loaded" for replica in one["replicas"])
    return one["name"], one["task"], champion.get("version"), moment(champion.get("since")), champion.get("by"), threshold, one["latest_version"], serving


def _version(version: dict[str, Any]) -> tuple[object, ...]:
    verdict = version["verdict"]
    gate = (
        "not judged" if verdict is None else "passed" if verdict["passed"] else f"failed: {', '.join(r['rule'] for r in verdict['rules'] if not r['passed'])}"
    )
    metrics = (version["metrics"].get("holdout") or {}).get("metrics") or {}
    shown = [f"{name} {number(one['value'])}" for name, one in metrics.items() if name in ("roc_auc", "cost_per_row", "rmse_ratio", "direction")]
    return (
        version["version"],
        "champion" if version["champion"] else "",
        moment(version["created_at"]),
        version["source"],
        version["engine"],
        gate,
        ", ".join(shown),
    )


def promote(
    model: Model,
    version: Annotated[str, typer.Argument(help="The version that shall serve.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "promoted by hand",
    force: Annotated[bool, typer.Option("--force", help="Also when the gate said no.")] = False,
) -> None:
    """Let a version serve, and wait until it answers."""
    from services.commands.changes import change

    change(access.known_model(model), "promote", {"version": version, "reason": reason, "force": force})


def rollback(model: Model, reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "rolled back by hand") -> None:
    """Undo the last promotion, and wait until the version before it answers."""
    from services.commands.changes import change

    change(access.known_model(model), "rollback", {"reason": reason})


def ledger(
    model: Model,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many of the latest entries.")] = 50,
    as_document: AsJson = False,
) -> None:
    """Show every promotion, rollback and policy change, newest first."""
    entries = access.gateway().get(f"/models/{access.known_model(model)}/ledger?limit={limit}")["entries"]
    if as_document:
        as_json({"entries": entries})
        return
    if not entries:
        raise Failure(f"nothing has ever served for {model}", f"`modelyard train {model}`")
    rows = [
        (one["id"], moment(one["created_at"]), one["action"], _arrow(one, "version"), _arrow(one, "policy"), one["actor"], one["reason"], _judged(one))
        for one in entries
    ]
    table(["#id", "time", "action", "version", "policy", "actor", "reason", "gate"], rows)


def _arrow(entry: dict[str, Any], what: str) -> str:
    before, after = entry[f"from_{what}"], entry[f"to_{what}"]
    return "" if after is None else f"{'–' if before is None else before} → {after}"


def _judged(entry: dict[str, Any]) -> str:
    return "" if entry["verdict"] is None else "passed" if entry["verdict"].get("passed") else "failed"
