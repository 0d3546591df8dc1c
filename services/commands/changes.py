"""A change of what serves, as each replica's own answers show it."""

import time
from datetime import datetime
from typing import Any

from services.commands import access
from services.commands.output import say
from services.local.api import Api
from services.local.failure import Failure

PATIENCE_SECONDS = 35.0
"""A little longer than the gateway tries."""


def change(model: str, action: str, body: dict[str, Any]) -> None:
    """Returns when every replica answers as decided. Raises Failure when one does not."""
    gateway = access.gateway()
    path = f"/models/{model}/{action}"
    row = gateway.send("PUT" if action == "policy" else "POST", path, body)
    ends = time.monotonic() + PATIENCE_SECONDS
    while row.get("verification") is None and time.monotonic() < ends and not _refused(gateway, model, row):
        time.sleep(0.5)
        entries = gateway.get(f"/models/{model}/ledger?limit=50")["entries"]
        row = next((entry for entry in entries if entry["id"] == row["id"]), row)
    verification = row.get("verification")
    if verification is None or not verification["complete"]:
        raise _unproved(gateway, model, row)
    policy = "" if row["to_policy"] is None else f", policy {row['to_policy']}"
    replicas = verification["replicas"]
    answers = f"each of {len(replicas)} replicas answers so" if len(replicas) != 1 else "the replica answers so"
    say(f"{model}: version {row['from_version'] or 'none'} → {row['to_version']}{policy}; {answers}, after {verification['seconds']:.2f} s")
    say(f"ledger entry {row['id']}, head {row['hash']}")


def _unproved(gateway: Api, model: str, row: dict[str, Any]) -> Failure:
    """What the replicas answer with instead, and why one refuses the version."""
    said = (row.get("verification") or {}).get("replicas", [])
    answers = [f"{one['address']} answers with {'version ' + one['version'] if one['version'] else 'nothing'}" for one in said]
    return Failure(
        f"not every replica has answered with version {row['to_version']} so far; ledger entry {row['id']} names it",
        f"`modelyard ledger {model}` shows when they did; `modelyard rollback {model}` undoes it; `modelyard logs runner-{model}` says more",
        _refused(gateway, model, row) or answers or ["no replica has answered"],
    )


def _refused(gateway: Api, model: str, row: dict[str, Any]) -> list[str]:
    """A refusal since the decision ends the wait: the replica keeps what it serves, and tries again only after a while."""
    decided = datetime.fromisoformat(row["created_at"])
    return [
        f"{one['replica']} refuses it: {refused['reason']}"
        for one in gateway.get(f"/models/{model}")["replicas"]
        for refused in one["refused"]
        if refused["version"] == row["to_version"] and datetime.fromisoformat(refused["at"]) >= decided
    ]
