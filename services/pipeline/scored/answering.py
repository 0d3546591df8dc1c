"""Answers to the good rows of a part: by the version's own code in this process, or by the gateway, which records each row."""

import logging
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import json as pa_json
from pyarrow import parquet as pq

from bentos import contract
from bentos.contract import BadData, Problem
from bentos.schemas import kinds
from bentos.serving import answers
from bentos.serving.answers import Coded
from bentos.serving.artifact import Artifact
from services.pipeline.failure import Failure, Final
from services.pipeline.gateway import Gateway
from services.pipeline.scored.checking import Checked
from services.pipeline.scored.columns import TYPES
from services.pipeline.scored.ingest import PREDICTION_ID
from services.pipeline.scored.plan import KEY_HOURS, Plan

log = logging.getLogger(__name__)

PARQUET, NDJSON = "application/vnd.apache.parquet", "application/x-ndjson"
GATEWAY_SECONDS = "60"
"""What a batch of many rows may take there; no caller may ask for more."""


BY = ["model_version", "policy_version"]


class Answered(NamedTuple):
    columns: pa.Table
    """The fields of `Output`, and `prediction_id` where the rows are recorded one by one."""
    batch_id: str | None


class Answering(Protocol):
    def answer(self, number: int, blocks: list[Checked]) -> Answered:
        """To the good rows of all blocks of a part, of which there is one at least."""
        ...


class Here:
    """The checks of the version's files were made; the answers are those of a runner, to the bit."""

    def __init__(self, model: str, version: Artifact, plan: Plan) -> None:
        self._model, self._version, self._plan = model, version, plan
        self._schema = fields(model)

    def answer(self, number: int, blocks: list[Checked]) -> Answered:  # noqa: ARG002 - nobody is told which part it is
        return Answered(pa.concat_tables([self._block(block) for block in blocks if len(block.good)]), None)

    def _block(self, block: Checked) -> pa.Table:
        scores = self._version.score_columns(block.columns, len(block.good))
        if not np.isfinite(scores).all():
            wrong = block.good[~np.isfinite(scores)].tolist()
            raise BadData([Problem("score", "the version gives no finite number", wrong[:20], len(wrong))])
        found = answers.in_columns(self._model, scores, block.columns, self._plan.policy, self._version.shifts)
        return pa.table({name: _array(values, self._schema.field(name).type) for name, values in found.columns.items()})


class Recorded:
    """One batch for each part, with a key of its own: a part that is repeated is told again what was answered the first time."""

    def __init__(self, model: str, gateway: Gateway, plan: Plan) -> None:
        self._model, self._gateway, self._plan = model, gateway, plan
        self._answer = fields(model).append(pa.field(PREDICTION_ID, pa.string()))
        self._schema = self._answer.append(pa.field("model_version", pa.string())).append(pa.field("policy_version", pa.int64()))

    def answer(self, number: int, blocks: list[Checked]) -> Answered:
        plan = self._plan
        if plan.hours > KEY_HOURS:
            hint = "score the input anew, or with audit summary"
            raise Final(f"the run began more than {KEY_HOURS} hours ago: the gateway could record rows twice that it has recorded already; {hint}")
        query = f"version={plan.version}" + ("" if plan.policy_version is None else f"&policy_version={plan.policy_version}")
        headers = {"Content-Type": PARQUET, "Accept": NDJSON, "Idempotency-Key": f"score-{plan.run_id}-{number}", "X-Request-Timeout": GATEWAY_SECONDS}
        asked = pa.concat_tables([block.asked for block in blocks])
        answer = self._gateway.send(f"/predict/{self._model}/batch?{query}", _parquet(asked), headers)
        found = self._read(answer.content)
        if found.num_rows != asked.num_rows:
            raise Failure(f"the gateway answered {found.num_rows} of {asked.num_rows} rows")
        by = {(one[BY[0]], one[BY[1]]) for one in found.select(BY).group_by(BY).aggregate([]).to_pylist()}
        if by != {(plan.version, plan.policy_version)}:
            raise Final(f"part {number} was answered by {sorted(by, key=str)}, not by version {plan.version} with policy {plan.policy_version}")
        if "Idempotency-Replayed" in answer.headers:
            log.info("part %d was recorded before", number)
        return Answered(found.select(self._answer.names), str(answer.headers["X-Batch-ID"]))

    def _read(self, body: bytes) -> pa.Table:
        options = pa_json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="ignore")
        return pa_json.read_json(pa.BufferReader(body), pa_json.ReadOptions(use_threads=False), options).select(self._schema.names).combine_chunks()


def fields(model: str) -> pa.Schema:
    """Of `Output`, in its order."""
    return pa.schema([pa.field(name, TYPES[kind]) for name, kind in kinds(contract.schema(model).Output).items()])


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if not isinstance(values, Coded):
        return pa.array(values, from_pandas=True).cast(kind)
    codes = pa.array(values.codes, mask=values.codes < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(values.levels), pa.string())).cast(pa.string())


def _parquet(table: pa.Table) -> bytes:
    """The same rows give the same bytes: the key's request has to be the same when it is repeated."""
    into = pa.BufferOutputStream()
    pq.write_table(table, into, compression="zstd", row_group_size=16384)
    return bytes(into.getvalue())
