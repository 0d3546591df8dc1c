"""From request to audited answer."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.gateway.access import Role
from services.kit.ids import timestamp_of
from tests.gateway import EXAMPLE, Gateway, started

JSON = {"Content-Type": "application/json"}


async def test_the_answer_and_its_audit_row(gateway: Gateway) -> None:
    headers = await gateway.user("ann")
    answer = await gateway.client.post("/predict/tiny", json={"age": 41}, headers=headers | {"X-Request-ID": "my-own-request-1"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "my-own-request-1")
    body = answer.json()
    identifier = UUID(body.pop("prediction_id"))
    output = {"prediction": 0, "probability": 0.25, "decision": "stays", "risk_level": "low"}
    assert body == output | {"model": "tiny", "model_version": "3", "policy_version": 2}
    [row] = await gateway.query(
        "SELECT model, model_version, policy_version, username, request_id, batch_id, input, output, score, decision, created_at, latency_ms"
        " FROM predictions WHERE id = %s",
        identifier,
    )
    sent = {"age": 41, "income": None, "note": "none"}
    assert row[:10] == ("tiny", "3", 2, "ann", "my-own-request-1", None, sent, output, 0.25, "stays")
    assert row[10] == timestamp_of(identifier)
    assert 0 < row[11] < 5000
    assert gateway.runner.calls == [[sent]]


async def test_limits_are_told(database_url: str) -> None:
    async with started(database_url, rate_limit="2/minute") as gateway:
        headers = await gateway.user("ann")
        answers = [await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
        assert all(answer.headers.get_list("RateLimit-Limit") == ["2"] for answer in answers)
        assert int(answers[2].headers["Retry-After"]) == int(answers[2].headers["RateLimit-Reset"])
        assert len(gateway.runner.calls) == 2


BAD: list[tuple[bytes, dict[str, str], int, str]] = [
    (b'{"age": 41}', {"Content-Type": "text/csv"}, 415, "text/csv"),
    (b'{"age": 41}', {}, 415, "absent"),
    (b"", JSON, 400, "not JSON"),
    (b'{"age": 41', JSON, 400, "not JSON"),
    (b'\xff\xfe{"age": 41}', JSON, 400, "not JSON"),
    (b'{"note": "\xff", "age": 41}', JSON, 400, "not JSON"),
    (b'{"note": "\\ud800", "age": 41}', JSON, 400, "not JSON"),
    (b"[" * 100_000, JSON, 400, "not JSON"),
    (b"[1]", JSON, 422, "body"),
    (b'{"age": NaN}', JSON, 422, "age"),
    (b'{"age": 41, "income": NaN}', JSON, 422, "income"),
    (b'{"age": 41, "income": 1e999}', JSON, 422, "income"),
    (b'{"age": 41, "income": -Infinity}', JSON, 422, "income"),
    (b'{"age": 41, "note": "a\\u0000b"}', JSON, 422, "U+0000"),
    (b'{"age": 1' + b"0" * 1000 + b"}", JSON, 422, "age"),
    (b'{"age": 1' + b"0" * 5000 + b"}", JSON, 400, "out of range"),
    (b'{"age": 41, "note": "' + b"x" * 300_000 + b'"}', JSON, 413, "at most"),
]


@pytest.mark.parametrize(("content", "headers", "status", "words"), BAD)
async def test_bad_input_is_refused_in_words(gateway: Gateway, content: bytes, headers: dict[str, str], status: int, words: str) -> None:
    answer = await gateway.client.post("/predict/tiny", content=content, headers=headers | await gateway.user("ann"))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert words in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert gateway.runner.calls == []


async def test_every_wrong_field_is_named_with_its_rule_and_value(gateway: Gateway) -> None:
    headers = await gateway.user("ann")
    answer = await gateway.client.post("/predict/tiny", json={"age": "41", "income": "much", "extra": 1}, headers=headers)
    errors = {error["field"]: error for error in answer.json()["errors"]}
    assert (answer.status_code, set(errors)) == (422, {"age", "income", "extra"})
    assert (errors["age"]["value"], "integer" in errors["age"]["rule"]) == ("41", True)
    missing = (await gateway.client.post("/predict/tiny", json={}, headers=headers)).json()["errors"]
    assert missing == [{"field": "age", "rule": "Field required", "value": None}]


async def test_a_body_is_cut_off_while_it_is_read(gateway: Gateway) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    headers = await gateway.user("ann")
    answer = await gateway.client.post("/predict/tiny", content=endless(), headers=headers | JSON)
    assert answer.status_code == 413
    assert sent < 1_000_000


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/predict/none", 404), ("GET", "/predict/tiny", 405), ("GET", "/nothing", 404), ("PATCH", "/models", 405)]
)
async def test_wrong_addresses(gateway: Gateway, method: str, path: str, status: int) -> None:
    answer = await gateway.client.request(method, path, json=EXAMPLE, headers=await gateway.user("ann"))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if path == "/predict/none":
        assert answer.json()["models"] == ["tiny"]


@pytest.mark.parametrize(
    ("refuse", "status", "words"),
    [
        ((429, {"detail": "busy"}, {"Retry-After": "7"}), 429, "busy"),
        ((503, {"detail": "no version loaded"}, {"Retry-After": "7"}), 503, "no version loaded"),
        ((422, {"detail": "a gap", "errors": [{"field": "age", "rule": "gap", "value": 1}]}, {}), 422, "gap"),
        ((500, {"detail": "internal matters"}, {}), 502, "answered with an error"),
        ((200, {"nonsense": 1}, {}), 502, "not understood"),
    ],
)
async def test_what_the_runner_refuses(gateway: Gateway, refuse: tuple[int, dict[str, Any], dict[str, str]], status: int, words: str) -> None:
    gateway.runner.refuse = refuse
    answer = await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=await gateway.user("ann"))
    assert (answer.status_code, words in answer.text, "internal matters" in answer.text) == (status, True, False)
    assert answer.headers.get("Retry-After") == refuse[2].get("Retry-After")
    assert await gateway.query("SELECT count(*) FROM predictions") == [(0,)]


async def test_a_slow_and_an_absent_runner(gateway: Gateway, free_port: int, database_url: str) -> None:
    headers = await gateway.user("ann")
    gateway.runner.delay = 3
    began = time.monotonic()
    answer = await gateway.client.post("/predict/tiny", json=EXAMPLE, headers=headers)
    assert (answer.status_code, time.monotonic() - began < 2) == (504, True)
    async with started(database_url, runner_url=f"http://127.0.0.1:{free_port}") as lonely:
        answer = await lonely.client.post("/predict/tiny", json=EXAMPLE, headers=(await lonely.log_in("ann"))[0])
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


async def test_history_is_paged_and_filtered(gateway: Gateway) -> None:
    ann, bob = await gateway.user("ann", Role.analyst), await gateway.user("bob")
    for age in range(5):
        gateway.runner.version, gateway.runner.decision = ("4", "leaves") if age == 4 else ("3", "stays")
        await gateway.client.post("/predict/tiny", json={"age": age}, headers=ann if age % 2 else bob)

    async def ages(headers: dict[str, str], **query: Any) -> list[int]:
        found = (await gateway.client.get("/predict/history", params=query, headers=headers)).json()
        return [row["input"]["age"] for row in found["predictions"]]

    assert await ages(ann) == [4, 3, 2, 1, 0]
    assert await ages(bob) == [4, 2, 0]
    assert await ages(ann, username="bob", version="3") == [2, 0]
    assert await ages(ann, decision="leaves", model="tiny") == [4]
    assert await ages(ann, model="else") == []
    assert (await gateway.client.get("/predict/history?username=ann", headers=bob)).status_code == 403
    page = (await gateway.client.get("/predict/history?limit=2", headers=ann)).json()
    assert await ages(ann, limit=2, cursor=page["next"]) == [2, 1]
    assert (await gateway.client.get(f"/predict/history?limit=2&cursor={page['next']}", headers=ann)).json()["next"] is not None
    third = (await gateway.query("SELECT created_at FROM predictions WHERE (input->>'age')::int = 2"))[0][0]
    assert await ages(ann, **{"from": third.isoformat()}) == [4, 3, 2]
    assert await ages(ann, **{"from": third.isoformat(), "to": (third + timedelta(milliseconds=1)).isoformat()}) == [2]
    assert await ages(ann, to="1970-01-01") == []
    for wrong in ("limit=501", "from=1700000000", "from=x", "cursor=x"):
        answer = await gateway.client.get(f"/predict/history?{wrong}", headers=ann)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, wrong.partition("=")[0])

    mine, other = page["predictions"][0]["prediction_id"], page["predictions"][1]["prediction_id"]
    assert (await gateway.client.get(f"/predictions/{mine}", headers=bob)).json() == page["predictions"][0]
    assert (await gateway.client.get(f"/predictions/{other}", headers=bob)).status_code == 404
    assert (await gateway.client.get("/predictions/01a1fd73-ef7c-766b-8eee-e594ae20bc25", headers=ann)).status_code == 404
