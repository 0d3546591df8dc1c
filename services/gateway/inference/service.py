"""Tensors in, tensors out; what is between them is the path of every other prediction."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel

from bentos.schemas import kinds
from services.gateway.access import Role
from services.gateway.auth.credentials import Principal
from services.gateway.predictions import idempotency
from services.gateway.predictions import service as predictions
from services.gateway.predictions.batch import replay
from services.gateway.predictions.batch.assembly import Asked as AskedForMany
from services.gateway.predictions.batch.endpoint import SMALL_BYTES
from services.gateway.predictions.batch.media import Form
from services.gateway.predictions.batch.prepare import preparing
from services.gateway.predictions.batch.readers import SLICE_ROWS
from services.gateway.predictions.batch.turns import Turns
from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.rows import Key
from services.gateway.state import State
from services.kit.errors import Forbidden, Invalid
from services.kit.open_inference import documents, rows
from services.kit.open_inference.documents import Asked
from services.kit.open_inference.rows import Columns, Field

MOST_ROWS = 10_000
"""Of a request, which is in memory as a whole, unlike the files that batches may be."""


class Answer(NamedTuple):
    version: str
    policy_version: int | None
    batch_id: str | None
    rows: list[dict[str, Any]]
    """Fields of Output, and `prediction_id`."""


class TensorRows:
    """Rows of tensors for what prepares batches."""

    threaded = False
    lines: list[int] | None = None

    def __init__(self, columns: Columns, contract: Contract) -> None:
        self._columns, self._decode = columns, contract.decode
        self._next = 0

    def take(self) -> list[dict[str, Any]]:
        begin, self._next = self._next, self._next + SLICE_ROWS
        return self._columns.rows(begin, self._next)

    def row(self, raw: dict[str, Any]) -> object:
        """By way of JSON: the schema then allows and refuses what it does for every other caller."""
        return self._decode(orjson.dumps(raw))


@cache
def inputs_of(model: type[BaseModel]) -> Mapping[str, Field]:
    return rows.fields(model, kinds(model))


@cache
def outputs_of(model: type[BaseModel]) -> Mapping[str, Field]:
    return rows.fields(model, kinds(model)) | {"prediction_id": Field("text")}


async def serving(state: State, contract: Contract, version: str | None) -> str | None:
    """The version that serves, as the runner said within the last second; None when none does. Raises NotFound when it is another than `version`."""
    found: str | None = (await state.health.report())["runners"][contract.name].get("version")
    contract.require(version, found)
    return found


def metadata(contract: Contract, version: str | None) -> dict[str, Any]:
    return rows.metadata(contract.name, [version] if version else [], inputs_of(contract.schema.Input), outputs_of(contract.schema.Output))


async def read(contract: Contract, principal: Principal, body: bytes, json_length: str | None, turns: Turns) -> tuple[Asked, Columns]:
    """Raises BadRequest, Invalid, or Forbidden for more rows than the caller's role may send."""
    asked = documents.read(body, json_length)
    rows.check_outputs(asked, outputs_of(contract.schema.Output))
    columns = Columns(asked.inputs, inputs_of(contract.schema.Input), MOST_ROWS)
    if columns.count > 1 and principal.role < Role.analyst:
        raise Forbidden(f"More than one row needs the role analyst or a higher one; you are {principal.role.name}.")
    for one in asked.inputs:
        if columns.count > 1:
            await turns.next()
        columns.add(one)
    columns.check()
    return asked, columns


async def one(state: State, contract: Contract, asked: predictions.Asked, columns: Columns, key: Key | None) -> tuple[Answer, bool]:
    """Stored as one prediction. Also says whether that was done for an earlier request with the same key."""
    reader = TensorRows(columns, contract)
    [sent] = reader.take()
    [row] = rows.each([sent], lambda raw: contract.encode(reader.row(raw)))
    if key is None:
        recorded, replayed = await predictions.predict(state, contract, asked, row), False
    else:
        recorded, replayed = await idempotency.predict(state, contract, asked, key, orjson.dumps(sent))
    found = orjson.loads(recorded.answer(contract))
    return Answer(found["model_version"], found["policy_version"], None, [found]), replayed


async def many(state: State, contract: Contract, asked: predictions.Asked, columns: Columns, size: int, key: Key | None) -> tuple[Answer, bool]:
    """Stored as one batch, or not at all; otherwise as `one`. `size` of the request in bytes."""
    batch = AskedForMany(
        contract, asked.username, asked.request_id, Form.json, skips=False, deadline=asked.deadline, started=asked.started, key=key, version=asked.version
    )
    async with state.batches.place(large=size > SMALL_BYTES, deadline=asked.deadline):
        kept = None if key is None else await idempotency.find(state, key, asked.deadline)
        async with preparing(TensorRows(columns, contract), contract, state.batches.turns, skips=False, most_rows=MOST_ROWS) as prepared:
            try:
                await prepared.whole()
            except Invalid as problem:
                raise rows.located(problem) from None
            answer, replayed = await replay.answer(state, batch, prepared, kept)
    with answer.file as file:
        found = orjson.loads(file.read())
    return Answer(found["model_version"], found["policy_version"], found["batch_id"], found["predictions"]), replayed


def written(contract: Contract, asked: Asked, answer: Answer) -> tuple[bytes, dict[str, str]]:
    parameters = {"model_version": answer.version, "policy_version": answer.policy_version, "batch_id": answer.batch_id}
    return documents.write(asked, contract.name, answer.version, parameters, rows.outputs(answer.rows, outputs_of(contract.schema.Output), asked))
