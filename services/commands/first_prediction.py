"""The prediction that shows that the platform works, and how to ask for it once more."""

import json
import shlex
from typing import Any

from bentos import catalogue
from bentos.schemas import schema
from services.local.api import Api
from services.local.board import Board


def smallest_example() -> tuple[str, dict[str, Any]]:
    """The model whose example is quickest to read."""
    examples: dict[str, dict[str, Any]] = {name: schema(name).EXAMPLE for name in catalogue.names()}
    model = min(examples, key=lambda name: len(json.dumps(examples[name])))
    return model, examples[model]


def curl_that_works(board: Board, gateway: Api) -> str:
    """A command that works when pasted: it has just been tried."""
    board.show("first prediction", "working")
    model, example = smallest_example()
    answer = gateway.post(f"/predict/{model}", example)
    board.show("first prediction", "done", f"{model} version {answer['model_version']} answered {answer['prediction']}")
    headers = (f"Authorization: Bearer {gateway.token}", "Content-Type: application/json")
    parts = ["curl", "-s", f"{gateway.url}/predict/{model}", *(part for header in headers for part in ("-H", header)), "-d", json.dumps(example)]
    return shlex.join(parts)
