"""The platform's own predictions: the newest rows of the data source, answered by what serves and recorded like anybody's."""

import logging
from pathlib import Path
from typing import Any

import numpy as np

from bentos import contract
from services.pipeline import ingest
from services.pipeline.failure import Failure
from services.pipeline.job import Job

log = logging.getLogger(__name__)


def run(job: Job, *, source: str | None, data_dir: Path | None, rows: int, seed: int | None, drift: float, key: str | None) -> dict[str, Any]:
    """Of a series of candles the newest window whose next candle is known, so that the answers can be compared with what came."""
    frame, _ = ingest.read(job, source, data_dir, None, seed, drift)
    examples = contract.train(job.model).examples(frame)
    order = np.arange(len(examples)) if examples.time is None else np.argsort(examples.time, kind="stable")
    newest = examples.take(order[-rows:])
    asked = contract.rows_of_columns(newest.columns, contract.kinds(contract.schema(job.model).Input))
    log.info("asking for the newest %d of %d rows", len(asked), len(examples))
    answer = job.gateway.batch(job.model, asked, key)
    answers = answer["predictions"]
    if len(answers) != len(asked):
        raise Failure(f"the gateway answered {len(answers)} of {len(asked)} rows")
    names = job.entry.decisions
    decisions = None if names is None else {name: sum(one["decision"] == name for one in answers) for name in (names.negative, names.positive)}
    log.info("batch %s: %d rows by version %s", answer["batch_id"], len(answers), answer["model_version"])
    return {
        "batch_id": answer["batch_id"],
        "rows": len(answers),
        "model_version": answer["model_version"],
        "policy_version": answer["policy_version"],
        "decisions": decisions,
    }
