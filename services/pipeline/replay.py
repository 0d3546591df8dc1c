"""A version beside what was answered, from the audit: the report that its shadow would have made of live traffic."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from bentos import contract
from bentos.serving.comparison import Pairs, report
from bentos.serving.shadow import reading
from bentos.serving.shadow.scorer import Scorer
from services.pipeline import versions
from services.pipeline.failure import Final
from services.pipeline.job import Job

log = logging.getLogger(__name__)

MOST_ROWS = 1_000_000
TIMED_ROWS = 500
"""The first ones are also scored alone, by both versions."""
ROW_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def run(job: Job, *, version: str | None = None, since: str | None = None, until: str | None = None, limit: int | None = None) -> dict[str, Any]:
    """{version, champion, rows, seconds, rows_per_second, report}. Rows are those that the version that serves now answered."""
    serving = job.control.serving(job.model)
    champion, challenger = serving["champion"], version or (serving.get("challenger") or {}).get("version")
    if champion is None:
        raise Final(f"nothing serves {job.model}, so there is nothing to compare with")
    if challenger is None:
        raise Final("no version is being tried: name one with --version")
    if challenger == champion["version"]:
        raise Final(f"version {challenger} serves: compared with itself it would say nothing")
    policy = job.control.version(job.model, challenger)["policy"]
    scorer = Scorer(job.model, versions.loaded(job, challenger), versions.loaded(job, champion["version"]), policy)
    began = time.perf_counter()
    answered = job.control.audit(job.model, since=since, until=until, version=champion["version"], newest=True, limit=limit or MOST_ROWS)
    read = contract.RowReader(contract.kinds(contract.schema(job.model).Input))
    positive = None if job.entry.decisions is None else job.entry.decisions.positive
    blocks = [_compared(scorer, read, rows, positive) for rows in _ahead(reading.blocked(answered))]
    seconds = time.perf_counter() - began
    if not blocks:
        raise Final(f"version {champion['version']} of {job.model} has answered nothing in that time")
    pairs = reading.joined(blocks)
    costs = (serving["policy"] or {}).get("costs")
    found = report(pairs, costs) | {"champion": champion["version"], "champion_costs": costs}
    rows = found["rows"]
    log.info("%d rows in %.2f s: %.0f a second", rows, seconds, rows / seconds)
    result = {"version": challenger, "champion": champion["version"], "rows": rows, "seconds": seconds, "rows_per_second": rows / seconds, "report": found}
    json.dumps(result, allow_nan=False)  # sooner a failure here than a document that nobody can read
    return result


def _ahead(blocks: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """The next block is read while the one before is scored."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block


def _compared(scorer: Scorer, read: contract.RowReader, rows: Sequence[dict[str, Any]], positive: str | None) -> Pairs:
    columns = read([row["input"] for row in rows])
    scores, decides, errors = _scores(scorer, columns, rows)
    us, champion_us = (np.full(len(rows), np.nan) for _ in range(2))
    for place, own, other in scorer.timed([row["input"] for row in rows[:TIMED_ROWS]]):
        us[place], champion_us[place] = own, other
    return Pairs(
        columns=columns,
        champion=reading.numbers(rows, "score"),
        challenger=scores,
        decided=None if positive is None else np.array([row["decision"] == positive for row in rows]),
        decides=decides,
        outcome=reading.numbers(rows, "outcome"),
        champion_us=champion_us,
        challenger_us=us,
        errors=errors,
    )


def _scores(scorer: Scorer, columns: contract.Columns, rows: Sequence[dict[str, Any]]) -> tuple[Any, Any, list[str]]:
    """All at once; one by one where that fails."""
    try:
        scores, decides = scorer.columns(columns, len(rows))
    except ROW_ERRORS:
        told = scorer.tell([row["input"] for row in rows])
        scores = np.array([one.score for one in told], dtype=np.float64)
        decides = scorer.positive(one.decision for one in told)
        return scores, decides, [one.error for one in told if one.error]
    return scores, decides, ["the score is not a finite number"] * int((~np.isfinite(scores)).sum())
