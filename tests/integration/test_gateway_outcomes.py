"""What really happened, told for one prediction and for many."""

from typing import Any
from uuid import uuid4

import pytest

from services.gateway.access import Role
from services.gateway.predictions.contracts import contract
from services.kit.ids import uuid7
from tests.gateway import CONTRACTS, EXAMPLE, SCHEMA, Gateway, started

CONTRACT = contract("price", title="Price", summary="What will it cost?", timeout=1.0, schema=SCHEMA, task="regression")


async def predicted(gateway: Gateway, headers: dict[str, str], model: str = "tiny") -> str:
    answer = await gateway.client.post(f"/predict/{model}", json=EXAMPLE, headers=headers)
    return str(answer.json()["prediction_id"])


async def test_an_outcome_is_recorded_shown_and_corrected(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst)
    identifier = await predicted(gateway, ann)
    path = f"/predictions/{identifier}/outcome"
    first = await gateway.client.post(path, json={"value": 1, "note": "left in May"}, headers=ann)
    assert first.status_code == 201
    told = first.json()
    assert (told["prediction_id"], told["value"], told["actor"], told["note"], told["corrects"]) == (identifier, 1, "ann", "left in May", False)
    second = (await gateway.client.post(path, json={"value": 0}, headers=ann)).json()
    assert (second["value"], second["corrects"]) == (0, True)
    shown = (await gateway.client.get(f"/predictions/{identifier}", headers=ann)).json()["outcome"]
    assert shown == {name: second[name] for name in ("value", "recorded_at", "actor")}
    assert await gateway.query("SELECT value, note FROM outcomes ORDER BY id") == [(1, "left in May"), (0, None)]


@pytest.mark.parametrize(
    ("body", "field"),
    [({"value": 0.5}, "value"), ({"value": "x"}, "value"), ({}, "value"), ({"value": 1, "actor": "x"}, "actor"), ({"value": 1, "note": "\0"}, "note")],
)
async def test_a_bad_outcome_is_named_and_nothing_is_kept(gateway: Gateway, body: Any, field: str) -> None:
    ann = await gateway.user("ann", Role.analyst)
    answer = await gateway.client.post(f"/predictions/{await predicted(gateway, ann)}/outcome", json=body, headers=ann)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert await gateway.query("SELECT count(*) FROM outcomes") == [(0,)]


async def test_an_outcome_of_nothing_is_not_found(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst)
    for identifier in (uuid4(), uuid7()):
        assert (await gateway.client.post(f"/predictions/{identifier}/outcome", json={"value": 1}, headers=ann)).status_code == 404


async def test_a_regression_takes_any_number(database_url: str) -> None:
    async with started(database_url, CONTRACTS | {"price": CONTRACT}) as gateway:
        ann = await gateway.user("ann", Role.analyst)
        gateway.runner.model = "price"
        answer = await gateway.client.post(f"/predictions/{await predicted(gateway, ann, 'price')}/outcome", json={"value": -101.25}, headers=ann)
        assert (answer.status_code, answer.json()["value"]) == (201, -101.25)


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_many_are_recorded_and_the_others_told_one_by_one(gateway: Gateway, form: str) -> None:
    ann = await gateway.user("ann", Role.analyst)
    known, again, doubled, wrong = [await predicted(gateway, ann) for _ in range(4)]
    stranger = str(uuid7())
    await gateway.client.post(f"/predictions/{again}/outcome", json={"value": 1}, headers=ann)
    told = [(known, 1, "seen"), (stranger, 1, ""), (doubled, 0, ""), (again, 0, ""), (doubled, 1, ""), (wrong, 2, "")]
    if form == "json":
        outcomes = [{"prediction_id": one, "value": value, "note": note or None} for one, value, note in told]
        answer = await gateway.client.post("/predictions/outcomes", json={"outcomes": outcomes}, headers=ann)
    else:
        text = "\ufeffnote,prediction_id,value\r\n" + "".join(f"{note},{one},{value}\r\n" for one, value, note in told)
        answer = await gateway.client.post("/predictions/outcomes", content=text.encode(), headers=ann | {"Content-Type": "text/csv; charset=utf-8"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["recorded"], found["corrected"]) == (2, 1)
    assert [(one["prediction_id"], one["row"], one["problem"]) for one in found["rejected"]] == [
        (stranger, 1, "there is no such prediction"),
        (doubled, 2, "stands here 2 times; say once what is true"),
        (doubled, 4, "stands here 2 times; say once what is true"),
        (wrong, 5, "value 2 must be 0 or 1"),
    ]
    kept = await gateway.query("SELECT prediction_id::text, value, note, actor FROM outcomes ORDER BY id")
    assert kept == [(again, 1, None, "ann"), (known, 1, "seen", "ann"), (again, 0, None, "ann")]


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"", "text/csv", 400, "The first line"),
        (b"prediction_id\n", "text/csv", 400, "The first line"),
        (b"prediction_id,value,colour\n", "text/csv", 400, "The first line"),
        (b"prediction_id,value,value\n", "text/csv", 400, "The first line"),
        (b"prediction_id,value\n", "text/csv", 400, "no outcomes"),
        (b"prediction_id,value\n\xff,1\n", "text/csv", 400, "UTF-8"),
        (b'prediction_id,value\n"x,1\n', "text/csv", 400, "not CSV"),
        (b"prediction_id,value\nx,1\n018f0000-0000-7000-8000-000000000000,nan\n018f0000-0000-7000-8000-000000000000\n", "text/csv", 422, "3 field errors"),
        (b"prediction_id,value\n018f0000-0000-7000-8000-000000000000,1,2,3\n", "text/csv", 422, "field error"),
        (b"{", "application/json", 400, "not JSON"),
        (b'{"outcomes": [{"prediction_id": "x", "value": NaN}]}', "application/json", 400, "not JSON"),
        (b'{"outcomes": [{"prediction_id": "x", "value": "y"}]}', "application/json", 422, "2 field errors"),
        (b'{"outcomes": []}', "application/json", 422, "field error"),
        (b"<x/>", "application/xml", 415, "application/json, text/csv"),
        (b" " * 9_000_000, "text/csv", 413, "bytes at most"),
    ],
)
async def test_what_cannot_be_read_is_refused_whole(gateway: Gateway, content: bytes, kind: str, status: int, words: str) -> None:
    ann = await gateway.user("ann", Role.analyst)
    answer = await gateway.client.post("/predictions/outcomes", content=content, headers=ann | {"Content-Type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert words in answer.json()["detail"]


async def test_a_mistake_in_csv_is_told_with_its_line(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst)
    text = b"prediction_id,value\n018f0000-0000-7000-8000-000000000000,1\nx,1\n"
    answer = await gateway.client.post("/predictions/outcomes", content=text, headers=ann | {"Content-Type": "text/csv"})
    assert [(error["field"], error["value"], error["line"]) for error in answer.json()["errors"]] == [("prediction_id", "x", 3)]


async def test_ten_thousand_at_once(gateway: Gateway) -> None:
    ann = await gateway.user("ann", Role.analyst)
    batch = await gateway.client.post("/predict/tiny/batch", json={"rows": [EXAMPLE] * 10_000}, headers=ann)
    identifiers = [one["prediction_id"] for one in batch.json()["predictions"]]
    text = "prediction_id,value\n" + "".join(f"{one},{number % 2}\n" for number, one in enumerate(identifiers))
    answer = await gateway.client.post("/predictions/outcomes", content=text.encode(), headers=ann | {"Content-Type": "text/csv"})
    assert answer.json() == {"recorded": 10_000, "corrected": 0, "rejected": []}
