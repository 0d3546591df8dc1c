"""Labelled rows through the gateway's batch route, and what the answers are worth. Imports pandas, scikit-learn and the model."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bentos import catalogue, contract
from bentos.contract import BadData, Examples
from services.commands import access
from services.local.api import Api
from services.local.failure import Failure
from services.pipeline import dataset, metrics

MOST_ROWS = 500
MOST_BYTES = 4_000_000


def measure(model: str, paths: list[Path], quiet: bool) -> dict[str, Any]:
    """The metrics document, with the version that answered. Raises Failure for files that are not the model's data."""
    try:
        frame = contract.data(model).files(paths)
        examples = contract.train(model).examples(frame)
    except BadData as bad:
        hint = f"bentos/{model}/README.md describes the files"
        raise Failure("the files cannot be used as this model's data", hint, [str(one) for one in bad.problems]) from None
    if len(examples) == 0:
        raise Failure("the files have no complete example of this model")
    gateway = access.gateway()
    answers, version, policy_version = _score(gateway, model, examples, quiet)
    task = catalogue.load().models[model].task
    policy = _policy(gateway, model, policy_version)
    field = "probability" if task == "classification" else "prediction"
    found = np.array([answer[field] for answer in answers], dtype=np.float64)
    document = metrics.evaluate(task, examples.truth, found, examples.baseline, policy=policy, groups=examples.groups, time=examples.time)
    served = {"model": model, "model_version": version, "policy_version": policy_version, "files": [path.name for path in paths]}
    trained_on = next(one["data_hash"] for one in gateway.get(f"/models/{model}/versions")["versions"] if one["version"] == version)
    return served | document | {"notes": _notes(document, seen=trained_on == dataset.fingerprint(frame))}


def _rows(model: str, examples: Examples) -> list[dict[str, Any]]:
    schema = contract.schema(model).Input
    return contract.rows_of_columns(examples.columns, contract.kinds(schema))


def chunks(rows: list[dict[str, Any]], most_rows: int = MOST_ROWS, most_bytes: int = MOST_BYTES) -> Iterator[tuple[int, bytes]]:
    """Bodies of batch requests with how many rows each carries."""
    waiting: list[str] = []
    size = 0
    for row in rows:
        text = json.dumps(row)
        if waiting and (len(waiting) == most_rows or size + len(text) > most_bytes):
            yield len(waiting), f'{{"rows":[{",".join(waiting)}]}}'.encode()
            waiting, size = [], 0
        waiting.append(text)
        size += len(text) + 1
    if waiting:
        yield len(waiting), f'{{"rows":[{",".join(waiting)}]}}'.encode()


def _score(gateway: Api, model: str, examples: Examples, quiet: bool) -> tuple[list[dict[str, Any]], str, int | None]:
    """One version answers everything, or the whole is refused: a promotion in between would mix two models in one figure."""
    answers: list[dict[str, Any]] = []
    by: set[tuple[str, int | None]] = set()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as progress:
        bar = progress.add_task("rows answered", total=len(examples))
        for count, body in chunks(_rows(model, examples)):
            answer = gateway.post(f"/predict/{model}/batch", body)
            by.add((answer["model_version"], answer["policy_version"]))
            answers += answer["predictions"]
            progress.advance(bar, count)
    if len(by) > 1:
        raise Failure(f"another version began to serve meanwhile ({', '.join(sorted(f'version {version}' for version, _ in by))})", "run it again")
    ((version, policy_version),) = by
    return answers, version, policy_version


def _policy(gateway: Api, model: str, version: int | None) -> dict[str, Any] | None:
    if version is None:
        return None
    policy: dict[str, Any] | None = gateway.get(f"/models/{model}")["policy"]
    if policy is None or policy["version"] != version:
        raise Failure("the decision policy changed meanwhile", "run it again")
    return policy


def _notes(document: dict[str, Any], seen: bool) -> list[str]:
    """What a reader should not overlook: rows that the version learned from, an interval that includes the figure of knowing nothing."""
    notes = ["this version was trained on exactly these files: the figures flatter it, those of its hold-out do not"] if seen else []
    for name, nothing in metrics.NO_SKILL.items():
        one = document["metrics"].get(name)
        if one and one["low"] is not None and one["low"] <= nothing <= one["high"]:
            notes.append(f"the interval of {name} includes {nothing:g}: on these rows the model is not shown to know more than nothing")
    return notes
