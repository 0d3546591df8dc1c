"""The rules that the model's `Record` states, applied to a whole frame by pydantic itself: what serving refuses, training refuses."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from bentos.contract import Kind, Problem, kinds

CHUNK = 20_000
"""Rows checked at a time: as Python objects they need much memory."""
SHOWN = 20


def check(frame: pd.DataFrame, record: type[BaseModel]) -> tuple[list[Problem], NDArray[np.bool_]]:
    """Every broken rule with its lines, and which rows keep all of them. Columns that `record` doesn't have are not looked at."""
    names = [name for name in record.model_fields if name in frame]
    absent = [name for name, field in record.model_fields.items() if name not in frame and field.is_required()]
    problems = [Problem(name, "column is missing") for name in absent]
    broken: dict[tuple[str, str], list[int]] = defaultdict(list)
    found: dict[tuple[str, str], Any] = {}
    adapter = TypeAdapter(list[record])  # type: ignore[valid-type]
    for start in range(0, len(frame), CHUNK):
        try:
            adapter.validate_python(_rows(frame.iloc[start : start + CHUNK][names], kinds(record)))
        except ValidationError as error:
            for one in error.errors(include_url=False, include_context=False):
                row, *field = one["loc"]
                column = str(field[0]) if field else "row"
                if column in absent:
                    continue
                key = column, _words(one["msg"], one["input"])
                broken[key].append(start + int(row))
                found.setdefault(key, one["input"])
    sound = np.full(len(frame), not absent)
    for (column, words), positions in broken.items():
        rows = sorted(set(positions))
        sound[rows] = False
        shown = found[column, words]
        example = "" if shown is None or column == "row" else f", found {str(shown)[:60]!r}" if isinstance(shown, str) else f", found {shown}"
        problems.append(Problem(column, words + example, [int(line) for line in frame.index[rows[:SHOWN]]], len(rows)))
    return problems, sound


def _words(message: str, value: Any) -> str:
    if value is None:
        return "must not be empty"
    return message.replace("Input should be", "must be").replace("String should", "must")


def _rows(frame: pd.DataFrame, fields: Mapping[str, Kind]) -> list[dict[str, Any]]:
    """As JSON would carry them: missing values as None, whole numbers of an integer field as int, 0 and 1 of a boolean as bool."""
    columns = [_plain(frame[name], fields[str(name)]) for name in frame]
    return [dict(zip(frame.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(series: "pd.Series[Any]", kind: Kind) -> list[Any]:
    missing = series.isna().to_numpy()
    values = series.to_numpy(dtype=object).tolist()
    if kind == "integer" and series.dtype.kind == "f":
        values = [int(value) if isinstance(value, float) and value.is_integer() else value for value in values]
    elif kind == "boolean" and series.dtype.kind in "iuf":
        values = [bool(value) if value in (0, 1) else value for value in values]
    return [None if gone else value for value, gone in zip(values, missing, strict=True)] if missing.any() else values
