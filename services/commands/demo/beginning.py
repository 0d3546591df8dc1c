"""What has to be so before the story begins: a version serves that has learned from invented clients as they were, and nothing else is under way."""

from typing import Any

from services.commands.demo.transcript import Transcript
from services.local.api import Api
from services.local.failure import Failure

REASON = "the demo begins with what has not learned from live traffic"


def champion(gateway: Api, model: str) -> str:
    """Raises Failure when nothing serves."""
    serving = gateway.get(f"/models/{model}")["champion"]
    if serving is None:
        raise Failure(f"nothing serves {model}", f"`modelyard train {model}` first")
    return str(serving["version"])


def prepare(gateway: Api, transcript: Transcript, model: str) -> str:
    """The version that serves. What an earlier demo has promoted knows the drift already: the version before it serves again. Raises Failure."""
    serves = champion(gateway, model)
    newest = gateway.get(f"/models/{model}/ledger?limit=1")["entries"][0]
    if newest.get("challenger"):
        raise Failure(f"version {newest['challenger']} of {model} is being tried", f"wait for its end, or `modelyard withdraw {model}`")
    versions: list[dict[str, Any]] = gateway.get(f"/models/{model}/versions?limit=100")["versions"]
    source = next((one["source"] for one in versions if one["version"] == serves), None)
    if source == "synthetic":
        return serves
    if source != "recent":
        words = f"version {serves} of {model} has learned from {source} data: to it, every invented client is drift"
        raise Failure(words, "the demo needs a version that was trained on the source synthetic")
    chosen = next((one["version"] for one in versions if one["source"] == "synthetic" and (one["verdict"] or {}).get("passed")), None)
    if chosen is None:
        raise Failure(f"no version of {model} has learned from invented clients alone", f"`modelyard train {model} --source synthetic` makes one")
    gateway.post(f"/models/{model}/rollback", {"to": chosen, "reason": REASON})
    transcript.tell(f"version {serves} has learned from live traffic: back to version {chosen}")
    return str(chosen)
