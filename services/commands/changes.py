"""A change of what serves, followed until the answers show it."""

import time
from datetime import datetime
from typing import Any

from bentos.schemas import schema
from services.commands import access
from services.commands.output import say
from services.local.api import Api
from services.local.failure import Failure

PATIENCE_SECONDS = 30.0


def change(model: str, action: str, body: dict[str, Any]) -> None:
    """Returns when every replica reports the new version and policy and a prediction carries them. Raises Failure."""
    gateway = access.gateway()
    began = time.monotonic()
    row = gateway.post(f"/models/{model}/{action}", body)
    _await_replicas(gateway, model, row, began)
    answer = gateway.post(f"/predict/{model}", schema(model).EXAMPLE)
    seconds = time.monotonic() - began
    if answer["model_version"] != row["to_version"]:
        raise Failure(f"the replicas report version {row['to_version']}, but version {answer['model_version']} answered", "`modelyard doctor` looks into it")
    policy = "" if row["to_policy"] is None else f", policy {row['to_policy']}"
    say(f"{model}: version {row['from_version'] or 'none'} → {row['to_version']}{policy}; answers carry it after {seconds:.2f} s (ledger entry {row['id']})")


def _await_replicas(gateway: Api, model: str, row: dict[str, Any], began: float) -> None:
    """A refusal ends the wait: the replica keeps what it serves, and tries again only after a while."""
    decided = datetime.fromisoformat(row["created_at"])
    while True:
        replicas = gateway.get(f"/models/{model}")["replicas"]
        if replicas and all(one["version"] == row["to_version"] and one["policy_version"] == row["to_policy"] for one in replicas):
            return
        reasons = [
            f"{one['replica']}: {refused['reason']}"
            for one in replicas
            for refused in one["refused"]
            if refused["version"] == row["to_version"] and datetime.fromisoformat(refused["at"]) >= decided
        ]
        if reasons or time.monotonic() - began > PATIENCE_SECONDS:
            states = [f"{one['replica']} serves version {one['version']}" for one in replicas]
            what = "is refused by a replica" if reasons else f"does not serve on every replica after {PATIENCE_SECONDS:.0f} s"
            raise Failure(
                f"version {row['to_version']} {what}; the ledger names it, answers still come from the version before",
                f"`modelyard rollback {model}` makes the ledger agree; `modelyard logs runner-{model}` says more",
                reasons or states or ["no replica reports"],
            )
        time.sleep(0.1)
