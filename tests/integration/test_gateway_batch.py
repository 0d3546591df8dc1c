"""Batches from request to audited answer, in every form."""

import csv
import gzip
import io
import json
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from services.gateway.access import Role
from tests.gateway import EXAMPLE, Gateway, started

ROWS = 2500
PATH = "/predict/tiny/batch"


def rows_of(count: int) -> list[dict[str, Any]]:
    return [{"age": i % 100, "income": None if i % 7 == 0 else i / 8, "note": f"no, {i}\n" if i % 11 == 0 else str(i)} for i in range(count)]


def as_csv(rows: list[dict[str, Any]], names: tuple[str, ...] = ("note", "age", "income")) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def body_of(media: str, rows: list[dict[str, Any]]) -> bytes:
    match media:
        case "application/json":
            return json.dumps({"rows": rows}).encode()
        case "text/csv":
            return as_csv(rows)
        case "application/vnd.apache.parquet":
            return as_parquet(rows)
    return b"\n".join(json.dumps(row).encode() for row in rows)


def read(answer: Any) -> list[dict[str, Any]]:
    """The answer's rows, whatever its form; CSV's as texts."""
    match answer.headers["content-type"].partition(";")[0]:
        case "application/json":
            return list(answer.json()["predictions"])
        case "text/csv":
            return list(csv.DictReader(io.StringIO(answer.text, newline="")))
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
async def ann(gateway: Gateway) -> dict[str, str]:
    gateway.runner.score = lambda row: row["age"] / 128
    return await gateway.user("ann", Role.analyst)


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson", "application/jsonl", "text/csv", "application/vnd.apache.parquet"])
async def test_rows_in_every_form_are_answered_in_order_and_stored(gateway: Gateway, ann: dict[str, str], media: str) -> None:
    rows = rows_of(ROWS)
    for accept in ("", "application/json", "application/x-ndjson", "text/csv"):
        await check(gateway, ann, rows, media, accept)


async def check(gateway: Gateway, ann: dict[str, str], rows: list[dict[str, Any]], media: str, accept: str) -> None:
    headers = ann | {"Content-Type": media} | ({"Accept": accept} if accept else {})
    answer = await gateway.client.post(PATH, content=body_of(media, rows), headers=headers)
    assert answer.status_code == 200, answer.text
    own = {"application/jsonl": "application/x-ndjson", "application/vnd.apache.parquet": "application/json"}.get(media, media)
    assert answer.headers["content-type"].partition(";")[0] == (accept or own)
    found = read(answer)
    assert [float(one["probability"]) for one in found] == [row["age"] / 128 for row in rows]
    stored = await gateway.query(
        "SELECT id::text, input, score, output->>'decision', model_version FROM predictions WHERE batch_id = %s ORDER BY row_number",
        answer.headers["X-Batch-ID"],
    )
    assert stored == [(one["prediction_id"], row, row["age"] / 128, "stays", "3") for one, row in zip(found, rows, strict=True)]
    assert answer.headers["X-Rows-Failed"] == "0"
    if answer.headers["content-type"] != "application/json":
        assert {(one["model_version"], str(one["policy_version"])) for one in found} == {("3", "2")}
    else:
        assert answer.json().keys() == {"batch_id", "model", "model_version", "policy_version", "predictions"}
    assert max(map(len, gateway.runner.calls)) < ROWS


async def test_a_bare_array_is_a_batch_too(gateway: Gateway, ann: dict[str, str]) -> None:
    answer = await gateway.client.post(PATH, json=[{"age": 64}, {"age": 0}], headers=ann)
    assert [one["probability"] for one in answer.json()["predictions"]] == [0.5, 0]
    assert gateway.runner.calls == [[{"age": 64, "income": None, "note": "none"}, {"age": 0, "income": None, "note": "none"}]]


BAD_ROWS: list[dict[str, Any]] = [EXAMPLE, {"age": 121}, EXAMPLE, {"age": "x", "income": "y"}, EXAMPLE]
FOUND = [(1, ["age"]), (3, ["age", "income"])]


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson", "text/csv"])
async def test_by_default_all_errors_are_told_and_nothing_is_done(gateway: Gateway, ann: dict[str, str], media: str) -> None:
    body = as_csv([{"note": "a\nb"} | row for row in BAD_ROWS]) if media == "text/csv" else body_of(media, BAD_ROWS)
    answer = await gateway.client.post(PATH, content=body, headers=ann | {"Content-Type": media})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    errors = answer.json()["errors"]
    assert [error["field"] for error in errors] == [f"rows.{row}.{field}" for row, fields in FOUND for field in fields]
    # Each note takes two lines, and the header one.
    assert [error.get("line") for error in errors] == ([4, 8, 8] if media == "text/csv" else [None] * 3)
    assert [error["value"] for error in errors] == [121, "x", "y"]
    assert (gateway.runner.calls, await gateway.query("SELECT count(*) FROM predictions")) == ([], [(0,)])


@pytest.mark.parametrize("count", [5, 6200])
@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/csv"])
async def test_good_rows_are_answered_around_the_bad_ones(gateway: Gateway, ann: dict[str, str], accept: str, count: int) -> None:
    """Also where a whole chunk, the first or the last one, is bad."""
    rows: list[dict[str, Any]] = [*BAD_ROWS] if count == 5 else [{"age": i % 100 if 2100 < i < 5900 and i % 3 else -1} for i in range(count)]
    body = body_of("application/x-ndjson", rows)
    answer = await gateway.client.post(f"{PATH}?on_error=skip", content=body, headers=ann | {"Content-Type": "application/jsonl", "Accept": accept})
    assert answer.status_code == 200, answer.text
    good = [number for number, row in enumerate(rows) if isinstance(row["age"], int) and 0 <= row["age"] <= 120]
    found = read(answer)
    assert (len(found), answer.headers["X-Rows-Failed"]) == (count, str(count - len(good)))
    assert [i for i, one in enumerate(found) if one and one.get("prediction_id")] == good
    assert [float(found[number]["probability"]) for number in good] == [rows[number]["age"] / 128 for number in good]
    stored = await gateway.query("SELECT row_number, id::text FROM predictions ORDER BY row_number")
    assert stored == [(number, found[number]["prediction_id"]) for number in good]
    bad = next(number for number in range(count) if number not in good)
    if accept == "application/json":
        document = answer.json()
        assert document["rows_failed"] == count - len(good)
        assert [error["row"] for error in document["errors"]] == [number for number in range(count) if number not in good][:1000]
    elif accept == "text/csv":
        assert found[bad]["error"].startswith("age: Input should be ")
        assert {found[number]["error"] for number in good} == {""}
    else:
        assert (found[bad]["row"], found[bad]["errors"][0]["field"]) == (bad, "age")


async def test_a_line_that_is_not_json_spoils_only_itself(gateway: Gateway, ann: dict[str, str]) -> None:
    headers = ann | {"Content-Type": "application/x-ndjson"}
    body = b'{"age": 1}\n{"age": 2\n\n[3]\n{"age": 4}'
    refused = await gateway.client.post(PATH, content=body, headers=headers)
    assert [error["field"] for error in refused.json()["errors"]] == ["rows.1", "rows.2"]
    answer = await gateway.client.post(f"{PATH}?on_error=skip", content=body, headers=headers)
    assert ["errors" in one for one in read(answer)] == [False, True, True, False]


async def test_when_no_row_is_good_there_is_no_answer(gateway: Gateway, ann: dict[str, str]) -> None:
    answer = await gateway.client.post(f"{PATH}?on_error=skip", json=[{"age": -1}] * 3, headers=ann)
    assert (answer.status_code, len(answer.json()["errors"])) == (422, 3)
    many = await gateway.client.post(PATH, json=[{"age": -1}] * 9000, headers=ann)
    assert (len(many.json()["errors"]), "2048 field errors in the first 2048 rows, of which 1000 are listed" in many.text) == (1000, True)


CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
PARQUET = {"Content-Type": "application/vnd.apache.parquet"}
REFUSED: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("", b"", {}, 415, "application/json, application/x-ndjson, text/csv, application/vnd.apache.parquet, application/jsonl"),
    ("", b"age\n1", {"Content-Type": "text/plain"}, 415, "text/plain"),
    ("", b"age\n1", {"Content-Type": "text/csv; charset=latin-1"}, 415, "utf-8"),
    ("", b"age\n1", CSV | {"Accept": "text/html, application/vnd.apache.parquet"}, 406, "application/json"),
    ("", b"age\n1", CSV | {"Content-Encoding": "br"}, 415, "gzip, zstd"),
    ("", b"age\n1", CSV | {"Content-Encoding": "gzip"}, 400, "not gzip"),
    ("", gzip.compress(b"age\n1")[:-9], CSV | {"Content-Encoding": "gzip"}, 400, "ends too early"),
    ("", zstandard.compress(b"age\n1")[:-1], CSV | {"Content-Encoding": "zstd"}, 400, "not zstd"),
    ("?on_error=ignore", b"age\n1", CSV, 400, "on_error"),
    ("", b"age\n1", CSV | {"X-Request-Timeout": "soon"}, 400, "X-Request-Timeout"),
    ("", b"", CSV, 400, "empty"),
    ("", b"age\n", CSV, 422, "at least 1"),
    ("", b"age,wrong,age\n1,2,3", CSV, 422, "wrong"),
    ("", b"income\n1", CSV, 422, "Column required"),
    ("", b'age,note\n1,"open', CSV, 400, "not CSV"),
    ("", b'age,note\n1,"a"b', CSV, 400, "not CSV"),
    ("", b"age,note\n1,\xff", CSV, 400, "not UTF-8"),
    ("", b"age\n1,2", CSV, 422, "2"),
    ("", b"age,note\n1," + b"x" * 300_000, CSV, 422, "longer"),
    ("", b"\n\n", NDJSON, 422, "at least 1"),
    ("", b'{"age": 1, "note": "' + b"x" * 300_000 + b'"}', NDJSON, 422, "longer"),
    ("", b"[]", JSON, 422, "at least 1"),
    ("", b"{}", JSON, 422, "Field required"),
    ("", b'{"rows": {}}', JSON, 422, "valid array"),
    ("", b'{"rows": [], "more": 1}', JSON, 422, "Extra inputs"),
    ("", b"7", JSON, 422, "array of rows"),
    ("", b'[{"age": 1}', JSON, 400, "not JSON"),
    ("", b"[" * 100_000, JSON, 400, "not JSON"),
    ("", b"PAR1 is not all", PARQUET, 400, "not Parquet"),
    ("", as_parquet([{"age": 1, "x": 1}]), PARQUET, 422, "Extra inputs"),
]


async def test_what_is_no_batch_is_refused_in_words(gateway: Gateway, ann: dict[str, str]) -> None:
    for query, content, headers, status, words in REFUSED:
        answer = await gateway.client.post(PATH + query, content=content, headers=ann | headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
        assert words in answer.text
    assert gateway.runner.calls == []


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.parquet"])
async def test_limits_of_rows_and_bytes(database_url: str, media: str) -> None:
    async with started(database_url, max_batch_rows=10, max_batch_bytes=2048) as gateway:
        headers = await gateway.user("ann", Role.analyst) | {"Content-Type": media}
        assert (await gateway.client.post(PATH, content=body_of(media, rows_of(10)), headers=headers)).status_code == 200
        long = await gateway.client.post(PATH, content=body_of(media, rows_of(11)), headers=headers)
        assert (long.status_code, "10" in long.text) == (413 if "parquet" in media else 422, True)
        large = body_of(media, [{"age": 1, "note": f"{number * 7919:060x}" * 3} for number in range(10)] * 5)
        for body, coding in ((large, {}), (gzip.compress(large), {"Content-Encoding": "gzip"}), (zstandard.compress(large), {"Content-Encoding": "zstd"})):
            answer = await gateway.client.post(PATH, content=body, headers=headers | coding)
            assert (answer.status_code, "at most" in answer.text) == (413, True), answer.text


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_bodies_and_answers_may_be_compressed(gateway: Gateway, ann: dict[str, str], coding: str) -> None:
    compress = gzip.compress if coding == "gzip" else zstandard.compress
    expand = gzip.decompress if coding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress
    halves = as_csv(rows_of(2000)), b"\r\n".join(as_csv(rows_of(2000)).split(b"\r\n")[1:])
    body = b"".join(compress(half) for half in halves)
    headers = ann | CSV | {"Content-Encoding": coding, "Accept-Encoding": coding}
    async with gateway.client.stream("POST", PATH, content=body, headers=headers) as answer:
        assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, coding)
        text = expand(b"".join([piece async for piece in answer.aiter_raw()])).decode()
    assert len(list(csv.DictReader(io.StringIO(text, newline="")))) > 2000
    small = await gateway.client.post(PATH, content=b"age\n1", headers=ann | CSV | {"Accept-Encoding": coding})
    assert ("Content-Encoding" in small.headers, len(read(small))) == (False, 1)


async def test_one_version_answers_all_of_a_large_batch(gateway: Gateway, ann: dict[str, str]) -> None:
    body = as_csv(rows_of(9000))
    gateway.runner.kept, gateway.runner.next_versions = {"3"}, ["4"]
    kept = await gateway.client.post(PATH, content=body, headers=ann | CSV)
    assert {one["model_version"] for one in read(kept)} == {"3"}
    gateway.runner.kept, gateway.runner.next_versions = set(), ["5"]
    moved = await gateway.client.post(PATH, content=body, headers=ann | CSV)
    assert {one["model_version"] for one in read(moved)} == {"5"}
    counted = await gateway.query("SELECT batch_id::text, model_version, count(*) FROM predictions GROUP BY 1, 2 ORDER BY 2")
    assert counted == [(kept.headers["X-Batch-ID"], "3", 9000), (moved.headers["X-Batch-ID"], "5", 9000)]


async def test_nothing_is_stored_when_a_later_chunk_fails(gateway: Gateway, ann: dict[str, str]) -> None:
    rows = rows_of(9000)
    gateway.runner.refused_row = {"age": 99, "income": None, "note": "refused"}
    body = body_of("application/x-ndjson", [*rows, gateway.runner.refused_row])
    answer = await gateway.client.post(PATH, content=body, headers=ann | NDJSON)
    assert (answer.status_code, await gateway.query("SELECT count(*) FROM predictions")) == (422, [(0,)])
    gateway.runner.refused_row, gateway.runner.delay = None, 0.3
    late = await gateway.client.post(PATH, content=body, headers=ann | NDJSON | {"X-Request-Timeout": "0.7"})
    assert (late.status_code, await gateway.query("SELECT count(*) FROM predictions")) == (504, [(0,)])


async def test_no_process_stays_behind_a_parquet_file(gateway: Gateway, ann: dict[str, str]) -> None:
    body = as_parquet(rows_of(60_000))
    gateway.runner.delay = 0.3
    late = await gateway.client.post(PATH, content=body, headers=ann | PARQUET | {"X-Request-Timeout": "0.7"})
    bad = await gateway.client.post(PATH, content=as_parquet([{"age": -1}] * 60_000), headers=ann | PARQUET)
    wrong = await gateway.client.post(PATH, content=as_parquet([{"age": b"1"}] * 60_000), headers=ann | PARQUET)
    assert [answer.status_code for answer in (late, bad, wrong)] == [504, 422, 422]
    assert [found for found in psutil.Process().children() if "arrow" in " ".join(found.cmdline())] == []
    assert await gateway.query("SELECT count(*) FROM predictions") == [(0,)]


async def test_large_batches_wait_for_a_place_and_then_are_refused(database_url: str) -> None:
    async with started(database_url, batches_at_once=1) as gateway:
        headers = await gateway.user("ann", Role.analyst) | CSV
        body = as_csv(rows_of(30_000))
        async with gateway.state.batches.place(large=True, deadline=float("inf")):
            assert (await gateway.client.post(PATH, content=as_csv(rows_of(10)), headers=headers)).status_code == 200
            answer = await gateway.client.post(PATH, content=body, headers=headers | {"X-Request-Timeout": "0.2"})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert (await gateway.client.post(PATH, content=body, headers=headers)).status_code == 200
