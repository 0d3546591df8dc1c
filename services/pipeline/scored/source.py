"""Files and tables as record batches, some at a time: CSV (also .gz), Parquet, a table of PostgreSQL; files by path, or as an artifact of an MLflow run."""

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from csv import Error as CsvError
from csv import reader
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from bentos.contract import BadData, Problem

BLOCK_BYTES = 8 * 1024 * 1024
"""Of CSV that are parsed at a time: no line may be longer."""
BATCH_ROWS = 8192
MOST_HEADER_LINES = 100
"""Empty ones before the header, and line breaks in it."""
OPTION = "--input"
ENDINGS = (".csv", ".csv.gz", ".parquet")
ARTIFACT = re.compile(r"runs:/([0-9a-f]{32})/([^\0]+)")


@dataclass
class Source:
    name: str
    texts: bool
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    """All rows in their order but those in `ragged`."""
    ragged: dict[int, str] = field(default_factory=dict)
    """Rows that are no rows, such as a line of CSV with too many cells: what is wrong with each. A row is here before a later one is given."""


@contextmanager
def opened(given: str, fetch: Callable[[str, str], Path], tables_url: str | None) -> Iterator[Source]:
    """`fetch` brings the artifact of a run. Raises BadData for what is not there, or is not what its name says."""
    with ExitStack() as stack:
        if given.startswith("table:"):
            from services.pipeline.scored import repository

            name = given.removeprefix("table:")
            yield _texts(name, stack.enter_context(repository.rows(name, tables_url)))
            return
        path = Path(given)
        if found := ARTIFACT.fullmatch(given):
            path = fetch(found[1], found[2])
        if not path.name.endswith(ENDINGS):
            raise _problem(f"{given} must end with one of {', '.join(ENDINGS)}, or be table:NAME")
        try:
            file = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise _problem(f"{given} cannot be read here: {error.strerror}") from None
        if path.name.endswith(".parquet"):
            yield _parquet(path.name, file)
        elif path.name.endswith(".gz"):
            yield _texts(path.name, cast(IO[bytes], stack.enter_context(gzip.open(file))))
        else:
            yield _texts(path.name, file)


def _texts(name: str, file: IO[bytes]) -> Source:
    """CSV as the gateway's batches have it: RFC 4180 in UTF-8, a header; an empty cell is null, an empty line is no row."""
    ragged: dict[int, str] = {}

    def skip(row: Any) -> str:
        # pyarrow counts from 1, and no empty lines.
        ragged[row.number - 1] = f"must have {row.expected_columns} cells, has {row.actual_columns}"
        return "skip"

    names = _header(name, file)
    try:
        found = csv.open_csv(
            file,
            read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=names),
            parse_options=csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise _problem(f"{name} cannot be read as CSV: {error}") from None
    return Source(name, True, found.schema, _readable(name, found), ragged)


def _header(name: str, file: IO[bytes]) -> list[str]:
    """Leaves the file at the first row."""
    lines = (file.readline(BLOCK_BYTES).decode("utf-8-sig" if number == 0 else "utf-8") for number in range(MOST_HEADER_LINES))
    try:
        return next((cells for cells in reader(lines, strict=True) if cells), [])
    except (UnicodeDecodeError, CsvError, OSError, EOFError) as error:
        raise _problem(f"{name} has no header that could be read: {error}") from None


def _parquet(name: str, file: IO[bytes]) -> Source:
    try:
        found = pq.ParquetFile(file, pre_buffer=False)
        batches = found.iter_batches(BATCH_ROWS, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _problem(f"{name} cannot be read as Parquet: {error}") from None
    return Source(name, False, found.schema_arrow, _readable(name, batches))


def _readable(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (pa.ArrowException, OSError, EOFError) as error:
        raise _problem(f"{name} cannot be read to its end: {error}") from None


def _problem(words: str) -> BadData:
    return BadData([Problem(OPTION, words)])
