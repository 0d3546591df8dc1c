"""Checks of whole columns against pydantic, row by row; and how an input is cut into parts."""

import json
import random
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import csv
from pyarrow import parquet as pq
from pydantic import TypeAdapter, ValidationError

from bentos import catalogue, cells, contract
from bentos.contract import BadData
from services.pipeline.scored import rules
from services.pipeline.scored.checking import Checker
from services.pipeline.scored.ingest import RAGGED, ROW, _parts
from services.pipeline.scored.source import opened

ODD: list[Any] = [None, "", "x", "1", 1, 1.0, 1.5, -1, 0, 7, 1e300, float("inf"), float("nan"), True, 2**60, " 1", "1_0", "nan", "Cash loans\0"]
TEXTS = ["", "x", "1", "1.0", "1.50", "-1", "0", "007", "1e3", "inf", "nan", "true", "False", " 1", "1_0", "+1", ".5", "9007199254740993", "½"]
TABLES = [name for name in catalogue.names() if rules.of_model(contract.schema(name).Input)]


def no_fetch(run_id: str, path: str) -> Path:
    raise AssertionError((run_id, path))


def of_pydantic(model: str, rows: list[dict[str, Any]]) -> dict[int, set[str]]:
    """By row, the fields that are wrong."""
    adapter = TypeAdapter(contract.schema(model).Input)
    found: dict[int, set[str]] = {}
    for number, row in enumerate(rows):
        try:
            adapter.validate_json(orjson.dumps(row))
        except ValidationError as error:
            found[number] = {str(one["loc"][0]) for one in error.errors()}
    return found


def refused(checker: Checker, part: pa.Table) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for block in checker.blocks(part):
        for one in block.refused:
            found.setdefault(one.row, set()).add(one.field)
    return found


def test_most_models_are_checked_by_columns() -> None:
    assert {"credit_scoring", "attrition"} <= set(TABLES)


@pytest.mark.parametrize("model", TABLES)
def test_texts_are_judged_as_the_gateway_judges_cells_of_csv(model: str) -> None:
    """A row for each pair of a field and an odd text, the rest of it good."""
    schema = contract.schema(model)
    convert = cells.converters(schema.Input)
    good = {name: "" if value is None else str(value) for name, value in schema.EXAMPLE.items()}
    rows = [good | {name: text} for name in schema.Input.model_fields for text in TEXTS]
    expected = of_pydantic(model, [{name: convert[name](text) for name, text in row.items()} for row in rows])
    part = pa.table({name: pa.array([row[name] or None for row in rows]) for name in good})
    assert refused(Checker(model, texts=True), part) == expected
    assert expected


@pytest.mark.parametrize("model", TABLES)
def test_values_are_judged_as_pydantic_judges_json(model: str) -> None:
    """One field at a time, in columns of each type that a Parquet file may have."""
    schema, checker = contract.schema(model), Checker(model, texts=False)
    for name in schema.Input.model_fields:
        for kind in (pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.float32(), pa.dictionary(pa.int32(), pa.string())):
            values = [one for one in ODD if one is None or _fits(one, kind)]
            column = pa.array(values, kind)
            asked = [_as_json(model, name, value) for value in column.to_pylist()]
            expected = of_pydantic(model, [schema.EXAMPLE | {name: value} for value in asked])
            others = {other: pa.array([value] * len(values)) for other, value in schema.EXAMPLE.items() if other != name}
            found = refused(checker, pa.table({**others, name: column}))
            nul = {number for number, value in enumerate(asked) if isinstance(value, str) and "\0" in value}
            assert {number for number in found if number not in nul} == expected.keys() - nul, (name, kind)


def _fits(value: Any, kind: pa.DataType) -> bool:
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        return isinstance(value, str)
    if pa.types.is_boolean(kind):
        return isinstance(value, bool)
    return not isinstance(value, bool | str) and (isinstance(value, int) != pa.types.is_floating(kind))


def _as_json(model: str, name: str, value: Any) -> Any:
    """`2.0` is 2 for an integer, NaN is null; what JSON has not, an infinite number, is no number at all."""
    if isinstance(value, float):
        if value != value:
            return None
        if abs(value) == float("inf"):
            return "inf"
        if contract.kinds(contract.schema(model).Input)[name] == "integer" and value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def test_good_rows_become_the_columns_that_a_request_becomes() -> None:
    model = "credit_scoring"
    frame = contract.data(model).synthetic(700, 3, 0.0)
    examples = contract.train(model).examples(frame)
    part = pa.Table.from_pandas(frame, preserve_index=False)
    found = list(Checker(model, texts=False).blocks(part))
    assert sum(len(block.good) for block in found) == 700
    for name, values in examples.columns.items():
        assert [str(one) for one in found[0].columns[name]] == [str(one) for one in values]


def test_windows_of_candles_are_checked_one_by_one() -> None:
    model = "crypto_price"
    example = contract.schema(model).EXAMPLE
    wrong = example | {"close": example["close"][:3]}
    part = pa.Table.from_pylist([example, wrong, example])
    (found,) = Checker(model, texts=False).blocks(part)
    assert found.good.tolist() == [0, 2]
    assert {one.field.split(".")[0] for one in found.refused} == {"close"}


def test_rows_keep_their_numbers_whatever_lines_are_broken(tmp_path: Path) -> None:
    generator = random.Random(5)
    broken = sorted(generator.sample(range(1000), 100))
    lines = ["n,text", *(f"{number},x,y" if number in broken else f'{number},"a\nb"' for number in range(1000))]
    file = tmp_path / "numbers.csv"
    file.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    with opened(str(file), no_fetch, None) as source:
        parts = [part for part, _ in _parts(source, 64)]
    numbers = [number for part in parts for number in part.column(ROW).to_pylist()]
    assert numbers == [number for number in range(1000) if number not in broken]
    assert [int(text) for part in parts for text in part.column("n").to_pylist()] == numbers
    told = [int(number) for part in parts for number in json.loads(part.schema.metadata[RAGGED])]
    assert sorted(told) == broken
    assert all(part.num_rows <= 64 for part in parts)


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.csv.gz"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"\xff\xfe\x00 nothing")
    with pytest.raises(BadData), opened(str(file), no_fetch, None) as source:
        list(source.batches)


def test_a_gzipped_file_is_read_as_the_plain_one(tmp_path: Path) -> None:
    table = pa.table({"a": [str(number) for number in range(500)]})
    with pa.CompressedOutputStream(str(tmp_path / "rows.csv.gz"), "gzip") as into:
        csv.write_csv(table, into)
    with opened(str(tmp_path / "rows.csv.gz"), no_fetch, None) as source:
        assert pa.Table.from_batches(source.batches).column("a").to_pylist() == table.column("a").to_pylist()


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """What Arrow keeps at most, for a file of two sizes."""
    peaks = []
    for groups in (5, 50):
        file = tmp_path / f"{groups}.parquet"
        with pq.ParquetWriter(file, pa.schema([("a", pa.float64())])) as writer:
            for _ in range(groups):
                writer.write_table(pa.table({"a": pa.array(range(20_000), pa.float64())}))
        pool = pa.default_memory_pool()
        before, peak = pool.bytes_allocated(), 0
        with opened(str(file), no_fetch, None) as source:
            for _ in _parts(source, 20_000):
                peak = max(peak, pool.bytes_allocated() - before)
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.5
