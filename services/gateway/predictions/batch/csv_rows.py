"""The rows of CSV: RFC 4180 with a header.

The csv module and msgspec's reading of texts take 5 µs together for a row of 16 fields. A library for data frames takes half of that with the same checks, and
90 MB for a large file.
"""

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from bentos import cells
from services.gateway.predictions import decoding
from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.readers import SLICE_BYTES, SLICE_ROWS
from services.gateway.predictions.batch.tables import check_columns, of_values
from services.gateway.predictions.contracts import Contract
from services.kit.errors import BadRequest, FieldError, Invalid

Record = list[str]


class Csv:
    """Commas; quotes, doubled within quotes; CRLF or LF. Empty lines are no rows."""

    threaded = False

    def __init__(self, plain: Plain, contract: Contract, longest: int) -> None:
        """`longest`: characters of a line. Raises BadRequest or Invalid for a header that does not fit."""
        self.lines: list[int] | None = []
        self._contract = contract
        self._longest = longest
        self._size = 0
        text = io.TextIOWrapper(io.BufferedReader(plain, SLICE_BYTES), "utf-8-sig", newline="")
        self._records = csv.reader(self._measured(text), strict=True)
        model = contract.schema.Input
        self._names = self._header()
        check_columns(self._names, contract)
        convert = cells.converters(model)
        self._convert = [convert[name] for name in self._names]
        self._optional = [name for name in cells.defaulted(model) if name in self._names]
        self._numeric = [at for at, name in enumerate(self._names) if contract.fields[name] != "text"]
        self._fast = _fast(contract)
        self._unusual = False

    def _measured(self, text: io.TextIOWrapper) -> Iterator[str]:
        number = 0
        while line := text.readline(self._longest + 2):
            number += 1
            self._size += len(line)
            if len(line) > self._longest + 1 and not line.endswith("\n"):
                raise Invalid(f"Line {number} is longer than the {self._longest} characters that a line may have.")
            yield line

    def _next(self) -> Iterator[Record]:
        """Records until there are many characters of them. Raises BadRequest for what is not CSV in UTF-8."""
        self._size = 0
        try:
            for record in self._records:
                if record:
                    yield record
                if self._size >= SLICE_BYTES:
                    break
        except csv.Error as error:
            raise BadRequest(f"The body is not CSV (RFC 4180): {error}, in or before line {self._records.line_num}.") from None
        except UnicodeDecodeError as error:
            raise BadRequest(f"The body is not UTF-8: {error.reason}, after line {self._records.line_num}.") from None

    def _header(self) -> Record:
        for record in self._next():
            return record
        raise BadRequest("The body is empty: the first line of CSV must name the columns.")

    def take(self) -> list[Record]:
        records: list[Record] = []
        self.lines = lines = []
        line = self._records.line_num + 1
        for record in self._next():
            records.append(record)
            lines.append(line)
            line = self._records.line_num + 1
            if len(records) == SLICE_ROWS:
                break
        self._unusual = self._looks_unusual(records)
        return records

    def _looks_unusual(self, records: list[Record]) -> bool:
        """msgspec takes `nan`, `inf` and `null` for numbers or none; here they are texts."""
        try:
            columns = [*zip(*records, strict=True)]
            return any("n" in "".join(columns[at]).lower() for at in self._numeric) if records else False
        except (ValueError, IndexError):
            return True  # records of different lengths

    def row(self, raw: Record) -> object:
        if len(raw) != len(self._names):
            rule = f"Row should have {len(self._names)} cells as the header, not {len(raw)}"
            raise Invalid(rule, errors=[FieldError(field="body", rule=rule, value=None)])
        if self._fast is not None and not self._unusual:
            values = dict(zip(self._names, [cell or None for cell in raw], strict=True))
            self._leave_out(values)
            try:
                return self._fast(values)
            except (msgspec.ValidationError, ValueError):
                pass  # the schema has the last word, and the words
        values = {name: convert(cell) for name, convert, cell in zip(self._names, self._convert, raw, strict=True)}
        self._leave_out(values)
        return of_values(values, self._contract)

    def _leave_out(self, values: dict[str, Any]) -> None:
        for name in self._optional:
            if values[name] is None:
                del values[name]


def _fast(contract: Contract) -> Callable[[Any], object] | None:
    """For texts: what it takes, the schema takes too, and gives the same row."""
    if contract.fast is None or cells.lists_of(contract.schema.Input):
        return None
    return partial(msgspec.convert, type=decoding.struct(contract.schema.Input), strict=False)
