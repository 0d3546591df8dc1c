"""Which rows of a part may be answered, by the rules of the model's `Input`, and what is wrong with the others."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from bentos import cells, contract
from bentos.contract import RowReader
from bentos.schemas import Kind, kinds
from services.pipeline.scored import columns, rules
from services.pipeline.scored.columns import TYPES, Column

BLOCK = 5000
"""Rows that are looked at together: where pydantic sees each of them, they are Python objects meanwhile."""
SHOWN = 200
"""Characters of a value that was refused."""


class Refusal(NamedTuple):
    row: int
    """By its place in the block, in a part, or in the whole input: whoever holds it knows."""
    field: str
    rule: str
    value: str


@dataclass(frozen=True)
class Checked:
    good: NDArray[np.int64]
    """Positions of the rows that may be answered."""
    columns: dict[str, NDArray[Any]]
    """Of these rows, as `features.matrix` takes them."""
    asked: pa.Table
    """The same rows as a request has them, without the fields that they leave out."""
    refused: list[Refusal]


class Checker:
    def __init__(self, model: str, texts: bool) -> None:
        self._input = contract.schema(model).Input
        self._kinds = kinds(self._input)
        self._converters = cells.converters(self._input) if texts else None
        self._lists, self._defaulted = cells.lists_of(self._input), set(cells.defaulted(self._input))
        self._rules = rules.of_model(self._input)
        self._adapter = TypeAdapter(self._input)
        self._reader = RowReader(self._kinds)

    def blocks(self, part: pa.Table) -> Iterator[Checked]:
        """Positions are those in the part."""
        for at in range(0, part.num_rows, BLOCK):
            block = part.slice(at, BLOCK).combine_chunks()
            yield self._block(at, block)

    def _block(self, at: int, block: pa.Table) -> Checked:
        found = {name: self._column(block, name) for name in self._kinds}
        present = [name for name in self._kinds if name in block.column_names]
        plain = np.zeros(block.num_rows, dtype=np.bool_)
        if self._rules is not None:
            plain[:] = True
            for name, rule in self._rules.items():
                plain &= ~found[name].odd & rule(found[name].values)
        refused: list[Refusal] = []
        valid: dict[int, Any] = {}
        for row in np.flatnonzero(~plain).tolist():
            raw = self._raw(found, present, row)
            try:
                valid[row] = self._valid(raw)
            except ValidationError as error:
                refused += [Refusal(at + row, *one) for one in _errors(error)]
            except _Nul as nul:
                refused.append(Refusal(at + row, nul.field, "no character U+0000", ""))
        if valid:
            return self._one_by_one(at, found, present, valid, np.flatnonzero(plain).tolist(), refused)
        return self._together(at, found, present, np.flatnonzero(plain), refused)

    def _column(self, block: pa.Table, name: str) -> Column:
        kind = self._kinds[name]
        if name not in block.column_names:
            return columns.missing(block.num_rows, kind)
        chunk = block.column(name)
        given = chunk.chunk(0) if chunk.num_chunks else pa.array([], chunk.type)
        return columns.column(given, kind, self._converters[name] if self._converters else None, name in self._lists)

    def _raw(self, found: dict[str, Column], present: list[str], row: int) -> dict[str, Any]:
        values = {name: found[name].raw(row) for name in present}
        return {name: value for name, value in values.items() if value is not None or name not in self._defaulted}

    def _valid(self, raw: dict[str, Any]) -> dict[str, Any]:
        """The row with its defaults. By way of JSON, where it has values that JSON has: what a value may be is decided in one place."""
        try:
            # Of an infinite number orjson makes a null.
            infinite = any(isinstance(value, float) and not isfinite(value) for value in raw.values())
            row = self._adapter.validate_python(raw) if infinite else self._adapter.validate_json(orjson.dumps(raw))
        except TypeError:
            row = self._adapter.validate_python(raw)
        dumped = row.model_dump()
        for name, value in dumped.items():
            if "\0" in str(value):
                raise _Nul(name)
        return dumped

    def _together(self, at: int, found: dict[str, Column], present: list[str], good: NDArray[np.int64], refused: list[Refusal]) -> Checked:
        taken = {name: found[name].values.take(pa.array(good)) if refused else found[name].values for name in present}
        arrays = {name: _array(values) for name, values in taken.items()}
        return Checked(good + at, {name: arrays[name] for name in self._kinds if name in arrays}, pa.table(taken), refused)

    def _one_by_one(self, at: int, found: dict[str, Column], present: list[str], valid: dict[int, Any], plain: list[int], refused: list[Refusal]) -> Checked:
        """Where pydantic has let a row pass, its own values count, such as defaults: then all rows go its way."""
        for row in plain:
            valid[row] = self._valid(self._raw(found, present, row))
        good = sorted(valid)
        raws = [self._raw(found, present, row) for row in good]
        asked = {
            name: pa.array(
                [_sent(raw.get(name), self._kinds[name]) for raw in raws],
                pa.list_(TYPES[self._kinds[name]]) if name in self._lists else TYPES[self._kinds[name]],
            )
            for name in present
        }
        return Checked(np.array(good, dtype=np.int64) + at, self._reader([valid[row] for row in good]), pa.table(asked), refused)


class _Nul(Exception):
    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def _array(values: pa.Array) -> NDArray[Any]:
    if pa.types.is_string(values.type):
        found: NDArray[Any] = values.to_numpy(zero_copy_only=False)
        return found
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _sent(value: Any, kind: Kind) -> Any:
    """Pydantic takes true for a 1 of a list of numbers."""
    return int(value) if kind in ("integer", "number") and isinstance(value, bool) else value


def _errors(error: ValidationError) -> Iterator[tuple[str, str, str]]:
    for one in error.errors(include_url=False, include_context=False):
        given = "" if one["type"] == "missing" else one["input"]
        shown = f"{type(given).__name__} of {len(given)}" if isinstance(given, list | dict) else "" if given is None else str(given)
        yield ".".join(map(str, one["loc"])) or "row", one["msg"], shown[:SHOWN]
