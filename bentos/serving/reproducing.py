"""An answer of the past computed again: by the version and the policy that gave it, by each engine that the version has, in rows and in columns.

Which engine gave it depended on how many rows came together, and a file's rows went as columns: all are to give the same bits, and here is where it shows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
import orjson

from bentos.contract import Columns, Floats
from bentos.serving import answers, engines
from bentos.serving.answers import Coded
from bentos.serving.artifact import Artifact
from bentos.serving.explaining import MOST_BYTES, Explaining
from services.kit import errors


class Rule(msgspec.Struct):
    """A decision policy, as far as answers depend on it."""

    version: int
    threshold: float
    risk_levels: dict[str, float]


class Call(msgspec.Struct, forbid_unknown_fields=True):
    row: dict[str, Any]
    version: str
    policy: Rule | None = None


_decode = msgspec.json.Decoder(Call).decode


async def reproduce(explaining: Explaining, body: bytes) -> bytes:
    """`{"row": …, "version": …, "policy": …}` for every way to answer it. Beside predictions, in the thread of explanations.

    Raises as `Explaining.explain` does, and Invalid without a policy for a model that decides by one.
    """
    if len(body) > MOST_BYTES:
        raise errors.TooLarge(f"The body may have {MOST_BYTES} bytes at most.")
    try:
        call = _decode(body)
    except msgspec.DecodeError as error:
        raise errors.BadRequest(f"The body must be an object with `row`, `version` and perhaps `policy`: {error}.") from None
    if call.policy is None and explaining.decides:
        found = errors.FieldError(field="policy", rule="is needed: the model decides by one", value=None)
        raise errors.Invalid("Without its policy the decision cannot be made again.", errors=[found])
    artifact = await explaining.artifact(call.version)
    return await explaining.beside(_document, call, artifact, explaining)


def _document(call: Call, artifact: Artifact, explaining: Explaining) -> bytes:
    policy = None if call.policy is None else msgspec.to_builtins(call.policy)
    try:
        runs = list(_runs(artifact, call.row, policy))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # The gateway has validated it already: validation is for whoever has not.
        runs = list(_runs(artifact, explaining.validated(call.row), policy))
    about = {"model": artifact.model, "model_version": call.version, "policy_version": policy and policy["version"]}
    return orjson.dumps(about | {"sha256": artifact.sha256, "versions": artifact.contract["versions"], "runs": runs})


def _runs(artifact: Artifact, row: Mapping[str, Any], policy: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    matrix, columns = artifact.matrix([row])
    for engine in engines.forms(artifact.engine):
        scores = engine.scores(matrix)
        for way, made in (("rows", _in_rows), ("columns", _in_columns)):
            score, decision, answer = made(artifact, scores, columns, policy)
            yield {"engine": engine.kind, "way": way, "score": score, "decision": decision, "output": answer}


Answer = tuple[float, str | None, dict[str, Any]]


def _in_rows(artifact: Artifact, scores: Floats, columns: Columns, policy: Mapping[str, Any] | None) -> Answer:
    found = answers.in_rows(artifact.model, scores, columns, policy, artifact.shifts)
    return found.scores[0], found.decisions[0], found.answers[0]


def _in_columns(artifact: Artifact, scores: Floats, columns: Columns, policy: Mapping[str, Any] | None) -> Answer:
    table = answers.in_columns(artifact.model, scores, columns, policy, artifact.shifts)
    answer = {name: _first(values) for name, values in table.columns.items()}
    return answer[table.score], answer[table.decision] if table.decision else None, answer


def _first(values: Any) -> Any:
    """As the reader of a block takes it: NaN is null, a text is its level."""
    if isinstance(values, Coded):
        code = int(values.codes[0])
        return None if code < 0 else values.levels[code]
    value = np.asarray(values)[0].item()
    return None if value != value else value
