"""The answers of a scoring as one file: part by part from the gateway, never more than one of them in memory."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from services.commands.predict import whole
from services.local.api import Api
from services.local.failure import Failure


def download(gateway: Api, model: str, result: dict[str, Any], output: Path) -> None:
    """Both files are there only once they are complete. Raises Failure for a part that is not what control has a record of."""
    root = f"/models/{model}/scored/{result['run_id']}"
    try:
        with whole(output) as file:
            writer: Any = None
            for record in _records(gateway, root):
                part = _part(gateway, root, record)
                writer = writer or (csv.CSVWriter(file, _plain(part).schema) if output.suffix == ".csv" else pq.ParquetWriter(file, part.schema))
                writer.write_table(_plain(part) if output.suffix == ".csv" else part)
            if writer is not None:
                writer.close()
        if result["refused"]:
            _refused(gateway, root, output.with_name(f"{output.name}.refused.csv"))
    except OSError as error:
        raise Failure(f"{error.filename or output} cannot be written: {error.strerror}", code=2) from None


def _records(gateway: Api, root: str) -> Iterator[dict[str, Any]]:
    after: int | None = -1
    while after is not None:
        page = gateway.get(f"{root}?after={after}&limit=1000")
        yield from page["parts"]
        after = page["next"]


def _part(gateway: Api, root: str, record: dict[str, Any]) -> pa.Table:
    content = io.BytesIO()
    gateway.download(f"{root}/parts/{record['part']}/answers", content)
    if hashlib.sha256(content.getbuffer()).hexdigest() != record["output_sha256"]:
        raise Failure(f"part {record['part']} is not the file that was scored: its sha256 is another one")
    content.seek(0)
    return pq.read_table(content)


def _plain(part: pa.Table) -> pa.Table:
    """What has no place in a cell of CSV, such as a list, stands there as JSON."""
    for at, field in enumerate(part.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else json.dumps(value, default=str) for value in part.column(at).to_pylist()]
            part = part.set_column(at, field.name, pa.array(texts, pa.string()))
    return part


def _refused(gateway: Api, root: str, path: Path) -> None:
    with whole(path) as file:
        first = True
        for record in _records(gateway, root):
            if not record["refused"]:
                continue
            content = io.BytesIO()
            gateway.download(f"{root}/parts/{record['part']}/refused", content)
            file.write(content.getvalue() if first else content.getvalue().partition(b"\n")[2])
            first = False
