"""Cells of CSV as the values that JSON would have had.

CSV has no types: the model's fields tell what a cell is. A cell that cannot be that stays the text it is, and the schema refuses it in the same words as a
JSON row with that text. An empty cell is null.
"""

import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import orjson
from pydantic import BaseModel

from bentos.schemas import Kind, kinds

BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
"""JSON's: Python would also read `1_000`, ` 1` and other scripts' digits."""

Convert = Callable[[str], Any]


def converters(model: type[BaseModel]) -> dict[str, Convert]:
    """By field."""
    lists = lists_of(model)
    return {name: _list if name in lists else _BY_KIND[kind] for name, kind in kinds(model).items()}


def lists_of(model: type[BaseModel]) -> set[str]:
    return {name for name, types in _types(model).items() if "array" in types}


def defaulted(model: type[BaseModel]) -> list[str]:
    """Fields that may be left out but not be null: an empty cell leaves them out."""
    return [name for name, types in _types(model).items() if not model.model_fields[name].is_required() and "null" not in types]


def _types(model: type[BaseModel]) -> dict[str, set[str]]:
    properties = model.model_json_schema()["properties"]
    return {name: {option.get("type") for option in part.get("anyOf", [part])} for name, part in properties.items()}


def _text(cell: str) -> Any:
    return cell or None


def _number(cell: str) -> Any:
    if not _NUMBER.fullmatch(cell):
        return cell or None
    number = float(cell)
    return number if isfinite(number) else cell


def _integer(cell: str) -> Any:
    """`2.0` is 2: programs that know no missing integers write them so."""
    number = _number(cell)
    if not isinstance(number, float) or not number.is_integer():
        return number
    return int(number) if abs(number) < 2**53 else int(cell) if cell.lstrip("-").isdigit() else cell


def _boolean(cell: str) -> Any:
    return BOOLEANS.get(cell.lower(), cell or None)


def _list(cell: str) -> Any:
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell or None


_BY_KIND: dict[Kind, Convert] = {"integer": _integer, "number": _number, "boolean": _boolean, "text": _text}
