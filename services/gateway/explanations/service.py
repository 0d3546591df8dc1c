"""Asks the runner why, and keeps what it said of a stored prediction."""

import json
import logging
import math
from typing import Any
from uuid import UUID

import orjson
from pydantic import ValidationError

from services.gateway import metrics
from services.gateway.explanations import repository
from services.gateway.explanations.schemas import Explanation
from services.gateway.predictions.contracts import Contract, named
from services.gateway.state import State
from services.kit.errors import BadGateway, Conflict

log = logging.getLogger(__name__)

TOLERANCE = 1e-9
"""Relative, at least absolute: between a sum of contributions and the output, and between an output and the score that the audit has."""


async def explain(state: State, contract: Contract, row: bytes, version: str | None, deadline: float) -> Explanation:
    """`row` is what Contract.encode made. Raises what the runner says, and BadGateway for contributions that do not add up."""
    body = b'{"row":%b,"version":%b}' % (row, orjson.dumps(version))
    found = _read(contract.name, await state.runners[contract.name].explain(body, deadline))
    metrics.explanations.labels(contract.name, "computed").inc()
    return found


async def explain_stored(state: State, prediction_id: UUID, stored: dict[str, Any], deadline: float) -> Explanation:
    """Of a row of the audit, by the version that answered it. Raises also Conflict when that version gives another score today."""
    contract = named(state.contracts, stored["model"])
    async with state.pool.connection() as connection:
        kept = await repository.kept(connection, prediction_id)
    if kept is not None:
        metrics.explanations.labels(contract.name, "cached").inc()
        return Explanation.model_validate(kept | {"cached": True})
    # PostgreSQL writes 1e22 as an integer, which orjson refuses.
    found = await explain(state, contract, json.dumps(stored["input"]).encode(), stored["model_version"], deadline)
    _same_score(found, stored["score"])
    # What was answered then, by the policy of then.
    found = found.model_copy(update={"prediction": stored["output"], "policy_version": stored["policy_version"]})
    async with state.pool.connection() as connection:
        await repository.keep(connection, prediction_id, found.model_dump(mode="json", exclude={"cached"}))
    return found


def _read(model: str, body: bytes) -> Explanation:
    try:
        found = Explanation.model_validate(orjson.loads(body) | {"cached": False})
    except (orjson.JSONDecodeError, TypeError, ValidationError) as error:
        log.error("a runner's explanation is not understood", extra={"model": model, "error": str(error)})  # noqa: TRY400 - the message says it all
        raise BadGateway(f"The runner of {model} gave an explanation that is not understood.") from None
    total = found.base_value + math.fsum(part.contribution for part in found.contributions)
    if found.model != model or not _close(total, found.output):
        log.error("a runner's explanation does not add up", extra={"model": model, "total": total, "output": found.output})
        raise BadGateway(f"The runner of {model} gave an explanation that does not add up to the model's output.")
    return found


def _same_score(found: Explanation, score: float | None) -> None:
    """A regression's output is not what the audit keeps: there is nothing to compare."""
    if score is None or found.scale == "value":
        return
    output = found.output if found.scale == "probability" else 1 / (1 + math.exp(min(-found.output, 700)))
    if not _close(output, score):
        raise Conflict(f"Version {found.model_version} of {found.model} gives this row the score {output} today, not {score}: it cannot say why.")


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(1.0, abs(other))
