"""What was asked and what was said, as audit rows and as the caller's answer."""

import time
from dataclasses import dataclass

import orjson

from services.gateway.predictions import rows
from services.gateway.predictions.batch.columns import Scores
from services.gateway.predictions.batch.media import Form
from services.gateway.predictions.batch.prepared import Chunk, RowErrors
from services.gateway.predictions.batch.readers import SLICE_ROWS
from services.gateway.predictions.batch.writers import About, Answered, Writer, writer
from services.gateway.predictions.contracts import Contract
from services.gateway.predictions.rows import Key
from services.kit.ids import text_of, uuid7_block


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, and how the answer is to look."""

    contract: Contract
    username: str
    request_id: str
    form: Form
    skips: bool
    deadline: float
    started: float
    """In `time.perf_counter`'s seconds."""
    key: Key | None = None
    version: str | None = None
    """No other one may answer."""
    policy_version: int | None = None
    """Nor with another policy."""


class Assembly:
    def __init__(self, asked: Asked, batch_id: bytes, scores: Scores) -> None:
        contract, by = asked.contract, scores.by
        self._fields = tuple(scores.columns)
        self._shared = rows.common(contract.name, by.version, by.policy_version, asked.username, asked.request_id, batch_id)
        self._started = asked.started
        self.writer: Writer = writer(asked.form, About(contract.name, by, text_of(batch_id), self._fields, asked.skips))

    def failed(self, chunk: Chunk) -> bytes:
        """The answer's part for a chunk without a single valid row."""
        return self.writer.part(Answered((), (), ()), range(chunk.begin, chunk.end), {failure.row: failure for failure in chunk.failed})

    def slice(self, chunk: Chunk, scores: Scores, numbers: list[int], at: int, span: range, failed: dict[int, RowErrors]) -> tuple[list[bytes], bytes]:
        """Audit rows, and the answer's part, of the valid rows from position `at` of the chunk on; `span` also counts the failed ones among and before them."""
        part = slice(at, at + SLICE_ROWS)
        texts = chunk.texts[part]
        fields, shared, encode, dumps = self._fields, self._shared, rows.encode, orjson.dumps
        columns = [column[part] for column in scores.columns.values()]
        outputs = [dumps(dict(zip(fields, values, strict=True))) for values in zip(*columns, strict=True)]
        ids = uuid7_block(len(texts))
        latency = (time.perf_counter() - self._started) * 1000
        parts = zip(ids, texts, outputs, scores.scores[part], scores.decisions[part], numbers[part], strict=True)
        tuples = [encode(id, shared, text, output, score, decision, latency, number) for id, text, output, score, decision, number in parts]
        here = {number: failed[number] for number in span if number in failed} if failed else {}
        answered = Answered([text_of(id) for id in ids], outputs, columns)
        return tuples, self.writer.part(answered, span, here)
