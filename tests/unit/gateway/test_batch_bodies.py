"""Bodies of batches: what they are, how they are read, and that one row means the same in each form."""

import csv
import gzip
import io
import json
import tracemalloc
import zlib
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.predictions.batch import media
from services.gateway.predictions.batch.csv_rows import Csv
from services.gateway.predictions.batch.intake import PIECE, Plain
from services.gateway.predictions.batch.json_rows import rows_of
from services.gateway.predictions.batch.media import Form
from services.gateway.predictions.contracts import of_catalogue
from services.kit.errors import BadRequest, Invalid, NotAcceptable, TooLarge
from tests.gateway import CONTRACTS

TINY = CONTRACTS["tiny"]
CREDIT = of_catalogue()["credit_scoring"]
LONGEST = 64 * 1024


def plain(body: bytes, coding: str | None = None, limit: int = 2**30) -> Plain:
    return Plain(io.BytesIO(body), coding, limit)


@pytest.mark.parametrize(
    ("accept", "request_form", "expected"),
    [
        (None, Form.csv, Form.csv),
        ("*/*", Form.ndjson, Form.ndjson),
        ("*/*", Form.parquet, Form.json),
        ("text/csv;q=0.5, application/json", Form.csv, Form.json),
        ("text/html, text/*", Form.json, Form.csv),
        ("application/*", Form.csv, Form.json),
        ("application/jsonl", Form.csv, Form.ndjson),
        ("text/csv;q=0, */*;q=0.1", Form.json, Form.json),
    ],
)
def test_the_answer_has_the_form_that_is_liked_best(accept: str | None, request_form: Form, expected: Form) -> None:
    assert media.form_of_answer(accept, request_form) is expected


def test_no_form_is_liked() -> None:
    for accept in ("text/html", "text/csv;q=0", "application/json;q=x"):
        with pytest.raises(NotAcceptable):
            media.form_of_answer(accept, Form.csv)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [(None, None), ("gzip", "gzip"), ("gzip, zstd", "zstd"), ("zstd;q=0.1, gzip", "gzip"), ("br", None), ("*", "zstd"), ("gzip;q=0", None)],
)
def test_the_answer_is_compressed_as_the_caller_likes(accept: str | None, coding: str | None) -> None:
    assert media.coding_of_answer(accept) == coding


COMPRESS: dict[str, Any] = {"gzip": gzip.compress, "zstd": zstandard.compress}


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_compressed_parts_are_read_one_after_the_other(coding: str) -> None:
    parts = [bytes(range(256)) * 900, b"", b"x" * (PIECE * 3), b"end"]
    assert io.BufferedReader(plain(b"".join(map(COMPRESS[coding], parts)), coding)).read() == b"".join(parts)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_found_out_without_being_unpacked(coding: str) -> None:
    if coding == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(80)) + packer.flush()
    else:
        packer_ = zstandard.ZstdCompressor(level=3).compressobj()
        bomb = b"".join(packer_.compress(bytes(2**20)) for _ in range(80)) + packer_.flush()
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="after decompression"):
            io.BufferedReader(plain(bomb, coding, limit=20_000_000), PIECE).readlines()
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_a_long_json_list_is_cut_between_its_rows_only() -> None:
    rows = [{"note": 'a},{"b', "n": [{"x": "]}"}, {"y": "\\"}], "i": i} for i in range(30_000)]
    for body in (json.dumps(rows), json.dumps({"rows": rows}, indent=1), json.dumps(rows, separators=(",", ":"))):
        assert [json.loads(row) for row in rows_of(io.BufferedReader(plain(body.encode())), LONGEST)] == rows


@pytest.mark.parametrize(
    ("begin", "end", "error"),
    [
        (b"[", b"", BadRequest),
        (b"[", b"]]", BadRequest),
        (b'{"rows":[', b"]", BadRequest),
        (b"[", b",]", BadRequest),
        (b'{"x":[', b"]}", BadRequest),
        (b"[1,", b"]", None),
    ],
)
def test_a_long_json_document_that_is_broken(begin: bytes, end: bytes, error: type[Exception] | None) -> None:
    body = begin + b",".join([b'{"age":1}'] * 20_000) + end
    if error is None:
        assert len(list(rows_of(io.BufferedReader(plain(body)), LONGEST))) == 20_001
        return
    with pytest.raises(error):
        list(rows_of(io.BufferedReader(plain(body)), LONGEST))


def test_a_json_row_has_a_bound() -> None:
    body = b'[{"note":"' + b"x" * 10 * LONGEST + b'"},{"age":1}]'
    with pytest.raises(TooLarge, match="A row may have"):
        list(rows_of(io.BufferedReader(plain(body)), LONGEST))


def written(names: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([names, *rows])
    return text.getvalue().encode()


def of_csv(contract: Any, body: bytes) -> list[Any]:
    """Each row as the audit keeps it, or its errors."""
    reader = Csv(plain(body), contract, LONGEST)
    found: list[Any] = []
    while records := reader.take():
        for record in records:
            try:
                found.append(json.loads(contract.encode(reader.row(record))))
            except Invalid as invalid:
                found.append(invalid.errors)
    return found


def of_json(contract: Any, row: dict[str, Any]) -> Any:
    try:
        return json.loads(contract.encode(contract.decode(json.dumps(row).encode())))
    except Invalid as invalid:
        return invalid.errors


CELLS = st.sampled_from(
    ["", "1", "0", "-0", "2.0", "2.5", "1e2", "1_0", "nan", "inf", "null", "None", "true", "٣", " 1", "1 ", "+1", ".5", "5.", "01", "1e999", "9" * 30, "text"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_a_cell_is_what_json_would_have_had(rows: list[tuple[str, str, str]]) -> None:
    def value(cell: str, whole: bool) -> Any:
        try:
            number = json.loads(cell) if cell == cell.strip() else cell
        except ValueError:
            return cell or None
        if type(number) not in (int, float) or number in (float("inf"), float("-inf")) or number != number:
            return cell
        return (int(number) if number == int(number) else number) if whole else float(number)

    expected = []
    for age, income, note in rows:
        row = {"age": value(age, True), "income": value(income, False), "note": note}
        expected.append(of_json(TINY, {name: cell for name, cell in row.items() if name != "note" or cell}))
    assert of_csv(TINY, written(["age", "income", "note"], [list(row) for row in rows])) == expected


def test_csv_of_every_model_says_what_json_says() -> None:
    for name, contract in of_catalogue().items():
        example = contract.schema.EXAMPLE
        cells = ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in example.values()]
        assert of_csv(contract, b"\xef\xbb\xbf" + written([*example], [cells])) == [of_json(contract, example)], name


def test_csv_in_all_its_liberty() -> None:
    body = b'note,age\n"a ""b"",\r\nc",1\r\n\r\n,2\nlast,3'
    assert [row["note"] for row in of_csv(TINY, body)] == ['a "b",\r\nc', "none", "last"]
    reader = Csv(plain(body), TINY, LONGEST)
    reader.take()
    assert reader.lines == [2, 4, 6]


def test_wrong_cells_are_told_as_wrong_fields() -> None:
    example = CREDIT.schema.EXAMPLE | {"contract_type": "Gift", "credit_amount": "much", "region_rating": 9, "annuity": 0}
    cells = ["" if value is None else str(value) for value in example.values()]
    [errors] = of_csv(CREDIT, written([*example], [cells]))
    assert errors == of_json(CREDIT, example | {"annuity": 0.0})
    assert [error["field"] for error in errors] == ["contract_type", "credit_amount", "annuity", "region_rating"]
