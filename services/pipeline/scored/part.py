"""One part: read, checked, answered, written, told to control. Done again, it ends the same."""

import csv
import hashlib
import io
import json
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from services.pipeline.artifacts import Artifacts
from services.pipeline.control import Control
from services.pipeline.failure import Failure
from services.pipeline.scored import plan as planned
from services.pipeline.scored.answering import Answered, Answering, fields
from services.pipeline.scored.checking import Checker, Refusal
from services.pipeline.scored.ingest import PREDICTION_ID, RAGGED, ROW
from services.pipeline.scored.plan import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    model: str
    plan: Plan
    checker: Checker
    answering: Answering
    artifacts: Artifacts
    control: Control

    def work(self, number: int) -> dict[str, Any]:
        """What control keeps of it. The order matters: what control knows of is done, so it is told last."""
        root = self.plan.root
        content = self.artifacts.get(planned.input_part(root, number))
        part = pa.ipc.open_file(content).read_all()
        blocks = list(self.checker.blocks(part))
        numbers = part.column(ROW).to_numpy()
        refused = [Refusal(int(row), "row", rule, "") for row, rule in json.loads(part.schema.metadata[RAGGED]).items()]
        refused += [one._replace(row=int(numbers[one.row])) for block in blocks for one in block.refused]
        good = np.concatenate([block.good for block in blocks]) if blocks else np.array([], dtype=np.int64)
        answered = self.answering.answer(number, blocks) if len(good) else Answered(self._nothing(), None)
        written = _parquet(part.take(pa.array(good)) if len(good) < part.num_rows else part, answered.columns)
        self.artifacts.put(planned.answered_part(root, number), written)
        bad = len({one.row for one in refused})
        if refused:
            self.artifacts.put(planned.refused_part(root, number), _csv(sorted(refused)))
        record = {
            "run_id": self.plan.run_id,
            "part": number,
            "version": self.plan.version,
            "policy_version": self.plan.policy_version,
            "audit": self.plan.audit,
            "rows": len(good),
            "refused": bad,
            "input_sha256": hashlib.sha256(content).hexdigest(),
            "output_sha256": hashlib.sha256(written).hexdigest(),
            "artifact": planned.answered_part(root, number),
            "batch_id": answered.batch_id,
        }
        kept = self.control.add_scored(self.model, record)
        if different := [name for name, value in record.items() if kept[name] != value]:
            raise Failure(f"part {number} was scored before, with another {' and '.join(different)}: this run's parts do not belong together any more")
        log.info("part %d: %d rows answered, %d refused", number, len(good), bad)
        return record

    def _nothing(self) -> pa.Table:
        schema = fields(self.model)
        return (schema if self.plan.audit == "summary" else schema.append(pa.field(PREDICTION_ID, pa.string()))).empty_table()


def _parquet(asked: pa.Table, answered: pa.Table) -> bytes:
    """The input's columns beside the answer's."""
    table = asked.replace_schema_metadata(None)
    for name in answered.column_names:
        table = table.append_column(name, answered.column(name))
    into = pa.BufferOutputStream()
    pq.write_table(table, into, compression="zstd")
    return bytes(into.getvalue())


def _csv(refused: list[Refusal]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([Refusal._fields, *refused])
    return text.getvalue().encode()
