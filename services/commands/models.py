from typing import Annotated, Any

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, number, say, table
from services.local.failure import Failure

Model = Annotated[str, typer.Argument(help="Name of the model.")]


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


def rollback(
    model: Model,
    to: Annotated[str | None, typer.Option(help="A version that has served before; by default the one before the last promotion.")] = None,
    policy_only: Annotated[bool, typer.Option("--policy-only", help="The version stays; the policy becomes the one before.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "rolled back by hand",
) -> None:
    """Undo the last promotion, and wait until every replica answers with the version before it."""
    from services.commands.changes import change

    change(access.known_model(model), "rollback", {"reason": reason, "policy_only": policy_only} | ({} if to is None else {"to": to}))


def policy(
    model: Model,
    threshold: Annotated[float | None, typer.Option(help="Probability from which on the decision is the positive one.")] = None,
    missed_positive: Annotated[float | None, typer.Option(help="Cost of one; with --false-alarm.")] = None,
    false_alarm: Annotated[float | None, typer.Option(help="Cost of one; with --missed-positive.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "changed by hand",
) -> None:
    """Change how a probability becomes a decision, and wait until every replica decides so."""
    from services.commands.changes import change

    if (missed_positive is None) != (false_alarm is None):
        raise Failure("costs are compared with each other", "give both --missed-positive and --false-alarm", code=2)
    costs = None if missed_positive is None else {"missed_positive": missed_positive, "false_alarm": false_alarm}
    said = {name: value for name, value in (("threshold", threshold), ("costs", costs)) if value is not None}
    if not said:
        raise Failure("nothing to change", "give --threshold, or --missed-positive and --false-alarm", code=2)
    change(access.known_model(model), "policy", {"reason": reason} | said)
