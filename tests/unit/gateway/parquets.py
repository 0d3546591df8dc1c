"""Parquet files, and what the gateway reads in them."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.parquet import Parquet
from services.gateway.predictions.contracts import Contract
from services.kit.errors import Invalid
from tests.gateway import CONTRACTS

TINY = CONTRACTS["tiny"]
LONGEST = 64 * 1024
"""Bytes of a row."""


def written(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), file, **options)
    return file.getvalue()


def opened(body: bytes, contract: Contract = TINY, most_rows: int = 1_000_000) -> Parquet:
    return Parquet(Plain(io.BytesIO(body), None, 2**30), contract, most_rows, LONGEST)


def read(body: bytes, contract: Contract = TINY) -> list[Any]:
    """Each row as the audit keeps it, or its errors."""
    reader = opened(body, contract)
    found: list[Any] = []
    try:
        while rows := reader.take():
            for row in rows:
                try:
                    found.append(json.loads(contract.encode(reader.row(row))))
                except Invalid as invalid:
                    found.append(invalid.errors)
    finally:
        reader.close()
    return found


LARGE = written({"age": [1] * 100_000, "note": [f"{i:060}" for i in range(100_000)]})
