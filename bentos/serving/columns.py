"""Many rows as a block of columns: the body and the answer of `POST /columns`.

A block is the length of a header (u32, little-endian), the header as JSON, and then the values of each column that the header names, one column after
the other. A number is a float64, NaN for null; a text is an int32 position in the column's `levels`, -1 for null; an integer of the answer is an int64.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from bentos.contract import Kind
from bentos.serving.answers import Coded, Table
from services.kit import errors

CONTENT_TYPE = "application/vnd.modelyard.columns"
_LENGTH = 4
_DTYPES: dict[str, np.dtype[Any]] = {"number": np.dtype("<f8"), "integer": np.dtype("<i8"), "text": np.dtype("<i4")}


class Pin(msgspec.Struct, frozen=True):
    """The state that is to answer: that of the first block, for all blocks of one file."""

    version: str
    policy_version: int | None


class Column(msgspec.Struct, frozen=True):
    name: str
    kind: Literal["number", "text"]
    width: int | None = None
    """Values per row of a column of lists."""
    levels: list[str] = []


class Header(msgspec.Struct, frozen=True):
    rows: int
    columns: list[Column]
    serving: Pin | None = None


_headers = msgspec.json.Decoder(Header)


def decode(body: bytes, fields: Mapping[str, Kind]) -> tuple[Header, dict[str, NDArray[Any]]]:
    """The header, and the columns as `features.matrix` takes them: views of the body wherever its values lie as numpy likes them.

    `fields` are those of `kinds(Input)`. Raises BadRequest for what is no block, Invalid for other columns than a request row has.
    """
    at = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    try:
        header = _headers.decode(body[_LENGTH:at])
    except msgspec.DecodeError as error:
        raise errors.BadRequest(f"The header of the block is not as agreed: {error}.") from None
    if header.rows < 1:
        raise errors.BadRequest(f"The header of the block says {header.rows} rows; one is the least.")
    _check(header, fields)
    columns: dict[str, NDArray[Any]] = {}
    for column in header.columns:
        count = header.rows * (1 if column.width is None else column.width)
        dtype = _DTYPES[column.kind]
        if at + count * dtype.itemsize > len(body):
            raise errors.BadRequest(f"The block ends within column {column.name}: {count} values are announced.")
        values: NDArray[Any] = np.frombuffer(body, dtype, count, at)
        at += values.nbytes
        if column.kind == "text":
            values = _texts(column, values)
        elif not values.flags.aligned:
            values = values.copy()
        columns[column.name] = values if column.width is None else values.reshape(header.rows, column.width)
    if at != len(body):
        raise errors.BadRequest(f"The block has {len(body) - at} bytes more than its header says.")
    return header, {name: columns[name] for name in fields}


def _check(header: Header, fields: Mapping[str, Kind]) -> None:
    names = [column.name for column in header.columns]
    rules = {name: "column is missing" for name in fields if name not in names}
    for place, column in enumerate(header.columns):
        if column.name not in fields:
            rules[column.name] = "is no field of a request row"
        elif column.name in names[:place]:
            rules[column.name] = "is there twice"
        elif (column.kind == "text") != (fields[column.name] == "text"):
            rules[column.name] = f"must be a column of {'text' if fields[column.name] == 'text' else 'numbers'}"
        elif column.width is not None and column.width < 1:
            rules[column.name] = "`width` must be 1 at least"
    if rules:
        found = [errors.FieldError(field=name, rule=rule, value=None) for name, rule in rules.items()]
        raise errors.Invalid("The columns are not those of a request row: see `errors`.", errors=found)


def _texts(column: Column, codes: NDArray[np.int32]) -> NDArray[Any]:
    if codes.min() < -1 or codes.max() >= len(column.levels):
        raise errors.BadRequest(f"Column {column.name} has {len(column.levels)} levels and a position that is none of them.")
    # Position -1 is the last one: None.
    return np.array([*column.levels, None], dtype=object)[codes]


def encode(about: Mapping[str, Any], table: Table) -> bytes:
    """`about`: what the header says besides the columns."""
    described: list[dict[str, Any]] = []
    blocks: list[NDArray[Any]] = []
    for name, values in table.columns.items():
        if isinstance(values, Coded):
            described.append({"name": name, "kind": "text", "levels": values.levels})
            blocks.append(np.ascontiguousarray(values.codes, dtype=_DTYPES["text"]))
            continue
        kind = "integer" if values.dtype.kind in "iub" else "number"
        described.append({"name": name, "kind": kind})
        blocks.append(np.ascontiguousarray(values, dtype=_DTYPES[kind]))
    header = msgspec.json.encode({**about, "score": table.score, "decision": table.decision, "columns": described})
    header += b" " * (-(_LENGTH + len(header)) % 8)
    return b"".join([len(header).to_bytes(_LENGTH, "little"), header, *(block.data for block in blocks)])
