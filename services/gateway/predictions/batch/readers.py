"""Bodies as rows, some at a time."""

import io
from collections.abc import Iterator
from typing import Any, Protocol

from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.json_rows import rows_of
from services.gateway.predictions.contracts import Contract
from services.kit.errors import BadRequest, FieldError, Invalid
from services.kit.http import shown

SLICE_ROWS = 128
"""Rows taken at a time: what is done with them holds up everything else for about half a millisecond."""
SLICE_BYTES = 1024 * 1024


class Reader(Protocol):
    threaded: bool
    """`take` is long work that a thread can do beside Python."""
    lines: list[int] | None
    """Where each of the rows last taken begins, from 1; None where that says no more than the row's number."""

    def take(self) -> list[Any]:
        """The next rows as they came; none at the end. Raises BadRequest or Invalid when the body as a whole is not what it should be."""

    def row(self, raw: Any) -> object:
        """The valid row. Raises Invalid."""


class Json:
    """`{"rows": […]}` or a bare array."""

    threaded = False
    lines: list[int] | None = None

    def __init__(self, plain: Plain, contract: Contract, longest: int) -> None:
        """`longest`: bytes of a row."""
        self._decode = contract.decode
        self._rows = rows_of(io.BufferedReader(plain, SLICE_BYTES), longest)

    def take(self) -> list[bytes]:
        return _bounded(self._rows)

    def row(self, raw: bytes) -> object:
        return self._decode(raw)


class Ndjson:
    """One JSON object per line; empty lines are no rows. A line that is not JSON is a fault of that row."""

    threaded = False
    lines: list[int] | None = None

    def __init__(self, plain: Plain, contract: Contract, longest: int) -> None:
        """`longest`: bytes of a row."""
        self._decode = contract.decode
        self._longest = longest
        self._rows = self._stripped(io.BufferedReader(plain, SLICE_BYTES))

    def _stripped(self, file: io.BufferedReader) -> Iterator[bytes]:
        number = 0
        while line := file.readline(self._longest + 2):
            number += 1
            if len(line) > self._longest + 1 and not line.endswith(b"\n"):
                raise Invalid(f"Line {number} is longer than the {self._longest} bytes that a row may have.")
            if row := (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip():
                yield row

    def take(self) -> list[bytes]:
        return _bounded(self._rows)

    def row(self, raw: bytes) -> object:
        try:
            return self._decode(raw)
        except BadRequest as problem:
            raise Invalid(problem.detail, errors=[FieldError(field="body", rule=problem.detail, value=shown(raw.decode(errors="replace")))]) from None


def _bounded(rows: Iterator[bytes]) -> list[bytes]:
    taken: list[bytes] = []
    size = 0
    for row in rows:
        taken.append(row)
        size += len(row)
        if len(taken) == SLICE_ROWS or size >= SLICE_BYTES:
            break
    return taken
