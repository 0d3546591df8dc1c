"""Training through control, followed step by step."""

import time
from typing import Any

from services.local.api import Api
from services.local.board import Board
from services.local.failure import Failure

POLL_SECONDS = 0.3
ENDED = frozenset({"succeeded", "failed", "stopped"})


def submit(control: Api, model: str, parameters: dict[str, Any], reason: str, actor: str) -> dict[str, Any]:
    run: dict[str, Any] = control.post("/workflows", {"kind": "train", "model": model, "parameters": parameters, "reason": reason, "actor": actor})
    return run


def follow(control: Api, runs: list[dict[str, Any]], board: Board) -> list[dict[str, Any]]:
    """Returns the runs as they ended. An interrupted command leaves them running."""
    ended: dict[str, dict[str, Any]] = {}
    while True:
        for run in runs:
            if run["id"] not in ended:
                now = control.get(f"/workflows/{run['id']}")
                _show(board, now)
                if now["status"] in ENDED:
                    ended[run["id"]] = now
        if len(ended) == len(runs):
            return [ended[run["id"]] for run in runs]
        time.sleep(POLL_SECONDS)


def first_training(control: Api, board: Board, actor: str) -> None:
    """Trains every model that has no champion. Raises Failure when one has none afterwards."""
    untrained = [model["name"] for model in control.get("/models")["models"] if model["champion"] is None]
    under_way = {run["model"]: run for status in ("queued", "running") for run in control.get(f"/workflows?status={status}&limit=100")["workflows"]}
    runs = [under_way.get(model) or submit(control, model, {}, "first training", actor) for model in untrained]
    problems = []
    for run in follow(control, runs, board):
        if run["status"] != "succeeded":
            problems.append(f"{run['model']}: {run['error']}")
        elif not (run["result"] or {}).get("promoted"):
            problems.append(f"{run['model']}: version {(run['result'] or {}).get('version')} was trained, but the gate refused it")
    if problems:
        hint = "`modelyard train MODEL` tries again and says more; `modelyard logs control` has the log"
        raise Failure("not every model could be trained", hint, problems)


def _show(board: Board, run: dict[str, Any]) -> None:
    name = f"train {run['model']}"
    parts = [f"{step['name']} ✓" if step["status"] == "succeeded" else f"{step['name']} …" for step in run["steps"] if step["status"] != "pending"]
    detail = " ".join(parts)
    if run["status"] == "succeeded":
        result = run["result"] or {}
        became = "serves" if result.get("promoted") else "is tried in the shadow" if result.get("challenger") else "was refused by the gate"
        board.show(name, "done", f"version {result.get('version')} {became}")
    elif run["status"] in ENDED:
        board.show(name, "failed", run["error"] or run["status"])
    else:
        board.show(name, "working", detail or run["status"])
