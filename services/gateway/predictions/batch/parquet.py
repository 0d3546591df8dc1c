"""Rows of a Parquet file, which another process reads: the package `arrow` says why."""

from tempfile import TemporaryFile
from typing import TypeVar

import msgspec

from bentos import cells
from services.gateway.predictions.batch.arrow.process import Process
from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.readers import SLICE_BYTES, SLICE_ROWS
from services.gateway.predictions.batch.tables import check_columns
from services.gateway.predictions.contracts import Contract
from services.kit.errors import FieldError, Invalid, TooLarge

COPY_BYTES = 1024 * 1024
LONGEST_HEAD = 16 * 1024
"""Bytes of what is told of one column."""


class _Head(msgspec.Struct):
    rows: int
    columns: int


class _Column(msgspec.Struct):
    name: str
    type: str
    plain: bool


Told = TypeVar("Told", _Head, _Column)


class Parquet:
    """To be made, read and closed in a thread: it waits for the other process."""

    threaded = True
    lines: list[int] | None = None

    def __init__(self, plain: Plain, contract: Contract, most_rows: int, longest: int) -> None:
        """`longest`: bytes of a row. Raises BadRequest, Invalid or TooLarge for what is not Parquet with the model's columns and `most_rows` at most."""
        self._decode = contract.decode
        self._longest = longest
        self._given = 0
        integers = [name for name, kind in contract.fields.items() if kind == "integer"]
        with TemporaryFile() as file:
            while piece := plain.read(COPY_BYTES):
                file.write(piece)
            file.flush()
            self._process = Process(file, integers, cells.defaulted(contract.schema.Input))
        try:
            self._check(contract, most_rows)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._process.close()

    def take(self) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while len(taken) < SLICE_ROWS and size < SLICE_BYTES and (row := self._process.line(self._longest + 1)):
            if not row.endswith(b"\n"):
                raise Invalid(f"Row {self._given} is longer than the {self._longest} bytes that a row may have.")
            taken.append(row)
            size += len(row)
            self._given += 1
        return taken

    def row(self, raw: bytes) -> object:
        return self._decode(raw)

    def _check(self, contract: Contract, most_rows: int) -> None:
        head = self._told(_Head)
        columns = [self._told(_Column) for _ in range(head.columns)]
        check_columns([column.name for column in columns], contract)
        rule = "Column should have numbers, texts, booleans, dates or lists of them, not {}"
        errors = [FieldError(field=column.name, rule=rule.format(column.type), value=None) for column in columns if not column.plain]
        if errors:
            raise Invalid(f"{len(errors)} column{'s have' if len(errors) > 1 else ' has'} a type that no field has: see `errors`.", errors=errors)
        if head.rows > most_rows:
            raise TooLarge(f"A batch may have {most_rows} rows at most; the file has {head.rows}.")

    def _told(self, kind: type[Told]) -> Told:
        return msgspec.json.decode(self._process.line(LONGEST_HEAD), type=kind)
