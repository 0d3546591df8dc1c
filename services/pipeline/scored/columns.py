"""A column of an input as the values that JSON would have had: what a request row says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bentos import cells
from bentos.schemas import Kind

NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
"""As in bentos/cells.py."""
TYPES: dict[Kind, pa.DataType] = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "text": pa.string()}
EXACT = 2.0**53
"""Whole numbers below are exact as float64."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Column:
    values: pa.Array
    """Of the kind's type; null where there is no value, and where it is odd."""
    odd: Bools
    """Cells that did not become a value of this type: pydantic decides about them."""
    raw: Callable[[int], Any]
    """A cell as JSON would have it, odd or not."""


def column(given: pa.Array, kind: Kind, convert: cells.Convert | None, lists: bool) -> Column:
    """`convert` for columns of texts, as in CSV."""
    if pa.types.is_dictionary(given.type):
        given = given.cast(given.type.value_type)
    if convert is not None:
        return _of_texts(given, kind, convert, lists)
    return _of_values(given, kind, lists)


def missing(rows: int, kind: Kind) -> Column:
    """A column that the input does not have: all rows leave the field out, and pydantic knows what that means."""
    return Column(pa.nulls(rows, TYPES[kind]), np.ones(rows, dtype=np.bool_), lambda _: None)


def _of_texts(given: pa.Array, kind: Kind, convert: cells.Convert, lists: bool) -> Column:
    def raw(row: int) -> Any:
        cell = given[row].as_py()
        return None if cell is None else convert(cell)

    if lists:
        return Column(pa.nulls(len(given), TYPES[kind]), np.ones(len(given), dtype=np.bool_), raw)
    if kind == "text":
        return Column(given, _none(len(given)), raw)
    if kind == "boolean":
        known = pc.is_in(pc.utf8_lower(given), value_set=pa.array(list(cells.BOOLEANS)))
        truth = pc.is_in(pc.utf8_lower(given), value_set=pa.array([text for text, value in cells.BOOLEANS.items() if value]))
        return Column(pc.if_else(known, truth, None), _bools(pc.and_(given.is_valid(), pc.invert(known))), raw)
    well_formed = pc.match_substring_regex(given, NUMBER)
    odd = _bools(pc.invert(well_formed))
    numbers = pc.if_else(well_formed, given, None).cast(pa.float64())
    return _numbers(numbers, odd, kind, raw)


def _of_values(given: pa.Array, kind: Kind, lists: bool) -> Column:
    def raw(row: int) -> Any:
        return _plain(given[row].as_py(), kind)

    types, of = pa.types, given.type
    if types.is_null(of):
        return Column(pa.nulls(len(given), TYPES[kind]), _none(len(given)), raw)
    is_text = types.is_string(of) or types.is_large_string(of) or types.is_string_view(of)
    if not lists and kind == "text" and is_text:
        return Column(given.cast(pa.string()), _none(len(given)), raw)
    if not lists and kind == "boolean" and types.is_boolean(of):
        return Column(given, _none(len(given)), raw)
    if not lists and kind in ("number", "integer") and (types.is_integer(of) or types.is_floating(of)):
        return _numbers(given.cast(pa.float64(), safe=False), _none(len(given)), kind, raw)
    return Column(pa.nulls(len(given), TYPES[kind]), _bools(given.is_valid()), raw)


def _numbers(numbers: pa.Array, odd: Bools, kind: Kind, raw: Callable[[int], Any]) -> Column:
    """NaN is null. Infinite numbers, and of integers those that are none or too large to be exact, are odd."""
    numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
    values = numbers.to_numpy(zero_copy_only=False)
    known = _bools(numbers.is_valid())
    good = known & np.isfinite(values)
    if kind == "integer":
        with np.errstate(invalid="ignore"):
            good &= (np.abs(values) < EXACT) & (np.floor(values) == values)
    odd = odd | (known & ~good)
    kept = pc.if_else(pa.array(good), numbers, None)
    return Column(kept.cast(TYPES[kind]) if kind == "integer" else kept, odd, raw)


def _plain(value: Any, kind: Kind) -> Any:
    if isinstance(value, list):
        return [_plain(item, kind) for item in value]
    if isinstance(value, float):
        if value != value:
            return None
        return int(value) if kind == "integer" and value.is_integer() else value
    return value.isoformat() if hasattr(value, "isoformat") else value


def _none(rows: int) -> Bools:
    return np.zeros(rows, dtype=np.bool_)


def _bools(found: Any) -> Bools:
    filled: Bools = pc.fill_null(found, False).to_numpy(zero_copy_only=False)
    return filled
