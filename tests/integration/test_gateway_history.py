"""Finding in the audit what is asked for, all of it and nothing else, without reading a month from end to end; and exporting it."""

import csv
import io
import itertools
from dataclasses import fields
from typing import Any
from uuid import UUID

import pytest
from starlette.requests import ClientDisconnect

from services.gateway.access import Role
from services.gateway.predictions import repository, rows
from services.gateway.predictions.search import repository as searched
from services.gateway.predictions.search import service as search
from services.gateway.predictions.search.repository import KEYS, Filter
from services.kit.ids import uuid7_block
from tests.gateway import Gateway

BATCH = UUID(int=2**100)
OUTPUT = b'{"prediction":0,"probability":0.25,"decision":"%s","risk_level":"low"}'
CASES: list[dict[str, Any]] = [
    *({}, {"model": "tiny"}, {"version": "3"}, {"decision": "leaves"}, {"username": "bob"}, {"batch_id": str(BATCH)}, {"request_id": "request-5"}),
    *({"outcome": "known"}, {"outcome": "unknown"}, {"model": "tiny", "version": "3"}, {"username": "bob", "decision": "leaves"}),
    *({"model": "other", "outcome": "known"}, {"username": "ann", "outcome": "unknown"}, {"batch_id": str(BATCH), "username": "bob"}),
    {"model": "tiny", "version": "3", "decision": "leaves", "username": "bob", "outcome": "known"},
    *({"username": "nobody"}, {"model": "nothing", "decision": "stays"}),
]


async def stored(gateway: Gateway, count: int = 400) -> list[dict[str, Any]]:
    """Rows of every combination, each third with an outcome; newest first, as a search for them would have to find them."""
    made, tuples = [], []
    for number, identifier in enumerate(uuid7_block(count)):
        one = {
            "id": UUID(bytes=identifier),
            "model": ("tiny", "other")[number % 5 == 0],
            "version": str(number % 4),
            "decision": (None, "stays", "leaves")[number % 3],
            "username": ("ann", "bob")[number % 7 == 0],
            "batch_id": str(BATCH) if 100 <= number < 160 else None,
            "request_id": f"request-{number // 2}",
            "outcome": "known" if number % 3 == 1 else "unknown",
        }
        batch = BATCH.bytes if one["batch_id"] else None
        shared = rows.common(one["model"], one["version"], 2, one["username"], one["request_id"], batch)
        output = OUTPUT % (one["decision"] or "none").encode()
        tuples.append(rows.encode(identifier, shared, b'{"age":41,"note":"a, \\"b\\""}', output, 0.25, one["decision"], 1.5, number if batch else None))
        made.append(one)
    async with gateway.state.pool.connection() as connection:
        await repository.store(connection, tuples)
        for one in made:
            if one["outcome"] == "known":
                for value in (0, 1):
                    await connection.execute("INSERT INTO outcomes (prediction_id, value, actor) VALUES (%s, %s, 'eve')", [one["id"], value])
    return made[::-1]


def fits(one: dict[str, Any], asked: dict[str, Any]) -> bool:
    return all(one[name] == value for name, value in asked.items())


@pytest.mark.parametrize(("chunk", "few", "seconds"), [(4000, 8000, 1.0), (7, 20, 1.0), (7, 20, 0.0)], ids=["as it is", "small chunks", "stopped at once"])
async def test_pages_have_all_that_fits_in_order_and_nothing_twice(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, chunk: int, few: int, seconds: float
) -> None:
    ann = await gateway.user("ada", Role.analyst)
    made = await stored(gateway)
    for name, value in (("CHUNK", chunk), ("FEW", few), ("SECONDS", seconds)):
        monkeypatch.setattr(search, name, value)
    for asked, limit in itertools.product(CASES, (3, 100)):
        found, cursor, pages = [], "", 0
        while cursor is not None:
            page = (await gateway.client.get("/predict/history", params=asked | {"limit": limit} | ({"cursor": cursor} if cursor else {}), headers=ann)).json()
            assert len(page["predictions"]) <= limit
            assert seconds == 0 or page["next"] is None or len(page["predictions"]) == limit
            found += [UUID(one["prediction_id"]) for one in page["predictions"]]
            cursor, pages = page["next"], pages + 1
            assert pages < 500
        assert found == [one["id"] for one in made if fits(one, asked)], asked


async def test_each_row_has_its_last_outcome(gateway: Gateway) -> None:
    ada = await gateway.user("ada", Role.analyst)
    made = await stored(gateway, 10)
    page = (await gateway.client.get("/predict/history", headers=ada)).json()["predictions"]
    for one, shown in zip(made, page, strict=True):
        told = shown["outcome"]
        assert told is None if one["outcome"] == "unknown" else (told["value"], told["actor"], set(told)) == (1, "eve", {"value", "actor", "recorded_at"})


async def test_no_month_is_read_from_end_to_end(gateway: Gateway) -> None:
    """Whatever PostgreSQL believes of the rows: nothing here has been analysed, and each index alone is chosen for its own filter."""
    await stored(gateway)
    async with gateway.state.pool.connection() as connection:
        await searched.begin(connection)
        values = {"model": "tiny", "version": "3", "decision": "leaves", "username": "bob", "batch_id": BATCH, "request_id": "request-5"}
        indexes = {
            "request_id": "hashtext",
            "batch_id": "batch_id",
            "version": "model_model_version",
            "username": "username",
            "decision": "decision",
            "model": "model_id",
        }
        assert indexes.keys() == KEYS.keys()
        wanted = Filter(**values, outcome="known")  # type: ignore[arg-type]
        assert set(KEYS) | {"begin", "end", "outcome"} == {one.name for one in fields(Filter)}
        parameters = wanted.parameters() | {"chunk": 100, "most": 51}
        for leader in (*KEYS, "id", "outcome"):
            asked = wanted if leader != "id" else Filter(outcome="unknown")
            explained = await connection.execute("EXPLAIN " + searched.held_against(leader, asked), parameters)
            plan = "\n".join(row[0] for row in await explained.fetchall())
            assert "Seq Scan" not in plan, plan
            assert "Bitmap" not in plan, plan
            if leader in indexes:
                assert f"{indexes[leader]}_" in plan or f"_{indexes[leader]}" in plan, plan


async def test_a_viewer_finds_own_rows_only(gateway: Gateway) -> None:
    bob = await gateway.user("bob")
    made = await stored(gateway)
    page = (await gateway.client.get("/predict/history", params={"limit": 500}, headers=bob)).json()
    assert [one["prediction_id"] for one in page["predictions"]] == [str(one["id"]) for one in made if one["username"] == "bob"]
    assert (await gateway.client.get("/predict/history", params={"username": "ann"}, headers=bob)).status_code == 403
    assert (await gateway.client.get("/predict/history/export", headers=bob)).status_code == 403


async def test_an_export_has_what_history_has(gateway: Gateway) -> None:
    ada = await gateway.user("ada", Role.analyst)
    made = await stored(gateway)
    for asked in CASES:
        if asked.get("model") in ("other", "nothing"):
            continue
        answer = await gateway.client.get("/predict/history/export", params=asked, headers=ada)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8; header=present")
        listed = list(csv.DictReader(io.StringIO(answer.text)))
        expected = [one for one in made if fits(one, asked)]
        assert [one["prediction_id"] for one in listed] == [str(one["id"]) for one in expected], asked
        assert [one["outcome"] for one in listed] == ["1" if one["outcome"] == "known" else "" for one in expected]
        if "model" in asked:
            assert {(one["input.age"], one["input.note"], one["output.risk_level"]) for one in listed} <= {("41", 'a, "b"', "low")}
        else:
            assert all(one["input"].startswith('{"age": 41') for one in listed)
    answer = await gateway.client.get("/predict/history/export?model=nothing", headers=ada)
    assert answer.status_code == 404


async def test_two_exports_at_a_time(gateway: Gateway) -> None:
    ada = await gateway.user("ada", Role.analyst)
    await stored(gateway, 10)
    first, second = [await gateway.state.exports.begin(Filter(), None) for _ in range(2)]

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    async def unheard(_: Any) -> None:
        raise OSError("gone")

    answer = await gateway.client.get("/predict/history/export", headers=ada)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    with pytest.raises(ClientDisconnect):
        await first({"type": "http", "asgi": {"spec_version": "2.4"}}, gone, unheard)
    assert (await gateway.client.get("/predict/history/export", headers=ada)).status_code == 200
    assert b"".join([bytes(piece) async for piece in second.body_iterator]).count(b"\n") == 11
