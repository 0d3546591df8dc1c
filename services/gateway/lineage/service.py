"""What an answer came from, and whether it comes again."""

import json
import logging
from typing import Any
from uuid import UUID

import msgspec
import orjson

from services.gateway.lineage.schemas import Difference, Lineage, Reproduction, Run
from services.gateway.predictions.contracts import named
from services.gateway.predictions.history import shown
from services.gateway.state import State
from services.kit.errors import BadGateway, Conflict

log = logging.getLogger(__name__)

Row = dict[str, Any]


class Computed(msgspec.Struct):
    """One of the runner's ways to the answer."""

    engine: str
    way: str
    score: float
    decision: str | None
    output: dict[str, Any]


class Answer(msgspec.Struct):
    model_version: str
    sha256: str
    runs: list[Computed]


_decode = msgspec.json.Decoder(Answer).decode


async def lineage(state: State, row: Row) -> Lineage:
    """`row`: of the audit."""
    return Lineage.model_validate({"prediction": shown(row), **await origin(state, row)})


async def origin(state: State, row: Row) -> Row:
    """Control's part of it."""
    model = named(state.contracts, row["model"]).name
    query = {"version": row["model_version"], "policy": row["policy_version"], "moment": row["created_at"].isoformat()}
    found: Row = await state.control.get(f"/models/{model}/lineage", **query)
    return found


async def reproduction(state: State, prediction_id: UUID, row: Row, policy: Row | None, deadline: float) -> Reproduction:
    """By the version that answered, wherever its files are now, and the `policy` of then. Raises what the runner says when it cannot try."""
    contract = named(state.contracts, row["model"])
    rule = policy and {name: policy[name] for name in ("version", "threshold", "risk_levels")}
    # json, for the integers that no machine word holds: jsonb has no exponents.
    body = json.dumps({"row": row["input"], "version": row["model_version"], "policy": rule}).encode()
    about = {name: row[name] for name in ("model", "model_version", "policy_version")} | {"prediction_id": prediction_id}
    try:
        answer = _decode(await state.runners[contract.name].reproduce(body, deadline))
    except Conflict as problem:
        return Reproduction.model_validate(about | {"exact": False, "words": problem.detail, "artifact_sha256": None, "runs": []})
    except (msgspec.DecodeError, orjson.JSONDecodeError) as error:
        log.error("a runner's reproduction is not understood", extra={"model": contract.name, "error": str(error)})  # noqa: TRY400 - the message says it all
        raise BadGateway(f"The runner of {contract.name} gave a reproduction that is not understood.") from None
    runs = [Run(engine=run.engine, way=run.way, exact=not (found := _differences(row, run)), differences=found) for run in answer.runs]
    return Reproduction.model_validate(about | {"exact": any(run.exact for run in runs), "words": _words(runs), "artifact_sha256": answer.sha256, "runs": runs})


def _differences(row: Row, run: Computed) -> list[Difference]:
    """Numbers are compared as they are, without any tolerance. What no answer had counts like null."""
    pairs = [("score", row["score"], run.score), ("decision", row["decision"], run.decision)]
    pairs += [(f"output.{name}", row["output"].get(name), run.output.get(name)) for name in {**row["output"], **run.output}]
    return [Difference(field=name, stored=stored, reproduced=again) for name, stored, again in pairs if stored != again]


def _words(runs: list[Run]) -> str:
    exact = [f"{run.engine} ({run.way})" for run in runs if run.exact]
    others = [f"{run.engine} ({run.way})" for run in runs if not run.exact]
    if not exact:
        return f"The answer is not reproduced: {', '.join(dict.fromkeys(part.field for run in runs for part in run.differences))} differ."
    return "Bit for bit the same, by " + ", ".join(exact) + "." + (f" Not by {', '.join(others)}." if others else "")
