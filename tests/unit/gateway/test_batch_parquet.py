"""What a Parquet file means, and which ones are refused."""

import datetime as dt
import decimal
import io
import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.gateway.predictions.batch.arrow import footer
from services.gateway.predictions.contracts import Contract, of_catalogue
from services.kit.errors import BadRequest, Invalid, TooLarge
from tests.unit.gateway.parquets import LONGEST, TINY, opened, read, written

NAN, INF = float("nan"), float("inf")


def of_json(contract: Contract, row: dict[str, Any]) -> Any:
    try:
        return json.loads(contract.encode(contract.decode(json.dumps(row).encode())))
    except Invalid as invalid:
        return invalid.errors


NOON = dt.datetime(2024, 2, 29, 12)  # noqa: DTZ001 - a column may have no zone
COLUMNS: list[tuple[str, pa.Array, list[Any]]] = [
    ("age", pa.array([1.0, 2.0, 120.0]), [1, 2, 120]),
    ("age", pa.array([1.0, 2.5, None]), [1, 2.5, None]),
    ("age", pa.array([1.0, INF, NAN]), [1, "inf", None]),
    ("age", pa.array([1.0, -0.0, 1e300]), [1, 0, int(1e300)]),
    ("age", pa.array([1, 2, 2**64 - 1], pa.uint64()), [1, 2, 2**64 - 1]),
    ("age", pa.array([1, 2, -3], pa.int8()), [1, 2, -3]),
    ("age", pa.array([1, 2, None], pa.decimal128(12, 2)), [1, 2, None]),
    ("age", pa.array([True, False, None]), [True, False, None]),
    ("age", pa.array([[1], [], None]), [[1], [], None]),
    ("age", pa.array(["1", "", None]), ["1", "", None]),
    ("income", pa.array([1.5, NAN, None]), [1.5, None, None]),
    ("income", pa.array([INF, -INF, 1e300]), ["inf", "-inf", 1e300]),
    ("income", pa.array([0.1, 65_504, None], pa.float16()), [0.0999755859375, 65_504.0, None]),
    ("income", pa.array([0.1, 2, None], pa.float32()), [0.10000000149011612, 2.0, None]),
    ("income", pa.array([1, 2, None], pa.int64()), [1, 2, None]),
    ("income", pa.array([decimal.Decimal("1.50"), None, decimal.Decimal(-2)]), [1.5, None, -2.0]),
    ("income", pa.array([1.5, 2.5, 1.5]).dictionary_encode(), [1.5, 2.5, 1.5]),
    ("income", pa.nulls(3), [None, None, None]),
    ("income", pa.array([[1.0, INF], [NAN], None]), [[1.0, "inf"], [None], None]),
    ("note", pa.array(["a", None, ""]), ["a", ..., ""]),
    ("note", pa.array(["a", None, "a"]).dictionary_encode(), ["a", ..., "a"]),
    ("note", pa.array(['"\\\n\r\u2028\x01é😀', "{", "!"], pa.large_string()), ['"\\\n\r\u2028\x01é😀', "{", "!"]),
    ("note", pa.array(["\0", "a", None], pa.string_view()), ["\0", "a", ...]),
    ("note", pa.array([1.5, NAN, INF]), [1.5, ..., "inf"]),
    ("note", pa.array([dt.date(2024, 2, 29), None, dt.date(1, 1, 1)]), ["2024-02-29", ..., "0001-01-01"]),
    ("note", pa.array([NOON, None, None]), ["2024-02-29T12:00:00", ..., ...]),
    ("note", pa.array([NOON, None, None], pa.timestamp("ms", "Europe/Paris")), ["2024-02-29T13:00:00+01:00", ..., ...]),
]


@pytest.mark.parametrize(("name", "column", "meant"), COLUMNS)
def test_a_column_means_what_json_would_have_said(name: str, column: pa.Array, meant: list[Any]) -> None:
    rows = [({} if name == "age" else {"age": 1}) | ({} if value is ... else {name: value}) for value in meant]
    body = written({name: column} if name == "age" else {"age": pa.array([1, 1, 1]), name: column})
    assert read(body) == [of_json(TINY, row) for row in rows]


@pytest.mark.parametrize("model", of_catalogue())
def test_parquet_of_every_model_says_what_json_says(model: str) -> None:
    contract = of_catalogue()[model]
    example = contract.schema.EXAMPLE
    floats = {
        name: [float(one) for one in value] if isinstance(value, list) else float(value) if isinstance(value, int) else value for name, value in example.items()
    }
    table = pa.Table.from_pylist([example] * 300)
    assert read(written(table), contract) == read(written(pa.Table.from_pylist([floats] * 300)), contract) == [of_json(contract, example)] * 300


def test_rows_keep_their_order_over_pages_and_row_groups() -> None:
    rows = [{"age": i % 120, "income": None if i % 7 == 0 else i / 8, "note": f"no {i}"} for i in range(20_000)]
    for options in ({"row_group_size": 700}, {"data_page_size": 100, "compression": "zstd"}, {"use_dictionary": False, "data_page_version": "2.0"}):
        assert read(written(pa.Table.from_pylist(rows), **options)) == rows
    for compression in ("none", "snappy", "gzip", "brotli", "lz4"):
        assert read(written(pa.Table.from_pylist(rows[:9]), compression=compression)) == rows[:9]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([b"a"]), "Binary"),
        (pa.array([b"ab"], pa.binary(2)), "FixedSizeBinary"),
        (pa.array([{"a": 1}]), "Struct"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "Map"),
        (pa.array([[[1]]]), "List"),
        (pa.array([[b"a"]]), "List"),
        (pa.array([dt.timedelta(1)]), "Duration"),
        (pa.array([dt.time(1)]), "Time64"),
    ],
)
def test_a_column_of_another_type_is_named(column: pa.Array, kind: str) -> None:
    with pytest.raises(Invalid, match="1 column has a type") as refused:
        read(written({"age": [1], "note": column}))
    assert [(error["field"], error["rule"].endswith(f", not {kind}")) for error in refused.value.errors or []] == [("note", True)]


def test_columns_are_those_of_the_model() -> None:
    for names, fields in ((["age", "x", "y"], ["x", "y"]), (["age", "age"], ["age"]), (["note"], ["age"]), (['"\n', "age"], ['"\n'])):
        with pytest.raises(Invalid) as refused:
            read(written(pa.table([pa.array([1])] * len(names), names=names)))
        assert [error["field"] for error in refused.value.errors or []] == fields
    for names, words in ((list(map(str, range(1001))), "1001 columns"), (["x" * 1001], "1001 characters"), ([], "0 columns")):
        with pytest.raises(BadRequest, match=words):
            read(written(pa.table([pa.array([1])] * len(names), names=names)))


def test_a_row_has_a_bound_and_so_has_their_number() -> None:
    with pytest.raises(Invalid, match=f"Row 1 is longer than the {LONGEST} bytes"):
        read(written({"age": [1, 2], "note": ["", "x" * LONGEST]}))
    with pytest.raises(TooLarge, match="10 rows at most; the file has 11"):
        opened(written({"age": [1] * 11}), most_rows=10)
    assert read(written({"age": pa.array([], pa.int64())})) == []


WHOLE = written({"age": list(range(100)), "note": [f"{i}" * 9 for i in range(100)]}, compression="gzip")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "0 bytes"),
        (b"age\n1\n" * 9, "does not end with PAR1"),
        (WHOLE[:-1], "cut off"),
        (WHOLE[100:], "."),
        (WHOLE[-100:], "shorter than its footer says"),
        (WHOLE[:-4] + b"PARE", "encrypted"),
        (b"PAR1" + bytes(90) + b"\x08\0\0\0PAR1", "does not say how many rows"),
        (b"PAR1" + b"\x19\xfc" * 9 + b"\x12\0\0\0PAR1", "does not say how many rows"),
    ],
)
def test_what_is_not_parquet_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=f"The body is not Parquet: .*({words})"):
        read(body)


def test_a_file_with_any_byte_wrong_is_read_or_refused() -> None:
    chance, refused = random.Random(7), 0
    for _ in range(40):
        body = bytearray(WHOLE)
        body[chance.randrange(4, len(body) - 8)] ^= chance.randrange(1, 256)
        try:
            read(bytes(body))
        except (BadRequest, Invalid, TooLarge):
            refused += 1
    assert 0 < refused < 40


def test_the_footer_says_how_many_rows_there_are() -> None:
    keyed = pa.table({"age": [1, 2], "note": [[True], [False, True]]}).replace_schema_metadata({"key": "x" * 9000})
    for body in (
        WHOLE,
        written(keyed),
        written(keyed, row_group_size=1, write_page_index=True, sorting_columns=[pq.SortingColumn(0)]),
        written({"age": pa.nulls(0)}),
    ):
        assert footer.rows(io.BytesIO(body)) == pq.read_metadata(io.BytesIO(body)).num_rows


def test_a_footer_that_lies_is_found_out() -> None:
    body = bytearray(written({"age": [1] * 50}))
    at = body.rindex(b"\x16\x64")  # field 3, 50 rows; a row group says the same before
    for lie, words in ((b"\x16\x62", "49 rows, and there are more"), (b"\x16\x66", "51 rows, and there are 50")):
        last = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
        first = body.index(b"\x16\x64", last)
        for place in {first, at}:
            changed = body[:place] + lie + body[place + 2 :]
            if footer.rows(io.BytesIO(changed)) != 50:
                with pytest.raises(BadRequest, match=words):
                    read(bytes(changed))
                break
        else:
            pytest.fail("the number of rows was not found")
