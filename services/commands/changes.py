"""A change of what serves, followed until the answers show it."""

import time
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
    while True:
        replicas = gateway.get(f"/models/{model}")["replicas"]
        if replicas and all(one["version"] == row["to_version"] and one["policy_version"] == row["to_policy"] for one in replicas):
            return
        if time.monotonic() - began > PATIENCE_SECONDS:
            reasons = [f"{one['replica']}: {refused['reason']}" for one in replicas for refused in one["refused"]]
            states = [f"{one['replica']} serves version {one['version']}" for one in replicas]
            raise Failure(
                f"the ledger says version {row['to_version']}, but after {PATIENCE_SECONDS:.0f} s not every replica serves it",
                f"`modelyard logs runner-{model}` says why; `modelyard rollback {model}` goes back",
                reasons or states or ["no replica reports"],
            )
        time.sleep(0.1)
