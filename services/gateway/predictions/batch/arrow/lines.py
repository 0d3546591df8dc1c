"""Rows as lines of JSON. Arrow writes them without Python's help, but for what JSON has no number for."""

import io

from arro3.core import Array, DataType, RecordBatch, list_flatten
from arro3.io import write_ndjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

FLOAT, INTEGER = DataType.float64(), DataType.int64()
FLOATS, INTEGERS = DataType.list(FLOAT), DataType.list(INTEGER)
PIECE_BYTES = 4 * 1024 * 1024


class Lines:
    """Integral numbers as integers where the model has integers, and NaN as null: what pandas makes of columns with gaps. Infinite numbers as texts, which
    are refused as other texts are."""

    def __init__(self, integers: "Collection[str]", optional: "Collection[str]") -> None:
        """`integers`: columns in which 2.0 is 2; `optional`: those that are left out of a row where they are null."""
        self._integers, self._optional = integers, optional

    def of(self, frame: RecordBatch) -> "Iterator[bytes]":
        """Some rows at a time: their text may be several times as long as they are in memory."""
        rows = max(1, frame.num_rows * PIECE_BYTES // max(1, frame.nbytes))
        for at in range(0, frame.num_rows, rows):
            yield self._of(frame.slice(at, min(rows, frame.num_rows - at)))

    def _of(self, frame: RecordBatch) -> bytes:
        always: dict[str, Array] = {}
        sometimes: dict[str, Array] = {}
        spelled: list[list[bytes]] = []
        for name, column in zip(frame.column_names, frame.columns, strict=True):
            plain = _plain(column, name in self._integers)
            if isinstance(plain, list):
                spelled.append(_members(name, plain, name in self._optional))
            elif name in self._optional and plain.null_count:
                sometimes[name] = plain
            else:
                always[name] = plain
        if not sometimes and not spelled:
            return written(always)
        parts = [_inner(written(always)), _inner(written(sometimes, nulls=False)), *spelled]
        return b"".join(b"{%b}\n" % b",".join(filter(None, row)) for row in zip(*filter(None, parts), strict=True))


def written(columns: "dict[str, Array]", *, nulls: bool = True) -> bytes:
    if not columns:
        return b""
    into = io.BytesIO()
    write_ndjson(RecordBatch.from_arrays([*columns.values()], names=[*columns]), into, explicit_nulls=nulls)
    return into.getvalue()


def _inner(lines: bytes) -> list[bytes]:
    return [line[1:-1] for line in lines.splitlines()]


def _plain(column: Array, whole: bool) -> "Array | list[Any]":
    """A list where JSON has no number for one of the values, or where only some are `whole`."""
    listed = column.type.value_type is not None and not DataType.is_dictionary(column.type)
    values = list_flatten(column) if listed else column
    if not _is_fraction(values.type):
        return column
    values = values.cast(FLOAT)
    if not listed and not _is_finite(values):
        values = Array([None if value != value else value for value in values.to_pylist()], FLOAT)
    numbers = column.cast(FLOATS) if listed else values
    if _is_finite(values):
        if not whole:
            return numbers
        if values.cast(INTEGER).cast(FLOAT) == values:
            return numbers.cast(INTEGERS if listed else INTEGER)
    return [_mended(value, whole) for value in numbers.to_pylist()]


def _is_finite(values: Array) -> bool:
    """And within 64 bits: what is not becomes null."""
    return values.cast(INTEGER).null_count == values.null_count


def _is_fraction(kind: DataType) -> bool:
    if DataType.is_dictionary(kind) and kind.value_type is not None:
        kind = kind.value_type
    return DataType.is_numeric(kind) and not DataType.is_integer(kind)


def _mended(value: "Any", whole: bool) -> "Any":
    if isinstance(value, list):
        return [_mended(one, whole) for one in value]
    if value is None or value != value:
        return None
    if value in (float("inf"), float("-inf")):
        return f'"{value}"'
    return int(value) if whole and value.is_integer() else value


def _members(name: str, values: "list[Any]", optional: bool) -> list[bytes]:
    """One for each row; empty where it is left out."""
    return [b"" if value is None and optional else f'"{name}":{_spelled(value)}'.encode() for value in values]


def _spelled(value: "Any") -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_spelled, value))}]"
    return "null" if value is None else str(value)
