"""Rows of a Parquet file. polars is imported by the first request that has one: it takes 40 MB."""

import os
from collections.abc import Iterator
from math import inf
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

from bentos.schemas import kinds
from services.gateway.predictions.batch import cells
from services.gateway.predictions.batch.intake import Plain
from services.gateway.predictions.batch.readers import SLICE_ROWS
from services.gateway.predictions.batch.tables import check_columns, of_values
from services.gateway.predictions.contracts import Contract
from services.kit.errors import BadRequest, Invalid, TooLarge

if TYPE_CHECKING:
    import polars

FRAME_ROWS = 8192
FRAME_BYTES = 64 * 1024 * 1024
"""Text of one frame: a dictionary of few long texts can stand for any amount of it."""
COPY_BYTES = 1024 * 1024


class Parquet:
    """Made and read in a thread: decoding is long work, and happens outside of Python's lock."""

    threaded = True
    lines: list[int] | None = None

    def __init__(self, plain: Plain, contract: Contract, most_rows: int) -> None:
        """Raises BadRequest or Invalid for what is not a Parquet file with the model's columns, TooLarge for more than `most_rows`."""
        os.environ.setdefault("POLARS_MAX_THREADS", "2")
        import polars as pl
        from polars.exceptions import PolarsError

        self._pl, self._error = pl, PolarsError
        self._contract = contract
        self._file = NamedTemporaryFile(suffix=".parquet")  # noqa: SIM115 - lives as long as this reader
        while piece := plain.read(COPY_BYTES):
            self._file.write(piece)
        self._file.flush()
        try:
            self._scan = pl.scan_parquet(Path(self._file.name))
            self._names = self._scan.collect_schema().names()
            self._left = int(self._scan.select(pl.len()).collect().item())
        except (PolarsError, OSError) as error:
            raise _unreadable(error) from None
        check_columns(self._names, contract)
        if self._left > most_rows:
            raise TooLarge(f"A batch may have {most_rows} rows at most; the file has {self._left}.")
        fields = kinds(contract.schema.Input)
        self._integers = [name for name in self._names if fields[name] == "integer"]
        self._optional = [name for name in cells.defaulted(contract.schema.Input) if name in self._names]
        self._rows = self._read()

    def take(self) -> list[dict[str, Any]]:
        return [row for _, row in zip(range(SLICE_ROWS), self._rows, strict=False)]

    def row(self, values: dict[str, Any]) -> object:
        return of_values(values, self._contract)

    def _read(self) -> Iterator[dict[str, Any]]:
        try:
            for at in range(0, self._left, FRAME_ROWS):
                yield from self._plain(self._scan.slice(at, FRAME_ROWS).collect())
        except (self._error, OSError) as error:
            raise _unreadable(error) from None

    def _plain(self, frame: "polars.DataFrame") -> Iterator[dict[str, Any]]:
        """Integral numbers as integers, NaN as null, categories as text: what pandas makes of columns with gaps."""
        pl = self._pl
        import polars.selectors as selectors

        texts = frame.select(selectors.string().str.len_bytes().cast(pl.UInt64).sum())
        if texts.width and sum(texts.row(0)) > FRAME_BYTES:
            raise Invalid(f"The texts of {FRAME_ROWS} rows may have {FRAME_BYTES} bytes at most.")
        frame = frame.with_columns(selectors.categorical().cast(pl.String), selectors.decimal().cast(pl.Float64), selectors.float().fill_nan(None))
        infinite = [name for name, found in frame.select(selectors.float().is_infinite().any()).to_dict(as_series=False).items() if found[0]]
        integers = [name for name in self._integers if frame.schema[name].is_float()]
        for row in frame.iter_rows(named=True):
            for name in integers:
                if row[name] is not None and row[name].is_integer():
                    row[name] = int(row[name])
            for name in infinite:
                # JSON has no infinity: as text it is refused like any other text.
                row[name] = str(row[name]) if row[name] in (inf, -inf) else row[name]
            for name in self._optional:
                if row[name] is None:
                    del row[name]
            yield row


def _unreadable(error: Exception) -> BadRequest:
    return BadRequest(f"The body is not Parquet: {str(error).splitlines()[0] if str(error) else type(error).__name__}.")
