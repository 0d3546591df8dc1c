"""Read by Schemathesis (SCHEMATHESIS_HOOKS): bodies that are neither JSON nor text go out as the bytes that they are."""

from typing import Any

import schemathesis


@schemathesis.serializer("text/csv", "application/x-ndjson", "application/jsonl", "application/vnd.apache.parquet")
def as_it_is(_context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
