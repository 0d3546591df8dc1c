"""Rows of JSON lines as pairs."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import orjson

from bentos import catalogue, contract
from bentos.contract import Floats
from bentos.serving.comparison import Pairs
from bentos.serving.comparison.report import MOST_EXAMPLES

BLOCK = 2000


def pairs(model: str, lines: Iterable[bytes]) -> Pairs | None:
    """Of control's answer to GET /shadow/{model}/pairs; None when there are no rows. In blocks, so that few rows are there as objects."""
    read = contract.RowReader(contract.kinds(contract.schema(model).Input))
    entry = catalogue.load().models[model]
    blocks: list[Pairs] = []
    for rows in blocked(orjson.loads(line) for line in lines if line):
        decided, decides = _decisions(entry, rows)
        blocks.append(
            Pairs(
                columns=read([row["input"] for row in rows]),
                champion=numbers(rows, "champion"),
                challenger=numbers(rows, "challenger"),
                decided=decided,
                decides=decides,
                outcome=numbers(rows, "outcome"),
                champion_us=numbers(rows, "champion_us"),
                challenger_us=numbers(rows, "us"),
                errors=[row["error"] for row in rows if row["error"]][:MOST_EXAMPLES],
            )
        )
    return joined(blocks) if blocks else None


def blocked(rows: Iterable[Any]) -> Iterator[list[Any]]:
    rows = iter(rows)
    while block := list(islice(rows, BLOCK)):
        yield block


def numbers(rows: Sequence[dict[str, Any]], name: str) -> Floats:
    return np.array([row[name] for row in rows], dtype=np.float64)


def joined(blocks: Sequence[Pairs]) -> Pairs:
    def whole(name: str) -> Any:
        parts = [getattr(block, name) for block in blocks]
        return None if parts[0] is None else np.concatenate(parts)

    return Pairs(
        columns={name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns},
        errors=[error for block in blocks for error in block.errors][:MOST_EXAMPLES],
        **{name: whole(name) for name in ("champion", "challenger", "decided", "decides", "outcome", "champion_us", "challenger_us")},
    )


def _decisions(entry: catalogue.Entry, rows: Sequence[dict[str, Any]]) -> tuple[Any, Any]:
    if entry.decisions is None:
        return None, None
    positive = entry.decisions.positive
    return np.array([row["decided"] == positive for row in rows]), np.array([row["decides"] == positive for row in rows])
