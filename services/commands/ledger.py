from typing import Annotated, Any
from urllib.parse import quote

import typer

from services.commands import access
from services.commands.output import AsJson, as_json, moment, number, say, table
from services.local.failure import Failure


def ledger(
    model: Annotated[str, typer.Argument(help="Name of the model; or `verify`.")],
    of: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="With `verify`: one model alone.")] = None,
    at: Annotated[str | None, typer.Option(help="What served at this moment, UTC unless it has an offset: 2026-11-22T14:03.")] = None,
    head: Annotated[str | None, typer.Option(help="With `verify MODEL`: a hash that was noted earlier.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many of the latest entries.")] = 50,
    as_document: AsJson = False,
) -> None:
    """Show every change of what serves, newest first; what served at a moment; or `verify` that nobody has rewritten the ledger."""
    if model == "verify":
        _verify(of, head, as_document)
    elif of is not None or head is not None:
        raise Failure(f"modelyard ledger {model} {of or '--head'} is not understood", "`modelyard ledger verify [MODEL]`, or `modelyard ledger MODEL`", code=2)
    elif at is not None:
        _at(access.known_model(model), at, as_document)
    else:
        _entries(access.known_model(model), limit, as_document)


def _verify(model: str | None, head: str | None, as_document: bool) -> None:
    from bentos import catalogue

    if head is not None and model is None:
        raise Failure("a hash is in the chain of one model", "`modelyard ledger verify MODEL --head HASH`", code=2)
    gateway = access.gateway()
    names = catalogue.names() if model is None else [access.known_model(model)]
    query = "" if head is None else f"?known={quote(head, safe='')}"
    found = [gateway.get(f"/models/{name}/ledger/verify{query}") for name in names]
    if as_document:
        as_json({"models": found})
    for one in [] if as_document else found:
        state = "a whole chain" if not one["broken"] else f"BROKEN at {len(one['broken'])} places"
        say(f"{one['model']}: {one['rows']} {'entry' if one['rows'] == 1 else 'entries'}, {state}" + (f", head {one['head']}" if one["head"] else ""))
        for broken in one["broken"]:
            say(f"  entry {broken['id']}: {broken['words']}")
        if one["known"] is not None:
            say(f"  the hash noted earlier is {'in it' if one['known'] else 'NOT in it: the chain was written anew'}")
    if not all(one["ok"] for one in found):
        raise typer.Exit(1)


def _at(model: str, at: str, as_document: bool) -> None:
    found = access.gateway().get(f"/models/{model}/at?moment={quote(at, safe='')}")
    if as_document:
        as_json(found)
        return
    policy = "" if found["policy_version"] is None else f", policy {found['policy_version']} (threshold {number(found['threshold'])})"
    say(f"{model} at {moment(found['moment'])}: version {found['version']}{policy}, trained on {found['source']} data {found['data_hash']}")
    say(f"since {moment(found['since'])}, by {found['actor']}: {found['reason']} (ledger entry {found['deployment']['id']})")
    rule = found["policy_deployment"]
    if rule is not None and rule["id"] != found["deployment"]["id"]:
        say(f"its policy since {moment(rule['created_at'])}, by {rule['actor']}: {rule['reason']} (ledger entry {rule['id']})")
    if found["canary_percent"]:
        say(f"{found['canary_percent']} % of the callers were answered by version {found['challenger']}")


def _entries(model: str, limit: int, as_document: bool) -> None:
    entries = access.gateway().get(f"/models/{model}/ledger?limit={limit}")["entries"]
    if as_document:
        as_json({"entries": entries})
        return
    if not entries:
        raise Failure(f"nothing has ever served for {model}", f"`modelyard train {model}`")
    rows = [
        (
            *(one["id"], moment(one["created_at"]), one["action"], _arrow(one, "version") + _tried(one), _arrow(one, "policy"), one["actor"], one["reason"]),
            *(_judged(one), verified(one), one["hash"][:12]),
        )
        for one in entries
    ]
    table(["#id", "time", "action", "version", "policy", "actor", "reason", "gate", "#verified", "hash"], rows)


def _arrow(entry: dict[str, Any], what: str) -> str:
    before, after = entry[f"from_{what}"], entry[f"to_{what}"]
    return "" if after is None else f"{'–' if before is None else before} → {after}"


def _tried(entry: dict[str, Any]) -> str:
    """The version beside the one that serves."""
    return f", tries {entry['challenger']}" if entry["challenger"] else ""


def _judged(entry: dict[str, Any]) -> str:
    return "" if entry["verdict"] is None else "passed" if entry["verdict"].get("passed") else "failed"


def verified(entry: dict[str, Any]) -> str:
    """Seconds until every replica answered so."""
    said = entry["verification"]
    return "" if said is None else f"{said['seconds']:.2f} s" if said["complete"] else "not by all"
